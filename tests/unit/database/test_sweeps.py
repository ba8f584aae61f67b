"""Background work: each job in its time, and none takes another down."""

from __future__ import annotations

from penstock.database.database import Database
from penstock.database.sweeps import IDLE_S, Job, Sweeper
from penstock.errors import Corruption
from penstock.testing.databases import MemoryDatabase


# Why: damage that one job meets must not end the time-outs of waiting consumers, expiry and the rest with it.
def test_a_job_that_meets_damage_ends_alone() -> None:
    db = MemoryDatabase()
    looks: list[float] = []

    def damaged(database: Database) -> Job:
        yield 0.5
        raise Corruption("a block does not match its checksum")

    def sound(database: Database) -> Job:
        while True:
            looks.append(database.clock.monotonic_s())
            yield 0.5

    sweeper = Sweeper(db.database, [damaged, sound])
    for _ in range(4):
        sweeper.tick()
        db.clock.advance(0.5)
    assert looks == [0.0, 0.5, 1.0, 1.5]


# Why: the driver sleeps for what `tick` returns, so it has to be a time that comes, and soon enough for new work.
def test_a_tick_says_when_the_next_is_due_and_never_more_than_a_second() -> None:
    db = MemoryDatabase()

    def every(pause_s: float) -> Job:
        while True:
            yield pause_s

    assert Sweeper(db.database, [lambda _: every(0.3), lambda _: every(0.7)]).tick() == 0.3
    assert Sweeper(db.database, [lambda _: every(60.0)]).tick() == IDLE_S
    assert Sweeper(db.database, []).tick() == IDLE_S
