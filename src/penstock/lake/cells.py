"""Items to columns of Arrow: the typed half of `current`, in passes over a batch and not over its cells.

C1. What is written can be read back exactly: an item is its columns and `_extra` together. `item_of` is the inverse, and
    a test holds the two to each other.
C2. Where a declared type does not fit a value, the whole record is refused with the reason (`misfits`).
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from itertools import chain
from typing import Any

import orjson
import pyarrow as pa

from penstock.lake.evolution import EXTRA, KIND_OF_TAG, TEXT, Column, Columns
from penstock.model.values import AttributeValue, Item

NUMBER = pa.decimal128(38, 9)
ARROW: dict[str, pa.DataType] = {
    "S": pa.string(), "N": NUMBER, "B": pa.binary(), "BOOL": pa.bool_(), "JSON": pa.string(), TEXT: pa.string(),
    "SS": pa.list_(pa.string()), "NS": pa.list_(NUMBER), "BS": pa.list_(pa.binary()),
    "string": pa.string(), "long": pa.int64(), "double": pa.float64(), "boolean": pa.bool_(),
    "binary": pa.binary(), "timestamp": pa.timestamp("us", tz="UTC"), "date": pa.date32(), "json": pa.string(),
}  # fmt: skip

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LONG_MAX = 2**63 - 1


def arrow_type(kind: str) -> pa.DataType:
    if kind.startswith("decimal("):
        precision, scale = kind[8:-1].split(",")
        return pa.decimal128(int(precision), int(scale))
    return ARROW[kind]


def build(items: Sequence[Item], columns: Columns) -> tuple[dict[str, pa.Array], list[str | None]]:
    """Each column's array by name, and each item's `_extra`. New columns are added to `columns` on the way.

    Items must have passed `misfits`.
    """
    extras: dict[int, Item] = {}
    cells = _cells(items, columns.declared, extras)
    count = len(items)
    arrays: dict[str, pa.Array] = {}
    for (attribute, kind), held in cells.items():
        _fill(attribute, kind, held, columns, arrays, extras, items)
    texts: list[str | None] = (
        [None] * count if not extras else [_extra_text(extras.get(row)) for row in range(count)]
    )
    return arrays, texts


def _cells(
    items: Sequence[Item], declared: Mapping[str, str], extras: dict[int, Item]
) -> dict[tuple[str, str], list[Any]]:
    """Payloads by attribute and kind, one place for each item. NULLs go to `extras`.

    An attribute of one type takes two comprehensions, five times faster than a walk over items; others are walked.
    """
    cells: dict[tuple[str, str], list[Any]] = {}
    for name in dict.fromkeys(chain.from_iterable(items)):
        values: list[Any] = [item.get(name) for item in items]
        if name not in declared:
            tag = next(iter(next(value for value in values if value is not None)))
            if tag != "NULL":
                try:
                    cells[name, KIND_OF_TAG[tag]] = [
                        None if value is None else value[tag] for value in values
                    ]
                    continue
                except KeyError:
                    pass  # More than one type: walked below.
        _walk(name, values, declared, cells, extras)
    return cells


def _walk(
    name: str,
    values: Sequence[Any],
    declared: Mapping[str, str],
    cells: dict[tuple[str, str], list[Any]],
    extras: dict[int, Item],
) -> None:
    for row, value in enumerate(values):
        if value is None:
            continue
        [(tag, payload)] = value.items()
        if tag == "NULL":
            extras.setdefault(row, {})[name] = value
            continue
        kind = declared.get(name) or KIND_OF_TAG[tag]
        held = cells.get((name, kind))
        if held is None:
            held = cells[name, kind] = [None] * len(values)
        held[row] = value if name in declared else payload


def _extra_text(extra: Item | None) -> str | None:
    return None if extra is None else orjson.dumps(extra, option=orjson.OPT_SORT_KEYS).decode()


def _fill(
    attribute: str,
    kind: str,
    held: list[Any],
    columns: Columns,
    arrays: dict[str, pa.Array],
    extras: dict[int, Item],
    items: Sequence[Item],
) -> None:
    """One attribute's values of one kind, into its column, its text sibling or `_extra`."""
    column = columns.place(attribute, kind)
    if column is None:
        _keep_whole(attribute, held, items, extras, lambda value: True)
        return
    if kind in ("N", "NS"):
        misfits = _numbers(kind, held, arrays, column)
        if misfits:
            text = columns.place(attribute, TEXT) if kind == "N" else None
            if text is None:
                for row in misfits:
                    extras.setdefault(row, {})[attribute] = items[row][attribute]
            else:
                arrays[text.name] = pa.array([misfits.get(row) for row in range(len(held))], pa.string())
        return
    if kind == "JSON":
        _keep_whole(attribute, held, items, extras, has_no_plain_form)
    make = _MAKERS.get(kind)
    if attribute in columns.declared:
        parse = parser(kind)
        arrays[column.name] = pa.array(
            [None if value is None else parse(value) for value in held], arrow_type(kind)
        )
    else:
        values = held if make is None else [None if value is None else make(value) for value in held]
        arrays[column.name] = pa.array(values, ARROW[kind])


