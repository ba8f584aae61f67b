"""The declared requests of the actions on streams. Names of constants are the service model's."""

from __future__ import annotations

from penstock.limits import STREAM_RECORDS_MAX
from penstock.operations.dynamodb.names import NAME
from penstock.operations.kinds import Stamp, Struct, Text, Whole

STAMP = Stamp()

TABLE_NAME = Text(min=3, max=255, pattern=NAME)
# The model has no upper bounds; the API reference of each action has.
STREAMS_LIMIT = Whole(min=1, max=100)
RECORDS_LIMIT = Whole(min=1, max=STREAM_RECORDS_MAX)
STREAM_ARN = Text(min=37, max=1024)
SHARD_ID = Text(min=28, max=65)
SHARD_FILTER_TYPE = Text(enum=("CHILD_SHARDS",))
SHARD_FILTER = Struct(
    "ShardFilter",
    {
        "Type": SHARD_FILTER_TYPE,
        "ShardId": SHARD_ID,
    },
)
SHARD_ITERATOR_TYPE = Text(
    enum=("TRIM_HORIZON", "LATEST", "AT_SEQUENCE_NUMBER", "AFTER_SEQUENCE_NUMBER", "AT_TIMESTAMP")
)
SEQUENCE_NUMBER = Text(min=21, max=40)
SHARD_ITERATOR = Text(min=1, max=2048)

ACTIONS: dict[str, Struct] = {
    "ListStreams": Struct(
        "ListStreams",
        {
            "TableName": TABLE_NAME,
            "Limit": STREAMS_LIMIT,
            "ExclusiveStartStreamArn": STREAM_ARN,
        },
    ),
    "DescribeStream": Struct(
        "DescribeStream",
        {
            "StreamArn": STREAM_ARN,
            "Limit": STREAMS_LIMIT,
            "ExclusiveStartShardId": SHARD_ID,
            "ShardFilter": SHARD_FILTER,
        },
        required=("StreamArn",),
    ),
    "GetShardIterator": Struct(
        "GetShardIterator",
        {
            "StreamArn": STREAM_ARN,
            "ShardId": SHARD_ID,
            "ShardIteratorType": SHARD_ITERATOR_TYPE,
            "SequenceNumber": SEQUENCE_NUMBER,
            "Timestamp": STAMP,
        },
        required=("StreamArn", "ShardId", "ShardIteratorType"),
    ),
    "GetRecords": Struct(
        "GetRecords",
        {
            "ShardIterator": SHARD_ITERATOR,
            "Limit": RECORDS_LIMIT,
        },
        required=("ShardIterator",),
    ),
}
