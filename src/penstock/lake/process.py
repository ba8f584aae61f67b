"""The lake process: one writer of the lake's tables, and its HTTP port.

`penstock.sql.service.start_lake(app, client_url, where, port)` composes it with SQL, which stands above this package.

P1. One process at a time writes a folder: it holds `writer.lock` there. Where there is no folder (another catalogue),
    and for a process that is only slow to die, the epoch of each table decides (see sink, I3).
P2. Tables are those that the application names; without any, every table that has a stream with both images, also one
    that is made later.
"""

from __future__ import annotations

import logging
import os
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Protocol

from penstock.app.application import App
from penstock.app.lake import LakeTable
from penstock.app.tables import Table
from penstock.connect.http import NoAnswer
from penstock.errors import PenstockError, ServiceError, UsageError
from penstock.lake.address import ADDRESS
from penstock.lake.api import Api, open_api
from penstock.lake.catalog_rest import CatalogRoutes
from penstock.lake.clock import SystemClock
from penstock.lake.following import Flow, Follower
from penstock.lake.healing import begin_anew, heal
from penstock.lake.iceberg.warehouse import Warehouse, open_warehouse
from penstock.lake.listener import HttpError, Listener, Request, Response, Route, json_response
from penstock.lake.rows import Shaping
from penstock.lake.sink import TableSink
from penstock.lake.stream import list_streams
from penstock.lake.upkeep import VERBS, Upkeep, compact_turn, count_files
from penstock.lake.writer_lock import WriterLock
from penstock.ports import Clock

STOP_S = 20.0  # For all tables together; what a commit in between leaves is found by the next start.
_DISCOVER_S = 5.0
_FILES_TOLD_MAX = 200
_OWN_TABLES = "penstock_"  # The product's own bookkeeping does not belong into the lake.
_log = logging.getLogger("penstock.lake")


class Job(Protocol):
    """Something that the lake process does beside following tables, such as curated tables and deliveries."""

    def start(self) -> None: ...

    def stop(self) -> None: ...

    def status(self) -> object: ...


