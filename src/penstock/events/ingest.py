"""Ingestion: a body of events into a table, durable when it is answered, with an outcome for each event.

    reply = Ingestion(app, client).take("purchases", body, "application/x-ndjson", idempotency_key)

    200   {"received": 3, "stored": 2, "refused": [{"index": 1, "why": "…"}], "failed": []}
    400   the body, or the Idempotency-Key, cannot be read         404   no such table is declared
    409   the key was used for other content, or its first request is under way (Retry-After)
    413   more bytes or events than one request may hold            415   a content type that is none of ours
    422   every event was refused                                   429   too much at once here, or at the store (Retry-After)
    503   the store does not answer (Retry-After)

G1. An index that is neither in `refused` nor in `failed` is stored and durable. `refused` will never be stored; `failed` may be
    sent again, alone or with the whole body: an event that is stored twice is the same item.
G2. Events of one key are stored in the order of the body.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import orjson

from penstock.app.application import App
from penstock.connect.batch_writer import GROUP_BYTES_MAX, THROTTLED, Write, write_group
from penstock.connect.client import Client
from penstock.connect.retries import Retries
from penstock.errors import PenstockError, ServiceError
from penstock.events import idempotency
from penstock.events.event_bodies import Refused, UnknownType, Unreadable, read_events
from penstock.events.event_items import EventShape, item_of, shape_of
from penstock.limits import BATCH_WRITE_ITEMS_MAX
from penstock.metrics.registry import Registry

Group: TypeAlias = tuple[list[int], list[Write]]  # Indexes in the body, and what is written for them.

# How long a request may try again before its sender is asked to: it holds the sender's connection meanwhile.
_RETRIES = Retries(attempts_max=5, pause_s_max=0.5)
_RETRY_AFTER_S = 1


@dataclass(frozen=True)
class Bounds:
    """What one request and all of them together may hold. Ours: an event of 1 KB, some thousands of them at a time."""

    body_bytes: int = 8 * 1024 * 1024
    events: int = 10_000
    bytes_at_once: int = 64 * 1024 * 1024
    requests_at_once: int = 64
    writers: int = 32  # Groups that are written side by side, so that they share syncs.


@dataclass(frozen=True)
class IngestReply:
    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


class Ingestion:
    """All ingestion of a process. `take` may be called from any thread, and blocks."""

    def __init__(
        self,
        app: App,
        client: Client,
        *,
        registry: Registry | None = None,
        bounds: Bounds | None = None,
        now_s: Callable[[], float] = time.time,
        retries: Retries = _RETRIES,
    ) -> None:
        self._app, self._client = app, client
        self.bounds, self._now_s, self._retries = bounds or Bounds(), now_s, retries
        self._requests = idempotency.Requests(client)
        self._shapes: dict[str, EventShape] = {}
        self._pool = ThreadPoolExecutor(self.bounds.writers, thread_name_prefix="penstock-ingest")
        self._lock = threading.Lock()
        self._bytes = self._running = 0
        counted = registry or Registry()
        self._stored = counted.counter("penstock_events_stored_total", "Events stored by ingestion.", "table")
        self._refused = counted.counter(
            "penstock_events_refused_total", "Events refused by ingestion.", "table"
        )

    def take(
        self, table: str, body: bytes, content_type: str = "", idempotency_key: str | None = None
    ) -> IngestReply:
        with self.room(table, len(body)) as refusal:
            return refusal or self.carry_out(table, body, content_type, idempotency_key)

    def carry_out(
        self, table: str, body: bytes, content_type: str, idempotency_key: str | None
    ) -> IngestReply:
        """What was let in by `room`."""
        try:
            return self._take_once(table, body, content_type, idempotency_key)
        except ServiceError as error:
            if error.code in THROTTLED:
                return _problem(429, error.message or error.code, retry=True)
            return _problem(503 if error.status >= 500 else 500, str(error), retry=error.status >= 500)
        except PenstockError as error:
            return _problem(503, str(error), retry=True)

    @contextmanager
    def room(self, table: str, size: int) -> Iterator[IngestReply | None]:
        """Room for a body of this size while the block lasts, or the reply that says why there is none."""
        if table not in self._app.tables:
            declared = ", ".join(self._app.tables) or "none"
            yield _problem(404, f"no table {table!r} is declared; the application's tables: {declared}")
            return
        if size > self.bounds.body_bytes:
            yield self.too_large()
            return
        with self._lock:
            fits = (
                self._running < self.bounds.requests_at_once
                and self._bytes + size <= self.bounds.bytes_at_once
            )
            if fits:
                self._running, self._bytes = self._running + 1, self._bytes + size
        try:
            yield None if fits else _problem(429, "too many events at once", retry=True)
        finally:
            if fits:
                with self._lock:
                    self._running, self._bytes = self._running - 1, self._bytes - size

    def too_large(self) -> IngestReply:
        return _problem(413, f"a body has at most {self.bounds.body_bytes} bytes")

    def _take_once(self, table: str, body: bytes, content_type: str, given: str | None) -> IngestReply:
        """Idempotency around the work."""
        if given is None:
            return self._store(table, body, content_type)
        if not 0 < len(given) <= idempotency.KEY_CHARACTERS_MAX:
            return _problem(400, f"an Idempotency-Key has 1 to {idempotency.KEY_CHARACTERS_MAX} characters")
        key, print_ = f"{table}/{given}", idempotency.fingerprint(table, body)
        claim = self._requests.claim(key, print_, self._now_s())
        if isinstance(claim, idempotency.Replay):
            return IngestReply(claim.status, {**_JSON, "Idempotent-Replayed": "true"}, claim.body)
        if isinstance(claim, idempotency.Conflict):
            return _problem(409, "this Idempotency-Key was used for other content")
        if isinstance(claim, idempotency.Underway):
            return _problem(409, "the first request with this Idempotency-Key is under way", retry=True)
        try:
            reply = self._store(table, body, content_type)
        except PenstockError:
            self._requests.abandon(key)
            raise
        if "Retry-After" in reply.headers or len(reply.body) > idempotency.ANSWER_BYTES_MAX:
            self._requests.abandon(key)
        else:
            self._requests.finish(key, print_, reply.status, reply.body, self._now_s())
        return reply

    def _store(self, table: str, body: bytes, content_type: str) -> IngestReply:
        try:
            events = read_events(body, content_type)
        except UnknownType as error:
            return _problem(415, f"{error} is not JSON; send application/json or application/x-ndjson")
        except Unreadable as error:
            return _problem(400, str(error))
        if len(events) > self.bounds.events:
            return _problem(
                413, f"a body has at most {self.bounds.events} events; this one has {len(events)}"
            )
        shape = self._shape(table)
        refused: list[dict[str, Any]] = []
        groups = _Plan(shape.keys)
        for index, event in enumerate(events):
            found = event if isinstance(event, Refused) else item_of(event, shape)
            if isinstance(found, Refused):
                refused.append({"index": index, "why": found.why})
            else:
                groups.add(index, *found)
        failed, throttled = self._write(table, groups.finished())
        stored = len(events) - len(refused) - len(failed)
        self._stored.add(stored, table)
        self._refused.add(len(refused), table)
        outcome = {"received": len(events), "stored": stored, "refused": refused, "failed": failed}
        if failed:
            return _reply(429 if throttled else 503, outcome, retry=True)
        return _reply(422 if refused and not stored else 200, outcome)

    def _shape(self, table: str) -> EventShape:
        if table not in self._shapes:
            self._shapes[table] = shape_of(self._app, self._app.tables[table])
        return self._shapes[table]

    def _write(self, table: str, rounds: list[list[Group]]) -> tuple[list[dict[str, Any]], bool]:
        """Each round's groups side by side, one round after another; the indexes that failed, and why."""
        failed: list[dict[str, Any]] = []
        throttled = False
        for groups in rounds:
            if len(groups) == 1:
                errors = [self._write_group(table, groups[0][1])]
            else:
                errors = list(self._pool.map(lambda group: self._write_group(table, group[1]), groups))
            for (indexes, _), error in zip(groups, errors, strict=True):
                if error is not None:
                    throttled |= isinstance(error, ServiceError) and error.code in THROTTLED
                    failed += [{"index": index, "why": str(error)} for index in indexes]
        return failed, throttled

    def _write_group(self, table: str, writes: list[Write]) -> PenstockError | None:
        try:
            write_group(self._client, table, writes, retries=self._retries)
        except PenstockError as error:
            return error
        return None

    def close(self) -> None:
        self._pool.shutdown()


