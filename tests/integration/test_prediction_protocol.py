"""Predictions that are answered where their bytes arrive: whoever asks must not be able to tell, but by the time it takes."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest
import uvloop
from starlette.types import ASGIApp
from tests.integration.test_predict_sockets import served, until
from tests.shop import Shop
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from penstock.errors import ServiceError
from penstock.serving.prediction_protocol import PredictionProtocol

ASK = b"GET /predict/will_buy/customer/%b HTTP/1.1\r\nHost: x\r\n%b\r\n"
CLOSE = b"GET /openapi.json HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
# What differs from one answer to the next; the length does with the digits of the latency.
PASSING = re.compile(
    rb'date: [^\r]*|content-length: [0-9]+|"latencyMs":[0-9.e-]+|"requestId":"[0-9a-f-]{36}"'
)


@pytest.fixture
def shop() -> Shop:
    shop = Shop()
    for customer in range(4):
        shop.buy(f"c{customer}", "p", "10.5", days_ago=1, category="jewelry")
    shop.buy("a/b", "p", "3", days_ago=1)
    shop.add_model()
    return shop


async def said(port: int, sent: bytes) -> bytes:
    """All that comes back until the server closes the connection, as `CLOSE` has it do."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(sent)
    answer = await asyncio.wait_for(reader.read(), 20)
    writer.close()
    return answer


def by(app: ASGIApp, protocol: type[HttpToolsProtocol], sent: bytes) -> bytes:
    async def run() -> bytes:
        async with served(app, protocol) as (_, port):
            await said(port, ASK % (b"c0", b"") + CLOSE)  # The model is loaded.
            return await said(port, sent)

    return PASSING.sub(b"", uvloop.run(run()))


# Why: the short way is there for its speed alone. Status, headers, body and their order are what uvicorn and the routes give.
@pytest.mark.parametrize(
    "sent",
    [
        ASK % (b"c1", b""),
        ASK % (b"c1", b"Connection: keep-alive\r\n"),
        ASK % (b"c1?at=2026-11-20T10:00:00Z", b""),
        ASK % (b"c1?at=never", b""),
        ASK % (b"c1?a/b=c/d", b""),
        ASK % (b"nobody", b""),
        ASK % (b"a%2Fb", b""),
        ASK % (b"a/b", b""),
        ASK % (b"%FF", b""),
        ASK % (b"", b""),
        ASK % (b"c1", b"X-Request-Id: mine\r\n"),
        ASK % (b"c1", b"X-Request-Id: \xff\r\n"),
        ASK % (b"c1", b"Content-Length: 3\r\n") + b"abc",
        ASK % (b"c1", b"Transfer-Encoding: chunked\r\n") + b"3\r\nabc\r\n0\r\n\r\n",
        ASK % (b"c1", b"Expect: 100-continue\r\n"),
        ASK % (b"c1", b"Connection: Upgrade\r\nUpgrade: websocket\r\n"),
        ASK % (b"c1", b"Connection: close\r\n"),
        (ASK % (b"c1", b"")).replace(b"HTTP/1.1", b"HTTP/1.0"),
        (ASK % (b"c1", b"")).replace(b"GET", b"HEAD"),
        (ASK % (b"c1", b"")).replace(b"GET", b"DELETE"),
        (ASK % (b"c1", b"")).replace(b"will_buy", b"will_sell"),
        (ASK % (b"c1", b"")).replace(b"customer", b"household"),
        b"GET /predict/will_buy HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET nonsense\r\n\r\n",
    ],
)
def test_it_answers_as_uvicorn_and_the_routes_do(sent: bytes, shop: Shop) -> None:
    expected = by(shop.api, HttpToolsProtocol, sent + CLOSE)
    assert expected.startswith(b"HTTP/1.1 ")
    assert by(shop.api, PredictionProtocol, sent + CLOSE) == expected


# Why: a length that is one off takes the next answer's first byte with it.
def test_the_length_is_that_of_the_body(shop: Shop) -> None:
    async def run() -> bytes:
        async with served(shop.api, PredictionProtocol) as (_, port):
            await said(port, ASK % (b"c0", b"") + CLOSE)
            return await said(port, ASK % (b"%C3%A9", b"") + CLOSE)

    head, _, rest = uvloop.run(run()).partition(b"\r\n\r\n")
    length = int(head.partition(b"content-length: ")[2].split(b"\r\n")[0])
    assert "no events of customer é".encode() in rest[:length]
    assert rest[length:].startswith(b"HTTP/1.1 200")


# Why: P3. A caller's own id waits for the disk; those behind it on the connection must not be answered before it.
def test_answers_keep_their_order_where_one_has_to_wait(shop: Shop) -> None:
    sent = [ASK % (b"c%d" % n, b"X-Request-Id: r%d\r\n" % n if n % 2 else b"") for n in range(4)]
    whole = by(shop.api, PredictionProtocol, b"".join(sent) + CLOSE)
    parts = whole.split(b"HTTP/1.1 200 OK")[1:]
    assert [b'"requestId":"r%d"' % n in part for n, part in enumerate(parts[:4])] == [False, True] * 2
    assert [item["entity"]["S"] for item in shop.log_rows() if item["entity"]["S"] != "c0"].count("c2") == 1
    assert b"openapi" in parts[4]


