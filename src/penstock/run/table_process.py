"""The table process: the engine, the AWS API and the application's pages on one event loop.

The engine is called in the loop's own thread; the app reaches it without a socket. With `--store` there is no engine here:
the app then speaks to the other endpoint through a client.
"""

from __future__ import annotations

import asyncio
import errno
import importlib
import logging
import signal
import socket
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import uvloop

from penstock.app.application import App
from penstock.connect.client import Client
from penstock.connect.http import NoAnswer
from penstock.connect.json_caller import JsonCaller
from penstock.connect.ownership import Claim, claim_directory
from penstock.connect.urls import connect
from penstock.database.open import ServedDatabase, open_database
from penstock.errors import PenstockError, UsageError
from penstock.metrics.registry import Registry
from penstock.run.app_files import load_app
from penstock.run.declared_tables import ensure_tables, tables_of
from penstock.run.extras import has_app
from penstock.run.loop_transport import LoopTransport
from penstock.run.reports import BEAT_S, Reporter
from penstock.run.settings import HOST, Settings
from penstock.server.counters import Counters
from penstock.server.open_files import raise_file_limit
from penstock.server.serve import serve

_OTHERS_END_S = 5.0

log = logging.getLogger("penstock.table")


@dataclass
class Running:
    """What the parts of the process share."""

    settings: Settings
    app: App
    reporter: Reporter
    stop: asyncio.Event
    database: ServedDatabase | None = None
    counters: Counters | None = None


def main(settings: Settings, reporter: Reporter) -> None:
    raise_file_limit()
    app = load_app(settings.app_file)
    claim = claim_directory(settings.data) if settings.store is None else None
    try:
        uvloop.run(_run(settings, app, reporter, claim))
    finally:
        if claim is not None:
            claim.release()


async def _run(settings: Settings, app: App, reporter: Reporter, claim: Claim | None) -> None:
    loop = asyncio.get_running_loop()
    running = Running(settings, app, reporter, asyncio.Event())
    # The worker and the lake see that the supervisor is gone as well, and what they still have to write comes here.
    reporter.orphaned = lambda: loop.call_later(_OTHERS_END_S, running.stop.set)
    loop.add_signal_handler(signal.SIGTERM, running.stop.set)
    beating = asyncio.create_task(_beat(reporter))
    try:
        if claim is None:
            await _run_app(running)
        else:
            await _run_engine(running, claim)
    finally:
        beating.cancel()


async def _beat(reporter: Reporter) -> None:
    """From the loop itself: what hangs the loop silences it."""
    while True:
        reporter.alive()
        await asyncio.sleep(BEAT_S)


async def _run_engine(running: Running, claim: Claim) -> None:
    """The API serves first and ends last: the app stands on it, and so do the other processes."""
    loop = asyncio.get_running_loop()

    def post(call: Callable[[], None]) -> None:
        loop.call_soon_threadsafe(call)

    running.database = open_database(claim.folder, post=post, later=loop.call_later)
    api_stop = asyncio.Event()
    listening: asyncio.Future[tuple[int, Counters]] = loop.create_future()
    api = asyncio.create_task(
        serve(
            running.database,
            HOST,
            running.settings.api_port,
            ready=lambda _, port, counters: listening.set_result((port, counters)),
            unix=claim.bind(),
            stop=api_stop,
        )
    )
    api.add_done_callback(lambda _: running.stop.set())  # The engine may end by itself; see `serve`.
    try:
        waiting: set[asyncio.Future[Any]] = {api, listening}
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        if api.done():
            _explain_port(api.exception(), running.settings.api_port, "--api-port")
        port, running.counters = listening.result()
        running.settings = replace(running.settings, api_port=port)
        await _run_app(running)
    finally:
        api_stop.set()
        await asyncio.gather(api, return_exceptions=True)
        running.database.close()
    api.result()


def _explain_port(error: BaseException | None, port: int, option: str) -> None:
    cause = error.__cause__ if isinstance(error, UsageError) else error  # The server has it in words already.
    if isinstance(cause, OSError) and cause.errno == errno.EADDRINUSE:
        raise UsageError(f"port {port} is taken by another program; choose another with {option}") from error
    if error is not None:
        raise error


async def _run_app(running: Running) -> None:
    """Until it is time to stop. Declared tables are there before anybody is told that we are."""
    client = _client(running)
    try:
        making = asyncio.create_task(asyncio.to_thread(_make_tables, running, client))
        try:
            await _first(making, running.stop)
        except NoAnswer as error:
            raise PenstockError(
                f"no tables answer at {running.settings.api_url}, where --store says that they are: {error}"
            ) from error
        if running.stop.is_set():
            return
        addresses = {"api": running.settings.api_url}
        if not has_app():
            running.reporter.ready(addresses, _facts(running.app))
            await running.stop.wait()
            return
        await _run_pages(running, client, addresses)
    finally:
        client.close()


def _client(running: Running) -> Client:
    """For threads of this process."""
    if running.database is None:
        return connect(running.settings.api_url)
    return Client(JsonCaller(LoopTransport(running.database)))


async def _run_pages(running: Running, client: Client, addresses: dict[str, str]) -> None:
    pages = _pages()
    metrics = Registry()
    server = pages.PageServer(pages.build(running.app, running.settings, running.database, client, metrics))
    try:
        port = await server.start(running.settings.app_port, running.settings.host)
    except OSError as error:
        _explain_port(error, running.settings.app_port, "--app-port")
        if error.errno in (errno.EADDRNOTAVAIL, socket.EAI_NONAME):
            raise UsageError(
                f"{running.settings.host} is no address of this machine; choose another with --host"
            ) from error
        raise
    addresses["app"] = f"http://{HOST}:{port}"
    running.reporter.ready(addresses, _facts(running.app))
    try:
        await running.stop.wait()
    finally:
        await server.stop()


async def _first(task: asyncio.Task[None], stop: asyncio.Event) -> None:
    """Wait for the task, or for the stop, and raise what the task raises."""
    stopping = asyncio.create_task(stop.wait())
    waiting: set[asyncio.Future[Any]] = {task, stopping}
    await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if task.done():
        task.result()


def _pages() -> Any:
    """Loaded when it is needed: `pip install penstock` alone has no FastAPI, and the tables run without it."""
    return importlib.import_module("penstock.run.pages")


def _make_tables(running: Running, client: Client) -> None:
    made = ensure_tables(client, tables_of(running.app))
    if has_app():
        _pages().make_tables(running.app, client)
    if made:
        log.info("made %s", ", ".join(made))


def _facts(app: App) -> dict[str, str]:
    """What the announcement needs to know of the application."""
    facts = {"name": app.name, "tables": ", ".join(app.tables)}
    for predictor in app.predictors.values():
        facts.setdefault("predictor", predictor.name)
        facts.setdefault("example", predictor.example())
    for name in app.followed()[:1]:
        facts["lake_table"] = name
    return facts
