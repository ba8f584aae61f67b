"""The lake process over HTTP, for code on the event loop: SQL, the flows into it, and its Iceberg catalogue."""

from __future__ import annotations

import asyncio
import http.client
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import quote, urlsplit

import orjson

from penstock.errors import PenstockError

THREADS = 8  # Queries that people wait for at once; further ones queue here.
WAIT_S = 310.0  # A little more than the longest query.
LOOK_WAIT_S = 3.0


class LakeProblem(PenstockError):
    """The lake refused, or does not answer. The message is for the person who asked."""

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


class LakeClient:
    def __init__(self, url: str | None) -> None:
        self.asked = 0  # Queries since the start.
        self._url = url
        self._place = urlsplit(url or "")
        self._asking = ThreadPoolExecutor(THREADS, "penstock-console-lake")
        # Looks have threads of their own: a long query must not hide how the lake is.
        self._looking = ThreadPoolExecutor(4, "penstock-console-look")

    async def ask(
        self, sql: str, *, id_: str | None = None, rows_max: int = 1000, format_: str = "json"
    ) -> bytes:
        self.asked += 1
        asked = {"sql": sql, "format": format_, "rows_max": rows_max} | ({"id": id_} if id_ else {})
        return await self._send(self._asking, "POST", "/sql", orjson.dumps(asked), WAIT_S)

    async def rows(self, sql: str, rows_max: int = 1000) -> list[dict[str, Any]]:
        answer = orjson.loads(await self.ask(sql, rows_max=rows_max))
        names = [column["name"] for column in answer["columns"]]
        return [dict(zip(names, row, strict=True)) for row in answer["rows"]]

    async def cancel(self, id_: str) -> None:
        await self._send(self._looking, "DELETE", f"/sql/{quote(id_, safe='')}", b"", LOOK_WAIT_S)

    async def look(self, path: str) -> dict[str, Any]:
        held: dict[str, Any] = orjson.loads(await self._send(self._looking, "GET", path, b"", LOOK_WAIT_S))
        return held

    async def table(self, namespace: str, name: str) -> dict[str, Any]:
        """The table's metadata, as Iceberg's REST catalogue gives it."""
        path = f"/v1/namespaces/{quote(namespace, safe='')}/tables/{quote(name, safe='')}"
        metadata: dict[str, Any] = (await self.look(path))["metadata"]
        return metadata

    async def files(self, namespace: str, name: str) -> dict[str, Any]:
        return await self.look(f"/files/{quote(namespace, safe='')}/{quote(name, safe='')}")

    async def tables(self) -> list[tuple[str, str]]:
        found: list[tuple[str, str]] = []
        for parts in (await self.look("/v1/namespaces"))["namespaces"]:
            namespace = ".".join(parts)
            listed = await self.look(f"/v1/namespaces/{quote(namespace, safe='')}/tables")
            found += [(namespace, each["name"]) for each in listed["identifiers"]]
        return sorted(found)

    async def _send(
        self, where: ThreadPoolExecutor, method: str, path: str, body: bytes, wait_s: float
    ) -> bytes:
        if self._url is None:
            raise LakeProblem("This application runs without a lake.")
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(where, self.exchange, method, path, body, wait_s)

    def exchange(self, method: str, path: str, body: bytes, wait_s: float) -> bytes:
        connection = http.client.HTTPConnection(self._place.hostname or "", self._place.port, timeout=wait_s)
        try:
            headers = {"Content-Type": "application/json"} if body else {}
            connection.request(method, path, body or None, headers)
            answer = connection.getresponse()
            held = answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise LakeProblem(f"The lake does not answer at {self._url}: {error}") from error
        finally:
            connection.close()
        if answer.status >= 300:
            raise LakeProblem(_message(held), answer.status)
        return held


def _message(body: bytes) -> str:
    try:
        held = orjson.loads(body)
    except orjson.JSONDecodeError:
        return body[:300].decode("utf-8", "replace")
    error: Any = held.get("error", held) if isinstance(held, Mapping) else held
    return str(error.get("message", error)) if isinstance(error, Mapping) else str(error)


class BlockingLake:
    """The lake as replay and training ask it, for code in threads: `sql(query).table.to_pylist()`."""

    def __init__(self, url: str | None) -> None:
        self._url = url
        self._client = LakeClient(url)

    def sql(self, query: str) -> BlockingLake.Answer:
        if self._url is None:
            raise LakeProblem("This application runs without a lake.")
        asked = {"sql": query, "format": "lines", "rows_max": 1_000_000}
        held = self._client.exchange("POST", "/sql", orjson.dumps(asked), WAIT_S)
        return BlockingLake.Answer([orjson.loads(line) for line in held.splitlines() if line])

    class Answer:
        def __init__(self, rows: list[dict[str, Any]]) -> None:
            self._rows = rows

        @property
        def table(self) -> BlockingLake.Answer:
            return self

        def to_pylist(self) -> list[dict[str, Any]]:
            return self._rows