def _keep_whole(
    attribute: str,
    held: list[Any],
    items: Sequence[Item],
    extras: dict[int, Item],
    wanted: Callable[[Any], bool],
) -> None:
    for row, payload in enumerate(held):
        if payload is not None and wanted(payload):
            extras.setdefault(row, {})[attribute] = items[row][attribute]


def _numbers(kind: str, held: list[Any], arrays: dict[str, pa.Array], column: Column) -> dict[int, str]:
    """Fill a column of numbers; the rows that do not fit, with their text."""
    if kind == "N":
        try:
            arrays[column.name] = pa.array(held, pa.string()).cast(NUMBER)
            return {}
        except pa.ArrowInvalid:
            pass
    misfits: dict[int, str] = {}
    values: list[Any] = []
    for row, payload in enumerate(held):
        texts = [] if payload is None else payload if kind == "NS" else [payload]
        fits = all(fits_decimal(text, 38, 9) for text in texts)
        if not fits:
            misfits[row] = str(payload)
        decimals = [Decimal(text) for text in texts] if fits else []
        values.append(None if payload is None or not fits else decimals if kind == "NS" else decimals[0])
    arrays[column.name] = pa.array(values, ARROW[kind])
    return misfits


def fits_decimal(text: str, precision: int, scale: int) -> bool:
    """Whether canonical text is exact in decimal(precision, scale)."""
    whole, _, fraction = text.lstrip("-").partition(".")
    return len(fraction) <= scale and len(whole.lstrip("0")) <= precision - scale


def has_no_plain_form(payload: Any) -> bool:
    """Whether a list or map holds binary or sets, which plain JSON cannot tell from text and lists."""
    below = payload.values() if isinstance(payload, dict) else payload
    for value in below:
        [(tag, inner)] = value.items()
        if tag in ("B", "SS", "NS", "BS") or (tag in ("L", "M") and has_no_plain_form(inner)):
            return True
    return False


def plain_json(payload: Any) -> str:
    """A list or map as JSON text. Numbers are DynamoDB's own digits: no binary float is ever made of them."""
    if isinstance(payload, dict):
        inner = ",".join(f"{_quoted(name)}:{_plain_value(value)}" for name, value in payload.items())
        return "{" + inner + "}"
    return "[" + ",".join([_plain_value(value) for value in payload]) + "]"


def _plain_value(value: AttributeValue) -> str:
    [(tag, payload)] = value.items()
    match tag:
        case "N":
            return str(payload)
        case "NS":
            return "[" + ",".join(value["NS"]) + "]"
        case "NULL":
            return "null"
        case "L" | "M":
            return plain_json(payload)
        case _:
            return orjson.dumps(payload).decode()


def _quoted(text: str) -> str:
    return orjson.dumps(text).decode()


_MAKERS: dict[str, Callable[[Any], Any]] = {
    "B": b64decode,
    "BS": lambda members: [b64decode(member) for member in members],
    "JSON": plain_json,
}


# -- Declared types --


class Misfit(ValueError):
    """A value is not of its attribute's declared type."""


def misfits(item: Item, declared: Mapping[str, str]) -> str | None:
    """Why an item breaks the declared schema, or None."""
    for name, kind in declared.items():
        value = item.get(name)
        if value is not None and "NULL" not in value:
            try:
                parser(kind)(value)
            except Misfit as error:
                return f"{name}: {error}"
    return None


