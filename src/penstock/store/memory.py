"""The store in memory: a fake with the same contract as RocksDB's, for tests and databases without a disk.

`sync` has nothing to do. Sorted keys are kept beside a dict; a scan reads a snapshot that later writes leave
alone, because a write copies a family that a scan still holds before it changes it.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from penstock.errors import UsageError
from penstock.store.interface import Batch, Family


class MemoryBatch:
    """A list of steps, applied in order."""

    __slots__ = ("steps", "written")

    def __init__(self) -> None:
        self.written = False
        self.steps: list[tuple[str, Family, bytes, bytes]] = []

    def put(self, family: Family, key: bytes, value: bytes) -> None:
        self.steps.append(("put", family, key, value))

    def delete(self, family: Family, key: bytes) -> None:
        self.steps.append(("delete", family, key, b""))

    def put_all(self, steps: Sequence[Mapping[bytes, bytes | None]]) -> None:
        for family in Family:
            for key, value in steps[family].items():
                if value is None:
                    self.delete(family, key)
                else:
                    self.put(family, key, value)

    def delete_range(self, family: Family, lower: bytes, upper: bytes) -> None:
        self.steps.append(("delete_range", family, lower, upper))


class _Run:
    """One family: its values by key and its keys in order, never changed while a scan holds them."""

    __slots__ = ("keys", "scans", "values")

    def __init__(self, values: dict[bytes, bytes], keys: list[bytes]) -> None:
        self.values = values
        self.keys = keys
        self.scans = 0

    def copy(self) -> _Run:
        return _Run(self.values.copy(), self.keys.copy())


class MemoryStore:
    """Store in memory. `checkpoint` is refused: there are no files to link."""

    def __init__(self) -> None:
        self._runs = [_Run({}, []) for _ in Family]
        self._closed = False

    def get(self, family: Family, key: bytes) -> bytes | None:
        return self._run(family).values.get(key)

    def get_many(self, family: Family, keys: Sequence[bytes]) -> list[bytes | None]:
        values = self._run(family).values
        return [values.get(key) for key in keys]

    def _run(self, family: Family) -> _Run:
        if self._closed:
            raise UsageError("the store is closed")
        return self._runs[family]

    def scan(
        self, family: Family, lower: bytes, upper: bytes | None, *, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        run = self._run(family)
        places = _places(run, lower, upper, reverse)
        run.scans += 1
        return _pairs(run, places)

    def page(
        self,
        family: Family,
        lower: bytes,
        upper: bytes | None,
        *,
        reverse: bool = False,
        count_max: int,
        bytes_max: int,
    ) -> tuple[list[bytes], bool]:
        run = self._run(family)
        values: list[bytes] = []
        room = bytes_max
        for place in _places(run, lower, upper, reverse):
            if room <= 0 or len(values) >= count_max:
                return values, True
            values.append(run.values[run.keys[place]])
            room -= len(values[-1])
        return values, False

    def batch(self) -> Batch:
        return MemoryBatch()

    def write(self, batch: Batch) -> None:
        assert isinstance(batch, MemoryBatch)
        assert not batch.written, "a batch is written once"
        for name, family, first, second in batch.steps:
            run = self._run(family)
            if run.scans:
                run = self._runs[family] = run.copy()
            if name == "put":
                if first not in run.values:
                    insort(run.keys, first)
                run.values[first] = second
            elif name == "delete":
                if run.values.pop(first, None) is not None:
                    del run.keys[bisect_left(run.keys, first)]
            else:
                places = _places(run, first, second, False)
                for place in places:
                    del run.values[run.keys[place]]
                del run.keys[places.start : places.stop]
        batch.written = True

    def sync(self) -> None:
        if self._closed:
            raise UsageError("the store is closed")

    def checkpoint(self, folder: Path) -> None:
        raise UsageError("a store in memory has no files to link into a checkpoint")

    def close(self) -> None:
        self._closed = True


def _places(run: _Run, lower: bytes, upper: bytes | None, reverse: bool) -> range:
    start = bisect_left(run.keys, lower)
    stop = len(run.keys) if upper is None else bisect_left(run.keys, upper)
    return range(start, max(start, stop))[:: -1 if reverse else 1]


def _pairs(run: _Run, places: range) -> Iterator[tuple[bytes, bytes]]:
    try:
        for place in places:
            key = run.keys[place]
            yield key, run.values[key]
    finally:
        run.scans -= 1
