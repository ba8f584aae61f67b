"""Change records: what a write leaves in the stream, as bytes that GetRecords joins without a parse.

    key    stream (4) | shard (4) | sequence (12)           CHANGES family, big-endian: shard by shard, in commit order
    trim   "trim/" | stream (4) | shard (4)  →  sequence (12)       META family: the last change that retention took
    value  kind (1: I, M or R) | origin (1: 0 user, 1 time to live) | body
    body   the members of `dynamodb` that depend on the item:  "Keys":{…},"NewImage":{…},"OldImage":{…},"SizeBytes":n

C1. One record for a write that changes the item, none for one that changes nothing.
C2. A sequence number is commit time in microseconds times 100,000 plus a counter: 21 digits, strictly increasing, never
    reused, also when the clock steps back (see `next_sequence`).
C3. `SizeBytes` counts keys and images as AWS counts items.
C4. Where a trim mark says n, every change up to n is gone; where there is none, nothing is.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import TypeAlias

import orjson

from penstock.engine.plans import Change
from penstock.errors import Corruption
from penstock.model import items
from penstock.model.keys import key_of
from penstock.model.tables import Stream
from penstock.model.values import Item, item_size

SEQUENCE_PER_US = 100_000
SEQUENCE_BYTES = 12
_PREFIX = struct.Struct(">II")


def next_sequence(last: int, now_us: int) -> int:
    return max(last + 1, now_us * SEQUENCE_PER_US)


def sequence_text(sequence: int) -> str:
    return f"{sequence:021d}"


def shard_prefix(stream: int, shard: int) -> bytes:
    return _PREFIX.pack(stream, shard)


def change_key(stream: int, shard: int, sequence: int) -> bytes:
    return _PREFIX.pack(stream, shard) + sequence.to_bytes(SEQUENCE_BYTES, "big")


def trim_key(stream: int, shard: int) -> bytes:
    return b"trim/" + _PREFIX.pack(stream, shard)


def sequence_in_key(key: bytes) -> int:
    return int.from_bytes(key[8:], "big")


def shard_of(stream: Stream, hash_: int) -> int:
    for shard in stream.shards:
        if shard.closed is None and shard.low <= hash_ < shard.high:
            return shard.number
    raise AssertionError(f"no open shard of stream {stream.id} covers hash {hash_}")


Image: TypeAlias = tuple[Item, bytes]  # One side of a change: the item and its record.


def describe(
    stream: Stream, hash_: int, old: Image | None, new: Image | None, expired: bool = False
) -> Change:
    """The change from `old` to `new`; one of them is there."""
    kind = b"I" if old is None else b"R" if new is None else b"M"
    source = new or old
    assert source is not None
    keys = key_of(stream.keys, source[0])
    parts = [kind, b"\x01" if expired else b"\x00", b'"Keys":', orjson.dumps(keys)]
    size = item_size(keys)
    view = stream.view
    if new is not None and (view == "NEW_AND_OLD_IMAGES" or view == "NEW_IMAGE"):
        parts += (b',"NewImage":', items.json_of(new[1]))
        size += items.size_of(new[1])
    if old is not None and (view == "NEW_AND_OLD_IMAGES" or view == "OLD_IMAGE"):
        parts += (b',"OldImage":', items.json_of(old[1]))
        size += items.size_of(old[1])
    parts.append(b',"SizeBytes":%d' % size)
    return Change(stream.id, shard_of(stream, hash_), b"".join(parts))


_EVENTS = {b"I": b"INSERT", b"M": b"MODIFY", b"R": b"REMOVE"}
# The Streams API capitalises these two; Lambda's events, made from them, do not.
_EXPIRED = b',"userIdentity":{"PrincipalId":"dynamodb.amazonaws.com","Type":"Service"}'


def record_writer(view: str, region: str) -> Callable[[bytes, bytes], bytes]:
    """From a change's key and value to its element of GetRecords' `Records`.

    ApproximateCreationDateTime is in whole seconds, as on AWS. The eventID is 32 hex digits, the same each time that
    the record is read: the low bytes of stream and shard, and the sequence number.
    """
    start = b'{"awsRegion":"%b","dynamodb":{"ApproximateCreationDateTime":' % region.encode()
    middle = b'","StreamViewType":"%b"},"eventID":"' % view.encode()
    end = b'","eventSource":"aws:dynamodb","eventVersion":"1.1"'
    endings = {
        kind + origin: b'","eventName":"' + name + end + more
        for kind, name in _EVENTS.items()
        for origin, more in ((b"\0", b"}"), (b"\1", _EXPIRED + b"}"))
    }
    number, per_s = int.from_bytes, SEQUENCE_PER_US * 1_000_000

    def write(key: bytes, value: bytes) -> bytes:
        sequence = number(key[8:], "big")
        ending = endings.get(value[:2])
        if ending is None:
            raise Corruption(f"a change record begins with {value[:2]!r}")
        seconds = b"%d," % (sequence // per_s)
        digits = b',"SequenceNumber":"%021d' % sequence
        event = (key[2:4] + key[6:]).hex().encode()
        return b"".join((start, seconds, value[2:], digits, middle, event, ending))

    return write
