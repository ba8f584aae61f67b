"""Applications over one engine on one loop, as in the table process: what the benchmarks of predictions ask."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import uvicorn
import uvloop

from penstock.database.open import open_database
from penstock.serving.prediction_protocol import PredictionProtocol
from penstock.serving.store import EndpointStore


def serve(data: Path, applications: Callable[[EndpointStore], Sequence[Any]]) -> None:
    """For ever. A line tells the port of each."""
    uvloop.run(_run(data, applications))


async def _run(data: Path, applications: Callable[[EndpointStore], Sequence[Any]]) -> None:
    loop = asyncio.get_running_loop()
    database = open_database(
        data, post=lambda call: loop.call_soon_threadsafe(call) and None, later=loop.call_later
    )
    store = EndpointStore(database, database.database.view.last_sequence, database.appends)
    tasks = []
    for each in applications(store):
        config = uvicorn.Config(each, port=0, http=PredictionProtocol, log_level="error", access_log=False)
        server = uvicorn.Server(config)
        tasks.append(asyncio.create_task(server.serve()))
        while not server.started:
            await asyncio.sleep(0.01)
        print(server.servers[0].sockets[0].getsockname()[1], flush=True)
    gc.freeze()  # As the table process does.
    await asyncio.gather(*tasks)
