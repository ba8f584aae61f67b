"""Attribute values: DynamoDB JSON in one canonical form, checked once at the door.

A value in memory *is* its JSON: a dict of one entry, type tag to payload, as orjson reads it. That keeps the
path from socket to disk and back free of conversions; `TypedDict` gives it a type at no cost at run time.

V1. N is canonical number text (see numbers.py), so equal numbers are equal strings.
V2. B is standard base64 with padding, re-encoded, so equal bytes are equal strings.
V3. SS, NS, BS have no duplicates and are not empty; their order carries no meaning.
V4. A canonical item, written by orjson with no options, is the bytes that are stored.

Values are accepted fast and explained slowly. `check_item` and its sisters walk what came from the wire once,
rewrite in place what is not canonical yet, and return the size; where anything at all looks off they leave it
to value_errors.py, which walks again in AWS's order and has AWS's words. The raw tree belongs to one request
alone, so it may be changed in place.
"""

from __future__ import annotations

from binascii import a2b_base64, b2a_base64
from collections.abc import Callable
from typing import Any, TypeAlias, TypedDict, cast

from penstock.errors import ServiceError
from penstock.limits import ATTRIBUTE_NAME_BYTES_MAX, NESTING_DEPTH_MAX
from penstock.model import value_errors
from penstock.model.numbers import SMALL_SIZES, canonical
from penstock.model.numbers import size as number_size

_NAMES_SURELY_SHORT = ATTRIBUTE_NAME_BYTES_MAX // 4  # Characters of all names: each has at most four bytes.


class AttributeValue(TypedDict, total=False):
    """One entry only: {"S": "x"}. The union of ten shapes that the wire calls AttributeValue."""

    S: str
    N: str
    B: str
    BOOL: bool
    NULL: bool
    SS: list[str]
    NS: list[str]
    BS: list[str]
    L: list[AttributeValue]
    M: dict[str, AttributeValue]


Item: TypeAlias = dict[str, AttributeValue]
Key: TypeAlias = dict[str, AttributeValue]  # An item of key attributes only.

# What the fast walk may stumble over in a tree that is not as it should be: a payload of another JSON type,
# an unknown tag, two tags, bad base64, a number out of range. All of it is the slow walk's to name.
_SURPRISES = (ValueError, TypeError, AttributeError, KeyError, ServiceError)


def check_item(raw: dict[str, Any]) -> int:
    """Make an item or a key canonical in place and return its size as AWS counts it, or raise AWS's error."""
    try:
        return _attributes(raw, 1)
    except _SURPRISES:
        value_errors.settle_item(raw)
        return _attributes(raw, 1)


def check_value(raw: dict[str, Any]) -> int:
    """As check_item, for one value."""
    try:
        return _value(raw, 1)
    except _SURPRISES:
        value_errors.settle_value(raw)
        return _value(raw, 1)


def check_placeholder_values(raw: dict[str, Any]) -> int:
    """As check_item, for ExpressionAttributeValues, whose errors name the placeholder."""
    try:
        return _attributes(raw, 1)
    except _SURPRISES:
        value_errors.settle_placeholder_values(raw)
        return _attributes(raw, 1)


def _attributes(attributes: dict[str, Any], depth: int) -> int:
    size = 0
    texts = [*attributes]
    if sum(map(len, texts)) > _NAMES_SURELY_SHORT:
        _check_names(attributes)
    add = texts.append
    for value in attributes.values():
        # The type that fills most items, without a call each, and measured together.
        if "S" in value and len(value) == 1:
            add(value["S"])
            continue
        [(tag, payload)] = value.items()
        if tag == "N":
            known = SMALL_SIZES.get(payload)
            if known is not None:
                size += known
                continue
            text = canonical(payload)
            if text is not payload:
                value["N"] = text
            size += number_size(text)
        else:
            size += _CHECKS[tag](value, payload, depth)
    joined = "".join(texts)
    return size + (len(joined) if joined.isascii() else len(joined.encode()))


def _check_names(attributes: dict[str, Any]) -> None:
    for name in attributes:
        if len(name.encode()) > ATTRIBUTE_NAME_BYTES_MAX:
            raise ValueError


def _value(value: dict[str, Any], depth: int) -> int:
    [(tag, payload)] = value.items()
    return _CHECKS[tag](value, payload, depth)


def _string(value: dict[str, Any], payload: Any, depth: int) -> int:
    return len(payload) if payload.isascii() else len(payload.encode())


def _number(value: dict[str, Any], payload: Any, depth: int) -> int:
    text = canonical(payload)
    if text is not payload:
        value["N"] = text
    return number_size(text)


