"""The lake's own catalogue: pointers to table metadata in one SQLite file, moved only after what they point at is durable.

G1. A commit names the metadata that it was planned on. Where the pointer has moved meanwhile the commit is refused, never
    re-based: a re-based append doubles what the other writer wrote.
G2. Everything that a commit refers to is synced before the pointer moves (see local_files), also what another engine
    wrote and committed through the REST catalogue.
G3. A commit of several tables moves all pointers in one SQLite transaction, or none.
G4. The tables and columns are those of pyiceberg's SqlCatalog, so that its tools read the file.
G5. Processes may open a new folder at the same moment. What SQLite refuses (full, locked) is `StoreUnavailable`, what it
    cannot read is `Corruption`.
"""

# pyiceberg's models take names as well as the aliases that mypy sees.
# mypy: disable-error-code="call-arg"
from __future__ import annotations

import sqlite3
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
from pyiceberg.catalog import Catalog
from pyiceberg.catalog.sql import IcebergTables, SqlCatalog, SqlCatalogBaseTable
from pyiceberg.exceptions import (
    CommitFailedException,
    NamespaceAlreadyExistsError,
    NoSuchNamespaceError,
    NoSuchTableError,
    TableAlreadyExistsError,
)
from pyiceberg.io import FileIO
from pyiceberg.manifest import ManifestContent
from pyiceberg.partitioning import UNPARTITIONED_PARTITION_SPEC, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.table import CommitTableResponse, StagedTable, Table
from pyiceberg.table.sorting import UNSORTED_SORT_ORDER, SortOrder
from pyiceberg.table.update import AddSnapshotUpdate, TableRequirement, TableUpdate
from pyiceberg.typedef import EMPTY_DICT, Identifier, Properties
from sqlalchemy import event, insert, update
from sqlalchemy.engine.interfaces import DBAPIConnection, ExceptionContext
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session
from sqlalchemy.pool import ConnectionPoolEntry
from sqlalchemy.schema import CreateTable

from penstock.errors import Corruption, StoreUnavailable
from penstock.lake.iceberg.local_files import (
    LocalFileIO,
    Unsynced,
    local_path,
    reading,
    remedy_for,
    writing,
)

CATALOG_FILE = "catalog.sqlite"
CATALOG_NAME = "penstock"
_MEMO_TABLES_MAX = 256
# Asked by each query of each table: as text it takes a third of the time that it takes as an ORM session.
_POINTER = "SELECT metadata_location FROM iceberg_tables WHERE catalog_name = ? AND table_namespace = ? AND table_name = ?"
_BUSY_MS = 10_000
# Primary and extended result codes share their beginnings.
_REFUSALS = (
    "SQLITE_BUSY", "SQLITE_CANTOPEN", "SQLITE_FULL", "SQLITE_IOERR", "SQLITE_LOCKED", "SQLITE_PROTOCOL",
    "SQLITE_READONLY",
)  # fmt: skip
_DAMAGE = ("SQLITE_CORRUPT", "SQLITE_NOTADB")


@dataclass(frozen=True)
class TableCommit:
    """What one table's part of a commit asks for."""

    identifier: Identifier
    requirements: tuple[TableRequirement, ...]
    updates: tuple[TableUpdate, ...]


