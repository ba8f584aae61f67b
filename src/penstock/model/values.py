"""Attribute values: DynamoDB JSON in one canonical form, checked once at the door.

A value in memory *is* its JSON: a dict of one entry, type tag to payload, as orjson reads it. That keeps the path
from socket to disk and back free of conversions; `TypedDict` gives it a type at no cost at run time.

V1. N is canonical number text (see numbers.py), so equal numbers are equal strings.
V2. B is standard base64 with padding, re-encoded, so equal bytes are equal strings.
V3. SS, NS, BS have no duplicates and are not empty; their order carries no meaning.
V4. A canonical item, written by orjson with no options, is the bytes that are stored.
"""

from __future__ import annotations

from typing import TypeAlias, TypedDict


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
