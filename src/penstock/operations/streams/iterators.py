"""Shard iterators: a place in a shard as an opaque text that needs no memory on our side.

    text      stream ARN | "|1|" | base64 of payload           AWS's own shape
    payload   stream (4) | shard (4) | next sequence (12) | made at, ms (8) | check (4)

N1. The next sequence number is exact: the first number that has not been looked at. So an iterator over an empty
    shard moves with what was durable when it was made, and misses nothing that comes after.
N2. The check is a CRC-32 of the rest and of the ARN. It finds an iterator that was cut or edited; it is no signature,
    since an iterator opens nothing that GetShardIterator would not.
N3. An iterator is good for 15 minutes from when it was made.
"""

from __future__ import annotations

import struct
from base64 import b64encode
from binascii import Error, a2b_base64, crc32
from datetime import UTC, datetime

import msgspec

from penstock import errors
from penstock.engine.changes import SEQUENCE_BYTES, trim_key
from penstock.engine.plans import View
from penstock.limits import ITERATOR_S

_PAYLOAD = struct.Struct(f">II{SEQUENCE_BYTES}sQ")
_CHECK = struct.Struct(">I")
_BETWEEN = "|1|"


class Place(msgspec.Struct):
    """What an iterator says."""

    arn: str
    stream: int
    shard: int
    next: int
    made_ms: int


def write(place: Place) -> str:
    number = place.next.to_bytes(SEQUENCE_BYTES, "big")
    payload = _PAYLOAD.pack(place.stream, place.shard, number, place.made_ms)
    return place.arn + _BETWEEN + b64encode(payload + _check(place.arn, payload)).decode()


def read(text: str, now_us: int) -> Place:
    """The place, or AWS's error where the text is not an iterator or is too old."""
    arn, between, encoded = text.rpartition(_BETWEEN)
    try:
        data = a2b_base64(encoded.encode(), strict_mode=True)
    except (Error, UnicodeEncodeError):
        raise _invalid() from None
    payload, check = data[: _PAYLOAD.size], data[_PAYLOAD.size :]
    if not between or len(payload) != _PAYLOAD.size or check != _check(arn, payload):
        raise _invalid()
    stream, shard, number, made_ms = _PAYLOAD.unpack(payload)
    if now_us // 1000 - made_ms > ITERATOR_S * 1000:
        raise errors.expired_iterator(
            f"Iterator expired. The iterator was created at time {_time_text(made_ms)} while right now it is "
            f"{_time_text(now_us // 1000)} which is further in the future than the tolerated delay of "
            f"{ITERATOR_S * 1000} milliseconds."
        )
    return Place(arn, stream, shard, int.from_bytes(number, "big"), made_ms)


def trimmed_through(view: View, stream: int, shard: int) -> int:
    """The last number that retention took from a shard; 0 where it took none."""
    return int.from_bytes(view.get_meta(trim_key(stream, shard)) or b"", "big")


def trimmed() -> errors.ServiceError:
    return errors.trimmed_data("The operation attempted to read past the oldest stream record in a shard.")


def _invalid() -> errors.ServiceError:
    return errors.validation("Invalid ShardIterator")


def _check(arn: str, payload: bytes) -> bytes:
    return _CHECK.pack(crc32(payload, crc32(arn.encode("utf-8", "surrogatepass"))))


def _time_text(ms: int) -> str:
    """Java's Date.toString, as in `Sun Oct 10 05:17:11 UTC 2021`; `ctime` has English names in every locale."""
    moment = datetime.fromtimestamp(ms // 1000, UTC)
    text = moment.ctime()
    return f"{text[:8]}{moment.day:02d}{text[10:19]} UTC {moment.year}"
