"""Serving from the first listener to the last answer, without signals."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
import uvloop
from tests.edge import DictEndpoint, RawClient, request

from penstock.connect.ownership import Claim, open_socket
from penstock.errors import StoreLost, UsageError
from penstock.server.counters import Counters
from penstock.server.serve import serve
from penstock.wire.signing import AccessKey


class TickingEndpoint(DictEndpoint):
    """DictEndpoint with background work to do."""

    def __init__(self) -> None:
        super().__init__()
        self.ticks = 0

    def tick(self) -> float:
        self.ticks += 1
        return 0.001

    def stop_waiting(self) -> None:
        """Nobody waits here."""


async def in_thread(call: Callable[[], None]) -> None:
    await asyncio.get_running_loop().run_in_executor(None, call)


# Why: one process answers TCP and the directory's socket, and both end with it. Keys guard the port; the file mode
# guards the socket.
def test_serve_answers_on_both_sockets_until_stopped(tmp_path: Path) -> None:
    endpoint = TickingEndpoint()
    claim = Claim.try_for(tmp_path)
    assert claim is not None

    async def run() -> Counters:
        stop = asyncio.Event()
        where: asyncio.Future[tuple[int, Counters]] = asyncio.get_running_loop().create_future()
        served = asyncio.create_task(
            serve(
                endpoint,
                "127.0.0.1",
                0,
                ready=lambda _, port, counters: where.set_result((port, counters)),
                access_keys={"A": AccessKey("A", "secret")},
                unix=claim.bind(),
                stop=stop,
            )
        )
        port, counters = await asyncio.wait_for(where, 10)

        def ask() -> None:
            with RawClient(port) as client:
                assert b"MissingAuthenticationToken" in client.send(request()).answer().body
            with open_socket(tmp_path, 10) as local:
                local.sendall(request())
                assert local.recv(100).startswith(b"HTTP/1.1 200 OK")

        await in_thread(ask)
        while not endpoint.ticks:
            await asyncio.sleep(0)
        stop.set()
        await asyncio.wait_for(served, 10)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), 1)
        return counters

    counters = uvloop.run(run())
    claim.release()
    assert counters.requests == 2


# Why: L1, where it matters: nothing listens, not even the socket, when the address is refused.
def test_serve_refuses_an_open_address_before_it_listens(tmp_path: Path) -> None:
    async def run() -> None:
        await serve(TickingEndpoint(), "0.0.0.0", 0, ready=lambda *_: None, stop=asyncio.Event())

    with pytest.raises(UsageError, match="--access-keys"):
        uvloop.run(run())


class LostEndpoint(TickingEndpoint):
    """One whose store takes no more writes."""

    def tick(self) -> float:
        if self.ticks:
            raise StoreLost("open it again")
        return super().tick()


# Why: only a new opening tells what the disk has. A server that went on would refuse writes until somebody looked.
def test_serve_ends_and_tells_why_when_the_endpoint_cannot_go_on() -> None:
    stop = asyncio.Event()
    served = serve(LostEndpoint(), "127.0.0.1", 0, ready=lambda *_: None, stop=stop)

    async def run() -> None:
        await asyncio.wait_for(served, 10)

    with pytest.raises(StoreLost, match="open it again"):
        uvloop.run(run())
