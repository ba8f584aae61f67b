"""Plain Python values and attribute values: what people write, and what DynamoDB keeps.

    str ↔ S   Decimal, int ↔ N   bytes ↔ B   bool ↔ BOOL   None ↔ NULL   list, tuple ↔ L   dict ↔ M   set ↔ SS, NS, BS

A float is refused: binary fractions are not what a price means, and DynamoDB keeps 38 decimal digits. Numbers come back as
Decimal. A datetime becomes the one fixed-width UTC text that sorts as time does (see `instant_text`).
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, TypeAlias

from penstock.errors import UsageError
from penstock.model.numbers import canonical
from penstock.model.values import AttributeValue, Item

Plain: TypeAlias = Any  # The people's edge: str, Decimal, int, bytes, bool, None, list, dict, set of them.


def instant_text(moment: datetime) -> str:
    """`2026-11-20T10:00:00.000000Z`: fixed width, so that text order is time order."""
    if moment.tzinfo is None:
        raise UsageError("a datetime needs a time zone; write datetime(…, tzinfo=UTC)")
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def to_value(plain: Plain) -> AttributeValue:
    if isinstance(plain, bool):
        return {"BOOL": plain}
    if isinstance(plain, str):
        return {"S": plain}
    if isinstance(plain, int | Decimal):
        return {"N": canonical(str(plain))}
    if plain is None:
        return {"NULL": True}
    if isinstance(plain, bytes | bytearray | memoryview):
        return {"B": b64encode(bytes(plain)).decode()}
    if isinstance(plain, datetime):
        return {"S": instant_text(plain)}
    if isinstance(plain, list | tuple):
        return {"L": [to_value(each) for each in plain]}
    if isinstance(plain, Mapping):
        return {"M": {str(name): to_value(each) for name, each in plain.items()}}
    if isinstance(plain, set | frozenset):
        return _to_set(plain)
    if isinstance(plain, float):
        raise UsageError(
            f"{plain!r} is a float; write Decimal('{plain!r}') so that the number stays what you wrote"
        )
    raise UsageError(f"a {type(plain).__name__} has no place in an item")


def _to_set(plain: set[Plain] | frozenset[Plain]) -> AttributeValue:
    kinds = {next(iter(to_value(each))) for each in plain}
    if len(kinds) != 1 or not kinds <= {"S", "N", "B"}:
        raise UsageError("a set holds strings, numbers or bytes, one kind of them, and at least one")
    texts = sorted(next(iter(to_value(each).values())) for each in plain)  # type: ignore[type-var]
    return {kinds.pop() + "S": texts}  # type: ignore[misc]


def to_item(plain: Mapping[str, Plain]) -> Item:
    return {name: to_value(value) for name, value in plain.items()}


def as_sent(value: Any) -> Any:
    """An item or a value as a client takes it: boto3's shape has bytes where DynamoDB JSON has base64 text."""
    if isinstance(value, list):
        return [as_sent(each) for each in value]
    if not isinstance(value, dict):
        return value
    sent: dict[str, Any] = {}
    for name, held in value.items():
        if name == "B" and isinstance(held, str):
            sent[name] = b64decode(held)
        elif name == "BS" and isinstance(held, list):
            sent[name] = [b64decode(each) if isinstance(each, str) else each for each in held]
        else:
            sent[name] = as_sent(held)
    return sent


def from_value(value: AttributeValue) -> Plain:
    kind, held = next(iter(value.items()))
    match kind:
        case "N":
            return Decimal(str(held))
        case "B":
            return held if isinstance(held, bytes) else b64decode(str(held))
        case "NULL":
            return None
        case "L":
            return [from_value(each) for each in value["L"]]
        case "M":
            return {name: from_value(each) for name, each in value["M"].items()}
        case "SS":
            return set(value["SS"])
        case "NS":
            return {Decimal(each) for each in value["NS"]}
        case "BS":
            return {each if isinstance(each, bytes) else b64decode(each) for each in value["BS"]}
        case _:
            return held


def from_item(item: Item) -> dict[str, Plain]:
    return {name: from_value(value) for name, value in item.items()}