def parser(kind: str) -> Callable[[AttributeValue], Any]:
    """From an attribute value to what Arrow takes for a declared type; raises Misfit."""
    if kind.startswith("decimal("):
        precision, scale = (int(part) for part in kind[8:-1].split(","))
        return lambda value: _decimal(value, precision, scale)
    return _PARSERS[kind]


def _payload(value: AttributeValue, *tags: str) -> Any:
    [(tag, payload)] = value.items()
    if tag not in tags:
        raise Misfit(f"is of type {tag}, declared as {' or '.join(tags)}")
    return payload


def _decimal(value: AttributeValue, precision: int, scale: int) -> Decimal:
    text = _payload(value, "N")
    if not fits_decimal(text, precision, scale):
        raise Misfit(f"{text} does not fit decimal({precision},{scale})")
    return Decimal(text)


def _long(value: AttributeValue) -> int:
    text = _payload(value, "N")
    if "." in text or not -_LONG_MAX - 1 <= int(text) <= _LONG_MAX:
        raise Misfit(f"{text} is not a whole number of 64 bits")
    return int(text)


def _double(value: AttributeValue) -> float:
    return float(_payload(value, "N"))


def _instant(value: AttributeValue) -> datetime:
    """ISO 8601 with a zone, or epoch seconds."""
    payload = _payload(value, "S", "N")
    try:
        if "N" in value:
            seconds = Decimal(payload)
            return _EPOCH + timedelta(microseconds=int(seconds * 1_000_000))
        moment = datetime.fromisoformat(payload)
    except (ValueError, OverflowError, InvalidOperation) as error:
        raise Misfit(f"{payload!r} is not a time") from error
    if moment.tzinfo is None:
        raise Misfit(f"{payload!r} has no time zone")
    return moment.astimezone(UTC)


def _date(value: AttributeValue) -> date:
    payload = _payload(value, "S")
    try:
        return date.fromisoformat(payload)
    except ValueError as error:
        raise Misfit(f"{payload!r} is not a date") from error


def _json(value: AttributeValue) -> str:
    return _plain_value(value)


_PARSERS: dict[str, Callable[[AttributeValue], Any]] = {
    "string": lambda value: _payload(value, "S"),
    "long": _long,
    "double": _double,
    "boolean": lambda value: _payload(value, "BOOL"),
    "binary": lambda value: b64decode(_payload(value, "B")),
    "timestamp": _instant,
    "date": _date,
    "json": _json,
}


# -- Back --


def item_of(row: Mapping[str, Any], columns: Sequence[Column]) -> Item:
    """The item that a row of `current` is (C1). Declared columns other than string, decimal, long, boolean and binary
    are not exact by declaration."""
    item: Item = {}
    for column in columns:
        value = row.get(column.name)
        if value is not None:
            item[column.attribute] = _value_of(column.kind, value)
    extra = row.get(EXTRA)
    if extra:
        item.update(orjson.loads(extra))
    return item


def _value_of(kind: str, value: Any) -> AttributeValue:
    if kind in ("N", TEXT, "long") or kind.startswith("decimal("):
        return {"N": number_text(value)}
    match kind:
        case "S" | "string":
            return {"S": value}
        case "B" | "binary":
            return {"B": b64encode(value).decode()}
        case "BOOL" | "boolean":
            return {"BOOL": value}
        case "SS":
            return {"SS": value}
        case "NS":
            return {"NS": [number_text(member) for member in value]}
        case "BS":
            return {"BS": [b64encode(member).decode() for member in value]}
        case "JSON":
            return _from_plain(_decode_exact(value))
        case _:
            return {"S": str(value)}


def number_text(value: Any) -> str:
    text = value if isinstance(value, str) else format(Decimal(value), "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def _decode_exact(text: str) -> Any:
    return json.loads(text, parse_float=Decimal, parse_int=Decimal)


def _from_plain(value: Any) -> AttributeValue:
    if isinstance(value, bool):
        return {"BOOL": value}
    if value is None:
        return {"NULL": True}
    if isinstance(value, str):
        return {"S": value}
    if isinstance(value, Decimal):
        return {"N": number_text(value)}
    if isinstance(value, dict):
        return {"M": {name: _from_plain(inner) for name, inner in value.items()}}
    return {"L": [_from_plain(inner) for inner in value]}
