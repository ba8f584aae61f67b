"""The packs of many entities as one matrix, so that a feature of all of them costs a few passes in C.

One entity's packs cost some twenty calls a feature to read; in a campaign that was most of the time. Here the rows of all packs of
one form (packs.py) lie one below the other, in running sums: a window is two places in them, and their difference.

N1. Whole numbers add exactly. Where a running sum could pass 63 bits, Python's integers take over.
N2. Packs of different forms may scale a measure differently: what they add is brought to the smallest exponent.
N3. An entity is the number of its place in what was asked for.
N4. The matrix costs some hundred microseconds however small it is: of a few entities each pack is read for itself.
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
from penstock.features.packs import (
    TYPES,
    Pack,
    Packed,
    as_kept,
    form_and_rows,
    form_of,
    restore,
    row_numbers,
    undeclared,
    unpacked,
)
from penstock.features.windows import EXACT, WHOLE, Part, Value

Ints: TypeAlias = numpy.typing.NDArray[numpy.int64]
Array: TypeAlias = numpy.typing.NDArray[Any]

FEW = 4
_APART = 1 << 40  # Days lie nearer to each other: the places of one pack do not reach into the next.
_WHOLE_MAX = (
    1 << 40
)  # Running sums of numbers below it fit, of four million rows; of narrow numbers (4 bytes) always.


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

    def with_events(self, days: range) -> set[int]:
        """Entities that have an event on one of these days."""

    def events(self, days: range) -> list[int]:
        """How many each entity has on these days."""

    def sums(self, measure: Measure, days: range) -> Sums | None:
        """None where no pack holds sums of it."""

    def parts(self, measure: Measure, days: range) -> Iterable[tuple[int, Part]]:
        """What belongs to an entity besides its sums, a part for each pack that has any."""


def packs_of(entities: int, held: Sequence[tuple[int, Packed]]) -> Packs:
    return FewPacks(entities, held) if entities <= FEW else PackSums(entities, held)


class FewPacks:
    """`Packs` of a few entities (N4)."""

    def __init__(self, entities: int, packs: Iterable[tuple[int, Packed]]) -> None:
        self._entities = entities
        self._packs = [(entity, unpacked(pack)) for entity, pack in packs]

    def with_events(self, days: range) -> set[int]:
        return {entity for entity, begin, end, _ in self._inside(days)}

    def events(self, days: range) -> list[int]:
        total = [0] * self._entities
        for entity, begin, end, pack in self._inside(days):
            total[entity] += sum(pack.events[begin:end])
        return total

    def sums(self, measure: Measure, days: range) -> Sums | None:
        return None

    def parts(self, measure: Measure, days: range) -> Iterator[tuple[int, Part]]:
        for entity, begin, end, pack in self._inside(days):
            yield entity, pack.fold(measure, begin, end)

    def _inside(self, days: range) -> Iterator[tuple[int, int, int, Pack]]:
        for entity, pack in self._packs:
            begin, end = pack.places(days)
            if begin < end:
                yield entity, begin, end, pack


class PackSums:
    """`Packs` of many entities."""

    def __init__(self, entities: int, packs: Iterable[tuple[int, Packed]]) -> None:
        by_form: dict[str, tuple[list[int], list[bytes], list[str | None]]] = {}
        for entity, pack in packs:
            kept = pack if pack.columns is None else as_kept(unpacked(pack))
            form, rows = form_and_rows(kept)
            held = by_form.get(form)
            if held is None:
                held = by_form[form] = [], [], []
            held[0].append(entity)
            held[1].append(rows)
            held[2].append(None if kept.parts is None else kept.parts.S)
        self._entities = entities
        self._groups = [_Group(form, *held) for form, held in by_form.items()]

    def with_events(self, days: range) -> set[int]:
        found: set[int] = set()
        for group in self._groups:
            begin, end = group.places(days)
            found.update(group.entities[begin < end].tolist())
        return found

    def events(self, days: range) -> list[int]:
        total = numpy.zeros(self._entities, dtype=numpy.int64)
        for group in self._groups:
            numpy.add.at(total, group.entities, group.between(0, days))
        return total.tolist()

    def sums(self, measure: Measure, days: range) -> Sums | None:
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

    def parts(self, measure: Measure, days: range) -> Iterator[tuple[int, Part]]:
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
        width, exponents = form_of(form)
        row = row_numbers(exponents)
        self.entities = numpy.array(entities, dtype=numpy.int64)
        self.columns: dict[
            str, tuple[int, list[int | None]]
        ] = {}  # measure → its first column, its exponents
        column = 1
        for name, each in exponents.items():
            self.columns[name] = column, each
            column += len(each)
        table = numpy.frombuffer(b"".join(rows), dtype=TYPES[width]).reshape(-1, row)
        lengths = numpy.array([len(each) for each in rows], dtype=numpy.int64) // (width * row)
        self._begins = numpy.arange(len(rows), dtype=numpy.int64) * _APART
        self._days = table[:, 0] + numpy.repeat(self._begins, lengths)
        self._first = numpy.cumsum(lengths) - lengths
        numbers = table[:, 1:].T
        is_small = width == 4 or not len(table) or int(numpy.abs(numbers).max()) < _WHOLE_MAX
        kind: Any = numpy.int64 if is_small else object  # N1
        self._running = numpy.zeros((row - 1, len(table) + 1), dtype=kind)
        numpy.cumsum(numbers, axis=1, dtype=kind, out=self._running[:, 1:])
        self._parts, self._read = parts, dict[int, dict[str, list[Any]]]()
        self._places: dict[range, tuple[Ints, Ints]] = {}

    def places(self, days: range) -> tuple[Ints, Ints]:
        """Of each pack the rows of these days: begin <= place < end."""
        found = self._places.get(days)
        if found is None:
            begin = numpy.searchsorted(self._days, self._begins + days.start)
            end = numpy.searchsorted(self._days, self._begins + max(days.start, days.stop))
            found = self._places[days] = begin, end
        return found

    def between(self, column: int, days: range) -> Array:
        begin, end = self.places(days)
        running = self._running[column]
        return running[end] - running[begin]  # type: ignore[no-any-return]

    def parts(self, measure: Measure, days: range) -> Iterator[tuple[int, Part]]:
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
