"""Changes that did not land in `current`, with the reason, as a table of the lake: `quarantine.NAME`.

Q1. It is committed between raw and current. Whoever repeats a batch after a crash skips the ordinals that it has.
Q2. It is made when the first change is refused. From then on it has an epoch like the other two tables (see sink, I3).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import pyarrow as pa

from penstock.lake.iceberg.schemas import QUARANTINE_SCHEMA
from penstock.lake.iceberg.table import Commit, IcebergTable
from penstock.lake.iceberg.warehouse import Warehouse
from penstock.lake.progress import POSITION, Position, decode
from penstock.lake.rows import Change, image_text

NAMESPACE = "quarantine"
Refusal: TypeAlias = tuple[int, Change, str]  # Its ordinal in raw, the change, and why it does not land.


class Quarantine:
    """The writer of one quarantine table; `table` is None as long as there is none."""

    def __init__(self, warehouse: Warehouse, name: str) -> None:
        self._warehouse, self._name = warehouse, name
        self.table: IcebergTable | None = warehouse.find(NAMESPACE, name)

    def make(self) -> IcebergTable:
        if self.table is None:
            self.table = self._warehouse.ensure(NAMESPACE, self._name, QUARANTINE_SCHEMA)
        return self.table

    @property
    def offset(self) -> int:
        """Ordinals below it are not taken again (Q1)."""
        return 0 if self.table is None else decode(self.table.properties.get(POSITION)).offset

    def add(self, refused: Sequence[Refusal], offset: int) -> None:
        """Commit these, of a batch of raw that ends before `offset`. None of them is here yet."""
        table = self.make()
        schema = table.arrow_schema()
        arrays = [
            pa.array([ordinal for ordinal, _, _ in refused], pa.int64()),
            pa.array([change.sequence for _, change, _ in refused], pa.string()),
            pa.array([change.operation for _, change, _ in refused], pa.string()),
            pa.array([change.commit_us for _, change, _ in refused], pa.int64()).cast(
                schema.field("commit_time").type
            ),
            pa.array([change.key for _, change, _ in refused], pa.string()),
            pa.array([reason for _, _, reason in refused], pa.string()),
            pa.array([image_text(change.new) for _, change, _ in refused], pa.string()),
        ]
        rows = pa.Table.from_arrays(arrays, schema=schema)
        position = Position(offset=offset)
        table.commit(Commit(add=[table.write(rows)], properties={POSITION: position.encode()}))
