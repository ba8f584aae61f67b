"""Streams and shards by the names that clients have for them: ARNs and shard ids, found or refused as AWS does."""

from __future__ import annotations

from penstock import errors
from penstock.engine import shards
from penstock.engine.plans import Context
from penstock.errors import ServiceError
from penstock.model.tables import Shard, Stream
from penstock.operations.dynamodb.arns import stream_arn


def stream_of(arn: str, context: Context) -> Stream:
    for stream in context.view.streams():
        if stream_arn(context, stream) == arn:
            return stream
    raise stream_not_found(arn)


def shard_of(stream: Stream, id_: str) -> Shard:
    shard = shards.find_by_id(stream, id_)
    if shard is None:
        raise shard_not_found()
    return shard


def stream_not_found(arn: str) -> ServiceError:
    return errors.resource_not_found(f"Requested resource not found: Stream: {arn} not found")


def shard_not_found() -> ServiceError:
    return errors.resource_not_found("Requested resource not found: Shard does not exist")