def _bytes_of(text: Any) -> bytes:
    content = a2b_base64(text, strict_mode=True)
    # Spare bits in the last character would give one value two texts.
    if b2a_base64(content, newline=False).decode() != text:
        raise ValueError
    return content


def _binary(value: dict[str, Any], payload: Any, depth: int) -> int:
    return len(_bytes_of(payload)) if payload != "" else 0


def _boolean(value: dict[str, Any], payload: Any, depth: int) -> int:
    if payload is True or payload is False:
        return 1
    raise TypeError


def _null(value: dict[str, Any], payload: Any, depth: int) -> int:
    if payload is True:
        return 1
    raise ValueError


def _distinct(payload: list[str]) -> list[str]:
    if type(payload) is not list or not payload or len(set(payload)) != len(payload):
        raise ValueError
    return payload


def _string_set(value: dict[str, Any], payload: Any, depth: int) -> int:
    return sum([_string(value, member, depth) for member in _distinct(payload)])


def _number_set(value: dict[str, Any], payload: Any, depth: int) -> int:
    texts = [canonical(member) for member in _distinct(payload)]
    if texts != payload:
        value["NS"] = _distinct(texts)
    return sum([number_size(text) for text in texts])


def _binary_set(value: dict[str, Any], payload: Any, depth: int) -> int:
    return sum([_binary(value, member, depth) for member in _distinct(payload)])


def _list(value: dict[str, Any], payload: Any, depth: int) -> int:
    if type(payload) is not list or (depth >= NESTING_DEPTH_MAX and payload):
        raise ValueError
    size = 3 + len(payload)
    for element in payload:
        [(tag, inner)] = element.items()
        size += _CHECKS[tag](element, inner, depth + 1)
    return size


def _map(value: dict[str, Any], payload: Any, depth: int) -> int:
    if depth >= NESTING_DEPTH_MAX and payload:
        raise ValueError
    return 3 + len(payload) + _attributes(payload, depth + 1)


_CHECKS: dict[str, Callable[[dict[str, Any], Any, int], int]] = {
    "S": _string,
    "N": _number,
    "B": _binary,
    "BOOL": _boolean,
    "NULL": _null,
    "SS": _string_set,
    "NS": _number_set,
    "BS": _binary_set,
    "L": _list,
    "M": _map,
}


# Sizes of values that are canonical already. [C] of limits.py: names and strings in UTF-8, numbers as
# numbers.size says, binary as bytes, one byte for true, false and null, and 3 bytes for a list or a map with
# 1 for each element.


def text_size(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode())


def binary_size(text: str) -> int:
    return len(text) // 4 * 3 - text.count("=", -2) if text else 0


def value_size(value: AttributeValue) -> int:
    [(tag, payload)] = value.items()
    return _SIZES[tag](payload)


def item_size(item: Item) -> int:
    size = 0
    texts = [*item]
    for value in item.values():
        if "S" in value:
            texts.append(value["S"])
        else:
            [(tag, payload)] = value.items()
            size += _SIZES[tag](payload)
    return size + text_size("".join(texts))


def _list_size(elements: list[AttributeValue]) -> int:
    return 3 + len(elements) + sum([value_size(element) for element in elements])


def _map_size(attributes: Item) -> int:
    return 3 + len(attributes) + item_size(attributes)


_SIZES: dict[str, Callable[[Any], int]] = {
    "S": text_size,
    "N": number_size,
    "B": binary_size,
    "BOOL": lambda payload: 1,
    "NULL": lambda payload: 1,
    "SS": lambda payload: sum(map(text_size, payload)),
    "NS": lambda payload: sum(map(number_size, payload)),
    "BS": lambda payload: sum(map(binary_size, payload)),
    "L": _list_size,
    "M": _map_size,
}


def same_item(left: Item, right: Item) -> bool:
    """Equal as items, where the order of a set's members does not count (V3)."""
    if left == right:
        return True
    if left.keys() != right.keys():
        return False
    return all(same_value(value, right[name]) for name, value in left.items())


def same_value(left: AttributeValue, right: AttributeValue) -> bool:
    if left == right:
        return True
    [(tag, payload)] = left.items()
    other = right.get(tag)
    if other is None:
        return False
    match tag:
        case "SS" | "NS" | "BS":
            return set(cast("list[str]", payload)) == set(cast("list[str]", other))
        case "M":
            return same_item(cast(Item, payload), cast(Item, other))
        case "L":
            ours, theirs = cast("list[AttributeValue]", payload), cast("list[AttributeValue]", other)
            return len(ours) == len(theirs) and all(map(same_value, ours, theirs))
        case _:
            return False
