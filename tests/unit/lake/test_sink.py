"""A table's way into the lake: first scan, changes, deletes, restarts, rivals and gaps."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.lake_setup import TABLE, MemoryApi, Shop, unordered

from penstock.errors import UsageError
from penstock.lake.iceberg.local_files import local_path
from penstock.lake.iceberg.table import Commit, Refused
from penstock.lake.progress import POSITION, ShardPlace
from penstock.lake.sink import Fenced
from penstock.lake.stream import Beyond, list_streams
from penstock.lake.upkeep import delete_unreferenced, expire, tables_of


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


# Why: who asks what a table held at the newest change of its history was told that nobody knows, until the next change came.
def test_the_history_begins_with_the_last_row_of_the_first_scan(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    shop.put("c1", 1)
    shop.put("c1", 2)
    shop.pass_time()
    shop.drain(shop.sink())
    [newest] = shop.lake.sql(f"SELECT max(sequence) AS s FROM raw.{TABLE}").rows()
    asked = f"SELECT count(*) AS n FROM current.{TABLE} FOR SEQUENCE AS OF '{newest['s']}'"
    assert shop.lake.sql(asked).rows() == [{"n": 2}]
    before = f"{int(newest['s']) - 1:021d}"
    with pytest.raises(UsageError, match="history has a gap"):
        shop.lake.sql(f"FROM current.{TABLE} FOR SEQUENCE AS OF '{before}'")


class Busy(MemoryApi):
    """Somebody changes an item while the table is scanned."""

    def call(self, action: str, request: Mapping[str, Any], wait_ms: int = 0) -> dict[str, Any]:
        answer = super().call(action, request, wait_ms)
        if action == "Scan":
            item = {"customer": {"S": "c1"}, "at": {"N": "1"}, "note": {"S": "changed"}}
            self.database.ask("PutItem", TableName=TABLE, Item=item)
        return answer


# Why: what such an item was before is in no row, so the history must not claim to know that moment.
def test_the_history_begins_with_the_last_change_during_the_first_scan(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    shop.put("c1", 1)
    shop.put("c1", 2)
    shop.pass_time()
    shop.api = Busy(shop.database)
    shop.drain(shop.sink())
    rows = shop.lake.sql(f"SELECT operation, sequence FROM raw.{TABLE} ORDER BY sequence").rows()
    assert [row["operation"] for row in rows] == ["SNAPSHOT", "MODIFY"]
    asked = f"SELECT count(*) AS n FROM current.{TABLE} FOR SEQUENCE AS OF '{{}}'"
    assert shop.lake.sql(asked.format(rows[1]["sequence"])).rows() == [{"n": 2}]
    with pytest.raises(UsageError, match="history has a gap"):
        shop.lake.sql(asked.format(rows[0]["sequence"]))


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


# Why: after each commit of another engine the keys of all items were read again: 20 seconds for ten million, without a change.
def test_after_a_commit_of_another_engine_only_new_files_are_read_for_their_keys(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    shop.put("c1", 1)
    shop.put("c1", 2)
    shop.pass_time()
    sink = shop.sink()
    shop.drain(sink)
    shop.delete("c1", 2)
    shop.drain(sink)
    [known] = sink.current.table.data
    other = shop.warehouse.find("current", TABLE)
    assert other is not None
    other.commit(Commit(summary={"by": "another engine"}))
    aside = tmp_path / "aside.parquet"
    Path(local_path(known)).rename(aside)
    shop.put("c1", 1, note={"S": "b"})
    shop.put("c1", 2)
    shop.drain(sink)
    assert sink.current.index.live() == 2
    aside.rename(Path(local_path(known)))
    assert unordered(shop.landed()) == unordered(shop.items())


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


# Why: what the stream forgot while the process slept is not to be taken for a quiet table, though the sink still runs.
def test_a_sink_that_slept_for_more_than_a_day_scans_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shop = Shop(tmp_path)
    for at in range(5):
        shop.put("c1", at)
    shop.pass_time()
    sink = shop.sink()
    shop.drain(sink)
    shop.put("c1", 0, note={"S": "nobody saw this"})
    shop.delete("c1", 1)
    shop.pass_time(30 * 3600)
    shop.put("c1", 9)
    shop.pass_time()
    assert sink.step() == 0  # It finds that changes are gone, and begins a scan.
    shop.drain(sink)
    assert unordered(shop.landed()) == unordered(shop.items())
    assert len(sink.position.gaps) == 2
    assert "snapshot: shard" in caplog.text
    with pytest.raises(UsageError, match="history has a gap"):
        shop.lake.sql(f"FROM current.{TABLE} FOR SEQUENCE AS OF '{sink.position.gaps[1][0]}'")
    shop.put("c1", 10)
    shop.drain(sink)
    assert unordered(shop.landed()) == unordered(shop.items())


# Why: older tables put back under a newer lake have another history; going on would mix the two.
def test_a_position_beyond_the_stream_stops_the_sink(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    shop.put("c1", 1)
    shop.pass_time()
    sink = shop.sink()
    shop.drain(sink)
    shop.put("c1", 2)
    shop.drain(sink)
    position = sink.position.copy()
    [(shard, place)] = [(id_, place) for id_, place in position.shards.items() if not place.done]
    assert place.after is not None
    position.shards[shard] = ShardPlace(after=f"{int(place.after) + 10**15:021d}")
    for table in (sink.raw.table, sink.current.table):
        table.commit(Commit(properties={POSITION: position.encode()}))
    with pytest.raises(Beyond, match="beyond the stream's end"):
        shop.drain(shop.sink())
    assert shop.lake.sql(f"SELECT count(*) AS n FROM current.{TABLE}").rows() == [{"n": 2}]


# Why: a wide item must neither be cut nor end the table's flow.
def test_an_item_of_600_attributes_is_whole(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    shop.put("c1", 1, **{f"a{number}": {"N": str(number)} for number in range(600)})
    shop.put("c1", 2, a599={"S": "text"}, a1={"S": "text"})
    shop.pass_time()
    sink = shop.sink()
    shop.drain(sink)
    assert unordered(shop.landed()) == unordered(shop.items())
    assert len(sink.current.columns.all) == 500
    [row] = shop.lake.sql(
        f"SELECT _extra->>'$.a599.N' AS beyond FROM current.{TABLE} WHERE \"at\" = 1"
    ).rows()
    assert row == {"beyond": "599"}


# Why: accounts have more tables than a page of ListStreams names, and all of them are followed.
def test_tables_beyond_the_first_page_of_streams_are_found(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    for number in range(120):
        shop.database.ask(
            "CreateTable",
            TableName=f"t{number:03d}",
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
            StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
        )
    shop.database.tick()
    found = {stream["TableName"] for stream in list_streams(shop.api)}
    assert found == {TABLE, *(f"t{number:03d}" for number in range(120))}


# Why: raw is the history; how many snapshots are kept must not decide how far back one may ask.
def test_the_past_beyond_the_kept_snapshots_is_replayed(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    shop.put("c1", 0)
    shop.pass_time()
    sink = shop.sink()
    shop.drain(sink)
    states = []
    for turn in range(6):
        shop.put("c1", turn % 3, note={"N": str(turn)} if turn % 2 else {"S": "x"})
        if turn == 3:
            shop.delete("c1", 1)
        shop.drain(sink)
        now_us = shop.database.clock.now_us()
        states.append((f"{now_us * 100_000 + 99_999:021d}", now_us, unordered(shop.items())))
        shop.pass_time(5)
    for table in tables_of(sink):
        expire(table, 1, 1)
        delete_unreferenced(table, -1.0)
    for sequence, us, state in states:
        at = datetime.fromtimestamp(us / 1e6, UTC).isoformat()
        assert unordered(shop.landed(f"current.{TABLE} FOR SEQUENCE AS OF '{sequence}'")) == state
        assert unordered(shop.landed(f"current.{TABLE} FOR TIMESTAMP AS OF '{at}'")) == state
