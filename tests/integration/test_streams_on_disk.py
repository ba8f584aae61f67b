"""Streams on RocksDB: pages, retention and lineage over files, and again after they were closed and opened."""

from __future__ import annotations

from pathlib import Path

from tests.reading_streams import (
    HOUR_S,
    iterator,
    make_table,
    put,
    read_shard,
    shards_of,
    split,
    values,
)

from penstock.store.rocks import open_store
from penstock.testing.clock import ManualClock
from penstock.testing.databases import MemoryDatabase


def kept(db: MemoryDatabase, arn: str) -> list[int]:
    found: list[str] = []
    for shard in shards_of(db, arn):
        found += values(read_shard(db, iterator(db, arn, shard["ShardId"], "TRIM_HORIZON"), 7))
    return sorted(int(value) for value in found)


# Why: trimming stands on range deletes and backward scans of the real store, and a restart must change nothing.
def test_changes_are_kept_trimmed_and_found_again_after_a_restart(tmp_path: Path) -> None:
    clock = ManualClock()
    store = open_store(tmp_path)
    db = MemoryDatabase(store, clock)
    arn = make_table(db, shards=2)
    for hour in range(20):
        for value in range(hour * 10, hour * 10 + 10):
            put(db, f"key-{value % 17}", value)
        if hour == 10:
            split(db, 1)
        db.pass_time(HOUR_S)
    assert kept(db, arn) == list(range(200))
    db.settle()
    store.close()

    store = open_store(tmp_path)
    db = MemoryDatabase(store, clock)
    assert kept(db, arn) == list(range(200))
    db.pass_time(9 * HOUR_S + 1)
    # Changes of hours 0 to 5 are older than a day now.
    assert kept(db, arn) == list(range(60, 200))
    assert len(shards_of(db, arn)) == 4
    put(db, "key-0", 200)
    store.close()

    store = open_store(tmp_path)
    db = MemoryDatabase(store, clock)
    assert kept(db, arn) == list(range(60, 201))
    db.pass_time(10 * HOUR_S)
    db.pass_time(61)
    # The parent of the split can hold nothing any more.
    assert len(shards_of(db, arn)) == 3
    assert kept(db, arn) == list(range(160, 201))
    store.close()
