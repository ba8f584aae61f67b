"""A database and its background work, put together in one way for whoever owns them: a server, a notebook, a test."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from penstock.database.actions import load
from penstock.database.database import Database
from penstock.database.jobs import JOBS
from penstock.database.own_actions import with_own
from penstock.database.sweeps import Sweeper
from penstock.database.weather import Weather
from penstock.database.weather_actions import BadDay
from penstock.ports import Clock
from penstock.store.interface import Store


def compose(
    store: Store,
    clock: Clock,
    kick: Callable[[], None],
    defer: Callable[[Callable[[], None]], None],
    fresh_id: Callable[[], str],
    *,
    folder: Path | None = None,
    waits_for_sync: bool = True,
    weather: Weather | None = None,
    kick_late: Callable[[], None] | None = None,
) -> tuple[Database, Sweeper]:
    """`folder` is the data directory, None where there is none; `weather` is AWS's on a bad day, None for an ordinary
    one. The other parameters are `Database`'s."""
    actions, jobs = with_own(load(), store, folder), JOBS
    bad_day = BadDay(weather) if weather is not None else None
    if bad_day is not None:
        actions, jobs = bad_day.over(actions), bad_day.jobs(jobs)
    database = Database(
        store, clock, actions, kick, defer, fresh_id, waits_for_sync=waits_for_sync, kick_late=kick_late
    )
    if bad_day is not None:
        bad_day.attach(database)
    return database, Sweeper(database, jobs)
