"""What `penstock lake rebuild` does where files of the lake are damaged, so that a sink can open its tables again.

H1. raw goes back to the newest state whose files are all whole. Its position goes back with it, so that the stream tells
    again what came after, exactly once; what the stream has forgotten meanwhile is a gap, and is scanned again.
H2. current and the quarantine are made from raw: where they are damaged, or ahead of a raw that went back, they are taken
    out of the catalogue, and the next sink makes them.
H3. Nothing is deleted here. Files that no table refers to any more are swept an hour after a sink runs again.
"""

from __future__ import annotations

from contextlib import suppress

from pyiceberg.exceptions import NoSuchTableError

from penstock.errors import Corruption, UsageError
from penstock.lake.iceberg.catalog import LocalCatalog
from penstock.lake.iceberg.table import IcebergTable
from penstock.lake.iceberg.warehouse import Warehouse
from penstock.lake.progress import POSITION, decode

DERIVED = ("current", "quarantine")


def heal(warehouse: Warehouse, name: str) -> list[str]:
    """What was done, in words; nothing where nothing is damaged. Nobody else may write the folder meanwhile."""
    local = _local(warehouse)
    told: list[str] = []
    try:
        raw = _whole(warehouse, "raw", name)
    except Corruption as error:
        raw = _step_back(local, name, error)
        told.append(f"raw.{name}: {error}")
        told.append(f"raw.{name}: back at change {_offset(raw)}; the stream tells what came after")
    if raw is None:
        raise UsageError(f"there is no table {name} in the lake; see penstock lake tables")
    for namespace in DERIVED:
        try:
            table = _whole(warehouse, namespace, name)
        except Corruption as error:
            told.append(f"{namespace}.{name}: {error}")
        else:
            if table is None or _offset(table) <= _offset(raw):
                continue
            told.append(f"{namespace}.{name}: is ahead of raw.{name}")
        warehouse.drop(namespace, name)
        told.append(f"{namespace}.{name}: made again from raw.{name} by the next sink")
    return told


def begin_anew(warehouse: Warehouse, name: str) -> list[str]:
    """Forget the table, its history included: the next sink begins with a scan."""
    told = []
    for namespace in ("raw", *DERIVED):
        with suppress(NoSuchTableError):
            warehouse.drop(namespace, name)
            told.append(f"{namespace}.{name}: forgotten")
    if not told:
        raise UsageError(f"there is no table {name} in the lake; see penstock lake tables")
    return [*told, f"{name}: the next sink begins with a scan of the table"]


def _local(warehouse: Warehouse) -> LocalCatalog:
    if warehouse.local is None:
        raise UsageError("only a lake in a folder of this machine can be healed")
    return warehouse.local


def _offset(table: IcebergTable) -> int:
    return decode(table.properties.get(POSITION)).offset


def _whole(warehouse: Warehouse, namespace: str, name: str) -> IcebergTable | None:
    table = warehouse.find(namespace, name)
    if table is not None:
        table.check_files()
    return table


def _step_back(local: LocalCatalog, name: str, damage: Corruption) -> IcebergTable:
    """H1."""
    identifier = ("raw", name)
    damaged = local.pointer(identifier)
    for earlier in local.earlier_metadata(identifier):
        local.point_to(identifier, earlier)
        with suppress(Corruption):
            table = IcebergTable(local, identifier)
            table.check_files()
            return table
    local.point_to(identifier, damaged)
    raise Corruption(f"{damage} No earlier state of raw.{name} is whole.")
