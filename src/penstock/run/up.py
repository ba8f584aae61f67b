"""`penstock up` as a function: the lock, the supervisor, and everybody who is told what happens."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import time
from collections.abc import Mapping, Sequence

from penstock.run.extras import has
from penstock.run.journal import Journal
from penstock.run.settings import TOKEN_VARIABLE, Settings, with_free_ports
from penstock.run.state import Picture, ProcessState, UpLock
from penstock.run.supervisor import LAKE, WORKER, Role, Supervisor, Watcher


class Everybody:
    """`Watcher` of several watchers."""

    def __init__(self, watchers: Sequence[Watcher]) -> None:
        self._watchers = watchers

    def line(self, name: str, text: str) -> None:
        for each in self._watchers:
            each.line(name, text)

    def changed(self, process: ProcessState) -> None:
        for each in self._watchers:
            each.changed(process)

    def said(self, name: str, text: str) -> None:
        for each in self._watchers:
            each.said(name, text)

    def progress(self, task: str, done: int, total: int, unit: str) -> None:
        for each in self._watchers:
            each.progress(task, done, total, unit)

    def announce(self, facts: Mapping[str, str]) -> None:
        for each in self._watchers:
            each.announce(facts)


class Up:
    """One `penstock up`. `run` returns the reason where it could not go on."""

    def __init__(self, settings: Settings, watchers: Sequence[Watcher]) -> None:
        picture = Picture(
            app=settings.app_file.parent.resolve().name,
            app_file=str(settings.app_file.resolve()),
            data=str(settings.data.resolve()),
            pid=os.getpid(),
            started_s=time.time(),
            processes=[],
        )
        self._lock = UpLock(settings.data)
        self._journal = Journal(settings.data, picture)
        self._watchers = [*watchers, self._journal]
        self._first = with_free_ports(settings)
        self._supervisor: Supervisor | None = None

    @property
    def settings(self) -> Settings:
        """With the ports that were really taken."""
        return self._supervisor.settings if self._supervisor is not None else self._first

    def run(self) -> str | None:
        try:
            return asyncio.run(self._run())
        finally:
            self._journal.close()
            self._lock.release()

    async def _run(self) -> str | None:
        others: tuple[Role, ...] = (WORKER, LAKE) if has("lake") else (WORKER,)
        environment = {**os.environ, TOKEN_VARIABLE: secrets.token_urlsafe(24)}
        self._supervisor = Supervisor(
            self._first, Everybody(self._watchers), others=others, environment=environment
        )
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self._supervisor.stop)
        return await self._supervisor.run()
