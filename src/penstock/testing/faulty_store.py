"""A store on a disk that dies at the moment that a seed chooses, and keeps no more than a real one must.

    disk = Disk()
    store = FaultyStore(disk, Faults(die_at=17, seed=4))
    try:
        ...                                  # the 17th write or sync raises PowerLoss
    except PowerLoss:
        store = FaultyStore(disk)            # what survived; `disk.kept` says how many batches

F1. Writes and syncs are counted together, from 1. At `die_at` the process is gone: that call raises
    `PowerLoss`, and so does every later one on the same store. `PowerLoss` is no `Exception`, so that no
    handler that means to deal with errors brings a dead process back to life.
F2. What survives is a prefix of the batches as they were written (S3), at least to the last sync that
    returned, and not more than was written. Where in between it ends is the seed's choice, each end as
    likely as the next. With `power=False` the process is killed but the machine lives on: every batch that
    `write` returned survives.
F3. A batch survives whole or not at all (S1), also the one during whose `write` the power went.
F4. While `full` is true, `write` and `sync` raise `StoreUnavailable` and reads go on; once it is false again
    they work. `fail_syncs(n)` lets the next n syncs fail; their batches stay written, and not promised. While `lost`
    is true it is `StoreLost` that they raise: only a store opened anew, on the same disk, takes writes.
F5. `hold_syncs` makes syncs wait until `release_syncs`: a slow disk without sleeping. A sync covers what was
    written when it was called, not what was written while it waited.
F6. Without faults it is a store like any other: it passes the contract suite, and closed and opened again it
    holds what it held. A disk has one store open at a time.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from penstock.errors import StoreLost, StoreUnavailable, UsageError
from penstock.store.interface import Batch, Family
from penstock.store.memory import MemoryBatch, MemoryStore


class PowerLoss(BaseException):
    """The process ended here. Not an Exception: nothing that runs inside it can handle its own death."""


@dataclass(frozen=True)
class Faults:
    """When the disk dies, and from which seed it takes what is lost."""

    die_at: int | None = None
    seed: int = 0
    power: bool = True


@dataclass
class Disk:
    """What outlives a process: batches in the order written, and how many of them a sync has covered."""

    batches: list[MemoryBatch] = field(default_factory=list)
    synced: int = 0
    kept: int = 0  # How many batches the last opening found.
    in_use: bool = False
    checkpoints: dict[Path, Disk] = field(default_factory=dict)


class FaultyStore:
    """Store over a `Disk`, with the faults that it was given."""

    def __init__(self, disk: Disk | None = None, faults: Faults | None = None) -> None:
        self.disk = Disk() if disk is None else disk
        if self.disk.in_use:
            raise UsageError("the disk is in use by another store")
        self.disk.in_use = True
        self.disk.kept = self.disk.synced = len(self.disk.batches)
        self.operations = 0
        self.full = False
        self.lost = False
        self._faults = Faults() if faults is None else faults
        self._random = random.Random(self._faults.seed)
        self._dead = False
        self._closed = False
        self._syncs_to_fail = 0
        self._syncs_pass = threading.Event()
        self._syncs_pass.set()
        self._memory = MemoryStore()
        for batch in self.disk.batches:
            self._memory.write(_unwritten(batch))

    def fail_syncs(self, count: int) -> None:
        self._syncs_to_fail = count

    def hold_syncs(self) -> None:
        self._syncs_pass.clear()

    def release_syncs(self) -> None:
        self._syncs_pass.set()

    def get(self, family: Family, key: bytes) -> bytes | None:
        self._check_alive()
        return self._memory.get(family, key)

    def get_many(self, family: Family, keys: Sequence[bytes]) -> list[bytes | None]:
        self._check_alive()
        return self._memory.get_many(family, keys)

    def scan(
        self, family: Family, lower: bytes, upper: bytes | None, *, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        self._check_alive()
        return self._memory.scan(family, lower, upper, reverse=reverse)

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
        self._check_alive()
        return self._memory.page(
            family, lower, upper, reverse=reverse, count_max=count_max, bytes_max=bytes_max
        )

    def batch(self) -> Batch:
        return self._memory.batch()

    def write(self, batch: Batch) -> None:
        assert isinstance(batch, MemoryBatch)
        self._check_alive()
        self._check_room()
        if self._counts_to_death():
            # The batch may have reached the disk whole although the call never returned.
            self._die([*self.disk.batches, batch])
        self._memory.write(batch)
        self.disk.batches.append(batch)

    def sync(self) -> None:
        self._check_alive()
        written = len(self.disk.batches)
        dies = self._counts_to_death()
        self._syncs_pass.wait()
        self._check_alive()
        self._check_room()
        if dies:
            self._die(self.disk.batches)
        if self._syncs_to_fail:
            self._syncs_to_fail -= 1
            raise StoreUnavailable("this sync was told to fail")
        self.disk.synced = max(self.disk.synced, written)

    def checkpoint(self, folder: Path) -> None:
        """Kept on the disk under its folder's name: `FaultyStore(disk.checkpoints[folder])` opens it."""
        self._check_alive()
        if folder in self.disk.checkpoints:
            raise UsageError(f"{folder} exists already")
        self.disk.checkpoints[folder] = Disk(list(self.disk.batches))

    def close(self) -> None:
        if not self._closed and not self._dead:
            self.disk.in_use = False
            self.disk.synced = len(self.disk.batches)
        self._closed = True
        self._memory.close()

    def power_off(self) -> None:
        """Dies here and now, between two calls: what is lost is chosen as in F2, and `PowerLoss` is not raised."""
        self._lose(self.disk.batches)

    def _counts_to_death(self) -> bool:
        self.operations += 1
        return self.operations == self._faults.die_at

    def _die(self, written: list[MemoryBatch]) -> None:
        self._lose(written)
        raise PowerLoss(f"at operation {self.operations}")

    def _lose(self, written: list[MemoryBatch]) -> None:
        least = self.disk.synced if self._faults.power else len(self.disk.batches)
        self.disk.batches = written[: self._random.randint(least, len(written))]
        self.disk.in_use = False
        self._dead = True
        self._syncs_pass.set()

    def _check_alive(self) -> None:
        if self._dead:
            raise PowerLoss("the process is gone already")
        if self._closed:
            raise UsageError("the store is closed")

    def _check_room(self) -> None:
        if self.lost:
            raise StoreLost("the disk does not answer: open the store again")
        if self.full:
            raise StoreUnavailable("the disk is full")


def _unwritten(batch: MemoryBatch) -> MemoryBatch:
    again = MemoryBatch()
    again.steps = batch.steps
    return again
