"""The application's HTTP side in the table process: predictions, events, deliveries and the console, on uvicorn in our loop."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import Response

from penstock.app.application import App
from penstock.connect.client import Client
from penstock.console import pages as console
from penstock.console.context import Context
from penstock.database.open import ServedDatabase
from penstock.events.ingest import Bounds, Ingestion
from penstock.events.system_tables import ensure_table
from penstock.metrics.exposition import CONTENT_TYPE, text
from penstock.metrics.registry import Registry
from penstock.models import registry
from penstock.run.declared_tables import ensure_tables
from penstock.run.forwarding import Handlers, Upstream
from penstock.run.settings import HOST, TOKEN_VARIABLE, Settings
from penstock.serving import inference_log
from penstock.serving.http import build_app
from penstock.serving.store import AsyncStore, ClientStore, EndpointStore

_BACKLOG = 1024
_POLL_S = 0.01
_GRACE_S = 5  # For answers that are still owed; a browser's open page stream is cut then.


def build(
    app: App, settings: Settings, database: ServedDatabase | None, client: Client, metrics: Registry
) -> FastAPI:
    """`database` is the engine in this process; where the tables are elsewhere the app reaches them through `client`."""
    store: AsyncStore = ClientStore(client)
    if database is not None:
        # Features read what is applied; the position that an inference is logged with is the same moment's.
        store = EndpointStore(database, database.database.view.last_sequence)
    pages = build_app(app, store, artifacts=settings.models_folder, metrics=metrics)
    pages.add_api_route("/health", _health, summary="Whether this process answers")
    pages.add_api_route(
        "/metrics", lambda: Response(text(metrics), media_type=CONTENT_TYPE), include_in_schema=False
    )
    _add_events(pages, app, client, metrics)
    if app.deliveries:
        lake = Upstream(settings.lake_url)
        pages.add_api_route(
            "/deliveries/{name}",
            lake.ask,
            methods=["POST"],
            summary="Put records into a delivery stream",
            response_model=None,
        )
    _mount_console(pages, app, settings, store, client, metrics)
    if app.http_handlers:
        token = os.environ.pop(TOKEN_VARIABLE, "")
        pages.mount("/", Handlers(app.http_handlers, settings.handlers_url, token))
    return pages


async def _health() -> dict[str, str]:
    return {"status": "ok"}


def _add_events(pages: FastAPI, app: App, client: Client, metrics: Registry) -> None:
    """Ingestion blocks while it writes, so it has threads of its own: as many as it lets requests in."""
    ingestion = Ingestion(app, client, registry=metrics)
    threads = ThreadPoolExecutor(Bounds().requests_at_once, thread_name_prefix="penstock-events")

    async def take(table: str, request: Request) -> Response:
        body = await request.body()
        headers = request.headers
        reply = await asyncio.get_running_loop().run_in_executor(
            threads,
            ingestion.take,
            table,
            body,
            headers.get("content-type", ""),
            headers.get("idempotency-key"),
        )
        return Response(reply.body, reply.status, reply.headers)

    pages.add_api_route(
        "/events/{table}",
        take,
        methods=["POST"],
        summary="Store events",
        description="One JSON object, an array of them, or one a line. An Idempotency-Key makes a retry safe.",
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


def _mount_console(
    pages: FastAPI, app: App, settings: Settings, store: AsyncStore, client: Client, metrics: Registry
) -> None:
    context = Context(
        app,
        store,
        client,
        api_url=settings.api_url,
        lake_url=settings.lake_url,
        app_file=settings.app_file,
        boards=settings.boards_folder,
        models=settings.models_folder,
        metrics=metrics,
    )
    console.mount(pages, context)


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
    def __init__(self, pages: FastAPI) -> None:
        self._server = _Server(
            uvicorn.Config(
                pages,
                log_level="warning",
                access_log=False,
                timeout_graceful_shutdown=_GRACE_S,
                backlog=_BACKLOG,
            )
        )
        self._serving: asyncio.Task[None] | None = None

    async def start(self, port: int) -> int:
        """Listen, and say on which port. Raises OSError where that is taken."""
        bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            bound.bind((HOST, port))
        except OSError:
            bound.close()
            raise
        self._serving = asyncio.create_task(self._server.serve(sockets=[bound]))
        while not self._server.started and not self._serving.done():
            await asyncio.sleep(_POLL_S)
        if self._serving.done():
            self._serving.result()
        return int(bound.getsockname()[1])

    async def stop(self) -> None:
        self._server.should_exit = True
        if self._serving is not None:
            await self._serving
