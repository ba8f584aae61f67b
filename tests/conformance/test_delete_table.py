"""DeleteTable over the wire."""

from __future__ import annotations

from typing import Any

from tests.conformance.answers import refused, s
from tests.conformance.conftest import NewTable, wait_until_active
from tests.tables import definitions, index, table_request


# Why: [A] "in the DELETING state until DynamoDB completes the deletion"; then all is gone, and the name is free.
def test_a_deleted_table_is_gone_with_all_that_it_held(db: Any, new_table: NewTable) -> None:
    more: dict[str, Any] = {
        "AttributeDefinitions": definitions(pk="S", x="S"),
        "GlobalSecondaryIndexes": [index("by_x", "x")],
    }
    name = new_table(**more)
    db.put_item(TableName=name, Item={"pk": s("a"), "x": s("x")})
    assert db.delete_table(TableName=name)["TableDescription"]["TableStatus"] == "DELETING"
    db.get_waiter("table_not_exists").wait(TableName=name)
    with refused("ResourceNotFoundException", f"Requested resource not found: Table: {name} not found"):
        db.delete_table(TableName=name)
    with refused("ResourceNotFoundException", "Requested resource not found"):
        db.get_item(TableName=name, Key={"pk": s("a")})
    db.create_table(**table_request(name, **more))
    wait_until_active(db, name)
    assert db.scan(TableName=name)["Count"] == 0
    assert db.scan(TableName=name, IndexName="by_x")["Count"] == 0


# Why: developerguide/Streams: the stream of a deleted table can be read for 24 hours.
def test_the_stream_of_a_deleted_table_can_still_be_read(db: Any, streams: Any, new_table: NewTable) -> None:
    name = new_table(StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"})
    arn = db.describe_table(TableName=name)["Table"]["LatestStreamArn"]
    db.put_item(TableName=name, Item={"pk": s("a")})
    db.delete_table(TableName=name)
    db.get_waiter("table_not_exists").wait(TableName=name)
    description = streams.describe_stream(StreamArn=arn)["StreamDescription"]
    assert description["StreamStatus"] == "DISABLED"
    [shard] = description["Shards"]
    at = streams.get_shard_iterator(StreamArn=arn, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON")
    [record] = streams.get_records(ShardIterator=at["ShardIterator"])["Records"]
    assert record["dynamodb"]["NewImage"] == {"pk": s("a")}
