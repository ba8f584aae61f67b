"""Where each live row of `current` is: key → data file and row number, so that a delete needs no scan.

K1. A key is known by 128 bits of BLAKE2b: at 100 million keys the chance of one clash is below 10^-22. A file's keys are
    a sorted array, 20 bytes a row: 10 million rows take 200 MB.
K2. The index is rebuilt when the table was changed by anybody else; it is never stored. A file never changes, so that what
    is known of it is kept, and only new files are read: 10 million keys take 20 seconds.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Hashes: TypeAlias = npt.NDArray[np.uint64]  # One row of two for each key.
Rows: TypeAlias = npt.NDArray[np.int64]  # Row numbers of a file, ascending.
_DIGEST = 16


def hash_keys(keys: Iterable[str]) -> Hashes:
    digests = [hashlib.blake2b(key.encode(), digest_size=_DIGEST).digest() for key in keys]
    return np.frombuffer(b"".join(digests), dtype=np.uint64).reshape(-1, 2)


@dataclass(slots=True)
class _FileKeys:
    high: npt.NDArray[np.uint64]  # Ascending.
    low: npt.NDArray[np.uint64]
    row: npt.NDArray[np.uint32]
    dead: npt.NDArray[np.bool_]  # By row number.
    dead_count: int


def join_hashes(parts: Sequence[Hashes]) -> Hashes:
    return np.concatenate(parts) if parts else np.empty((0, 2), dtype=np.uint64)


class KeyIndex:
    """`find` and what keeps it true. The caller tells it of each commit."""

    def __init__(self) -> None:
        self._files: dict[str, _FileKeys] = {}

    def add(self, path: str, hashes: Hashes, dead: Iterable[int] = ()) -> None:
        order = np.argsort(hashes[:, 0], kind="stable")
        self._hold(
            path,
            np.ascontiguousarray(hashes[order, 0]),
            np.ascontiguousarray(hashes[order, 1]),
            order.astype(np.uint32),
            dead,
        )

    def add_known(self, path: str, known: KeyIndex, dead: Iterable[int]) -> bool:
        """From an earlier index of the same table (K2); False where it does not know the file."""
        file = known._files.get(path)
        if file is not None:
            self._hold(path, file.high, file.low, file.row, dead)
        return file is not None

    def _hold(
        self,
        path: str,
        high: npt.NDArray[np.uint64],
        low: npt.NDArray[np.uint64],
        row: npt.NDArray[np.uint32],
        dead: Iterable[int],
    ) -> None:
        flags = np.zeros(len(row), dtype=np.bool_)
        flags[list(dead)] = True
        self._files[path] = _FileKeys(high, low, row, flags, int(flags.sum()))

    def remove(self, path: str) -> None:
        del self._files[path]

    def kill(self, found: dict[str, list[int]]) -> None:
        for path, rows in found.items():
            file = self._files[path]
            file.dead[rows] = True
            file.dead_count = int(file.dead.sum())

    def find(self, hashes: Hashes) -> dict[str, list[int]]:
        """The live rows of these keys, by file."""
        found: dict[str, list[int]] = {}
        if not len(hashes):
            return found
        # In order, so that neighbours are looked for in the same part of each file.
        hashes = hashes[np.argsort(hashes[:, 0])]
        for path, file in self._files.items():
            rows = _rows_in(file, hashes)
            if rows:
                found[path] = rows
        return found

    def dead_rows(self, path: str) -> Rows:
        return np.flatnonzero(self._files[path].dead)

    def hashes_of(self, path: str) -> Hashes:
        """A file's keys by row number, as they were added."""
        file = self._files[path]
        hashes = np.empty((len(file.row), 2), dtype=np.uint64)
        hashes[file.row, 0], hashes[file.row, 1] = file.high, file.low
        return hashes

    def counts(self, path: str) -> tuple[int, int]:
        """Rows, and how many of them are dead."""
        file = self._files[path]
        return len(file.dead), file.dead_count

    def live(self) -> int:
        return sum(len(file.dead) - file.dead_count for file in self._files.values())


def _rows_in(file: _FileKeys, hashes: Hashes) -> list[int]:
    start = np.searchsorted(file.high, hashes[:, 0], side="left")
    inside = start < len(file.high)
    candidates = np.flatnonzero(inside)
    places = start[candidates]
    same = file.high[places] == hashes[candidates, 0]
    candidates, places = candidates[same], places[same]
    rows: list[int] = []
    # A second key with the same first 64 bits would stand right behind.
    while len(candidates):
        exact = file.low[places] == hashes[candidates, 1]
        numbers = file.row[places[exact]]
        rows += numbers[~file.dead[numbers]].tolist()
        places = places + 1
        further = places < len(file.high)
        candidates, places = candidates[further], places[further]
        same = file.high[places] == hashes[candidates, 0]
        candidates, places = candidates[same], places[same]
    return rows
