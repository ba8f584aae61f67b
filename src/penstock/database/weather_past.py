"""The recent past of tables and indexes, and a view that reads it: what replicas that lag still show.

    run      the writes to one table (its local indexes with it) or to one global index, the newest last
    write    when, and what each key that it touched held before

P1. A partition is read at one age: as if the last `age` writes to its run had not been. So what a stale read shows
    of a partition is a state that it had; two partitions may be of different ages, as they are on AWS, and one
    global index of another age than its table.
P2. Nothing is older than `Weather.lag_writes` writes or `Weather.lag_s` seconds.
P3. Only what was applied is remembered, by whoever it was written. A batch that could not be written leaves a write
    that changed nothing: what it says was there before is what is there now.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from heapq import merge
from itertools import islice
from operator import itemgetter
from typing import Any

from penstock.database.weather import Draws, Weather
from penstock.engine.plans import Plan, View
from penstock.model.keys import PREFIX_BYTES

_SPACE_BYTES = 4
_US_PER_S = 1_000_000
Write = tuple[int, dict[bytes, bytes | None]]


class Run:
    """The last writes to one table or one global index."""

    __slots__ = ("is_index", "name", "writes")

    def __init__(self, name: bytes, is_index: bool, writes_max: int) -> None:
        self.name, self.is_index = name, is_index
        self.writes: deque[Write] = deque(maxlen=writes_max)


class Past:
    """The runs of every table. `remember` is called before each plan is written."""

    def __init__(self, weather: Weather, view: View) -> None:
        self._weather, self._view = weather, view
        self._runs: dict[bytes, Run | None] = {}  # By space; None for a space without a past.

    def remember(self, plan: Plan, now_us: int) -> None:
        touched = [key for key, _ in plan.puts] + plan.deletes
        before: dict[bytes, dict[bytes, bytes | None]] = {}
        if touched:
            for key, record in zip(touched, self._view.get_many(touched), strict=True):
                run = self.run_of(key)
                if run is not None:
                    before.setdefault(run.name, {})[key] = record
        for name, held in before.items():
            kept = self._runs[name]
            assert kept is not None
            kept.writes.append((now_us, held))
        for space in plan.dropped:
            self._runs.pop(space.to_bytes(_SPACE_BYTES, "big"), None)

    def run_of(self, key: bytes) -> Run | None:
        space = key[:_SPACE_BYTES]
        if space not in self._runs:
            self._learn()
            # Entries of time to live have no past: no request reads them.
            self._runs.setdefault(space, None)
        return self._runs[space]

    def _learn(self) -> None:
        """Every table's spaces. A local index shares its table's run: both are on one partition, and lag together."""
        known, self._runs = self._runs, {}
        for name in self._view.table_names():
            table = self._view.table(name)
            own = _named(table.space)
            base = known.get(own) or Run(own, False, self._weather.lag_writes)
            self._runs[own] = base
            for index in table.indexes:
                space = _named(index.space)
                if index.is_global:
                    self._runs[space] = known.get(space) or Run(space, True, self._weather.lag_writes)
                else:
                    self._runs[space] = base

    def lagging(self, view: View, draws: Draws, now_us: int, fresh: frozenset[bytes]) -> LaggingView:
        """The view of one request. Spaces in `fresh` are read as they are."""
        oldest_us = now_us - int(self._weather.lag_s * _US_PER_S)
        return LaggingView(self, view, draws, oldest_us, fresh)


def _named(space: int) -> bytes:
    return space.to_bytes(_SPACE_BYTES, "big")


class LaggingView:
    """`engine.plans.View` in which partitions lag, each as the draws of its request say."""

    def __init__(self, past: Past, view: View, draws: Draws, oldest_us: int, fresh: frozenset[bytes]) -> None:
        self._past, self._view, self._draws = past, view, draws
        self._oldest_us, self._fresh = oldest_us, fresh
        self._ages: dict[bytes, int] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._view, name)  # What is not of items is as it is.

    def get(self, key: bytes) -> bytes | None:
        return self._as_it_was(key, self._view.get(key))

    def get_many(self, keys: list[bytes]) -> list[bytes | None]:
        found = self._view.get_many(keys)
        return [self._as_it_was(key, record) for key, record in zip(keys, found, strict=True)]

    def scan(self, lower: bytes, upper: bytes, reverse: bool) -> Iterator[tuple[bytes, bytes]]:
        # Both here and not when the scan is consumed: it shows the state of this moment.
        now = self._view.scan(lower, upper, reverse)
        before = self._before_between(lower, upper)
        if not before:
            return now
        left = (pair for pair in now if pair[0] not in before)
        instead = sorted(
            ((key, record) for key, record in before.items() if record is not None), reverse=reverse
        )
        return merge(left, instead, key=itemgetter(0), reverse=reverse)

    def page(
        self, lower: bytes, upper: bytes, reverse: bool, count_max: int, bytes_max: int
    ) -> tuple[list[bytes], bool]:
        records: list[bytes] = []
        for _, record in self.scan(lower, upper, reverse):
            if bytes_max <= 0 or len(records) >= count_max:
                return records, True
            records.append(record)
            bytes_max -= len(record)
        return records, False

    def _as_it_was(self, key: bytes, record: bytes | None) -> bytes | None:
        run = self._run_of(key)
        if run is None:
            return record
        age = self._age(run, key)
        for held in islice(self._recent(run), age):
            if key in held:
                record = held[key]
        return record

    def _before_between(self, lower: bytes, upper: bytes) -> dict[bytes, bytes | None]:
        """What keys of a range held before the writes that their partitions lack."""
        run = self._run_of(lower)
        before: dict[bytes, bytes | None] = {}
        if run is None:
            return before
        for place, held in enumerate(self._recent(run)):
            for key, record in held.items():
                if lower <= key < upper and place < self._age(run, key):
                    before[key] = record
        return before

    def _recent(self, run: Run) -> Iterator[dict[bytes, bytes | None]]:
        """The writes that some replica may lack, the newest first."""
        for at_us, held in reversed(run.writes):
            if at_us < self._oldest_us:
                return
            yield held

    def _run_of(self, key: bytes) -> Run | None:
        return None if key[:_SPACE_BYTES] in self._fresh else self._past.run_of(key)

    def _age(self, run: Run, key: bytes) -> int:
        partition = run.name + key[_SPACE_BYTES:PREFIX_BYTES]
        age = self._ages.get(partition)
        if age is None:
            kind = "index_lag" if run.is_index else "stale_reads"
            age = self._draws.age(partition) if self._draws.strikes(kind, partition) else 0
            self._ages[partition] = age
        return age
