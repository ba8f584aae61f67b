"""Delivery streams: records that are put, not written to a table first, into an Iceberg table exactly once for each id.

    POST /deliveries/clicks     one JSON object, an array of them, or one a line; `id_field` names the record's id
    deliveries.NAME             _key (the id), _sequence (its number), _extra, and the records' own columns

Y1. A put is answered when the record is durable in the spool, one SQLite file in the lake's folder.
Y2. An id that was put within IDS_KEPT_S is taken once, whatever happened to the first answer. A record without an id gets
    one of its own.
Y3. Records are numbered. A flush commits rows together with the last number, then clears the spool; after a crash in
    between, what the table's number covers is cleared and not written again.
"""

from __future__ import annotations

import json
import logging
import sqlite3
import threading
import uuid
from collections.abc import Mapping, Sequence
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa

from penstock.app.lake import Delivery
from penstock.app.plain import to_item
from penstock.errors import PenstockError, ServiceError, UsageError
from penstock.lake.evolution import KEY, SEQUENCE, Columns
from penstock.lake.iceberg.schemas import CURRENT_SCHEMA, columns_of
from penstock.lake.iceberg.table import Commit, IcebergTable
from penstock.lake.iceberg.warehouse import Warehouse
from penstock.lake.listener import HttpError, Request, Response, Route, json_response
from penstock.lake.typed_rows import typed_rows
from penstock.model.values import Item
from penstock.ports import Clock

NAMESPACE, NUMBER, SPOOL = "deliveries", "penstock.delivered", "deliveries.sqlite"
FLUSH_ROWS = 20_000
SPOOL_BYTES_MAX = 1 << 30  # A put beyond it is refused: the lake has not taken anything for long.
IDS_KEPT_S = 7 * 24 * 3600
_log = logging.getLogger("penstock.lake")


class SpoolFull(PenstockError):
    """More is waiting than the spool may hold; put it again later."""


class Spool:
    """Records that were accepted and are not in the lake yet. Any thread, any process."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._path, self._clock = folder / SPOOL, clock
        with closing(self._connect()) as database, database:
            database.executescript(
                "CREATE TABLE IF NOT EXISTS record (number INTEGER PRIMARY KEY AUTOINCREMENT, delivery TEXT, "
                "id TEXT, body TEXT, at_us INTEGER);"
                "CREATE INDEX IF NOT EXISTS by_delivery ON record (delivery, number);"
                "CREATE TABLE IF NOT EXISTS seen (delivery TEXT, id TEXT, at_us INTEGER, "
                "PRIMARY KEY (delivery, id)) WITHOUT ROWID;"
            )
            # A spool that is made anew goes on above every number that a table may hold, or Y3 would clear its records.
            database.execute(
                "INSERT INTO sqlite_sequence (name, seq) SELECT 'record', ? "
                "WHERE NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = 'record')",
                (clock.now_us(),),
            )

    def _connect(self) -> sqlite3.Connection:
        database = sqlite3.connect(self._path, timeout=10)
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("PRAGMA synchronous=FULL")
        return database

    def put(self, delivery: str, records: Sequence[tuple[str, str]]) -> int:
        """Accept (id, JSON) pairs; how many of them are new (Y1, Y2)."""
        now_us, taken = self._clock.now_us(), 0
        with closing(self._connect()) as database, database:
            database.execute("BEGIN IMMEDIATE")
            [waiting] = database.execute(
                "SELECT coalesce(sum(length(body)), 0) FROM record WHERE delivery = ?", (delivery,)
            ).fetchone()
            if waiting > SPOOL_BYTES_MAX:
                raise SpoolFull(f"{delivery}: {waiting} bytes wait to be delivered")
            for id_, body in records:
                new = database.execute(
                    "INSERT OR IGNORE INTO seen VALUES (?, ?, ?)", (delivery, id_, now_us)
                ).rowcount
                if new:
                    database.execute(
                        "INSERT INTO record (delivery, id, body, at_us) VALUES (?, ?, ?, ?)",
                        (delivery, id_, body, now_us),
                    )
                    taken += 1
        return taken

    def waiting(self, delivery: str) -> tuple[int, int, int]:
        """Records, their bytes, and when the oldest came."""
        with closing(self._connect()) as database:
            count, size, oldest = database.execute(
                "SELECT count(*), coalesce(sum(length(body)), 0), min(at_us) FROM record WHERE delivery = ?",
                (delivery,),
            ).fetchone()
        return count, size, oldest or 0

    def take(self, delivery: str, after: int) -> list[tuple[int, str, str]]:
        with closing(self._connect()) as database:
            return database.execute(
                "SELECT number, id, body FROM record WHERE delivery = ? AND number > ? ORDER BY number LIMIT ?",
                (delivery, after, FLUSH_ROWS),
            ).fetchall()

    def clear(self, delivery: str, through: int) -> None:
        horizon_us = self._clock.now_us() - IDS_KEPT_S * 1_000_000
        with closing(self._connect()) as database, database:
            database.execute("DELETE FROM record WHERE delivery = ? AND number <= ?", (delivery, through))
            database.execute("DELETE FROM seen WHERE delivery = ? AND at_us < ?", (delivery, horizon_us))


class DeliveryStream:
    """What a person puts records with: `lake.delivery("clicks").put({"page": "/"}, id="c1")`."""

    def __init__(self, name: str, spool: Spool, id_field: str | None = None) -> None:
        self.name = name
        self._spool, self._id_field = spool, id_field

    def put(self, record: Mapping[str, Any], id: str | None = None) -> bool:
        """False where a record of this id was put before."""
        return self.put_batch([record], None if id is None else [id]) == 1

    def put_batch(self, records: Sequence[Mapping[str, Any]], ids: Sequence[str] | None = None) -> int:
        """How many of the records are new. They are durable when this returns."""
        if ids is not None and len(ids) != len(records):
            raise UsageError(f"there are {len(records)} records and {len(ids)} ids")
        pairs = []
        for place, record in enumerate(records):
            item = _item(record, place)
            chosen = ids[place] if ids is not None else self._id_of(record)
            pairs.append((str(chosen), orjson.dumps(item).decode()))
        return self._spool.put(self.name, pairs)

    def _id_of(self, record: Mapping[str, Any]) -> str:
        given = record.get(self._id_field) if self._id_field else None
        return str(given) if given is not None else str(uuid.uuid4())


def _item(record: object, place: int) -> Item:
    if not isinstance(record, Mapping):
        raise UsageError(f"record {place} is not an object")
    try:
        return to_item(record)
    except (UsageError, ServiceError) as error:
        raise UsageError(f"record {place}: {error}") from error


def parse(text: str | bytes) -> Any:
    """JSON with exact numbers."""
    return json.loads(text, parse_float=Decimal, parse_int=Decimal)


class DeliveryWriter:
    """Brings one delivery's records from the spool into its table (Y3)."""

    def __init__(self, warehouse: Warehouse, delivery: Delivery, spool: Spool) -> None:
        self.delivery = delivery
        self._warehouse, self._spool = warehouse, spool
        self._table: IcebergTable | None = None

    def is_due(self, now_us: int) -> bool:
        count, size, oldest_us = self._spool.waiting(self.delivery.name)
        waited_s = (now_us - oldest_us) / 1_000_000
        return bool(count) and (size >= self.delivery.buffer_bytes or waited_s >= self.delivery.buffer_s)

    def flush(self) -> int:
        """How many records went into the table."""
        table = self._table = self._warehouse.ensure(NAMESPACE, self.delivery.name, CURRENT_SCHEMA)
        delivered = int(table.properties.get(NUMBER, "0"))
        records = self._spool.take(self.delivery.name, delivered)
        if records:
            columns = Columns(columns_of(table.schema))
            own = {
                KEY: pa.array([id_ for _, id_, _ in records], pa.string()),
                SEQUENCE: pa.array([f"{number:021d}" for number, _, _ in records], pa.string()),
            }
            items = [orjson.loads(body) for _, _, body in records]
            rows, schema = typed_rows(table, columns, items, own)
            delivered = records[-1][0]
            table.commit(
                Commit(add=[table.write(rows, schema)], schema=schema, properties={NUMBER: str(delivered)})
            )
        self._spool.clear(self.delivery.name, delivered)
        return len(records)


