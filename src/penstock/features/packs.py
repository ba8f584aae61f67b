"""A pack: the tiles of neighbouring days of one entity in one item, column by column, so that a window is a slice and a sum.

    columns  S  JSON: {"days": […], "events": […], "of": {measure: column}}

K1. A column of sums (count, total, mean, std, share) is, for each component of its parts, [exponent, whole numbers]: exact, and
    added by Python's `sum` in C. The exponent is null where the component is a count.
K2. Everything else, and sums that do not fit 63 bits, is {"parts": […]}, a part a day, merged one by one.
K3. A pack spans PACK_DAYS days: ninety days are one item or two. An item has at most 400 KB, so parts that hold a value of the
    event (last, first) are packed sixteen days an item, and those that hold all of them (distinct, top) one.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, TypeAlias

import orjson

from penstock.errors import UsageError
from penstock.features.definition import Measure, Source
from penstock.features.windows import EXACT, Part

PACK_DAYS = 256
_ADDED = frozenset({"count", "sum", "mean", "std", "share"})
_REMEMBERING, _REMEMBERED_DAYS = frozenset({"last", "first"}), 16
_COUNTING, _COUNTED_DAYS = frozenset({"distinct", "top"}), 1
_WHOLE_MAX = 2**63  # What JSON's reader keeps whole.

Folded: TypeAlias = dict[int, tuple[int, dict[str, Part]]]  # day → (events, measure → part)


def pack_days(source: Source) -> int:
    kinds = {measure.kind_name for measure in source.measures}
    return _COUNTED_DAYS if kinds & _COUNTING else _REMEMBERED_DAYS if kinds & _REMEMBERING else PACK_DAYS


@dataclass(slots=True)
class Pack:
    """As it was read: columns stay as they are until a window asks."""

    days: list[int]
    events: list[int]
    columns: dict[str, Any]

    def places(self, days: range) -> tuple[int, int]:
        """Where these days lie in the columns: begin <= place < end."""
        held = self.days
        return bisect_left(held, days.start), bisect_left(held, days.stop)

    def has_any(self, first: int, last: int) -> bool:
        begin, end = self.places(range(first, last + 1))
        return begin < end

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
            day: (
                self.events[at],
                {each.name: self.fold(each, at, at + 1) for each in measures if each.name in self.columns},
            )
            for at, day in enumerate(self.days)
        }

    def _column(self, measure: Measure) -> Any:
        try:
            return self.columns[measure.name]
        except KeyError:
            raise UsageError(
                f"the day tiles were made before {measure.name!r} was declared; give `tiles` another name"
            ) from None


def pack_of(item: Mapping[str, Any]) -> Pack:
    held = orjson.loads(item["columns"]["S"])
    return Pack(held["days"], held["events"], held["of"])


def packed(measures: Sequence[Measure], folded: Folded) -> dict[str, Any]:
    """The attribute of an item that holds these days. A day without a measure is older than its declaration: see `_column`."""
    days = sorted(folded)
    columns = {
        measure.name: _column_of(measure, [folded[day][1][measure.name] for day in days])
        for measure in measures
        if all(measure.name in folded[day][1] for day in days)
    }
    held = {"days": days, "events": [folded[day][0] for day in days], "of": columns}
    return {"columns": {"S": orjson.dumps(held).decode()}}


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
