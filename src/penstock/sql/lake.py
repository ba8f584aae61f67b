"""The lake for Python: `open_lake("file:./data/lake").sql("SELECT …")`, with what is in it and how fresh it is."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import duckdb
import pyarrow as pa

from penstock.errors import UsageError
from penstock.lake.clock import SystemClock
from penstock.lake.delivery import DeliveryStream, Spool
from penstock.lake.evolution import Column
from penstock.lake.iceberg.planning import FilePlan, Planner
from penstock.lake.iceberg.warehouse import Warehouse, open_warehouse
from penstock.sql.databases import Bounds
from penstock.sql.made_tables import write_into
from penstock.sql.replay import replayed
from penstock.sql.results import Result
from penstock.sql.selecting import select
from penstock.sql.session import Questions
from penstock.sql.sources import Sources


class Lake:
    """Reads. It may be open in any number of processes, beside the one that writes."""

    def __init__(self, warehouse: Warehouse, bounds: Bounds | None = None) -> None:
        self.warehouse = warehouse
        self._clock = SystemClock()
        self.bounds = bounds or Bounds()
        self.planner = Planner(warehouse.catalog, warehouse.folder)
        sources = Sources(self.planner, warehouse.names, self._replay)
        spill = warehouse.folder / "spill" if warehouse.folder else Path(tempfile.gettempdir())
        self.questions = Questions(sources, spill, self.bounds)

    def sql(
        self,
        query: str,
        *,
        rows_max: int | None = None,
        seconds_max: float | None = None,
        watch: Callable[[float], None] | None = None,
    ) -> Result:
        """One SELECT over the tables of the lake."""
        bounds = replace(
            self.bounds,
            rows_max=rows_max if rows_max is not None else self.bounds.rows_max,
            seconds_max=seconds_max if seconds_max is not None else self.bounds.seconds_max,
        )
        return self.questions.ask(query, bounds=bounds, watch=watch)

    def into(self, name: str, query: str) -> None:
        """Make the table `name`, such as `curated.daily`, of a query's rows: whole, in one commit."""
        write_into(self, name, query, now_us=self._clock.now_us())

    def delivery(self, name: str, id_field: str | None = None) -> DeliveryStream:
        """A stream to put records to; the lake process brings them into `deliveries.NAME`."""
        if self.warehouse.folder is None:
            raise UsageError("deliveries need a lake in a folder of this machine")
        return DeliveryStream(name, Spool(self.warehouse.folder, self._clock), id_field)

    def tables(self) -> list[str]:
        return [f"{namespace}.{name}" for namespace, name in self.warehouse.names()]

    def _replay(
        self, raw: FilePlan, quarantine: FilePlan | None, attributes: Sequence[Column], sequence: str
    ) -> pa.Table:
        with duckdb.connect(":memory:", config={"threads": self.bounds.threads}) as database:
            database.execute(f"SET memory_limit = '{self.bounds.memory_mb}MB'")
            refused = select(quarantine) if quarantine is not None else None
            return replayed(select(raw), refused, attributes, sequence, database)


def open_lake(
    where: str | Path | Mapping[str, str] = "file:./data/lake",
    bounds: Bounds | None = None,
    *,
    make: bool = True,
) -> Lake:
    """A folder, or the properties of another catalogue (see lake.iceberg.warehouse, also for `make`)."""
    return Lake(open_warehouse(where, make=make), bounds)
