"""What tests of the HTTP edge share: an endpoint in a dict, a server in a thread, and a client of bare bytes."""

from __future__ import annotations

import asyncio
import base64
import socket
import threading
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, TypeVar

import httptools
import orjson
import uvloop

from penstock.errors import ServiceError, table_not_found, unknown_operation
from penstock.operations.json_door import error_body, parse_body
from penstock.server.bounds import Bounds
from penstock.server.listen import Server
from penstock.wire.signing import AccessKey

Done = Callable[[int, bytes], None]
T = TypeVar("T")

PATIENCE_S = 20.0  # How long a test waits for what must come. Never waited out by a test that passes.
GET_ITEM = "DynamoDB_20120810.GetItem"
PUT_ITEM = "DynamoDB_20120810.PutItem"


class DictEndpoint:
    """`ports.Endpoint` over a dict of tables: GetItem and PutItem, enough to see the edge work.

    `holding` keeps answers back until a test gives them, in any order; `starts` is what arrived.
    """

    def __init__(self) -> None:
        self.items: dict[bytes, dict[str, object]] = {}
        self.starts: list[tuple[str, bytes, int]] = []
        self.holding = False
        self.held: list[Callable[[], None]] = []
        self.reply: bytes | None = None
        self.fails = False

    def start(self, target: str, body: bytes, done: Done, wait_ms: int = 0) -> None:
        self.starts.append((target, body, wait_ms))
        if self.fails:
            raise RuntimeError("a fault in the endpoint")
        status, reply = self.answer(target, body)
        if self.holding:
            self.held.append(lambda: done(status, reply))
        else:
            done(status, reply)

    def answer(self, target: str, body: bytes) -> tuple[int, bytes]:
        try:
            if self.reply is not None:
                return 200, self.reply
            return 200, orjson.dumps(self._run(target, parse_body(body)))
        except ServiceError as error:
            return error.status, error_body(error)

    def _run(self, target: str, request: dict[str, Any]) -> dict[str, object]:
        if request.get("TableName") == "missing":
            raise table_not_found()
        if target == PUT_ITEM:
            item = request["Item"]
            self.items[orjson.dumps(item["id"])] = item
            return {}
        if target == GET_ITEM:
            item = self.items.get(orjson.dumps(request.get("Key", {}).get("id")), {})
            return {"Item": item} if item else {}
        raise unknown_operation()


class EdgeInThread:
    """A Server on a free port of 127.0.0.1, on a loop in a thread of its own."""

    def __init__(
        self,
        endpoint: DictEndpoint | None = None,
        *,
        bounds: Bounds | None = None,
        access_keys: Mapping[str, AccessKey] | None = None,
    ) -> None:
        self.endpoint = endpoint or DictEndpoint()
        self._bounds = bounds
        self._access_keys = access_keys
        self._loop = uvloop.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> EdgeInThread:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(PATIENCE_S)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop(0.0)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE_S)
        self._loop.close()

    async def _listen(self) -> None:
        self.server = Server(self.endpoint, bounds=self._bounds, access_keys=self._access_keys)
        _, self.port = await self.server.listen_tcp("127.0.0.1", 0)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def stop(self, grace_s: float) -> None:
        asyncio.run_coroutine_threadsafe(self.server.stop(grace_s), self._loop).result(PATIENCE_S)

    def run(self, call: Callable[[], T]) -> T:
        """Run something on the loop's thread and bring its result back."""

        async def there() -> T:
            return call()

        return asyncio.run_coroutine_threadsafe(there(), self._loop).result(PATIENCE_S)

    def pass_seconds(self, seconds: int) -> None:
        for _ in range(seconds):
            self.run(self.server.pass_second)

    def until(self, condition: Callable[[], bool]) -> None:
        """Wait, with a bound, for something that the loop's thread brings about."""
        waited = threading.Event()

        async def look() -> None:
            while not condition():
                await asyncio.sleep(0)
            waited.set()

        future = asyncio.run_coroutine_threadsafe(look(), self._loop)
        if not waited.wait(PATIENCE_S):
            future.cancel()
            raise AssertionError("what the test waited for did not happen")

    def connect(self) -> RawClient:
        return RawClient(self.port)


class RawClient:
    """Sends bytes and reads HTTP answers, without any manners of its own."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), PATIENCE_S)
        self._unread = b""

    def __enter__(self) -> RawClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.socket.close()

    def send(self, *parts: bytes) -> RawClient:
        for part in parts:
            self.socket.sendall(part)
        return self

    def answer(self, *, to_head: bool = False) -> RawAnswer:
        """The next answer, fed to the parser byte by byte where the segment holds more than one."""
        answer = RawAnswer()
        parser = httptools.HttpResponseParser(answer)
        while not (answer.complete or (to_head and answer.head_complete)):
            if not self._unread:
                self._unread = self.socket.recv(65536)
                assert self._unread, f"the connection ended in the middle of an answer: {answer.headers}"
            head_end = self._unread.find(b"\r\n\r\n") if not answer.head_complete else -1
            cut = head_end + 4 if head_end >= 0 else min(answer.wanted or 1, len(self._unread))
            part, self._unread = self._unread[:cut], self._unread[cut:]
            parser.feed_data(part)
            answer.wanted -= len(part) if answer.head_complete and head_end < 0 else 0
        answer.status = parser.get_status_code()
        return answer

    def ends(self) -> bool:
        """Whether the server closes, with nothing more to say."""
        try:
            rest = self._unread + self.socket.recv(65536)
        except ConnectionResetError:
            return not self._unread
        return rest == b""


class RawAnswer:
    def __init__(self) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.body = b""
        self.wanted = 0
        self.head_complete = False
        self.complete = False

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers[name.decode().lower()] = value.decode()

    def on_headers_complete(self) -> None:
        self.head_complete = True
        self.wanted = int(self.headers.get("content-length", "0"))

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        self.complete = True


def request(
    body: bytes = b"{}", target: str = GET_ITEM, *, method: str = "POST", more: str = "", version: str = "1.1"
) -> bytes:
    """A request as an SDK sends it; `more` is further header lines, each with its end."""
    return (
        f"{method} / HTTP/{version}\r\nHost: localhost\r\nContent-Type: application/x-amz-json-1.0\r\n"
        f"X-Amz-Target: {target}\r\n{more}Content-Length: {len(body)}\r\n\r\n"
    ).encode() + body


def get(id_: str) -> bytes:
    return orjson.dumps({"TableName": "table", "Key": {"id": {"S": id_}}})


def put(id_: str, **attributes: object) -> bytes:
    return orjson.dumps({"TableName": "table", "Item": {"id": {"S": id_}, **attributes}})


def binary(value: bytes) -> dict[str, str]:
    return {"B": base64.b64encode(value).decode()}
