"""Who may use the console, and what a browser may do with its pages.

G1. On loopback the Host header names this machine: another name that resolves to it (DNS rebinding) is refused.
G2. A request that another site sent is refused, unless it only opens a page: neither a write nor a costly read is theirs.
G3. A write carries this session's token besides, which only our own pages know.
G4. On another address everything but the sign-in page and the static files needs a session, signed and limited in time.
    Whether a connection came in on another address is the composer's to say (`OUTSIDE` in the scope, see door.py); where
    nobody says it, the context does.
G5. Every answer carries a content security policy without inline scripts, and may not be framed.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from urllib.parse import quote, urlsplit

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from penstock.console.context import Context
from penstock.errors import UsageError

PREFIX = "/console"
COOKIE = "penstock_session"
TOKEN_HEADER = "x-penstock-token"
SESSION_S = 12 * 3600
OUTSIDE = "penstock.outside"
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
_READS = frozenset({"GET", "HEAD"})
_OPEN = (f"{PREFIX}/static/", f"{PREFIX}/sign-in")


class Guard:
    """ASGI middleware around the whole console. Puts `nonce` and `token` into the request's state."""

    def __init__(self, inner: ASGIApp, context: Context) -> None:
        if not context.loopback and not context.password:
            raise UsageError("on another address than loopback the console needs a password to sign in with")
        self._inner, self._context = inner, context

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._inner(scope, receive, send)
            return
        request = Request(scope)
        nonce = secrets.token_urlsafe(12)
        state = scope.setdefault("state", {})
        state["outside"] = scope.get(OUTSIDE, not self._context.loopback)
        state["nonce"], state["token"] = nonce, token_of(self._context, request)

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                _protect(MutableHeaders(scope=message), nonce)
            await send(message)

        refusal = self._refusal(request)
        await (refusal or self._inner)(scope, receive, send_guarded)

    def _refusal(self, request: Request) -> Response | None:
        host = request.headers.get("host", "")
        outside = request.state.outside
        if not outside and urlsplit(f"//{host}").hostname not in _LOOPBACK:
            return PlainTextResponse("The console answers on this machine's own address only.", 421)
        if is_foreign(request, host):
            return PlainTextResponse("Refused: the request came from another site.", 403)
        path = request.url.path
        if outside and not path.startswith(_OPEN) and not is_signed_in(self._context, request):
            if request.method in _READS and "hx-request" not in request.headers:
                return RedirectResponse(f"{PREFIX}/sign-in?next={quote(path)}", 303)
            return PlainTextResponse("Sign in first.", 401)
        if request.method not in _READS and path != f"{PREFIX}/sign-in":
            given = request.headers.get(TOKEN_HEADER, "")
            if not hmac.compare_digest(given.encode(), request.state.token.encode()):
                return PlainTextResponse("This page is older than the server: reload it and try again.", 403)
        return None


def is_foreign(request: Request, host: str) -> bool:
    """G2. Browsers say where a request comes from; a program that says nothing has no session to abuse."""
    site = request.headers.get("sec-fetch-site", "same-origin")
    if site not in ("same-origin", "none"):
        opens_a_page = request.method in _READS and request.headers.get("sec-fetch-mode") == "navigate"
        return not (opens_a_page and request.headers.get("sec-fetch-dest") == "document")
    origin = request.headers.get("origin")
    return origin is not None and urlsplit(origin).netloc.lower() != host.lower()


def _protect(headers: MutableHeaders, nonce: str) -> None:
    headers["Content-Security-Policy"] = (
        f"default-src 'none'; script-src 'self'; style-src 'self' 'nonce-{nonce}'; img-src 'self' data: blob:; "
        "font-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )
    headers["X-Content-Type-Options"] = "nosniff"
    headers["X-Frame-Options"] = "DENY"
    headers["Referrer-Policy"] = "same-origin"
    headers["Cross-Origin-Opener-Policy"] = "same-origin"
    headers["Cross-Origin-Resource-Policy"] = "same-origin"
    headers.setdefault("Cache-Control", "no-store")


# -- Sessions and tokens --


def _seal(context: Context, text: str) -> str:
    return hmac.new(context.secret, text.encode(), hashlib.sha256).hexdigest()


def new_session(context: Context) -> str:
    expires = context.now_us() // 1_000_000 + SESSION_S
    name = f"{expires}.{secrets.token_hex(8)}"
    return f"{name}.{_seal(context, 'session ' + name)}"


def is_signed_in(context: Context, request: Request) -> bool:
    name, _, seal = request.cookies.get(COOKIE, "").rpartition(".")
    if not hmac.compare_digest(seal.encode(), _seal(context, "session " + name).encode()):
        return False
    return int(name.partition(".")[0]) > context.now_us() // 1_000_000


def token_of(context: Context, request: Request) -> str:
    session = request.cookies.get(COOKIE, "") if request.state.outside else "loopback"
    return _seal(context, "token " + session)


def is_password(context: Context, given: str) -> bool:
    """Compared by digest, so that neither length nor content shows in the time that it takes."""
    expected = _seal(context, "password " + (context.password or ""))
    return bool(context.password) and hmac.compare_digest(_seal(context, "password " + given), expected)
