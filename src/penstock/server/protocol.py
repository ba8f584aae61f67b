"""One HTTP connection to the API: httptools reads, an Endpoint answers, answers leave in order.

C1. Answers leave in the order in which their requests came, however the endpoint orders them.
C2. No task, future or timer per request or connection. The listener sweeps all connections once a second.
C3. Answers that are ready when a segment has been read leave in one write.
C4. What a client can make us hold is bounded: head, body, requests with the endpoint, answers not yet read.
    Over the bound we stop reading, answer with an error, or close; see bounds.py.
C5. A refusal is answered, the rest of what the client sends is swallowed for a moment, then the connection
    closes. Closing with unread bytes would reset it, and the client would never see the answer.

The common request (a POST of an SDK without anything rare in its head) takes the short way in
on_message_complete; everything else goes through wire/dispatch.py.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, cast

import httptools
import msgspec

from penstock.errors import ServiceError, internal
from penstock.operations.json_door import error_body
from penstock.ports import Endpoint
from penstock.server.bounds import Bounds
from penstock.server.counters import Counters
from penstock.wire.dispatch import Call, PlainAnswer, read_request
from penstock.wire.replies import CLOSE, CONTINUE, JSON_10, ReplyHeads, join_reply
from penstock.wire.signing import HttpRequest, Verifier

_KEEP_ALIVE = b"Connection: keep-alive\r\n"
_TARGETS_MAX = 256  # Distinct X-Amz-Target values that are remembered; there are about 70 actions.
_BAD_REQUEST = PlainAnswer(400, b"text/plain", b"Bad request\n", closes=True)
_BODY_TOO_LARGE = PlainAnswer(413, b"text/plain", b"<RequestEntityTooLargeException/>\n", closes=True)
_HEAD_TOO_LARGE = PlainAnswer(431, b"text/plain", b"Request header fields too large\n", closes=True)
_TOO_SLOW = PlainAnswer(408, b"text/plain", b"Request timeout\n", closes=True)
_WRONG_EXPECTATION = PlainAnswer(417, b"text/plain", b"Expectation failed\n", closes=True)
_TOO_MANY = PlainAnswer(503, b"text/plain", b"Too many connections\n", closes=True)


@dataclass(slots=True)
class Edge:
    """What all connections of a listener share. `tick` counts seconds; the listener advances it."""

    endpoint: Endpoint
    heads: ReplyHeads
    request_ids: Iterator[bytes]
    counters: Counters
    bounds: Bounds
    region: str
    verifier: Verifier | None
    now_s: Callable[[], float]  # Wall time, for signatures.
    on_socket: bool = False  # On the socket in a data directory; see D5 in wire/dispatch.py.
    tick: int = 1
    connections: set[Connection] = field(default_factory=set)
    targets: dict[bytes | None, str] = field(default_factory=dict)


class _Refused(Exception):
    """Ends the parsing of a segment from inside a callback; what to answer stands in the connection."""


class _Answer(msgspec.Struct, eq=False):
    """The place of one request in the order of answers. `done` is what the endpoint calls."""

    connection: Connection
    content_type: bytes
    more_headers: bytes
    closes: bool
    reply: bytes | None = None

    def done(self, status: int, body: bytes) -> None:
        connection = self.connection
        if connection.lost or self.reply is not None:
            return
        edge = connection.edge
        if status == 200 and self.content_type is JSON_10:
            head = edge.heads.ok_json_10
        else:
            head = edge.heads.head(status, self.content_type)
            edge.counters.saw_status(status)
        self.reply = join_reply(head, next(edge.request_ids), body, self.more_headers)
        if connection.pending[0] is self:
            connection.release()


class Connection(asyncio.Protocol):
    __slots__ = (
        "_body",
        "_closes",
        "_finishing",
        "_gathered",
        "_gathering",
        "_head_bytes",
        "_head_complete",
        "_headers",
        "_headers_repeated",
        "_linger_since",
        "_parser",
        "_partial_since",
        "_paused",
        "_quiet_since",
        "_refusal",
        "_releasing",
        "_stalled_since",
        "_transport",
        "_url",
        "_waiting",
        "edge",
        "lost",
        "pending",
    )

    def __init__(self, edge: Edge) -> None:
        self.edge = edge
        self.lost = False
        self.pending: deque[_Answer] = deque()  # In the order of requests, answered or not.
        self._waiting: deque[tuple[_Answer, str, bytes, int]] = deque()  # Not yet given to the endpoint.
        self._gathered: list[bytes] = []
        self._gathering = False
        self._releasing = False
        self._finishing = False  # Close when there is nothing left to answer.
        self._closes = False  # The last answer is on its way; nothing more is read.
        self._paused = False
        self._refusal: PlainAnswer | None = None
        self._partial_since = 0  # Ticks; 0 is "not now".
        self._linger_since = 0
        self._stalled_since = 0
        self._quiet_since = edge.tick
        self._headers: dict[bytes, bytes] = {}
        self._body: bytes | bytearray = b""
        self._parser: Any = httptools.HttpRequestParser(self)
        self._begin_message()

    # -- what the transport calls --

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports have the methods of asyncio.Transport without being one.
        transport = self._transport = cast(asyncio.Transport, transport)
        edge = self.edge
        edge.counters.connections_opened += 1
        transport.set_write_buffer_limits(high=edge.bounds.write_buffer_bytes)
        edge.connections.add(self)
        if len(edge.connections) > edge.bounds.connections_max:
            edge.counters.connections_refused += 1
            self._closes = True  # No lingering here: those who are too many must not stay.
            head = edge.heads.head(_TOO_MANY.status, _TOO_MANY.content_type)
            transport.write(join_reply(head, next(edge.request_ids), _TOO_MANY.body, CLOSE))
            transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True
        self.edge.connections.discard(self)
        self.pending.clear()
        self._waiting.clear()
        self._parser = None

    def data_received(self, data: bytes) -> None:
        if self._closes:
            return
        self._gathering = True
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._ignore_upgrade(data, upgrade.args[0])
        except httptools.HttpParserError as error:
            self._refuse_segment(error)
        self._gathering = False
        if self._gathered:
            self._write_gathered()
        if self._url or self._headers:
            self._saw_part_of_a_head(len(data))
        else:
            self._partial_since = 0
            self._quiet_since = self.edge.tick

    def eof_received(self) -> bool:
        """A client may close its side and wait for answers; a request that was cut off is not one."""
        self._finishing = True
        self._partial_since = 0
        return bool(self.pending)

    def pause_writing(self) -> None:
        self._stalled_since = self.edge.tick
        self._pause_reading()

    def resume_writing(self) -> None:
        self._stalled_since = 0
        self._start_waiting()

    # -- what the parser calls --

    def on_url(self, url: bytes) -> None:
        self._url += url  # A segment may end inside it.

    def on_header(self, name: bytes, value: bytes) -> None:
        headers = self._headers
        name = name.lower()
        if name in headers:
            self._headers_repeated += 1
            value = headers[name] + b"," + value
        headers[name] = value

    def on_headers_complete(self) -> None:
        self._head_complete = True
        headers = self._headers
        # Not at each header: what one segment holds of them is bounded by the segment.
        if self._has_too_many_headers():
            self._refusal = _HEAD_TOO_LARGE
            raise _Refused
        length = headers.get(b"content-length", b"0")
        # Text of up to seven digits is below any bound worth setting, and the common case.
        if len(length) > 7 and int(length) > self.edge.bounds.body_bytes_max:
            self._refusal = _BODY_TOO_LARGE
            raise _Refused
        if b"expect" in headers:
            self._meet_expectation(headers[b"expect"])

    def on_body(self, data: bytes) -> None:
        if not self._body:
            self._body = data
        else:
            if type(self._body) is bytes:
                self._body = bytearray(self._body)
            self._body += data
        if len(self._body) > self.edge.bounds.body_bytes_max:
            self._refusal = _BODY_TOO_LARGE
            raise _Refused

    def on_message_complete(self) -> None:
        headers = self._headers
        if b"upgrade" in headers and self._parser.should_upgrade():
            return  # The parser will say so again, and _ignore_upgrade goes on from there.
        edge = self.edge
        edge.counters.requests += 1
        target = edge.targets.get(headers.get(b"x-amz-target"))
        body = self._body
        if (
            target is None
            or headers.get(b"content-type") != JSON_10
            or b"connection" in headers
            or b"origin" in headers
            or b"x-penstock-wait-ms" in headers
            or edge.verifier is not None
            or not self._parser.should_keep_alive()
            or self._parser.get_method() != b"POST"
        ):
            url = self._url
            self._begin_message()
            self._complete_rare(headers, url, bytes(body))
            return
        self._begin_message()
        self._start(_Answer(self, JSON_10, b"", False), target, bytes(body), 0)

    # -- requests --

    def _begin_message(self) -> None:
        self._url = b""
        self._headers = {}
        self._headers_repeated = 0
        self._head_complete = False
        self._head_bytes = 0
        self._body = b""

    def _complete_rare(self, headers: dict[bytes, bytes], url: bytes, body: bytes) -> None:
        """Any request but the common one: other methods, signed, closing, from a browser, a first target."""
        edge = self.edge
        method = self._parser.get_method()
        if method == b"CONNECT":
            return  # No proxy: the parser stops after this, and _ignore_upgrade refuses.
        closes = not self._parser.should_keep_alive()
        connection = CLOSE if closes else b""
        if not closes and self._parser.get_http_version() == "1.0":
            connection = _KEEP_ALIVE
        asked = read_request(
            method,
            headers,
            region=edge.region,
            any_origin=edge.verifier is not None,
            on_socket=edge.on_socket,
        )
        if isinstance(asked, PlainAnswer):
            self._answer_plainly(asked, connection, closes or asked.closes, without_body=method == b"HEAD")
            return
        answer = _Answer(self, asked.content_type, asked.more_headers + connection, closes)
        refusal = self._check_signature(HttpRequest(method, url, headers, body))
        if refusal is not None:
            self.pending.append(answer)
            answer.done(refusal.status, error_body(refusal))
            return
        self._remember_target(headers, asked)
        self._start(answer, asked.target, body, asked.wait_ms)

    def _check_signature(self, request: HttpRequest) -> ServiceError | None:
        if self.edge.verifier is not None:
            try:
                self.edge.verifier.check(request, self.edge.now_s())
            except ServiceError as refusal:
                return refusal
        return None

    def _remember_target(self, headers: dict[bytes, bytes], call: Call) -> None:
        if len(self.edge.targets) < _TARGETS_MAX:
            self.edge.targets[headers[b"x-amz-target"]] = call.target

    def _start(self, answer: _Answer, target: str, body: bytes, wait_ms: int) -> None:
        bounds = self.edge.bounds
        self.pending.append(answer)
        if (
            self._waiting
            or self._stalled_since
            or len(self.pending) > bounds.pipelined_max
            or len(self._gathered) >= bounds.answers_per_turn_max
        ):
            self._waiting.append((answer, target, body, wait_ms))
            if len(self._waiting) == 1:
                self._pause_reading()
                # Where nothing is under way no answer will wake the rest, so the loop's next turn does.
                asyncio.get_running_loop().call_soon(self._start_waiting)
            return
        self._ask(answer, target, body, wait_ms)

    def _ask(self, answer: _Answer, target: str, body: bytes, wait_ms: int) -> None:
        returned = False
        try:
            self.edge.endpoint.start(target, body, answer.done, wait_ms)
            returned = True
        finally:
            if not returned:
                # By contract it never raises. If it does, the client is told and the fault goes on to the log.
                answer.closes = True
                answer.more_headers = CLOSE
                answer.done(500, error_body(internal("Internal server error")))

    def _start_waiting(self) -> None:
        """Give the endpoint what had to wait, as far as the bounds allow in this turn of the loop."""
        if self.lost or self._gathering:
            return
        bounds = self.edge.bounds
        self._gathering = True
        try:
            while (
                self._waiting
                and not self._stalled_since
                and len(self.pending) - len(self._waiting) < bounds.pipelined_max
                and len(self._gathered) < bounds.answers_per_turn_max
            ):
                self._ask(*self._waiting.popleft())
        finally:
            self._gathering = False
            full_turn = len(self._gathered) >= bounds.answers_per_turn_max
            if self._gathered:
                self._write_gathered()
        if self._waiting:
            if full_turn:
                asyncio.get_running_loop().call_soon(self._start_waiting)
        elif self._paused and not self._stalled_since:
            self._paused = False
            self._transport.resume_reading()

    # -- answers --

    def release(self) -> None:
        """Send the answers that are ready, up to the first that is not."""
        if self._releasing:
            return
        self._releasing = True
        pending = self.pending
        while pending and (reply := pending[0].reply) is not None:
            closes = pending.popleft().closes
            self._gathered.append(reply)
            if closes:
                self._close_after_answer()
                break
            if len(reply) > self.edge.bounds.gather_bytes_max:
                self._write_gathered()
        self._releasing = False
        if self._gathering:
            return
        if self._gathered:
            self._write_gathered()
        if self._waiting:
            self._start_waiting()
        elif not pending and self._finishing:
            self.finish()

    def finish(self) -> None:
        """Close as soon as all that was asked has been answered."""
        self._finishing = True
        if not self.lost and not self.pending and not self._closes and not self._partial_since:
            self._transport.close()

    def abort(self) -> None:
        if not self.lost:
            self._transport.abort()

    def _answer_plainly(
        self, plain: PlainAnswer, connection: bytes = CLOSE, closes: bool = True, without_body: bool = False
    ) -> None:
        edge = self.edge
        edge.counters.saw_status(plain.status)
        answer = _Answer(self, plain.content_type, b"", closes)
        head = edge.heads.head(plain.status, plain.content_type)
        reply = join_reply(head, next(edge.request_ids), plain.body, plain.more_headers + connection)
        answer.reply = reply[: len(reply) - len(plain.body)] if without_body else reply
        self.pending.append(answer)
        if self.pending[0] is answer:
            self.release()

    def _write_gathered(self) -> None:
        gathered = self._gathered
        if gathered and not self.lost:
            self._transport.write(gathered[0] if len(gathered) == 1 else b"".join(gathered))
        gathered.clear()

    def _close_after_answer(self) -> None:
        """C5: our side ends after the answer; theirs is swallowed until it ends or `linger_s` have passed."""
        self._closes = True
        self._linger_since = self.edge.tick
        self._write_gathered()
        self.pending.clear()
        self._waiting.clear()
        if self._paused:
            self._paused = False
            self._transport.resume_reading()
        if self._transport.can_write_eof():
            self._transport.write_eof()

    # -- what is rare, wrong or late --

    def _meet_expectation(self, expectation: bytes) -> None:
        if expectation.lower() != b"100-continue":
            self._refusal = _WRONG_EXPECTATION
            raise _Refused
        if self._parser.get_http_version() != "1.0":
            ready = _Answer(self, JSON_10, b"", False)
            ready.reply = CONTINUE
            self.pending.append(ready)  # In its turn: after the answers to what came before.
            if self.pending[0] is ready:
                self.release()

    def _ignore_upgrade(self, data: bytes, offset: int) -> None:
        """A client that offers h2c or a websocket is answered over HTTP/1.1, as RFC 9110 7.8 lets us.

        The parser leaves the rest of the connection to the new protocol, the request's own body included. So the
        head is written again without the offer and read by a fresh parser, and then what followed it, which may
        hold another offer.
        """
        while True:
            method, headers = self._parser.get_method(), self._headers
            if method == b"CONNECT" or b"upgrade" not in headers:
                self._refuse(_BAD_REQUEST)
                return
            kept = [
                b"%b: %b\r\n" % (name, value)
                for name, value in headers.items()
                if name not in (b"upgrade", b"connection", b"http2-settings", b"expect")
            ]
            data = b"%b %b HTTP/1.1\r\n%b\r\n%b" % (method, self._url, b"".join(kept), data[offset:])
            self._begin_message()
            self._parser = httptools.HttpRequestParser(self)
            try:
                self._parser.feed_data(data)
                return
            except httptools.HttpParserUpgrade as upgrade:
                offset = upgrade.args[0]
            except httptools.HttpParserError as error:
                self._refuse_segment(error)
                return

    def _refuse_segment(self, error: Exception) -> None:
        refusal, self._refusal = self._refusal, None
        if refusal is None and isinstance(error, httptools.HttpParserCallbackError):
            fault = {"message": "a request could not be carried out", "exception": error, "protocol": self}
            asyncio.get_running_loop().call_exception_handler(fault)
            return
        if not self._closes:
            self._refuse(refusal or _BAD_REQUEST)

    def _refuse(self, plain: PlainAnswer) -> None:
        """Answer in turn and read no more; the parser's state is beyond use."""
        self.edge.counters.malformed += 1
        self._begin_message()
        self._partial_since = 0
        self._answer_plainly(plain)
        self._closes = True

    def _saw_part_of_a_head(self, length: int) -> None:
        if not self._partial_since:
            self._partial_since = self.edge.tick
        if not self._head_complete:
            self._head_bytes += length
        # The second after the head too: trailers are headers.
        if self._head_bytes > self.edge.bounds.head_bytes_max or self._has_too_many_headers():
            self._refuse(_HEAD_TOO_LARGE)

    def _has_too_many_headers(self) -> bool:
        return len(self._headers) + self._headers_repeated > self.edge.bounds.headers_max

    def _pause_reading(self) -> None:
        if not self._paused and not self._closes:
            self._paused = True
            self._transport.pause_reading()

    def sweep(self) -> None:
        """Once a second: close what is stalled, late or has nothing to do."""
        edge, bounds = self.edge, self.edge.bounds
        now = edge.tick
        if self._linger_since:
            unsent = self._transport.get_write_buffer_size()
            if now - self._linger_since > (bounds.stalled_s if unsent else bounds.linger_s):
                self.abort()
        elif self._stalled_since:
            if now - self._stalled_since > bounds.stalled_s:
                edge.counters.timed_out += 1
                self.abort()
        elif self._partial_since:
            allowed_s = bounds.head_s
            if self._head_complete:
                allowed_s += bounds.body_s + len(self._body) // bounds.body_bytes_per_s
            if now - self._partial_since > allowed_s and not self._paused:
                edge.counters.timed_out += 1
                self._refuse(_TOO_SLOW)
        elif not self.pending and now - self._quiet_since > bounds.idle_s:
            self._transport.close()
