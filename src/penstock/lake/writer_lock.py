"""Who writes a lake's folder: at most one process, by a lock that the kernel releases when the process ends."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from types import TracebackType

from penstock.errors import UsageError

LOCK = "writer.lock"


class WriterLock:
    """Does nothing where the lake is no folder: there the epoch of each table decides (see sink, I3)."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._lock = -1

    def take(self) -> None:
        if self._folder is None:
            return
        lock = os.open(self._folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            other = os.read(lock, 32).decode("ascii", "replace").strip()
            os.close(lock)
            raise UsageError(
                f"process {other or 'unknown'} writes the lake in {self._folder} already"
            ) from None
        os.ftruncate(lock, 0)
        os.write(lock, b"%d\n" % os.getpid())
        self._lock = lock

    def __enter__(self) -> WriterLock:
        self.take()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def release(self) -> None:
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1
