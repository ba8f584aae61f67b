"""The application's address beyond this machine: whoever comes in there signs in, or sends the password with each request.

D1. A connection to 127.0.0.1 or ::1 is this machine's own and is let through as ever: the worker and the lake come so.
D2. Any other may see the console's sign-in page (guard.py goes on from there) and `/health`, and nothing else without the
    password: as `Authorization: Bearer PASSWORD`, as the password of Basic, or as a session of the console.
D3. Wrong passwords are answered one after another, a second each.
"""

from __future__ import annotations

import asyncio
import binascii
from base64 import b64decode

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from penstock.console.context import Context
from penstock.console.guard import OUTSIDE, PREFIX, is_foreign, is_password, is_signed_in
from penstock.errors import UsageError

HERE = ("127.0.0.1", "::1")
WRONG_PAUSE_S = 1.0


class Door:
    """ASGI middleware around the whole application."""

    def __init__(self, inner: ASGIApp, context: Context) -> None:
        if not context.password:
            raise UsageError("on another address than loopback the application needs a password")
        self._inner, self._context = inner, context
        self._one_at_a_time = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and (scope.get("server") or ("",))[0] not in HERE:
            scope[OUTSIDE] = True
            request = Request(scope)
            if not self._may_enter(request):
                if "authorization" in request.headers:
                    async with self._one_at_a_time:
                        await asyncio.sleep(WRONG_PAUSE_S)
                await _refuse()(scope, receive, send)
                return
        await self._inner(scope, receive, send)

    def _may_enter(self, request: Request) -> bool:
        path = request.url.path
        if path == "/health" or path == PREFIX or path.startswith(f"{PREFIX}/"):
            return True
        given = given_password(request.headers.get("authorization", ""))
        if given is not None:
            return is_password(self._context, given)
        return is_signed_in(self._context, request) and not is_foreign(
            request, request.headers.get("host", "")
        )


def given_password(header: str) -> str | None:
    kind, _, value = header.partition(" ")
    match kind.lower():
        case "bearer":
            return value.strip()
        case "basic":
            try:
                return b64decode(value, validate=True).decode().partition(":")[2]
            except (binascii.Error, UnicodeDecodeError):
                return ""
    return None


def _refuse() -> JSONResponse:
    told = {
        "error": "Unauthorized",
        "message": "On this address each request needs the password: Authorization: Bearer PASSWORD",
    }
    return JSONResponse(told, 401, {"WWW-Authenticate": 'Bearer realm="penstock", Basic realm="penstock"'})
