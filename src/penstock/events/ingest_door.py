"""Ingestion from an event loop: room is made before a body is read, and the work is done in threads.

    door = IngestDoor(Ingestion(app, client))
    reply = await door.take("purchases", request.headers, request.stream())

What there is no room for is refused before it is read, so that senders cannot fill the memory of the process that also answers
predictions; and so is a body that is longer than it said.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from concurrent.futures import ThreadPoolExecutor

from penstock.events.ingest import Ingestion, IngestReply


class IngestDoor:
    """Use it on one event loop."""

    def __init__(self, ingestion: Ingestion) -> None:
        self._ingestion = ingestion
        # As many as there may be requests at once: whoever is let in never waits for a thread.
        self._threads = ThreadPoolExecutor(
            max(1, ingestion.bounds.requests_at_once), thread_name_prefix="penstock-events"
        )

    async def take(self, table: str, headers: Mapping[str, str], body: AsyncIterator[bytes]) -> IngestReply:
        """`headers` in lower case."""
        told = headers.get("content-length", "")
        # Who does not say how much it sends may send as much as anybody.
        size = int(told) if told.isdigit() else self._ingestion.bounds.body_bytes
        with self._ingestion.room(table, size) as refusal:
            if refusal is not None:
                return refusal
            whole = await _read(body, size)
            if whole is None:
                return self._ingestion.too_large()
            return await asyncio.get_running_loop().run_in_executor(
                self._threads,
                self._ingestion.carry_out,
                table,
                whole,
                headers.get("content-type", ""),
                headers.get("idempotency-key"),
            )


async def _read(body: AsyncIterator[bytes], size: int) -> bytes | None:
    """The whole body, or None where there is more than `size`."""
    parts: list[bytes] = []
    left = size
    async for part in body:
        left -= len(part)
        if left < 0:
            return None
        parts.append(part)
    return b"".join(parts)
