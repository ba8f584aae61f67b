"""Features as an application declares them: aggregates over an entity's events, in windows that end at the question.

A window of `days` at time t holds the events with t − days < time <= t. Times are compared as instants, never as text.
One definition serves twice: features/online.py computes it from the table's index, features/offline.py by SQL over the
lake's change log; both end in the same arithmetic of features/windows.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from penstock.app.tables import Table

DAY_S = 86_400.0


@dataclass(frozen=True)
class Aggregate:
    """One feature: `kind` of `attribute` over the events that match `where` and fall into the window."""

    kind: str
    attribute: str | None = None
    window_s: float | None = None  # None: the entity's whole history.
    where: tuple[tuple[str, Any], ...] = ()
    other: Aggregate | None = None  # The denominator of a ratio.
    source: Table | None = None  # Another table than the feature set's own.


@dataclass(frozen=True)
class RequestValue:
    """A value that comes with the request."""

    name: str
    default: float | None = None


@dataclass(frozen=True)
class Transform:
    """Plain Python over the features before it: `compute(features) -> number`. Runs in the worker process."""

    compute: Callable[[Mapping[str, Any]], float]
    needs: tuple[str, ...] = ()


Feature = Aggregate | RequestValue | Transform


def _window(days: float | None, hours: float | None, minutes: float | None) -> float | None:
    given = [
        unit * count for unit, count in ((DAY_S, days), (3600.0, hours), (60.0, minutes)) if count is not None
    ]
    return sum(given) if given else None


def _aggregate(kind: str, attribute: str | None, where: Mapping[str, Any] | None, window: float | None,
               source: Table | None = None) -> Aggregate:  # fmt: skip
    return Aggregate(kind, attribute, window, tuple(sorted((where or {}).items())), None, source)


def total(attribute: str, *, days: float | None = None, hours: float | None = None, minutes: float | None = None,
          where: Mapping[str, Any] | None = None, source: Table | None = None) -> Aggregate:  # fmt: skip
    return _aggregate("sum", attribute, where, _window(days, hours, minutes), source)


def count(*, days: float | None = None, hours: float | None = None, minutes: float | None = None,
          where: Mapping[str, Any] | None = None, source: Table | None = None) -> Aggregate:  # fmt: skip
    return _aggregate("count", None, where, _window(days, hours, minutes), source)


def mean(attribute: str, *, days: float | None = None, hours: float | None = None, minutes: float | None = None,
         where: Mapping[str, Any] | None = None, source: Table | None = None) -> Aggregate:  # fmt: skip
    return _aggregate("mean", attribute, where, _window(days, hours, minutes), source)


def least(attribute: str, *, days: float | None = None, hours: float | None = None, minutes: float | None = None,
          where: Mapping[str, Any] | None = None, source: Table | None = None) -> Aggregate:  # fmt: skip
    return _aggregate("min", attribute, where, _window(days, hours, minutes), source)


def most(attribute: str, *, days: float | None = None, hours: float | None = None, minutes: float | None = None,
         where: Mapping[str, Any] | None = None, source: Table | None = None) -> Aggregate:  # fmt: skip
    return _aggregate("max", attribute, where, _window(days, hours, minutes), source)


def std(attribute: str, *, days: float | None = None, hours: float | None = None, minutes: float | None = None,
        where: Mapping[str, Any] | None = None, source: Table | None = None) -> Aggregate:  # fmt: skip
    return _aggregate("std", attribute, where, _window(days, hours, minutes), source)


def distinct(attribute: str, *, days: float | None = None, hours: float | None = None, minutes: float | None = None,
             where: Mapping[str, Any] | None = None, source: Table | None = None) -> Aggregate:  # fmt: skip
    return _aggregate("distinct", attribute, where, _window(days, hours, minutes), source)


def last(attribute: str, *, days: float | None = None, hours: float | None = None,
         where: Mapping[str, Any] | None = None, source: Table | None = None) -> Aggregate:  # fmt: skip
    return _aggregate("last", attribute, where, _window(days, hours, None), source)


def first(attribute: str, *, days: float | None = None, hours: float | None = None,
          where: Mapping[str, Any] | None = None, source: Table | None = None) -> Aggregate:  # fmt: skip
    return _aggregate("first", attribute, where, _window(days, hours, None), source)


def since_last(*, where: Mapping[str, Any] | None = None, source: Table | None = None) -> Aggregate:
    """Days since the latest event."""
    return _aggregate("since_last", None, where, None, source)


def since_first(*, where: Mapping[str, Any] | None = None, source: Table | None = None) -> Aggregate:
    """Days since the earliest event."""
    return _aggregate("since_first", None, where, None, source)


def share(attribute: str, *, where: Mapping[str, Any], days: float | None = None, hours: float | None = None,
          source: Table | None = None) -> Aggregate:  # fmt: skip
    """The part of the attribute's sum that comes from the events that match `where`; 0 where the sum is 0."""
    return _aggregate("share", attribute, where, _window(days, hours, None), source)


def ratio(numerator: Aggregate, denominator: Aggregate) -> Aggregate:
    """One aggregate divided by another; 0 where the denominator is 0."""
    return Aggregate("ratio", None, None, (), denominator, numerator.source)


def top(attribute: str, *, days: float | None = None, hours: float | None = None,
        source: Table | None = None) -> Aggregate:  # fmt: skip
    """The most frequent value in the window; of equals, the least in text order."""
    return _aggregate("top", attribute, None, _window(days, hours, None), source)


@dataclass(frozen=True, eq=False)
class FeatureSet:
    """Declared by `app.features(…)`."""

    name: str
    source: Table
    entity: str
    time: str
    features: Mapping[str, Feature]
