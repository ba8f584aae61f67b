"""GetRecords: pages of durable changes, iterators that go on exactly, and the end of a shard."""

from __future__ import annotations

from typing import Any

import pytest
from tests.botocore_model import response_faults
from tests.reading_streams import (
    HOUR_S,
    id_of,
    iterator,
    make_table,
    put,
    read_shard,
    sequences,
    split,
    stream_of,
    values,
)

from penstock.errors import ServiceError
from penstock.operations.streams import iterators
from penstock.testing.databases import MemoryDatabase


def table(**settings: int) -> tuple[MemoryDatabase, str]:
    db = MemoryDatabase()
    return db, make_table(db, **settings)  # type: ignore[arg-type]


def horizon(db: MemoryDatabase, arn: str, number: int = 0) -> str:
    return iterator(db, arn, id_of(db, number), "TRIM_HORIZON")


# Why: records in commit order, none for a write that changes nothing.
def test_a_page_holds_each_change_once_in_order_and_none_for_a_write_that_changes_nothing() -> None:
    db, arn = table()
    put(db, "a", 1)
    put(db, "a", 1)
    put(db, "a", 2)
    db.ask("DeleteItem", TableName="things", Key={"pk": {"S": "a"}})
    db.ask("DeleteItem", TableName="things", Key={"pk": {"S": "a"}})
    records = read_shard(db, horizon(db, arn))
    assert [record["eventName"] for record in records] == ["INSERT", "MODIFY", "REMOVE"]
    assert values(records) == ["1", "2", ""]
    assert records[1]["dynamodb"]["OldImage"] == {"pk": {"S": "a"}, "v": {"N": "1"}}


# Why: the Limit cuts a page; the next iterator goes on behind its last record.
@pytest.mark.parametrize("limit", [1, 2, 3, 7, 1000])
def test_pages_of_any_limit_join_to_the_same_records(limit: int) -> None:
    db, arn = table()
    for value in range(7):
        put(db, f"key-{value % 3}", value)
    records = read_shard(db, horizon(db, arn), limit)
    assert values(records) == [str(value) for value in range(7)]
    assert sequences(records) == sorted(set(sequences(records)))


# Why: API_streams_GetRecords: at most 1 MB of data; one record above half of it still makes a page.
def test_a_page_ends_before_1_mb() -> None:
    db, arn = table()
    for number in range(5):
        item = {"pk": {"S": str(number)}, "text": {"S": "x" * 390_000}, "v": {"N": str(number)}}
        db.ask("PutItem", TableName="things", Item=item)
    page = db.ask("GetRecords", ShardIterator=horizon(db, arn))
    assert values(page["Records"]) == ["0", "1"]
    assert values(read_shard(db, page["NextShardIterator"])) == ["2", "3", "4"]


# Why: what a power cut could take back is seen by no consumer; and once it is durable nothing is skipped.
def test_an_unsynced_change_is_neither_shown_nor_skipped() -> None:
    db, arn = table(shards=2)
    put(db, "a", 1)
    iterators_ = [horizon(db, arn, number) for number in (0, 1)]
    waiting = [
        db.start("PutItem", TableName="things", Item={"pk": {"S": f"k{n}"}, "v": {"N": str(n)}})
        for n in range(10, 30)
    ]
    before = []
    for place, at in enumerate(iterators_):
        page = db.start("GetRecords", ShardIterator=at)[0][1]
        before += values(page["Records"])
        iterators_[place] = page["NextShardIterator"]
    assert before == ["1"]
    db.settle()
    assert all(answer[0][0] == 200 for answer in waiting)
    after = [value for at in iterators_ for value in values(read_shard(db, at))]
    assert sorted(after) == [str(n) for n in range(10, 30)]


# Why: API_streams_GetRecords: NextShardIterator is null where the shard is closed and read to its end.
def test_a_closed_shard_ends_without_a_next_iterator_and_an_open_one_never_does() -> None:
    db, arn = table()
    put(db, "a", 1)
    at = horizon(db, arn)
    assert "NextShardIterator" in db.ask("GetRecords", ShardIterator=at)
    split(db, 0)
    whole = db.ask("GetRecords", ShardIterator=at)
    assert values(whole["Records"]) == ["1"]
    assert "NextShardIterator" not in whole
    put(db, "a", 2)
    assert values(read_shard(db, at)) == ["1"]
    children = [values(read_shard(db, horizon(db, arn, number))) for number in (1, 2)]
    assert sorted(children) == [[], ["2"]]


# Why: the end of a shard is told only when the split behind it cannot be lost any more.
def test_the_end_of_a_shard_waits_for_its_split_to_be_durable() -> None:
    db, arn = table()
    put(db, "a", 1)
    read_to_end = db.ask("GetRecords", ShardIterator=horizon(db, arn))["NextShardIterator"]
    split(db, 0)
    answers = db.start("GetRecords", ShardIterator=read_to_end)
    assert answers == []
    db.sync()
    assert answers == [(200, {"Records": []})]


# Why: a stream can be read to its end after its table is deleted, also one that never held a record.
@pytest.mark.parametrize("count", [0, 3])
def test_the_stream_of_a_deleted_table_is_read_to_its_end(count: int) -> None:
    db, arn = table()
    for value in range(count):
        put(db, "a", value)
    db.ask("DeleteTable", TableName="things")
    at: str | None = horizon(db, arn)
    records = []
    for _ in range(3):
        assert at is not None
        page = db.ask("GetRecords", ShardIterator=at)
        records += page["Records"]
        at = page.get("NextShardIterator")
        if at is None:
            break
    assert at is None
    assert values(records) == [str(value) for value in range(count)]


