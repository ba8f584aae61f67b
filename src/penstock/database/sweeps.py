"""Background work in slices: backfill of new indexes, expired items, trimmed changes, forgotten tokens.

Each job is a generator over the database that yields between steps of well under 2 ms; `Sweeper.tick` gives each that
has work a slice. A job decides and applies plans like any request, so it needs no lock and no second kind of write.
A job that is done for now yields the seconds until it wants to look again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import TypeAlias

from penstock.database.database import SLICE_S, Database
from penstock.errors import PenstockError

log = logging.getLogger("penstock.database")

Job: TypeAlias = Generator[float, None, None]
IDLE_S = 1.0


@dataclass(slots=True)
class Due:
    """A job and the time at which it wants to go on."""

    at_s: float
    job: Job
    name: str


class Sweeper:
    """The jobs of one database."""

    def __init__(self, database: Database, jobs: list[Callable[[Database], Job]]) -> None:
        self._database = database
        self._jobs = [Due(0.0, job(database), job.__name__) for job in jobs]

    def tick(self) -> float:
        """One slice of background work. Returns the seconds until the next is due."""
        monotonic_s = self._database.clock.monotonic_s
        started = monotonic_s()
        until = started + SLICE_S
        for due in self._jobs:
            while due.at_s <= started and monotonic_s() < until:
                try:
                    due.at_s = monotonic_s() + next(due.job)
                except PenstockError as error:
                    # A job that met damage is over; the others, and whoever waits for time to pass, are not.
                    log.error("background work %s has stopped: %s", due.name, error)
                    due.at_s = float("inf")
        soonest = min((due.at_s for due in self._jobs), default=float("inf"))
        return min(max(0.0, soonest - monotonic_s()), IDLE_S)
