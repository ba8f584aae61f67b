"""One Iceberg table as its only writer sees it: the files that are live, and commits that are guarded.

T1. One commit holds the new schema, new data files, new position deletes, files taken out and the position, so that there
    is no moment at which rows and position disagree.
T2. A commit is guarded by the snapshot that it was planned on. `Refused` means that somebody else committed; nothing of
    ours was written into the table, and nothing is tried again here.
T3. `Unknown` means that the answer was lost. The caller reloads, and the position in the table's properties tells.
T4. Every commit names the snapshot that it was planned on, expiry too: what is known of the live files is of that
    snapshot, and a commit that met another one without being refused would take the files of its writer out.
T5. What was written for a commit that certainly did not take place can be taken away again (`discard`), so that a full
    disk does not fill with attempts.
T6. Manifests are merged when there are MANIFESTS_MAX of them, and rewritten when files are taken out.
"""

# pyiceberg's models take names as well as the aliases that mypy sees.
# mypy: disable-error-code="call-arg"
from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from pyiceberg.catalog import Catalog
from pyiceberg.conversions import from_bytes
from pyiceberg.exceptions import (
    CommitFailedException,
    NoSuchTableError,
)
from pyiceberg.io import OutputFile
from pyiceberg.io.pyarrow import (
    compute_statistics_plan,
    data_file_statistics_from_parquet_metadata,
    parquet_path_to_id_mapping,
    schema_to_pyarrow,
)
from pyiceberg.manifest import (
    DataFile,
    DataFileContent,
    FileFormat,
    ManifestContent,
    ManifestEntry,
    ManifestEntryStatus,
    ManifestFile,
    ManifestWriterV2,
    write_manifest_list,
)
from pyiceberg.schema import Schema
from pyiceberg.table import Table
from pyiceberg.table.refs import MAIN_BRANCH, SnapshotRefType
from pyiceberg.table.snapshots import Operation, Snapshot, Summary
from pyiceberg.table.update import (
    AddSchemaUpdate,
    AddSnapshotUpdate,
    AssertRefSnapshotId,
    AssertTableUUID,
    RemoveSnapshotsUpdate,
    SetCurrentSchemaUpdate,
    SetPropertiesUpdate,
    SetSnapshotRefUpdate,
    TableRequirement,
    TableUpdate,
)
from pyiceberg.typedef import Record
from pyiceberg.types import LongType

from penstock.errors import PenstockError
from penstock.lake.iceberg.elsewhere import NO_ANSWER, asking
from penstock.lake.iceberg.encodings import codecs, encodings
from penstock.lake.iceberg.local_files import local_path, reading, remedy_for, writing
from penstock.lake.iceberg.reachable import reachable

MANIFESTS_MAX = 30
# DuckDB's vector groups; pruning by row group. A page holds as many rows, unless their bytes are too many: where pages
# meet DuckDB has to flatten a vector, and with pages of 20,000 rows, the default, a group-by took 7 % longer.
_GROUP_ROWS = 122_880
# Reserved by the Iceberg specification for position delete files.
FILE_PATH_ID, POS_ID = 2147483546, 2147483545
DELETE_SCHEMA = pa.schema(
    [
        pa.field("file_path", pa.string(), nullable=False, metadata={"PARQUET:field_id": str(FILE_PATH_ID)}),
        pa.field("pos", pa.int64(), nullable=False, metadata={"PARQUET:field_id": str(POS_ID)}),
    ]
)
_CODEC: Literal["deflate"] = "deflate"


class Refused(PenstockError):
    """Another writer committed to the table since this commit was planned."""


class Unknown(PenstockError):
    """Whether the commit took place is not known; reload and look at the position."""


@dataclass(frozen=True)
class Size:
    rows: int
    files: int
    delete_files: int
    bytes: int


@dataclass(frozen=True)
class File:
    path: str
    kind: str  # data or deletes
    rows: int
    bytes: int


@dataclass(frozen=True)
class Version:
    version: int
    committed: str
    operation: str
    records: str