class _Plan:
    """Events in groups of one request each; groups of one round share no key, a repeated key waits for the next round."""

    def __init__(self, keys: tuple[str, ...]) -> None:
        self._keys = keys
        self._rounds: list[list[Group]] = []
        self._begin_round()

    def _begin_round(self) -> None:
        self._groups: list[Group] = []
        self._seen: set[Hashable] = set()
        self._begin_group()

    def _begin_group(self) -> None:
        self._indexes: list[int] = []
        self._writes: list[Write] = []
        self._bytes = 0

    def add(self, index: int, item: Any, size: int) -> None:
        # Canonical values, so equal keys are equal here.
        mark = tuple([payload for name in self._keys for payload in item[name].values()])
        if mark in self._seen:
            self._end_round()
        elif len(self._writes) >= BATCH_WRITE_ITEMS_MAX or self._bytes + size > GROUP_BYTES_MAX:
            self._end_group()
        self._seen.add(mark)
        self._indexes.append(index)
        self._writes.append({"PutRequest": {"Item": item}})
        self._bytes += size

    def _end_group(self) -> None:
        if self._writes:
            self._groups.append((self._indexes, self._writes))
        self._begin_group()

    def _end_round(self) -> None:
        self._end_group()
        if self._groups:
            self._rounds.append(self._groups)
        self._begin_round()

    def finished(self) -> list[list[Group]]:
        self._end_round()
        return self._rounds


_JSON = {"Content-Type": "application/json"}


def _reply(status: int, outcome: dict[str, Any], *, retry: bool = False) -> IngestReply:
    headers = {**_JSON, "Retry-After": str(_RETRY_AFTER_S)} if retry else dict(_JSON)
    return IngestReply(status, headers, orjson.dumps(outcome))


def _problem(status: int, message: str, *, retry: bool = False) -> IngestReply:
    return _reply(status, {"message": message}, retry=retry)


def ingest(
    app: App,
    table: str,
    body: bytes,
    content_type: str,
    idempotency_key: str | None,
    client: Client,
) -> IngestReply:
    """One request, on its own. A process that takes many keeps one `Ingestion`, which bounds them together."""
    ingestion = Ingestion(app, client)
    try:
        return ingestion.take(table, body, content_type, idempotency_key)
    finally:
        ingestion.close()
