"""A table in memory and a lake beside it, for the tests of the lake."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from penstock.lake.cells import item_of
from penstock.lake.iceberg.schemas import columns_of
from penstock.lake.iceberg.warehouse import Warehouse, open_warehouse
from penstock.lake.rows import Shaping, key_text
from penstock.lake.sink import TableSink
from penstock.sql.lake import Lake
from penstock.testing.databases import MemoryDatabase, memory_database

TABLE = "purchases"
KEYS = ("customer", "at")
WAIT_S = 30.0


def until(holds: Callable[[], bool]) -> None:
    """Wait on a condition, with a bound."""
    ends = time.monotonic() + WAIT_S
    while not holds():
        assert time.monotonic() < ends, "it did not come about"
        threading.Event().wait(0.02)


class MemoryApi:
    """The lake's `Api` over a database in memory."""

    def __init__(self, database: MemoryDatabase) -> None:
        self.database = database

    def call(self, action: str, request: Mapping[str, Any], wait_ms: int = 0) -> dict[str, Any]:
        return self.database.ask(action, **dict(request))

    def close(self) -> None:
        pass


class Shop:
    """One table with a stream, and its sink. Time passes only when a test says so."""

    def __init__(self, folder: Path, *, stream: bool = True) -> None:
        self.folder = folder
        self.database = memory_database()
        self.api = MemoryApi(self.database)
        self.warehouse: Warehouse = open_warehouse(folder)
        self.lake = Lake(self.warehouse)
        self._sinks = 0
        request: dict[str, Any] = {
            "TableName": TABLE,
            "KeySchema": [
                {"AttributeName": KEYS[0], "KeyType": "HASH"},
                {"AttributeName": KEYS[1], "KeyType": "RANGE"},
            ],
            "AttributeDefinitions": [
                {"AttributeName": KEYS[0], "AttributeType": "S"},
                {"AttributeName": KEYS[1], "AttributeType": "N"},
            ],
            "BillingMode": "PAY_PER_REQUEST",
        }
        if stream:
            request["StreamSpecification"] = {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}
        self.database.ask("CreateTable", **request)
        self.database.tick()

    @staticmethod
    def lake_of(folder: Path) -> Lake:
        """The lake as another process opens it: nothing is remembered."""
        return Lake(open_warehouse(folder))

    def put(self, customer: str, at: int, **attributes: Any) -> None:
        item = {KEYS[0]: {"S": customer}, KEYS[1]: {"N": str(at)}, **attributes}
        self.database.ask("PutItem", TableName=TABLE, Item=item)

    def delete(self, customer: str, at: int) -> None:
        self.database.ask(
            "DeleteItem", TableName=TABLE, Key={KEYS[0]: {"S": customer}, KEYS[1]: {"N": str(at)}}
        )

    def pass_time(self, seconds: float = 3.0) -> None:
        self.database.pass_time(seconds)

    def sink(self, *, declared: dict[str, str] | None = None, **shaping: Any) -> TableSink:
        self._sinks += 1
        sink = TableSink(
            self.warehouse,
            self.api,
            TABLE,
            self.database.clock,
            f"writer-{self._sinks}",
            lambda keys: Shaping(keys, **shaping),
            declared,
        )
        sink.open()
        return sink

    def drain(self, sink: TableSink) -> None:
        """Step until everything is in the lake."""
        for _ in range(100):
            scan = sink.position.snapshot
            if sink.step() == 0 and scan is not None and scan.done:
                return
        raise AssertionError("the sink does not come to an end")

    def items(self) -> dict[str, dict[str, Any]]:
        """What the table holds, by key."""
        found: dict[str, dict[str, Any]] = {}
        start: dict[str, Any] = {}
        while True:
            page = self.database.ask("Scan", TableName=TABLE, ConsistentRead=True, **start)
            found |= {key_text(KEYS, item): item for item in page["Items"]}
            if "LastEvaluatedKey" not in page:
                return found
            start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}

    def landed(self, source: str = f"current.{TABLE}") -> dict[str, dict[str, Any]]:
        """What the lake says that the table holds, by key, each key once."""
        current = self.warehouse.find("current", TABLE)
        assert current is not None
        columns = columns_of(current.schema)
        rows = self.lake.sql(f"SELECT * FROM {source}").rows()
        found = {row["_key"]: item_of(row, columns) for row in rows}
        assert len(found) == len(rows), "an item is in current twice"
        return found


def unordered(items: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Sets have no order: sort their members, so that equal items are equal."""
    return {key: {name: _sorted(value) for name, value in item.items()} for key, item in items.items()}


def _sorted(value: dict[str, Any]) -> dict[str, Any]:
    [(tag, payload)] = value.items()
    if tag in ("SS", "NS", "BS"):
        return {tag: sorted(payload)}
    if tag == "L":
        return {tag: [_sorted(each) for each in payload]}
    if tag == "M":
        return {tag: {name: _sorted(each) for name, each in payload.items()}}
    return value
