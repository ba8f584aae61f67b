"""GetShardIterator over the wire."""

from __future__ import annotations

from typing import Any

from tests.conformance.answers import refused, s
from tests.conformance.conftest import NewTable
from tests.conformance.following import iterator, records, shards, table_with_stream


# Why: [A] ShardIteratorType: each of the four begins where it says.
def test_each_type_begins_where_it_says(db: Any, streams: Any, new_table: NewTable) -> None:
    name, arn = table_with_stream(db, new_table)
    for key in "abc":
        db.put_item(TableName=name, Item={"pk": s(key)})
    numbers = [record["dynamodb"]["SequenceNumber"] for record in records(streams, arn, 3)]

    def keys_from(type_: str, **more: Any) -> str:
        page = streams.get_records(ShardIterator=iterator(streams, arn, type_, **more))
        return "".join(record["dynamodb"]["Keys"]["pk"]["S"] for record in page["Records"])

    assert keys_from("TRIM_HORIZON") == "abc"
    assert keys_from("LATEST") == ""
    assert keys_from("AT_SEQUENCE_NUMBER", SequenceNumber=numbers[1]) == "bc"
    assert keys_from("AFTER_SEQUENCE_NUMBER", SequenceNumber=numbers[1]) == "c"
    latest = iterator(streams, arn, "LATEST")
    db.put_item(TableName=name, Item={"pk": s("d")})
    records(streams, arn, 4)
    page = streams.get_records(ShardIterator=latest)
    assert [record["dynamodb"]["Keys"]["pk"]["S"] for record in page["Records"]] == ["d"]


# Why: a number where one is needed; a shard and a stream that are there.
def test_mistakes_are_told(db: Any, streams: Any, new_table: NewTable) -> None:
    _, arn = table_with_stream(db, new_table)
    with refused("ValidationException"):
        iterator(streams, arn, "AT_SEQUENCE_NUMBER")
    with refused("ValidationException"):
        iterator(streams, arn, "SOMEWHERE")
    shard = shards(streams, arn)[0]["ShardId"]
    with refused("ResourceNotFoundException"):
        streams.get_shard_iterator(StreamArn=arn, ShardId=shard[:-8] + "ffffffff", ShardIteratorType="LATEST")
    with refused("ResourceNotFoundException"):
        streams.get_shard_iterator(StreamArn=arn[:-3] + "999", ShardId=shard, ShardIteratorType="LATEST")
