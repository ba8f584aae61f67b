"""What is wrong with a value, in AWS's words and AWS's order of checks: the slow walk behind values.py.

Two passes, because AWS has two: its JSON reader refuses wrong types in the whole request before anything is
judged (`settle_types`), and only then are values judged one by one (`settle_item` and its sisters do both).
Reading a request also drops what AWS does not see: members that are null and members that it does not know.

Nesting is bounded: no pass goes further down than one level past the deepest that AWS takes, so a tree of any
depth is refused and never exhausts the stack.
"""

from __future__ import annotations

from binascii import Error as Base64Error
from binascii import a2b_base64, b2a_base64
from collections.abc import Callable
from typing import Any

from penstock.errors import ServiceError, invalid_parameter, validation
from penstock.limits import ATTRIBUTE_NAME_BYTES_MAX, NESTING_DEPTH_MAX
from penstock.model import json_types
from penstock.model.numbers import canonical

Raw = dict[str, Any]

ATTRIBUTE_MAP = "java.util.Map<java.lang.String, com.amazonaws.dynamodb.v20120810.AttributeValue>"
EMPTY = "Supplied AttributeValue is empty, must contain exactly one of the supported datatypes"
AMBIGUOUS = (
    "Supplied AttributeValue has more than one datatypes set, "
    "must contain exactly one of the supported datatypes"
)
TOO_DEEP = (
    "Nesting Levels have exceeded supported limits: "
    "Attributes in the item have nested levels beyond supported limit"
)


def settle_item(raw: Raw) -> None:
    settle_types(raw)
    for name, value in raw.items():
        _judge_name(name)
        _judge(value, 1)


def settle_value(raw: Raw) -> None:
    _read_value(raw, 1)
    _judge(raw, 1)


def settle_placeholder_values(raw: Raw) -> None:
    settle_types(raw)
    for name, value in raw.items():
        try:
            _judge(value, 1)
        except ServiceError as error:
            raise validation(
                f"ExpressionAttributeValues contains invalid value: {error.message} for key {name}"
            ) from error


def settle_types(raw: Any) -> None:
    """The first pass alone, over a map of attributes."""
    _read_attributes(raw, 1)


def settle_value_types(raw: Any) -> None:
    """The first pass alone, over one value."""
    _read_value(raw, 1)


# First pass: JSON types.


def _read_attributes(raw: Any, depth: int) -> None:
    attributes = json_types.mapping(raw, ATTRIBUTE_MAP)
    for name, value in attributes.items():
        json_types.string(name)
        if value is None:
            attributes[name] = {}  # Judged later as a value without a type, as AWS does.
        else:
            _read_value(value, depth)


def _read_value(raw: Any, depth: int) -> None:
    value = json_types.structure(raw, "AttributeValue")
    for tag in list(value):
        payload = value[tag]
        if payload is None or tag not in _READERS:
            del value[tag]
        else:
            value[tag] = _READERS[tag](payload, depth)


def _read_list(payload: Any, depth: int) -> list[Any]:
    elements = json_types.array(payload)
    if depth <= NESTING_DEPTH_MAX:
        for position, element in enumerate(elements):
            if element is None:
                elements[position] = {}
            else:
                _read_value(element, depth + 1)
    return elements


def _read_map(payload: Any, depth: int) -> Raw:
    attributes = json_types.mapping(payload, ATTRIBUTE_MAP)
    if depth <= NESTING_DEPTH_MAX:
        _read_attributes(attributes, depth + 1)
    return attributes


def _read_set(read: Callable[[Any], str]) -> Callable[[Any, int], list[Any]]:
    def read_set(payload: Any, depth: int) -> list[Any]:
        return [None if member is None else read(member) for member in json_types.array(payload)]

    return read_set


_READERS: dict[str, Callable[[Any, int], Any]] = {
    "S": lambda payload, depth: json_types.string(payload),
    "N": lambda payload, depth: json_types.string(payload),
    "B": lambda payload, depth: _read_binary(payload),
    "BOOL": lambda payload, depth: json_types.boolean(payload),
    "NULL": lambda payload, depth: json_types.boolean(payload),
    "SS": _read_set(json_types.string),
    "NS": _read_set(json_types.string),
    "BS": _read_set(lambda member: _read_binary(member)),
    "L": _read_list,
    "M": _read_map,
}


def _read_binary(payload: Any) -> str:
    text = json_types.blob(payload)
    if text == "":
        return text
    try:
        again = b2a_base64(a2b_base64(text, strict_mode=True), newline=False).decode()
    except Base64Error as error:
        raise json_types.spare_bits() from error
    if again != text:
        raise json_types.spare_bits()
    return text


# Second pass: values. It relies on the first: no nulls but in sets, no unknown tags, the right JSON types.


def _judge_name(name: str) -> None:
    if len(name.encode()) > ATTRIBUTE_NAME_BYTES_MAX:
        raise validation(
            "1 validation error detected: Attribute name is too large, must be less than 65536 bytes"
        )


def _judge(value: Raw, depth: int) -> None:
    if depth > NESTING_DEPTH_MAX:
        raise validation(TOO_DEEP)
    if not value:
        raise validation(EMPTY)
    for tag, payload in value.items():
        judge = _JUDGES.get(tag)
        if judge is not None:
            value[tag] = judge(payload, depth)
    # Last: a bad number beside a string is reported as a bad number.
    if len(value) > 1:
        raise validation(AMBIGUOUS)


def _judge_null(payload: bool, depth: int) -> bool:
    if not payload:
        raise invalid_parameter("Null attribute value types must have the value of true")
    return payload


def _judge_strings(payload: list[Any], depth: int) -> list[str]:
    if not payload:
        raise invalid_parameter("An string set  may not be empty")
    if None in payload:
        raise invalid_parameter("An string set may not have a null string as a member")
    if len(set(payload)) != len(payload):
        raise invalid_parameter(f"Input collection [{', '.join(payload)}] contains duplicates.")
    return payload


def _judge_numbers(payload: list[Any], depth: int) -> list[str]:
    if not payload:
        raise invalid_parameter("An number set  may not be empty")
    texts = [canonical(member or "") for member in payload]
    if len(set(texts)) != len(texts):
        raise validation("Input collection contains duplicates")
    return texts


def _judge_binaries(payload: list[Any], depth: int) -> list[str]:
    if not payload:
        raise invalid_parameter("Binary sets should not be empty")
    if None in payload:
        raise invalid_parameter("Binary sets may not contain null or empty values")
    if len(set(payload)) != len(payload):
        # The missing space is AWS's.
        raise invalid_parameter(f"Input collection [{', '.join(payload)}]of type BS contains duplicates.")
    return payload


def _judge_list(payload: list[Any], depth: int) -> list[Any]:
    for element in payload:
        _judge(element, depth + 1)
    return payload


def _judge_map(payload: Raw, depth: int) -> Raw:
    for name, value in payload.items():
        _judge_name(name)
        _judge(value, depth + 1)
    return payload


_JUDGES: dict[str, Callable[[Any, int], Any]] = {
    "N": lambda payload, depth: canonical(payload),
    "NULL": _judge_null,
    "SS": _judge_strings,
    "NS": _judge_numbers,
    "BS": _judge_binaries,
    "L": _judge_list,
    "M": _judge_map,
}
