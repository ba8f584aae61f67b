"""Training sets: a spine of (entity, time) pairs, joined with features as they were known then, and with labels from later.

    training = app.training_set(buyer, spine, label=ahead(count(days=7)), history=lake)
    training.rows, training.labels, training.data

T1. Rows out are rows in, in their order.
T2. A spine row is a mapping with the entity and `at` (a time as text, a datetime, or microseconds), and perhaps `position`, a
    label and values that features request; or a tuple (entity, at) or (entity, at, position).
T3. A label looks ahead: an aggregate over (t, t + w], over what is known today. `label="name"` takes it from the spine.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, TypeAlias, cast

from penstock.app.features import Ahead, FeatureSet
from penstock.app.plain import instant_text, to_value
from penstock.errors import UsageError
from penstock.features.columns import FAR, PLACE, Columns, History, Question, history_of
from penstock.features.definition import Plan, Source, Values, compile_set, request_values, transform
from penstock.features.history import Sql, StreamClient, Version, stream_changes
from penstock.features.instants import instant_of_text, text_of
from penstock.features.lake_columns import BigSql, lake_history
from penstock.features.online import entity_value
from penstock.features.windows import Value, token

SpineRow: TypeAlias = Mapping[str, Any] | Sequence[Any]


@dataclass(frozen=True)
class TrainingSet:
    """Feature values and labels, row by row, and what they were made of."""

    rows: list[Values]
    labels: list[Value]
    data: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Asked:
    """A spine row, read."""

    entity: dict[str, Any]
    at_us: int
    position: int | None
    given: Mapping[str, float | None]
    label: Value


def instant(at: object) -> int:
    found: int | None = None
    if isinstance(at, datetime):
        found = instant_of_text(instant_text(at))
    elif isinstance(at, str):
        found = instant_of_text(at)
    elif isinstance(at, int) and not isinstance(at, bool):
        found = at
    if found is None:
        raise UsageError(
            f"{at!r} is no time; write 2026-11-20T10:00:00Z, a datetime with a zone, or microseconds"
        )
    return found


def read_spine(plan: Plan, spine: Iterable[SpineRow], label: str | None) -> list[Asked]:
    return [_read_row(plan, row, label) for row in spine]


def _read_row(plan: Plan, row: SpineRow, label: str | None) -> Asked:
    if isinstance(row, Mapping):
        entity = row.get(plan.entity, row.get(plan.entity_name))
        if entity is None or "at" not in row:
            raise UsageError(f"a spine row has {plan.entity!r} and 'at'; got {', '.join(map(str, row))}")
        position = row.get("position")
        given = _given(plan, row)
        if label is not None and label not in row:
            raise UsageError(f"the spine has no column {label!r} for the label")
        return Asked(
            _entity(plan, entity),
            instant(row["at"]),
            None if position is None else int(position),
            given,
            None if label is None else row[label],
        )
    if not 2 <= len(row) <= 3 or label is not None:
        raise UsageError("a spine row is a mapping, (entity, at) or (entity, at, position)")
    position = row[2] if len(row) == 3 else None
    return Asked(
        _entity(plan, row[0]),
        instant(row[1]),
        None if position is None else int(position),
        request_values(plan, {}),
        None,
    )


_TYPES = {"S": "text", "N": "a number", "B": "binary"}


def _entity(plan: Plan, held: Any) -> dict[str, Any]:
    """As the table's key has it: a number is not found under a text, and a spine of the other kind would find nobody at all."""
    value = dict(to_value(held))
    if plan.entity_type in value:
        return value
    if plan.entity_type == "N" and isinstance(held, str):
        return dict(entity_value(plan, held))
    raise UsageError(f"{plan.entity} is {_TYPES[plan.entity_type]}, not {held!r}")


def _given(plan: Plan, row: Mapping[str, Any]) -> dict[str, float | None]:
    """Request values as a request brings them: as floats."""
    found: dict[str, float | None] = {}
    for each in plan.requested.values():
        if each.name in row:
            held = row[each.name]
            try:
                found[each.name] = None if held is None else float(held)
            except (TypeError, ValueError):
                raise UsageError(f"{each.name} is a number; {held!r} is none") from None
    return request_values(plan, found)


def training_set(
    features: FeatureSet,
    spine: Iterable[SpineRow],
    *,
    label: Ahead | str | None = None,
    history: Sql | StreamClient,
    backfilled: str | datetime | int | None = None,
) -> TrainingSet:
    """`history` is a lake (`open_lake(…)`) or a client whose streams still hold what is needed."""
    plan = compile_set(features)
    asked = read_spine(plan, spine, label if isinstance(label, str) else None)
    ahead = _label_plan(features, label) if isinstance(label, Ahead) else None
    read = _Histories(history)
    backfilled_us = None if backfilled is None else instant(backfilled)
    columns = Columns(plan, [read.of(source, backfilled_us) for source in plan.sources])
    questions = [Question(token(each.entity), each.at_us, each.position, each.at_us) for each in asked]
    rows = columns.features(questions, [each.given for each in asked])
    if plan.has_python:
        rows = [transform(plan, row) for row in rows]
    labels = [each.label for each in asked]
    if ahead is not None and isinstance(label, Ahead):
        later = Columns(ahead, [read.of(source, None) for source in ahead.sources])
        labels = _look_ahead(ahead, label, later, asked)
    return TrainingSet(rows, labels, _told(features, asked, read.positions, label))


class _Histories:
    """Reads a lake or streams, each table once."""

    def __init__(self, history: Sql | StreamClient) -> None:
        self._history = history
        self._versions: dict[str, list[Version]] = {}
        self.positions: dict[str, int] = {}

    def of(self, source: Source, backfilled_us: int | None) -> History:
        name = source.table.name
        if hasattr(self._history, "sql"):
            held = lake_history(cast(BigSql, self._history), source, backfilled_us)
            high, low = (each.tolist() for each in held.from_place)
            self.positions[name] = max((h * PLACE + n for h, n in zip(high, low, strict=True)), default=0)
            return held
        if name not in self._versions:
            self._versions[name] = stream_changes(self._history, source.table)
            self.positions[name] = max((version.position for version in self._versions[name]), default=0)
        return history_of(source, self._versions[name], backfilled_us)


def _label_plan(features: FeatureSet, label: Ahead) -> Plan:
    if label.aggregate.window_s is None:
        raise UsageError("a label looks ahead over a window: ahead(count(days=7))")
    return compile_set(replace(features, features={"label": label.aggregate}))


def _look_ahead(plan: Plan, label: Ahead, columns: Columns, asked: Sequence[Asked]) -> list[Value]:
    window_us = max(m.window_us or 0 for source in plan.sources for m in source.measures)
    questions = [Question(token(each.entity), each.at_us + window_us, None, FAR - 1) for each in asked]
    values = [row["label"] for row in columns.features(questions, [{}] * len(questions))]
    if label.above is None:
        return values
    return [None if value is None else int(float(value) > label.above) for value in values]


def _told(
    features: FeatureSet,
    asked: Sequence[Asked],
    positions: Mapping[str, int],
    label: Ahead | str | None,
) -> dict[str, Any]:
    """What the registry keeps of where a model's rows are from."""
    times = [each.at_us for each in asked]
    return {
        "features": features.name,
        "from": text_of(min(times)) if times else None,
        "to": text_of(max(times)) if times else None,
        "label": label if isinstance(label, str) else None if label is None else label.describe(),
        "positions": {name: str(position) for name, position in positions.items()},
    }
