"""Proves, before RocksDB replays its write-ahead log, that the replay will skip nothing that was synced.

RocksDB's replay takes a log that ends early, or that has a hole of zeros, for one that simply holds less. So
each batch carries two numbers as its last entry: its own, counted from 1 without gaps, and that of the last
batch known to be synced when it was written. With those and the mark in SYNCED (store/directory.py):

L1. The batches in the log files, in order, are numbered without a gap, and begin no later than the tables
    end.
L2. They, or the tables, reach the mark.
L3. What follows the first doubtful byte was never synced: no record after it claims that a batch at or after
    the doubt was.

Where all three hold and there is a doubt, the files are cut at it: power was lost between two syncs, and a
prefix of the batches is what a crash may leave (S3). Where one fails, synced batches are lost: `Corruption`,
and nothing is changed. Checksums are left to RocksDB, which refuses to open where one fails; only then are
they computed here for the records beyond the mark, where a torn write is no damage.

The format of a log file (RocksDB's `log_format.h`), little-endian: blocks of 32 KB, each a run of fragments

    crc32c, masked (4) | length of payload (2) | type (1): full 1, first 2, middle 3, last 4 | payload

with fewer than 7 bytes left at a block's end filled with zeros. The payloads of a record, joined, are a
batch: sequence number (8), count of entries (4), entries.
"""

from __future__ import annotations

import os
import shutil
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from penstock.errors import Corruption

BLOCK = 32 * 1024
HEADER = 7
FULL, FIRST, MIDDLE, LAST = 1, 2, 3, 4

NUMBER_KEY = b"n"
_NUMBERS = struct.Struct(">QQ")
# The end of every record: an entry's key and value, each behind its length.
_ENDING = bytes([len(NUMBER_KEY)]) + NUMBER_KEY + bytes([_NUMBERS.size])
_ENDING_BYTES = len(_ENDING) + _NUMBERS.size

number_value = _NUMBERS.pack  # (number, synced) as the value under NUMBER_KEY.


def number_of(value: bytes) -> int:
    """The batch number in a value under NUMBER_KEY."""
    if len(value) != _NUMBERS.size:
        raise Corruption(f"the number of the last batch is not one: {value!r}")
    return int(_NUMBERS.unpack(value)[0])


@dataclass(frozen=True, slots=True)
class Record:
    """One batch in a log file, and where in the file its fragments begin."""

    number: int
    synced: int
    fragments: list[int]


