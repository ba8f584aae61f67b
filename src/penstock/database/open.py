"""Opening a data directory as a database that lives on an event loop: store, actions, sync thread and sweeps together."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from pathlib import Path

from penstock.database.appends import Appends
from penstock.database.compose import compose
from penstock.database.database import Done
from penstock.database.group_commit import LATE_S, SyncThread
from penstock.database.weather import Weather
from penstock.ports import Clock
from penstock.store.gathering import GatheringStore
from penstock.store.interface import Store
from penstock.store.rocks import open_store


class SystemClock:
    """`ports.Clock` of the machine."""

    def now_us(self) -> int:
        return time.time_ns() // 1000

    def monotonic_s(self) -> float:
        return time.monotonic()


def fresh_id() -> str:
    return str(uuid.uuid4())


Later = Callable[[float, Callable[[], None]], object]


class ServedDatabase:
    """`ports.Endpoint` on an event loop. `post` brings a call to the loop's thread, from any thread; `later` is the
    loop's `call_later`: without it every write begins a sync at once (G5 in group_commit.py)."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        post: Callable[[Callable[[], None]], None],
        durability: str,
        folder: Path | None = None,
        weather: Weather | None = None,
        later: Later | None = None,
    ) -> None:
        self._later = later
        self._is_late_set = False
        # Where answers do not wait for a sync, each batch is written before its answer.
        self._gathering = GatheringStore(store) if durability == "power" else None
        self.store: Store = self._gathering or store
        self._syncs = SyncThread(post, _nothing if self._gathering is None else self._gathering.seal)
        self.database, self._sweeper = compose(
            self.store,
            clock,
            self._syncs.kick,
            post,
            fresh_id,
            folder=folder,
            waits_for_sync=durability == "power",
            weather=weather,
            kick_late=None if later is None else self._kick_late,
        )
        if self._gathering is not None:
            self._gathering.on_lost = self.database.catalog.reload
        self._syncs.start(self.database.commit)
        self.start: Callable[..., None] = self.database.start
        # On a bad day what is appended has its weather too, by PutItem.
        self.appends: Appends | None = None
        if weather is None:
            self.appends = Appends(
                self.database, store.batch if self._gathering is None else self._gathering.batch_at_once
            )

    def _kick_late(self) -> None:
        if not self._is_late_set and self._later is not None:
            self._is_late_set = True
            self._later(LATE_S, self._late)

    def _late(self) -> None:
        self._is_late_set = False
        self.database.commit.hurry()

    def tick(self) -> float:
        """A slice of background work; raises where the store takes no writes until it is opened again."""
        if self.database.commit.lost is not None:
            raise self.database.commit.lost
        return self._sweeper.tick()

    def stop_waiting(self) -> None:
        """Answer every consumer that holds a page open. Call before waiting for the last answers to go out."""
        self.database.feed.close()

    def close(self) -> None:
        """Call after the last answer is out."""
        self._syncs.stop()
        try:
            self.store.sync()
        finally:
            self.store.close()


def _nothing() -> None:
    """To seal, where each batch is written at once."""


def open_database(
    folder: Path,
    *,
    post: Callable[[Callable[[], None]], None],
    clock: Clock | None = None,
    durability: str = "power",
    weather: Weather | None = None,
    later: Later | None = None,
) -> ServedDatabase:
    return ServedDatabase(
        open_store(folder), clock or SystemClock(), post, durability, folder, weather, later
    )


__all__ = ["Done", "ServedDatabase", "SystemClock", "open_database"]
