"""Answers that leave together, once the rows of all of them are in the log.

The log promises `kill -9` (L2 in inference_log.py), so a row is written before its answer leaves. A write to the store costs the
same for one row and for many, and requests arrive many at a time where it matters. So what is answered in one turn of the
event loop is written as one and sent then: at 16 connections a prediction in six was spent on writing.

O1. Nothing is sent before `written` said that its row is there; where rows are refused, every answer of that turn is a refusal.
O2. Answers leave in the order in which they were put, at the latest when the loop has gone round once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeAlias

Answer: TypeAlias = tuple[int, bytes]  # Status and body.
Send: TypeAlias = Callable[[int, bytes], None]


class Outbox:
    """`written` has what was logged so far written out, and gives the refusal to send instead, or None."""

    def __init__(self, written: Callable[[], Answer | None]) -> None:
        self._written = written
        self._held: list[tuple[Send, int, bytes]] = []

    def put(self, send: Send, status: int, body: bytes) -> None:
        if not self._held:
            asyncio.get_running_loop().call_soon(self.flush)
        self._held.append((send, status, body))

    def flush(self) -> None:
        held, self._held = self._held, []
        refusal = self._written() if held else None
        for send, status, body in held:
            if refusal is not None:
                status, body = refusal
            send(status, body)
