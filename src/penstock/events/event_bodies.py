"""Bodies of `POST /events/…` as events: one object, a JSON array, or one object on each line. Numbers stay exact.

V1. Whole numbers are int of any length, all others Decimal from their own text: no binary float in between.
V2. A body that is no JSON is refused whole, with the place. In NDJSON each line stands for itself: a bad one is refused, the
    others are taken.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import msgspec

JSON_TYPES = frozenset({"application/json", "text/json"})
LINE_TYPES = frozenset(
    {
        "application/x-ndjson",
        "application/ndjson",
        "application/jsonl",
        "application/x-jsonlines",
        "application/json-lines",
    }
)
ANY_TYPES = frozenset({"", "text/plain", "application/octet-stream", "application/x-www-form-urlencoded"})

_decode = msgspec.json.Decoder(float_hook=Decimal).decode


class Unreadable(Exception):
    """The body as a whole cannot be read."""


class UnknownType(Exception):
    """A content type that is none of ours."""


@dataclass(frozen=True)
class Refused:
    """An event that will not be stored, and why."""

    why: str


def read_events(body: bytes, content_type: str) -> list[dict[str, Any] | Refused]:
    """The events of a body in order, or Unreadable or UnknownType. What curl sends without a type is recognised."""
    kind = content_type.partition(";")[0].strip().lower()
    if kind in LINE_TYPES:
        return _lines(body)
    if kind not in JSON_TYPES and kind not in ANY_TYPES:
        raise UnknownType(kind)
    try:
        whole = _decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        lines = [line for line in body.splitlines() if line.strip()]
        if kind in ANY_TYPES and len(lines) > 1 and lines[0].lstrip()[:1] == b"{":
            return _lines(body)
        raise Unreadable(f"the body is not JSON: {error}") from error
    return [_event(each) for each in whole] if isinstance(whole, list) else [_event(whole)]


def _lines(body: bytes) -> list[dict[str, Any] | Refused]:
    return [_line(line) for line in body.split(b"\n") if line.strip()]


def _line(line: bytes) -> dict[str, Any] | Refused:
    try:
        return _event(_decode(line))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return Refused(f"the line is not JSON: {error}")


def _event(value: Any) -> dict[str, Any] | Refused:
    if isinstance(value, dict):
        return value
    return Refused(f"an event is an object, not {_named(value)}")


def _named(value: Any) -> str:
    if value is None:
        return "null"
    names = {list: "an array", str: "a string", bool: "true or false"}
    return names.get(type(value), "a number")
