"""Which values are equal and which comes first: the one home of both rules.

C1. Values of different types are never equal and have no order. Only S, N and B have an order.
C2. Scalars are canonical (model/values.py), so they are equal when their text is. Sets are equal
    in any order, also inside lists and maps.
C3. S is ordered by its UTF-8 bytes, which is the order of Python's strings; B by its bytes; N by its value.
"""

from __future__ import annotations

from binascii import a2b_base64
from decimal import Decimal
from typing import Any, TypeAlias

from penstock.model.values import AttributeValue

OrderKey: TypeAlias = Any  # str, Decimal or bytes: comparable within one type.

ORDERED_TYPES = frozenset(["S", "N", "B"])
SET_TYPES = frozenset(["SS", "NS", "BS"])
# Equal exactly when the JSON is: neither is a set nor can hold one.
SCALAR_TYPES = frozenset(["S", "N", "B", "BOOL", "NULL"])


def type_of(value: AttributeValue) -> str:
    kind: str = next(iter(value))
    return kind


def payload_of(value: AttributeValue) -> Any:
    return next(iter(value.values()))


def equal(left: AttributeValue, right: AttributeValue) -> bool:
    if left == right:
        return True
    kind = type_of(left)
    if kind in SCALAR_TYPES or kind != type_of(right):
        return False
    if kind == "L":
        ours, theirs = left["L"], right["L"]
        return len(ours) == len(theirs) and all(map(equal, ours, theirs))
    if kind == "M":
        mine, other = left["M"], right["M"]
        return mine.keys() == other.keys() and all(equal(value, other[name]) for name, value in mine.items())
    first, second = payload_of(left), payload_of(right)
    return len(first) == len(second) and set(first) == set(second)


def order_key(kind: str, payload: str) -> OrderKey:
    if kind == "N":
        return Decimal(payload)
    return a2b_base64(payload) if kind == "B" else payload


def size_of(value: AttributeValue) -> int | None:
    """What size() answers, or None for a type that has no size."""
    kind = type_of(value)
    if kind == "S":
        text = value["S"]
        # The length of a string is in UTF-16 units, as Java counts.
        return len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2
    if kind == "B":
        return len(value["B"]) // 4 * 3 - value["B"][-2:].count("=")
    return None if kind in ("N", "BOOL", "NULL") else len(payload_of(value))


def begins_with(value: AttributeValue, prefix: AttributeValue) -> bool:
    kind = type_of(value)
    if kind != type_of(prefix):
        return False
    if kind == "S":
        return value["S"].startswith(prefix["S"])
    return kind == "B" and a2b_base64(value["B"]).startswith(a2b_base64(prefix["B"]))


def contains(value: AttributeValue, element: AttributeValue) -> bool:
    kind, wanted = type_of(value), type_of(element)
    if kind == "L":
        return any(equal(member, element) for member in value["L"])
    if kind == "S":
        return wanted == "S" and element["S"] in value["S"]
    if kind == "B":
        return wanted == "B" and a2b_base64(element["B"]) in a2b_base64(value["B"])
    # SS holds S, NS holds N, BS holds B.
    return kind in SET_TYPES and kind[0] == wanted and payload_of(element) in payload_of(value)
