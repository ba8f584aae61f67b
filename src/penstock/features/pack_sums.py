"""The packs of many entities as one matrix, so that a feature of all of them costs a few passes in C.

One entity's packs cost some twenty calls a feature to read; in a campaign that was most of the time. Here the rows of all packs of
one form (packs.py) lie one below the other, in running sums: a window is two places in them, and their difference.

N1. Whole numbers add exactly. Where a running sum could pass 63 bits, Python's integers take over.
N2. Packs of different forms may scale a measure differently: what they add is brought to the smallest exponent.
N3. An entity is the number of its place in what was asked for.
N4. The matrix costs some hundred microseconds however small it is: of a few entities each pack is read for itself.
N5. A window that begins or ends inside a day holds, of most entities, all of that day's events or none: its ends (K6) say which.
    Those that it holds whole are read with the days between (`Days`); only of the rest do rows have to be looked at.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Protocol, TypeAlias

import numpy
import numpy.typing
import orjson

from penstock.features.definition import Measure
from penstock.features.instants import DAY_US
from penstock.features.packs import (
    MS_US,
    TYPES,
    Pack,
    Packed,
    form_and_rows,
    form_of,
    restore,
    undeclared,
    unpacked,
    with_ends,
)
from penstock.features.windows import EXACT, WHOLE, Part, Value

Ints: TypeAlias = numpy.typing.NDArray[numpy.int64]
Bools: TypeAlias = numpy.typing.NDArray[numpy.bool_]
Array: TypeAlias = numpy.typing.NDArray[Any]

FEW = 4
_APART = 1 << 40  # Days lie nearer to each other: the places of one pack do not reach into the next.
_WHOLE_MAX = (
    1 << 40
)  # Running sums of numbers below it fit, of four million rows; of narrow numbers (4 bytes) always.


@dataclass(frozen=True, slots=True)
class Edge:
    """A part of one day: low < instant <= high."""

    day: int
    low_us: int
    high_us: int

    def whole(self, first_ms: Any, last_ms: Any) -> Any:
        """Whether events between these milliseconds of the day all lie inside. Of numbers or arrays of them."""
        low_us, high_us = self._of_day()
        return (first_ms * MS_US > low_us) & (last_ms * MS_US <= high_us)

    def apart(self, first_ms: Any, last_ms: Any) -> Any:
        """Whether they all lie outside."""
        low_us, high_us = self._of_day()
        return (last_ms * MS_US <= low_us) | (first_ms * MS_US > high_us)

    def _of_day(self) -> tuple[int, int]:
        begin_us = self.day * DAY_US
        low_us, high_us = self.low_us - begin_us, self.high_us - begin_us
        return low_us, DAY_US if high_us == DAY_US - 1 else high_us  # A last millisecond is rounded up.


@dataclass(frozen=True, slots=True, eq=False)
class Days:
    """Neighbouring days, and of some entities the day before them or the one after them too (N5)."""

    whole: range
    before: Bools
    after: Bools

    def of(self, entity: int) -> range:
        begin, end = self.whole.start, max(self.whole.start, self.whole.stop)
        return range(begin - int(self.before[entity]), end + int(self.after[entity]))


@dataclass(slots=True)
class Sums:
    """A measure's sums of all entities: one array for each component of a part, and its unit: the part is number / unit."""

    numbers: list[Array]
    units: list[int | None]  # None of a count.

    def values(self, measure: Measure) -> list[Value]:
        units = [unit or 1 for unit in self.units]
        found = WHOLE[measure.kind_name]([each.tolist() for each in self.numbers], units)
        return [measure.default if value is None else value for value in found]

    def part(self, place: int) -> Part:
        components = [
            int(each[place]) if unit is None else EXACT.divide(Decimal(int(each[place])), Decimal(unit))
            for each, unit in zip(self.numbers, self.units, strict=True)
        ]
        return components[0] if len(components) == 1 else tuple(components)