class Deliveries:
    """The job of the lake process: its streams by name, their flushes and their route."""

    def __init__(
        self, warehouse: Warehouse, declared: Mapping[str, Delivery], spool: Spool, clock: Clock
    ) -> None:
        self._warehouse, self._spool, self._clock = warehouse, spool, clock
        self._writers = {
            name: DeliveryWriter(warehouse, delivery, spool) for name, delivery in declared.items()
        }
        self._trouble: dict[str, str] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="lake-deliveries", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(10)

    def status(self) -> object:
        return {
            "deliveries": {
                name: {"waiting": self._spool.waiting(name)[0], "trouble": self._trouble.get(name, "")}
                for name in self._writers
            }
        }

    def tick(self) -> None:
        for name, writer in self._writers.items():
            try:
                while writer.is_due(self._clock.now_us()) and writer.flush() == FLUSH_ROWS:
                    pass
                self._trouble.pop(name, None)
            except (PenstockError, OSError, sqlite3.Error) as error:
                if self._trouble.get(name) != str(error):
                    _log.warning("delivery %s: %s", name, error)
                self._trouble[name] = str(error)

    def _run(self) -> None:
        while not self._stop.wait(0.25):
            self.tick()

    def routes(self) -> list[Route]:
        return [Route("POST", "/deliveries/{name}", self.accept)]

    def accept(self, request: Request) -> Response:
        name = request.parts["name"]
        writer = self._writers.get(name)
        if writer is None:
            raise HttpError(404, f"no delivery {name!r}; there are {', '.join(self._writers) or 'none'}")
        stream = DeliveryStream(name, self._spool, writer.delivery.id_field)
        records = read_records(request.body)
        try:
            taken = stream.put_batch(records)
        except SpoolFull as error:
            raise HttpError(429, str(error), headers={"Retry-After": "5"}) from error
        return json_response({"accepted": len(records), "new": taken})


def read_records(body: bytes) -> list[Mapping[str, Any]]:
    """One object, an array, or one object a line."""
    text = body.strip()
    try:
        if text.startswith(b"["):
            found: list[Mapping[str, Any]] = parse(text)
            return found
        try:
            return [parse(text)]
        except json.JSONDecodeError:
            return [parse(line) for line in text.splitlines() if line.strip()]
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise HttpError(400, f"the body is not JSON: {error}") from error
