"""The same features for any entity at any past moment, as they were known then: for training, backfill and replay.

F1. For (entity, t, position) the rows are the versions that the table held at that position, or, where only t is given, those
    written until t. Late events and corrections are seen only from when they were written.
F2. The arithmetic is that of windows.py, so a feature has the same bits here and online.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any

from penstock.features.definition import Plan, Source, Values, assemble, measure_rows
from penstock.features.history import Version
from penstock.features.windows import Row, Value, token


@dataclass(slots=True)
class _Entity:
    """One entity's versions in order of their instants."""

    rows: list[tuple[int, Row, Version]] = field(default_factory=list)
    instants: list[int] = field(default_factory=list)
    is_sorted: bool = False

    def sort(self) -> None:
        if not self.is_sorted:
            self.rows.sort(key=itemgetter(0))
            self.instants = [row[0] for row in self.rows]
            self.is_sorted = True


class Past:
    """The history of a plan's sources, ready to be asked."""

    def __init__(
        self, plan: Plan, histories: Mapping[str, Iterable[Version]], *, backfilled_us: int | None = None
    ) -> None:
        """`histories` by table name. `backfilled_us`: see H3 of history.py."""
        self.plan = plan
        self.skipped = 0
        self._held: list[dict[tuple[str, str], _Entity]] = []
        known = {name: list(history) for name, history in histories.items()}
        for source in plan.sources:
            self._held.append(self._index(source, known[source.table.name], backfilled_us))

    def _index(
        self, source: Source, history: Sequence[Version], backfilled_us: int | None
    ) -> dict[tuple[str, str], _Entity]:
        held: dict[tuple[str, str], _Entity] = {}
        for version in history:
            named = version.item.get(source.entity)
            entity = None if named is None else token(named)
            row = source.row(version.item)
            if entity is None or row is None:
                self.skipped += row is None
                continue
            if backfilled_us is not None and version.is_first and version.commit_us <= backfilled_us:
                version.commit_us = min(version.commit_us, row[0])
            held.setdefault(entity, _Entity()).rows.append((row[0], row, version))
        return held

    def rows(
        self,
        number: int,
        entity: Mapping[str, Any],
        at_us: int,
        position: int | None,
        known_us: int | None = None,
    ) -> list[Row]:
        """What the source's table held of the entity's events until t, in order of their instants."""
        key = token(dict(entity))
        found = None if key is None else self._held[number].get(key)
        if found is None:
            return []
        found.sort()
        source = self.plan.sources[number]
        low = 0
        if not any(measure.window_us is None for measure in source.measures):
            low = bisect_right(found.instants, at_us - max(m.window_us or 0 for m in source.measures))
        high = bisect_right(found.instants, at_us)
        return [
            row
            for _, row, version in found.rows[low:high]
            if version.known_at(position, at_us if known_us is None else known_us)
        ]

    def features(
        self,
        entity: Mapping[str, Any],
        at_us: int,
        position: int | None = None,
        given: Mapping[str, float | None] | None = None,
        known_us: int | None = None,
    ) -> Values:
        """Features as known at a position, at a time, or else at t itself. Transforms are left null: see `definition.transform`."""
        measured: dict[str, Value] = {}
        for number, source in enumerate(self.plan.sources):
            measure_rows(source, self.rows(number, entity, at_us, position, known_us), at_us, measured)
        return assemble(self.plan, measured, given or dict.fromkeys(self.plan.requested))
