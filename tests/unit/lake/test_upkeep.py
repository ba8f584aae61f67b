"""Maintenance leaves the rows as they are, and few files behind."""

from __future__ import annotations

import os
from pathlib import Path

import pyarrow as pa
import pytest
from tests.lake_setup import TABLE, Shop, unordered

from penstock.lake import upkeep
from penstock.lake.iceberg.local_files import local_path
from penstock.lake.iceberg.table import IcebergTable
from penstock.lake.sink import Fenced


def _busy_shop(folder: Path) -> Shop:
    shop = Shop(folder)
    for at in range(30):
        shop.put(f"c{at % 3}", at, amount={"N": str(at)})
    shop.pass_time()
    return shop


# Why: a compactor that loses a delete, or brings a deleted row back, is worse than none.
def test_compaction_keeps_rows_and_positions(tmp_path: Path) -> None:
    shop = _busy_shop(tmp_path)
    sink = shop.sink()
    shop.drain(sink)
    for turn in range(8):
        shop.put("c0", turn, amount={"N": "7"}, **{f"new{turn}": {"S": "x"}})
        shop.delete("c1", turn * 3 + 1)
        shop.drain(sink)
    before = sink.position
    assert len(sink.current.table.deletes) == 8
    upkeep.compact_current(sink.current, force=True)
    upkeep.compact_raw(sink.raw, force=True)
    assert (len(sink.current.table.data), len(sink.current.table.deletes)) == (1, 0)
    assert sink.position == before == sink.current.position
    assert unordered(shop.landed()) == unordered(shop.items())
    counted = shop.lake.sql(f"SELECT count(*) AS n, count(DISTINCT ordinal) AS d FROM raw.{TABLE}").rows()
    assert counted == [{"n": 46, "d": 46}]
    shop.put("c0", 0, amount={"N": "8"})
    shop.delete("c0", 3)
    shop.drain(sink)
    assert unordered(shop.landed()) == unordered(shop.items())


# Why: another sink builds its index from the compacted files, and must find the same rows.
def test_a_sink_goes_on_after_compaction_and_restart(tmp_path: Path) -> None:
    shop = _busy_shop(tmp_path)
    sink = shop.sink()
    shop.drain(sink)
    shop.delete("c0", 0)
    shop.drain(sink)
    upkeep.compact_current(sink.current, force=True)
    second = shop.sink()
    shop.put("c0", 3, amount={"N": "-1"})
    shop.delete("c1", 1)
    shop.drain(second)
    assert unordered(shop.landed()) == unordered(shop.items())


# Why: a large file is not rewritten for one row; its deletes are gathered in one file.
def test_deletes_of_large_files_are_gathered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shop = _busy_shop(tmp_path)
    sink = shop.sink()
    shop.drain(sink)
    monkeypatch.setattr(upkeep, "SMALL_ROWS", 5)
    for at in range(4):
        shop.delete(f"c{at % 3}", at)
        shop.drain(sink)
    upkeep.compact_current(sink.current, force=False)
    assert len(sink.current.table.deletes) == 4  # Fewer than are due.
    monkeypatch.setattr(upkeep, "COMPACT_DELETES", 4)
    upkeep.compact_current(sink.current, force=False)
    assert len(sink.current.table.deletes) == 1
    assert unordered(shop.landed()) == unordered(shop.items())


# Why: expiry takes snapshots, never a live row; and what nobody refers to leaves the disk.
def test_expired_snapshots_leave_no_files(tmp_path: Path) -> None:
    shop = _busy_shop(tmp_path)
    sink = shop.sink()
    shop.drain(sink)
    for turn in range(6):
        shop.put("c0", turn, amount={"N": "7"})
        shop.drain(sink)
    upkeep.compact_current(sink.current, force=True)
    table = sink.current.table
    assert upkeep.expire(table, 3, 2) > 0
    assert len(table.snapshot_ids()) == 2
    root = table.folder()
    assert root is not None
    before = sum(len(names) for _, _, names in os.walk(root))
    assert upkeep.delete_unreferenced(table, -1.0) > 0
    assert sum(len(names) for _, _, names in os.walk(root)) < before
    assert unordered(shop.landed()) == unordered(shop.items())
    assert unordered(Shop.landed(shop)) == unordered(shop.items())


