"""A whole database in memory, driven one step at a time: requests, syncs and background work when the test says so."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

import orjson

from penstock.database.actions import DYNAMODB, OWN, STREAMS
from penstock.database.compose import compose
from penstock.database.weather import Weather
from penstock.errors import ServiceError
from penstock.store.interface import Store
from penstock.store.memory import MemoryStore
from penstock.testing.clock import ManualClock

Request = dict[str, Any]


class MemoryDatabase:
    """`call` answers as the wire would; `ask` gives the reply, or raises the error that it tells.

    Nothing happens between calls: `tick` runs the background jobs that are due, `pass_time` moves the clock first.
    `ask("Explain", …)` calls Penstock's own actions. With a `weather` it is AWS on a bad day.
    """

    def __init__(
        self,
        store: Store | None = None,
        clock: ManualClock | None = None,
        weather: Weather | None = None,
    ) -> None:
        self.store: Store = store if store is not None else MemoryStore()
        self.clock = clock if clock is not None else ManualClock()
        self._deferred: deque[Callable[[], None]] = deque()
        self._ids = 0
        self._weather = weather
        self.database, self._sweeper = compose(
            self.store,
            self.clock,
            lambda: None,
            self._deferred.append,
            self._fresh_id,
            weather=weather,
        )

    def _fresh_id(self) -> str:
        self._ids += 1
        return f"00000000-0000-4000-8000-{self._ids:012d}"

    def call(self, action: str, request: Request) -> tuple[int, Request]:
        """One request, its long read's slices and the sync that its answer waits for."""
        status, body = self.call_bytes(action, orjson.dumps(request))
        return status, orjson.loads(body)

    def call_bytes(self, action: str, body: bytes) -> tuple[int, bytes]:
        answers: list[tuple[int, bytes]] = []
        self.database.start(self._target(action), body, lambda status, reply: answers.append((status, reply)))
        while not answers and (self._deferred or self.sync()):
            if self._deferred:
                self._deferred.popleft()()
        assert len(answers) == 1, f"{action} was answered {len(answers)} times"
        return answers[0]

    def ask(self, action: str, **request: Any) -> Request:
        status, reply = self.call(action, request)
        if status != 200:
            namespace, _, code = reply.pop("__type").rpartition("#")
            message = reply.pop("message", reply.pop("Message", None))
            raise ServiceError(code, message, status=status, namespace=namespace + "#", extra=reply)
        return reply

    def start(self, action: str, wait_ms: int = 0, **request: Any) -> list[tuple[int, Request]]:
        """A request whose answer is not waited for: it is put into the list that is returned, once it is there."""
        answers: list[tuple[int, Request]] = []
        self.database.start(
            self._target(action),
            orjson.dumps(request),
            lambda status, reply: answers.append((status, orjson.loads(reply))),
            wait_ms,
        )
        return answers

    def settle(self) -> None:
        """Everything that was put off happens: slices, syncs, what they wake."""
        while self._deferred or self.sync():
            while self._deferred:
                self._deferred.popleft()()

    def _target(self, action: str) -> str:
        targets = [prefix + action for prefix in (DYNAMODB, STREAMS, OWN)]
        return next((target for target in targets if self.database.serves(target)), action)

    def sync(self) -> bool:
        """Make everything applied durable and answer who waited; False where there was nothing to do."""
        commit = self.database.commit
        group = commit.begin()
        if group is None:
            return False
        commit.finish(group, commit.sync())
        return True

    def tick(self) -> None:
        """Every background job that is due does all that it can do now."""
        self._sweeper.tick()
        self.settle()

    def pass_time(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.tick()

    def reopen(self) -> MemoryDatabase:
        """Another database over the same store and clock, as after a restart."""
        return MemoryDatabase(self.store, self.clock, self._weather)


def memory_database() -> MemoryDatabase:
    return MemoryDatabase()
