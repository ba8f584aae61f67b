"""The time limit on a handler's call, with real threads and events in place of clocks."""

from __future__ import annotations

import threading
from random import Random
from typing import Any

import pytest
from tests.in_memory import memory_client

from penstock.events import time_limits
from penstock.events.exactly_once import LaneCommit, PositionMoved
from penstock.events.threads import Hands
from penstock.events.time_limits import Stuck, TimedOut, TimeLimit
from penstock.testing.databases import MemoryDatabase

SOON_S = 0.05
PATIENCE_S = 20.0


@pytest.fixture
def limit() -> TimeLimit:
    return TimeLimit(Hands("test"), "collect")


# Why: nearly every call ends in time, and its answer or its error is what counts.
def test_a_call_that_ends_in_time_gives_its_answer_or_its_error(limit: TimeLimit) -> None:
    assert limit(lambda: 7, PATIENCE_S) == 7
    with pytest.raises(ZeroDivisionError):
        limit(lambda: 1 // 0, PATIENCE_S)
    with pytest.raises(SystemExit):
        limit(lambda: exit(3), PATIENCE_S)


# Why: Q1; a loop that never ends would use a core for ever.
def test_a_loop_that_never_ends_is_stopped(limit: TimeLimit) -> None:
    ended = threading.Event()

    def spin() -> None:
        try:
            while True:
                try:
                    len("x")
                except Exception:
                    raise AssertionError("a handler's own except must not catch it") from None
        finally:
            ended.set()

    with pytest.raises(TimedOut, match=r"Task timed out after 0\.05 seconds"):
        limit(spin, SOON_S)
    assert ended.wait(PATIENCE_S)
    assert limit(lambda: "next", PATIENCE_S) == "next", "its thread is as good as before"


# Why: Q3; each call that hangs keeps a thread, and a process full of them must be started again.
def test_too_many_calls_that_hang_end_the_consumer(limit: TimeLimit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time_limits, "STUCK_MAX", 1)
    released, back = threading.Event(), threading.Semaphore(0)

    def hang() -> None:
        released.wait(PATIENCE_S)
        back.release()

    with pytest.raises(TimedOut):
        limit(hang, SOON_S)
    with pytest.raises(Stuck, match="2 calls of collect hang"):
        limit(hang, SOON_S)
    released.set()
    assert limit(lambda: "it works", PATIENCE_S) == "it works"


# Why: X4; a call that was given up must not commit what its records' next call commits as well.
def test_a_call_that_was_left_behind_commits_nothing() -> None:
    client: Any = memory_client(MemoryDatabase())
    commit = LaneCommit(client, {}, 1, 0, ["000000000000000000005"], lambda: "token", Random(1))
    commit.abandon()
    with pytest.raises(PositionMoved):
        commit.transact([])
    assert not commit.in_doubt, "nothing was under way, so nothing is in doubt"
