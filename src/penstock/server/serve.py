"""Serve one endpoint until a signal says stop: listeners, the pulse of background work, an orderly end.

The order of the end matters: no new connection, then the answers that are still owed, and only then does the
caller close the endpoint. A second signal ends the process the hard way, for those who cannot wait.
"""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Callable, Mapping
from typing import Protocol

from penstock.errors import PenstockError
from penstock.ports import Endpoint
from penstock.server.bounds import Bounds
from penstock.server.counters import Counters
from penstock.server.listen import Server
from penstock.server.pulse import Pulse
from penstock.wire.signing import AccessKey

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class BackgroundEndpoint(Endpoint, Protocol):
    """An endpoint with background work: `tick` runs a slice of about 2 ms and says when it wants the next. It raises
    where the endpoint cannot go on."""

    def tick(self) -> float: ...
    def stop_waiting(self) -> None:
        """Answer who holds an empty page open, and let nobody wait from now on: the end must not wait for them."""


async def serve(
    endpoint: BackgroundEndpoint,
    host: str,
    port: int,
    *,
    ready: Callable[[str, int, Counters], None],
    access_keys: Mapping[str, AccessKey] | None = None,
    region: str = "us-east-1",
    unix: socket.socket | None = None,
    bounds: Bounds | None = None,
    stop: asyncio.Event | None = None,
) -> None:
    """`ready` is told where we listen. `stop` is for callers that have no signals, such as tests. Where the endpoint
    cannot go on, this ends in the same order and raises why."""
    loop = asyncio.get_running_loop()
    server = Server(endpoint, access_keys=access_keys, region=region, bounds=bounds)
    stopped = stop or asyncio.Event()
    pulse = None
    failures: list[PenstockError] = []

    def fail(error: PenstockError) -> None:
        failures.append(error)
        stopped.set()

    try:
        if unix is not None:
            await server.listen_unix(unix)
        where = await server.listen_tcp(host, port)
        pulse = Pulse(loop, server.counters, endpoint.tick, fail)
        if stop is None:
            for number in STOP_SIGNALS:
                loop.add_signal_handler(number, _stop_once, loop, stopped)
        ready(*where, server.counters)
        await stopped.wait()
    finally:
        endpoint.stop_waiting()
        await server.stop()
        if pulse is not None:
            pulse.stop()
    if failures:
        raise failures[0]


def _stop_once(loop: asyncio.AbstractEventLoop, stopped: asyncio.Event) -> None:
    stopped.set()
    for number in STOP_SIGNALS:
        loop.remove_signal_handler(number)
