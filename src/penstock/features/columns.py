"""The same features for a million questions at once: versions as columns, questions joined to them in pieces.

K1. Every attribute is a column of codes into its different values, so that each value is read, compared and scaled once.
K2. Sums are of whole numbers: a column of numbers is scaled by the power of ten that makes all of them whole. Where a sum could
    pass 63 bits Python's integers take over. So the answers have the bits of windows.py, which stays the definition.
K3. A question's rows are a range of the versions in order of (entity, instant, tie); the range is laid out pair by pair, a few
    million pairs at a time, and those that were not known then are taken out.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, TypeAlias

import numpy
import numpy.typing
import orjson

from penstock.features.definition import Measure, Plan, Source, Values, assemble, tie
from penstock.features.history import NEVER, Version
from penstock.features.instants import DAY_US, instant_of
from penstock.features.windows import EXACT, Value, scalar, token

Ints: TypeAlias = numpy.typing.NDArray[numpy.int64]
Bools: TypeAlias = numpy.typing.NDArray[numpy.bool_]
Array: TypeAlias = numpy.typing.NDArray[Any]

PAIRS = 2_000_000
WHOLE_FLOAT = 1 << 53  # Whole numbers up to here are floats.
SIXTY_THREE = 1 << 62
FAR = (1 << 62) - 1
PLACE = 10**18  # A position is kept as two numbers.


@dataclass(frozen=True, slots=True)
class Attribute:
    """One column: `codes[i]` is −1 where version i has no such attribute."""

    codes: Ints
    values: list[dict[str, Any]]

    def each(self, function: Callable[[dict[str, Any]], Any]) -> list[Any]:
        return [function(value) for value in self.values]


@dataclass(frozen=True, slots=True)
class Question:
    """One row of a spine: entity as a token, the instant, and as of when it is known."""

    entity: tuple[str, str] | None
    at_us: int
    position: int | None
    known_us: int


@dataclass(slots=True)
class History:
    """Versions of one source, in order of (entity, instant, tie)."""

    entities: dict[tuple[str, str], int]
    entity: Ints
    instant: Ints
    from_us: Ints
    until_us: Ints
    from_place: tuple[Ints, Ints]
    until_place: tuple[Ints, Ints]
    attributes: dict[str, Attribute]


def column(values: Sequence[dict[str, Any] | None]) -> Attribute:
    """K1, from attribute values."""
    found: dict[bytes, int] = {}
    held: list[dict[str, Any]] = []
    codes = numpy.full(len(values), -1, dtype=numpy.int64)
    for place, value in enumerate(values):
        if value is None:
            continue
        key = orjson.dumps(value, default=bytes.hex)
        code = found.get(key)
        if code is None:
            code = found[key] = len(held)
            held.append(value)
        codes[place] = code
    return Attribute(codes, held)


def history_of(source: Source, versions: Sequence[Version], backfilled_us: int | None) -> History:
    """From versions as history.py makes them."""
    kept: list[tuple[tuple[str, str], int, tuple[Any, ...], Version]] = []
    for version in versions:
        named, timed = version.item.get(source.entity), version.item.get(source.time)
        entity = None if named is None else token(named)
        instant = None if timed is None else instant_of(timed, source.unit)
        if entity is not None and instant is not None:
            ties = tuple(tie(version.item[name]) for name in source.keys) if source.needs_ties else ()
            kept.append((entity, instant, ties, version))
    kept.sort(key=lambda row: (row[0], row[1], row[2]))
    entities: dict[tuple[str, str], int] = {}
    codes = [entities.setdefault(row[0], len(entities)) for row in kept]
    held = [row[3] for row in kept]
    from_us = [
        min(v.commit_us, row[1])
        if backfilled_us is not None and v.is_first and v.commit_us <= backfilled_us
        else v.commit_us
        for v, row in zip(held, kept, strict=True)
    ]
    return History(
        entities,
        numpy.array(codes, dtype=numpy.int64),
        numpy.array([row[1] for row in kept], dtype=numpy.int64),
        _clipped(from_us),
        _clipped([v.until_us for v in held]),
        _places([v.position for v in held]),
        _places([v.until_position for v in held]),
        {name: column([v.item.get(name) for v in held]) for name in source.attributes},
    )


def _clipped(values: Sequence[int]) -> Ints:
    return numpy.array([max(-FAR, min(FAR, value)) for value in values], dtype=numpy.int64)


def _places(positions: Sequence[int]) -> tuple[Ints, Ints]:
    bounded = [min(position, FAR * PLACE) if position != NEVER else FAR * PLACE for position in positions]
    return (
        numpy.array([position // PLACE for position in bounded], dtype=numpy.int64),
        numpy.array([position % PLACE for position in bounded], dtype=numpy.int64),
    )


class Columns:
    """A plan's histories, ready for many questions."""

    def __init__(self, plan: Plan, histories: Sequence[History]) -> None:
        self.plan = plan
        self._sources = [_Joined(source, held) for source, held in zip(plan.sources, histories, strict=True)]

    def features(
        self, questions: Sequence[Question], given: Sequence[Mapping[str, float | None]]
    ) -> list[Values]:
        """Features of each question, in their order. Transforms are left null."""
        measured: dict[str, list[Value]] = {}
        for joined in self._sources:
            measured |= joined.measure(questions)
        names = list(measured)
        rows = zip(*(measured[name] for name in names), strict=True) if names else [()] * len(questions)
        return [
            assemble(self.plan, dict(zip(names, row, strict=True)), values)
            for row, values in zip(rows, given, strict=True)
        ]


