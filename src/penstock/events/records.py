"""Change records between GetRecords and a handler: Lambda's event shape, and what the consumer keeps beside each.

A record as boto3 gives it becomes the element of Lambda's `Records`: times are epoch seconds, binary values base64 text,
and `eventSourceARN` is there. What JSON cannot hold is not in an event, so an event can be sent, stored and replayed.
"""

from __future__ import annotations

from base64 import b64encode
from datetime import datetime
from typing import Any, TypeAlias
from zlib import crc32

import msgspec
import orjson

from penstock.engine.changes import SEQUENCE_PER_US

Record: TypeAlias = dict[str, Any]  # The JSON edge: an element of `Records`.

_SEQUENCES_PER_S = SEQUENCE_PER_US * 1_000_000
_NESTED = frozenset({"B", "BS", "L", "M"})


class Entry(msgspec.Struct):
    """A record on its way to a handler."""

    sequence: int
    created_s: float
    arrived_s: float  # Monotonic.
    size: int
    record: Record


def lambda_record(record: Record, stream_arn: str) -> Record:
    """In place: the record as Lambda would give it to a function."""
    change = record["dynamodb"]
    created = change.get("ApproximateCreationDateTime")
    if isinstance(created, datetime):
        stamp = created.timestamp()
        change["ApproximateCreationDateTime"] = int(stamp) if stamp == int(stamp) else stamp
    for image in ("Keys", "NewImage", "OldImage"):
        attributes = change.get(image)
        if attributes is not None:
            for value in attributes.values():
                if not _NESTED.isdisjoint(value):
                    _textual(value)
    # Streams name the two members with capitals in their own API; Lambda's event does not.
    identity = record.get("userIdentity")
    if identity is not None and "PrincipalId" in identity:
        record["userIdentity"] = {"principalId": identity["PrincipalId"], "type": identity["Type"]}
    record["eventSourceARN"] = stream_arn
    return record


def _textual(value: dict[str, Any]) -> None:
    for tag, held in value.items():
        if tag == "B" and not isinstance(held, str):
            value[tag] = b64encode(held).decode()
        elif tag == "BS":
            value[tag] = [each if isinstance(each, str) else b64encode(each).decode() for each in held]
        elif tag == "L":
            for element in held:
                _textual(element)
        elif tag == "M":
            for member in held.values():
                _textual(member)


def entry_of(record: Record, now_s: float) -> Entry:
    change = record["dynamodb"]
    return Entry(
        int(change["SequenceNumber"]),
        float(change.get("ApproximateCreationDateTime", 0)),
        now_s,
        int(change.get("SizeBytes", 0)),
        record,
    )


def written_s(entry: Entry) -> float:
    """When the change was made, as closely as its record tells: a record's time is in whole seconds, on AWS as here, but a
    sequence number of Penstock's begins with the microseconds of the commit."""
    committed_s = entry.sequence / _SEQUENCES_PER_S
    return committed_s if 0 <= committed_s - entry.created_s < 1 else entry.created_s


def sequence_text(sequence: int) -> str:
    """As the Streams API writes it: 21 digits at least."""
    return f"{sequence:021d}"


def lane_of(record: Record, partition_key: str, lanes: int) -> int:
    """The lane of a record: all changes of one partition key take the same one, so their order is kept.

    Lambda keeps the order of an item only; a partition's order holds that too, and is what windows per customer need.
    """
    if lanes == 1:
        return 0
    return crc32(orjson.dumps(record["dynamodb"]["Keys"][partition_key])) % lanes
