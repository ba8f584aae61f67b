"""A time limit on a handler's call: one that hangs must not hold its lane for ever.

    answer = TimeLimit(hands, "send_receipt")(call, 30.0)        # or TimedOut after 30 s

Q1. The call runs in another thread. When its time is over whoever waits goes on, and the call is left behind: it is stopped at
    its next line of Python. A call that waits in the system (a socket without a time-out) is stopped when that comes back.
Q2. What is left behind may write nothing more through `ctx.transact` (see exactly_once.py).
Q3. Too many of them left behind at once mean that the process is of no use any more: `Stuck` ends the consumer, and whoever
    supervises the worker starts it again.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable
from typing import Any, TypeAlias

from penstock.errors import PenstockError
from penstock.events.threads import Hands

Call: TypeAlias = Callable[[], Any]
InTime: TypeAlias = Callable[[Call, float], Any]

STUCK_MAX = 32


class TimedOut(PenstockError):
    """The handler took longer than its time. The message is Lambda's."""


class Stuck(RuntimeError):
    """Too many calls hang."""


class _Stopped(BaseException):
    """Raised inside a call that was left behind. No Exception, so that a handler's own `except` lets it pass."""


def at_leisure(call: Call, limit_s: float) -> Any:
    """Without a limit, in this thread: for tests that move the clock by hand."""
    return call()


class TimeLimit:
    """`InTime` with threads."""

    def __init__(self, hands: Hands, consumer: str) -> None:
        self._hands, self._consumer = hands, consumer
        self._lock = threading.Lock()
        self._stuck = 0

    def __call__(self, call: Call, limit_s: float) -> Any:
        running = _Running(call, self._came_back)
        self._hands.do(running.run)
        if running.ended.wait(limit_s) or not running.leave():
            return running.outcome()
        with self._lock:
            self._stuck += 1
            stuck = self._stuck
        running.stop()
        if stuck > STUCK_MAX:
            raise Stuck(f"{stuck} calls of {self._consumer} hang")
        raise TimedOut(f"Task timed out after {limit_s:.2f} seconds")

    def _came_back(self) -> None:
        with self._lock:
            self._stuck -= 1


class _Running:
    """One call: waited for, or left behind."""

    def __init__(self, call: Call, came_back: Callable[[], None]) -> None:
        self._call, self._came_back = call, came_back
        self._lock = threading.Lock()
        self._left = False
        self._thread = 0
        self._answer: Any = None
        self._error: BaseException | None = None
        self.ended = threading.Event()

    def run(self) -> None:
        with self._lock:
            begins = not self._left
            self._thread = threading.get_ident() if begins else 0
        if begins:
            self._run()
        if self._left:
            self._came_back()

    def _run(self) -> None:
        try:
            try:
                self._answer = self._call()
            except (Exception, SystemExit) as error:
                # A handler is somebody else's code: whatever it raises goes to whoever waits.
                self._error = error
            with self._lock:
                self.ended.set()
        except _Stopped:
            # It may come as late as here; what was asked for is done then.
            self.ended.set()
        except BaseException as error:
            self._error = error
            self.ended.set()
            raise

    def leave(self) -> bool:
        """Nobody waits any more. False where it has ended meanwhile."""
        with self._lock:
            self._left = not self.ended.is_set()
            return self._left

    def stop(self) -> None:
        """Python has no other way to end a thread's work; under the lock, so that it hits this call and no other."""
        with self._lock:
            if not self.ended.is_set() and self._thread:
                ctypes.pythonapi.PyThreadState_SetAsyncExc(
                    ctypes.c_ulong(self._thread), ctypes.py_object(_Stopped)
                )

    def outcome(self) -> Any:
        if self._error is not None:
            raise self._error
        return self._answer
