"""A client for threads beside the event loop that the engine lives on: calls cross to the loop's thread and back, no socket.

Never call it on the loop itself: it would wait for what only the loop can do.
"""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future

from penstock.ports import Endpoint


class LoopTransport:
    """`connect.json_caller.Transport` over an endpoint on this loop. Make it on the loop's thread."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._loop = asyncio.get_running_loop()
        self._loop_thread = threading.get_ident()

    def send(self, target: str, body: bytes, wait_ms: int) -> tuple[int, bytes]:
        assert threading.get_ident() != self._loop_thread, "a blocking call on the event loop"
        answer: Future[tuple[int, bytes]] = Future()
        self._loop.call_soon_threadsafe(self._start, target, body, wait_ms, answer)
        return answer.result()

    def _start(self, target: str, body: bytes, wait_ms: int, answer: Future[tuple[int, bytes]]) -> None:
        self._endpoint.start(target, body, lambda status, told: answer.set_result((status, told)), wait_ms)

    def close(self) -> None:
        """The endpoint is not ours to close."""
