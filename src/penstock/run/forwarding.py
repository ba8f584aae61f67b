"""Requests to the application's address that other processes answer: a user's HTTP handlers, and deliveries to the lake.

For handlers everything comes here that no route of ours takes; what no declared handler takes is the application's to refuse,
without a word to the worker. A process that is starting again is a 503 with Retry-After: the request was not begun. One that
broke off in the middle is a 502: it may have been.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from urllib.parse import urlsplit

import httptools
from starlette.exceptions import HTTPException
from starlette.requests import Request as HttpRequest
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from penstock.app.handlers import HttpHandler
from penstock.events.http_door import TOKEN_HEADER
from penstock.events.proxy import BODY_BYTES_MAX, Routes

ANSWER_S_MAX = 900.0  # Lambda's longest call.
_READ_BYTES = 256 * 1024
# They belong to one connection, and this is another.
_HOP = frozenset(
    {"connection", "keep-alive", "transfer-encoding", "te", "upgrade", "content-length", "host", TOKEN_HEADER}
)


class Upstream:
    """One HTTP/1.1 server on this machine, asked once for each request."""

    def __init__(self, url: str, headers: Mapping[str, str] | None = None) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "127.0.0.1", parts.port or 0
        self._added = [f"{name}: {value}" for name, value in (headers or {}).items()]

    async def ask(self, request: HttpRequest) -> Response:
        body = await request.body()
        if len(body) > BODY_BYTES_MAX:
            return JSONResponse({"message": "Request Too Long"}, 413)
        try:
            reader, writer = await asyncio.open_connection(self._host, self._port)
        except OSError:
            return JSONResponse({"message": "Service Unavailable"}, 503, {"retry-after": "1"})
        try:
            writer.write(self._head(request, len(body)) + body)
            return await asyncio.wait_for(_read_answer(reader, request.method), ANSWER_S_MAX)
        except (OSError, EOFError, TimeoutError, httptools.HttpParserError):
            return JSONResponse({"message": "Internal server error"}, 502)
        finally:
            writer.close()

    def _head(self, request: HttpRequest, length: int) -> bytes:
        query = request.url.query
        lines = [
            f"{request.method} {sent_path(request)}{'?' + query if query else ''} HTTP/1.1",
            f"host: {request.headers.get('host', '')}",
            *self._added,
            f"content-length: {length}",
            "connection: close",
            *(f"{name}: {value}" for name, value in request.headers.items() if name not in _HOP),
        ]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


class Handlers:
    """An ASGI application in front of the worker's listener, to be mounted: it raises what it does not take."""

    def __init__(self, handlers: Iterable[HttpHandler], worker_url: str, token: str) -> None:
        self._routes = Routes(handlers)
        self._worker = Upstream(worker_url, {TOKEN_HEADER: token})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        request = HttpRequest(scope, receive)
        path = sent_path(request)
        if self._routes.match(request.method, path) is None:
            raise HTTPException(404)
        answer = await self._worker.ask(request)
        await answer(scope, receive, send)


def sent_path(request: HttpRequest) -> str:
    """As the client sent it, before percent-decoding."""
    raw: bytes = request.scope.get("raw_path", b"")
    return raw.split(b"?")[0].decode("latin-1") or request.url.path


class _Answer:
    """What httptools calls with the parts of the worker's answer."""

    def __init__(self) -> None:
        self.headers: list[tuple[bytes, bytes]] = []
        self.body = bytearray()
        self.complete = False

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name, value))

    def on_body(self, part: bytes) -> None:
        self.body += part

    def on_message_complete(self) -> None:
        self.complete = True


async def _read_answer(reader: asyncio.StreamReader, method: str) -> Response:
    answer = _Answer()
    parser = httptools.HttpResponseParser(answer)
    while not answer.complete:
        part = await reader.read(_READ_BYTES)
        if not part:
            # The length of an answer to HEAD announces a body that never comes.
            if method == "HEAD" and answer.headers:
                break
            raise EOFError
        parser.feed_data(part)
    told = Response(bytes(answer.body), parser.get_status_code())
    told.raw_headers = [
        (name.lower(), value) for name, value in answer.headers if name.lower().decode("latin-1") not in _HOP
    ]
    if method != "HEAD":
        told.raw_headers.append((b"content-length", str(len(answer.body)).encode()))
    return told
