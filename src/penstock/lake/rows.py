"""Changes as they come from a stream or a scan, and as rows of raw.

R1. Masks, drops and the transform are applied to both images before anything is written. The key attributes stay: they
    name the item. A masked string becomes the first 16 hex digits of its SHA-256, so that equal values stay equal and
    can still be counted and joined; other masked values become NULL.
R2. A transform that raises, or returns what is no item, makes the change `refused`: its images are withheld, because
    nobody can say what of them may be written, and the reason stands in their place.
R3. The key is canonical JSON: partition key first, no spaces. Equal keys are equal text.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
import orjson

from penstock.app.plain import from_item, to_item
from penstock.engine.changes import SEQUENCE_PER_US
from penstock.errors import PenstockError
from penstock.model.values import Item

INSERT, MODIFY, REMOVE, SNAPSHOT = "INSERT", "MODIFY", "REMOVE", "SNAPSHOT"
_SEQUENCE_DIGITS = 21
_WIDE_DIGITS = 40  # AWS's numbers have up to 40 digits.
# Penstock's numbers are times; those of AWS are not. 2001 to 2286, in microseconds.
_TIME_LIKE_US = range(10**15, 10**16)


class Change(msgspec.Struct):
    """One change of one item. Images are DynamoDB JSON with binary as base64 text."""

    sequence: str
    shard: str
    operation: str
    event_us: int  # As the stream tells it: whole seconds on AWS.
    commit_us: int
    key: str
    new: Item | None
    old: Item | None
    expired: bool = False
    refused: str | None = None


def sortable(sequence: str) -> str:
    """Sequence numbers of one table have one width, so that text order is their order."""
    return sequence if len(sequence) == _SEQUENCE_DIGITS else sequence.zfill(_WIDE_DIGITS)


def commit_us(sequence: str, event_us: int) -> int:
    """When the change was committed: Penstock's numbers tell microseconds."""
    if len(sequence) == _SEQUENCE_DIGITS:
        told = int(sequence) // SEQUENCE_PER_US
        if told in _TIME_LIKE_US:
            return told
    return event_us


def sequence_at(us: int, steps: int = 0) -> str:
    """The least number that a change of this microsecond can have, or one so many steps from it."""
    return f"{us * SEQUENCE_PER_US + steps:021d}"


def time_of(sequence: str) -> int:
    """The microsecond of a number that `sequence_at` made."""
    return int(sequence) // SEQUENCE_PER_US


def key_text(keys: tuple[str, ...], item: Mapping[str, Any]) -> str:
    if tuple(item) == keys:
        return orjson.dumps(item).decode()
    return orjson.dumps({name: item[name] for name in keys}).decode()


def from_record(record: Mapping[str, Any], shard: str, keys: tuple[str, ...]) -> Change:
    told = record["dynamodb"]
    event_us = int(float(told["ApproximateCreationDateTime"]) * 1_000_000)
    number = told["SequenceNumber"]
    return Change(
        sortable(number),
        shard,
        record["eventName"],
        event_us,
        commit_us(number, event_us),
        key_text(keys, told["Keys"]),
        told.get("NewImage"),
        told.get("OldImage"),
        expired="userIdentity" in record,
    )


class Shaping(msgspec.Struct, frozen=True):
    """What an application wants changed before anything is written (R1)."""

    keys: tuple[str, ...]
    mask: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()
    transform: Callable[[dict[str, Any]], dict[str, Any]] | None = None

    @property
    def changes_nothing(self) -> bool:
        return not (self.mask or self.drop or self.transform)

    def apply(self, change: Change) -> Change:
        if self.changes_nothing:
            return change
        try:
            new = self._image(change.new)
            old = self._image(change.old)
        except _Unusable as error:
            return msgspec.structs.replace(change, new=None, old=None, refused=str(error))
        return msgspec.structs.replace(change, new=new, old=old)

    def _image(self, item: Item | None) -> Item | None:
        if item is None:
            return None
        shaped: Item = {
            name: _masked(value) if name in self.mask and name not in self.keys else value
            for name, value in item.items()
            if name not in self.drop or name in self.keys
        }
        return shaped if self.transform is None else self._transformed(shaped)

    def _transformed(self, item: Item) -> Item:
        assert self.transform is not None
        try:
            made = self.transform(from_item(item))
            result = to_item(made)
        except Exception as error:
            # A user's function may raise anything; the change is quarantined with what it raised.
            raise _Unusable(f"transform raised {type(error).__name__}: {error}") from error
        for name in self.keys:
            if result.setdefault(name, item[name]) != item[name]:
                raise _Unusable(f"transform changed the key attribute {name!r}")
        return result


class _Unusable(PenstockError):
    """The transform gave nothing that may be written."""


def _masked(value: Any) -> Any:
    text = value.get("S")
    if text is None:
        return {"NULL": True}
    return {"S": hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]}


def image_text(item: Item | None) -> str | None:
    return None if item is None else orjson.dumps(item).decode()
