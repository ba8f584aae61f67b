"""Where the lake is: a folder of this machine with a catalogue of its own, or any catalogue that pyiceberg knows.

file:./data/lake                                    a folder, with catalog.sqlite in it
{"type": "rest", "uri": …, "warehouse": …}          a REST catalogue, S3 Tables among them
{"type": "glue", "warehouse": "s3://…"}             AWS Glue
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import pyarrow as pa
from pyiceberg.catalog import Catalog, load_catalog
from pyiceberg.exceptions import (
    NamespaceAlreadyExistsError,
    NoSuchNamespaceError,
    NoSuchTableError,
    TableAlreadyExistsError,
)
from pyiceberg.partitioning import UNPARTITIONED_PARTITION_SPEC, PartitionSpec
from pyiceberg.schema import Schema

from penstock.errors import UsageError
from penstock.lake.address import folder_of
from penstock.lake.iceberg.catalog import CATALOG_FILE, LocalCatalog
from penstock.lake.iceberg.elsewhere import BoundedRestCatalog, asking
from penstock.lake.iceberg.table import IcebergTable

# Bounds metadata: without them 1,000 commits of 1,000 rows left 367 MB of it, with them 14.
_PROPERTIES = {
    "format-version": "2",
    "write.metadata.previous-versions-max": "10",
    "write.metadata.delete-after-commit.enabled": "true",
    "commit.retry.num-retries": "0",  # A retry re-bases, and a re-based append doubles rows.
    "write.parquet.compression-codec": "zstd",
}


class Warehouse:
    """Tables by name. Any thread may ask for a table; each table it gives belongs to one thread."""

    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog
        # Followers start side by side; a catalogue in SQL answers a namespace that two make at once with its database's
        # own error. Between processes the folder's lock keeps it to one.
        self._creating = threading.Lock()

    @property
    def local(self) -> LocalCatalog | None:
        return self.catalog if isinstance(self.catalog, LocalCatalog) else None

    @property
    def folder(self) -> Path | None:
        return self.local.folder if self.local is not None else None

    @property
    def is_kept(self) -> bool:
        """Whether the catalogue's own service compacts tables and expires snapshots, as S3 Tables does."""
        return self.catalog.properties.get("rest.signing-name") == "s3tables"

    def find(self, namespace: str, name: str) -> IcebergTable | None:
        try:
            return IcebergTable(self.catalog, (namespace, name))
        except NoSuchTableError:
            return None

    def ensure(
        self,
        namespace: str,
        name: str,
        schema: Schema | pa.Schema,
        spec: PartitionSpec = UNPARTITIONED_PARTITION_SPEC,
        properties: Mapping[str, str] | None = None,
    ) -> IcebergTable:
        found = self.find(namespace, name)
        if found is not None:
            return found
        with self._creating, asking(namespace), suppress(NamespaceAlreadyExistsError):
            self.catalog.create_namespace(namespace)
        with asking(f"{namespace}.{name}"), suppress(TableAlreadyExistsError):
            self.catalog.create_table(
                (namespace, name),
                schema,
                partition_spec=spec,
                properties={**_PROPERTIES, **(properties or {})},
            )
        return IcebergTable(self.catalog, (namespace, name))

    def drop(self, namespace: str, name: str) -> None:
        with asking(f"{namespace}.{name}"):
            self.catalog.drop_table((namespace, name))

    def names(self) -> list[tuple[str, str]]:
        """Every table, as (namespace, name)."""
        found: list[tuple[str, str]] = []
        with asking("the lake"):
            for namespace in self.catalog.list_namespaces():
                try:
                    found += [(".".join(name[:-1]), name[-1]) for name in self.catalog.list_tables(namespace)]
                except NoSuchNamespaceError:
                    continue  # Dropped this moment.
        return sorted(found)


def open_warehouse(where: str | Path | Mapping[str, str], *, make: bool = True) -> Warehouse:
    """`make=False` for who only reads: a folder that was mistyped is an error then, not an empty lake."""
    if isinstance(where, Mapping):
        with asking("the lake"):
            return Warehouse(_catalog_elsewhere(dict(where)))
    folder = folder_of(str(where))
    if not make and not (folder / CATALOG_FILE).is_file():
        raise UsageError(
            f"there is no lake in {folder}; `penstock up` makes one, and --lake names another folder"
        )
    return Warehouse(LocalCatalog(folder))


def _catalog_elsewhere(properties: dict[str, str]) -> Catalog:
    if properties.get("type") == "rest":
        del properties["type"]
        properties["py-catalog-impl"] = f"{BoundedRestCatalog.__module__}.{BoundedRestCatalog.__name__}"
    # boto3 waits a minute for each answer, and pyiceberg asks Glue ten times.
    return load_catalog("penstock", **{"glue.max-retries": 3, **properties})  # type: ignore[arg-type]
