"""What the conformance tests of streams share: a table with a stream, and its records read to their end."""

from __future__ import annotations

import time
from typing import Any

from tests.conformance.conftest import NewTable

PATIENCE_S = 60


def table_with_stream(db: Any, new_table: NewTable, view: str = "NEW_AND_OLD_IMAGES") -> tuple[str, str]:
    """Its name and its stream's ARN."""
    name = new_table(StreamSpecification={"StreamEnabled": True, "StreamViewType": view})
    return name, str(db.describe_table(TableName=name)["Table"]["LatestStreamArn"])


def shards(streams: Any, arn: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]
    return found


def iterator(streams: Any, arn: str, type_: str = "TRIM_HORIZON", **more: Any) -> str:
    shard = shards(streams, arn)[0]["ShardId"]
    answer = streams.get_shard_iterator(StreamArn=arn, ShardId=shard, ShardIteratorType=type_, **more)
    return str(answer["ShardIterator"])


def records(streams: Any, arn: str, count: int) -> list[dict[str, Any]]:
    """At least `count` records of all shards: AWS brings them a moment after the write."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        found = []
        for shard in shards(streams, arn):
            at = streams.get_shard_iterator(
                StreamArn=arn, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
            )
            page = streams.get_records(ShardIterator=at["ShardIterator"])
            while page["Records"]:
                found += page["Records"]
                page = streams.get_records(ShardIterator=page["NextShardIterator"])
        if len(found) >= count or time.monotonic() > deadline:
            return found
