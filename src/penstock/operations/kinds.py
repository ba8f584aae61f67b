"""The kinds of member that a request has, with their constraints: the words in which each action's shape is
declared.

A declaration is plain data. accepting.py compiles it to closures for the many requests that are right,
findings.py reads it for the few that are not, and a test compares it with botocore's service model.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

ARN_MAX = 1024  # TableArn of the service model.


@dataclass(frozen=True)
class Text:
    min: int = 0
    max: int | None = None
    pattern: str | None = None
    enum: tuple[str, ...] = ()  # In the order in which AWS prints it, which is not the service model's.
    or_arn: bool = False  # A table's or index's ARN may stand for its name.


@dataclass(frozen=True)
class Whole:
    min: int | None = None
    max: int | None = None
    java: str = "Integer"
    brief: bool = False  # See ListOf.


@dataclass(frozen=True)
class Flag:
    """True or false."""


@dataclass(frozen=True)
class Stamp:
    """Seconds since 1970, with a fraction."""


@dataclass(frozen=True)
class Attributes:
    """A map of AttributeValues. `role` decides how a finding about a value is worded."""

    role: str = "item"  # item | placeholders | start_key


@dataclass(frozen=True)
class Value:
    """One AttributeValue."""


@dataclass(frozen=True)
class ListOf:
    element: Kind
    min: int | None = None
    max: int | None = None
    # AWS reports a few bounds in a newer style: the path as the API writes it, and not the value.
    brief: bool = False


@dataclass(frozen=True)
class MapOf:
    """Bounds of its keys and values are reported at the map itself, as "Map keys/value must satisfy"."""

    value: Kind
    key: Text = Text()
    min: int | None = None
    max: int | None = None


@dataclass(frozen=True)
class Struct:
    name: str
    members: Mapping[str, Kind]
    required: tuple[str, ...] = ()
    # A member whose first finding is reported alone, before any other is looked for.
    alone: str | None = None
    # What AWS says instead of "Value null at …" where a required member is absent (or is a map and empty).
    missing: Mapping[str, str] = field(default_factory=dict)
    # Members that AWS prints as null when it prints the structure, but that the public model does not have.
    private: tuple[str, ...] = ()


Kind: TypeAlias = Text | Whole | Flag | Stamp | Attributes | Value | ListOf | MapOf | Struct
