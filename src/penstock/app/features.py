"""Features as an application declares them: aggregates over an entity's events, in windows that end at the question.

A window of `days` at time t holds the events with t − days < time <= t. Times are compared as instants, never as text.
One definition serves twice: features/online.py computes it from the table's index, features/offline.py from the history of
changes; both end in the arithmetic of features/windows.py. docs/reference/features.md says what each aggregate means.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from penstock.app.tables import Table
from penstock.errors import UsageError

DAY_S = 86_400.0
TIME_UNITS = ("s", "ms", "us")
_UNITS_S = (("day", DAY_S), ("hour", 3600.0), ("minute", 60.0), ("second", 1.0))

Number: TypeAlias = float | None


@dataclass(frozen=True)
class Aggregate:
    """One feature: `kind` of `attribute` over the events that match `where` and fall into the window."""

    kind: str
    attribute: str | None = None
    window_s: float | None = None  # None: the entity's whole history.
    where: tuple[tuple[str, Any], ...] = ()
    other: Aggregate | None = None  # The denominator of a ratio.
    source: Table | None = None  # Another table than the feature set's own.
    time: str | None = None  # That table's time attribute, where it has another name.
    default: Number = None  # What a window without events gives, where the aggregate itself has no answer.
    numerator: Aggregate | None = None  # Of a ratio.


@dataclass(frozen=True)
class RequestValue:
    """A value that comes with the request, as `requested("basket_value")` declares it."""

    name: str
    default: Number = None


@dataclass(frozen=True)
class Transform:
    """Plain Python over the features before it: `compute(features) -> number`. Runs outside the table process' loop."""

    compute: Callable[[Mapping[str, Any]], float | int | str | None]
    needs: tuple[str, ...] = ()


Feature = Aggregate | RequestValue | Transform


def _window(days: float | None, hours: float | None, minutes: float | None) -> float | None:
    given = [
        unit * count for unit, count in ((DAY_S, days), (3600.0, hours), (60.0, minutes)) if count is not None
    ]
    if not given:
        return None
    window_s = sum(given)
    if window_s <= 0:
        raise UsageError("a window is longer than nothing")
    return window_s


def window_text(window_s: float) -> str:
    """`7 days`, `day`, `36 hours`: in the largest unit that it is a whole number of."""
    unit, unit_s = next((each for each in _UNITS_S if window_s % each[1] == 0), _UNITS_S[-1])
    count = window_s / unit_s
    return unit if count == 1 else f"{count:g} {unit}s"


def _aggregate(
    kind: str,
    attribute: str | None,
    where: Mapping[str, Any] | None,
    window: float | None,
    source: Table | None = None,
    time: str | None = None,
    default: Number = None,
) -> Aggregate:
    return Aggregate(
        kind, attribute, window, tuple(sorted((where or {}).items())), None, source, time, default
    )


def total(attribute: str, *, days: float | None = None, hours: float | None = None, minutes: float | None = None,
          where: Mapping[str, Any] | None = None, source: Table | None = None, time: str | None = None) -> Aggregate:  # fmt: skip
    """The exact sum of a number; 0 over no events."""
    return _aggregate("sum", attribute, where, _window(days, hours, minutes), source, time)


def count(*, days: float | None = None, hours: float | None = None, minutes: float | None = None,
          where: Mapping[str, Any] | None = None, source: Table | None = None, time: str | None = None) -> Aggregate:  # fmt: skip
    """How many events; 0 over none."""
    return _aggregate("count", None, where, _window(days, hours, minutes), source, time)


def mean(attribute: str, *, days: float | None = None, hours: float | None = None, minutes: float | None = None,
         where: Mapping[str, Any] | None = None, source: Table | None = None, time: str | None = None,
         default: Number = None) -> Aggregate:  # fmt: skip
    """The mean of a number over the events that have it; null, or `default`, over none."""
    return _aggregate("mean", attribute, where, _window(days, hours, minutes), source, time, default)


def least(attribute: str, *, days: float | None = None, hours: float | None = None, minutes: float | None = None,
          where: Mapping[str, Any] | None = None, source: Table | None = None, time: str | None = None,
          default: Number = None) -> Aggregate:  # fmt: skip
    """The smallest of a number; null, or `default`, over no events."""
    return _aggregate("min", attribute, where, _window(days, hours, minutes), source, time, default)


def most(attribute: str, *, days: float | None = None, hours: float | None = None, minutes: float | None = None,
         where: Mapping[str, Any] | None = None, source: Table | None = None, time: str | None = None,
         default: Number = None) -> Aggregate:  # fmt: skip
    """The largest of a number; null, or `default`, over no events."""
    return _aggregate("max", attribute, where, _window(days, hours, minutes), source, time, default)


