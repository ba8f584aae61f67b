"""The predict API on real sockets: when an answer leaves, and what a caller leaves behind who goes away."""

from __future__ import annotations

import asyncio
import gc
import socket
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from types import AsyncGeneratorType
from typing import Any

import pytest
import uvicorn
import uvloop
from starlette.types import ASGIApp, Receive, Scope, Send
from tests.shop import Shop

from penstock.serving.prompt_protocol import PromptProtocol

GET = b"GET /predict/will_buy/customer/c001 HTTP/1.1\r\nHost: x\r\n\r\n"
POST = b"POST /predict/will_buy/category/jewelry HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"
TURNS_MAX = 100_000  # Of the loop, before a test gives up waiting.


@asynccontextmanager
async def served(app: ASGIApp) -> AsyncIterator[tuple[uvicorn.Server, int]]:
    server = uvicorn.Server(
        uvicorn.Config(app, port=0, http=PromptProtocol, log_level="error", lifespan="off")
    )
    serving = asyncio.create_task(server.serve())
    try:
        await until(server, lambda: server.started)
        yield server, server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        await serving


async def until(server: uvicorn.Server, holds: Any) -> None:
    for _ in range(TURNS_MAX):
        if holds():
            return
        await asyncio.sleep(0)
    raise AssertionError(f"still not after {TURNS_MAX} turns of the loop; tasks: {server.server_state.tasks}")


# Why: with sixteen predictions ready at once an answer that waits for the others' work makes the slowest twice as slow.
def test_an_answer_leaves_before_the_next_request_has_its_turn() -> None:
    received: list[bytes] = []

    async def run() -> None:
        asking = socket.socket()

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
            await send({"type": "http.response.body", "body": b"ok"})
            # The loop does not turn here: what arrives was written by the line above.
            while not b"".join(received).endswith(b"ok"):
                received.append(asking.recv(1000))

        async with served(app) as (_, port):
            asking.connect(("127.0.0.1", port))
            asking.settimeout(10)
            asking.sendall(GET)
            await asyncio.wait_for(_until_any(received), 20)
            asking.close()

    uvloop.run(run())
    assert b"".join(received).startswith(b"HTTP/1.1 200")


async def _until_any(held: Iterable[bytes]) -> None:
    while not any(held):
        await asyncio.sleep(0)


# Why: a campaign is long, and callers go away. What nobody will read is not computed, and nothing of it is left.
def test_a_campaign_ends_with_the_connection_that_asked_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("penstock.serving.campaign.IN_FLIGHT", 2)
    customers = 400
    shop = Shop()
    for customer in range(customers):
        shop.buy(f"c{customer:03}", "p", "10", days_ago=1, category="jewelry")
    shop.add_model()

    def left_behind() -> list[str]:
        gc.collect()
        generators = (each for each in gc.get_objects() if isinstance(each, AsyncGeneratorType))
        return [each.__qualname__ for each in generators if each.__qualname__.startswith("Campaigns.")]

    async def run() -> int:
        async with served(shop.api) as (server, port):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(POST)
            await reader.readuntil(b"c000")
            writer.transport.abort()
            await until(server, lambda: not server.server_state.tasks)
            asked = [name for name, _ in shop.endpoint.requests].count("Query")
            assert left_behind() == []
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(GET)
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
            assert [name for name, _ in shop.endpoint.requests].count("Query") == asked + 1
            writer.close()
            return asked

    assert 2 < uvloop.run(run()) < customers // 2
