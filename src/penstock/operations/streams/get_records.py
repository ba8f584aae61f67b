"""GetRecords: a page of a shard's changes, from an iterator on, joined from stored bytes without a parse.

Only durable changes are in it (see `View.scan_changes`), and the next iterator says exactly how far it looked: behind
the last record where the page was cut, else behind everything that was durable when the page began.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator

from penstock.engine import shards
from penstock.engine.changes import record_writer, sequence_in_key
from penstock.engine.plans import EVERYTHING, Context, Plan, Request, Slices, View
from penstock.limits import PAGE_BYTES_MAX, STREAM_RECORDS_MAX
from penstock.model.tables import Shard, Stream
from penstock.operations import shapes
from penstock.operations.streams import iterators
from penstock.operations.streams.naming import shard_not_found, stream_not_found

SLICE_RECORDS = 256  # About 1 ms of small records.


def run(request: Request, context: Context) -> Slices:
    shapes.check_shape("GetRecords", request)
    view, now_us = context.view, context.now_us
    place = iterators.read(request["ShardIterator"], now_us)
    stream, shard = _located(place, view)
    if place.next <= iterators.trimmed_through(view, stream.id, shard.number):
        raise iterators.trimmed()
    durable = view.durable_sequence()
    ended = _ends_at(stream, shard, durable, view)
    changes = view.scan_changes(stream.id, shard.number, place.next)
    limit = request.get("Limit", STREAM_RECORDS_MAX)
    parts, last = yield from _page(changes, limit, record_writer(stream.view, context.region))
    if last is not None:
        place.next, ended = last + 1, False
    else:
        place.next = max(place.next, durable + 1)
    reply = b'{"Records":[' + b",".join(parts) + b"]"
    if ended:
        # That the shard is closed may not be durable itself.
        return Plan(reply=reply + b"}", reads=[EVERYTHING])
    place.made_ms = now_us // 1000
    reply += b',"NextShardIterator":"' + iterators.write(place).encode() + b'"}'
    waits = not parts and shard.closed is None and stream.enabled
    return Plan(reply=reply, awaits=(stream.id, shard.number) if waits else None)


def _located(place: iterators.Place, view: View) -> tuple[Stream, Shard]:
    stream = view.stream(place.stream)
    if stream is None:
        raise stream_not_found(place.arn)
    shard = shards.find(stream, place.shard)
    if shard is None:
        raise shard_not_found()
    return stream, shard


def _ends_at(stream: Stream, shard: Shard, durable: int, view: View) -> bool:
    """Whether everything that this shard will ever hold is durable: it is closed, and what it took last is synced."""
    if shard.closed is None:
        return not stream.enabled and durable >= view.last_sequence()
    return durable >= min(shard.closed, view.last_sequence())


def _page(
    changes: Iterator[tuple[bytes, bytes]], limit: int, write: Callable[[bytes, bytes], bytes]
) -> Generator[None, None, tuple[list[bytes], int | None]]:
    """Records up to the limit or 1 MB, and the last one's number where the page was cut before the changes ended."""
    parts: list[bytes] = []
    size, key = 0, b""
    for next_key, value in changes:
        size += len(value)
        if len(parts) == limit or (size > PAGE_BYTES_MAX and parts):
            return parts, sequence_in_key(key)
        key = next_key
        parts.append(write(key, value))
        if len(parts) % SLICE_RECORDS == 0:
            yield
    return parts, None