def std(attribute: str, *, days: float | None = None, hours: float | None = None, minutes: float | None = None,
        where: Mapping[str, Any] | None = None, source: Table | None = None, time: str | None = None,
        default: Number = None) -> Aggregate:  # fmt: skip
    """The standard deviation of the events in the window as a whole population: 0 for one event, null for none."""
    return _aggregate("std", attribute, where, _window(days, hours, minutes), source, time, default)


def distinct(attribute: str, *, days: float | None = None, hours: float | None = None, minutes: float | None = None,
             where: Mapping[str, Any] | None = None, source: Table | None = None,
             time: str | None = None) -> Aggregate:  # fmt: skip
    """How many different values."""
    return _aggregate("distinct", attribute, where, _window(days, hours, minutes), source, time)


def last(attribute: str, *, days: float | None = None, hours: float | None = None, minutes: float | None = None,
         where: Mapping[str, Any] | None = None, source: Table | None = None, time: str | None = None,
         default: Number = None) -> Aggregate:  # fmt: skip
    """The value in the latest event that has one; of events at the same instant, in the one with the greatest key."""
    return _aggregate("last", attribute, where, _window(days, hours, minutes), source, time, default)


def first(attribute: str, *, days: float | None = None, hours: float | None = None, minutes: float | None = None,
          where: Mapping[str, Any] | None = None, source: Table | None = None, time: str | None = None,
          default: Number = None) -> Aggregate:  # fmt: skip
    """The value in the earliest event that has one; of events at the same instant, in the one with the least key."""
    return _aggregate("first", attribute, where, _window(days, hours, minutes), source, time, default)


def since_last(*, days: float | None = None, where: Mapping[str, Any] | None = None, source: Table | None = None,
               time: str | None = None, default: Number = None) -> Aggregate:  # fmt: skip
    """Days since the latest event; null, or `default`, where there is none."""
    return _aggregate("since_last", None, where, _window(days, None, None), source, time, default)


def since_first(*, days: float | None = None, where: Mapping[str, Any] | None = None, source: Table | None = None,
                time: str | None = None, default: Number = None) -> Aggregate:  # fmt: skip
    """Days since the earliest event; null, or `default`, where there is none."""
    return _aggregate("since_first", None, where, _window(days, None, None), source, time, default)


def share(attribute: str, *, where: Mapping[str, Any], days: float | None = None, hours: float | None = None,
          minutes: float | None = None, source: Table | None = None, time: str | None = None) -> Aggregate:  # fmt: skip
    """The part of the attribute's sum that comes from the events that match `where`; 0 where the sum is 0."""
    return _aggregate("share", attribute, where, _window(days, hours, minutes), source, time)


def ratio(numerator: Aggregate, denominator: Aggregate) -> Aggregate:
    """One aggregate divided by another; 0 where the denominator is 0, null where one of them is."""
    return Aggregate("ratio", other=denominator, source=numerator.source, numerator=numerator)


def top(attribute: str, *, days: float | None = None, hours: float | None = None, minutes: float | None = None,
        where: Mapping[str, Any] | None = None, source: Table | None = None, time: str | None = None) -> Aggregate:  # fmt: skip
    """The most frequent value in the window, as text; of equals, the least in text order."""
    return _aggregate("top", attribute, where, _window(days, hours, minutes), source, time)


def requested(name: str, *, default: Number = None) -> RequestValue:
    """A number that the caller sends with the request: `?basket_value=12.5`. Without a default it must be there."""
    return RequestValue(name, default)


def computed(
    compute: Callable[[Mapping[str, Any]], float | int | str | None], *, needs: tuple[str, ...] = ()
) -> Transform:
    """Plain Python over the features declared before it."""
    return Transform(compute, tuple(needs))


@dataclass(frozen=True)
class Ahead:
    """A label: an aggregate over the time that follows, (t, t + window]."""

    aggregate: Aggregate
    above: float | None = 0.0  # None: the aggregate itself, for a regression.

    def describe(self) -> str:
        aggregate = self.aggregate
        of = f" of {aggregate.attribute}" if aggregate.attribute else ""
        return f"{aggregate.kind}{of} over the next {window_text(aggregate.window_s or 0.0)}" + (
            "" if self.above is None else f" > {self.above:g}"
        )


def ahead(aggregate: Aggregate, *, above: float | None = 0.0) -> Ahead:
    """1 where the aggregate over the next days is above a bound, 0 elsewhere; its value itself with `above=None`."""
    return Ahead(aggregate, above)


@dataclass(frozen=True, eq=False)
class FeatureSet:
    """Declared by `app.features(…)`."""

    name: str
    source: Table
    entity: str
    time: str
    features: Mapping[str, Feature]
    time_unit: str = "s"  # Of a time that is a number: seconds, milliseconds or microseconds since 1970.
    consistent: bool = True  # Read your writes; a global index cannot.
    tiles: str | None = None  # A table of day tiles, for entities with very many events.

    @property
    def entity_name(self) -> str:
        """`customer` of `customer_id`: the word in the URL."""
        return self.entity.removesuffix("_id") or self.entity