@dataclass
class Commit:
    """What one commit changes."""

    add: list[DataFile] = field(default_factory=list)
    remove: set[str] = field(default_factory=set)  # Paths of data and delete files.
    properties: Mapping[str, str] = field(default_factory=dict)
    schema: Schema | None = None
    summary: Mapping[str, str] = field(default_factory=dict)
    expire: tuple[int, ...] = ()
    replaces: bool = False  # The rows stay the same: a compaction.


class _DeleteManifestWriter(ManifestWriterV2):
    def content(self) -> ManifestContent:
        return ManifestContent.DELETES

    @property
    def _meta(self) -> dict[str, str]:
        return {**super()._meta, "content": "deletes"}


class IcebergTable:
    """`data` and `deletes` are the live entries by path. Call it from one thread."""

    def __init__(self, catalog: Catalog, identifier: tuple[str, ...]) -> None:
        self.catalog, self.identifier = catalog, identifier
        self._written: list[str] = []  # Since the last commit.
        self.reload()

    @property
    def name(self) -> str:
        return ".".join(self.identifier)

    def reload(self) -> None:
        with asking(self.name):
            self.table: Table = self.catalog.load_table(self.identifier)
        self.data: dict[str, ManifestEntry] = {}
        self.deletes: dict[str, ManifestEntry] = {}
        self.manifests: list[ManifestFile] = []
        # What was written before this moment may be in the table, for all that is known.
        self._written = []
        snapshot = self.table.metadata.current_snapshot()
        if snapshot is not None:
            with self._reading(snapshot.manifest_list):
                self.manifests = snapshot.manifests(self.table.io)
        for manifest in self.manifests:
            with self._reading(manifest.manifest_path):
                entries = manifest.fetch_manifest_entry(self.table.io, discard_deleted=True)
            for entry in entries:
                held = self.data if entry.data_file.content == DataFileContent.DATA else self.deletes
                held[entry.data_file.file_path] = entry

    def _reading(self, location: str) -> AbstractContextManager[None]:
        return reading(self.name, location, remedy_for(*self.identifier[-2:]))

    @property
    def properties(self) -> dict[str, str]:
        return self.table.metadata.properties

    @property
    def schema(self) -> Schema:
        return self.table.metadata.schema()

    @property
    def snapshot_id(self) -> int | None:
        return self.table.metadata.current_snapshot_id

    def arrow_schema(self, schema: Schema | None = None) -> pa.Schema:
        return schema_to_pyarrow(schema or self.schema, include_field_ids=True)

    # -- Files --

    def write(
        self, rows: pa.Table, schema: Schema | None = None, partition: Record | None = None
    ) -> DataFile:
        """A data file with these rows, whose columns are the schema's. It is in the table once a commit adds it."""
        schema = schema or self.schema
        place = (
            "" if partition is None else f"{self.table.metadata.spec().partition_to_path(partition, schema)}/"
        )
        path = self.table.location_provider().new_data_location(f"{place}{uuid.uuid4()}.parquet")
        size, metadata = self._write_parquet(path, rows.cast(self.arrow_schema(schema)))
        statistics = data_file_statistics_from_parquet_metadata(
            metadata,
            compute_statistics_plan(schema, self.properties),
            parquet_path_to_id_mapping(schema),
        )
        return _data_file(
            DataFileContent.DATA, path, size, partition or Record(), **statistics.to_serialized_dict()
        )

    def write_deletes(self, positions: Mapping[str, npt.ArrayLike]) -> DataFile:
        """A position delete file: rows by number in data files by path, in the order that the specification asks for."""
        paths = sorted(positions)
        numbers = [np.sort(np.asarray(positions[path], dtype=np.int64)) for path in paths]
        named = pa.array(paths, pa.string()).take(
            pa.array(np.repeat(np.arange(len(paths)), [len(each) for each in numbers]))
        )
        table = pa.Table.from_arrays([named, pa.array(np.concatenate(numbers))], schema=DELETE_SCHEMA)
        path = self.table.location_provider().new_data_location(f"{uuid.uuid4()}-deletes.parquet")
        size, _ = self._write_parquet(path, table)
        return _data_file(
            DataFileContent.POSITION_DELETES,
            path,
            size,
            Record(),
            record_count=table.num_rows,
            lower_bounds={FILE_PATH_ID: paths[0].encode()},
            upper_bounds={FILE_PATH_ID: paths[-1].encode()},
        )

    def _write_parquet(self, path: str, rows: pa.Table) -> tuple[int, pq.FileMetaData]:
        collected: list[pq.FileMetaData] = []
        dictionary, encoding = encodings(rows)
        output = self._output(path)
        codec, level = codecs(rows, dictionary)
        with (
            writing(self.name),
            output.create() as stream,
            pq.ParquetWriter(
                stream,
                rows.schema,
                compression=codec,
                compression_level=level or None,
                metadata_collector=collected,
                use_dictionary=dictionary,
                column_encoding=encoding,
                max_rows_per_page=_GROUP_ROWS,
            ) as writer,
        ):
            writer.write_table(rows, row_group_size=_GROUP_ROWS)
        return len(output), collected[0]

    def _output(self, path: str) -> OutputFile:
        self._written.append(path)
        return self.table.io.new_output(path)

    def read(
        self, path: str, columns: list[str] | None = None, *, schema: pa.Schema = None, filters: Any = None
    ) -> pa.Table:
        """The rows of one of the table's files."""
        with self._reading(path):
            return pq.read_table(self.open_input(path), columns=columns, schema=schema, filters=filters)

    def open_input(self, path: str) -> pa.NativeFile:
        return self.table.io.new_input(path).open()

    def check_files(self) -> None:
        """Whether every live file is there in its full length; Corruption names the first that is not."""
        for path, entry in [*self.data.items(), *self.deletes.items()]:
            with self._reading(path):
                size, whole = len(self.table.io.new_input(path)), entry.data_file.file_size_in_bytes
                if size != whole:
                    raise ValueError(f"it has {size} bytes of {whole}")

    def discard(self) -> None:
        """T5. Only after a refusal: files of a commit whose outcome is not known may be live."""
        written, self._written = self._written, []
        for path in written:
            with suppress(OSError):
                self.table.io.delete(path)

    def dead_positions(self) -> dict[str, list[int]]:
        """Row numbers that the position deletes take out, by data file."""
        dead: dict[str, list[int]] = {}
        for path in self.deletes:
            rows = self.read(path, ["file_path", "pos"])
            for file, row in zip(rows["file_path"].to_pylist(), rows["pos"].to_pylist(), strict=True):
                dead.setdefault(file, []).append(row)
        return dead

    # -- Commits --

    def commit(self, change: Commit) -> None:
        with writing(self.name):
            snapshot, state = self._snapshot(change)
        updates: list[TableUpdate] = []
        if change.schema is not None:
            updates += [AddSchemaUpdate(schema=change.schema), SetCurrentSchemaUpdate(schema_id=-1)]
        updates += [
            AddSnapshotUpdate(snapshot=snapshot),
            SetSnapshotRefUpdate(
                ref_name=MAIN_BRANCH, type=SnapshotRefType.BRANCH, snapshot_id=snapshot.snapshot_id
            ),
        ]
        if change.properties:
            updates.append(SetPropertiesUpdate(updates=dict(change.properties)))
        if change.expire:
            updates.append(RemoveSnapshotsUpdate(snapshot_ids=list(change.expire)))
        self._send(tuple(updates))
        self.data, self.deletes, self.manifests = state
        self._written = []

    def _send(self, updates: tuple[TableUpdate, ...]) -> None:
        """T4."""
        metadata = self.table.metadata
        guards: tuple[TableRequirement, ...] = (
            AssertTableUUID(uuid=metadata.table_uuid),
            AssertRefSnapshotId(ref=MAIN_BRANCH, snapshot_id=metadata.current_snapshot_id),
        )
        try:
            answer = self.catalog.commit_table(self.table, guards, updates)
        except (CommitFailedException, NoSuchTableError) as error:
            raise Refused(f"{self.name}: {error}") from error
        except NO_ANSWER as error:
            raise Unknown(f"{self.name}: {error}") from error
        self.table = Table(
            self.table.name(), answer.metadata, answer.metadata_location, self.table.io, self.catalog
        )

    # -- Snapshots and what they refer to --

    def size(self) -> Size:
        """Live rows, counting position deletes; files; bytes."""
        data = [entry.data_file for entry in self.data.values()]
        deletes = [entry.data_file for entry in self.deletes.values()]
        rows = sum(file.record_count for file in data) - sum(file.record_count for file in deletes)
        size = sum(file.file_size_in_bytes for file in [*data, *deletes])
        return Size(rows, len(data), len(deletes), size)

    def files(self) -> list[File]:
        """The latest snapshot's, largest first."""
        kinds = {"data": self.data, "deletes": self.deletes}
        found = [
            File(
                each.data_file.file_path, kind, each.data_file.record_count, each.data_file.file_size_in_bytes
            )
            for kind, entries in kinds.items()
            for each in entries.values()
        ]
        return sorted(found, key=lambda each: (-each.bytes, each.path))

    def versions(self) -> list[Version]:
        """Kept snapshots, the newest first."""
        ordered = sorted(self.table.metadata.snapshots, key=lambda each: -(each.sequence_number or 0))
        told = []
        for snapshot in ordered:
            summary = snapshot.summary
            at = datetime.fromtimestamp(snapshot.timestamp_ms / 1000, UTC)
            what = summary.operation.value if summary else ""
            rows = str(summary["total-records"] or "") if summary else ""
            told.append(Version(snapshot.snapshot_id, at.isoformat(timespec="milliseconds"), what, rows))
        return told

    def snapshot_ids(self) -> list[int]:
        """Kept snapshots, oldest first."""
        ordered = sorted(self.table.metadata.snapshots, key=lambda each: each.sequence_number or 0)
        return [snapshot.snapshot_id for snapshot in ordered]

    def referenced_snapshots(self) -> set[int]:
        return {ref.snapshot_id for ref in self.table.metadata.refs.values()}

    def expire(self, ids: list[int]) -> None:
        """Take snapshots out of the metadata. Their files stay until nobody can need them."""
        self._send((RemoveSnapshotsUpdate(snapshot_ids=ids),))

    def folder(self) -> Path | None:
        """Where the table's files are, on this machine."""
        location = self.table.metadata.location
        return Path(local_path(location)) if location.startswith(("file:", "/")) else None

    def reachable(self) -> Iterator[set[str]]:
        """Paths of every file that a kept snapshot or kept metadata refers to, piece by piece."""
        return reachable(self.table)

    def _snapshot(
        self, change: Commit
    ) -> tuple[Snapshot, tuple[dict[str, ManifestEntry], dict[str, ManifestEntry], list[ManifestFile]]]:
        """Write manifests and their list; the snapshot, and what is live once it is committed."""
        metadata = self.table.metadata
        id_, number = metadata.new_snapshot_id(), metadata.next_sequence_number()
        schema = change.schema or self.schema
        added = [
            ManifestEntry.from_args(status=ManifestEntryStatus.ADDED, snapshot_id=id_, data_file=file)
            for file in change.add
        ]
        data, deletes = dict(self.data), dict(self.deletes)
        removed = [held.pop(path) for path in change.remove for held in (data, deletes) if path in held]
        assert len(removed) == len(change.remove), "a commit takes out files that are not in the table"
        merge = bool(removed) or len(self.manifests) >= MANIFESTS_MAX
        manifests = [] if merge else list(self.manifests)
        for content, held in ((ManifestContent.DATA, data), (ManifestContent.DELETES, deletes)):
            is_data = content == ManifestContent.DATA
            new = [entry for entry in added if (entry.data_file.content == DataFileContent.DATA) is is_data]
            gone = [
                entry for entry in removed if (entry.data_file.content == DataFileContent.DATA) is is_data
            ]
            kept = list(held.values()) if merge else []
            if new or kept or gone:
                manifests.append(self._write_manifest(content, id_, schema, new, kept, gone))
            for entry in new:
                entry.sequence_number = entry.file_sequence_number = number
                held[entry.data_file.file_path] = entry
        location = self.table.location_provider().new_metadata_location(f"snap-{id_}-{uuid.uuid4()}.avro")
        with write_manifest_list(
            2, self._output(location), id_, metadata.current_snapshot_id, number, _CODEC
        ) as writer:
            writer.add_manifests(manifests)
        # What the list assigned: read it back instead of assigning twice.
        snapshot = Snapshot(
            snapshot_id=id_,
            parent_snapshot_id=metadata.current_snapshot_id,
            sequence_number=number,
            manifest_list=location,
            summary=_summary(change, removed, data, deletes),
            schema_id=self._schema_id_after(change),
        )
        return snapshot, (data, deletes, snapshot.manifests(self.table.io))

    def _schema_id_after(self, change: Commit) -> int:
        metadata = self.table.metadata
        return metadata.current_schema_id if change.schema is None else change.schema.schema_id

    def next_schema_id(self) -> int:
        return max(schema.schema_id for schema in self.table.metadata.schemas) + 1

    def _write_manifest(
        self,
        content: ManifestContent,
        snapshot_id: int,
        schema: Schema,
        added: list[ManifestEntry],
        kept: list[ManifestEntry],
        removed: list[ManifestEntry],
    ) -> ManifestFile:
        kind = ManifestWriterV2 if content == ManifestContent.DATA else _DeleteManifestWriter
        location = self.table.location_provider().new_metadata_location(f"{uuid.uuid4()}-m.avro")
        spec = self.table.metadata.spec()
        with kind(spec, schema, self._output(location), snapshot_id, _CODEC) as writer:
            for entry in kept:
                writer.existing(entry)
            for entry in added:
                writer.add(entry)
            for entry in removed:
                writer.delete(entry)
        return writer.to_manifest_file()


