"""Writes whose callers do not wait for their sync: one sync for many, soon enough, and at once where somebody waits."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import orjson
import pytest
from tests.tables import table_request

from penstock.database.group_commit import LATE_S
from penstock.database.open import ServedDatabase, SystemClock
from penstock.ports import Patient
from penstock.store.memory import MemoryStore

BOUND_S = 20.0


class Unhurried(Patient):
    """A caller that goes on without its answer."""

    def __init__(self) -> None:
        self.status = 0

    def __call__(self, status: int, body: bytes) -> None:
        self.status = status


class Loop:
    """A served database on a loop that turns by hand: what was posted to it, and what it was asked to do later."""

    def __init__(self, *, has_timers: bool = True) -> None:
        self.posted: list[Callable[[], None]] = []
        self.timers: list[tuple[float, Callable[[], None]]] = []
        self.database = ServedDatabase(
            MemoryStore(),
            SystemClock(),
            self.posted.append,
            "power",
            later=(lambda delay_s, call: self.timers.append((delay_s, call))) if has_timers else None,
        )

    def start(self, action: str, done: Callable[[int, bytes], None], **request: object) -> None:
        self.database.start(f"DynamoDB_20120810.{action}", orjson.dumps(request), done)

    def ask(self, action: str, **request: object) -> list[int]:
        """Where the status will be."""
        statuses: list[int] = []
        self.start(action, lambda status, body: statuses.append(status), **request)
        return statuses

    def put(self, id_: str) -> Unhurried:
        done = Unhurried()
        self.start("PutItem", done, TableName="log", Item={"pk": {"S": id_}})
        return done

    def turn(self, until: Callable[[], bool]) -> None:
        """Until the sync thread has answered; what it posts is run here, on the loop's thread."""
        over_s = time.monotonic() + BOUND_S
        while not until():
            assert time.monotonic() < over_s
            while self.posted:
                self.posted.pop(0)()


@pytest.fixture
def loop() -> Iterator[Loop]:
    loop = Loop()
    made = loop.ask("CreateTable", **table_request("log", "pk"))
    loop.turn(lambda: bool(made))
    loop.posted.clear()
    yield loop
    loop.database.close()


# Why: G5. Each prediction is on record before its answer; a sync for each would take a third of the process.
def test_writes_that_nobody_waits_for_share_one_late_sync(loop: Loop) -> None:
    answers = [loop.put(f"i{number}") for number in range(5)]
    assert loop.posted == []
    [(delay_s, late)] = loop.timers
    assert delay_s == LATE_S
    late()
    loop.turn(lambda: all(answer.status == 200 for answer in answers))


# Why: the timer of one group must not keep the next from having one.
def test_the_next_group_has_a_timer_of_its_own(loop: Loop) -> None:
    first = loop.put("i1")
    loop.timers.pop()[1]()
    loop.turn(lambda: first.status == 200)
    second = loop.put("i2")
    loop.timers.pop()[1]()
    loop.turn(lambda: second.status == 200)


# Why: a write that is waited for is answered as soon as the disk lets it, whatever else is in its group.
def test_a_write_that_is_waited_for_takes_the_others_along(loop: Loop) -> None:
    patient = loop.put("i1")
    put = loop.ask("PutItem", TableName="log", Item={"pk": {"S": "i2"}})
    loop.turn(lambda: put == [200] and patient.status == 200)


# Why: G2 with G5: who reads such a write at once waits for one sync, not for the timer.
def test_a_read_of_it_begins_the_sync(loop: Loop) -> None:
    patient = loop.put("i1")
    read = loop.ask("GetItem", TableName="log", Key={"pk": {"S": "i1"}})
    assert read == []
    loop.turn(lambda: read == [200] and patient.status == 200)


# Why: written during another's sync, it finds that sync over and no timer set, unless one is set then.
def test_what_was_written_during_a_sync_is_not_forgotten(loop: Loop) -> None:
    put = loop.ask("PutItem", TableName="log", Item={"pk": {"S": "i1"}})
    for posted in loop.posted:
        posted()  # The sync is under way.
    loop.posted.clear()
    patient = loop.put("i2")
    loop.turn(lambda: put == [200])
    loop.timers.pop()[1]()
    loop.turn(lambda: patient.status == 200)


# Why: who has no timer must not keep a write from the disk for ever.
def test_without_a_timer_every_write_begins_its_sync() -> None:
    loop = Loop(has_timers=False)
    made = loop.ask("CreateTable", **table_request("log", "pk"))
    loop.turn(lambda: bool(made))
    patient = loop.put("i1")
    loop.turn(lambda: patient.status == 200)
    loop.database.close()
