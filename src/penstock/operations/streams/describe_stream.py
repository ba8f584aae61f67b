"""DescribeStream: a stream's state and its shards, parents before their children."""

from __future__ import annotations

from typing import Any

import orjson

from penstock.engine import shards
from penstock.engine.changes import sequence_text
from penstock.engine.plans import EVERYTHING, Context, Plan, Request
from penstock.model.tables import Shard, Stream
from penstock.operations import shapes
from penstock.operations.streams.naming import stream_of

PAGE_SHARDS = 100


def run(request: Request, context: Context) -> Plan:
    shapes.check_shape("DescribeStream", request)
    stream = stream_of(request["StreamArn"], context)
    chosen = _chosen(stream, request)
    limit = request.get("Limit", PAGE_SHARDS)
    description: dict[str, Any] = {
        "StreamArn": request["StreamArn"],
        "StreamLabel": stream.label,
        "StreamStatus": "ENABLED" if stream.enabled else "DISABLED",
        "StreamViewType": stream.view,
        "CreationRequestDateTime": stream.created_us // 1000 / 1000,
        "TableName": stream.table_name,
        "KeySchema": [
            {"AttributeName": attribute.name, "KeyType": type_}
            for part, type_ in ((stream.keys.partition, "HASH"), (stream.keys.sort, "RANGE"))
            for attribute in part
        ],
        "Shards": [_shard(stream, shard) for shard in chosen[:limit]],
    }
    if len(chosen) > limit:
        description["LastEvaluatedShardId"] = shards.shard_id(stream, chosen[limit - 1].number)
    # A split or an end that could still be lost is told to nobody: the reply waits for what is not yet synced.
    return Plan(reply=orjson.dumps({"StreamDescription": description}), reads=[EVERYTHING])


def _chosen(stream: Stream, request: Request) -> list[Shard]:
    """What of the layout is asked for. Ids sort as numbers do, so a page goes on rightly where its last shard is gone."""
    chosen = sorted(stream.shards, key=lambda shard: shard.number)
    parent = request.get("ShardFilter", {}).get("ShardId")
    if parent is not None:
        chosen = [s for s in chosen if s.parent is not None and shards.shard_id(stream, s.parent) == parent]
    start = request.get("ExclusiveStartShardId")
    if start is not None:
        chosen = [shard for shard in chosen if shards.shard_id(stream, shard.number)[:28] > start[:28]]
    return chosen


def _shard(stream: Stream, shard: Shard) -> dict[str, Any]:
    numbers = {"StartingSequenceNumber": sequence_text(shard.opened)}
    if shard.closed is not None:
        numbers["EndingSequenceNumber"] = sequence_text(shard.closed)
    described: dict[str, Any] = {
        "ShardId": shards.shard_id(stream, shard.number),
        "SequenceNumberRange": numbers,
    }
    if shard.parent is not None:
        described["ParentShardId"] = shards.shard_id(stream, shard.parent)
    return described
