"""A pack: the tiles of neighbouring days of one entity in one item, so that a window is a slice and a sum.

    form   S  JSON: {"bytes": 4, "ends": "ms", "of": {measure: [exponent, …]}}: how `rows` is read
    rows   B  little-endian whole numbers of 4 or 8 bytes, a row a day: day, events, when in the day the first and the last of them
              lie, and the numbers of each measure in turn
    parts  S  JSON: {measure: [part, …]}, a part a day, of measures that are not in `form`; absent where there are none

K1. A measure of sums (count, total, mean, std, share) has a number for each component of its parts, which is number ×
    10^exponent, exact. The exponent is null where the component is a count.
K2. Everything else, and sums that do not fit 63 bits, lies in `parts` and is merged one by one.
K3. A pack spans PACK_DAYS days: ninety days are one item or two. An item has at most 400 KB, so parts that hold a value of the
    event (last, first) are packed sixteen days an item, and those that hold all of them (distinct, top) one.
K4. Packs of one `form` lie one below the other as one matrix: pack_sums.py reads those of many entities so, at once.
K5. The first packs were one JSON text: `columns`, {"days": […], "events": […], "of": {measure: [[exponent, numbers], …] or
    {"parts": […]}}}. They are read as they are, and written in the form above when a day of theirs is folded anew.
K6. The ends of a day's events are milliseconds, the first rounded down and the last up: what lies between them holds all events
    of the day. Packs from before they were kept have no `ends` in their form, and their days' events may lie anywhere.
"""

from __future__ import annotations

import struct
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from operator import attrgetter
from typing import Any, NamedTuple, TypeAlias

import msgspec
import numpy
import orjson

from penstock.errors import Corruption, UsageError
from penstock.features.definition import Measure, Source
from penstock.features.instants import DAY_US
from penstock.features.windows import EXACT, Part, Row

PACK_DAYS = 256
_ADDED = frozenset({"count", "sum", "mean", "std", "share"})
_REMEMBERING, _REMEMBERED_DAYS = frozenset({"last", "first"}), 16
_COUNTING, _COUNTED_DAYS = frozenset({"distinct", "top"}), 1
_WHOLE_MAX, _NARROW_MAX = 2**63, 2**31
TYPES = {4: "<i4", 8: "<i8"}
MS_US = 1000
_DAY_MS = DAY_US // MS_US


class Day(NamedTuple):
    """The tile of one day: how many events, between which milliseconds of the day (K6), and each measure's part."""

    events: int
    first_ms: int
    last_ms: int
    parts: dict[str, Part]


Folded: TypeAlias = dict[int, Day]


class Form(NamedTuple):
    """How rows are read: the bytes of a number, whether a row has its day's ends (K6), the exponents of each measure (K1)."""

    width: int
    has_ends: bool
    exponents: dict[str, list[int | None]]

    @property
    def numbers(self) -> int:
        """Of a row."""
        return (4 if self.has_ends else 2) + sum(map(len, self.exponents.values()))


def pack_days(source: Source) -> int:
    kinds = {measure.kind_name for measure in source.measures}
    return _COUNTED_DAYS if kinds & _COUNTING else _REMEMBERED_DAYS if kinds & _REMEMBERING else PACK_DAYS


class Text(msgspec.Struct, gc=False):
    S: str


class Bytes(msgspec.Struct, gc=False):
    B: bytes


class Packed(msgspec.Struct, gc=False, kw_only=True):
    """An item as it is kept, but for its key."""

    form: Text | None = None
    rows: Bytes | None = None
    parts: Text | None = None
    columns: Text | None = None


@dataclass(slots=True)
class Pack:
    """One pack, column by column: of each measure [[exponent, numbers], …], or {"parts": […]}."""

    days: list[int]
    events: list[int]
    first_ms: list[int]
    last_ms: list[int]
    columns: dict[str, Any]

    def places(self, days: range) -> tuple[int, int]:
        """Where these days lie in the columns: begin <= place < end."""
        held = self.days
        return bisect_left(held, days.start), bisect_left(held, days.stop)

    def fold(self, measure: Measure, begin: int, end: int) -> Part:
        """The part of at least one day."""
        column = self._column(measure)
        if isinstance(column, list):
            sums = [
                sum(numbers[begin:end])
                if exponent is None
                else EXACT.scaleb(Decimal(sum(numbers[begin:end])), exponent)
                for exponent, numbers in column
            ]
            return sums[0] if len(sums) == 1 else tuple(sums)
        parts = [restore(part) for part in column["parts"][begin:end]]
        merged = parts[0]
        for part in parts[1:]:
            merged = measure.kind.merge(merged, part)
        return merged

    def by_day(self, measures: Sequence[Measure]) -> Folded:
        return {
            day: Day(
                self.events[at],
                self.first_ms[at],
                self.last_ms[at],
                {each.name: self.fold(each, at, at + 1) for each in measures if each.name in self.columns},
            )
            for at, day in enumerate(self.days)
        }

    def _column(self, measure: Measure) -> Any:
        try:
            return self.columns[measure.name]
        except KeyError:
            raise undeclared(measure) from None


def undeclared(measure: Measure) -> UsageError:
    return UsageError(
        f"the day tiles were made before {measure.name!r} was declared; give `tiles` another name"
    )


def pack_of(item: Mapping[str, Any]) -> Pack:
    return unpacked(msgspec.convert(dict(item), Packed))


