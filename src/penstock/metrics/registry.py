"""Counters, gauges and histograms that any part of a process counts with, and reads when it is asked.

    registry = Registry()
    handled = registry.counter("penstock_records_handled_total", "Records that a handler took.", "consumer")
    handled.add(100, "reload")
    text(registry)                                   # see exposition.py

M1. A registry is made by a process's edge and passed down: there is no global one.
M2. Label values are given in the order in which the label names were declared.
M3. Any thread may count. A number that is cheaper to ask for than to keep is declared with `watch`, which is called
    when the page is read.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from penstock.errors import UsageError

Labels = tuple[str, ...]

SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)


@dataclass(frozen=True)
class Sample:
    """One line of the page: `name{label="value"} number`."""

    name: str
    labels: tuple[tuple[str, str], ...]
    value: float


class Metric:
    """What all kinds share: a name, a sentence, label names, a lock."""

    kind = "untyped"

    def __init__(self, name: str, meaning: str, labels: Labels) -> None:
        self.name, self.meaning, self.labels = name, meaning, labels
        self._lock = threading.Lock()

    def samples(self) -> Iterator[Sample]:
        raise NotImplementedError

    def _named(self, values: Labels) -> tuple[tuple[str, str], ...]:
        if len(values) != len(self.labels):
            raise UsageError(f"{self.name} takes the labels {self.labels}; got {values}")
        return tuple(zip(self.labels, values, strict=True))


class Counter(Metric):
    """A number that only grows."""

    kind = "counter"

    def __init__(self, name: str, meaning: str, labels: Labels) -> None:
        super().__init__(name, meaning, labels)
        self._values: dict[Labels, float] = {}

    def add(self, amount: float, *labels: str) -> None:
        if amount < 0:
            raise UsageError(f"{self.name} only grows; {amount} was added")
        with self._lock:
            self._values[labels] = self._values.get(labels, 0.0) + amount

    def value(self, *labels: str) -> float:
        return self._values.get(labels, 0.0)

    def samples(self) -> Iterator[Sample]:
        with self._lock:
            held = sorted(self._values.items())
        for labels, value in held:
            yield Sample(self.name, self._named(labels), value)


class Gauge(Metric):
    """A number that is what it is now."""

    kind = "gauge"

    def __init__(self, name: str, meaning: str, labels: Labels) -> None:
        super().__init__(name, meaning, labels)
        self._values: dict[Labels, float] = {}

    def set(self, value: float, *labels: str) -> None:
        with self._lock:
            self._values[labels] = value

    def forget(self, *labels: str) -> None:
        """What is gone is not shown with its last value for ever."""
        with self._lock:
            self._values.pop(labels, None)

    def value(self, *labels: str) -> float:
        return self._values.get(labels, 0.0)

    def samples(self) -> Iterator[Sample]:
        with self._lock:
            held = sorted(self._values.items())
        for labels, value in held:
            yield Sample(self.name, self._named(labels), value)


@dataclass
class _Spread:
    counts: list[int]
    total: float = 0.0


class Histogram(Metric):
    """How numbers are spread: how many were at most each bound."""

    kind = "histogram"

    def __init__(self, name: str, meaning: str, labels: Labels, bounds: tuple[float, ...]) -> None:
        super().__init__(name, meaning, labels)
        if not bounds or list(bounds) != sorted(set(bounds)):
            raise UsageError(f"the bounds of {name} ascend")
        self.bounds = bounds
        self._spreads: dict[Labels, _Spread] = {}

    def see(self, value: float, *labels: str) -> None:
        with self._lock:
            spread = self._spreads.get(labels)
            if spread is None:
                spread = self._spreads[labels] = _Spread([0] * (len(self.bounds) + 1))
            spread.counts[bisect_left(self.bounds, value)] += 1
            spread.total += value

    def count(self, *labels: str) -> int:
        spread = self._spreads.get(labels)
        return sum(spread.counts) if spread else 0

    def quantile(self, share: float, *labels: str) -> float:
        """The bound under which this share of the numbers lies; infinity beyond the last, 0 where there are none."""
        spread = self._spreads.get(labels)
        if spread is None:
            return 0.0
        wanted, seen = share * sum(spread.counts), 0
        for bound, count in zip(self.bounds, spread.counts, strict=False):
            seen += count
            if seen >= wanted:
                return bound
        return float("inf")

    def samples(self) -> Iterator[Sample]:
        with self._lock:
            held = [(labels, list(s.counts), s.total) for labels, s in sorted(self._spreads.items())]
        for labels, counts, total in held:
            yield from _spread_samples(self.name, self._named(labels), self.bounds, counts, total)


def _spread_samples(
    name: str, named: tuple[tuple[str, str], ...], bounds: tuple[float, ...], counts: list[int], total: float
) -> Iterator[Sample]:
    """A histogram's lines: each bucket holds what the ones before it hold."""
    below = 0
    for bound, count in zip((*bounds, float("inf")), counts, strict=True):
        below += count
        yield Sample(f"{name}_bucket", (*named, ("le", bound_text(bound))), below)
    yield Sample(f"{name}_sum", named, total)
    yield Sample(f"{name}_count", named, below)