class Packs(Protocol):
    """The packs of one source."""

    def told(self, edge: Edge) -> tuple[Bools, list[int]]:
        """Which entities have events on that day that all lie in the edge, and those of which some do and some do not."""

    def events(self, days: Days) -> list[int]:
        """How many each entity has on these days."""

    def sums(self, measure: Measure, days: Days) -> Sums | None:
        """None where no pack holds sums of it."""

    def parts(self, measure: Measure, days: Days) -> Iterable[tuple[int, Part]]:
        """What belongs to an entity besides its sums, a part for each pack that has any."""


def packs_of(entities: int, held: Sequence[tuple[int, Packed]]) -> Packs:
    return FewPacks(entities, held) if entities <= FEW else PackSums(entities, held)


class FewPacks:
    """`Packs` of a few entities (N4)."""

    def __init__(self, entities: int, packs: Iterable[tuple[int, Packed]]) -> None:
        self._entities = entities
        self._packs = [(entity, unpacked(pack)) for entity, pack in packs]

    def told(self, edge: Edge) -> tuple[Bools, list[int]]:
        whole = numpy.zeros(self._entities, dtype=numpy.bool_)
        cut: list[int] = []
        for entity, pack in self._packs:
            begin, end = pack.places(range(edge.day, edge.day + 1))
            if begin < end:
                ends = pack.first_ms[begin], pack.last_ms[begin]
                whole[entity] = edge.whole(*ends)
                if not whole[entity] and not edge.apart(*ends):
                    cut.append(entity)
        return whole, sorted(cut)

    def events(self, days: Days) -> list[int]:
        total = [0] * self._entities
        for entity, begin, end, pack in self._inside(days):
            total[entity] += sum(pack.events[begin:end])
        return total

    def sums(self, measure: Measure, days: Days) -> Sums | None:
        return None

    def parts(self, measure: Measure, days: Days) -> Iterator[tuple[int, Part]]:
        for entity, begin, end, pack in self._inside(days):
            yield entity, pack.fold(measure, begin, end)

    def _inside(self, days: Days) -> Iterator[tuple[int, int, int, Pack]]:
        for entity, pack in self._packs:
            begin, end = pack.places(days.of(entity))
            if begin < end:
                yield entity, begin, end, pack


class PackSums:
    """`Packs` of many entities."""

    def __init__(self, entities: int, packs: Iterable[tuple[int, Packed]]) -> None:
        by_form: dict[str, tuple[list[int], list[bytes], list[str | None]]] = {}
        for entity, pack in packs:
            kept = with_ends(pack)
            form, rows = form_and_rows(kept)
            held = by_form.get(form)
            if held is None:
                held = by_form[form] = [], [], []
            held[0].append(entity)
            held[1].append(rows)
            held[2].append(None if kept.parts is None else kept.parts.S)
        self._entities = entities
        self._groups = [_Group(form, *held) for form, held in by_form.items()]

    def told(self, edge: Edge) -> tuple[Bools, list[int]]:
        whole = numpy.zeros(self._entities, dtype=numpy.bool_)
        cut: list[int] = []
        for group in self._groups:
            entities, first_ms, last_ms = group.ends(edge.day)
            inside = edge.whole(first_ms, last_ms)
            whole[entities[inside]] = True
            cut += entities[~inside & ~edge.apart(first_ms, last_ms)].tolist()
        return whole, sorted(cut)

    def events(self, days: Days) -> list[int]:
        total = numpy.zeros(self._entities, dtype=numpy.int64)
        for group in self._groups:
            numpy.add.at(total, group.entities, group.between(0, days))
        return total.tolist()

    def sums(self, measure: Measure, days: Days) -> Sums | None:
        holding = [group for group in self._groups if measure.name in group.columns]
        if not holding:
            return None
        exponents = (group.columns[measure.name][1] for group in holding)
        numbers: list[Array] = []
        units: list[int | None] = []
        for component, of_groups in enumerate(zip(*exponents, strict=True)):
            whole = [exponent for exponent in of_groups if exponent is not None]
            least = min(0, *whole) if whole else 0
            added = [
                _scaled(
                    group.between(group.columns[measure.name][0] + component, days), (exponent or 0) - least
                )
                for group, exponent in zip(holding, of_groups, strict=True)
            ]
            kind: Any = object if any(each.dtype == object for each in added) else numpy.int64
            total = numpy.zeros(self._entities, dtype=kind)
            for group, each in zip(holding, added, strict=True):
                numpy.add.at(total, group.entities, each.astype(kind))
            numbers.append(total)
            units.append(10**-least if whole else None)
        return Sums(numbers, units)

    def parts(self, measure: Measure, days: Days) -> Iterator[tuple[int, Part]]:
        for group in self._groups:
            yield from group.parts(measure, days)