@dataclass(slots=True)
class _Pairs:
    """Questions and versions that belong together, in order of the question."""

    question: Ints
    version: Ints

    def only(self, mask: Bools) -> _Pairs:
        return _Pairs(self.question[mask], self.version[mask])


@dataclass(slots=True)
class _Microseconds:
    """Instants as numbers from 0 to below `span`, so that (entity, instant) is one number: since the first of them."""

    first_us: int
    span: int

    def of_versions(self, instants: Ints) -> Ints:
        return instants - self.first_us

    def behind(self, at_us: Ints) -> Ints:
        """The least number that no instant until then has."""
        return numpy.clip(at_us, self.first_us - 1, self.first_us + self.span - 2) - (self.first_us - 1)


@dataclass(slots=True)
class _Ranks:
    """As _Microseconds, where entities times microseconds pass 63 bits: the places of instants among each other."""

    instants: Ints
    span: int

    def of_versions(self, instants: Ints) -> Ints:
        return numpy.searchsorted(self.instants, instants)

    def behind(self, at_us: Ints) -> Ints:
        return numpy.searchsorted(self.instants, at_us, side="right")


def _moments_of(history: History) -> _Microseconds | _Ranks:
    if not len(history.instant):
        return _Microseconds(0, 1)
    first_us, last_us = int(history.instant.min()), int(history.instant.max())
    span = last_us - first_us + 2
    if span * (len(history.entities) + 1) < SIXTY_THREE:
        return _Microseconds(first_us, span)
    instants = numpy.sort(history.instant)  # numpy.unique hashes, which took as long as the whole join.
    instants = instants[numpy.flatnonzero(numpy.diff(instants, prepend=instants[0] - 1))]
    return _Ranks(instants, len(instants) + 1)