class LakeProcess:
    """`start`, then `stop`. `status` may be asked at any time."""

    def __init__(
        self,
        app: App | None,
        client_url: str,
        where: str | Path | Mapping[str, str],
        port: int = 8181,
        *,
        clock: Clock | None = None,
        patience_s: float = 0.0,
    ) -> None:
        """`patience_s`: see WriterLock."""
        self.app, self._patience_s = app, patience_s
        self.warehouse: Warehouse = open_warehouse(where)
        self.clock: Clock = clock or SystemClock()
        self._client_url, self._port = client_url, port
        self._followers: dict[str, Follower] = {}
        self._upkeep = Upkeep(kept=self.warehouse.is_kept)
        self._routes: list[Route] = []
        self._jobs: list[Job] = []
        self._listener: Listener | None = None
        self._api: Api | None = None
        self._stop = threading.Event()
        self._lock = WriterLock(self.warehouse.folder)
        self._writer_id = f"{os.getpid()}-{uuid.uuid4()}"
        self._discoverer = threading.Thread(target=self._discover, name="lake-tables", daemon=True)

    @property
    def port(self) -> int:
        return self._listener.port if self._listener is not None else self._port

    def add_routes(self, routes: Sequence[Route]) -> None:
        """Before `start`."""
        self._routes += routes

    def add_job(self, job: Job) -> None:
        """Before `start`."""
        self._jobs.append(job)

    def start(self) -> LakeProcess:
        self._lock.take(self._patience_s)
        try:
            self._listener = Listener([*self._own_routes(), *self._routes], self._port)
        except BaseException:
            self._lock.release()
            raise
        if self.warehouse.folder is not None:
            (self.warehouse.folder / ADDRESS).write_text(f"http://127.0.0.1:{self.port}\n")
        self._discoverer.start()
        for job in self._jobs:
            job.start()
        return self

    def stop(self) -> None:
        """Let each table finish the commit that it is in."""
        self._stop.set()
        for job in self._jobs:
            job.stop()
        if self._discoverer.is_alive():
            self._discoverer.join(10)
        for follower in self.followers:
            follower.stop()
        ends_s = time.monotonic() + STOP_S
        for follower in self.followers:
            follower.join(max(0.0, ends_s - time.monotonic()))
        if self._listener is not None:
            self._listener.close()
        if self._api is not None:
            self._api.close()
        self._lock.release()

    def status(self) -> dict[str, object]:
        now_us = self.clock.now_us()
        return {
            "tables": [_told(follower.flow, now_us) for follower in self._followers.values()],
            "jobs": [job.status() for job in self._jobs],
        }

    def follower(self, table: str) -> Follower:
        found = self._followers.get(table)
        if found is None:
            raise UsageError(
                f"{table} is not followed here; there are {', '.join(self._followers) or 'none'}"
            )
        return found

    @property
    def followers(self) -> Iterable[Follower]:
        return list(self._followers.values())

    # -- P2 --

    def _discover(self) -> None:
        said = ""
        while not self._stop.is_set():
            try:
                if self._api is None:
                    self._api = open_api(self._client_url)
                for table in self._wanted(self._api):
                    if table.table.name not in self._followers:
                        self._follow(table, self._api)
                said = ""
            except (ServiceError, NoAnswer, PenstockError, OSError) as error:
                if str(error) != said:
                    said = str(error)
                    _log.warning("the tables do not answer: %s", error)
            self._stop.wait(_DISCOVER_S if self._followers else 1.0)

    def _wanted(self, api: Api) -> list[LakeTable]:
        if self.app is not None and self.app.lake_tables:
            return list(self.app.lake_tables.values())
        names = {stream["TableName"] for stream in list_streams(api)}
        return [LakeTable(_undeclared(name)) for name in sorted(names) if not name.startswith(_OWN_TABLES)]

    def _follow(self, table: LakeTable, api: Api) -> None:
        def shaping(keys: tuple[str, ...]) -> Shaping:
            return Shaping(keys, table.mask, table.drop, table.transform)

        def make() -> TableSink:
            return TableSink(
                self.warehouse,
                api,
                table.table.name,
                self.clock,
                self._writer_id,
                shaping,
                dict(table.schema or {}),
            )

        follower = Follower(table.table.name, make, self.clock, self._upkeep.tick)
        self._followers[table.table.name] = follower
        follower.start()

    # -- HTTP --

    def _own_routes(self) -> list[Route]:
        local = self.warehouse.local
        return [
            *(CatalogRoutes(local).routes() if local is not None else ()),
            Route("POST", "/lake/{table}/anew", self._anew),
            Route("POST", "/lake/{table}/{verb}", self._maintain),
            Route("GET", "/status", lambda _: json_response(self.status())),
            Route("GET", "/files/{namespace}/{table}", self._files),
            Route("GET", "/healthz", self._health),
        ]

    def _files(self, request: Request) -> Response:
        """What a table's latest snapshot consists of; the largest, where they are many."""
        namespace, name = request.parts["namespace"], request.parts["table"]
        found = self.warehouse.find(namespace, name)
        if found is None:
            raise HttpError(404, f"no table {namespace}.{name}")
        files = found.files()
        return json_response(
            {"count": len(files), "files": [asdict(each) for each in files[:_FILES_TOLD_MAX]]}
        )

    def _maintain(self, request: Request) -> Response:
        """`compact`, `expire`, `rebuild`: done on the table's writer, between two commits."""
        verb = VERBS.get(request.parts["verb"])
        if verb is None:
            raise HttpError(404, f"no {request.parts['verb']!r}; there are {', '.join(VERBS)}")
        follower = self.follower(request.parts["table"])
        if follower.ended and verb is VERBS["rebuild"]:
            return json_response({"done": self._restart(follower, heal)})
        if verb is VERBS["compact"]:
            return json_response({"done": _compacted(follower)})
        return json_response({"done": follower.ask(verb)})

    def _anew(self, request: Request) -> Response:
        """`rebuild --anew`."""
        follower = self.follower(request.parts["table"])
        follower.stop()
        follower.join()
        if not follower.ended:
            raise UsageError(f"{follower.flow.table}: the sink is busy")
        return json_response({"done": self._restart(follower, begin_anew)})

    def _restart(self, ended: Follower, mend: Callable[[Warehouse, str], list[str]]) -> list[str]:
        """Another follower in place of one that has ended, after what its table needed."""
        name = ended.flow.table
        done = mend(self.warehouse, name)
        follower = self._followers[name] = ended.another()
        follower.start()
        return [*done, f"{name}: followed again"]

    def _health(self, _: Request) -> Response:
        failed = [follower.flow.table for follower in self.followers if follower.flow.state == "failed"]
        return json_response({"healthy": not failed, "failed": failed}, 503 if failed else 200)


def _undeclared(name: str) -> Table:
    return Table(name, "", None, {}, True, {})


def _told(flow: Flow, now_us: int) -> dict[str, object]:
    told = asdict(flow)
    told["behind_s"] = round((now_us - flow.caught_up_us) / 1_000_000, 1) if flow.caught_up_us else None
    return told


def _compacted(follower: Follower) -> list[object]:
    """Turn by turn, with the stream's changes between them; files that come meanwhile are not waited for."""
    told: list[object] = []
    turns = follower.ask(count_files)
    assert isinstance(turns, int)
    for _ in range(turns):
        done = follower.ask(compact_turn)
        if not isinstance(done, list) or not done:
            break
        told += done
    return told