def _scaled(numbers: Array, by: int) -> Array:
    """N2."""
    return numbers if not by else numbers.astype(object) * 10**by


class _Group:
    """Packs of one form."""

    def __init__(
        self, form: str, entities: Sequence[int], rows: Sequence[bytes], parts: Sequence[str | None]
    ) -> None:
        width, _, exponents = read = form_of(form)
        self.entities = numpy.array(entities, dtype=numpy.int64)
        self.columns: dict[
            str, tuple[int, list[int | None]]
        ] = {}  # measure → its first column, its exponents
        column = 3  # Behind the events and their ends.
        for name, each in exponents.items():
            self.columns[name] = column, each
            column += len(each)
        table = numpy.frombuffer(b"".join(rows), dtype=TYPES[width]).reshape(-1, read.numbers)
        lengths = numpy.array([len(each) for each in rows], dtype=numpy.int64) // (width * read.numbers)
        self._begins = numpy.arange(len(rows), dtype=numpy.int64) * _APART
        self._days = table[:, 0] + numpy.repeat(self._begins, lengths)
        self._ends = table[:, 2:4]
        self._first = numpy.cumsum(lengths) - lengths
        numbers = table[:, 1:].T
        is_small = width == 4 or not len(table) or int(numpy.abs(numbers).max()) < _WHOLE_MAX
        kind: Any = numpy.int64 if is_small else object  # N1
        self._running = numpy.zeros((read.numbers - 1, len(table) + 1), dtype=kind)
        numpy.cumsum(numbers, axis=1, dtype=kind, out=self._running[:, 1:])
        self._parts, self._read = parts, dict[int, dict[str, list[Any]]]()
        self._places: dict[Days, tuple[Ints, Ints]] = {}

    def ends(self, day: int) -> tuple[Ints, Ints, Ints]:
        """The entities with events on a day, and when the first and the last of them lie (K6)."""
        place = numpy.searchsorted(self._days, self._begins + day)
        has = numpy.zeros(len(place), dtype=numpy.bool_)
        there = place < len(self._days)
        has[there] = self._days[place[there]] == self._begins[there] + day
        ends = self._ends[place[has]].astype(numpy.int64)
        return self.entities[has], ends[:, 0], ends[:, 1]

    def places(self, days: Days) -> tuple[Ints, Ints]:
        """Of each pack the rows of these days: begin <= place < end."""
        found = self._places.get(days)
        if found is None:
            start, stop = days.whole.start, max(days.whole.start, days.whole.stop)
            begin = numpy.searchsorted(self._days, self._begins + start - days.before[self.entities])
            end = numpy.searchsorted(self._days, self._begins + stop + days.after[self.entities])
            found = self._places[days] = begin, end
        return found

    def between(self, column: int, days: Days) -> Array:
        begin, end = self.places(days)
        running = self._running[column]
        return running[end] - running[begin]  # type: ignore[no-any-return]

    def parts(self, measure: Measure, days: Days) -> Iterator[tuple[int, Part]]:
        if measure.name in self.columns:
            return
        begin, end = self.places(days)
        for place in numpy.flatnonzero(begin < end).tolist():
            held = self._read.get(place)
            if held is None:
                text = self._parts[place]
                held = self._read[place] = {} if text is None else orjson.loads(text)
            if measure.name not in held:
                raise undeclared(measure)
            first = int(self._first[place])
            inside = held[measure.name][int(begin[place]) - first : int(end[place]) - first]
            merged, *others = [restore(part) for part in inside]
            for part in others:
                merged = measure.kind.merge(merged, part)
            yield int(self.entities[place]), merged
