"""The latest state of each item in the lake, `current.NAME`: typed columns, deletes applied.

U1. A batch is one commit: the new schema, a data file with the last version of each changed item, position deletes for
    the rows that they replace or remove, and the position.
U2. It is made from raw alone: the same rows of raw give the same rows here, whoever computes them.
U3. A refused change leaves the item as it was; the quarantine says so.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import pyarrow as pa

from penstock.lake.cells import misfits
from penstock.lake.evolution import KEY, SEQUENCE, Columns
from penstock.lake.iceberg.schemas import columns_of
from penstock.lake.iceberg.table import Commit, IcebergTable
from penstock.lake.key_index import KeyIndex, hash_keys
from penstock.lake.progress import POSITION, Position, decode
from penstock.lake.rows import REMOVE, Change
from penstock.lake.typed_rows import typed_rows


class CurrentState:
    """The writer of one current table."""

    def __init__(self, table: IcebergTable, declared: Mapping[str, str] | None = None) -> None:
        self.table = table
        self._declared = dict(declared or {})
        self.columns = Columns(columns_of(table.schema), self._declared)
        self._index: KeyIndex | None = None
        self._known = KeyIndex()  # Of the table as it was before the last reload.

    @property
    def position(self) -> Position:
        return decode(self.table.properties.get(POSITION))

    @property
    def index(self) -> KeyIndex:
        """Built when first needed, from the key column of every file (K2)."""
        if self._index is None:
            index, dead = KeyIndex(), self.table.dead_positions()
            for path in self.table.data:
                if not index.add_known(path, self._known, dead.get(path, ())):
                    keys = self.table.read(path, [KEY]).column(KEY).to_pylist()
                    index.add(path, hash_keys(keys), dead.get(path, ()))
            self._index, self._known = index, KeyIndex()
        return self._index

    def reload(self) -> None:
        self.table.reload()
        self._known, self._index = self._index or self._known, None
        self.columns = Columns(columns_of(self.table.schema), self._declared)

    def live_keys(self) -> Iterator[str]:
        """The key of every item that is here."""
        dead = self.table.dead_positions()
        for path in self.table.data:
            gone = frozenset(dead.get(path, ()))
            keys = self.table.read(path, [KEY]).column(KEY).to_pylist()
            yield from (key for row, key in enumerate(keys) if row not in gone)

    def forget_all(self) -> None:
        """Start over: no rows, position zero. The columns stay, because nothing is ever dropped."""
        self.table.commit(
            Commit(remove={*self.table.data, *self.table.deletes}, properties={POSITION: Position().encode()})
        )
        self._index = None

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
        own = {
            KEY: pa.array([change.key for change in upserts], pa.string()),
            SEQUENCE: pa.array([change.sequence for change in upserts], pa.string()),
        }
        rows, commit.schema = typed_rows(
            self.table, self.columns, [change.new or {} for change in upserts], own
        )
        if upserts:
            commit.add.append(self.table.write(rows, commit.schema))
        if found:
            commit.add.append(self.table.write_deletes(found))
        self.table.commit(commit)
        self.columns.settle()
        self.index.kill(found)
        if upserts:
            path = commit.add[0].file_path
            self.index.add(path, hash_keys(change.key for change in upserts))
