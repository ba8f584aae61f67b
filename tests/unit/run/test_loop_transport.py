"""A client for threads, over the engine of the loop beside them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

import penstock
from penstock.connect.client import Client
from penstock.connect.json_caller import JsonCaller
from penstock.database.open import open_database
from penstock.errors import ServiceError
from penstock.run.loop_transport import LoopTransport


async def over_a_loop(folder: Path) -> None:
    loop = asyncio.get_running_loop()

    def post(call: Callable[[], None]) -> None:
        loop.call_soon_threadsafe(call)

    database = open_database(folder, post=post)
    client = Client(JsonCaller(LoopTransport(database)))
    app = penstock.App("shop")
    orders = app.table("Orders", partition_key="id")
    app.bind(client)

    def in_a_thread() -> None:
        client.create_table(**orders.definition())
        orders.put({"id": "o1"})
        assert orders.get(id="o1") == {"id": "o1"}
        with pytest.raises(ServiceError, match="ResourceNotFoundException"):
            client.get_item(TableName="Nothing", Key={"id": {"S": "1"}})

    await asyncio.gather(*(asyncio.to_thread(each) for each in [in_a_thread]))
    with pytest.raises(AssertionError, match="on the event loop"):
        orders.get(id="o1")
    database.close()


# Why: ingestion and the console call from threads of the table process; a call on the loop would wait for itself for ever.
def test_threads_reach_the_engine_and_the_loop_itself_is_refused(tmp_path: Path) -> None:
    asyncio.run(over_a_loop(tmp_path))
