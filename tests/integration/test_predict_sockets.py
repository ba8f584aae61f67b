"""The predict API on real sockets: what a caller leaves behind who goes away."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import AsyncGeneratorType
from typing import Any

import pytest
import uvicorn
import uvloop
from starlette.types import ASGIApp
from tests.shop import Shop
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

GET = b"GET /predict/will_buy/customer/c001 HTTP/1.1\r\nHost: x\r\n\r\n"
POST = b"POST /predict/will_buy/category/jewelry HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"
TURNS_MAX = 100_000  # Of the loop, before a test gives up waiting.


@asynccontextmanager
async def served(
    app: ASGIApp, protocol: type[HttpToolsProtocol] = HttpToolsProtocol
) -> AsyncIterator[tuple[uvicorn.Server, int]]:
    server = uvicorn.Server(uvicorn.Config(app, port=0, http=protocol, log_level="error", lifespan="off"))
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
