"""From an event to the item that is stored, or the reason why it is not.

    schema={"customer_id": "string", "amount": "number", "at": "time", "note": "string?"}

T1. The table's keys must be there, of their types and not empty; keys of its indexes only of their types, if they are there.
T2. An attribute in the declared schema must be there, unless its type ends in `?`, and of the type. Others are stored as
    they come.
T3. Times (schema type `time`, and what a feature set orders its events by) are normalised: see event_times.py.
T4. What DynamoDB would refuse is refused here, event by event, because one bad item fails a whole BatchWriteItem.

Events are accepted fast and refused slowly: `_accepted` walks an event once and gives its item, or nothing where anything at
all looks off; `_explained` then walks again, check by check, and has the words.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, TypeAlias

from penstock.app.application import App
from penstock.app.plain import as_sent, to_item, to_value
from penstock.app.tables import Table
from penstock.errors import ServiceError, UsageError
from penstock.events.event_bodies import Refused
from penstock.events.event_times import fixed_width
from penstock.limits import (
    ATTRIBUTE_NAME_BYTES_MAX,
    ITEM_BYTES_MAX,
    PARTITION_KEY_BYTES_MAX,
    SORT_KEY_BYTES_MAX,
)
from penstock.model.numbers import canonical
from penstock.model.numbers import size as number_size
from penstock.model.values import Item, check_item, check_value

Check: TypeAlias = Callable[[Any], bool]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | Decimal) and not isinstance(value, bool)


def _is_whole(value: Any) -> bool:
    return _is_number(value) and value == int(value) if _is_finite(value) else False


def _is_finite(value: Any) -> bool:
    return isinstance(value, int) or (isinstance(value, Decimal) and value.is_finite())


CHECKS: dict[str, Check] = {
    "string": lambda value: isinstance(value, str),
    "number": _is_number,
    "integer": _is_whole,
    "boolean": lambda value: isinstance(value, bool),
    "time": lambda value: isinstance(value, str) or _is_whole(value),
    "binary": lambda value: isinstance(value, bytes),
    "list": lambda value: isinstance(value, list),
    "map": lambda value: isinstance(value, dict),
    "any": lambda value: True,
}
KEY_CHECKS: dict[str, tuple[str, Check]] = {
    "S": ("a string", lambda value: isinstance(value, str)),
    "N": ("a number", _is_number),
    "B": ("binary", lambda value: isinstance(value, bytes)),
}


@dataclass(frozen=True)
class EventShape:
    """What a table asks of its events."""

    table: str
    keys: tuple[str, ...]
    key_types: Mapping[str, str]  # Of the table and of its indexes.
    schema: Mapping[str, str]  # Attribute -> type, without `?`.
    required: frozenset[str]
    times: frozenset[str]


def shape_of(app: App, table: Table) -> EventShape:
    """As the application declares it."""
    schema = {name: type_.removesuffix("?") for name, type_ in (table.schema or {}).items()}
    required = frozenset(name for name, type_ in (table.schema or {}).items() if not type_.endswith("?"))
    ordered_by = {features.time for features in app.feature_sets.values() if features.source is table}
    times = {name for name, type_ in schema.items() if type_ == "time"} | ordered_by
    keys = (table.partition_key,) + ((table.sort_key,) if table.sort_key else ())
    return EventShape(table.name, keys, table.key_types, schema, required, frozenset(times))


def shape_described(described: Mapping[str, Any]) -> EventShape:
    """As DescribeTable tells: keys and their types, and nothing else is known."""
    types = {each["AttributeName"]: each["AttributeType"] for each in described["AttributeDefinitions"]}
    keys = tuple(each["AttributeName"] for each in described["KeySchema"])
    return EventShape(described["TableName"], keys, types, {}, frozenset(), frozenset())


def item_of(event: Mapping[str, Any], shape: EventShape) -> tuple[Item, int] | Refused:
    """The item and its size as DynamoDB counts it, or why there is none."""
    try:
        accepted = _accepted(event, shape)
    except (UsageError, ServiceError, ValueError, ArithmeticError):
        accepted = None
    return accepted if accepted is not None else _explained(event, shape)


def _accepted(event: Mapping[str, Any], shape: EventShape) -> tuple[Item, int] | None:
    """What `_explained` gives for an event that nothing is wrong with, at a third of its cost."""
    item: Item = {}
    size, times = 0, shape.times
    for name, value in event.items():
        kind = type(value)
        size += len(name) if name.isascii() else len(name.encode())
        if kind is str:
            if name in times:
                value = fixed_width(value)
                if value is None:
                    return None
            item[name] = {"S": value}
            size += len(value) if value.isascii() else len(value.encode())
        elif kind is int or kind is Decimal:
            text = canonical(str(value))
            item[name] = {"N": text}
            size += number_size(text)
        elif kind in _SCALARS or ((kind is dict or kind is list) and not _has_bytes(value)):
            item[name] = to_value(value)
            size += check_value(item[name])  # type: ignore[arg-type]
        else:
            return None
        if len(name) > _NAME_CHARACTERS_SAFE:
            return None
    if size > ITEM_BYTES_MAX or not _keys_fit(item, shape):
        return None
    for name, type_ in shape.schema.items():
        if name not in event:
            if name in shape.required:
                return None
        elif not CHECKS[type_](event[name]):
            return None
    return item, size


def _keys_fit(item: Item, shape: EventShape) -> bool:
    for name in shape.keys:
        if name not in item:
            return False
    for name, type_ in shape.key_types.items():
        value = item.get(name)
        if value is None:
            continue
        payload = value.get(type_)
        # In doubt about the bytes of a key, the slow walk counts them.
        if not payload or (type_ != "N" and len(payload) > _KEY_CHARACTERS_SAFE):  # type: ignore[arg-type]
            return False
    return True


# A character is at most 4 bytes.
_NAME_CHARACTERS_SAFE = ATTRIBUTE_NAME_BYTES_MAX // 4
_KEY_CHARACTERS_SAFE = SORT_KEY_BYTES_MAX // 4


def _explained(event: Mapping[str, Any], shape: EventShape) -> tuple[Item, int] | Refused:
    why = _missing(event, shape) or _mistyped(event, shape)
    if why is not None:
        return Refused(why)
    plain = dict(event)
    for name in shape.times:
        held = plain.get(name)
        if isinstance(held, str):
            normal = fixed_width(held)
            if normal is None:
                return Refused(
                    f"{name} is no time: {held!r:.60}; write 2026-11-20T10:00:00Z or a whole number"
                )
            plain[name] = normal
    try:
        item = to_item(plain)
        size = check_item(item)
    except (UsageError, ServiceError) as error:
        return Refused(error.message or "" if isinstance(error, ServiceError) else str(error))
    if size > ITEM_BYTES_MAX:
        return Refused(f"the event takes {size} bytes as an item; {ITEM_BYTES_MAX} are the most")
    why = _key_size(item, shape)
    return Refused(why) if why is not None else (as_sent(item) if _has_bytes(plain) else item, size)


def _missing(event: Mapping[str, Any], shape: EventShape) -> str | None:
    for name in shape.keys:
        if name not in event or event[name] == "" or event[name] == b"":
            return f"{name} is missing; it is in the key of {shape.table}"
    absent = sorted(shape.required - event.keys())
    return f"{', '.join(absent)} missing" if absent else None


def _mistyped(event: Mapping[str, Any], shape: EventShape) -> str | None:
    for name, type_ in shape.key_types.items():
        if name in event:
            wanted, check = KEY_CHECKS[type_]
            if not check(event[name]) or event[name] == "":
                return f"{name} must be {wanted}; it is in a key of {shape.table}"
    for name, type_ in shape.schema.items():
        if name in event and not CHECKS[type_](event[name]):
            if event[name] is None and name not in shape.required:
                continue
            return f"{name} must be of type {type_}"
    return None


def _key_size(item: Item, shape: EventShape) -> str | None:
    for name, most in zip(shape.keys, (PARTITION_KEY_BYTES_MAX, SORT_KEY_BYTES_MAX), strict=False):
        text = item[name].get("S")
        if text is not None and len(text.encode()) > most:
            return f"{name} has {len(text.encode())} bytes; {most} are the most in a key"
    return None


_SCALARS = frozenset({str, int, Decimal, bool, type(None)})


def _has_bytes(plain: Any) -> bool:
    """Events of JSON have none; rows of a Parquet file may."""
    kind = type(plain)
    if kind in _SCALARS:
        return False
    if kind is dict:
        for held in plain.values():  # noqa: SIM110 (a generator costs more than the loop)
            if type(held) not in _SCALARS and _has_bytes(held):
                return True
        return False
    if kind in (list, tuple, set, frozenset):
        return any(_has_bytes(held) for held in plain)
    return isinstance(plain, bytes | bytearray | memoryview)
