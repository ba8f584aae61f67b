"""Plain predictions answered without a task of their own, all of one turn of the event loop in step.

uvicorn makes a cycle, a task and an ASGI scope for each request, which cost a prediction a seventh of its time. Nearly every
prediction is `GET /predict/…` without a body, and over the engine in this process it never has to wait. So it begins where
its bytes arrive, goes as far as its events are read, and goes on with all others of this turn (outbox.py). Everything else
is uvicorn's, by the routes of http.py.

P1. Plain is a GET without a body for `/predict/PREDICTOR/ENTITY/ID`, of HTTP/1.1, on a connection that stays open and owes no
    answer. Of requests that arrive together on one connection only the first is: others have their turn in between.
P2. Until it is answered a plain request stands where uvicorn keeps the cycle of a request (`_Plain`), so that uvicorn queues
    what follows on the connection, and waits for it before it closes.
P3. A prediction that has to wait all the same (for a sync, a model, a tile) goes on in a task.
P4. An error that no code expects is told in the log, and answered with 500, as uvicorn does it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Generator
from typing import Any, cast

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from penstock.serving.http import LeanPredict, Owed, PredictApi
from penstock.serving.outbox import Outbox

_UNUSUAL = frozenset({b"content-length", b"transfer-encoding", b"expect"})
_UNEXPECTED = 500, b'{"error":"InternalError","message":"an error that nobody expected; the log has it"}'


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
        self._outbox: Outbox[Owed] | None = None if self._lean is None else self._lean.outbox
        self._is_plain = self._is_first = False
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
        self._is_plain = self._is_first = False
        plain = _Plain(self, self._outbox, self._lean.infer(self.url, self.headers))
        self.cycle = cast(RequestResponseCycle, plain)
        if plain.go_on():
            self._outbox.put(plain)

    def _is_plain_for(self, lean: LeanPredict) -> bool:
        """P1."""
        parser, cycle = self.parser, self.cycle
        return (
            self._is_first
            and lean.is_prediction(self.url)
            and parser.get_method() == b"GET"
            and parser.get_http_version() == "1.1"
            and parser.should_keep_alive()
            and not parser.should_upgrade()
            and (cycle is None or cycle.response_complete)
            and not self.flow.write_paused
            and _UNUSUAL.isdisjoint([name for name, _ in self.headers])
        )

    def head(self) -> bytes:
        """What stands between the status line and the length of a JSON body."""
        common = self.server_state.default_headers
        if common is not self._common:
            self._common = common
            lines = [b"%b: %b\r\n" % header for header in common]
            self._head = b"".join([*lines, b"content-type: application/json\r\ncontent-length: "])
        return self._head


class _Plain:
    """A plain prediction under way. It has what uvicorn asks of a cycle (P2), and what the outbox asks of a prediction."""

    __slots__ = (
        "_outbox",
        "_protocol",
        "_rest",
        "disconnected",
        "keep_alive",
        "message_event",
        "owed",
        "response_complete",
    )

    def __init__(
        self, protocol: PredictionProtocol, outbox: Outbox[Owed], rest: Coroutine[Any, Any, Owed]
    ) -> None:
        self._protocol, self._outbox, self._rest = protocol, outbox, rest
        self.owed: Owed | None = None
        self.disconnected = self.response_complete = False
        self.keep_alive = True
        self.message_event = _NOBODY

    def go_on(self) -> bool:
        """To the end, or to where it lets others go first. False where it has to wait, and so leaves the turn (P3)."""
        try:
            waited_for = self._rest.send(None)
        except StopIteration as finished:
            self.owed = finished.value
        except Exception as error:
            unexpected = error

            async def failed() -> Owed:
                raise unexpected

            self._leave(failed())
            return False
        else:
            if waited_for is not None:
                self._leave(_from(self._rest, waited_for))
                return False
        return True

    def _leave(self, rest: Coroutine[Any, Any, Owed]) -> None:
        protocol = self._protocol
        task = protocol.loop.create_task(rest)
        protocol.tasks.add(cast(asyncio.Task[None], task))
        task.add_done_callback(self._arrive)

    def _arrive(self, task: asyncio.Task[Owed]) -> None:
        protocol = self._protocol
        protocol.tasks.discard(cast(asyncio.Task[None], task))
        if task.cancelled():
            protocol.transport.close()
        elif (error := task.exception()) is not None:
            protocol.logger.error("Exception in a prediction\n", exc_info=error)
            self.fail()
        else:
            self._outbox.tell([self], [task.result()])

    def fail(self) -> None:
        """P4."""
        self.keep_alive = False
        self.send(*_UNEXPECTED)

    def send(self, status: int, body: bytes) -> None:
        protocol, transport = self._protocol, self._protocol.transport
        self.response_complete = True
        if self.disconnected or transport.is_closing():
            return
        end = b"" if self.keep_alive else b"\r\nconnection: close"
        parts = STATUS_LINE[status], protocol.head(), len(body), end, body
        transport.write(b"%b%b%d%b\r\n\r\n%b" % parts)
        if not self.keep_alive:
            transport.close()
        protocol.on_response_complete()


class _Nobody:
    """In place of the event by which uvicorn wakes who reads a body."""

    def set(self) -> None: ...


_NOBODY = _Nobody()


async def _from(coroutine: Coroutine[Any, Any, Owed], waited_for: asyncio.Future[Any]) -> Owed:
    """The rest of a coroutine that was begun outside a task, and is at its first wait."""
    await asyncio.wait([waited_for])
    return await _Begun(coroutine)


class _Begun:
    """`await` itself refuses a coroutine that has begun."""

    def __init__(self, coroutine: Coroutine[Any, Any, Owed]) -> None:
        self._coroutine = coroutine

    def __await__(self) -> Generator[Any, Any, Owed]:
        return self._coroutine.__await__()


__all__ = ["PredictionProtocol"]