class LocalCatalog(SqlCatalog):
    """`warehouse` is the folder that holds the tables and the SQLite file."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder.resolve()
        self.unsynced = Unsynced()
        self._memo: dict[Identifier, tuple[str, Table]] = {}
        self._memo_lock = threading.Lock()
        super().__init__(
            CATALOG_NAME,
            uri=f"sqlite:///{self.folder / CATALOG_FILE}",
            warehouse=self.folder.as_uri(),
            **{"py-io-impl": "pyiceberg.io.pyarrow.PyArrowFileIO"},
        )

    def _init_catalog(self) -> None:
        event.listen(self.engine, "connect", self._set_up)
        event.listen(self.engine, "handle_error", self._translate)
        super()._init_catalog()

    def _set_up(self, connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
        cursor = connection.cursor()
        try:
            # First: the next one waits for other processes that open a new file at this moment.
            cursor.execute(f"PRAGMA busy_timeout={_BUSY_MS}")
            cursor.execute("PRAGMA journal_mode=WAL")
            cursor.execute("PRAGMA synchronous=FULL")
        except sqlite3.Error as error:
            self._tell(error)
            raise
        finally:
            cursor.close()

    def _translate(self, context: ExceptionContext) -> None:
        self._tell(context.original_exception)

    def _tell(self, error: BaseException) -> None:
        """G5. Mistakes of ours, and rows that are there already, stay what they are."""
        code = getattr(error, "sqlite_errorname", None) or ""
        path = self.folder / CATALOG_FILE
        if code.startswith(_REFUSALS):
            raise StoreUnavailable(f"the lake's catalogue {path}: {error}") from error
        if code.startswith(_DAMAGE):
            raise Corruption(
                f"the lake's catalogue {path} is damaged: {error}. Put it back from a copy, or move it away: "
                "the next start makes a new one and scans the tables again"
            ) from error

    def create_tables(self) -> None:
        """Another process may be making them at this moment."""
        with self.engine.begin() as connection:
            for table in SqlCatalogBaseTable.metadata.sorted_tables:
                connection.execute(CreateTable(table, if_not_exists=True))

    def create_namespace(self, namespace: str | Identifier, properties: Properties = EMPTY_DICT) -> None:
        try:
            super().create_namespace(namespace, properties)
        except IntegrityError as error:
            # Made by somebody else between the look and the insert.
            raise NamespaceAlreadyExistsError(f"Namespace {namespace} already exists") from error

    def _load_file_io(self, properties: Properties = EMPTY_DICT, location: str | None = None) -> FileIO:
        return LocalFileIO({**self.properties, **properties}, self.unsynced)

    def pointer(self, identifier: str | Identifier) -> str:
        """Where the table's metadata is now."""
        namespace, name = _split(identifier)
        # Each query asks for it, each sink before each commit: SQLAlchemy's own connection takes five times as long.
        connection = self.engine.raw_connection()
        try:
            found = connection.cursor().execute(_POINTER, (self.name, namespace, name)).fetchone()
        except sqlite3.Error as error:
            self._tell(error)
            raise
        finally:
            connection.close()
        if found is None:
            raise NoSuchTableError(f"Table does not exist: {namespace}.{name}")
        return str(found[0])

    def load_table(self, identifier: str | Identifier) -> Table:
        """The table as it is now. Its metadata is parsed once: the same file never changes."""
        name = Catalog.identifier_to_tuple(identifier)
        pointer = self.pointer(name)
        with self._memo_lock:
            known = self._memo.get(name)
        if known is not None and known[0] == pointer:
            table = known[1]
            return Table(name, table.metadata, pointer, table.io, self)
        with reading(".".join(name), pointer, remedy_for(*name[-2:])):
            try:
                loaded = super().load_table(name)
            except NoSuchTableError:
                loaded = None  # Dropped this moment.
        if loaded is None:
            raise NoSuchTableError(f"Table does not exist: {'.'.join(name)}")
        table = Table(name, loaded.metadata, loaded.metadata_location, self._load_file_io(), self)
        self._remember(table)
        return table

    def create_table(
        self,
        identifier: str | Identifier,
        schema: Schema | pa.Schema,
        location: str | None = None,
        partition_spec: PartitionSpec = UNPARTITIONED_PARTITION_SPEC,
        sort_order: SortOrder = UNSORTED_SORT_ORDER,
        properties: Properties = EMPTY_DICT,
    ) -> Table:
        """Through a commit like any other, so that G2 holds for a table's first metadata too."""
        name = Catalog.identifier_to_tuple(identifier)
        if not self.namespace_exists(name[:-1]):
            raise NoSuchNamespaceError(f"Namespace does not exist: {'.'.join(name[:-1])}")
        if self.table_exists(name):
            raise TableAlreadyExistsError(f"Table {'.'.join(name)} already exists")
        transaction = self.create_table_transaction(
            name, schema, location, partition_spec, sort_order, properties
        )
        try:
            return transaction.commit_transaction()
        except CommitFailedException as error:
            # Made by somebody else between the look and the commit.
            raise TableAlreadyExistsError(f"Table {'.'.join(name)} already exists") from error

    def forget_all(self) -> None:
        """Read every table's metadata again when it is next asked for."""
        with self._memo_lock:
            self._memo.clear()

    def earlier_metadata(self, identifier: Identifier) -> list[str]:
        """Where the table's earlier metadata still is, the newest first."""
        current = local_path(self.pointer(identifier))
        folder = Path(current).parent
        # A name begins with the number of the version, in five digits.
        found = sorted(
            (path for path in folder.glob("*.metadata.json") if path.name < Path(current).name), reverse=True
        )
        return [path.as_uri() for path in found]

    def point_to(self, identifier: Identifier, location: str) -> None:
        """Move the pointer by hand, past all guards: to heal a table whose metadata is damaged."""
        namespace, name = _split(identifier)
        with Session(self.engine) as session:
            session.execute(
                update(IcebergTables)
                .where(
                    IcebergTables.catalog_name == self.name,
                    IcebergTables.table_namespace == namespace,
                    IcebergTables.table_name == name,
                )
                .values(metadata_location=location)
            )
            session.commit()

    def _remember(self, table: Table) -> None:
        with self._memo_lock:
            if len(self._memo) >= _MEMO_TABLES_MAX:
                self._memo.clear()
            self._memo[table.name()] = (table.metadata_location, table)

    def commit_table(
        self, table: Table, requirements: tuple[TableRequirement, ...], updates: tuple[TableUpdate, ...]
    ) -> CommitTableResponse:
        return self.commit_tables([TableCommit(table.name(), requirements, updates)])[0]

    def commit_tables(self, commits: Sequence[TableCommit]) -> list[CommitTableResponse]:
        """All of them or none (G3)."""
        staged = [self._stage(commit) for commit in commits]
        with writing(", ".join(".".join(commit.identifier) for commit in commits)):
            for _, new in staged:
                self._write_metadata(new.metadata, new.io, new.metadata_location)
            self.unsynced.make_durable(self._named_in(commits))
        with Session(self.engine) as session:
            for old, new in staged:
                self._move_pointer(session, old, new)
            session.commit()
        for old, new in staged:
            self._remember(Table(new.name(), new.metadata, new.metadata_location, new.io, self))
            if old is not None:
                self._delete_old_metadata(new.io, old.metadata, new.metadata)
        return [
            CommitTableResponse(metadata=new.metadata, metadata_location=new.metadata_location)
            for _, new in staged
        ]

    def _stage(self, commit: TableCommit) -> tuple[Table | None, StagedTable]:
        current: Table | None
        try:
            current = self.load_table(commit.identifier)
        except NoSuchTableError:
            current = None
        return current, self._update_and_stage_table(
            current, commit.identifier, commit.requirements, commit.updates
        )

    def _move_pointer(self, session: Session, old: Table | None, new: StagedTable) -> None:
        namespace, name = _split(new.name())
        if old is None:
            try:
                session.execute(
                    insert(IcebergTables).values(
                        **self._create_table_row(namespace, name, new.metadata_location)
                    )
                )
            except IntegrityError as error:
                raise TableAlreadyExistsError(f"Table {namespace}.{name} already exists") from error
            return
        moved = session.execute(
            update(IcebergTables)
            .where(
                IcebergTables.catalog_name == self.name,
                IcebergTables.table_namespace == namespace,
                IcebergTables.table_name == name,
                IcebergTables.metadata_location == old.metadata_location,
            )
            .values(metadata_location=new.metadata_location, previous_metadata_location=old.metadata_location)
        )
        if moved.rowcount != 1:  # type: ignore[attr-defined]
            raise CommitFailedException(f"Table was changed by another writer: {namespace}.{name}")

    def _named_in(self, commits: Sequence[TableCommit]) -> set[str]:
        """Files of new snapshots that another engine wrote past our FileIO (G2)."""
        found: set[str] = set()
        io = self._load_file_io()
        for commit in commits:
            for change in commit.updates:
                if isinstance(change, AddSnapshotUpdate) and not _is_ours(change):
                    snapshot = change.snapshot
                    found.add(local_path(snapshot.manifest_list))
                    for manifest in snapshot.manifests(io):
                        if manifest.added_snapshot_id == snapshot.snapshot_id:
                            found.add(local_path(manifest.manifest_path))
                            if manifest.content in (ManifestContent.DATA, ManifestContent.DELETES):
                                found.update(
                                    local_path(entry.data_file.file_path)
                                    for entry in manifest.fetch_manifest_entry(io)
                                )
        return found


def _is_ours(change: AddSnapshotUpdate) -> bool:
    summary = change.snapshot.summary
    return summary is not None and summary["penstock.written"] == "1"


def _split(identifier: str | Identifier) -> tuple[str, str]:
    name = Catalog.identifier_to_tuple(identifier)
    return Catalog.namespace_to_string(name[:-1]), name[-1]
