"""Supervision: the processes of `penstock up` started in order, kept running, stopped in order.

S1. The table process comes first; worker and lake start when it is ready, because both stand on it. They end first, and
    the table process last, so that what they still have to write finds it.
S2. A process that dies is started again after a growing pause (restarts.py), whatever else runs. One that says that a
    restart will not help is left alone: if it is the table process everything stops, otherwise the rest goes on.
S3. A process that is silent for `UNHEARD_S` hangs: it is asked for its stacks, killed and started again.
S4. An address that a process took stays its address through restarts.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol
from urllib.parse import urlsplit

from penstock.run import child
from penstock.run.child import Child
from penstock.run.reports import UNHEARD_S, Report
from penstock.run.restarts import HOPELESS, Restarts
from penstock.run.settings import PortSetting, Settings, to_text, with_port
from penstock.run.state import ProcessState

GRACE_S = 30.0  # For a handler's batch and the lake's commit to come to their end.
_WATCH_S = 1.0


class Watcher(Protocol):
    """Who is told what happens: the terminal, the files for `penstock status`, a test."""

    def line(self, name: str, text: str) -> None: ...
    def changed(self, process: ProcessState) -> None: ...
    def said(self, name: str, text: str) -> None: ...
    def progress(self, task: str, done: int, total: int, unit: str) -> None: ...
    def announce(self, facts: Mapping[str, str]) -> None: ...


@dataclass
class Role:
    """One kind of process: the arguments that start it, and the settings' field that each address of it fills."""

    name: str
    arguments: Callable[[Settings], list[str]]
    ports: Mapping[str, PortSetting] = field(default_factory=dict)


def role(name: str, **ports: PortSetting) -> Role:
    return Role(name, lambda settings: ["-m", "penstock.run.process", name, to_text(settings)], ports)


TABLE = role("table", api="api_port", app="app_port")
WORKER = role("worker")
LAKE = role("lake", lake="lake_port")


class Supervised:
    """One role over all its lives."""

    def __init__(self, role: Role, watcher: Watcher) -> None:
        self.role = role
        self.state = ProcessState(role.name, "waiting")
        self.restarts = Restarts()
        self.child: Child | None = None
        self.was_ready = asyncio.Event()
        self.hopeless: str | None = None
        self.facts: dict[str, str] = {}
        self._watcher = watcher

    def become(self, state: str, detail: str = "") -> None:
        self.state.state, self.state.detail, self.state.since_s = state, detail, time.time()
        self.state.pid = self.child.pid if self.child is not None else 0
        self.state.restarts = self.restarts.total
        self._watcher.changed(self.state)


class Supervisor:
    def __init__(
        self,
        settings: Settings,
        watcher: Watcher,
        *,
        base: Role = TABLE,
        others: tuple[Role, ...] = (WORKER, LAKE),
        environment: Mapping[str, str] | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.settings = settings
        self._watcher = watcher
        self._environment = dict(os.environ if environment is None else environment)
        self._sleep = sleep
        self._stopping = asyncio.Event()
        self._killing = asyncio.Event()
        self.base = Supervised(base, watcher)
        self.others = [Supervised(each, watcher) for each in others]

    @property
    def all(self) -> list[Supervised]:
        return [self.base, *self.others]

    def stop(self) -> None:
        """Once: in good order. Twice: at once."""
        if self._stopping.is_set():
            self._killing.set()
        self._stopping.set()

    async def run(self) -> str | None:
        """Until `stop`, or until the base process is hopeless: then the reason is returned."""
        keeping = {each: asyncio.create_task(self._keep_after_base(each)) for each in self.others}
        base = asyncio.create_task(self._keep(self.base))
        announcing = asyncio.create_task(self._announce())
        stopping = asyncio.create_task(self._stopping.wait())
        try:
            waiting: set[asyncio.Task[object]] = {base, stopping}
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._stopping.set()
            announcing.cancel()
            await self._end(keeping, base)
        return self.base.hopeless

    async def _end(self, keeping: dict[Supervised, asyncio.Task[None]], base: asyncio.Task[None]) -> None:
        killing = asyncio.create_task(self._kill_when_told())
        await asyncio.gather(*(self._end_one(each, task) for each, task in keeping.items()))
        await self._end_one(self.base, base)
        killing.cancel()

    async def _end_one(self, each: Supervised, keeping: asyncio.Task[None]) -> None:
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)
        if each.child is not None and not each.child.ended.done():
            each.become("stopping")
            if not await each.child.end_within(GRACE_S):
                self._watcher.line(each.role.name, f"WARNING penstock.run: killed after {GRACE_S:.0f} s")
        each.child = None
        if each.hopeless is None:
            each.become("stopped")

    async def _kill_when_told(self) -> None:
        await self._killing.wait()
        for each in self.all:
            if each.child is not None:
                each.child.tell(signal.SIGKILL)

    async def _keep_after_base(self, each: Supervised) -> None:
        await self.base.was_ready.wait()
        await self._keep(each)

    async def _keep(self, each: Supervised) -> None:
        """One life after another."""
        name = each.role.name
        while True:
            each.child = await child.start(
                each.role.arguments(self.settings),
                self._environment,
                lambda text: self._watcher.line(name, text),
                lambda report: self._take(each, report),
            )
            each.restarts.started(time.monotonic())
            each.become("starting")
            code = await self._watch(each.child)
            each.child = None
            if self._stopping.is_set():
                return  # Killed because somebody could not wait.
            if code == HOPELESS:
                each.hopeless = each.hopeless or "it ended and said that a restart will not help"
                each.become("failed", each.hopeless)
                return
            pause_s = each.restarts.pause_s(time.monotonic())
            each.become("waiting", f"{_how_it_ended(code)}; starts again in {pause_s:.1f} s")
            await self._sleep(pause_s)

    async def _watch(self, living: Child) -> int:
        while True:
            done, _ = await asyncio.wait([living.ended], timeout=_WATCH_S)
            if done:
                return living.ended.result()
            if time.monotonic() - living.heard_s > UNHEARD_S:
                await living.cut_off()

    def _take(self, each: Supervised, report: Report) -> None:
        match report.kind:
            case "ready":
                self._settle_ports(each, report.addresses)
                each.facts = report.facts
                each.state.addresses = report.addresses
                each.become("ready")
                each.was_ready.set()
            case "said":
                self._watcher.said(each.role.name, report.text)
            case "progress":
                self._watcher.progress(report.task, report.done, report.total, report.unit)
            case "failed":
                each.hopeless = report.text

    def _settle_ports(self, each: Supervised, addresses: Mapping[str, str]) -> None:
        """S4: from now on the others, and the next life of this one, are told the port that was taken."""
        for name, setting in each.role.ports.items():
            port = urlsplit(addresses.get(name, "")).port
            if port is not None:
                self.settings = with_port(self.settings, setting, port)

    async def _announce(self) -> None:
        """When every process has been ready, or has given up, once."""
        await asyncio.gather(*(self._ready_or_hopeless(each) for each in self.all))
        self._watcher.announce(self.base.facts)

    async def _ready_or_hopeless(self, each: Supervised) -> None:
        while not each.was_ready.is_set() and each.hopeless is None:
            await asyncio.sleep(0.05)


def _how_it_ended(code: int) -> str:
    return f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
