"""Many batches as one: what is written between two syncs reaches the store below in one batch.

Where nobody is answered before a sync (group commit), nothing is gained by writing each batch by itself. Gathered, the
batches of a group share one record of the log, one system call, and one copy of what each of them overwrites: the last
sequence number, the counters of a table. Measured with 64 connections: a put costs a seventh less, with or without
indexes.

A1. What is gathered is read as if it were written: `get` looks here first, and every other read that may meet it has it
    written out before. Those of data keys share a space, their first four bytes (model/keys.py), or meet nothing of it:
    so predictions, which read one table and write another, leave their rows gathered.
A2. Batches are written out whole, in order, in one batch of the store below. So a crash still keeps a prefix (S3); it
    may only take more of what was never synced.
A3. `seal` writes out, and what it meets belongs to the next `sync`: gathered batches that the store refused are gone,
    and that sync raises why. Until then every `write` is refused too, because what it was decided against may be gone.
A4. `sync` covers what was sealed. On the thread that writes it seals first, and so keeps S2; on another thread it does
    not look at what is being gathered meanwhile.
A5. Whose caller is answered before the sync is not gathered: when `write` of a `batch_at_once` returned, it and all that
    came before survive the death of this process.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from threading import get_ident
from typing import TypeAlias

from penstock.errors import PenstockError, UsageError
from penstock.store.interface import Batch, Family, Store

BATCHES_MAX = (
    512  # Gathered before they are written out anyway: a bound on memory, and on how long writing out takes.
)
BYTES_MAX = 4 << 20
_SPACE_BYTES = 4

_Steps: TypeAlias = list[tuple[Family, bytes, bytes | None]]
_ABSENT = b"\0absent"  # Told apart from every value by identity.


class GatheredBatch:
    """Steps that are kept until they are written; None in place of a value deletes."""

    __slots__ = ("ranges", "steps")

    def __init__(self) -> None:
        self.steps: _Steps = []
        self.ranges: list[tuple[int, Family, bytes, bytes]] = []  # With the number of steps before each.

    def put(self, family: Family, key: bytes, value: bytes) -> None:
        self.steps.append((family, key, value))

    def delete(self, family: Family, key: bytes) -> None:
        self.steps.append((family, key, None))

    def put_all(self, steps: Sequence[Mapping[bytes, bytes | None]]) -> None:
        for family in Family:
            self.steps.extend([(family, *step) for step in steps[family].items()])

    def delete_range(self, family: Family, lower: bytes, upper: bytes) -> None:
        self.ranges.append((len(self.steps), family, lower, upper))


class GatheringStore:
    """Store over a Store. `on_lost` is told when batches that `write` took are gone."""

    def __init__(self, store: Store) -> None:
        self.on_lost: Callable[[], None] = lambda: None
        self._store = store
        self._get = store.get
        self._gathered: tuple[dict[bytes, bytes | None], ...] = tuple({} for _ in Family)
        self._spaces: set[bytes] = set()  # Of the data that is gathered.
        self._count = self._bytes = 0
        self._refusal: PenstockError | None = None  # What writing out met since the last `seal`,
        self._sealed: PenstockError | None = None  # and what the next `sync` raises.
        self._writer = get_ident()
        self._closed = False

    def get(self, family: Family, key: bytes) -> bytes | None:
        held = self._gathered[family].get(key, _ABSENT)
        return held if held is not _ABSENT else self._get(family, key)

    def get_many(self, family: Family, keys: Sequence[bytes]) -> list[bytes | None]:
        self._write_out()
        return self._store.get_many(family, keys)

    def scan(
        self, family: Family, lower: bytes, upper: bytes | None, *, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        self._before_reading(family, lower, upper)
        return self._store.scan(family, lower, upper, reverse=reverse)

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
        self._before_reading(family, lower, upper)
        return self._store.page(
            family, lower, upper, reverse=reverse, count_max=count_max, bytes_max=bytes_max
        )

    def batch(self) -> Batch:
        return GatheredBatch()

    def batch_at_once(self) -> Batch:
        """One that is not gathered: `write` writes it after what is (A5)."""
        return self._store.batch()

    def write(self, batch: Batch) -> None:
        if self._closed:
            raise UsageError("the store is closed")
        if not isinstance(batch, GatheredBatch):
            self._write_out()
            self._raise_refusal()
            self._store.write(batch)
            return
        if batch.ranges:  # A range takes keys that are not known here.
            self._write_out()
        if self._refusal is not None:
            self._raise_refusal()
        if batch.ranges:
            _write(self._store, batch.steps, batch.ranges)
            return
        gathered, spaces, data = self._gathered, self._spaces, Family.DATA
        size = 0
        for family, key, value in batch.steps:
            gathered[family][key] = value
            if family is data:
                spaces.add(key[:_SPACE_BYTES])
            if value is not None:
                size += len(value)
        self._count += 1
        self._bytes += size
        if self._count >= BATCHES_MAX or self._bytes >= BYTES_MAX:
            self._write_out()
            self._raise_refusal()

    def _before_reading(self, family: Family, lower: bytes, upper: bytes | None) -> None:
        """A1."""
        if self._count:
            space = lower[:_SPACE_BYTES]
            apart = family is Family.DATA and upper is not None and upper[:_SPACE_BYTES] == space
            if not apart or space in self._spaces:
                self._write_out()

    def _raise_refusal(self) -> None:
        if self._refusal is not None:
            raise type(self._refusal)(str(self._refusal)) from self._refusal

    def _write_out(self) -> None:
        if not self._count:
            return
        batch = self._store.batch()
        batch.put_all(self._gathered)
        try:
            self._store.write(batch)
        except PenstockError as error:
            self._refusal = error
        # Only now: until it was written below, it has to be found here.
        for steps in self._gathered:
            steps.clear()
        self._spaces.clear()
        self._count = self._bytes = 0
        if self._refusal is not None:
            self.on_lost()

    def seal(self) -> None:
        """Call on the thread that writes, before the `sync` of what was written so far begins on another."""
        self._write_out()
        if self._refusal is not None:
            self._sealed, self._refusal = self._refusal, None

    def sync(self) -> None:
        if get_ident() == self._writer:
            self.seal()
        refusal, self._sealed = self._sealed, None
        if refusal is not None:
            raise refusal
        self._store.sync()

    def checkpoint(self, folder: Path) -> None:
        self._write_out()
        self._raise_refusal()
        self._store.checkpoint(folder)

    def close(self) -> None:
        self._write_out()
        self._closed = True
        self._store.close()


def _write(store: Store, steps: _Steps, ranges: list[tuple[int, Family, bytes, bytes]]) -> None:
    """One batch of the store: the steps, and each range where it stood among them."""
    batch = store.batch()
    put, done = batch.put, 0
    for before, family, lower, upper in [*ranges, (len(steps), Family.DATA, b"", b"")]:
        for step_family, key, value in steps[done:before]:
            if value is None:
                batch.delete(step_family, key)
            else:
                put(step_family, key, value)
        batch.delete_range(family, lower, upper)
        done = before
    store.write(batch)