@dataclass(frozen=True, slots=True)
class Cut:
    """Where the log ends: bytes of `path` from `offset` on, and the files in `later`, were never synced."""

    path: Path
    offset: int
    later: tuple[Path, ...]

    def apply(self, aside: Path) -> None:
        """Cuts, with what is cut kept in the folder `aside` until RocksDB has agreed: it may know better.

        It syncs a closed log file by itself, and notes its length in MANIFEST. Later files go first:
        whatever step a crash comes after, what is left is cut at the same place again.
        """
        aside.mkdir(exist_ok=True)
        for path in reversed(self.later):
            path.rename(aside / path.name)
        if not (aside / self.path.name).exists():  # An earlier cut has kept it whole already.
            partial = aside / (self.path.name + ".partial")
            shutil.copyfile(self.path, partial)
            partial.rename(aside / self.path.name)
        os.truncate(self.path, self.offset)
        descriptor = os.open(self.path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def restore(aside: Path, folder: Path) -> None:
    """Puts back what a cut took, where RocksDB did not agree or a crash came between."""
    if not aside.exists():
        return
    for path in aside.glob("*.log"):
        path.replace(folder / path.name)
    shutil.rmtree(aside)


def log_files(folder: Path) -> list[Path]:
    return sorted((path for path in folder.glob("*.log") if path.stem.isdigit()), key=lambda p: int(p.stem))


def prove(files: list[Path], mark: int, in_tables: int, *, sum_all: bool = False) -> Cut | None:
    """Raises Corruption where synced batches are missing; returns where to cut a tail that was never synced.

    `in_tables` is the number of the last batch that the tables hold: records up to it are not needed any
    more. Checksums of the records beyond the mark are computed where `sum_all` asks for it.
    """
    reached = in_tables
    doubt: tuple[int, int] | None = None  # Index of the file, offset in it.
    for index, path in enumerate(files):
        content = path.read_bytes()
        for found in _records(content):
            if isinstance(found, int):
                doubt = doubt or (index, found)
            elif found.number <= reached + 1 and (
                not sum_all or found.number <= mark or _sums_hold(content, found)
            ):
                # A write that failed on a full disk leaves a torn record, and the next batch has its number:
                # where the numbers go on, nothing is missing.
                reached, doubt = max(reached, found.number), None
            else:
                doubt = doubt or (index, found.fragments[0])
                if found.synced > reached and _sums_hold(content, found):
                    raise Corruption(
                        f"{files[doubt[0]]}: batch {reached + 1} is damaged or missing at byte {doubt[1]}, "
                        f"and batch {found.synced} was synced"
                    )
    if reached < mark:
        where = files[doubt[0]] if doubt else files[-1] if files else "the log"
        raise Corruption(f"{where}: lost synced tail: ends with batch {reached}, and batch {mark} was synced")
    return None if doubt is None else Cut(files[doubt[0]], doubt[1], tuple(files[doubt[0] + 1 :]))


def first_bad_sum(files: list[Path]) -> str | None:
    """The place of the first record whose checksum fails, for the words of an error: RocksDB names no file."""
    for path in files:
        content = path.read_bytes()
        for found in _records(content):
            if isinstance(found, int) or not _sums_hold(content, found):
                return f"{path}, byte {found if isinstance(found, int) else found.fragments[0]}"
    return None


def _records(content: bytes) -> Iterator[Record | int]:
    """The records of one file; a bare offset stands for bytes there that are none."""
    fragments: list[int] = []
    parts: list[bytes] = []
    place, end = 0, len(content)
    while place < end:
        left = BLOCK - place % BLOCK
        if left < HEADER:
            place += left
            continue
        head = content[place : place + HEADER]
        kind = head[6] if len(head) == HEADER else 0
        stop = place + HEADER + (head[4] | head[5] << 8 if kind else 0)
        fits = FULL <= kind <= LAST and stop <= end and stop - place <= left
        begins = kind in (FULL, FIRST)
        if not fits or begins != (not fragments):
            yield fragments[0] if fragments else place
            fragments, parts = [], []
        if not fits:
            place += left  # What follows can be found again only where a block begins.
            continue
        if begins or fragments:
            fragments.append(place)
            parts.append(content[place + HEADER : stop])
        if fragments and kind in (FULL, LAST):
            yield _record(fragments, b"".join(parts) if len(parts) > 1 else parts[0])
            fragments, parts = [], []
        place = stop
    if fragments:
        yield fragments[0]


def _record(fragments: list[int], payload: bytes) -> Record | int:
    tail = payload[-_ENDING_BYTES:]
    if not tail.startswith(_ENDING):
        return fragments[0]  # Only batches that end with their number are ever written: this one is damaged.
    number, synced = _NUMBERS.unpack_from(tail, len(_ENDING))
    return Record(number, synced, fragments)


def _sums_hold(content: bytes, record: Record) -> bool:
    return all(_sum_holds(content, place) for place in record.fragments)


def _sum_holds(content: bytes, place: int) -> bool:
    stored = int.from_bytes(content[place : place + 4], "little")
    length = int.from_bytes(content[place + 4 : place + 6], "little")
    crc = crc32c(content[place + 6 : place + HEADER + length])
    return stored == ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


@cache
def _table() -> list[int]:
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
        table.append(byte)
    return table


def crc32c(data: bytes) -> int:
    """CRC-32C. About 10 MB/s in Python, so it is computed only where a torn write may be."""
    crc, table = 0xFFFFFFFF, _table()
    for byte in data:
        crc = table[(crc ^ byte) & 0xFF] ^ crc >> 8
    return crc ^ 0xFFFFFFFF
