"""Requests that no route takes, refused as all others are: a code for programs, and for people what there is instead.

A method that a path does not take is 405, and `Allow` names those that it takes; any other path is 404. What the framework would
say of either has another shape, and names the methods of one of a path's routes.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Match, Route

from penstock.serving.problems import RequestProblem, no_route, wrong_method


def refuse_by(hint: str) -> Callable[[Request, Exception], Awaitable[Response]]:
    """A handler of Starlette's 404 and 405. `hint` says where something is."""

    async def refuse(request: Request, _: Exception) -> Response:
        path = request.scope.get("raw_path", b"").partition(b"?")[0].decode("latin-1") or request.url.path
        methods = _methods(request)
        if methods and request.method not in methods:
            problem = wrong_method(request.method, path, methods)
        else:
            problem = no_route(request.method, path, hint)
        return _told(problem, methods)

    return refuse


def _methods(request: Request) -> list[str]:
    """What the path takes, over all routes of it."""
    app: Starlette = request.app
    found: set[str] = set()
    for route in app.routes:
        if isinstance(route, Route) and route.matches(request.scope)[0] is not Match.NONE:
            found |= route.methods or set()
    return sorted(found)


def _told(problem: RequestProblem, methods: list[str]) -> Response:
    headers = {"allow": ", ".join(methods)} if problem.status == 405 else None
    return JSONResponse({"error": problem.code, "message": problem.message}, problem.status, headers)
