"""Held-open GetRecords: who waits, what wakes them, and that nobody waits for ever or misses anything."""

from __future__ import annotations

from typing import Any

from tests.reading_streams import id_of, iterator, make_table, put, read_shard, split, stream_of, values

from penstock.engine.plans import Plan
from penstock.limits import WAIT_MS_MAX
from penstock.testing.databases import MemoryDatabase

Answers = list[tuple[int, dict[str, Any]]]


def table(shards: int = 1) -> tuple[MemoryDatabase, str]:
    db = MemoryDatabase()
    return db, make_table(db, shards=shards)


def latest(db: MemoryDatabase, arn: str, number: int = 0) -> str:
    return iterator(db, arn, id_of(db, number), "LATEST")


def hold(db: MemoryDatabase, at: str, wait_ms: int = 5000) -> Answers:
    return db.start("GetRecords", wait_ms, ShardIterator=at)


def waiting(db: MemoryDatabase) -> int:
    return sum(len(held) for held in db.database.feed.waiting.values())


# Why: the point of holding open: the answer comes with the first durable change, and not before it is durable.
def test_a_held_page_is_answered_by_the_first_durable_change() -> None:
    db, arn = table()
    answers = hold(db, latest(db, arn))
    db.settle()
    assert answers == []
    written = db.start("PutItem", TableName="things", Item={"pk": {"S": "a"}, "v": {"N": "1"}})
    assert (answers, written) == ([], [])
    db.settle()
    assert written[0][0] == 200
    [(status, page)] = answers
    assert status == 200
    assert values(page["Records"]) == ["1"]
    put(db, "a", 2)
    assert values(read_shard(db, page["NextShardIterator"])) == ["2"]


# Why: F4: the writer's own answer does not stand behind the pages of those who wait for it.
def test_the_writer_is_answered_before_the_consumers_that_it_wakes() -> None:
    db, arn = table()
    at = latest(db, arn)
    held = [hold(db, at) for _ in range(3)]
    written = db.start("PutItem", TableName="things", Item={"pk": {"S": "a"}})
    db.sync()
    assert len(written) == 1
    assert held == [[], [], []]
    db.settle()
    assert [len(answers) for answers in held] == [1, 1, 1]


# Why: without the wish, or with something to read, nobody waits.
def test_only_an_empty_page_of_an_open_shard_is_held() -> None:
    db, arn = table()
    at = latest(db, arn)
    assert len(hold(db, at, wait_ms=0)) == 1
    put(db, "a", 1)
    assert values(hold(db, at)[0][1]["Records"]) == ["1"]
    ended = latest(db, arn)
    split(db, 0)
    answers = hold(db, ended)
    db.settle()
    assert answers == [(200, {"Records": []})]
    assert len(db.start("ListTables", 5000)) == 1
    assert waiting(db) == 0


# Why: a wait ends with an empty page and an iterator that has moved on.
def test_a_wait_ends_when_its_time_is_over() -> None:
    db, arn = table()
    answers = hold(db, latest(db, arn), wait_ms=2000)
    db.pass_time(1.9)
    assert answers == []
    db.pass_time(0.1)
    [(status, page)] = answers
    assert (status, page["Records"]) == (200, [])
    assert waiting(db) == 0
    put(db, "a", 1)
    assert values(read_shard(db, page["NextShardIterator"])) == ["1"]


# Why: the sweep that ends waits looks at the earliest end, also where a shorter wait comes after a longer one.
def test_waits_of_different_lengths_end_each_in_its_time() -> None:
    db, arn = table()
    at = latest(db, arn)
    long, short = hold(db, at, 4000), hold(db, at, 1000)
    for _ in range(12):
        db.pass_time(0.1)
    assert (len(long), len(short)) == (0, 1)
    for _ in range(30):
        db.pass_time(0.1)
    assert (len(long), len(short)) == (1, 1)


# Why: a client may ask for a year; a connection is not held for that long.
def test_no_wait_is_longer_than_the_bound() -> None:
    db, arn = table()
    answers = hold(db, latest(db, arn), wait_ms=10**12)
    db.pass_time(WAIT_MS_MAX / 1000 - 1)
    assert answers == []
    db.pass_time(1)
    assert len(answers) == 1


# Why: F1: the change was applied before the caller parked, and its sync comes after.
def test_a_change_that_is_applied_but_not_synced_when_the_wait_begins_is_not_slept_through() -> None:
    db, arn = table()
    at = latest(db, arn)
    db.start("PutItem", TableName="things", Item={"pk": {"S": "a"}, "v": {"N": "1"}})
    answers = hold(db, at)
    assert answers == []
    db.settle()
    assert values(answers[0][1]["Records"]) == ["1"]


# Why: F1 in the middle of a sync: the group that is being synced holds the change.
def test_a_change_whose_sync_is_under_way_when_the_wait_begins_is_not_slept_through() -> None:
    db, arn = table()
    at = latest(db, arn)
    db.start("PutItem", TableName="things", Item={"pk": {"S": "a"}, "v": {"N": "1"}})
    group = db.database.commit.begin()
    assert group is not None
    answers = hold(db, at)
    db.database.commit.finish(group, None)
    db.settle()
    assert values(answers[0][1]["Records"]) == ["1"]


# Why: an idle consumer costs nothing: other shards' and other tables' writes do not touch it.
def test_changes_elsewhere_wake_nobody() -> None:
    db, arn = table(shards=2)
    make_table(db, "others")
    held = [hold(db, latest(db, arn, number)) for number in (0, 1)]
    put(db, "a", 1, "others")
    db.settle()
    assert held == [[], []]
    put(db, "a", 1)
    db.settle()
    assert sorted(len(answers) for answers in held) == [0, 1]
    assert waiting(db) == 1


# Why: a consumer of a shard that is split has to learn of its end, not wait for changes that go to the children.
def test_a_split_and_the_end_of_the_stream_wake_who_waits() -> None:
    db, arn = table()
    answers = hold(db, latest(db, arn))
    split(db, 0)
    db.settle()
    assert answers == [(200, {"Records": []})]
    children = [hold(db, latest(db, arn, number)) for number in (1, 2)]
    db.ask("DeleteTable", TableName="things")
    db.settle()
    assert children == [[(200, {"Records": []})], [(200, {"Records": []})]]


# Why: a database that closes answers everybody, and holds nobody any more.
def test_closing_answers_everybody() -> None:
    db, arn = table()
    at = latest(db, arn)
    answers = hold(db, at)
    db.database.feed.close()
    db.settle()
    assert [status for status, _ in answers] == [200]
    assert len(hold(db, at)) == 1


# Why: a stream that left the catalogue while somebody waited is an error, told at once.
def test_a_stream_that_is_forgotten_wakes_who_waits() -> None:
    db, arn = table()
    id_ = stream_of(db).id
    answers = hold(db, latest(db, arn))
    db.database.context()
    db.database.apply(Plan(ended=(id_,), meta=[(b"note", b"")]))
    db.settle()
    assert answers[0][1]["__type"].endswith("ResourceNotFoundException")
