"""The common case of one entity, column by column: all rows of the window in one page, times as ingestion writes them.

The same bits as rows one by one give (windows.py); what differs is the work. Most of a prediction's time went into fifty calls
for fifty rows, where five passes in C do.

P1. Times in the fixed-width form sort by text as by instant, so the page is in order of time.
P2. Whatever is not of this form (another way to write a time, a missing time, ties, an end of the history that the page does
    not hold) is None here, and is read row by row.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import compress
from typing import Any

from penstock.features.definition import Measure, Source, Values
from penstock.features.windows import Part, Row

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_WIDTH = 27
_MARKS = ((7, "-"), (10, "T"), (19, "."), (26, "Z"))  # What tells the form from others that Python reads.

Items = Sequence[dict[str, Any]]


class PageMeasures:
    """The measures of one source, over one page."""

    def __init__(self, source: Source) -> None:
        self._source, self._measures = source, source.measures
        self.is_fitting = (
            source.table.key_types.get(source.time, "S") == "S"
            and not source.needs_ties
            and not any(measure.end == "first" for measure in source.measures)
        )

    def measure(self, items: Items, at_us: int, into: Values) -> int | None:
        """Every measure into `into`, and how many events there were; None where the page is not of the form (P2)."""
        moments = _moments(items, self._source.time)
        if moments is None:
            return None
        try:
            at = _EPOCH + timedelta(microseconds=at_us)
            page = _Page(items, moments, bisect_right(moments, at))
            parts = [page.fold(measure, at) for measure in self._measures]
        except OverflowError:  # A window that begins before year 1.
            return None
        if any(part is None and measure.end for part, measure in zip(parts, self._measures, strict=True)):
            return None
        for measure, part in zip(self._measures, parts, strict=True):
            into[measure.name] = measure.finish(part, at_us)
        return page.until


def _moments(items: Items, time: str) -> list[datetime] | None:
    try:
        texts = [item[time]["S"] for item in items]
        moments = list(map(datetime.fromisoformat, texts))
    except (KeyError, ValueError):
        return None
    # Each text is a time to the last character, so a Z at every 27th place of all of them says that each has 27.
    joined, count = "".join(texts), len(texts)
    if len(joined) != _WIDTH * count or any(joined[at::_WIDTH] != mark * count for at, mark in _MARKS):
        return None
    return moments


class _Page:
    """What measures share: where windows begin, numbers of an attribute, rows that match."""

    def __init__(self, items: Items, moments: list[datetime], until: int) -> None:
        self._items, self._moments, self.until = items, moments, until
        self._begins: dict[int | None, int] = {None: 0}
        self._numbers: dict[str, tuple[list[Decimal | None], bool]] = {}

    def fold(self, measure: Measure, at: datetime) -> Part:
        window, until = measure.window_us, self.until
        begin = self._begins.get(window)
        if begin is None:
            assert window is not None
            begin = bisect_right(self._moments, at - timedelta(microseconds=window))
            self._begins[window] = begin
        matches, kind = measure.matches, measure.kind
        chosen = None if matches is None else [matches(item) for item in self._items[begin:until]]
        if kind.of_numbers is not None:
            numbers = self._of(measure.attribute, begin, until, chosen)
            if measure.kind_name == "share" and chosen is not None:
                return kind.of_numbers(numbers), kind.of_numbers(
                    self._of(measure.attribute, begin, until, None)
                )
            return kind.of_numbers(numbers)
        if measure.kind_name == "count":
            return until - begin if chosen is None else sum(chosen)
        if chosen is None and measure.kind_name in ("since_last", "since_first"):
            return self._instant(until - 1 if measure.kind_name == "since_last" else begin, begin)
        rows = self._rows(begin, until)
        return kind.fold(rows if chosen is None else list(compress(rows, chosen)), measure.attribute)

    def _of(self, attribute: str, begin: int, until: int, chosen: list[bool] | None) -> list[Decimal]:
        column = self._numbers.get(attribute)
        if column is None:
            column = self._numbers[attribute] = _column(self._items, attribute)
        numbers, is_full = column
        part: Any = numbers[begin:until] if chosen is None else compress(numbers[begin:until], chosen)
        return list(part) if is_full else [number for number in part if number is not None]

    def _instant(self, place: int, begin: int) -> int | None:
        return (self._moments[place] - _EPOCH) // _MICROSECOND if begin < self.until else None

    def _rows(self, begin: int, until: int) -> list[Row]:
        moments, items = self._moments, self._items
        return [((moments[i] - _EPOCH) // _MICROSECOND, (), items[i]) for i in range(begin, until)]


def _column(items: Items, attribute: str) -> tuple[list[Decimal | None], bool]:
    """The numbers of an attribute, and whether every item has one."""
    try:
        return [Decimal(item[attribute]["N"]) for item in items], True
    except KeyError:
        return [_number(item.get(attribute)) for item in items], False


def _number(value: Mapping[str, str] | None) -> Decimal | None:
    return Decimal(value["N"]) if value is not None and "N" in value else None
