"""Many writes to one table: grouped by 25, what comes back unprocessed sent again, and repeated keys kept in their order.

    with BatchWriter(client, "purchases", ("customer_id", "purchase_id")) as writer:
        for item in items:
            writer.put(item)

B1. Everything that was given before `flush` returned, or the `with` block ended, is durable.
B2. BatchWriteItem takes each key once in a request. A key that is given again begins a new request, after the first has
    been taken, so the last write of a key is the one that stays.
B3. Throttled and unprocessed writes are tried again with growing, jittered pauses; after that the error is raised.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, TypeAlias

import orjson

from penstock.connect.client import Client
from penstock.connect.retries import Retries
from penstock.errors import ServiceError
from penstock.limits import BATCH_WRITE_ITEMS_MAX

Write: TypeAlias = dict[str, Any]  # {"PutRequest": …} or {"DeleteRequest": …}
Progress: TypeAlias = Callable[[int], None]  # Called with how many writes are durable so far.

THROTTLED = frozenset(
    {"ProvisionedThroughputExceededException", "ThrottlingException", "RequestLimitExceeded"}
)
# A request is at most 16 MB; items are at most 400 KB, so 25 of them fit. JSON around them takes its part.
GROUP_BYTES_MAX = 8 * 1024 * 1024
RETRIES = Retries(attempts_max=12, pause_s_max=5.0)


def write_all(client: Client, table: str, writes: Sequence[Write], *, retries: Retries = RETRIES) -> None:
    """Every write is durable when this returns. No key may be among them twice."""
    for start in range(0, len(writes), BATCH_WRITE_ITEMS_MAX):
        write_group(client, table, writes[start : start + BATCH_WRITE_ITEMS_MAX], retries=retries)


def write_group(client: Client, table: str, writes: Sequence[Write], *, retries: Retries = RETRIES) -> None:
    left = list(writes)
    for attempt in range(retries.attempts_max):
        try:
            answer = client.batch_write_item(RequestItems={table: left})
        except ServiceError as error:
            if error.code not in THROTTLED or attempt == retries.attempts_max - 1:
                raise
        else:
            left = answer.get("UnprocessedItems", {}).get(table, [])
            if not left:
                return
        retries.rest(attempt)
    raise ServiceError(
        "ProvisionedThroughputExceededException", f"{len(left)} writes to {table} were not taken"
    )


class Groups:
    """Writes collected until a request is full (B2). `add` gives the full request that must go before the new write."""

    def __init__(self, keys: Sequence[str]) -> None:
        self._keys = keys
        self._writes: list[Write] = []
        self._held: set[bytes] = set()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._writes)

    def put(self, item: Mapping[str, Any], size: int = 0) -> list[Write]:
        return self._add({"PutRequest": {"Item": item}}, item, size)

    def delete(self, key: Mapping[str, Any]) -> list[Write]:
        return self._add({"DeleteRequest": {"Key": key}}, key, 0)

    def _add(self, write: Write, item: Mapping[str, Any], size: int) -> list[Write]:
        mark = key_mark(item, self._keys)
        full = len(self._writes) >= BATCH_WRITE_ITEMS_MAX or self._bytes + size > GROUP_BYTES_MAX
        taken = self.take() if full or mark in self._held else []
        self._writes.append(write)
        self._held.add(mark)
        self._bytes += size
        return taken

    def take(self) -> list[Write]:
        taken, self._writes, self._held, self._bytes = self._writes, [], set(), 0
        return taken


def key_mark(item: Mapping[str, Any], keys: Sequence[str]) -> bytes:
    """The same for two items exactly when their keys are."""
    return b"\0".join([orjson.dumps(item.get(name), default=_text) for name in keys])


def _text(value: Any) -> str:
    return bytes(value).hex()


class BatchWriter:
    """Not for several threads at once: each has its own."""

    def __init__(
        self,
        client: Client,
        table: str,
        keys: Sequence[str],
        *,
        progress: Progress | None = None,
        retries: Retries = RETRIES,
    ) -> None:
        self._client, self._table, self._retries = client, table, retries
        self._groups = Groups(keys)
        self._progress = progress
        self.written = 0

    def put(self, item: Mapping[str, Any]) -> None:
        self._send(self._groups.put(item))

    def delete(self, key: Mapping[str, Any]) -> None:
        self._send(self._groups.delete(key))

    def flush(self) -> None:
        self._send(self._groups.take())

    def _send(self, writes: list[Write]) -> None:
        if not writes:
            return
        write_group(self._client, self._table, writes, retries=self._retries)
        self.written += len(writes)
        if self._progress is not None:
            self._progress(self.written)

    def __enter__(self) -> BatchWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # After an error too: what was given before it was meant to be written.
        self.flush()
