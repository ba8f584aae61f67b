"""The HTTP edge under any bytes and any cut: it answers in order or closes, and never falls over.

The protocol is driven without sockets, through a transport that keeps what is written, so that a run is thousands of
connections. The loop is asyncio's own and never runs: what would be called later is run by the test.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, cast

import httptools
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.edge import DictEndpoint, get, request

from penstock.server.bounds import Bounds
from penstock.server.counters import Counters
from penstock.server.protocol import Connection, Edge
from penstock.wire.replies import ReplyHeads, request_ids


class KeptTransport:
    """A transport that keeps what is written. Reading is paused and resumed by the protocol, as on a socket."""

    def __init__(self) -> None:
        self.written = bytearray()
        self.closed = False
        self.ended = False
        self.reading = True

    def write(self, data: bytes) -> None:
        assert not self.closed, "written after the connection was closed"
        assert not self.ended, "written after our side had ended"
        self.written += data

    def write_eof(self) -> None:
        self.ended = True

    def can_write_eof(self) -> bool:
        return True

    def set_write_buffer_limits(self, high: int) -> None:
        assert high > 0

    def get_write_buffer_size(self) -> int:
        return 0

    def pause_reading(self) -> None:
        assert self.reading, "paused twice"
        self.reading = False

    def resume_reading(self) -> None:
        assert not self.reading, "resumed without a pause"
        self.reading = True

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = True


class Laps:
    """A loop whose turns are taken by the test."""

    def __init__(self) -> None:
        self.soon: list[Callable[[], None]] = []
        self.faults: list[dict[str, Any]] = []

    def call_soon(self, call: Callable[[], None]) -> None:
        self.soon.append(call)

    def call_exception_handler(self, fault: dict[str, Any]) -> None:
        self.faults.append(fault)


@contextmanager
def running() -> Iterator[Laps]:
    laps = Laps()
    asyncio._set_running_loop(cast(asyncio.AbstractEventLoop, laps))
    try:
        yield laps
    finally:
        asyncio._set_running_loop(None)


def connection(endpoint: DictEndpoint, bounds: Bounds | None = None) -> tuple[Connection, KeptTransport]:
    edge = Edge(
        endpoint=endpoint,
        heads=ReplyHeads(0.0),
        request_ids=request_ids(b"0" * 15),
        counters=Counters(),
        bounds=bounds or Bounds(),
        region="us-east-1",
        verifier=None,
        now_s=lambda: 0.0,
    )
    made, transport = Connection(edge), KeptTransport()
    made.connection_made(cast(asyncio.BaseTransport, transport))
    return made, transport


def feed(made: Connection, transport: KeptTransport, laps: Laps, segments: list[bytes]) -> None:
    """Segments arrive while the protocol reads; what it wants done later is done between them."""
    left = list(segments)
    while left or laps.soon:
        while laps.soon:
            laps.soon.pop(0)()
        if left and transport.reading and not transport.closed:
            made.data_received(left.pop(0))
        elif not laps.soon:
            return


def answers(written: bytes) -> list[int]:
    """The statuses of the answers, each read by another parser: what was written must be HTTP."""
    statuses: list[int] = []
    while written:
        parser = httptools.HttpResponseParser(object())
        head, end, rest = written.partition(b"\r\n\r\n")
        parser.feed_data(head + end)
        statuses.append(parser.get_status_code())
        length = re.search(rb"\r\nContent-Length: (\d+)\r\n", head + end)
        # The answer to a HEAD tells the length of a body that does not follow.
        written = rest if length is None or rest.startswith(b"HTTP/1.1 ") else rest[int(length[1]) :]
    return statuses


pieces = st.one_of(
    st.binary(max_size=40),
    st.sampled_from(
        [
            b"POST / HTTP/1.1\r\n",
            b"GET / HTTP/1.0\r\n",
            b"HEAD / HTTP/1.1\r\n",
            b"Host: a\r\n",
            b"Content-Type: application/x-amz-json-1.0\r\n",
            b"X-Amz-Target: DynamoDB_20120810.GetItem\r\n",
            b"Content-Length: 2\r\n",
            b"Content-Length: 99999999\r\n",
            b"Transfer-Encoding: chunked\r\n",
            b"Expect: 100-continue\r\n",
            b"Connection: close\r\n",
            b"Connection: upgrade\r\nUpgrade: h2c\r\n",
            b"Origin: http://localhost\r\n",
            b"\r\n",
            b"{}",
            b"2\r\n{}\r\n",
            b"0\r\n\r\n",
            request(get("1")),
        ]
    ),
)


# Why: whatever comes, no exception leaves the protocol, nothing is written after the end, and what is written is
# HTTP. The grammar's pieces make it likely to get deep into the parser.
@settings(max_examples=400)
@example([b"HEAD / HTTP/1.1\r\n\r\n\0"], False)
@given(st.lists(st.lists(pieces, max_size=12).map(b"".join), max_size=4), st.booleans())
def test_any_bytes_are_answered_or_refused(segments: list[bytes], then_ends: bool) -> None:
    with running() as laps:
        made, transport = connection(DictEndpoint())
        feed(made, transport, laps, segments)
        if then_ends and not transport.closed:
            made.eof_received()
        for _ in range(100):
            made.edge.tick += 10
            made.sweep()
        made.connection_lost(None)
    assert laps.faults == []
    assert all(200 <= status < 600 or status == 100 for status in answers(bytes(transport.written)))
    assert transport.closed or not made.pending


kinds = st.sampled_from(
    [
        request(get("1")),
        request(get("1"), more="X-Filler: " + "y" * 300 + "\r\n"),
        request(get("1"), more="Connection: keep-alive\r\n"),
        request(get("1"), more="Expect: 100-continue\r\n"),
        request(get("1"), more="Connection: Upgrade\r\nUpgrade: h2c\r\n"),
        request(b"").replace(b"Content-Length: 0", b"Transfer-Encoding: chunked") + b"2\r\n{}\r\n0\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        request(target="nonsense"),
    ]
)


# Why: where segments end must not matter: the same requests, cut anywhere, get the same answers in the same order.
@settings(max_examples=300)
@given(st.lists(kinds, min_size=1, max_size=6), st.data())
def test_any_cut_of_good_requests_gets_the_same_answers(requests: list[bytes], data: st.DataObject) -> None:
    whole = b"".join(requests)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=12)))
    segments = [whole[a:b] for a, b in zip([0, *cuts], [*cuts, len(whole)], strict=True) if a < b]
    with running() as laps:
        made, transport = connection(DictEndpoint())
        feed(made, transport, laps, segments)
    assert laps.faults == []
    final = [status for status in answers(bytes(transport.written)) if status != 100]
    assert final == [400 if b"nonsense" in one else 200 for one in requests]


# Why: C1 and C4 for every order in which an endpoint may answer and every bound: all are answered, in order, and
# never more than the bound are with the endpoint.
@settings(max_examples=200)
@given(
    st.integers(1, 40),
    st.integers(1, 8),
    st.integers(1, 8),
    st.lists(st.integers(0, 10**6), min_size=200, max_size=200),
)
def test_any_order_of_answers_leaves_in_the_order_of_requests(
    count: int, pipelined_max: int, per_turn_max: int, choices: list[int]
) -> None:
    endpoint = DictEndpoint()
    endpoint.holding = True
    bounds = Bounds(pipelined_max=pipelined_max, answers_per_turn_max=per_turn_max)
    with running() as laps:
        made, transport = connection(endpoint, bounds)
        bodies = [b'{"TableName":"missing"}' if choice % 2 else get("1") for choice in choices[:count]]
        feed(made, transport, laps, [b"".join(request(body) for body in bodies)])
        for choice in choices:
            while laps.soon:
                laps.soon.pop(0)()
            assert len(endpoint.held) <= pipelined_max
            if endpoint.held:
                endpoint.held.pop(choice % len(endpoint.held))()
    assert len(endpoint.starts) == count
    assert answers(bytes(transport.written)) == [400 if b"missing" in body else 200 for body in bodies]
    assert transport.reading
