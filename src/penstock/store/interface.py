"""The store: ordered bytes in three families, written in atomic batches, durable by one sync for many.

S1. `write` applies a batch whole or not at all, also across a crash. Once it returned, every read sees it.
S2. After `sync` returned, every batch written before it was called survives power loss.
S3. A crash keeps a prefix of the batches in the order in which they were written, at least to the last sync.
S4. `scan` reads the state of the moment when it was called, however long it is consumed.
S5. Keys order as unsigned bytes. `scan` gives lower <= key < upper, or the same backwards.
S6. Damage raises `Corruption`; a disk that refuses raises `StoreUnavailable` and leaves reads working.

The store knows bytes, not items, so it can be broken on purpose, checked completely and replaced.
`contract/test_store.py` holds every implementation to these lines.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import IntEnum
from pathlib import Path
from typing import Protocol


class Family(IntEnum):
    """Column families. Changes live apart, so that trimming them by range never touches items."""

    DATA = 0
    CHANGES = 1
    META = 2


class Batch(Protocol):
    def put(self, family: Family, key: bytes, value: bytes) -> None: ...
    def delete(self, family: Family, key: bytes) -> None: ...
    def delete_range(self, family: Family, lower: bytes, upper: bytes) -> None: ...


class Store(Protocol):
    def get(self, family: Family, key: bytes) -> bytes | None: ...
    def get_many(self, family: Family, keys: Sequence[bytes]) -> list[bytes | None]: ...
    def scan(
        self, family: Family, lower: bytes, upper: bytes, *, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]: ...
    def batch(self) -> Batch: ...
    def write(self, batch: Batch) -> None: ...
    def sync(self) -> None:
        """Thread-safe beside `write`: a helper thread calls it while the core goes on writing."""

    def checkpoint(self, folder: Path) -> None:
        """A consistent copy (hard links) that opens as a store of its own."""

    def close(self) -> None: ...
