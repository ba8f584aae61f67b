"""The worker's listener: HTTP handlers on a loopback address, one thread for each connection.

The application's own address forwards to it; `token` keeps everybody else out, because any page in a browser can reach a
loopback port.
"""

from __future__ import annotations

import hmac
import logging
import threading
import uuid
from collections.abc import Iterable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from penstock.app.handlers import HttpHandler
from penstock.events.context import Context
from penstock.events.handlers import call
from penstock.events.proxy import (
    BAD_GATEWAY,
    BODY_BYTES_MAX,
    Malformed,
    Match,
    Request,
    Response,
    Routes,
    event_of,
    response_of,
)
from penstock.ports import Clock

log = logging.getLogger("penstock.events")

TOKEN_HEADER = "x-penstock-worker"
CALLS_MAX = 128  # At once. More would only wait for the interpreter; a caller that is told so can try again.
_JSON = (("content-type", "application/json"),)


class HttpDoor:
    """Answers on 127.0.0.1 until stopped."""

    def __init__(
        self, handlers: Iterable[HttpHandler], clock: Clock, *, port: int = 0, token: str | None = None
    ) -> None:
        self.routes = Routes(handlers)
        self.token = token
        self._clock = clock
        self._slots = threading.BoundedSemaphore(CALLS_MAX)
        self._server = _Server(("127.0.0.1", port), _Connection)
        self._server.door = self
        self._thread = threading.Thread(
            target=self._server.serve_forever,
            kwargs={"poll_interval": 0.5},
            name="penstock-http",
            daemon=True,
        )

    @property
    def address(self) -> tuple[str, int]:
        host, port = self._server.server_address[:2]
        return str(host), int(port)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """No new connection. What is in a handler goes on; see `drain`."""
        if self._thread.is_alive():
            self._server.shutdown()
        self._server.server_close()

    def drain(self, until_s: float) -> bool:
        """Wait for the calls that run, and answer 503 to new ones. False where time ran out."""
        return all(
            self._slots.acquire(timeout=max(0.0, until_s - self._clock.monotonic_s()))
            for _ in range(CALLS_MAX)
        )

    def answer(self, request: Request, token: str | None) -> Response:
        if self.token is not None and not hmac.compare_digest(token or "", self.token):
            return Response(403, _JSON, b'{"message": "Forbidden"}')
        match = self.routes.match(request.method, request.path)
        if match is None:
            return Response(404, _JSON, b'{"message": "Not Found"}')
        if not self._slots.acquire(blocking=False):
            return Response(503, (*_JSON, ("retry-after", "1")), b'{"message": "Service Unavailable"}')
        try:
            return self._call(request, match)
        finally:
            self._slots.release()

    def _call(self, request: Request, match: Match) -> Response:
        name = getattr(match.handler.handler, "__name__", match.handler.path)
        request_id = str(uuid.uuid4())
        context = Context(name, request_id, self._clock.monotonic_s)
        event = event_of(request, match, request_id, self._clock.now_us() / 1_000_000)
        try:
            return response_of(call(match.handler.handler, event, context))
        except Malformed as error:
            log.error("%s answered what is no response: %s", name, error)
        except (Exception, SystemExit):
            # A handler is somebody else's code: whatever it raises is its answer, as at API Gateway.
            log.exception("%s failed", name)
        return Response(502, _JSON, BAD_GATEWAY)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False  # A connection that is kept open must not hold up the stop.
    request_queue_size = 128
    door: HttpDoor


class _Connection(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "penstock", ""
    disable_nagle_algorithm = True
    wbufsize = -1  # Head and body in one packet.
    timeout = 75.0
    server: _Server

    def __getattr__(self, name: str) -> Any:
        # Every method goes to the routes: the standard library looks for do_GET, do_POST …
        if name.startswith("do_"):
            return self._serve
        raise AttributeError(name)

    def _serve(self) -> None:
        body = self._read_body()
        if body is None:
            return
        path, _, query = self.path.partition("?")
        headers = tuple((name, value) for name, value in self.headers.items() if name.lower() != TOKEN_HEADER)
        request = Request(self.command, path, query, headers, body, self.client_address[0])
        self._reply(self.server.door.answer(request, self.headers.get(TOKEN_HEADER)))

    def _read_body(self) -> bytes | None:
        length = self.headers.get("content-length", "0")
        if self.headers.get("transfer-encoding") or not length.isdigit():
            self.close_connection = True
            self._reply(Response(411, _JSON, b'{"message": "Length Required"}'))
            return None
        if int(length) > BODY_BYTES_MAX:
            self.close_connection = True
            self._reply(Response(413, _JSON, b'{"message": "Request Too Long"}'))
            return None
        return self.rfile.read(int(length))

    def _reply(self, response: Response) -> None:
        self.send_response(response.status)
        for name, value in response.headers:
            if name.lower() not in ("content-length", "connection", "transfer-encoding"):
                self.send_header(name, value)
        self.send_header("content-length", str(len(response.body)))
        if self.close_connection:
            self.send_header("connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(response.body)
        self.wfile.flush()

    def log_message(self, format: str, *args: Any) -> None:
        """Requests are counted by whoever forwards them; a line each is too many."""
