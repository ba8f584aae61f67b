"""Shards: how a stream is laid out over the hashes of partition keys, and how one shard becomes two.

    stream   [--------- 0 ---------)[--------- 1 ---------)          opened together, by `layout`
    split 0  [--- 2 ---)[--- 3 ---) [--------- 1 ---------)          0 is closed, 2 and 3 name it as their parent

S1. At each sequence number the open shards of an enabled stream cover every hash exactly once.
S2. A shard holds the numbers opened <= n <= closed; its children open at closed + 1. So a reader that ends a parent
    before it begins its children sees the changes of every key in order, each once. That no later change gets a
    smaller number, whatever the clock does, is seen to where a stream is written (database/catalog.py).
S3. A shard's id follows from its stream and number alone: it can be told for a parent that is long trimmed.
S4. Numbers ascend and are never reused; a child's is above its parent's.
"""

from __future__ import annotations

import struct
from binascii import crc32
from dataclasses import replace

from penstock.engine.plans import Plan, View
from penstock.errors import UsageError
from penstock.model.keys import HASH_SPACE
from penstock.model.tables import Shard, Stream

_NUMBERED = struct.Struct(">II")


def layout(count: int, opened: int = 0) -> tuple[Shard, ...]:
    """The first shards of a stream: `count` equal ranges."""
    edges = [HASH_SPACE * number // count for number in range(count + 1)]
    return tuple(Shard(number, edges[number], edges[number + 1], opened=opened) for number in range(count))


def split(stream: Stream, shard_number: int, next_number: int, sequence: int) -> Stream:
    """The stream after one of its shards became two halves. `sequence` is the last number that was given."""
    parent = find(stream, shard_number)
    if parent is None or parent.closed is not None:
        raise UsageError(f"shard {shard_number} of stream {stream.id} is not open")
    if next_number <= max(shard.number for shard in stream.shards):
        raise UsageError(f"{next_number} is not a new shard number of stream {stream.id}")
    middle = (parent.low + parent.high) // 2
    if middle == parent.low:
        raise UsageError(f"shard {shard_number} of stream {stream.id} covers one hash and cannot be split")
    closed = max(sequence, parent.opened)
    children = (
        Shard(next_number, parent.low, middle, parent.number, closed + 1),
        Shard(next_number + 1, middle, parent.high, parent.number, closed + 1),
    )
    kept = tuple(replace(shard, closed=closed) if shard is parent else shard for shard in stream.shards)
    return replace(stream, shards=kept + children)


def plan_split(view: View, stream_id: int, shard_number: int) -> Plan:
    """Split a shard of a stream between two writes: what came before is the parent's, what comes after the children's."""
    stream = view.stream(stream_id)
    if stream is None or not stream.enabled:
        raise UsageError(f"stream {stream_id} is not enabled")
    return redefine(split(stream, shard_number, next_number(stream), view.last_sequence()), view)


def redefine(stream: Stream, view: View) -> Plan:
    """A plan that puts a stream's new definition wherever the old one stands: in the catalogue and in its table."""
    table = view.find_table(stream.table_name)
    if table is None or table.stream is None or table.stream.id != stream.id:
        return Plan(streams=[stream])
    return Plan(streams=[stream], tables=[(table.name, replace(table, stream=stream))])


def next_number(stream: Stream) -> int:
    return max(shard.number for shard in stream.shards) + 1


def prune(stream: Stream, horizon: int) -> Stream:
    """Without the shards whose every number lies before `horizon`. An open shard stays, and so does a disabled
    stream's layout: it goes whole."""
    if not stream.enabled:
        return stream
    kept = tuple(shard for shard in stream.shards if shard.closed is None or shard.closed >= horizon)
    return stream if len(kept) == len(stream.shards) else replace(stream, shards=kept)


def find(stream: Stream, number: int) -> Shard | None:
    return next((shard for shard in stream.shards if shard.number == number), None)


def find_by_id(stream: Stream, id_: str) -> Shard | None:
    return next((shard for shard in stream.shards if shard_id(stream, shard.number) == id_), None)


def shard_id(stream: Stream, number: int) -> str:
    """In AWS's shape: a time in milliseconds (the stream's birth, a millisecond further for each number, so that ids
    sort as numbers do) and eight hex digits. CRC-32 of eight bytes differs wherever four neighbours of them do."""
    return f"shardId-{stream.created_us // 1000 + number:020d}-{crc32(_NUMBERED.pack(stream.id, number)):08x}"
