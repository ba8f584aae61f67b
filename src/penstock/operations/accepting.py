"""Shapes compiled to closures: does a request fit (`acceptor`), and where in it are values (`canonicaliser`)?

An acceptor visits only the members that are present and says yes or no; it never says why, which is
findings.py's work. It says no to some requests that AWS takes, those with nulls or with members that the shape does
not know: findings.py drops these and finds nothing. So nobody behind the door reads what was not looked at. Values
are visited once, by the canonicaliser.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, TypeAlias

from penstock.errors import ServiceError, validation
from penstock.model.values import check_item, check_placeholder_values, check_value
from penstock.operations.kinds import (
    ARN_MAX,
    Attributes,
    Flag,
    Kind,
    ListOf,
    MapOf,
    Stamp,
    Struct,
    Text,
    Value,
    Whole,
)

Acceptor: TypeAlias = Callable[[Any], bool]
Canonicaliser: TypeAlias = Callable[[Any], object]


def acceptor(kind: Kind) -> Acceptor:
    match kind:
        case Text():
            return _text(kind)
        case Whole():
            return _whole(kind)
        case Flag():
            return lambda value: value is True or value is False
        case Stamp():
            return lambda value: type(value) is float or type(value) is int
        case Attributes() | Value():
            return lambda value: type(value) is dict
        case ListOf():
            return _list(kind)
        case MapOf():
            return _map(kind)
        case Struct():
            return _struct(kind)


def _text(kind: Text) -> Acceptor:
    if kind.enum:
        words = frozenset(kind.enum)
        return lambda value: type(value) is str and value in words
    low, high = kind.min, kind.max if kind.max is not None else 1 << 62
    if kind.pattern is not None:
        fits = re.compile(kind.pattern).fullmatch
        if kind.or_arn:
            return lambda value: (
                type(value) is str
                and (
                    (low <= len(value) <= high and fits(value) is not None)
                    or (value.startswith("arn:") and len(value) <= ARN_MAX)
                )
            )
        return lambda value: type(value) is str and low <= len(value) <= high and fits(value) is not None
    if low == 0 and kind.max is None:
        return lambda value: type(value) is str
    return lambda value: type(value) is str and low <= len(value) <= high


def _whole(kind: Whole) -> Acceptor:
    bits = 31 if kind.java == "Integer" else 63
    low = kind.min if kind.min is not None else -(1 << bits)
    high = kind.max if kind.max is not None else (1 << bits) - 1
    return lambda value: type(value) is int and low <= value <= high


def _list(kind: ListOf) -> Acceptor:
    accepts = acceptor(kind.element)
    low, high = kind.min or 0, kind.max if kind.max is not None else 1 << 62

    def accept(value: Any) -> bool:
        return type(value) is list and low <= len(value) <= high and all(map(accepts, value))

    return accept


def _map(kind: MapOf) -> Acceptor:
    accepts, accepts_key = acceptor(kind.value), acceptor(kind.key)
    low, high = kind.min or 0, kind.max if kind.max is not None else 1 << 62

    def accept(value: Any) -> bool:
        return (
            type(value) is dict
            and low <= len(value) <= high
            and all(map(accepts_key, value))
            and all(map(accepts, value.values()))
        )

    return accept


def _struct(kind: Struct) -> Acceptor:
    members = {name: acceptor(member) for name, member in kind.members.items()}
    required = kind.required

    def accept(value: Any) -> bool:
        if type(value) is not dict:
            return False
        for name, member in value.items():
            accepts = members.get(name)
            if accepts is None or not accepts(member):
                return False
        for name in required:  # noqa: SIM110 (a generator costs as much as the whole check)
            if name not in value:
                return False
        return True

    return accept


def canonicaliser(kind: Kind) -> Canonicaliser | None:
    """What makes every value under a member canonical, in place; None where there can be no values.

    Of a structure it returns what it found for the first member that holds values: of an item or a key, its size."""
    match kind:
        case Attributes(role="item"):
            return check_item
        case Attributes(role="placeholders"):
            return check_placeholder_values
        case Attributes():
            return _check_start_key
        case Value():
            return check_value
        case ListOf():
            return _each(canonicaliser(kind.element), lambda elements: elements)
        case MapOf():
            return _each(canonicaliser(kind.value), lambda mapping: mapping.values())
        case Struct():
            return _members(kind)
        case _:
            return None


def _each(inner: Canonicaliser | None, parts: Callable[[Any], Any]) -> Canonicaliser | None:
    if inner is None:
        return None
    canonicalise = inner

    def run(value: Any) -> None:
        for part in parts(value):
            canonicalise(part)

    return run


def _members(kind: Struct) -> Canonicaliser | None:
    compiled = ((name, canonicaliser(member)) for name, member in kind.members.items())
    walks = tuple((name, walk) for name, walk in compiled if walk is not None)
    if not walks:
        return None
    [first, walk_first], others = walks[0], walks[1:]

    def run(value: Any) -> object:
        member = value.get(first)
        found = walk_first(member) if member is not None else None
        for name, walk in others:
            if name in value and (member := value[name]) is not None:
                walk(member)
        return found

    return run


def _check_start_key(value: Any) -> None:
    try:
        check_item(value)
    except ServiceError as error:
        if error.code != "ValidationException":
            raise
        raise validation(f"The provided starting key is invalid: {error.message}") from error
