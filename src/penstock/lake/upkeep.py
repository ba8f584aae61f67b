"""Maintenance of a followed table, on its writer and between two commits, so that it never races ingestion.

M1. Compaction rewrites small files and files with many deleted rows, applies their deletes, and gathers what deletes
    remain for large files in one delete file. Rows, position and schema stay as they are: `replace`, in one commit.
M2. A turn is short, because changes wait while it lasts: …_TURN_ROWS and TURN_BYTES bound what it rewrites (a quarter of a
    second on one core), and it compacts raw or current, not both. The rest waits for the next turns.
M3. Snapshots beyond SNAPSHOTS_MAX are expired down to SNAPSHOTS_KEPT. A snapshot with a tag or a branch stays. Older
    states of an item remain in raw.
M4. A file that no kept snapshot refers to is deleted once it is GRACE_S old: longer than any query may run, and than any
    commit may take. Looking for them is cut into turns of SWEEP_TURN_S, because it takes longer the more files there are.
    What cannot be read of an older snapshot puts the sweep off, and ends nothing.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyiceberg.manifest import ManifestEntry

from penstock.errors import Corruption
from penstock.lake.current import CurrentState
from penstock.lake.evolution import SEQUENCE
from penstock.lake.iceberg.local_files import StorageRefused
from penstock.lake.iceberg.table import Commit, IcebergTable, Refused, Unknown, partition_of
from penstock.lake.key_index import Hashes, Rows, join_hashes
from penstock.lake.quarantine import Quarantine
from penstock.lake.raw import RawLog
from penstock.lake.sink import TableSink

COMPACT_FILES = 16  # Of one size.
COMPACT_DELETES = 16
SMALL_ROWS = 32_000  # From here on a file is left alone, unless many of its rows are dead.
TIER_ROWS = (
    4_000  # Files below it are merged among themselves, so that no row is rewritten more than three times.
)
RAW_TURN_ROWS = 64_000
CURRENT_TURN_ROWS = 122_880  # A whole group of rows: wide enough for its dictionaries.
TURN_BYTES = 8 << 20
DEAD_SHARE = 0.2
SNAPSHOTS_MAX, SNAPSHOTS_KEPT = 100, 60
GRACE_S = 3600.0
QUERY_GRACE_S = 600.0  # Twice the longest query.
SWEEP_TURN_S = 0.05
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

    def __init__(self, now_s: Callable[[], float] = time.monotonic, *, kept: bool = False) -> None:
        """`kept`: the catalogue's own service does all of this; two compactors would refuse each other's commits."""
        self._now_s, self._kept = now_s, kept
        self._swept_s: dict[str, float] = {}
        self._sweeps: dict[str, tuple[IcebergTable, Iterator[int]]] = {}
        self._raw_first = False

    def tick(self, sink: TableSink) -> None:
        if self._kept:
            return
        try:
            self._compact(sink)
            for table in tables_of(sink):
                expire(table, SNAPSHOTS_MAX, SNAPSHOTS_KEPT)
                self._sweep(table)
        except (Refused, Unknown) as error:
            _log.warning("maintenance put off: %s", error)
            # A rival's rows must not be taken for ours.
            sink.reload()
        except StorageRefused as error:
            _log.warning("maintenance put off: %s", error)
            for table in tables_of(sink):
                table.discard()
                self._sweep(table)

    def _compact(self, sink: TableSink) -> None:
        """M2: one of the two, and the other one first the next time."""
        raw_first = self._raw_first = not self._raw_first
        if raw_first and compact_raw(sink.raw, force=False):
            return
        if compact_current(sink.current, force=False) is None and not raw_first:
            compact_raw(sink.raw, force=False)

    def _sweep(self, table: IcebergTable) -> None:
        """M4, one turn."""
        if self._is_due(table.name):
            self._sweeps.setdefault(table.name, (table, sweeping(table, GRACE_S)))
        begun_on, sweep = self._sweeps.get(table.name, (table, iter(())))
        if begun_on is not table:
            # Another sink's: the table may have been healed to an older state since, which needs other files.
            sweep = iter(())
        ends_s = self._now_s() + SWEEP_TURN_S
        try:
            for _ in sweep:
                if self._now_s() >= ends_s:
                    return
        except Corruption as error:
            _log.warning("clean-up put off: %s", error)
        self._sweeps.pop(table.name, None)

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
        if _is_small(entry):
            tier = 0 if force else _tier(entry)
            groups.setdefault((partition_of(entry), tier), []).append(path)
    before = len(table.data)
    for paths in groups.values():
        if _is_worth(table, paths, RAW_TURN_ROWS, force=force):
            chosen = _up_to_rows(table, paths, RAW_TURN_ROWS)
            rows_of_day = _in_order([_read(table, path) for path in chosen])
            file = table.write(rows_of_day, partition=table.data[chosen[0]].data_file.partition)
            table.commit(Commit(add=[file], remove=set(chosen), replaces=True))
            break  # M2.
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
        if _is_small(entry):
            tiers.setdefault(_tier(entry), []).append(path)
    if force:
        candidates = [path for paths in tiers.values() for path in paths]
        due = len(candidates) > 1 or bool(table.deletes)
        candidates = candidates if len(candidates) > 1 else []
    else:
        worth = [paths for _, paths in sorted(tiers.items()) if _is_worth(table, paths, CURRENT_TURN_ROWS)]
        candidates = worth[0] if worth else []
        # Small ones are merged soon anyway.
        heavy = any(not _is_small(table.data[path]) for path in _half_dead(current, DEAD_SHARE))
        due = heavy or bool(candidates) or len(table.deletes) >= COMPACT_DELETES
    if not due:
        return None
    return _rewrite(current, candidates, force=force)


def _rewrite(current: CurrentState, candidates: list[str], *, force: bool) -> Done:
    """M1 for current: these files, and those with many dead rows, become one; other deletes are gathered."""
    table, index = current.table, current.index
    before = len(table.data) + len(table.deletes)
    heavy = [path for path in _half_dead(current, 0 if force else DEAD_SHARE) if path not in candidates]
    chosen = _up_to_rows(table, [*candidates, *heavy], CURRENT_TURN_ROWS, lambda path: index.counts(path)[1])
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


def _half_dead(current: CurrentState, share: float) -> list[str]:
    """Files of which more than this share is deleted, those with the fewest live rows first."""
    counts = {path: current.index.counts(path) for path in current.table.data}
    found = [path for path, (rows, dead) in counts.items() if dead > rows * share]
    return sorted(found, key=lambda path: counts[path][0] - counts[path][1])


def _live_rows(current: CurrentState, paths: list[str], dead: Mapping[str, Rows]) -> tuple[pa.Table, Hashes]:
    """In the order in which the items last changed, which is what neighbours have most in common."""
    table, index = current.table, current.index
    none: Rows = np.empty(0, dtype=np.int64)
    living = [path for path in paths if index.counts(path)[0] > index.counts(path)[1]]
    parts = [_read(table, path, dead.get(path, none)) for path in living]
    hashes = join_hashes([np.delete(index.hashes_of(path), dead.get(path, none), axis=0) for path in paths])
    rows = pa.concat_tables([table.arrow_schema().empty_table(), *parts])
    order = pc.sort_indices(rows.column(SEQUENCE))
    return rows.take(order), hashes[order.to_numpy()]


def _is_worth(table: IcebergTable, paths: Sequence[str], turn_rows: int, *, force: bool = False) -> bool:
    """Many files, or few that make a whole turn: so none is rewritten for little, and no turn is long."""
    rows = sum(table.data[path].data_file.record_count for path in paths)
    return len(paths) >= (2 if force else COMPACT_FILES) or (len(paths) > 1 and rows >= turn_rows)


def _is_small(entry: ManifestEntry) -> bool:
    file = entry.data_file
    return bool(file.record_count < SMALL_ROWS and file.file_size_in_bytes < TURN_BYTES // 2)


def _tier(entry: ManifestEntry) -> int:
    return 0 if entry.data_file.record_count < TIER_ROWS else 1


# -- What a person may ask for --


class Kept(Protocol):
    """A sink, or the tables of one that is not running."""

    raw: RawLog
    current: CurrentState
    quarantine: Quarantine


def compact_now(sink: Kept) -> list[str]:
    """Compact until nothing more can be merged."""
    told: list[str] = []
    while done := compact_turn(sink):
        told += done
    return told


def compact_turn(sink: Kept) -> list[str]:
    """Merge what one turn may, also where few files are small (M2); nothing where nothing can be merged."""
    done = compact_current(sink.current, force=True) or compact_raw(sink.raw, force=True)
    return [] if done is None else [f"{done.table}: {done.files_before} files became {done.files_after}"]


def count_files(sink: Kept) -> int:
    return sum(len(table.data) + len(table.deletes) for table in tables_of(sink))


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


def _up_to_rows(
    table: IcebergTable, paths: Iterable[str], rows_max: int, dead_rows: Callable[[str], int] = lambda path: 0
) -> list[str]:
    """M2, at least one of them. A file without live rows costs nothing."""
    chosen: list[str] = []
    rows = size = 0
    for path in paths:
        file = table.data[path].data_file
        live = file.record_count - dead_rows(path)
        rows += live
        size += file.file_size_in_bytes if live else 0
        if chosen and (rows > rows_max or size > TURN_BYTES):
            break
        chosen.append(path)
    return chosen


def _read(table: IcebergTable, path: str, dead: Rows | None = None) -> pa.Table:
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
    if dead is None or not len(dead):
        return whole
    keep = np.ones(rows.num_rows, dtype=np.bool_)
    keep[dead] = False
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
    return sum(sweeping(table, grace_s))


def sweeping(table: IcebergTable, grace_s: float) -> Iterator[int]:
    """The same piece by piece: how many files went with each. Commits may take place between them."""
    root = table.folder()
    if root is None:
        return
    # Listed first: a file that is committed after this is not judged.
    listed = [path for path in _files_below(root) if time.time() - path.stat().st_mtime > grace_s]
    if not listed:
        return
    unneeded = {str(path) for path in listed}
    for needed in table.reachable():
        unneeded -= needed
        yield 0
    for path in unneeded:
        Path(path).unlink(missing_ok=True)
        yield 1
    if unneeded:
        _log.info("%s: %d unreferenced files deleted", table.name, len(unneeded))


def _files_below(root: Path) -> list[Path]:
    return [Path(folder) / name for folder, _, names in os.walk(root) for name in names]
