"""Keeps one table flowing into the lake: a thread that steps a sink, waits when there is nothing, and says how it is.

F1. Trouble that may pass (no answer, no stream yet, a full disk) is said once, and tried again with growing pauses.
F2. Trouble that a person must look at (fenced, a position beyond the stream, damage) ends this table's flow and no other.
    A fault of ours ends it too, and is raised: the process of `penstock up` then starts again (see run.lake_process).
F3. Commits are at least COMMIT_S apart while changes trickle, so that a quiet table does not make a file a change; a
    backlog is worked off without pauses. Nothing is asked for more often than each POLL_S where there is nothing: AWS
    answers an empty page at once, and takes five reads of a shard a second from all who read it.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass

from penstock.connect.http import NoAnswer
from penstock.errors import Corruption, PenstockError, ServiceError, StoreUnavailable, UsageError
from penstock.lake.sink import BATCH_ROWS, Fenced, TableSink
from penstock.lake.stream import Beyond, NoStream
from penstock.ports import Clock

COMMIT_S = 0.4
POLL_S = 0.5
WAIT_MS = 1000
_PAUSE_S, _PAUSE_S_MAX = 0.5, 15.0
_FINAL = (Fenced, Beyond, Corruption, UsageError)
_PASSING = (NoStream, ServiceError, NoAnswer, StoreUnavailable, PenstockError, OSError)
_log = logging.getLogger("penstock.lake")


@dataclass
class Flow:
    """How a table's flow is. Read it from any thread."""

    table: str
    state: str = "starting"  # starting, snapshot, following, waiting, stopped, failed
    message: str = ""
    rows: int = 0
    offset: int = 0
    last_change_us: int = 0
    committed_us: int = 0
    caught_up_us: int = 0
    commit_ms: float = 0.0


class Follower:
    """`make` builds a sink; it is called again after trouble."""

    def __init__(
        self, table: str, make: Callable[[], TableSink], clock: Clock, upkeep: Callable[[TableSink], None]
    ) -> None:
        self.flow = Flow(table)
        self._make, self._clock, self._upkeep = make, clock, upkeep
        self._stop = threading.Event()
        self._go_on = threading.Event()
        self._go_on.set()
        self._jobs: list[Callable[[TableSink], None]] = []
        self._thread = threading.Thread(target=self._run, name=f"lake-{table}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()

    def pause(self, *, paused: bool) -> None:
        """Leave the stream alone for a while: upkeep of the tables, or a measurement."""
        if paused:
            self._go_on.clear()
        else:
            self._go_on.set()

    def join(self, seconds: float = 30.0) -> None:
        self._thread.join(seconds)

    @property
    def ended(self) -> bool:
        return not self._thread.is_alive()

    def another(self) -> Follower:
        """For the same table, to be started in place of one that has ended."""
        return Follower(self.flow.table, self._make, self._clock, self._upkeep)

    def ask(self, job: Callable[[TableSink], object], seconds: float = 600.0) -> object:
        """Do something on the writer between two commits, and give what it gave."""
        done = threading.Event()
        outcome: list[object] = []

        def run(sink: TableSink) -> None:
            try:
                outcome.append(job(sink))
            except Exception as error:
                outcome.append(error)
                raise
            finally:
                done.set()

        if not self._thread.is_alive():
            raise UsageError(f"{self.flow.table} is not followed now: {self.flow.message or self.flow.state}")
        self._jobs.append(run)
        ends_s = self._clock.monotonic_s() + seconds
        while not done.wait(0.5):
            if not self._thread.is_alive():
                raise UsageError(
                    f"{self.flow.table} is not followed now: {self.flow.message or self.flow.state}"
                )
            if self._clock.monotonic_s() > ends_s:
                raise UsageError(
                    f"{self.flow.table}: the sink is busy: {self.flow.message or self.flow.state}"
                )
        if isinstance(outcome[0], BaseException):
            raise outcome[0]
        return outcome[0]

    def _run(self) -> None:
        pause_s = _PAUSE_S
        while not self._stop.is_set():
            try:
                sink = self._make()
                sink.open()
                pause_s = _PAUSE_S
                self._flow(sink)
            except _FINAL as error:
                self._say("failed", str(error))
                return
            except _PASSING as error:
                self._say("waiting", str(error))
                self._stop.wait(pause_s)
                pause_s = min(pause_s * 2, _PAUSE_S_MAX)
            except Exception as error:
                self._say("failed", f"a fault of the sink, {type(error).__name__}: {error}")
                raise
        self._say("stopped", "")

    def _flow(self, sink: TableSink) -> None:
        while not self._stop.is_set():
            while self._jobs:
                self._jobs.pop(0)(sink)
            if not self._go_on.wait(0.1):
                continue
            began_s, before = self._clock.monotonic_s(), sink.position.offset
            asked_us = self._clock.now_us()
            rows = sink.step(WAIT_MS)
            self._note(sink, rows, before, asked_us, began_s)
            self._upkeep(sink)
            self._stop.wait(rest_s(rows, self._clock.monotonic_s() - began_s))

    def _note(self, sink: TableSink, rows: int, before: int, asked_us: int, began_s: float) -> None:
        position, flow = sink.position, self.flow
        scanning = position.snapshot is not None and not position.snapshot.done
        flow.state, flow.message = ("snapshot" if scanning else "following"), ""
        flow.rows += position.offset - before
        flow.offset, flow.last_change_us = position.offset, position.last_us
        if rows:
            flow.committed_us = self._clock.now_us()
            flow.commit_ms = (self._clock.monotonic_s() - began_s) * 1000
        if not scanning and rows < BATCH_ROWS:
            flow.caught_up_us = asked_us

    def _say(self, state: str, message: str) -> None:
        if message and message != self.flow.message:
            level = logging.ERROR if state == "failed" else logging.WARNING
            _log.log(level, "%s: %s", self.flow.table, message)
        self.flow.state, self.flow.message = state, message


def rest_s(rows: int, took_s: float) -> float:
    """How long to leave the stream alone after a step that made so many rows (F3)."""
    if rows >= BATCH_ROWS // 4:
        return 0.0
    return max(0.0, (COMMIT_S if rows else POLL_S) - took_s)