# Why: API_streams_GetShardIterator: "A shard iterator expires 15 minutes after it is returned".
def test_an_iterator_is_good_for_15_minutes() -> None:
    db, arn = table()
    at = horizon(db, arn)
    db.clock.advance(900)
    fresh = db.ask("GetRecords", ShardIterator=at)["NextShardIterator"]
    db.clock.advance(1)
    with pytest.raises(ServiceError) as raised:
        db.ask("GetRecords", ShardIterator=at)
    assert raised.value.code == "ExpiredIteratorException"
    assert raised.value.message == (
        "Iterator expired. The iterator was created at time Thu Jan 01 00:00:00 UTC 2026 while right now it is "
        "Thu Jan 01 00:15:01 UTC 2026 which is further in the future than the tolerated delay of 900000 milliseconds."
    )
    assert db.ask("GetRecords", ShardIterator=fresh)["Records"] == []


# Why: an iterator that was cut or edited must not read from somewhere else.
def test_an_iterator_that_was_changed_anywhere_is_refused() -> None:
    db, arn = table()
    good = horizon(db, arn)
    wrong = [good[:-4], good + "AAAA", "AAAA", "ü", arn, arn + "|1|", good.replace("things", "thingz")]
    wrong += [good[:at] + ("A" if good[at] != "A" else "B") + good[at + 1 :] for at in range(len(good) - 2)]
    for text in wrong:
        with pytest.raises(ServiceError) as raised:
            db.ask("GetRecords", ShardIterator=text)
        assert raised.value.code == "ValidationException"
        assert raised.value.message == "Invalid ShardIterator"


# Why: TrimmedDataAccessException: "You obtain a shard iterator, but before you use the iterator … is trimmed".
def test_an_iterator_whose_records_were_trimmed_meanwhile_is_refused() -> None:
    db, arn = table()
    put(db, "a", 1)
    stream = stream_of(db)
    db.pass_time(25 * HOUR_S)
    # Made as if 25 hours had not passed since: only its place is old.
    place = iterators.Place(arn, stream.id, 0, 1, db.clock.now_us() // 1000)
    with pytest.raises(ServiceError) as raised:
        db.ask("GetRecords", ShardIterator=iterators.write(place))
    assert raised.value.code == "TrimmedDataAccessException"


# Why: an iterator of a stream that is gone says so, and one of a shard that is gone too.
def test_an_iterator_of_something_that_is_gone_is_not_found() -> None:
    db, arn = table()
    now_ms = db.clock.now_us() // 1000
    stream = stream_of(db).id
    with pytest.raises(ServiceError, match=r"Stream: .* not found"):
        db.ask("GetRecords", ShardIterator=iterators.write(iterators.Place(arn, stream + 1, 0, 1, now_ms)))
    with pytest.raises(ServiceError, match="Shard does not exist"):
        db.ask("GetRecords", ShardIterator=iterators.write(iterators.Place(arn, stream, 9, 1, now_ms)))


# Why: API_streams_GetRecords: "The upper limit is 1000".
def test_a_limit_above_1000_is_refused() -> None:
    db, arn = table()
    with pytest.raises(ServiceError) as raised:
        db.ask("GetRecords", ShardIterator=horizon(db, arn), Limit=1001)
    assert raised.value.code == "ValidationException"


# Why: API_streams_Identity: deletions by time to live are told apart from a user's.
def test_an_expired_item_leaves_a_record_of_the_service() -> None:
    db, arn = table()
    specification = {"AttributeName": "until", "Enabled": True}
    db.ask("UpdateTimeToLive", TableName="things", TimeToLiveSpecification=specification)
    for _ in range(3):
        db.pass_time(5)
    seconds = db.clock.now_us() // 1_000_000
    db.ask("PutItem", TableName="things", Item={"pk": {"S": "a"}, "until": {"N": str(seconds + 60)}})
    for _ in range(30):
        db.pass_time(10)
    insert, remove = read_shard(db, horizon(db, arn))
    assert insert["eventName"] == "INSERT"
    assert remove["eventName"] == "REMOVE"
    assert remove["userIdentity"] == {"PrincipalId": "dynamodb.amazonaws.com", "Type": "Service"}


# Why: SDKs parse by the service model, so what it does not declare is lost on them.
def test_the_answers_of_all_four_actions_have_the_shapes_of_the_service_model() -> None:
    db, arn = table()
    put(db, "a", 1)
    put(db, "a", 2)
    db.ask("DeleteItem", TableName="things", Key={"pk": {"S": "a"}})
    split(db, 0)
    at = horizon(db, arn)
    shard = {"ShardIteratorType": "LATEST", "ShardId": id_of(db, 1), "StreamArn": arn}
    requests: dict[str, dict[str, Any]] = {
        "ListStreams": {"Limit": 1},
        "DescribeStream": {"StreamArn": arn, "Limit": 2},
        "GetShardIterator": shard,
        "GetRecords": {"ShardIterator": at, "Limit": 2},
    }
    for action, request in requests.items():
        assert response_faults("dynamodbstreams", action, db.ask(action, **request)) == []
