"""Threads that perform effects: one is started when all are busy, and those that were needed once stay for the next.

They are daemons, because a read that is held open at a server must not hold up the end of the process.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue

THREADS_MAX = 512


class Hands:
    """`do` runs a call in some thread, at once."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._calls: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._waiting = 0  # Calls that were given and not begun, subtracted from threads that are free.
        self._threads = 0

    def do(self, call: Callable[[], None]) -> None:
        with self._lock:
            self._waiting -= 1
            if self._waiting < 0 and self._threads < THREADS_MAX:
                self._threads += 1
                self._waiting += 1
                threading.Thread(target=self._work, name=f"{self._name}-{self._threads}", daemon=True).start()
        self._calls.put(call)

    def close(self) -> None:
        """Free threads end; busy ones after what they do."""
        with self._lock:
            count = self._threads
        for _ in range(count):
            self._calls.put(None)

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            try:
                call()
            finally:
                with self._lock:
                    self._waiting += 1
