"""Which files a table's kept snapshots and metadata refer to, told piece by piece.

A manifest names every file of its table, and each compaction writes one: a table of 1,500 files had 90,000 names in its
kept snapshots. Read all at once, on the writer, they held the stream for eight seconds. So the caller may do something
else between two pieces.
"""

from __future__ import annotations

from collections.abc import Iterator

from pyiceberg.avro.file import AvroFile
from pyiceberg.io import FileIO
from pyiceberg.manifest import (
    MANIFEST_ENTRY_SCHEMAS,
    DataFile,
    DataFileContent,
    FileFormat,
    ManifestEntry,
    ManifestEntryStatus,
)
from pyiceberg.table import Table

from penstock.lake.iceberg.local_files import local_path, reading

PIECE_ENTRIES = 200  # About 20 ms.
_REMEDY = "Files that nobody refers to are not deleted until its snapshots have expired"


def reachable(table: Table) -> Iterator[set[str]]:
    """Local paths. As of this moment, whatever is committed meanwhile."""
    metadata, name = table.metadata, ".".join(table.name())
    logged = {local_path(entry.metadata_file) for entry in metadata.metadata_log}
    yield {local_path(table.metadata_location), *logged}
    manifests: set[str] = set()
    for snapshot in metadata.snapshots:
        with reading(name, snapshot.manifest_list, _REMEDY):
            listed = {manifest.manifest_path for manifest in snapshot.manifests(table.io)}
        yield {local_path(snapshot.manifest_list), *map(local_path, listed)}
        manifests |= listed
    for path in manifests:
        with reading(name, path, _REMEDY):
            yield from _data_files(table.io, path)


def _data_files(io: FileIO, manifest: str) -> Iterator[set[str]]:
    """pyiceberg's `fetch_manifest_entry` gives all of them at once."""
    with AvroFile[ManifestEntry](
        io.new_input(manifest),
        MANIFEST_ENTRY_SCHEMAS[2],
        read_types={-1: ManifestEntry, 2: DataFile},
        read_enums={0: ManifestEntryStatus, 101: FileFormat, 134: DataFileContent},
    ) as entries:
        piece: set[str] = set()
        for entry in entries:
            if entry.status != ManifestEntryStatus.DELETED:
                piece.add(local_path(entry.data_file.file_path))
            if len(piece) >= PIECE_ENTRIES:
                yield piece
                piece = set()
        yield piece