# Why: files that a commit is about to name are young; a sweep must leave them.
def test_young_files_are_not_swept(tmp_path: Path) -> None:
    shop = _busy_shop(tmp_path)
    sink = shop.sink()
    shop.drain(sink)
    stray = sink.raw.table.folder()
    assert stray is not None
    (stray / "data" / "just-written.parquet").write_bytes(b"x")
    upkeep.delete_unreferenced(sink.raw.table, 60.0)
    assert (stray / "data" / "just-written.parquet").exists()


def _on_disk(table: IcebergTable) -> int:
    root = table.folder()
    assert root is not None
    return sum(len(names) for _, _, names in os.walk(root))


@pytest.fixture
def swept_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every file is old, a sweep is always due, and a turn of it is one piece."""
    monkeypatch.setattr(upkeep, "GRACE_S", -1.0)
    monkeypatch.setattr(upkeep, "_SWEEP_S", 0.0)
    monkeypatch.setattr(upkeep, "SWEEP_TURN_S", -1.0)


# Why: the stream waited for eight seconds while the names of 1,500 files were looked for in every kept snapshot.
@pytest.mark.usefixtures("swept_at_once")
def test_files_are_swept_in_turns_between_commits(tmp_path: Path) -> None:
    shop = _busy_shop(tmp_path)
    sink = shop.sink()
    shop.drain(sink)
    for turn in range(6):
        shop.put("c0", turn, amount={"N": "7"})
        shop.drain(sink)
    upkeep.compact_current(sink.current, force=True)
    upkeep.expire(sink.current.table, 1, 1)
    kept = upkeep.Upkeep()
    before = _on_disk(sink.current.table)
    kept.tick(sink)
    assert _on_disk(sink.current.table) == before  # It has only begun to look.
    for turn in range(60):
        kept.tick(sink)
        if turn % 20 == 0:
            shop.put("c1", turn)
            shop.drain(sink)
    assert _on_disk(sink.current.table) < before
    assert unordered(shop.landed()) == unordered(shop.items())
    assert unordered(shop.landed(f"current.{TABLE} FOR VERSION AS OF {sink.current.table.snapshot_id}"))
    sink.current.table.check_files()
    sink.raw.table.check_files()


# Why: a table that was healed goes back to older files; a sweep that was begun before would have taken them away.
@pytest.mark.usefixtures("swept_at_once")
def test_a_sweep_ends_with_the_sink_that_began_it(tmp_path: Path) -> None:
    shop = _busy_shop(tmp_path)
    first = shop.sink()
    shop.drain(first)
    kept = upkeep.Upkeep()
    kept.tick(first)
    begun = dict(kept._sweeps)
    assert begun
    second = shop.sink()
    kept.tick(second)
    assert all(
        kept._sweeps[name][0] is not table for name, (table, _) in begun.items() if name in kept._sweeps
    )


# Why: an old snapshot's damaged manifest ended the whole lake process, every ten minutes.
@pytest.mark.usefixtures("swept_at_once")
def test_a_damaged_manifest_of_an_older_snapshot_puts_the_sweep_off(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shop = _busy_shop(tmp_path)
    sink = shop.sink()
    shop.drain(sink)
    oldest = sink.current.table.table.metadata.snapshots[0]
    Path(local_path(oldest.manifest_list)).write_bytes(b"not Avro")
    kept = upkeep.Upkeep()
    before = _on_disk(sink.current.table)
    for _ in range(10):
        kept.tick(sink)
    assert "clean-up put off" in caplog.text
    assert _on_disk(sink.current.table) == before
    shop.put("c9", 1)
    shop.drain(sink)
    assert unordered(shop.landed()) == unordered(shop.items())


# Why: a zombie whose compaction was refused once took its rival's position for its own and landed changes twice.
def test_a_refused_compaction_fences_a_sink_that_was_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "COMPACT_FILES", 2)
    shop = _busy_shop(tmp_path)
    zombie = shop.sink()
    shop.drain(zombie)
    shop.put("c0", 40)
    shop.drain(zombie)
    successor = shop.sink()
    shop.put("c0", 41)
    shop.drain(successor)
    with pytest.raises(Fenced):
        upkeep.Upkeep().tick(zombie)
    with pytest.raises(Fenced):
        zombie.step()
    assert shop.lake.sql(f"SELECT count(*) AS n FROM raw.{TABLE}").rows() == [{"n": 32}]


# Why: files are put side by side without sorting where they are stretches of the log; where they are not, they are sorted.
@pytest.mark.parametrize("parts", [[[5, 6], [], [1, 2]], [[1, 4], [2, 3]], [[]]])
def test_rows_of_the_log_are_in_order_after_compaction(parts: list[list[int]]) -> None:
    tables = [pa.table({"ordinal": pa.array(part, pa.int64())}) for part in parts]
    assert upkeep._in_order(tables)["ordinal"].to_pylist() == sorted(n for part in parts for n in part)


# Why: changes wait while files are merged; merging 320,000 rows at once held them up for seconds.
def test_a_turn_rewrites_no_more_than_its_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bounds = {"RAW_TURN_ROWS": 40, "CURRENT_TURN_ROWS": 40, "SMALL_ROWS": 20, "TIER_ROWS": 8}
    for name, bound in (bounds | {"COMPACT_FILES": 4, "COMPACT_DELETES": 4}).items():
        monkeypatch.setattr(upkeep, name, bound)
    shop = Shop(tmp_path)
    sink = shop.sink()
    keeper = upkeep.Upkeep()
    for turn in range(60):
        for at in range(12 if turn % 3 else 3):
            shop.put(f"c{at}", turn % 20, amount={"N": str(turn)})
        shop.delete("c0", turn % 7)
        shop.pass_time()
        shop.drain(sink)
        tables = [sink.raw.table, sink.current.table]
        before = [set(table.data) for table in tables]
        keeper.tick(sink)
        made = [
            [table.data[path] for path in table.data.keys() - held]
            for table, held in zip(tables, before, strict=True)
        ]
        assert sum(len(files) for files in made) <= 1, "raw and current in one turn"
        assert all(entry.data_file.record_count <= 40 for files in made for entry in files)
        for table in tables:
            small = [entry for entry in table.data.values() if entry.data_file.record_count < 20]
            assert len(small) <= 12
        assert len(sink.current.table.deletes) <= 5
    assert unordered(shop.landed()) == unordered(shop.items())


# Why: who asks for compaction gets few files, in turns that each stay within the bound.
def test_compaction_on_demand_goes_turn_by_turn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep, "RAW_TURN_ROWS", 12)
    monkeypatch.setattr(upkeep, "CURRENT_TURN_ROWS", 12)
    monkeypatch.setattr(upkeep, "SMALL_ROWS", 6)
    shop = Shop(tmp_path)
    sink = shop.sink()
    for turn in range(10):
        for at in range(4):
            shop.put(f"c{turn}", at)
        shop.delete(f"c{turn}", 0)
        shop.drain(sink)
    turns = 0
    while upkeep.compact_turn(sink):
        turns += 1
        rows = [entry.data_file.record_count for entry in sink.raw.table.data.values()]
        assert max(rows) <= 12
    assert turns > 5
    assert not sink.current.table.deletes
    assert unordered(shop.landed()) == unordered(shop.items())


# Why: S3 Tables compacts by itself; a second compactor would work against it.
def test_tables_that_a_service_keeps_are_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep, "COMPACT_FILES", 2)
    shop = _busy_shop(tmp_path)
    sink = shop.sink()
    shop.drain(sink)
    for at in range(4):
        shop.put("c0", 50 + at)
        shop.drain(sink)
    files = upkeep.count_files(sink)
    upkeep.Upkeep(kept=True).tick(sink)
    assert upkeep.count_files(sink) == files
    upkeep.Upkeep().tick(sink)
    assert upkeep.count_files(sink) < files
