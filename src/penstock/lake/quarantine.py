"""Changes that did not land in `current`, with the reason, as a table of the lake: `quarantine.NAME`.

Q1. It is committed between raw and current. Whoever repeats a batch after a crash skips the ordinals that it has.
Q2. It is made when the first change is refused.
"""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from penstock.lake.iceberg.schemas import QUARANTINE_SCHEMA
from penstock.lake.iceberg.table import Commit, IcebergTable
from penstock.lake.iceberg.warehouse import Warehouse
from penstock.lake.progress import POSITION, Position, decode
from penstock.lake.rows import Change, image_text

NAMESPACE = "quarantine"


class Quarantine:
    def __init__(self, warehouse: Warehouse, name: str) -> None:
        self._warehouse, self._name = warehouse, name
        self.table: IcebergTable | None = warehouse.find(NAMESPACE, name)

    def add(self, refused: Sequence[tuple[int, Change, str]], offset: int) -> None:
        """Commit (ordinal, change, reason) of a batch of raw that ends before `offset`."""
        if self.table is None:
            self.table = self._warehouse.ensure(NAMESPACE, self._name, QUARANTINE_SCHEMA)
        held = decode(self.table.properties.get(POSITION)).offset
        new = [entry for entry in refused if entry[0] >= held]
        if not new:
            return
        schema = self.table.arrow_schema()
        arrays = [
            pa.array([ordinal for ordinal, _, _ in new], pa.int64()),
            pa.array([change.sequence for _, change, _ in new], pa.string()),
            pa.array([change.operation for _, change, _ in new], pa.string()),
            pa.array([change.commit_us for _, change, _ in new], pa.int64()).cast(
                schema.field("commit_time").type
            ),
            pa.array([change.key for _, change, _ in new], pa.string()),
            pa.array([reason for _, _, reason in new], pa.string()),
            pa.array([image_text(change.new) for _, change, _ in new], pa.string()),
        ]
        rows = pa.Table.from_arrays(arrays, schema=schema)
        position = Position(offset=offset)
        self.table.commit(Commit(add=[self.table.write(rows)], properties={POSITION: position.encode()}))
