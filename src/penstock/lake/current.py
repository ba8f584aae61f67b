"""The latest state of each item in the lake, `current.NAME`: typed columns, deletes applied.

U1. A batch is one commit: the new schema, a data file with the last version of each changed item, position deletes for
    the rows that they replace or remove, and the position.
U2. It is made from raw alone: the same rows of raw give the same rows here, whoever computes them.
U3. A refused change leaves the item as it was; the quarantine says so.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import pyarrow as pa
import pyarrow.parquet as pq

from penstock.lake.cells import build, misfits
from penstock.lake.evolution import EXTRA, KEY, SEQUENCE, Columns
from penstock.lake.iceberg.schemas import columns_of, grown
from penstock.lake.iceberg.table import Commit, IcebergTable
from penstock.lake.key_index import KeyIndex, hash_keys
from penstock.lake.progress import POSITION, Position, decode
from penstock.lake.rows import REMOVE, Change


class CurrentState:
    """The writer of one current table."""

    def __init__(self, table: IcebergTable, declared: Mapping[str, str] | None = None) -> None:
        self.table = table
        self._declared = dict(declared or {})
        self.columns = Columns(columns_of(table.schema), self._declared)
        self._index: KeyIndex | None = None

    @property
    def position(self) -> Position:
        return decode(self.table.properties.get(POSITION))

    @property
    def index(self) -> KeyIndex:
        """Built when first needed, from the key column of every file (K2)."""
        if self._index is None:
            index, dead = KeyIndex(), self.table.dead_positions()
            for path in self.table.data:
                keys = pq.read_table(self.table.open_input(path), columns=[KEY]).column(KEY).to_pylist()
                index.add(path, hash_keys(keys), dead.get(path, ()))
            self._index = index
        return self._index

    def reload(self) -> None:
        self.table.reload()
        self._index = None
        self.columns = Columns(columns_of(self.table.schema), self._declared)

    def live_keys(self) -> Iterator[str]:
        """The key of every item that is here."""
        dead = self.table.dead_positions()
        for path in self.table.data:
            gone = frozenset(dead.get(path, ()))
            keys = pq.read_table(self.table.open_input(path), columns=[KEY]).column(KEY).to_pylist()
            yield from (key for row, key in enumerate(keys) if row not in gone)

    def refusal(self, change: Change) -> str | None:
        """Why a change does not land here, or None."""
        if change.refused is not None or change.new is None or not self.columns.declared:
            return change.refused
        return misfits(change.new, self.columns.declared)

    def apply(self, changes: Sequence[Change], position: Position) -> None:
        """Commit what these changes, in order, leave behind (U1)."""
        last = {change.key: change for change in changes}
        found = self.index.find(hash_keys(last))
        upserts = [
            change for change in last.values() if change.operation != REMOVE and change.new is not None
        ]
        commit = Commit(properties={POSITION: position.encode()})
        commit.summary = {"penstock.to-ordinal": str(position.offset)}
        rows = self._rows(upserts)
        schema = None
        if self.columns.added:
            metadata = self.table.table.metadata
            schema = commit.schema = grown(
                self.table.schema, metadata.last_column_id, self.table.next_schema_id(), self.columns.added
            )
        if upserts:
            commit.add.append(self.table.write(self._in_order(rows, len(upserts), schema), schema))
        if found:
            commit.add.append(self.table.write_deletes(found))
        self.table.commit(commit)
        self.columns.settle()
        self.index.kill(found)
        if upserts:
            path = commit.add[0].file_path
            self.index.add(path, hash_keys(change.key for change in upserts))

    def _rows(self, upserts: Sequence[Change]) -> dict[str, pa.Array]:
        arrays, extras = build([change.new or {} for change in upserts], self.columns)
        arrays[KEY] = pa.array([change.key for change in upserts], pa.string())
        arrays[SEQUENCE] = pa.array([change.sequence for change in upserts], pa.string())
        arrays[EXTRA] = pa.array(extras, pa.string())
        return arrays

    def _in_order(self, arrays: dict[str, pa.Array], count: int, schema: object) -> pa.Table:
        fields = self.table.arrow_schema(schema)  # type: ignore[arg-type]
        columns = [
            arrays[field.name].cast(field.type) if field.name in arrays else pa.nulls(count, field.type)
            for field in fields
        ]
        return pa.Table.from_arrays(columns, schema=fields)
