"""Who writes a lake's folder: at most one process, by a lock that the kernel releases when the process ends."""

from __future__ import annotations

import fcntl
import logging
import os
import time
from pathlib import Path
from types import TracebackType

from penstock.errors import UsageError

LOCK = "writer.lock"
_POLL_S = 0.1
_log = logging.getLogger("penstock.lake")


class WriterLock:
    """Does nothing where the lake is no folder: there the epoch of each table decides (see sink, I3)."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._lock = -1

    def take(self, patience_s: float = 0.0) -> None:
        """`patience_s`: how long to wait for a process that is at its end, or a command that compacts."""
        if self._folder is None:
            return
        ends_s = time.monotonic() + patience_s
        said = False
        while (other := self._try(self._folder)) is not None:
            told = f"process {other} writes the lake in {self._folder} already"
            if time.monotonic() >= ends_s:
                raise UsageError(told)
            if not said:
                _log.warning("%s; it is waited for, %.0f s at most", told, patience_s)
            said = True
            time.sleep(_POLL_S)

    def _try(self, folder: Path) -> str | None:
        """Who has the lock; None where it is ours now."""
        lock = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            other = os.read(lock, 32).decode("ascii", "replace").strip()
            os.close(lock)
            return other or "unknown"
        os.ftruncate(lock, 0)
        os.write(lock, b"%d\n" % os.getpid())
        self._lock = lock
        return None

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