class _Joined:
    """One source's history and what is measured of it."""

    def __init__(self, source: Source, history: History) -> None:
        self._source, self._held = source, history
        self._moments = _moments_of(history)
        self._order = history.entity * self._moments.span + self._moments.of_versions(history.instant)
        self._numbers: dict[str, _Numbers] = {}
        self._matches = {m.name: self._matching(m) for m in source.measures if m.matches is not None}

    def _matching(self, measure: Measure) -> Bools:
        """Which versions fulfil `where`, asked once for each combination of values."""
        assert measure.matches is not None
        columns = [(name, self._held.attributes[name]) for name in measure.where_attributes]
        if len(columns) == 1:
            [(name, only)] = columns
            held = [measure.matches({name: value}) for value in only.values]
            return numpy.array([*held, measure.matches({})], dtype=numpy.bool_)[only.codes]
        combined = numpy.zeros(len(self._held.instant), dtype=numpy.int64)
        for _, attribute in columns:
            combined = combined * (len(attribute.values) + 1) + attribute.codes + 1
        kinds, back = numpy.unique(combined, return_inverse=True)
        first = numpy.zeros(len(kinds), dtype=numpy.int64)
        first[back] = numpy.arange(len(combined))
        says = numpy.zeros(len(kinds), dtype=numpy.bool_)
        for place, example in enumerate(first.tolist()):
            item = {
                name: attribute.values[int(attribute.codes[example])]
                for name, attribute in columns
                if attribute.codes[example] >= 0
            }
            says[place] = measure.matches(item)
        return says[back]

    def measure(self, questions: Sequence[Question]) -> dict[str, list[Value]]:
        asked = _Asked(questions, self._held.entities)
        windows = [m.window_us for m in self._source.measures]
        longest = None if None in windows else max((w for w in windows if w is not None), default=0)
        low, high = self._ranges(asked, longest)
        found: dict[str, list[Value]] = {m.name: [] for m in self._source.measures}
        sizes = high - low
        ends = numpy.cumsum(sizes)
        begin = 0
        while begin < len(questions):
            before = int(ends[begin - 1]) if begin else 0
            end = max(begin + 1, int(numpy.searchsorted(ends, before + PAIRS, side="right")))
            pairs = self._pairs(asked, low, sizes, begin, end)
            for measure in self._source.measures:
                found[measure.name] += self._one(measure, pairs, asked, begin, end)
            begin = end
        return found

    def _ranges(self, asked: _Asked, window_us: int | None) -> tuple[Ints, Ints]:
        """Of each question the versions in the longest window, known or not."""
        start = asked.entity * self._moments.span
        high = numpy.searchsorted(self._order, start + self._moments.behind(asked.at_us))
        if window_us is None:
            low = numpy.searchsorted(self._order, start)
        else:
            low = numpy.searchsorted(self._order, start + self._moments.behind(asked.at_us - window_us))
        unknown = asked.entity < 0
        return numpy.where(unknown, 0, low), numpy.where(unknown, 0, high)

    def _pairs(self, asked: _Asked, low: Ints, sizes: Ints, begin: int, end: int) -> _Pairs:
        """K3."""
        counts = sizes[begin:end]
        question = numpy.repeat(numpy.arange(end - begin), counts)
        offsets = numpy.cumsum(counts) - counts
        version = numpy.arange(int(counts.sum())) - offsets[question] + low[begin:end][question]
        held, place = self._held, question + begin
        by_time = (held.from_us[version] <= asked.known_us[place]) & (
            asked.known_us[place] < held.until_us[version]
        )
        if asked.has_positions:
            by_place = _at_most(held.from_place, version, asked.place, place) & ~_at_most(
                held.until_place, version, asked.place, place
            )
            by_time = numpy.where(asked.by_position[place], by_place, by_time)
        return _Pairs(question, version).only(by_time)

    def _one(self, measure: Measure, pairs: _Pairs, asked: _Asked, begin: int, end: int) -> list[Value]:
        if measure.window_us is not None:
            edge = asked.at_us[begin:end] - measure.window_us
            pairs = pairs.only(self._held.instant[pairs.version] > edge[pairs.question])
        everything = pairs
        if measure.matches is not None:
            pairs = pairs.only(self._matches[measure.name][pairs.version])
        found: list[Value] = [measure.default] * (end - begin)
        match measure.kind_name:
            case "count":
                return list(numpy.bincount(pairs.question, minlength=end - begin).tolist())
            case "sum" | "mean" | "std" | "min" | "max" | "share":
                numbers = self._numbered(measure.attribute)
                if measure.kind_name in ("sum", "share"):
                    found = [0.0] * (end - begin)
                if measure.kind_name == "share":
                    numbers.shares(pairs, everything, found)
                else:
                    numbers.measure(measure.kind_name, pairs, found)
            case "since_last" | "since_first":
                pick = numpy.maximum if measure.kind_name == "since_last" else numpy.minimum
                rows, instants = _by_question(pairs, self._held.instant[pairs.version], pick)
                days = (asked.at_us[begin:end][rows] - instants).tolist()
                for row, passed in zip(rows.tolist(), days, strict=True):
                    found[row] = passed / DAY_US
            case "last" | "first":
                self._ends(measure, pairs, found)
            case "distinct":
                found = [0] * (end - begin)
                rows, counts = self._distinct(measure, pairs)
                for row, count in zip(rows.tolist(), counts.tolist(), strict=True):
                    found[row] = count
            case "top":
                self._tops(measure, pairs, found)
        return found

    def _numbered(self, attribute: str) -> _Numbers:
        if attribute not in self._numbers:
            self._numbers[attribute] = _Numbers(self._held.attributes[attribute])
        return self._numbers[attribute]

    def _ends(self, measure: Measure, pairs: _Pairs, found: list[Value]) -> None:
        """Versions are in order of (instant, tie), so the last is the one with the greatest number."""
        attribute = self._held.attributes[measure.attribute]
        remembered = attribute.each(scalar)
        usable = numpy.array([value is not None for value in remembered] + [False], dtype=numpy.bool_)
        pairs = pairs.only(usable[attribute.codes[pairs.version]])
        pick = numpy.maximum if measure.kind_name == "last" else numpy.minimum
        rows, versions = _by_question(pairs, pairs.version, pick)
        for row, version in zip(rows.tolist(), versions.tolist(), strict=True):
            found[row] = remembered[attribute.codes[version]]

    def _codes(self, measure: Measure, key: Callable[[dict[str, Any]], Any]) -> tuple[Ints, list[Any]]:
        """Per version a code of `key` of its value, −1 where it has none; and what the codes stand for."""
        attribute = self._held.attributes[measure.attribute]
        seen: dict[Any, int] = {}
        mapped = [
            -1 if (k := key(value)) is None else seen.setdefault(k, len(seen)) for value in attribute.values
        ]
        codes = numpy.array([*mapped, -1], dtype=numpy.int64)[attribute.codes]
        return codes, list(seen)

    def _distinct(self, measure: Measure, pairs: _Pairs) -> tuple[Ints, Ints]:
        codes, kinds = self._codes(measure, token)
        chosen = codes[pairs.version]
        combined = numpy.unique(pairs.question[chosen >= 0] * len(kinds) + chosen[chosen >= 0])
        rows, counts = numpy.unique(combined // max(1, len(kinds)), return_counts=True)
        return rows, counts

    def _tops(self, measure: Measure, pairs: _Pairs, found: list[Value]) -> None:
        codes, texts = self._codes(measure, lambda value: None if (t := token(value)) is None else t[1])
        if not texts:
            return
        ranks = numpy.zeros(len(texts), dtype=numpy.int64)
        ranks[numpy.array(sorted(range(len(texts)), key=texts.__getitem__))] = numpy.arange(len(texts))
        chosen = codes[pairs.version]
        combined, counts = numpy.unique(
            pairs.question[chosen >= 0] * len(texts) + chosen[chosen >= 0], return_counts=True
        )
        rows, kinds = combined // len(texts), combined % len(texts)
        order = numpy.lexsort((ranks[kinds], -counts, rows))
        rows, kinds = rows[order], kinds[order]
        first = numpy.flatnonzero(numpy.diff(rows, prepend=-1))
        for row, kind in zip(rows[first].tolist(), kinds[first].tolist(), strict=True):
            found[row] = texts[kind]


class _Asked:
    """Questions as columns."""

    def __init__(self, questions: Sequence[Question], entities: Mapping[tuple[str, str], int]) -> None:
        self.entity = numpy.array(
            [-1 if q.entity is None else entities.get(q.entity, -1) for q in questions], dtype=numpy.int64
        )
        self.at_us = numpy.array([q.at_us for q in questions], dtype=numpy.int64)
        self.known_us = numpy.array([q.known_us for q in questions], dtype=numpy.int64)
        self.by_position = numpy.array([q.position is not None for q in questions], dtype=numpy.bool_)
        self.has_positions = bool(self.by_position.any())
        self.place = _places([q.position or 0 for q in questions]) if self.has_positions else _places([])


def _at_most(left: tuple[Ints, Ints], i: Ints, right: tuple[Ints, Ints], j: Ints) -> Bools:
    high, other = left[0][i], right[0][j]
    return numpy.asarray((high < other) | ((high == other) & (left[1][i] <= right[1][j])))


def _by_question(pairs: _Pairs, values: Array, reduce: Any) -> tuple[Ints, Array]:
    """One value for each question that has pairs."""
    if not len(pairs.question):
        return pairs.question, values
    starts = numpy.flatnonzero(numpy.diff(pairs.question, prepend=-1))
    return pairs.question[starts], reduce.reduceat(values, starts)


class _Numbers:
    """A column of numbers as whole numbers (K2)."""

    def __init__(self, attribute: Attribute) -> None:
        exact = [Decimal(value["N"]) if "N" in value else None for value in attribute.values]
        self.scale = max((-int(n.as_tuple().exponent) for n in exact if n is not None), default=0)
        self.scale = max(0, self.scale)
        whole = [0 if n is None else int(n.scaleb(self.scale, EXACT)) for n in exact]
        self._largest = max((abs(n) for n in whole), default=0)
        is_number = numpy.array([n is not None for n in exact] + [False], dtype=numpy.bool_)
        self._is_number = is_number[attribute.codes]
        kind: Any = numpy.int64 if self._largest < SIXTY_THREE else object
        self._whole = numpy.array([*whole, 0], dtype=kind)[attribute.codes]
        self._unit = 10**self.scale

    def _values(self, pairs: _Pairs, *, squared: bool = False) -> tuple[_Pairs, Array]:
        """Pairs with a number and the numbers, in a type that holds their sum."""
        pairs = pairs.only(self._is_number[pairs.version])
        values = self._whole[pairs.version]
        most = self._largest**2 if squared else self._largest
        if most * max(1, len(values)) >= SIXTY_THREE:
            values = values.astype(object)
        return pairs, values * values if squared else values

    def measure(self, kind: str, pairs: _Pairs, found: list[Value]) -> None:
        pairs, values = self._values(pairs)
        if kind in ("min", "max"):
            rows, ends = _by_question(pairs, values, numpy.minimum if kind == "min" else numpy.maximum)
            self._put(found, rows, ends.tolist(), None)
            return
        rows, sums = _by_question(pairs, values, numpy.add)
        if kind == "sum":
            self._put(found, rows, sums.tolist(), None)
            return
        _, counts = _by_question(pairs, numpy.ones(len(pairs.question), dtype=numpy.int64), numpy.add)
        if kind == "mean":
            self._put(found, rows, sums.tolist(), counts.tolist())
            return
        _, squares = _by_question(*self._values(pairs, squared=True), numpy.add)
        unit = self._unit * self._unit
        for row, n, total, square in zip(
            rows.tolist(), counts.tolist(), sums.tolist(), squares.tolist(), strict=True
        ):
            found[row] = math.sqrt((n * square - total * total) / (n * n * unit))

    def _put(self, found: list[Value], rows: Ints, above: list[int], counts: list[int] | None) -> None:
        """Python divides whole numbers correctly rounded, whatever their length."""
        unit = self._unit
        if counts is None:
            for row, total in zip(rows.tolist(), above, strict=True):
                found[row] = total / unit
        else:
            for row, total, n in zip(rows.tolist(), above, counts, strict=True):
                found[row] = total / (n * unit)

    def shares(self, chosen: _Pairs, everything: _Pairs, found: list[Value]) -> None:
        rows, parts = _by_question(*self._values(chosen), numpy.add)
        held = dict(zip(rows.tolist(), parts.tolist(), strict=True))
        rows, totals = _by_question(*self._values(everything), numpy.add)
        for row, total in zip(rows.tolist(), totals.tolist(), strict=True):
            if total:
                found[row] = held.get(row, 0) / total
