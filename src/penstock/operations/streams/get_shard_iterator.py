"""GetShardIterator: from where in a shard to read, as an iterator that holds the place exactly."""

from __future__ import annotations

import orjson

from penstock import errors
from penstock.engine.changes import SEQUENCE_PER_US
from penstock.engine.plans import Context, Plan, Request, View
from penstock.model.tables import Shard, Stream
from penstock.operations import shapes
from penstock.operations.streams import iterators
from penstock.operations.streams.naming import shard_of, stream_of

NUMBERED = ("AT_SEQUENCE_NUMBER", "AFTER_SEQUENCE_NUMBER")


def run(request: Request, context: Context) -> Plan:
    shapes.check_shape("GetShardIterator", request)
    type_ = request["ShardIteratorType"]
    for member, types in (("SequenceNumber", NUMBERED), ("Timestamp", ("AT_TIMESTAMP",))):
        if type_ in types and member not in request:
            raise errors.validation(f"{member} is required for ShardIteratorType {type_}")
        if type_ not in types and member in request:
            raise errors.validation(f"{member} must not be given for ShardIteratorType {type_}")
    stream = stream_of(request["StreamArn"], context)
    shard = shard_of(stream, request["ShardId"])
    next_ = _next(stream, shard, request, context)
    place = iterators.Place(request["StreamArn"], stream.id, shard.number, next_, context.now_us // 1000)
    return Plan(reply=orjson.dumps({"ShardIterator": iterators.write(place)}))


def _next(stream: Stream, shard: Shard, request: Request, context: Context) -> int:
    """The first sequence number to read."""
    view = context.view
    oldest = iterators.trimmed_through(view, stream.id, shard.number) + 1
    latest = view.durable_sequence() + 1
    match request["ShardIteratorType"]:
        case "TRIM_HORIZON":
            return oldest
        case "LATEST":
            return max(oldest, latest)
        case "AT_TIMESTAMP":
            at = _sequence_at(request["Timestamp"], context.now_us)
            # Not beyond what comes next: the clock may have been ahead when the last change was made.
            return max(oldest, min(at, latest))
        case type_:
            number = _number(request["SequenceNumber"], shard, view)
            wanted = number + 1 if type_ == "AFTER_SEQUENCE_NUMBER" else number
    if wanted < oldest:
        raise iterators.trimmed()
    # A position before the shard's beginning, as a reader of its parent may have, reads it from its beginning.
    return wanted


def _sequence_at(timestamp: float, now_us: int) -> int:
    us = round(timestamp * 1000) * 1000
    if us > now_us:
        raise errors.validation(
            "The timestamp parameter cannot be greater than the current timestamp. "
            f"timestamp: {us // 1000}, current timestamp: {now_us // 1000}"
        )
    return max(us, 0) * SEQUENCE_PER_US


def _number(text: str, shard: Shard, view: View) -> int:
    """A number that was given once, in this shard or another. One from a future that never was is refused: it would
    skip what is written until then."""
    number = int(text) if text.isascii() and text.isdigit() else -1
    # A shard that holds nothing yet may be said to begin, or end, with the number that comes next.
    given = max(view.last_sequence(), shard.opened, shard.closed or 0)
    if not 0 <= number <= given:
        raise errors.validation(f"Invalid SequenceNumber: {text}")
    return number
