"""DescribeStream over the wire."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from tests.conformance.answers import refused
from tests.conformance.conftest import NewTable
from tests.conformance.following import table_with_stream
from tests.tables import schema


# Why: [A] StreamDescription, with the shards and where they begin.
@pytest.mark.parametrize("view", ["KEYS_ONLY", "NEW_IMAGE", "OLD_IMAGE", "NEW_AND_OLD_IMAGES"])
def test_a_stream_is_described(db: Any, streams: Any, new_table: NewTable, view: str) -> None:
    name, arn = table_with_stream(db, new_table, view)
    description = streams.describe_stream(StreamArn=arn)["StreamDescription"]
    assert (description["StreamArn"], description["TableName"]) == (arn, name)
    assert (description["StreamStatus"], description["StreamViewType"]) == ("ENABLED", view)
    assert description["KeySchema"] == schema("pk")
    assert isinstance(description["CreationRequestDateTime"], datetime)
    [shard] = description["Shards"]
    assert shard["ShardId"].startswith("shardId-")
    assert len(shard["SequenceNumberRange"]["StartingSequenceNumber"]) == 21
    assert "EndingSequenceNumber" not in shard["SequenceNumberRange"]


# Why: Penstock's own setting, a tag: several shards, which page by ExclusiveStartShardId.
def test_a_stream_of_several_shards_comes_in_pages(
    db: Any, streams: Any, new_table: NewTable, is_penstock: bool
) -> None:
    if not is_penstock:
        pytest.skip("AWS decides how many shards there are")
    name = new_table(
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"},
        Tags=[{"Key": "penstock:stream-shards", "Value": "5"}],
    )
    arn = db.describe_table(TableName=name)["Table"]["LatestStreamArn"]
    found: list[str] = []
    more: dict[str, str] = {}
    while True:
        page = streams.describe_stream(StreamArn=arn, Limit=2, **more)["StreamDescription"]
        found += [shard["ShardId"] for shard in page["Shards"]]
        if "LastEvaluatedShardId" not in page:
            break
        more = {"ExclusiveStartShardId": page["LastEvaluatedShardId"]}
    assert len(set(found)) == len(found) == 5


# Why: [A] ResourceNotFoundException; what is no ARN.
def test_a_stream_that_is_not_there_is_told(db: Any, streams: Any, new_table: NewTable) -> None:
    _, arn = table_with_stream(db, new_table)
    with refused("ResourceNotFoundException"):
        streams.describe_stream(StreamArn=arn[:-3] + "999")
    with refused("ValidationException"):
        streams.describe_stream(StreamArn="not-an-arn")
