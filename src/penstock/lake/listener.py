"""The lake's HTTP port: a few routes, threads that may wait for a query, connections that stay open.

L1. Loopback only unless `host` says otherwise. A request whose Host is not this machine's, or that a page from elsewhere
    sent (Origin), is refused: any web page that a person visits could otherwise read the lake.
L2. Bodies are bounded. Every answer carries its length. TCP_NODELAY is set: without it each load of a table waited for
    the other side's delayed acknowledgement.
L3. An error of ours becomes its status and one line of JSON; a bug becomes 500, is logged and ends nothing.
"""

from __future__ import annotations

import logging
import re
import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import orjson

from penstock.errors import PenstockError

BODY_BYTES_MAX = 64 << 20
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
_log = logging.getLogger("penstock.lake")


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]  # Lower-case names.
    body: bytes
    parts: Mapping[str, str]  # What the route's pattern named.

    def json(self) -> Any:
        try:
            return orjson.loads(self.body or b"{}")
        except orjson.JSONDecodeError as error:
            raise HttpError(400, f"the body is not JSON: {error}") from error


@dataclass(frozen=True)
class Response:
    body: bytes = b""
    status: int = 200
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)


class HttpError(PenstockError):
    """An answer other than 200. `body` replaces the usual `{"error": message}`."""

    def __init__(
        self, status: int, message: str, body: object = None, headers: Mapping[str, str] | None = None
    ):
        super().__init__(message)
        self.status, self.body, self.headers = status, body, headers or {}


Handler = Callable[[Request], Response]


@dataclass(frozen=True)
class Route:
    """`/v1/namespaces/{namespace}`: a name in braces is one part of the path, decoded."""

    method: str
    pattern: str
    handler: Handler

    def compiled(self) -> re.Pattern[str]:
        return re.compile(re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/]+)", re.escape(self.pattern)))


def json_response(value: object, status: int = 200) -> Response:
    return Response(orjson.dumps(value, default=str), status)


class Listener:
    """Serves from threads until `close`. Port 0 takes any free one; `port` is the one it got."""

    def __init__(self, routes: Sequence[Route], port: int, host: str = "127.0.0.1") -> None:
        compiled = [(r.method, r.compiled(), r.handler) for r in routes]
        handler = type("_Bound", (_Connection,), {"routes": compiled, "bound_host": host})
        self._server = _Server((host, port), handler)
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, name="lake-http", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    allow_reuse_address = True


class _Connection(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "Penstock"
    sys_version = ""
    timeout = 120
    wbufsize = -1  # Head and body leave together.
    routes: Sequence[tuple[str, re.Pattern[str], Handler]] = ()
    bound_host = ""

    def setup(self) -> None:
        super().setup()
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def do_GET(self) -> None:
        self._serve()

    do_POST = do_DELETE = do_HEAD = do_PUT = do_GET

    def _serve(self) -> None:
        try:
            response = self._answer()
        except HttpError as error:
            body = error.body if error.body is not None else {"error": str(error)}
            response = Response(orjson.dumps(body), error.status, headers=error.headers)
        except PenstockError as error:
            response = json_response({"error": str(error)}, 400)
        except BaseException as error:
            _log.exception("%s %s", self.command, self.path)
            self._send(json_response({"error": f"internal error: {type(error).__name__}"}, 500))
            if not isinstance(error, Exception):
                raise
            return
        self._send(response)

    def _answer(self) -> Response:
        headers = {name.lower(): value for name, value in self.headers.items()}
        body = self._body(headers)
        self._check_caller(headers)
        split = urlsplit(self.path)
        allowed = []
        for method, pattern, handler in self.routes:
            found = pattern.fullmatch(split.path)
            if found is None:
                continue
            if method == self.command:
                parts = {name: unquote(value) for name, value in found.groupdict().items()}
                query = dict(parse_qsl(split.query))
                return handler(Request(method, split.path, query, headers, body, parts))
            allowed.append(method)
        if allowed:
            raise HttpError(405, f"{split.path} takes {', '.join(allowed)}")
        raise HttpError(404, f"there is no {split.path} here")

    def _body(self, headers: Mapping[str, str]) -> bytes:
        if "chunked" in headers.get("transfer-encoding", "").lower():
            return self._chunks()
        length = headers.get("content-length", "0")
        if not length.isdigit():
            raise HttpError(400, "Content-Length is not a number")
        if int(length) > BODY_BYTES_MAX:
            self.close_connection = True
            raise HttpError(413, f"a body is at most {BODY_BYTES_MAX} bytes")
        return self.rfile.read(int(length))

    def _chunks(self) -> bytes:
        parts, size = [], 0
        while True:
            line = self.rfile.readline(64).split(b";")[0].strip()
            try:
                length = int(line, 16)
            except ValueError as error:
                self.close_connection = True
                raise HttpError(400, "a chunk has no size") from error
            size += length
            if size > BODY_BYTES_MAX:
                self.close_connection = True
                raise HttpError(413, f"a body is at most {BODY_BYTES_MAX} bytes")
            parts.append(self.rfile.read(length))
            self.rfile.readline(8)
            if length == 0:
                return b"".join(parts)

    def _check_caller(self, headers: Mapping[str, str]) -> None:
        """L1."""
        if self.bound_host not in _LOOPBACK:
            return
        host = urlsplit(f"//{headers.get('host', '')}").hostname
        origin = headers.get("origin")
        if host not in _LOOPBACK or (origin and urlsplit(origin).hostname not in _LOOPBACK):
            raise HttpError(403, "only this machine may ask here")

    def _send(self, response: Response) -> None:
        try:
            self.send_response(response.status)
            if response.status != 204:
                self.send_header("Content-Type", response.content_type)
                self.send_header("Content-Length", str(len(response.body)))
            for name, value in response.headers.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD" and response.status != 204:
                self.wfile.write(response.body)
            self.wfile.flush()
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True  # Whoever asked is gone.

    def log_message(self, format: str, *arguments: object) -> None:
        _log.debug(format, *arguments)