class Sent(asyncio.Transport):
    """A connection whose answers stay here."""

    def __init__(self) -> None:
        super().__init__()
        self.answers: list[bytes] = []
        self.closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.answers.append(bytes(data))

    def is_closing(self) -> bool:
        return self.closed

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...

    def close(self) -> None:
        self.closed = True


# Why: P1. One caller's thousand requests in one packet must not hold up everybody else's.
def test_of_requests_that_arrive_together_only_the_first_is_answered_at_once(shop: Shop) -> None:
    async def run() -> tuple[int, int]:
        async with served(shop.api, PredictionProtocol) as (server, port):
            await said(port, ASK % (b"c0", b"") + CLOSE)
            protocol, transport = PredictionProtocol(server.config, server.server_state, {}), Sent()
            protocol.connection_made(transport)
            protocol.data_received(ASK % (b"c1", b"") * 5)
            assert transport.answers == [], "its row is not in the log yet"
            assert not server.server_state.tasks, "those behind it are queued"
            assert shop.api.lean.outbox is not None
            shop.api.lean.outbox.flush()
            at_once = b"".join(transport.answers).count(b"HTTP/1.1 200")
            await until(server, lambda: not server.server_state.tasks)
            protocol.connection_lost(None)
            return at_once, b"".join(transport.answers).count(b"HTTP/1.1 200")

    assert uvloop.run(run()) == (1, 5)


# Why: P2 and O1. An answer whose row the store refused would be one that is not on record.
def test_an_answer_whose_row_is_refused_is_a_refusal(shop: Shop) -> None:
    async def run() -> tuple[bytes, bytes]:
        async with served(shop.api, PredictionProtocol) as (_, port):
            await said(port, ASK % (b"c0", b"") + CLOSE)
            log = shop.api.state.serving.log
            log.add_together = lambda rows: [
                ServiceError("InternalServerError", "full", status=500) for _ in rows
            ]
            refused = await said(port, ASK % (b"c1", b"") + CLOSE)
            del log.add_together
            return refused, await said(port, ASK % (b"c1", b"") + CLOSE)

    refused, after = uvloop.run(run())
    assert refused.startswith(b"HTTP/1.1 503 ")
    assert b"StoreFailed" in refused
    assert after.startswith(b"HTTP/1.1 200 ")


# Why: P2. uvicorn closes what it takes for idle when it stops, and a prediction under way is owed.
def test_a_server_that_stops_sends_what_it_owes(shop: Shop) -> None:
    async def run() -> bytes:
        async with served(shop.api, PredictionProtocol) as (server, port):
            await said(port, ASK % (b"c0", b"") + CLOSE)
            protocol, transport = PredictionProtocol(server.config, server.server_state, {}), Sent()
            protocol.connection_made(transport)
            protocol.data_received(ASK % (b"c1", b""))
            protocol.shutdown()
            assert not transport.closed
            assert shop.api.lean.outbox is not None
            shop.api.lean.outbox.flush()
            assert transport.closed
            protocol.connection_lost(None)
            return b"".join(transport.answers)

    answer = uvloop.run(run())
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b"\r\nconnection: close\r\n" in answer


async def said_while_broken(shop: Shop, owner: Any, name: str, broken: Any) -> tuple[bytes, bytes]:
    """What is answered while this method of ours is broken, and after it."""
    async with served(shop.api, PredictionProtocol) as (_, port):
        await said(port, ASK % (b"c0", b"") + CLOSE)
        setattr(owner, name, broken)
        failed = await said(port, ASK % (b"c1", b""))
        delattr(owner, name)
        return failed, await said(port, ASK % (b"c1", b"") + CLOSE)


# Why: P4. What nobody expected is a 500 with a line in the log; the connection and the next request live on.
def test_an_unexpected_error_is_a_500_and_is_logged(shop: Shop, capfd: pytest.CaptureFixture[str]) -> None:
    service = shop.api.state.serving.predictors["will_buy"]

    async def broken(asked: object, *, in_turn: bool) -> None:
        raise RuntimeError("a bug of ours")

    failed, after = uvloop.run(said_while_broken(shop, service, "infer", broken))
    assert failed.startswith(b"HTTP/1.1 500 ")
    assert after.startswith(b"HTTP/1.1 200 ")
    assert "RuntimeError: a bug of ours" in capfd.readouterr().err


# Why: P4, of what is done for all of a turn: who owes an answer for an error must not keep the connection waiting for ever.
def test_an_unexpected_error_of_the_log_is_a_500_and_is_logged(
    shop: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    log = shop.api.state.serving.log

    def broken(rows: object) -> None:
        raise RuntimeError("a bug of ours")

    failed, after = uvloop.run(said_while_broken(shop, log, "add_together", broken))
    assert failed.startswith(b"HTTP/1.1 500 ")
    assert after.startswith(b"HTTP/1.1 200 ")
    assert "RuntimeError: a bug of ours" in caplog.text


# Why: a caller that goes away while its prediction waits leaves nothing behind, and the row in the log is there.
def test_a_caller_that_goes_away_leaves_no_task(shop: Shop) -> None:
    async def run() -> None:
        async with served(shop.api, PredictionProtocol) as (server, port):
            await said(port, ASK % (b"c0", b"") + CLOSE)
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(ASK % (b"c1", b"X-Request-Id: gone\r\n"))
            writer.write_eof()
            writer.transport.abort()
            state = server.server_state
            await until(server, lambda: not state.connections and not state.tasks)

    uvloop.run(run())
