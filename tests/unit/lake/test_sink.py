"""A table's way into the lake: first scan, changes, deletes, restarts, rivals and gaps."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.lake_setup import TABLE, Shop, unordered

from penstock.lake.iceberg.table import Commit, Refused
from penstock.lake.sink import Fenced


# Why: the promise of the whole package, on the smallest example.
def test_items_changes_and_deletes_land_in_current_and_raw(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    for at in range(20):
        shop.put("c1", at, amount={"N": f"{at}.25"})
    shop.pass_time()
    sink = shop.sink()
    shop.drain(sink)
    shop.put("c1", 3, amount={"N": "99"})
    shop.delete("c1", 4)
    shop.drain(sink)
    assert unordered(shop.landed()) == unordered(shop.items())
    [counted] = shop.lake.sql(
        f"SELECT count(*) AS n, max(ordinal) + 1 AS top, count(DISTINCT ordinal) AS d FROM raw.{TABLE}"
    ).rows()
    assert counted == {"n": 22, "top": 22, "d": 22}
    operations = shop.lake.sql(
        f"SELECT operation, count(*) AS n FROM raw.{TABLE} GROUP BY 1 ORDER BY 1"
    ).rows()
    assert operations == [
        {"operation": "MODIFY", "n": 1}, {"operation": "REMOVE", "n": 1}, {"operation": "SNAPSHOT", "n": 20},
    ]  # fmt: skip


# Why: a sink that starts again must neither repeat nor skip, whatever was committed last.
def test_a_sink_goes_on_where_the_last_one_ended(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    shop.put("c1", 1)
    shop.pass_time()
    shop.drain(shop.sink())
    shop.put("c1", 2)
    second = shop.sink()
    shop.put("c1", 3)
    shop.drain(second)
    assert unordered(shop.landed()) == unordered(shop.items())
    assert shop.lake.sql(f"SELECT count(*) AS n FROM raw.{TABLE}").rows() == [{"n": 3}]


# Why: dying between the two commits leaves raw ahead; its rows are in raw and need no stream.
def test_current_catches_up_from_raw_after_a_crash_between_their_commits(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    shop.put("c1", 1)
    shop.pass_time()
    first = shop.sink()
    shop.drain(first)
    shop.put("c1", 1, note={"S": "new"})
    shop.put("c1", 2)
    batch = first._reader.read(100, 0)
    position = first.position.copy()
    position.shards.update(batch.places)
    position.offset += len(batch.changes)
    first.raw.append(batch.changes, position)
    shop.drain(shop.sink())
    assert unordered(shop.landed()) == unordered(shop.items())
    assert shop.lake.sql(f"SELECT count(*) AS n FROM raw.{TABLE}").rows() == [{"n": 3}]


# Why: two sinks beside each other doubled rows in every sink that merges stale commits.
def test_a_sink_that_was_replaced_is_refused(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    shop.put("c1", 1)
    shop.pass_time()
    zombie = shop.sink()
    shop.drain(zombie)
    successor = shop.sink()
    shop.put("c1", 2)
    with pytest.raises(Fenced):
        zombie.step()
    shop.drain(successor)
    assert unordered(shop.landed()) == unordered(shop.items())


# Why: another engine may compact a table; that is no rival, and the batch is planned again.
def test_a_commit_of_another_engine_is_planned_around(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    shop.put("c1", 1)
    shop.pass_time()
    sink = shop.sink()
    shop.drain(sink)
    for namespace in ("raw", "current"):
        other = shop.warehouse.find(namespace, TABLE)
        assert other is not None
        other.commit(Commit(summary={"by": "another engine"}))
    shop.put("c1", 1, note={"S": "b"})
    shop.drain(sink)
    assert unordered(shop.landed()) == unordered(shop.items())
    assert shop.lake.sql(f"SELECT count(*) AS n FROM raw.{TABLE}").rows() == [{"n": 2}]


# Why: changes that the stream forgot are found by a scan, items that went meanwhile are removed, and the gap is told.
def test_a_trimmed_position_is_scanned_again_and_the_gap_is_kept(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    for at in range(5):
        shop.put("c1", at)
    shop.pass_time()
    shop.drain(shop.sink())
    shop.put("c1", 0, note={"S": "changed in the gap"})
    shop.delete("c1", 1)
    shop.pass_time(30 * 3600)
    shop.put("c1", 9)
    shop.pass_time()
    sink = shop.sink()
    shop.drain(sink)
    assert unordered(shop.landed()) == unordered(shop.items())
    assert len(sink.position.gaps) == 2


# Why: an expiry that names no snapshot brought a stale writer to its rival's metadata with its own, older list of files.
def test_a_stale_writer_may_not_even_expire(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    shop.put("c1", 1)
    shop.pass_time()
    zombie = shop.sink()
    shop.drain(zombie)
    shop.sink()
    with pytest.raises(Refused):
        zombie.raw.table.expire(zombie.raw.table.snapshot_ids()[:1])


# Why: of two sinks that start at once exactly one must go on; a claim of each table by itself could stop both.
def test_a_sink_that_lost_raw_gets_no_other_table(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    shop.put("c1", 1)
    shop.pass_time()
    shop.drain(shop.sink())
    late = shop.sink()
    winner = shop.sink()
    with pytest.raises(Fenced):
        late._claim(winner.current.table)
    shop.put("c1", 2)
    shop.drain(winner)
    assert unordered(shop.landed()) == unordered(shop.items())