class Watched(Metric):
    """Numbers that somebody else keeps, asked for when the page is read."""

    def __init__(
        self,
        name: str,
        meaning: str,
        labels: Labels,
        kind: str,
        read: Callable[[], Iterable[tuple[Labels, float]]],
    ) -> None:
        super().__init__(name, meaning, labels)
        self.kind = kind
        self._read = read

    def samples(self) -> Iterator[Sample]:
        for labels, value in self._read():
            yield Sample(self.name, self._named(labels), value)


class WatchedHistogram(Metric):
    """A histogram that somebody else keeps: for each of its labels, the count of each bucket, one more than there are
    bounds, and the sum."""

    kind = "histogram"

    def __init__(
        self,
        name: str,
        meaning: str,
        labels: Labels,
        bounds: tuple[float, ...],
        read: Callable[[], Iterable[tuple[Labels, list[int], float]]],
    ) -> None:
        super().__init__(name, meaning, labels)
        self.bounds = bounds
        self._read = read

    def samples(self) -> Iterator[Sample]:
        for labels, counts, total in self._read():
            yield from _spread_samples(self.name, self._named(labels), self.bounds, counts, total)


def bound_text(bound: float) -> str:
    return "+Inf" if bound == float("inf") else f"{bound:g}"


_M = TypeVar("_M", bound=Metric)


class Registry:
    """All metrics of a process. Declaring the same metric again gives the one that is there."""

    def __init__(self) -> None:
        self._metrics: dict[str, Metric] = {}
        self._lock = threading.Lock()

    def counter(self, name: str, meaning: str, *labels: str) -> Counter:
        return self._declare(Counter(name, meaning, labels), Counter)

    def gauge(self, name: str, meaning: str, *labels: str) -> Gauge:
        return self._declare(Gauge(name, meaning, labels), Gauge)

    def histogram(
        self, name: str, meaning: str, *labels: str, bounds: tuple[float, ...] = SECONDS
    ) -> Histogram:
        return self._declare(Histogram(name, meaning, labels, bounds), Histogram)

    def watch(
        self,
        name: str,
        meaning: str,
        *labels: str,
        read: Callable[[], Iterable[tuple[Labels, float]]],
        kind: str = "gauge",
    ) -> None:
        """Declare numbers that `read` tells, as (label values, number)."""
        self._declare(Watched(name, meaning, labels, kind, read), Watched)

    def watch_histogram(
        self,
        name: str,
        meaning: str,
        *labels: str,
        read: Callable[[], Iterable[tuple[Labels, list[int], float]]],
        bounds: tuple[float, ...] = SECONDS,
    ) -> None:
        """Declare a histogram that `read` tells, as (label values, counts, sum)."""
        self._declare(WatchedHistogram(name, meaning, labels, bounds, read), WatchedHistogram)

    def metrics(self) -> list[Metric]:
        with self._lock:
            return [self._metrics[name] for name in sorted(self._metrics)]

    def _declare(self, metric: _M, type_: type[_M]) -> _M:
        with self._lock:
            held = self._metrics.setdefault(metric.name, metric)
        if (
            not isinstance(held, type_)
            or held.labels != metric.labels
            or (type_ in (Watched, WatchedHistogram) and held is not metric)
        ):
            raise UsageError(f"{metric.name} is declared already, as another metric")
        return held
