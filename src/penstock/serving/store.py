"""The API for code on an event loop: over an endpoint in this process, or over any blocking client in threads.

`call` answers as a client of penstock.connect does. `position` is the sequence number of the last change that a read
started now would see, where this process can know it: what "known at" means for an inference. Over a client it cannot.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import partial
from typing import Any, Protocol, TypeAlias

from penstock.database.appends import Appends
from penstock.errors import PenstockError, ServiceError
from penstock.features.online import Page, pages_of
from penstock.ports import Endpoint
from penstock.wire.codec import decode_answer, decode_error, encode_request, target_of

Answer: TypeAlias = dict[str, Any]
Append: TypeAlias = Callable[[str, Sequence[dict[str, Any]]], list[ServiceError | None]]


class AsyncStore(Protocol):
    async def call(self, action: str, request: Mapping[str, Any]) -> Answer: ...

    async def call_all(self, action: str, requests: Sequence[Mapping[str, Any]]) -> list[Answer]:
        """Requests that are started together; the answers in their order."""

    async def pages(self, queries: Sequence[Mapping[str, Any]]) -> list[Page]:
        """Queries that are started together; their answers unparsed where they arrive so."""

    async def mixed_pages(self, asked: Sequence[tuple[str, Mapping[str, Any]]]) -> list[Page]:
        """The same of Queries and BatchGetItems, each with its action."""

    @property
    def append(self) -> Append | None:
        """Where the store can without waiting: puts new items into a table (database/appends.py)."""

    def position(self) -> int | None: ...


class EndpointStore:
    """Over `ports.Endpoint` on this loop's thread. Requests that need no sync are answered without leaving it."""

    def __init__(
        self,
        endpoint: Endpoint,
        position: Callable[[], int] | None = None,
        appends: Appends | None = None,
    ) -> None:
        self._start = endpoint.start
        self._position = position
        self.append: Append | None = None
        if appends is not None:
            self.append, appends.on_lost = appends.append, _tell_lost

    def position(self) -> int | None:
        return None if self._position is None else self._position()

    async def call(self, action: str, request: Mapping[str, Any]) -> Answer:
        return decode_answer(action, await self._begin(action, request).content())

    async def call_all(self, action: str, requests: Sequence[Mapping[str, Any]]) -> list[Answer]:
        started = [self._begin(action, request) for request in requests]
        return [decode_answer(action, await reply.content()) for reply in started]

    async def pages(self, queries: Sequence[Mapping[str, Any]]) -> list[Page]:
        started = [self._begin("Query", query) for query in queries]
        return [await reply.content() for reply in started]

    async def mixed_pages(self, asked: Sequence[tuple[str, Mapping[str, Any]]]) -> list[Page]:
        started = [self._begin(action, request) for action, request in asked]
        return [await reply.content() for reply in started]

    def _begin(self, action: str, request: Mapping[str, Any]) -> _Reply:
        reply = _Reply()
        self._start(target_of(action), encode_request(request), reply)
        return reply


def _tell_lost(error: PenstockError) -> None:
    told = {"message": "the sync of what was appended, and answered for, failed", "exception": error}
    asyncio.get_running_loop().call_exception_handler(told)


class _Reply:
    """Where one answer arrives, mostly before `start` returns: a future is made only for who has to wait."""

    __slots__ = ("_ended", "body", "status")

    def __init__(self) -> None:
        self.status, self.body = 0, b""
        self._ended: asyncio.Future[None] | None = None

    def __call__(self, status: int, body: bytes) -> None:
        self.status, self.body = status, body
        if self._ended is not None and not self._ended.done():
            self._ended.set_result(None)

    async def content(self) -> bytes:
        """The body, or the error that it tells."""
        if not self.status:
            await self.end()
        if self.status != 200:
            raise decode_error(self.status, self.body)
        return self.body

    async def end(self) -> None:
        self._ended = asyncio.get_running_loop().create_future()
        await self._ended


class ClientStore:
    """Over a blocking client (embedded, HTTP or AWS), in threads of its own."""

    def __init__(self, client: Any, *, threads: int = 16, executor: Executor | None = None) -> None:
        self._executor = executor or ThreadPoolExecutor(threads, thread_name_prefix="penstock-store")
        self._client = client
        self._unparsed = {action: pages_of(client, action) for action in ("Query", "BatchGetItem")}
        self._methods: dict[str, Callable[..., Answer]] = {}

    def position(self) -> int | None:
        return None

    async def call(self, action: str, request: Mapping[str, Any]) -> Answer:
        return await self._run(action, request)

    async def call_all(self, action: str, requests: Sequence[Mapping[str, Any]]) -> list[Answer]:
        return list(await asyncio.gather(*(self._run(action, request) for request in requests)))

    async def pages(self, queries: Sequence[Mapping[str, Any]]) -> list[Page]:
        return await self.mixed_pages([("Query", query) for query in queries])

    async def mixed_pages(self, asked: Sequence[tuple[str, Mapping[str, Any]]]) -> list[Page]:
        run = asyncio.get_running_loop().run_in_executor
        begun = [run(self._executor, partial(self._unparsed[action], **request)) for action, request in asked]
        return list(await asyncio.gather(*begun))

    @property
    def append(self) -> None:
        return None

    def _run(self, action: str, request: Mapping[str, Any]) -> asyncio.Future[Answer]:
        method = self._methods.get(action)
        if method is None:
            method = self._methods[action] = getattr(self._client, method_of(action))
        return asyncio.get_running_loop().run_in_executor(self._executor, lambda: method(**request))

    def close(self) -> None:
        if isinstance(self._executor, ThreadPoolExecutor):
            self._executor.shutdown()


def method_of(action: str) -> str:
    """`PutItem` → `put_item`"""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", action).lower()


def is_missing(error: ServiceError) -> bool:
    return error.code == "ResourceNotFoundException"
