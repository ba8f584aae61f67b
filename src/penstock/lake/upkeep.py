"""Maintenance of a followed table, on its writer and between two commits, so that it never races ingestion.

M1. Compaction rewrites small files and files with many deleted rows, applies their deletes, and gathers what deletes
    remain for large files in one delete file. Rows, position and schema stay as they are: `replace`, in one commit.
M2. Only so many rows are rewritten at once that memory is bounded; the rest waits for the next turn.
M3. Snapshots beyond SNAPSHOTS_MAX are expired down to SNAPSHOTS_KEPT. A snapshot with a tag or a branch stays. Older
    states of an item remain in raw.
M4. A file that no kept snapshot refers to is deleted once it is GRACE_S old: longer than any query may run, and than any
    commit may take.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from penstock.lake.current import CurrentState
from penstock.lake.evolution import SEQUENCE
from penstock.lake.iceberg.local_files import StorageRefused
from penstock.lake.iceberg.table import Commit, IcebergTable, Refused, Unknown, partition_of
from penstock.lake.key_index import Hashes, join_hashes
from penstock.lake.quarantine import Quarantine
from penstock.lake.raw import RawLog
from penstock.lake.sink import TableSink

COMPACT_FILES = 16  # Of one size.
COMPACT_DELETES = 30
SMALL_ROWS = 32_000  # From here on a file is left alone, unless many of its rows are dead.
TIER_ROWS = (
    4_000  # Files below it are merged among themselves, so that no row is rewritten more than three times.
)
REWRITE_ROWS_MAX = 400_000
DEAD_SHARE = 0.2
SNAPSHOTS_MAX, SNAPSHOTS_KEPT = 100, 60
GRACE_S = 3600.0
QUERY_GRACE_S = 600.0  # Twice the longest query.
_SWEEP_S = 600.0
_log = logging.getLogger("penstock.lake")


@dataclass(frozen=True)
class Done:
    """What a turn of maintenance did to one table."""

    table: str
    files_before: int
    files_after: int
    expired: int = 0
    deleted: int = 0


class Upkeep:
    """One for each sink. `tick` is cheap when nothing is due."""

    def __init__(self, now_s: Callable[[], float] = time.monotonic) -> None:
        self._now_s = now_s
        self._swept_s: dict[str, float] = {}

    def tick(self, sink: TableSink) -> None:
        try:
            compact_raw(sink.raw, force=False)
            compact_current(sink.current, force=False)
            for table in tables_of(sink):
                expire(table, SNAPSHOTS_MAX, SNAPSHOTS_KEPT)
                if self._is_due(table.name):
                    delete_unreferenced(table, GRACE_S)
        except (Refused, Unknown) as error:
            _log.warning("maintenance put off: %s", error)
            # A rival's rows must not be taken for ours.
            sink.reload()
        except StorageRefused as error:
            _log.warning("maintenance put off: %s", error)
            for table in tables_of(sink):
                table.discard()
                if self._is_due(table.name):
                    delete_unreferenced(table, GRACE_S)

    def _is_due(self, name: str) -> bool:
        now_s = self._now_s()
        if now_s - self._swept_s.setdefault(name, now_s) < _SWEEP_S:
            return False
        self._swept_s[name] = now_s
        return True


def tables_of(sink: Kept) -> list[IcebergTable]:
    found = [sink.raw.table, sink.current.table]
    return found if sink.quarantine.table is None else [*found, sink.quarantine.table]


# -- M1, M2 --


def compact_raw(raw: RawLog, *, force: bool) -> Done | None:
    """Merge small files of a day and of one size, oldest first."""
    table = raw.table
    groups: dict[object, list[str]] = {}
    for path, entry in table.data.items():
        rows = entry.data_file.record_count
        if rows < SMALL_ROWS:
            tier = 0 if force else _tier(rows)
            groups.setdefault((partition_of(entry), tier), []).append(path)
    before = len(table.data)
    for paths in groups.values():
        if len(paths) >= (2 if force else COMPACT_FILES):
            chosen = _up_to_rows(table, paths)
            rows_of_day = _in_order([_read(table, path, ()) for path in chosen])
            file = table.write(rows_of_day, partition=table.data[chosen[0]].data_file.partition)
            table.commit(Commit(add=[file], remove=set(chosen), replaces=True))
    return Done(table.name, before, len(table.data)) if len(table.data) != before else None


def _in_order(parts: Sequence[pa.Table]) -> pa.Table:
    """By ordinal. Files are nearly always whole stretches of the log, and sorting texts is most of a compaction."""
    held = [part for part in parts if part.num_rows]
    rows = pa.concat_tables(sorted(held, key=lambda part: part.column("ordinal")[0].as_py()) or parts)
    ordinals = rows.column("ordinal").to_numpy()
    return rows if bool(np.all(ordinals[1:] > ordinals[:-1])) else rows.sort_by("ordinal")


def compact_current(current: CurrentState, *, force: bool) -> Done | None:
    table = current.table
    tiers: dict[int, list[str]] = {}
    for path, entry in table.data.items():
        rows = entry.data_file.record_count
        if rows < SMALL_ROWS:
            tiers.setdefault(_tier(rows), []).append(path)
    if force:
        candidates = [path for paths in tiers.values() for path in paths]
        due = len(candidates) > 1 or bool(table.deletes)
    else:
        candidates = next((paths for _, paths in sorted(tiers.items()) if len(paths) >= COMPACT_FILES), [])
        due = bool(candidates) or len(table.deletes) >= COMPACT_DELETES
    if not due:
        return None
    return _rewrite(current, candidates, force=force)


def _rewrite(current: CurrentState, candidates: list[str], *, force: bool) -> Done:
    """M1 for current: these files, and those with many dead rows, become one; other deletes are gathered."""
    table, index = current.table, current.index
    before = len(table.data) + len(table.deletes)
    for path in table.data:
        rows, dead = index.counts(path)
        if path not in candidates and dead and (force or dead > rows * DEAD_SHARE):
            candidates.append(path)
    chosen = _up_to_rows(table, candidates)
    dead_rows = {path: index.dead_rows(path) for path in table.data if index.counts(path)[1]}
    rows, hashes = _live_rows(current, chosen, dead_rows)
    commit = Commit(remove={*chosen, *table.deletes}, replaces=True)
    if rows.num_rows:
        commit.add.append(table.write(rows))
    remaining = {path: dead for path, dead in dead_rows.items() if path not in commit.remove}
    if remaining:
        commit.add.append(table.write_deletes(remaining))
    table.commit(commit)
    for path in chosen:
        index.remove(path)
    if rows.num_rows:
        index.add(commit.add[0].file_path, hashes)
    return Done(table.name, before, len(table.data) + len(table.deletes))


def _live_rows(
    current: CurrentState, paths: list[str], dead: Mapping[str, Sequence[int]]
) -> tuple[pa.Table, Hashes]:
    """In the order in which the items last changed, which is what neighbours have most in common."""
    table, index = current.table, current.index
    parts = [_read(table, path, dead.get(path, ())) for path in paths]
    hashes = join_hashes([np.delete(index.hashes_of(path), dead.get(path, ()), axis=0) for path in paths])
    rows = pa.concat_tables([table.arrow_schema().empty_table(), *parts])
    order = pc.sort_indices(rows.column(SEQUENCE))
    return rows.take(order), hashes[order.to_numpy()]


def _tier(rows: int) -> int:
    return 0 if rows < TIER_ROWS else 1


# -- What a person may ask for --


class Kept(Protocol):
    """A sink, or the tables of one that is not running."""

    raw: RawLog
    current: CurrentState
    quarantine: Quarantine


def compact_now(sink: Kept) -> list[str]:
    """Compact until nothing more can be merged."""
    told: list[str] = []
    while True:
        done = [
            each
            for each in (compact_raw(sink.raw, force=True), compact_current(sink.current, force=True))
            if each
        ]
        if not done:
            return told
        told += [f"{each.table}: {each.files_before} files became {each.files_after}" for each in done]


def expire_now(sink: Kept, kept: int = 1) -> list[str]:
    """Keep the latest snapshot and those with names; delete what nobody refers to and no query can be reading."""
    told = []
    for table in tables_of(sink):
        expired = expire(table, kept, kept)
        deleted = delete_unreferenced(table, QUERY_GRACE_S)
        told.append(f"{table.name}: {expired} snapshots expired, {deleted} files deleted")
    return told


def rebuild(sink: TableSink) -> list[str]:
    """Make current again from raw. Until it has caught up it holds less than the table."""
    return [f"current.{sink.name}: rebuilt from {sink.rebuild()} changes"]


VERBS: dict[str, Callable[[TableSink], list[str]]] = {
    "compact": compact_now, "expire": expire_now, "rebuild": rebuild,
}  # fmt: skip


def _up_to_rows(table: IcebergTable, paths: Iterable[str]) -> list[str]:
    """M2, at least two of them."""
    chosen: list[str] = []
    rows = 0
    for path in paths:
        rows += table.data[path].data_file.record_count
        if rows > REWRITE_ROWS_MAX and len(chosen) >= 2:
            break
        chosen.append(path)
    return chosen


def _read(table: IcebergTable, path: str, dead: Sequence[int]) -> pa.Table:
    """A file's live rows in the table's schema of today. Columns are never renamed here, so names tell."""
    schema = table.arrow_schema()
    rows = table.read(path)
    columns = [
        rows.column(field.name).cast(field.type)
        if field.name in rows.column_names
        else pa.nulls(rows.num_rows, field.type)
        for field in schema
    ]
    whole = pa.Table.from_arrays(columns, schema=schema)
    if not len(dead):
        return whole
    keep = np.ones(rows.num_rows, dtype=np.bool_)
    keep[list(dead)] = False
    return whole.filter(pa.array(keep))


# -- M3, M4 --


def expire(table: IcebergTable, max_: int, kept: int) -> int:
    """How many snapshots went."""
    ids = table.snapshot_ids()
    if len(ids) <= max_:
        return 0
    named = table.referenced_snapshots()
    gone = [id_ for id_ in ids[: len(ids) - kept] if id_ not in named]
    if gone:
        table.expire(gone)
    return len(gone)


def delete_unreferenced(table: IcebergTable, grace_s: float) -> int:
    """How many files went. Only where the table lies in a folder of this machine."""
    root = table.folder()
    if root is None:
        return 0
    # Listed first: a file that is committed after this is not judged.
    listed = [path for path in _files_below(root) if time.time() - path.stat().st_mtime > grace_s]
    if not listed:
        return 0
    needed = table.reachable_files()
    gone = [path for path in listed if str(path) not in needed]
    for path in gone:
        path.unlink(missing_ok=True)
    if gone:
        _log.info("%s: %d unreferenced files deleted", table.name, len(gone))
    return len(gone)


def _files_below(root: Path) -> list[Path]:
    return [Path(folder) / name for folder, _, names in os.walk(root) for name in names]
