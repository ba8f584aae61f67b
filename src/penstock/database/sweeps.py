"""Background work in slices: backfill of new indexes, expired items, trimmed changes, forgotten tokens.

Each job is a generator over the database that yields between steps of well under 2 ms; `Sweeper.tick` gives each that
has work a slice. A job decides and applies plans like any request, so it needs no lock and no second kind of write.
A job that is done for now yields the seconds until it wants to look again.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import TypeAlias

from penstock.database.database import SLICE_S, Database

Job: TypeAlias = Generator[float, None, None]
IDLE_S = 1.0


class Sweeper:
    """The jobs of one database, each with the time at which it wants to go on."""

    def __init__(self, database: Database, jobs: list[Callable[[Database], Job]]) -> None:
        self._database = database
        self._jobs = [[0.0, job(database)] for job in jobs]

    def tick(self) -> float:
        """One slice of background work. Returns the seconds until the next is due."""
        monotonic_s = self._database.clock.monotonic_s
        started = monotonic_s()
        until = started + SLICE_S
        for entry in self._jobs:
            due, job = entry
            while due <= started and monotonic_s() < until:  # type: ignore[operator]
                due = entry[0] = monotonic_s() + next(job)  # type: ignore[arg-type,call-overload]
        soonest = min((entry[0] for entry in self._jobs), default=started + IDLE_S)
        return max(0.0, float(soonest) - monotonic_s())  # type: ignore[arg-type]
