"""The common case of one entity, column by column: all rows of the window, mostly one page, times as ingestion writes them.

The same bits as rows one by one give (windows.py); what differs is the work. Most of a prediction's time went into fifty calls
for fifty rows, where five passes in C do, and into parsing what no feature looks at: a page that comes as its JSON is read for
the columns alone (50 rows: 12 µs, where dicts of everything cost 24).

P1. Times in the fixed-width form sort by text as by instant, so the page is in order of time.
P2. Whatever is not of this form (another way to write a time, a missing time, ties, an end of the history that the page does
    not hold, a value that is neither text nor number where one is compared or counted) is None here, and is read row by row.
P3. A row is a struct whose fields are the attributes. Where one has a name that no field can have (a quote, a backslash, a
    control character), rows are dicts of their values.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import compress
from operator import attrgetter, methodcaller
from typing import Any, TypeAlias

import msgspec

from penstock.features.definition import Measure, Source, Values
from penstock.features.windows import Part, Row

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_WIDTH = 27
_MARKS = ((7, "-"), (10, "T"), (19, "."), (26, "Z"))  # What tells the form from others that Python reads.

Answer: TypeAlias = bytes | Mapping[str, Any]  # Of a Query: its JSON, or that parsed.


class _Value(msgspec.Struct, gc=False):
    """An attribute value; both None for the kinds that are not read here."""

    S: str | None = None
    N: str | None = None


# What takes a column's value out of a row. A row without it has None, whose text nobody can take: an AttributeError.
Column: TypeAlias = Callable[[Any], Any]

_NO_FIELD = re.compile(
    r'["\\\x00-\x1f]'
)  # msgspec finds a field by its bytes in JSON, where these are escaped.


class _Capacity(msgspec.Struct, gc=False):
    CapacityUnits: float = 0.0


class _Unfit(Exception):
    """P2."""


def is_field(name: str) -> bool:
    """Whether a struct can have a field for the attribute of this name."""
    return _NO_FIELD.search(name) is None


# `Any` where one type per source is made as the program runs: no name for it can be written down.
def _row_type(names: Sequence[str]) -> tuple[Any, dict[str, Column]]:
    """What a row with these attributes is read as, and how each is taken out of it."""
    if not all(map(is_field, names)):
        return dict[str, _Value], {name: methodcaller("get", name) for name in names}
    fields = {f"a{place}": name for place, name in enumerate(names)}
    row = msgspec.defstruct(
        "Row", [(field, _Value | None, None) for field in fields], rename=fields, gc=False
    )
    return row, {name: attrgetter(field) for field, name in fields.items()}


class PageMeasures:
    """The measures of one source, over one page."""

    def __init__(self, source: Source) -> None:
        self._measures = source.measures
        self.is_fitting = (
            source.table.key_types.get(source.time, "S") == "S"
            and not source.needs_ties
            and not any(measure.end == "first" for measure in source.measures)
        )
        row, self._columns = _row_type(list(dict.fromkeys((source.time, *source.attributes))))
        rows: Any = list[row]  # type: ignore[valid-type]
        self._page: Any = msgspec.defstruct(
            "Page",
            [
                ("Items", rows),
                ("LastEvaluatedKey", Any, None),
                ("ConsumedCapacity", _Capacity | None, None),
            ],
        )
        self._decode = msgspec.json.Decoder(self._page).decode
        self._time = self._columns[source.time]

    def read(self, answer: Answer) -> Any:
        """A page as `Items`, of which `measure` reads the columns, `LastEvaluatedKey` and `ConsumedCapacity`."""
        if isinstance(answer, bytes):
            return self._decode(answer)
        return msgspec.convert(dict(answer), self._page)

    def measure(self, rows: Sequence[Any], at_us: int, into: Values) -> int | None:
        """Every measure into `into`, and how many events there were; None where rows are not of the form (P2)."""
        moments = self._moments(rows)
        if moments is None:
            return None
        try:
            at = _EPOCH + timedelta(microseconds=at_us)
            page = _Page(rows, self._columns, moments, bisect_right(moments, at))
            parts = [page.fold(measure, at) for measure in self._measures]
        except (OverflowError, _Unfit):  # A window that begins before year 1, or P2.
            return None
        for part, measure in zip(parts, self._measures, strict=True):
            if part is None and measure.end:
                return None
            into[measure.name] = measure.finish(part, at_us)
        return page.until

    def _moments(self, rows: Sequence[Any]) -> list[datetime] | None:
        try:
            texts: Any = [value.S for value in map(self._time, rows)]
            moments = list(map(datetime.fromisoformat, texts))
        except (AttributeError, TypeError, ValueError):
            return None
        # Each text is a time to the last character, so a Z at every 27th place of all of them says that each has 27.
        joined, count = "".join(texts), len(texts)
        if len(joined) != _WIDTH * count or any(joined[at::_WIDTH] != mark * count for at, mark in _MARKS):
            return None
        return moments


class _Page:
    """What measures share: where windows begin, numbers of an attribute, rows that match."""

    def __init__(
        self, rows: Sequence[Any], columns: Mapping[str, Column], moments: list[datetime], until: int
    ) -> None:
        self._rows, self._columns, self._moments, self.until = rows, columns, moments, until
        self._begins: dict[int | None, int] = {None: 0}
        self._numbers: dict[str, tuple[list[Decimal | None], bool]] = {}

    def fold(self, measure: Measure, at: datetime) -> Part:
        window, until = measure.window_us, self.until
        begin = self._begins.get(window)
        if begin is None:
            assert window is not None
            begin = bisect_right(self._moments, at - timedelta(microseconds=window))
            self._begins[window] = begin
        kind = measure.kind
        chosen = None if measure.matches is None else self._matching(measure, begin)
        if kind.of_numbers is not None:
            numbers = self._of(measure.attribute, begin, chosen)
            if measure.kind_name == "share" and chosen is not None:
                return kind.of_numbers(numbers), kind.of_numbers(self._of(measure.attribute, begin, None))
            return kind.of_numbers(numbers)
        if measure.kind_name == "count":
            return until - begin if chosen is None else sum(chosen)
        if chosen is None and measure.kind_name in ("since_last", "since_first"):
            return self._instant(until - 1 if measure.kind_name == "since_last" else begin, begin)
        rows = self._items(begin, measure.attribute)
        return kind.fold(rows if chosen is None else list(compress(rows, chosen)), measure.attribute)

    def _matching(self, measure: Measure, begin: int) -> list[bool]:
        """Which rows fulfil `where`; text in one attribute, which most ask for, is asked about once for each value."""
        matches, names = measure.matches, measure.where_attributes
        assert matches is not None
        rows = self._rows[begin : self.until]
        if len(names) == 1:
            [name] = names
            try:
                texts = [value.S for value in map(self._columns[name], rows)]
            except AttributeError:  # A row without it.
                texts = [None]
            if None not in texts:
                says = {text: matches({name: {"S": text}}) for text in set(texts)}
                return list(map(says.__getitem__, texts))
        getters = [(name, self._columns[name]) for name in names]
        return [
            matches({name: _typed(value) for name, get in getters if (value := get(row)) is not None})
            for row in rows
        ]

    def _of(self, attribute: str, begin: int, chosen: list[bool] | None) -> list[Decimal]:
        column = self._numbers.get(attribute)
        if column is None:
            column = self._numbers[attribute] = self._column(attribute)
        numbers, is_full = column
        part: Any = numbers[begin : self.until]
        if chosen is not None:
            part = list(compress(part, chosen))
        return part if is_full else [number for number in part if number is not None]

    def _column(self, attribute: str) -> tuple[list[Decimal | None], bool]:
        """The numbers of an attribute, and whether every row has one."""
        get = self._columns[attribute]
        try:
            return [Decimal(value.N) for value in map(get, self._rows)], True
        except (AttributeError, TypeError):
            held = map(get, self._rows)
            return [None if v is None or v.N is None else Decimal(v.N) for v in held], False

    def _instant(self, place: int, begin: int) -> int | None:
        return (self._moments[place] - _EPOCH) // _MICROSECOND if begin < self.until else None

    def _items(self, begin: int, attribute: str) -> list[Row]:
        """Rows as windows.py takes them, with the one attribute that is looked at."""
        moments, rows = self._moments, self._rows
        get = self._columns[attribute] if attribute else _nothing
        return [
            (
                (moments[place] - _EPOCH) // _MICROSECOND,
                (),
                {} if (value := get(rows[place])) is None else {attribute: _typed(value)},
            )
            for place in range(begin, self.until)
        ]


def _typed(value: _Value) -> dict[str, str]:
    if value.S is not None:
        return {"S": value.S}
    if value.N is not None:
        return {"N": value.N}
    raise _Unfit


def _nothing(row: Any) -> None:
    """A measure without an attribute looks at instants alone."""
