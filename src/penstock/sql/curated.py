"""Keeps an application's curated tables fresh: each is made again when it is due and its sources have changed.

A query that fails leaves the table as it was; the reason is told until it succeeds.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence

from penstock.app.lake import CuratedTable
from penstock.errors import PenstockError
from penstock.ports import Clock
from penstock.sql.lake import Lake
from penstock.sql.made_tables import write_into

_QUERY = "penstock-curated"
_log = logging.getLogger("penstock.lake")


class Curator:
    """The job that keeps an application's curated tables fresh, one after the other."""

    def __init__(self, lake: Lake, tables: Sequence[CuratedTable], clock: Clock) -> None:
        self._lake, self._tables, self._clock = lake, tables, clock
        self._due_s = {table.name: clock.monotonic_s() for table in tables}
        self._said: dict[str, str] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="lake-curated", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._lake.questions.cancel(_QUERY)
        self._thread.join(10)

    def status(self) -> object:
        return {"curated": {table.name: self._said.get(table.name, "waiting") for table in self._tables}}

    def tick(self) -> None:
        """Make every table that is due."""
        for table in self._tables:
            now_s = self._clock.monotonic_s()
            if now_s < self._due_s[table.name]:
                continue
            self._due_s[table.name] = now_s + table.every_s
            try:
                made = write_into(
                    self._lake,
                    table.name,
                    table.sql,
                    now_us=self._clock.now_us(),
                    always=False,
                    id_=_QUERY,
                )
                self._say(table.name, "made" if made else "fresh")
            except (PenstockError, OSError) as error:
                self._say(table.name, f"failed: {error}")

    def _say(self, name: str, what: str) -> None:
        if what.startswith("failed") and self._said.get(name) != what:
            _log.warning("%s: %s", name, what)
        self._said[name] = what

    def _run(self) -> None:
        while not self._stop.wait(0.5):
            self.tick()
