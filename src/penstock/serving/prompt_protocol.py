"""uvicorn's HTTP protocol, each of whose answers leaves as soon as it is there.

uvloop keeps what is written until all tasks that are ready have had their turn. With sixteen predictions ready at once the first
answer then waits for the work of fifteen others, and whoever asks a moment too late waits twice as long: the p99 was twice the
p50. Above a buffer of nothing uvloop writes at once.
"""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class PromptProtocol(HttpToolsProtocol):
    """`uvicorn.Config(app, http=PromptProtocol)`"""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        transport.set_write_buffer_limits(high=0)
