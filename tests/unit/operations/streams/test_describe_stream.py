"""DescribeStream: a stream's state, its shards and their lineage, in pages."""

from __future__ import annotations

import pytest
from tests.reading_streams import id_of, make_table, put, shards_of, split

from penstock.errors import ServiceError
from penstock.testing.databases import MemoryDatabase


# Why: API_streams_StreamDescription, member by member.
def test_an_enabled_stream_is_described_whole() -> None:
    db = MemoryDatabase()
    arn = make_table(db, view="OLD_IMAGE")
    described = db.ask("DescribeStream", StreamArn=arn)["StreamDescription"]
    assert described == {
        "StreamArn": arn,
        "StreamLabel": "2026-01-01T00:00:00.000",
        "StreamStatus": "ENABLED",
        "StreamViewType": "OLD_IMAGE",
        "CreationRequestDateTime": 1767225600.0,
        "TableName": "things",
        "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
        "Shards": [
            {
                "ShardId": id_of(db, 0),
                "SequenceNumberRange": {"StartingSequenceNumber": "176722560000000000000"},
            }
        ],
    }


# Why: a stream can be read after its table is gone; its shards are closed then.
def test_the_stream_of_a_deleted_table_is_disabled_and_its_shards_are_closed() -> None:
    db = MemoryDatabase()
    arn = make_table(db, shards=2)
    put(db, "a", 1)
    db.ask("DeleteTable", TableName="things")
    described = db.ask("DescribeStream", StreamArn=arn)["StreamDescription"]
    assert described["StreamStatus"] == "DISABLED"
    for shard in described["Shards"]:
        numbers = shard["SequenceNumberRange"]
        assert numbers["EndingSequenceNumber"] >= numbers["StartingSequenceNumber"]


# Why: consumers read parents before children, so the lineage has to be told.
def test_a_split_shows_a_closed_parent_and_two_open_children() -> None:
    db = MemoryDatabase()
    arn = make_table(db)
    put(db, "a", 1)
    split(db, 0)
    parent, *children = shards_of(db, arn)
    assert "ParentShardId" not in parent
    end = int(parent["SequenceNumberRange"]["EndingSequenceNumber"])
    for child in children:
        assert child["ParentShardId"] == parent["ShardId"]
        assert int(child["SequenceNumberRange"]["StartingSequenceNumber"]) == end + 1
        assert "EndingSequenceNumber" not in child["SequenceNumberRange"]
    assert len(children) == 2


# Why: ShardFilter CHILD_SHARDS spares a consumer the whole layout when a shard has ended.
def test_the_filter_on_child_shards_gives_the_children_of_one_parent() -> None:
    db = MemoryDatabase()
    arn = make_table(db, shards=2)
    split(db, 0)
    split(db, 1)
    all_ = shards_of(db, arn)

    def children(parent: str) -> list[str]:
        shard_filter = {"Type": "CHILD_SHARDS", "ShardId": parent}
        described = db.ask("DescribeStream", StreamArn=arn, ShardFilter=shard_filter)["StreamDescription"]
        return [shard["ShardId"] for shard in described["Shards"]]

    for number in (0, 1):
        expected = [shard["ShardId"] for shard in all_ if shard.get("ParentShardId") == id_of(db, number)]
        assert len(expected) == 2
        assert children(id_of(db, number)) == expected
    assert children(id_of(db, 2)) == []


# Why: LastEvaluatedShardId is there exactly when more follows.
def test_pages_of_shards_join_to_the_whole_layout() -> None:
    db = MemoryDatabase()
    arn = make_table(db, shards=5)
    found: list[str] = []
    start: dict[str, str] = {}
    while True:
        page = db.ask("DescribeStream", StreamArn=arn, Limit=2, **start)["StreamDescription"]
        found += [shard["ShardId"] for shard in page["Shards"]]
        if "LastEvaluatedShardId" not in page:
            break
        start = {"ExclusiveStartShardId": page["LastEvaluatedShardId"]}
    assert found == [shard["ShardId"] for shard in shards_of(db, arn)]
    assert len(found) == 5


# Why: recorded from AWS (public client's test): code and wording of an unknown stream.
def test_an_unknown_stream_is_not_found_by_its_arn() -> None:
    db = MemoryDatabase()
    arn = make_table(db).replace("things", "nothing")
    with pytest.raises(ServiceError) as raised:
        db.ask("DescribeStream", StreamArn=arn)
    assert raised.value.code == "ResourceNotFoundException"
    assert raised.value.message == f"Requested resource not found: Stream: {arn} not found"


# Why: a split that a power cut could take back must not be told before it is durable.
def test_the_answer_waits_for_a_split_that_is_not_synced() -> None:
    db = MemoryDatabase()
    arn = make_table(db)
    split(db, 0)
    answers = db.start("DescribeStream", StreamArn=arn)
    assert answers == []
    db.sync()
    assert len(answers) == 1
