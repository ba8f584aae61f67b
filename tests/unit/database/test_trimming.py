"""Retention: what leaves a stream, when, and that its going is remembered."""

from __future__ import annotations

from tests.reading_streams import (
    HOUR_S,
    id_of,
    iterator,
    make_table,
    put,
    read_shard,
    sequences,
    shards_of,
    split,
    stream_of,
    values,
)

from penstock.database.trimming import trim_changes
from penstock.engine.changes import trim_key
from penstock.store.interface import Family
from penstock.testing.databases import MemoryDatabase


def table(shards: int = 1, retention_hours: int = 24) -> tuple[MemoryDatabase, str]:
    db = MemoryDatabase()
    return db, make_table(db, shards=shards, retention_hours=retention_hours)


def kept(db: MemoryDatabase, arn: str) -> list[str]:
    found: list[str] = []
    for shard in shards_of(db, arn):
        found += values(read_shard(db, iterator(db, arn, shard["ShardId"], "TRIM_HORIZON")))
    return sorted(found, key=int)


def stored_changes(db: MemoryDatabase) -> int:
    return len(list(db.store.scan(Family.CHANGES, b"", b"\xff" * 24)))


# Why: developerguide/Streams: "Stream records … are removed after 24 hours", and not before.
def test_changes_go_when_they_are_older_than_a_day_and_not_before() -> None:
    db, arn = table(shards=3)
    for hour in range(30):
        put(db, f"key-{hour}", hour)
        db.pass_time(HOUR_S)
    # The last hour has passed: the changes of hours 0 to 5 are 25 to 30 hours old, that of hour 6 exactly 24.
    assert kept(db, arn) == [str(hour) for hour in range(6, 30)]
    assert stored_changes(db) == 24


# Why: Penstock's own setting, up to 365 days.
def test_a_longer_retention_keeps_changes_longer() -> None:
    db, arn = table(retention_hours=24 * 365)
    put(db, "a", 1)
    db.pass_time(364 * 24 * HOUR_S)
    assert kept(db, arn) == ["1"]
    db.pass_time(2 * 24 * HOUR_S)
    assert kept(db, arn) == []


# Why: C4 and R2: the mark is exactly the last change that went, in the batch that took it, so it survives a restart.
def test_the_trim_mark_is_the_last_change_that_went() -> None:
    db, arn = table()
    put(db, "a", 1)
    put(db, "a", 2)
    last = sequences(read_shard(db, iterator(db, arn, id_of(db, 0), "TRIM_HORIZON")))[-1]
    key = trim_key(stream_of(db).id, 0)
    db.pass_time(23 * HOUR_S)
    assert db.store.get(Family.META, key) is None
    db.pass_time(2 * HOUR_S)
    assert db.store.get(Family.META, key) == last.to_bytes(12, "big")
    assert db.reopen().store.get(Family.META, key) == last.to_bytes(12, "big")


# Why: an idle stream's consumer has a position older than the retention and has missed nothing.
def test_an_idle_consumer_goes_on_from_its_last_record_however_old_it_is() -> None:
    db, arn = table()
    put(db, "a", 1)
    [last] = sequences(read_shard(db, iterator(db, arn, id_of(db, 0), "TRIM_HORIZON")))
    for _ in range(10):
        db.pass_time(24 * HOUR_S)
    put(db, "a", 2)
    at = iterator(db, arn, id_of(db, 0), "AFTER_SEQUENCE_NUMBER", SequenceNumber=f"{last:021d}")
    assert values(read_shard(db, at)) == ["2"]


# Why: R3: the stream of a deleted table can be read for its retention and then leaves no trace.
def test_the_stream_of_a_deleted_table_stays_for_its_retention_and_then_goes_whole() -> None:
    db, arn = table(shards=2)
    put(db, "a", 1)
    db.ask("DeleteTable", TableName="things")
    db.pass_time(23 * HOUR_S)
    assert kept(db, arn) == ["1"]
    db.pass_time(2 * HOUR_S)
    db.pass_time(61)
    assert db.ask("ListStreams")["Streams"] == []
    assert stored_changes(db) == 0
    assert list(db.store.scan(Family.META, b"trim/", b"trim0")) == []
    assert db.reopen().ask("ListStreams")["Streams"] == []


# Why: R4: consumers list shards; one that can hold nothing any more only costs them time.
def test_a_split_shard_leaves_the_layout_after_its_retention_and_its_children_stay() -> None:
    db, arn = table()
    put(db, "a", 1)
    parent = id_of(db, 0)
    split(db, 0)
    db.pass_time(23 * HOUR_S)
    assert [shard["ShardId"] for shard in shards_of(db, arn)] == [parent, id_of(db, 1), id_of(db, 2)]
    db.pass_time(2 * HOUR_S)
    db.pass_time(61)
    left = shards_of(db, arn)
    assert [shard["ShardId"] for shard in left] == [id_of(db, 1), id_of(db, 2)]
    assert {shard["ParentShardId"] for shard in left} == {parent}
    put(db, "a", 2)
    assert kept(db, arn) == ["2"]
    # The table's own copy of the definition went the same way: a write finds its shard after a restart.
    again = db.reopen()
    put(again, "a", 3)
    assert kept(again, arn) == ["2", "3"]


# Why: a clock that jumps ahead must not take changes that could still be lost with what says that they went.
def test_changes_that_are_not_synced_are_not_trimmed() -> None:
    db, _ = table()
    db.start("PutItem", TableName="things", Item={"pk": {"S": "a"}})
    db.clock.advance(48 * HOUR_S)
    next(trim_changes(db.database))
    assert stored_changes(db) == 1
    db.settle()
    db.pass_time(61)
    assert stored_changes(db) == 0