def fold_day(measures: Sequence[Measure], day: int, rows: Sequence[Row]) -> Day:
    """The tile of a day with events."""
    instants = [row[0] - day * DAY_US for row in rows]
    return Day(
        len(rows),
        min(instants) // MS_US,
        -(-max(instants) // MS_US),
        {measure.name: measure.fold(rows) for measure in measures},
    )


def unpacked(held: Packed) -> Pack:
    if held.columns is not None:
        first = orjson.loads(held.columns.S)
        return Pack(first["days"], first["events"], *_anywhere(first["days"]), first["of"])
    text, rows = form_and_rows(held)
    form = form_of(text)
    count = len(rows) // form.width
    table = struct.unpack(f"<{count}{'i' if form.width == 4 else 'q'}", rows)
    left = (list(table[place :: form.numbers]) for place in range(form.numbers))
    days, events = next(left), next(left)
    first_ms, last_ms = (next(left), next(left)) if form.has_ends else _anywhere(days)
    columns: dict[str, Any] = {
        name: [[exponent, next(left)] for exponent in each] for name, each in form.exponents.items()
    }
    if held.parts is not None:
        columns |= {name: {"parts": each} for name, each in orjson.loads(held.parts.S).items()}
    return Pack(days, events, first_ms, last_ms, columns)


def _anywhere(days: Sequence[int]) -> tuple[list[int], list[int]]:
    return [0] * len(days), [_DAY_MS] * len(days)


def with_ends(held: Packed) -> Packed:
    """The same pack in the form of today."""
    if held.columns is None and held.form is not None and form_of(held.form.S).has_ends:
        return held
    return as_kept(unpacked(held))


def form_and_rows(held: Packed) -> tuple[str, bytes]:
    if held.form is None or held.rows is None:
        raise Corruption("an item of day tiles has neither rows nor columns")
    return held.form.S, held.rows.B


@lru_cache(maxsize=256)
def form_of(text: str) -> Form:
    held = orjson.loads(text)
    return Form(held["bytes"], "ends" in held, held["of"])


def packed(measures: Sequence[Measure], folded: Folded) -> dict[str, Any]:
    """The attributes of an item that holds these days. A day without a measure is older than its declaration: see `_column`."""
    days = sorted(folded)
    columns = {
        measure.name: _column_of(measure, [folded[day].parts[measure.name] for day in days])
        for measure in measures
        if days and all(measure.name in folded[day].parts for day in days)
    }
    tiles = [folded[day] for day in days]
    events, first_ms, last_ms = (list(map(attrgetter(name), tiles)) for name in Day._fields[:3])
    held = as_kept(Pack(days, events, first_ms, last_ms, columns))
    attributes: dict[str, Any] = msgspec.to_builtins(held, builtin_types=(bytes,))
    return {name: value for name, value in attributes.items() if value is not None}


def as_kept(pack: Pack) -> Packed:
    summed = {name: column for name, column in pack.columns.items() if isinstance(column, list)}
    parts = {name: column["parts"] for name, column in pack.columns.items() if name not in summed}
    numbers = [pack.days, pack.events, pack.first_ms, pack.last_ms]
    numbers += (each for column in summed.values() for _, each in column)
    width = 4 if all(-_NARROW_MAX <= number < _NARROW_MAX for each in numbers for number in each) else 8
    of = {name: [exponent for exponent, _ in column] for name, column in summed.items()}
    return Packed(
        form=Text(orjson.dumps({"bytes": width, "ends": "ms", "of": of}).decode()),
        rows=Bytes(numpy.array(numbers, dtype=TYPES[width]).T.tobytes()),
        parts=Text(orjson.dumps(parts).decode()) if parts else None,
    )


def _column_of(measure: Measure, parts: Sequence[Part]) -> Any:
    if measure.kind_name in _ADDED:
        components = list(zip(*parts, strict=True)) if isinstance(parts[0], tuple) else [tuple(parts)]
        columns = [_whole(component) for component in components]
        if None not in columns:
            return columns
    return {"parts": [dump(part) for part in parts]}


def _whole(numbers: Sequence[Any]) -> list[Any] | None:
    """[exponent, whole numbers], or None where they do not fit."""
    if isinstance(numbers[0], int):
        return [None, list(numbers)]
    exponent = min(int(number.as_tuple().exponent) for number in numbers)
    if any(number.adjusted() - exponent > 20 for number in numbers):
        return None
    whole = [int(EXACT.scaleb(number, -exponent)) for number in numbers]
    return [exponent, whole] if max(map(abs, whole)) < _WHOLE_MAX else None


def dump(part: Part) -> Any:
    """A part as JSON: decimals as {"d": text}, tuples as lists, counts of values as pairs."""
    if isinstance(part, Decimal):
        return {"d": str(part)}
    if isinstance(part, bytes):
        return {"b": part.hex()}
    if isinstance(part, tuple):
        return [dump(each) for each in part]
    if isinstance(part, dict):
        return {"v": [[tag, text, count] for (tag, text), count in sorted(part.items())]}
    return part


def restore(held: Any) -> Part:
    if isinstance(held, dict):
        if "d" in held:
            return Decimal(held["d"])
        if "b" in held:
            return bytes.fromhex(held["b"])
        return {(tag, text): count for tag, text, count in held["v"]}
    return tuple(restore(each) for each in held) if isinstance(held, list) else held
