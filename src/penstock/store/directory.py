"""The files of a data directory beside RocksDB's: whose it is, which format it has, how far it was synced.

    FORMAT        text: `penstock N`. Written first, so that nothing else is ever read without it
    OWNER         text: the process that has the store open. Locked (flock) as long as it has
    SYNCED        the high-water mark: the number of the last batch that a sync covered
    rocks/        RocksDB's own files
    cut/          while a log is cut (log.py): what was cut from it

SYNCED is one line of fixed width, `NNNNNNNNNNNNNNNNNNNN CCCCCCCC`: the number in decimal and its CRC-32. It
is rewritten in place after every sync and lies in one disk sector, so it is never torn.

D1. The mark never runs ahead: it is written after the sync that it tells of.
D2. It survives `kill -9` at once, and power loss after at most `MARK_SYNC_S`: an fdatasync of its own after
    each sync would double what a durable write costs (measured: 0.3 ms each). So a lost tail of the log is
    detected always, but for batches synced in the last second before a power loss.
"""

from __future__ import annotations

import fcntl
import itertools
import os
import time
import weakref
import zlib
from collections.abc import Callable
from pathlib import Path

from penstock.errors import Corruption, StoreUnavailable, UsageError

FORMAT = 1
MARK_SYNC_S = 1.0


class Lock:
    """The lock on OWNER, from when it is made until `release`. A forked child gives its copy up at once: otherwise it
    would hold the directory after its parent's death."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        in_forked_child(self.release)

    @property
    def held(self) -> bool:
        return self._descriptor >= 0

    def release(self) -> None:
        if self._descriptor >= 0:
            # The lock goes with the last descriptor; an explicit unlock in a child would free the parent's.
            os.close(self._descriptor)
            self._descriptor = -1


_in_child: dict[int, weakref.WeakMethod[Callable[[], None]]] = {}
_places = itertools.count()


def in_forked_child(method: Callable[[], None]) -> None:
    """Have a bound method called in every child that is forked while its object is alive.

    What was taken last is given up first: who waits for the outer lock shall not find the inner one held.
    """
    for place, held in list(_in_child.items()):
        if held() is None:
            _in_child.pop(place, None)
    _in_child[next(_places)] = weakref.WeakMethod(method)


def _give_up() -> None:
    for held in reversed(list(_in_child.values())):
        give_up = held()
        if give_up is not None:
            give_up()


os.register_at_fork(after_in_child=_give_up)


def claim(folder: Path, *, shared: bool = False) -> Lock:
    """Locks the directory for this process, or says who has it."""
    descriptor = os.open(folder / "OWNER", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        owner = os.pread(descriptor, 200, 0).decode("ascii", "replace").strip() or "another process"
        os.close(descriptor)
        raise UsageError(f"{folder} is in use by {owner}") from None
    if not shared:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, b"process %d\n" % os.getpid(), 0)
    return Lock(descriptor)


def check_format(folder: Path, *, create: bool) -> None:
    """Reads FORMAT, or writes it where the directory is new and may be made."""
    path = folder / "FORMAT"
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        if any((folder / "rocks").glob("*")):
            raise Corruption(f"{path} is missing beside a store's files") from None
        if not create:
            raise UsageError(f"{folder} holds no Penstock data") from None
        write_format(folder)
        return
    name, _, number = text.decode("ascii", "replace").strip().partition(" ")
    if name != "penstock" or not number.isdecimal():
        raise Corruption(f"{path} does not name a format: {text[:40]!r}")
    if int(number) != FORMAT:
        raise UsageError(
            f"{folder} has format {number}; this version of Penstock reads format {FORMAT}. "
            "Open it with the version that wrote it, or a newer one."
        )


def write_format(folder: Path) -> None:
    """Whole or not at all: a crash leaves no half-written FORMAT."""
    partial = folder / "FORMAT.partial"
    with partial.open("wb") as file:
        file.write(b"penstock %d\n" % FORMAT)
        file.flush()
        os.fsync(file.fileno())
    partial.rename(folder / "FORMAT")
    sync_folder(folder)
    sync_folder(folder.parent)


def sync_folder(folder: Path) -> None:
    """Makes names durable: a new file survives power loss only once its folder is synced too."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class Mark:
    """The high-water mark in SYNCED."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "SYNCED"
        self._descriptor = -1
        self._synced_at = time.monotonic()

    def read(self) -> int | None:
        """The number of the last batch known to be synced; None in a new directory.

        An empty file is one whose making a power loss cut short, before the first batch.
        """
        try:
            text = self.path.read_bytes()
        except FileNotFoundError:
            return None
        if not text:
            return None
        number, _, crc = text.partition(b" ")
        if len(text) != 30 or not number.isdigit() or crc != b"%08x\n" % zlib.crc32(number):
            raise Corruption(f"{self.path} does not hold a batch number: {text[:40]!r}")
        return int(number)

    def write(self, number: int, *, durable: bool = False) -> None:
        text = b"%020d" % number
        now = time.monotonic()
        try:
            if self._descriptor < 0:
                self._descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644)
            os.pwrite(self._descriptor, b"%s %08x\n" % (text, zlib.crc32(text)), 0)
            if durable or now - self._synced_at >= MARK_SYNC_S:
                os.fdatasync(self._descriptor)
                self._synced_at = now
        except OSError as error:
            raise StoreUnavailable(f"{self.path}: {error.strerror}") from error

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