def day_partition(day: int) -> Record:
    """The partition of rows of this day, counted from 1970."""
    return Record(day)


def partition_of(entry: ManifestEntry) -> tuple[object, ...]:
    """The partition of a data file, as something that can be compared."""
    partition = entry.data_file.partition
    return tuple(partition[place] for place in range(len(partition)))


def live_bounds(entry: ManifestEntry, field_id: int) -> tuple[int | None, int | None]:
    """The least and the greatest value of a long column in a data file, where its statistics tell."""
    low = (entry.data_file.lower_bounds or {}).get(field_id)
    high = (entry.data_file.upper_bounds or {}).get(field_id)
    return (
        None if low is None else int(from_bytes(LongType(), low)),
        None if high is None else int(from_bytes(LongType(), high)),
    )


def _data_file(
    content: DataFileContent, path: str, size: int, partition: Record, **statistics: Any
) -> DataFile:
    file = DataFile.from_args(
        content=content,
        file_path=path,
        file_format=FileFormat.PARQUET,
        partition=partition,
        file_size_in_bytes=size,
        sort_order_id=None,
        equality_ids=None,
        key_metadata=None,
        **statistics,
    )
    file.spec_id = 0
    return file


def _summary(
    change: Commit,
    removed: list[ManifestEntry],
    data: dict[str, ManifestEntry],
    deletes: dict[str, ManifestEntry],
) -> Summary:
    """The counts that other engines show, and the totals that they check."""
    new_data = [file for file in change.add if file.content == DataFileContent.DATA]
    new_deletes = [file for file in change.add if file.content != DataFileContent.DATA]
    gone = [entry.data_file for entry in removed]
    operation = Operation.OVERWRITE if new_deletes or gone else Operation.APPEND
    if change.replaces:
        operation = Operation.REPLACE
    live_data = [entry.data_file for entry in data.values()]
    live_deletes = [entry.data_file for entry in deletes.values()]
    counts = {
        "added-data-files": len(new_data),
        "added-records": sum(file.record_count for file in new_data),
        "added-delete-files": len(new_deletes),
        "added-position-deletes": sum(file.record_count for file in new_deletes),
        "deleted-data-files": sum(file.content == DataFileContent.DATA for file in gone),
        "removed-delete-files": sum(file.content != DataFileContent.DATA for file in gone),
    }
    totals = {
        "total-data-files": len(live_data),
        "total-delete-files": len(live_deletes),
        "total-records": sum(file.record_count for file in live_data),
        "total-position-deletes": sum(file.record_count for file in live_deletes),
        "total-equality-deletes": 0,
        "total-files-size": sum(file.file_size_in_bytes for file in [*live_data, *live_deletes]),
    }
    told = {name: str(count) for name, count in {**counts, **totals}.items() if count or name in totals}
    return Summary(operation, **told, **{"penstock.written": "1"}, **change.summary)
