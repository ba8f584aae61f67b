"""The application's HTTP side in the table process: predictions, events, deliveries and the console, on uvicorn in our loop."""

from __future__ import annotations

import asyncio
import gc
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import RedirectResponse, Response
from starlette.types import ASGIApp

from penstock.app.application import App
from penstock.connect.client import Client
from penstock.console import pages as console
from penstock.console.context import Context
from penstock.console.door import Door
from penstock.console.guard import PREFIX
from penstock.database.open import ServedDatabase
from penstock.events.consumer_metrics import watch_consumers
from penstock.events.ingest import Ingestion
from penstock.events.ingest_door import IngestDoor
from penstock.events.system_tables import ensure_table
from penstock.features.definition import Plan
from penstock.features.tile_reach import soon_reach
from penstock.metrics.exposition import CONTENT_TYPE, text
from penstock.metrics.registry import Registry
from penstock.models import registry
from penstock.run.declared_tables import ensure_tables
from penstock.run.forwarding import Handlers, Upstream
from penstock.run.settings import HOST, PASSWORD_VARIABLE, TOKEN_VARIABLE, Settings
from penstock.serving import inference_log
from penstock.serving.http import build_app
from penstock.serving.prediction_protocol import PredictionProtocol
from penstock.serving.store import AsyncStore, ClientStore, EndpointStore

_BACKLOG = 1024
_POLL_S = 0.01
# Without it FastAPI describes a 422 of its own for every path with a name in it, which no route here gives.
_OTHER: dict[int | str, dict[str, Any]] = {"default": {"description": "A refusal, with its `message`."}}
_REACH_PAUSES_S = (0.0, 0.05, 0.1)  # A campaign's first line waits for it.
_GRACE_S = 5  # For answers that are still owed; a browser's open page stream is cut then.


def build(
    app: App, settings: Settings, database: ServedDatabase | None, client: Client, metrics: Registry
) -> ASGIApp:
    """`database` is the engine in this process; where the tables are elsewhere the app reaches them through `client`."""
    store: AsyncStore = ClientStore(client)
    if database is not None:
        # Features read what is applied; the position that an inference is logged with is the same moment's.
        store = EndpointStore(database, database.database.view.last_sequence, database.appends)

    def tiles_reach(plan: Plan, until_s: float) -> bool:
        return database is not None and soon_reach(client, plan, until_s, time.sleep, _REACH_PAUSES_S)

    pages = build_app(app, store, artifacts=settings.models_folder, metrics=metrics, tiles_reach=tiles_reach)
    pages.add_api_route("/health", _health, summary="Whether this process answers")
    pages.add_api_route(
        "/metrics", lambda: Response(text(metrics), media_type=CONTENT_TYPE), include_in_schema=False
    )
    watch_consumers(metrics, client)
    if database is not None:
        _watch_changes(metrics, database)
    _add_events(pages, app, client, metrics)
    if app.deliveries:
        lake = Upstream(settings.lake_url)
        pages.add_api_route(
            "/deliveries/{name}",
            lake.ask,
            methods=["POST"],
            summary="Put records into a delivery stream",
            responses=_OTHER,
            response_model=None,
        )
    context = _console_context(app, settings, store, client, metrics)
    if database is not None:
        context.changes = lambda: database.database.changes
    console.mount(pages, context)
    if ("GET", "/") not in {(each.method, each.path) for each in app.http_handlers}:
        # Whoever types only the address into a browser means the console.
        pages.add_api_route(
            "/", lambda: RedirectResponse(f"{PREFIX}/"), include_in_schema=False, response_model=None
        )
    if app.http_handlers:
        token = os.environ.pop(TOKEN_VARIABLE, "")
        pages.mount("/", Handlers(app.http_handlers, settings.handlers_url, token))
    return pages if settings.outside_url is None else Door(pages, context)


def _watch_changes(metrics: Registry, database: ServedDatabase) -> None:
    metrics.watch(
        "penstock_changes_total",
        "Change records written to the tables' streams.",
        read=lambda: [((), database.database.changes)],
        kind="counter",
    )


async def _health() -> dict[str, str]:
    return {"status": "ok"}


def _add_events(pages: FastAPI, app: App, client: Client, metrics: Registry) -> None:
    door = IngestDoor(Ingestion(app, client, registry=metrics))

    async def take(table: str, request: Request) -> Response:
        reply = await door.take(table, request.headers, request.stream())
        return Response(reply.body, reply.status, reply.headers)

    pages.add_api_route(
        "/events/{table}",
        take,
        methods=["POST"],
        summary="Store events",
        description="One JSON object, an array of them, or one a line. An Idempotency-Key makes a retry safe.",
        responses=_OTHER,
        response_class=Response,
        response_model=None,
        openapi_extra={
            "requestBody": {
                "required": True,
                "content": {
                    "application/json": {"schema": {"type": "object"}},
                    "application/x-ndjson": {"schema": {"type": "string"}},
                },
            }
        },
    )


def _console_context(
    app: App, settings: Settings, store: AsyncStore, client: Client, metrics: Registry
) -> Context:
    return Context(
        app,
        store,
        client,
        api_url=settings.api_url,
        lake_url=settings.lake_url,
        app_file=settings.app_file,
        boards=settings.boards_folder,
        models=settings.models_folder,
        metrics=metrics,
        password=os.environ.pop(PASSWORD_VARIABLE, None),
    )


def make_tables(app: App, client: Client) -> None:
    """What serving keeps: the registry of models, and the inference log, which is a table like any other."""
    if app.predictors:
        ensure_table(client, registry.DEFINITION)
        ensure_tables(client, [inference_log.table()])


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """The process' own handlers stay: the order of its end is not uvicorn's to decide."""
        yield


class PageServer:
    def __init__(self, pages: ASGIApp) -> None:
        self._server = _Server(
            uvicorn.Config(
                pages,
                http=PredictionProtocol,
                log_level="warning",
                access_log=False,
                timeout_graceful_shutdown=_GRACE_S,
                backlog=_BACKLOG,
            )
        )
        self._serving: asyncio.Task[None] | None = None

    async def start(self, port: int, host: str = HOST) -> int:
        """Listen on loopback, and on `host` too, and say on which port. Raises OSError where that is taken."""
        sockets = _bind_all(host, port)
        self._serving = asyncio.create_task(self._server.serve(sockets=sockets))
        while not self._server.started and not self._serving.done():
            await asyncio.sleep(_POLL_S)
        if self._serving.done():
            self._serving.result()
        # All that was made until now stays: looking through it for cycles held every request up for 116 ms, now and then.
        gc.freeze()
        return int(sockets[0].getsockname()[1])

    async def stop(self) -> None:
        self._server.should_exit = True
        if self._serving is not None:
            await self._serving


def _bind_all(host: str, port: int) -> list[socket.socket]:
    """All addresses at once include loopback; a single other one stands beside it."""
    if host in ("0.0.0.0", "::"):
        return [_bind(host, port)]
    sockets = [_bind(HOST, port)]
    if host not in (HOST, "localhost"):
        try:
            sockets.append(_bind(host, int(sockets[0].getsockname()[1])))
        except OSError:
            sockets[0].close()
            raise
    return sockets


def _bind(host: str, port: int) -> socket.socket:
    bound = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if host == "::":
        bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    try:
        bound.bind((host, port))
    except OSError:
        bound.close()
        raise
    return bound
