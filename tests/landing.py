"""A shop's purchases on their way into a lake, for the tests that read history out of one."""

from __future__ import annotations

from pathlib import Path

from penstock.lake.iceberg.warehouse import open_warehouse
from penstock.lake.rows import Shaping
from penstock.lake.sink import TableSink
from penstock.sql.lake import Lake
from tests.lake_setup import MemoryApi
from tests.shop import Shop


class Landing:
    """The way of the tables of a shop's application into a lake."""

    def __init__(self, shop: Shop, folder: Path, *more: str) -> None:
        """`more`: tables besides those that the application declares."""
        warehouse = open_warehouse(folder)
        self.lake = Lake(warehouse)
        self._sinks = [
            TableSink(warehouse, MemoryApi(shop.db), name, shop.db.clock, "w", lambda keys: Shaping(keys))
            for name in (*shop.app.tables, *more)
        ]
        for sink in self._sinks:
            sink.open()
        self.drain()

    def drain(self) -> Lake:
        for sink in self._sinks:
            _empty(sink)
        return self.lake


def _empty(sink: TableSink) -> None:
    for _ in range(100):
        scan = sink.position.snapshot
        if sink.step() == 0 and scan is not None and scan.done:
            return
    raise AssertionError("the sink does not come to an end")
