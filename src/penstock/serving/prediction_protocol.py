"""Plain predictions answered where their bytes arrive: before a task, a scope and two messages are made for each.

uvicorn makes a cycle, a task and an ASGI scope for each request, which cost a prediction a seventh of its time. Nearly every
prediction is `GET /predict/…` without a body, and over the engine in this process it never has to wait. So it is run at
once, and its answer is one write. Everything else is uvicorn's, by the routes of http.py.

P1. Plain is a GET without a body for `/predict/PREDICTOR/ENTITY/ID`, of HTTP/1.1, on a connection that stays open and owes no
    answer. Of requests that arrive together on one connection only the first is: others have their turn in between.
P2. Its answer leaves with all others of this turn of the loop, when their rows are in the log (outbox.py). Until then the
    connection owes it, and what follows on it is uvicorn's, whose tasks begin after that.
P3. A prediction that has to wait all the same (for a sync, a model, a tile) goes on as a request of uvicorn's, which then
    keeps the order of what follows on the connection, and sees when the caller goes away.
P4. So does one that fails as no code expects: uvicorn tells of it in the log, and answers 500.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Coroutine, Generator
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol
from uvicorn.server import ServerState

from penstock.serving.http import LeanPredict, Owed, PredictApi, send_json
from penstock.serving.outbox import Answer, Outbox

_UNUSUAL = frozenset({b"content-length", b"transfer-encoding", b"expect"})


class PredictionProtocol(HttpToolsProtocol):
    """uvicorn's protocol, but for plain predictions: `uvicorn.Config(app, http=PredictionProtocol)`."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        # Not where another application stands around it: one that asks for a password, for instance.
        self._lean: LeanPredict | None = config.app.lean if isinstance(config.app, PredictApi) else None
        self._outbox = None if self._lean is None else self._lean.outbox
        self._is_plain = self._is_first = self._owes = False
        self._common: list[tuple[bytes, bytes]] = []  # Headers of every answer, made anew each second,
        self._head = b""  # and these as they are sent.

    def data_received(self, data: bytes) -> None:
        self._is_first = True
        super().data_received(data)

    def on_headers_complete(self) -> None:
        self._is_plain = (
            self._lean is not None and self._outbox is not None and self._is_plain_for(self._lean)
        )
        if not self._is_plain:
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        if not self._is_plain:
            super().on_body(body)

    def on_message_complete(self) -> None:
        if not self._is_plain or self._lean is None or self._outbox is None:
            super().on_message_complete()
            return
        self._is_first = False
        answering = self._lean.infer(self.url, self.headers)
        try:
            waited_for = answering.send(None)
        except StopIteration as answered:
            self._owes = True
            self._outbox.put(self._send, answered.value)
        except Exception as error:
            unexpected = error

            async def failed() -> Answer:
                raise unexpected

            self._hand_over(failed())
        else:
            self._hand_over(_rest(self._outbox, answering, waited_for))

    def _is_plain_for(self, lean: LeanPredict) -> bool:
        """P1."""
        parser = self.parser
        return (
            self._is_first
            and not self._owes
            and lean.is_prediction(self.url)
            and parser.get_method() == b"GET"
            and parser.get_http_version() == "1.1"
            and parser.should_keep_alive()
            and not parser.should_upgrade()
            and self._is_idle()
            and not self.flow.write_paused
            and _UNUSUAL.isdisjoint([name for name, _ in self.headers])
        )

    def _is_idle(self) -> bool:
        """Whether no request is uvicorn's to answer."""
        return self.cycle is None or self.cycle.response_complete

    def shutdown(self) -> None:
        """uvicorn closes a connection that has no request of its own under way."""
        if self._owes and self._outbox is not None:
            self._outbox.flush()
        super().shutdown()

    def _send(self, status: int, body: bytes) -> None:
        self._owes = False
        if self.transport.is_closing():
            return
        common = self.server_state.default_headers
        if common is not self._common:
            self._common = common
            lines = [b"%b: %b\r\n" % header for header in common]
            self._head = b"".join([*lines, b"content-type: application/json\r\ncontent-length: "])
        self.transport.write(b"%b%b%d\r\n\r\n%b" % (STATUS_LINE[status], self._head, len(body), body))
        if self._is_idle():
            self.on_response_complete()
        else:
            self.server_state.total_requests += 1  # What came behind it is under way, and sees to the rest.

    def _hand_over(self, answer: Awaitable[Answer]) -> None:
        """P3, P4: what is left of it becomes a request of uvicorn's, whose application only waits for it."""
        everything, self.app = self.app, _answering(answer)
        super().on_headers_complete()
        self.app = everything
        super().on_message_complete()


def _answering(answer: Awaitable[Answer]) -> Any:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send_json(send, *await answer)

    typed: ASGIApp = app
    return typed


async def _rest(
    outbox: Outbox[Owed], coroutine: Coroutine[Any, Any, Owed], waited_for: asyncio.Future[Any] | None
) -> Answer:
    """Of a coroutine that was begun outside a task, and is at its first wait."""
    if waited_for is not None:
        await asyncio.wait([waited_for])
    [answer] = outbox.settle([await _Begun(coroutine)])
    return answer


class _Begun:
    """`await` itself refuses a coroutine that has begun."""

    def __init__(self, coroutine: Coroutine[Any, Any, Owed]) -> None:
        self._coroutine = coroutine

    def __await__(self) -> Generator[Any, Any, Owed]:
        return self._coroutine.__await__()


__all__ = ["PredictionProtocol"]
