"""The embedded owner: a database behind one lock, called from any thread of this process.

A call decides and applies under the lock. Its sync happens outside it: the first thread that needs one runs it for
all that were applied until then (a leader), and the threads that joined its group are answered with it.

O1. A caller does the work that its answer needs: slices of long reads, and a sync. When there is none left that it
    could do, another thread does it (a sync, a slice) or it is too early (a page held open): it sleeps until its
    answer arrives, and looks at nothing meanwhile.
O2. Whoever leaves work behind (slices of others, woken consumers) wakes the background thread for it.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path

from penstock.database.compose import compose
from penstock.database.database import Done
from penstock.database.open import SystemClock, fresh_id
from penstock.database.weather import Weather
from penstock.errors import UsageError
from penstock.ports import Clock
from penstock.store.interface import Store
from penstock.store.rocks import open_store


class _Answer:
    """Where one call's answer arrives; always under the owner's lock."""

    __slots__ = ("arrived", "body", "status")

    def __init__(self) -> None:
        self.status = 0
        self.body = b""
        self.arrived: threading.Event | None = None  # Made by a caller that has to sleep: most never do.

    def __call__(self, status: int, body: bytes) -> None:
        self.status, self.body = status, body
        if self.arrived is not None:
            self.arrived.set()


class Owner:
    """Thread-safe facade over a Database: `call` blocks, `start` answers through `done` from some thread."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        durability: str = "power",
        folder: Path | None = None,
        weather: Weather | None = None,
    ) -> None:
        self.store = store
        self._lock = threading.RLock()
        self._sync_lock = threading.Lock()
        self._deferred: deque[Callable[[], None]] = deque()
        self._pid = os.getpid()
        self._closed = False
        self._wake = threading.Event()
        self._waits_for_sync = durability == "power"
        self.database, self._sweeper = compose(
            store,
            clock,
            self._kick,
            self._deferred.append,
            fresh_id,
            folder=folder,
            waits_for_sync=self._waits_for_sync,
            weather=weather,
        )
        self._thread = threading.Thread(target=self._background, name="penstock-owner", daemon=True)
        self._thread.start()

    def _kick(self) -> None:
        """The caller that applied the batch leads its sync; `start` callers are served by the background thread."""

    def call(self, target: str, body: bytes, wait_ms: int = 0) -> tuple[int, bytes]:
        if os.getpid() != self._pid:
            raise UsageError("this client was opened before a fork; call penstock.connect again in the child")
        answer = _Answer()
        with self._lock:
            if self._closed:
                raise UsageError("this client is closed")
            self.database.start(target, body, answer, wait_ms)
        if not answer.status:
            self._work_for(answer)
        return answer.status, answer.body

    def _work_for(self, answer: _Answer) -> None:
        while not answer.status:
            if self._run_deferred() or (self._waits_for_sync and self._lead_sync(answer)):
                continue
            with self._lock:
                if answer.status or self._deferred:
                    continue
                arrived = answer.arrived = threading.Event()
            arrived.wait()
        if self._deferred:
            self._wake.set()

    def start(self, target: str, body: bytes, done: Done, wait_ms: int = 0) -> None:
        with self._lock:
            self.database.start(target, body, done, wait_ms)
        self._wake.set()

    def _run_deferred(self) -> bool:
        """One slice of a long read, of whichever call it is."""
        with self._lock:
            if not self._deferred:
                return False
            self._deferred.popleft()()
            return True

    def _lead_sync(self, answer: _Answer | None = None) -> bool:
        """Sync what was applied, unless a leader did so while this thread waited for its turn. False: nothing to do."""
        with self._sync_lock:
            if answer is not None and answer.status:
                return False
            with self._lock:
                group = self.database.commit.begin()
            if group is None:
                return False
            error = self.database.commit.sync()
            with self._lock:
                self.database.commit.finish(group, error)
            return True

    def _background(self) -> None:
        """Syncs for `start` callers and for nobody (durability="process"), long reads' slices, sweeps."""
        while not self._closed:
            with self._lock:
                pause = self._sweeper.tick() if not self._closed else 0.0
            self._lead_sync()
            if not self._run_deferred():
                self._wake.wait(min(max(pause, 0.0), 0.05))
                self._wake.clear()

    def stop_waiting(self) -> None:
        """Answer every consumer that holds a page open, and hold none from now on."""
        with self._lock:
            self.database.feed.close()
        self._wake.set()

    def close(self) -> None:
        with self._lock:
            if self._closed:
                return
            self._closed = True
        self.stop_waiting()
        self._wake.set()
        if threading.current_thread() is not self._thread:
            self._thread.join()
        while self._run_deferred() or self._lead_sync():
            pass  # Whoever still waits is answered.
        self.store.close()


def open_owner(
    folder: Path, *, clock: Clock | None = None, durability: str = "power", weather: Weather | None = None
) -> Owner:
    return Owner(open_store(folder), clock or SystemClock(), durability, folder, weather)
