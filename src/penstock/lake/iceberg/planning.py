"""Which files hold a table's rows at a snapshot, for a reader that is not pyiceberg.

N1. Data files and delete files never change, so that what was read of them is kept: manifests by snapshot, and the data
    files that a delete file names.
N2. Columns are found by field id, so that files of older schemas read rightly.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq
from pyiceberg.catalog import Catalog
from pyiceberg.exceptions import NoSuchTableError
from pyiceberg.manifest import DataFileContent, ManifestFile
from pyiceberg.schema import Schema
from pyiceberg.table import Table
from pyiceberg.table.snapshots import Snapshot
from pyiceberg.types import (
    DecimalType,
    FixedType,
    IcebergType,
    ListType,
    MapType,
    StructType,
)

from penstock.errors import UsageError
from penstock.lake.evolution import Column
from penstock.lake.iceberg.elsewhere import asking
from penstock.lake.iceberg.local_files import local_path, reading, remedy_for
from penstock.lake.iceberg.schemas import columns_of

_CACHE_MAX = 512
_SQL_TYPES = {
    "boolean": "BOOLEAN", "int": "INTEGER", "long": "BIGINT", "float": "FLOAT", "double": "DOUBLE",
    "date": "DATE", "time": "TIME", "timestamp": "TIMESTAMP", "timestamptz": "TIMESTAMP WITH TIME ZONE",
    "timestamp_ns": "TIMESTAMP_NS", "string": "VARCHAR", "uuid": "UUID", "binary": "BLOB",
}  # fmt: skip


@dataclass(frozen=True)
class PlannedColumn:
    id: int
    name: str
    type: str


@dataclass(frozen=True)
class FilePlan:
    """`clean` files are read as they are, `touched` ones without the rows that `deletes` name."""

    columns: tuple[PlannedColumn, ...]
    clean: tuple[str, ...]
    touched: tuple[str, ...]
    deletes: tuple[str, ...]
    attributes: tuple[Column, ...]
    snapshot_id: int | None
    touched_rows: tuple[int, ...] = ()  # Of each touched file, deleted ones among them.
    clean_rows: int = 0  # Of all clean files.

    @property
    def paths(self) -> tuple[str, ...]:
        return self.clean + self.touched + self.deletes


@dataclass(frozen=True)
class Known:
    """A table as it was when it was looked up."""

    table: Table

    @property
    def properties(self) -> dict[str, str]:
        return self.table.metadata.properties

    @property
    def attributes(self) -> list[Column]:
        return columns_of(self.table.metadata.schema())

    @property
    def snapshot_id(self) -> int | None:
        return self.table.metadata.current_snapshot_id

    def snapshot_at(self, us: int) -> int | None:
        """The latest kept snapshot that was committed at or before this time; None where none is kept."""
        ms = us // 1000
        chosen = None
        for entry in self.table.metadata.snapshot_log:
            if entry.timestamp_ms <= ms:
                chosen = entry.snapshot_id
        return chosen

    def has(self, snapshot_id: int) -> bool:
        return self.table.metadata.snapshot_by_id(snapshot_id) is not None


class Planner:
    """Any thread may plan."""

    def __init__(self, catalog: Catalog, root: Path | None = None) -> None:
        """`root`: files outside of it are not given to anybody, whatever a manifest names."""
        self._catalog, self._root = catalog, root
        self._lock = threading.Lock()
        self._plans: dict[tuple[str, int | None, int], FilePlan] = {}
        self._named: dict[str, frozenset[str]] = {}

    def find(self, namespace: str, name: str) -> Known | None:
        try:
            with asking(f"{namespace}.{name}"):
                return Known(self._catalog.load_table((namespace, name)))
        except NoSuchTableError:
            return None

    def plan(self, known: Known, snapshot_id: int | None = None) -> FilePlan:
        """The files of a snapshot; of the latest where none is given."""
        table = known.table
        past = None if snapshot_id is None else table.metadata.snapshot_by_id(snapshot_id)
        chosen = past or table.metadata.current_snapshot()
        schema = _schema_of(table, past)
        key = (
            str(table.metadata.table_uuid),
            chosen.snapshot_id if chosen else None,
            schema.schema_id,
        )
        with self._lock:
            made = self._plans.get(key)
        if made is not None:
            return made
        plan = self._read(table, chosen, schema)
        with self._lock:
            if len(self._plans) >= _CACHE_MAX:
                self._plans.clear()
            self._plans[key] = plan
        return plan

    def _read(self, table: Table, snapshot: Snapshot | None, schema: Schema) -> FilePlan:
        data: list[str] = []
        deletes: list[str] = []
        rows: dict[str, int] = {}
        name, remedy = ".".join(table.name()), remedy_for(*table.name()[-2:])
        manifests: list[ManifestFile] = []
        if snapshot is not None:
            with reading(name, snapshot.manifest_list, remedy):
                manifests = snapshot.manifests(table.io)
        for manifest in manifests:
            with reading(name, manifest.manifest_path, remedy):
                entries = manifest.fetch_manifest_entry(table.io, discard_deleted=True)
            for entry in entries:
                file = entry.data_file
                if file.content == DataFileContent.EQUALITY_DELETES:
                    raise UsageError(f"{name} has equality deletes, which are not read here")
                held = data if file.content == DataFileContent.DATA else deletes
                held.append(local_path(file.file_path))
                rows[held[-1]] = file.record_count
        for path in (*data, *deletes):
            if self._root is not None and not Path(path).resolve().is_relative_to(self._root):
                raise UsageError(f"{'.'.join(table.name())} names a file outside the lake: {path}")
        touched: frozenset[str] = frozenset()
        for path in deletes:
            with reading(name, path, remedy):
                touched |= self._files_named_in(path)
        return FilePlan(
            tuple(
                PlannedColumn(field.field_id, field.name, sql_type(field.field_type))
                for field in schema.fields
            ),
            tuple(path for path in data if path not in touched),
            tuple(path for path in data if path in touched),
            tuple(deletes),
            tuple(columns_of(schema)),
            snapshot.snapshot_id if snapshot else None,
            tuple(rows[path] for path in data if path in touched),
            sum(rows[path] for path in data if path not in touched),
        )

    def _files_named_in(self, path: str) -> frozenset[str]:
        with self._lock:
            known = self._named.get(path)
        if known is None:
            names = pq.read_table(path, columns=["file_path"])["file_path"].unique().to_pylist()
            known = frozenset(local_path(name) for name in names)
            with self._lock:
                if len(self._named) >= _CACHE_MAX * 8:
                    self._named.clear()
                self._named[path] = known
        return known


def _schema_of(table: Table, snapshot: Snapshot | None) -> Schema:
    """A past snapshot is read with its own schema."""
    if snapshot is None or snapshot.schema_id is None:
        return table.metadata.schema()
    return table.metadata.schema_by_id(snapshot.schema_id) or table.metadata.schema()


def sql_type(type_: IcebergType) -> str:
    """An Iceberg type as DuckDB writes it."""
    if isinstance(type_, DecimalType):
        return f"DECIMAL({type_.precision},{type_.scale})"
    if isinstance(type_, FixedType):
        return "BLOB"
    if isinstance(type_, ListType):
        return f"{sql_type(type_.element_type)}[]"
    if isinstance(type_, MapType):
        return f"MAP({sql_type(type_.key_type)}, {sql_type(type_.value_type)})"
    if isinstance(type_, StructType):
        inner = ", ".join(f'"{field.name}" {sql_type(field.field_type)}' for field in type_.fields)
        return f"STRUCT({inner})"
    return _SQL_TYPES[str(type_)]
