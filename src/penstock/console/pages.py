"""The console put together: `mount(app, context)` adds it to the application's HTTP side under /console."""

from __future__ import annotations

import threading

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from penstock.console.boards import BoardPages
from penstock.console.context import Context
from penstock.console.guard import PREFIX, Guard
from penstock.console.inferences import InferencePages
from penstock.console.items import ItemPages
from penstock.console.lake import LakePages
from penstock.console.lake_client import LakeClient
from penstock.console.monitoring import MonitorPages
from penstock.console.overview import OverviewPages
from penstock.console.predictors import PredictorPages
from penstock.console.recipes import RecipePages
from penstock.console.rendering import HERE, Pages
from penstock.console.sign_in import SignIn
from penstock.console.streams import StreamPages
from penstock.console.tables import TablePages
from penstock.errors import PenstockError, StoreUnavailable

COMPILE_AFTER_S = 3.0


def mount(app: Starlette, context: Context) -> None:
    """`app` is the application's FastAPI; pages call its own HTTP API from inside."""
    app.mount(PREFIX, build(app, context))


def _compile_soon(pages: Pages) -> None:
    """A little later: the start of the application comes first."""
    compiling = threading.Timer(COMPILE_AFTER_S, pages.compile_all)
    compiling.daemon = True
    compiling.start()


def build(app: Starlette, context: Context) -> Starlette:
    pages = Pages(context)
    _compile_soon(pages)
    tables, lake = TablePages(pages), LakeClient(context.lake_url)
    streams, predictors = StreamPages(pages, lake), PredictorPages(pages, app, lake)
    routes = [
        Mount("/static", _Static(directory=HERE / "static"), name="static"),
        *SignIn(pages).routes(),
        *ItemPages(pages, tables).routes(),
        *tables.routes(),
        *LakePages(pages, lake).routes(),
        *BoardPages(pages, lake).routes(),
        *streams.routes(),
        *MonitorPages(pages).routes(),
        *predictors.routes(),
        *InferencePages(pages, predictors.registry).routes(),
        *RecipePages(pages).routes(),
        *OverviewPages(pages, tables, streams, predictors, lake).routes(),
        Route("/{rest:path}", _Missing(pages).show),
    ]

    async def failed(request: Request, error: Exception) -> Response:
        busy = isinstance(error, StoreUnavailable)
        return pages.show(request, "missing.html", 503 if busy else 502, what=str(error), back="")

    return Starlette(
        routes=routes,
        middleware=[Middleware(Guard, context=context)],
        exception_handlers={PenstockError: failed},
    )


class _Missing:
    def __init__(self, pages: Pages) -> None:
        self._pages = pages

    async def show(self, request: Request) -> Response:
        if request.url.path == PREFIX:
            return RedirectResponse(f"{PREFIX}/", 308)
        return self._pages.show(request, "missing.html", 404, what="There is no such page.", back="")


class _Static(StaticFiles):
    """Addresses carry a fingerprint of the files, so a browser may keep them."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        if response.status_code == 200:
            response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
        return response
