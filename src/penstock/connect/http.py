"""Calls over HTTP: connections that stay open and are shared by threads, time-outs, and retries as botocore's.

A request is sent again after throttling, a 5xx, a broken connection or a damaged answer, up to
`attempts_max` times with growing, jittered pauses. As with botocore, a write whose answer was lost may
therefore be applied twice; a conditional write then fails its own condition. TransactWriteItems carries a
token and does not.
"""

from __future__ import annotations

import os
import select
import socket
import ssl
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

import httptools

from penstock.connect.retries import Retries
from penstock.errors import PenstockError, UsageError
from penstock.wire.codec import decode_error
from penstock.wire.signing import AccessKey, HttpRequest, sign

# botocore's dynamodb retry handler, by code.
RETRIED_CODES = frozenset(
    {
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "ThrottledException",
        "Throttling",
        "ThrottlingException",
        "TransactionInProgressException",
    }
)
RETRIED_STATUSES = frozenset({500, 502, 503, 504})
_IDLE_MAX = 64
_READ_BYTES = 256 * 1024


class NoAnswer(PenstockError):
    """The server could not be reached, or the connection broke each time before the answer was whole."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where to connect and what to write into the head. `open` makes a connected socket."""

    host: str
    path: str
    open: Callable[[float], socket.socket]


def address_of(url: str) -> Address:
    """`http://host:port` or `https://host:port`, perhaps with a path before the API."""
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError as error:
        raise UsageError(f"{url} has no valid port") from error
    host = parts.hostname
    if not host or parts.username or parts.query or parts.fragment:
        raise UsageError(f"{url} is not http://host:port")
    tls = parts.scheme == "https"
    context = ssl.create_default_context() if tls else None
    number = port or (443 if tls else 80)

    def connect(timeout_s: float) -> socket.socket:
        opened = socket.create_connection((host, number), timeout_s)
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return context.wrap_socket(opened, server_hostname=host) if context else opened

    return Address(parts.netloc, parts.path or "/", connect)


class HttpTransport:
    """`Transport` to one address. Threads take a connection from the pool, or open one, and put it back."""

    def __init__(
        self,
        address: Address,
        *,
        region: str = "us-east-1",
        access_key: AccessKey | None = None,
        connect_timeout_s: float = 5.0,
        read_timeout_s: float = 60.0,
        retries: Retries | None = None,
    ) -> None:
        self._address = address
        self._region = region
        self._access_key = access_key
        self._connect_timeout_s = connect_timeout_s
        self._read_timeout_s = read_timeout_s
        self._retries = retries or Retries()
        self._idle: list[_Channel] = []  # append and pop are atomic, so threads need no lock.
        self._pid = os.getpid()
        self._closed = False

    def send(self, target: str, body: bytes, wait_ms: int) -> tuple[int, bytes]:
        attempt = 0
        while True:
            attempt += 1
            last = attempt >= self._retries.attempts_max
            try:
                status, answer = self._exchange(target, body, wait_ms)
            except (OSError, httptools.HttpParserError) as error:
                if last:
                    raise NoAnswer(f"{self._address.host}: {error or type(error).__name__}") from error
            else:
                if last or status == 200 or not _is_passing(status, answer):
                    return status, answer
            self._retries.rest(attempt - 1)

    def close(self) -> None:
        self._closed = True
        while self._idle:
            self._idle.pop().close()

    def _exchange(self, target: str, body: bytes, wait_ms: int) -> tuple[int, bytes]:
        channel = self._take()
        try:
            channel.settimeout(self._read_timeout_s + wait_ms / 1000)
            status, answer = channel.exchange(self._head(target, body, wait_ms) + body)
        except BaseException:
            channel.close()
            raise
        if channel.reusable and not self._closed and len(self._idle) < _IDLE_MAX:
            self._idle.append(channel)
        else:
            channel.close()
        return status, answer

    def _take(self) -> _Channel:
        if self._closed:
            raise UsageError("this client is closed")
        if self._pid != os.getpid():
            # A fork shares sockets with its parent; two processes on one connection would read each other's
            # answers.
            self._idle, self._pid = [], os.getpid()
        while self._idle:
            try:
                channel = self._idle.pop()
            except IndexError:
                break
            if channel.is_quiet():
                return channel
            channel.close()
        return _Channel(self._address.open(self._connect_timeout_s))

    def _head(self, target: str, body: bytes, wait_ms: int) -> bytes:
        headers = {
            b"host": self._address.host.encode(),
            b"content-type": b"application/x-amz-json-1.0",
            b"x-amz-target": target.encode(),
        }
        if self._access_key is not None:
            url = self._address.path.encode()
            request = HttpRequest(b"POST", url, headers, body)
            headers.update(sign(request, self._access_key, self._region, time.time()))
        if wait_ms:
            headers[b"x-penstock-wait-ms"] = b"%d" % wait_ms
        lines = b"".join(b"%b: %b\r\n" % header for header in headers.items())
        path = self._address.path.encode()
        return b"POST %b HTTP/1.1\r\n%bContent-Length: %d\r\n\r\n" % (path, lines, len(body))


class _Channel:
    """One connection. httptools reads the answer, so chunked ones and those of proxies are understood too."""

    __slots__ = ("_crc", "_done", "_parser", "_parts", "_socket", "reusable", "settimeout")

    def __init__(self, opened: socket.socket) -> None:
        self._socket = opened
        self.settimeout = opened.settimeout
        self._parser = httptools.HttpResponseParser(self)
        self._start()

    def _start(self) -> None:
        self._parts: list[bytes] = []
        self._crc: int | None = None
        self._done = False
        self.reusable = False

    def is_quiet(self) -> bool:
        """An idle connection with something to read was closed by the server, or is of no use anyway."""
        poll = select.poll()
        poll.register(self._socket, select.POLLIN)
        return not poll.poll(0)

    def exchange(self, request: bytes) -> tuple[int, bytes]:
        self._start()
        self._socket.sendall(request)
        while not self._done:
            data = self._socket.recv(_READ_BYTES)
            if not data:
                raise ConnectionResetError("the connection ended before the answer did")
            self._parser.feed_data(data)
        body = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        if self._crc is not None and zlib.crc32(body) != self._crc:
            raise ConnectionError("the answer does not match its checksum")
        return self._parser.get_status_code(), body

    def close(self) -> None:
        self._socket.close()

    # What the parser calls.

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() == b"x-amz-crc32" and value.isdigit():
            self._crc = int(value)

    def on_body(self, data: bytes) -> None:
        self._parts.append(data)

    def on_message_complete(self) -> None:
        if self._parser.get_status_code() >= 200:
            self._done = True
            self.reusable = self._parser.should_keep_alive()


def _is_passing(status: int, answer: bytes) -> bool:
    """Whether the same request may succeed a moment later."""
    if status in RETRIED_STATUSES:
        return True
    return status == 400 and decode_error(status, answer).code in RETRIED_CODES
