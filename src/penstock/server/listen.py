"""Listeners around one endpoint: TCP and unix sockets, swept once a second, stopped without losing an answer.

L1. An address that other machines reach is refused unless access keys are set: an open port is an open
    database.
L2. A unix socket is guarded by its file mode (0600) and asks for no signature.
L3. `stop` takes no new connection, lets what was asked be answered, and after the grace period aborts the
    rest.
"""

from __future__ import annotations

import asyncio
import ipaddress
import os
import socket
from collections.abc import Callable, Mapping
from time import time

from penstock.errors import UsageError
from penstock.ports import Endpoint
from penstock.server.bounds import Bounds
from penstock.server.counters import Counters
from penstock.server.protocol import Connection, Edge
from penstock.wire.replies import ReplyHeads, request_ids
from penstock.wire.signing import AccessKey, Verifier

_SWEEP_S = 1.0
_BACKLOG = 1024
_STOP_POLL_S = 0.01


class Server:
    """Make it inside the running loop that the endpoint belongs to."""

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        access_keys: Mapping[str, AccessKey] | None = None,
        region: str = "us-east-1",
        bounds: Bounds | None = None,
        now_s: Callable[[], float] = time,
    ) -> None:
        self.counters = Counters()
        self._now_s = now_s
        self._heads = ReplyHeads(now_s())
        self._loop = asyncio.get_running_loop()
        self._listeners: list[asyncio.AbstractServer] = []
        bounds = bounds or Bounds()
        verifier = Verifier(access_keys) if access_keys else None
        self._tcp, self._unix = (
            Edge(
                endpoint=endpoint,
                heads=self._heads,
                request_ids=request_ids(os.urandom(15)),
                counters=self.counters,
                bounds=bounds,
                region=region,
                verifier=checker,
                now_s=now_s,
                on_socket=on_socket,
            )
            for checker, on_socket in ((verifier, False), (None, True))
        )
        self._sweeping = self._loop.call_later(_SWEEP_S, self._sweep)

    @property
    def connections(self) -> int:
        return len(self._tcp.connections) + len(self._unix.connections)

    async def listen_tcp(self, host: str, port: int) -> tuple[str, int]:
        """Listen, and say where: port 0 asks for any free one."""
        if self._tcp.verifier is None:
            refuse_open_address(host)
        try:
            listener = await self._loop.create_server(
                lambda: Connection(self._tcp), host, port, backlog=_BACKLOG, reuse_address=True
            )
        except OSError as error:
            raise UsageError(f"{host}:{port} cannot be listened on: {_said(error)}") from error
        self._listeners.append(listener)
        address = listener.sockets[0].getsockname()
        return str(address[0]), int(address[1])

    async def listen_unix(self, bound: socket.socket) -> None:
        """Listen on a unix socket that is bound already; see connect/ownership.py for where and how."""
        listener = await self._loop.create_unix_server(
            lambda: Connection(self._unix), sock=bound, backlog=_BACKLOG
        )
        self._listeners.append(listener)

    async def stop(self, grace_s: float = 10.0) -> None:
        for listener in self._listeners:
            listener.close()
        deadline_s = self._loop.time() + grace_s
        while self.connections and self._loop.time() < deadline_s:
            for connection in self._all():
                connection.finish()
            await asyncio.sleep(_STOP_POLL_S)
        for connection in self._all():
            connection.abort()
        self._sweeping.cancel()
        for listener in self._listeners:
            await listener.wait_closed()

    def _all(self) -> list[Connection]:
        return [*self._tcp.connections, *self._unix.connections]

    def pass_second(self) -> None:
        """What happens once a second: time-outs of all connections, and the Date of answers."""
        self._heads.refresh(self._now_s())
        self._tcp.tick += 1
        self._unix.tick += 1
        for connection in self._all():
            connection.sweep()

    def _sweep(self) -> None:
        """The one timer of all connections. A walk over thousands costs less than a timer each."""
        self._sweeping = self._loop.call_later(_SWEEP_S, self._sweep)
        self.pass_second()


def refuse_open_address(host: str) -> None:
    """L1. Names are taken for open unless they are localhost, because what they resolve to may change."""
    try:
        loopback = ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = host == "localhost"
    if not loopback:
        raise UsageError(
            f"{host} can be reached from other machines: give --access-keys FILE, or listen on 127.0.0.1"
        )


def _said(error: OSError) -> str:
    """The system's words: asyncio wraps them into a sentence that tells the address once more."""
    return os.strerror(error.errno) if error.errno else str(error)
