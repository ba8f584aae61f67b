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
from penstock.app.tables import Table
from penstock.errors import UsageError
from penstock.features.definition import Plan, Values, compile_set, request_values, transform
from penstock.features.history import Sql, StreamClient, Version, lake_changes, stream_changes
from penstock.features.instants import instant_of_text, text_of
from penstock.features.offline import Past
from penstock.features.windows import Value

SpineRow: TypeAlias = Mapping[str, Any] | Sequence[Any]
LATEST = 1 << 199  # A position behind every change, before NEVER.


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
        given = request_values(plan, dict(row))
        if label is not None and label not in row:
            raise UsageError(f"the spine has no column {label!r} for the label")
        return Asked(
            dict(to_value(entity)),
            instant(row["at"]),
            None if position is None else int(position),
            given,
            None if label is None else row[label],
        )
    if not 2 <= len(row) <= 3 or label is not None:
        raise UsageError("a spine row is a mapping, (entity, at) or (entity, at, position)")
    position = row[2] if len(row) == 3 else None
    return Asked(
        dict(to_value(row[0])),
        instant(row[1]),
        None if position is None else int(position),
        request_values(plan, {}),
        None,
    )


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
    tables = {source.table.name: source.table for source in plan.sources}
    if ahead is not None:
        tables |= {source.table.name: source.table for source in ahead.sources}
    histories = {name: read_history(history, table) for name, table in tables.items()}
    backfilled_us = None if backfilled is None else instant(backfilled)
    past = Past(plan, histories, backfilled_us=backfilled_us)
    rows = [
        transform(plan, past.features(each.entity, each.at_us, each.position, each.given)) for each in asked
    ]
    labels = [each.label for each in asked]
    if ahead is not None and isinstance(label, Ahead):
        labels = _look_ahead(ahead, label, Past(ahead, histories), asked)
    return TrainingSet(rows, labels, _told(features, asked, histories, label))


def read_history(history: Sql | StreamClient, table: Table) -> list[Version]:
    if hasattr(history, "sql"):
        return lake_changes(cast(Sql, history), table)
    return stream_changes(history, table)


def _label_plan(features: FeatureSet, label: Ahead) -> Plan:
    if label.aggregate.window_s is None:
        raise UsageError("a label looks ahead over a window: ahead(count(days=7))")
    return compile_set(replace(features, features={"label": label.aggregate}))


def _look_ahead(plan: Plan, label: Ahead, past: Past, asked: Sequence[Asked]) -> list[Value]:
    window_us = max(m.window_us or 0 for source in plan.sources for m in source.measures)
    values = [past.features(each.entity, each.at_us + window_us, LATEST)["label"] for each in asked]
    if label.above is None:
        return values
    return [None if value is None else int(float(value) > label.above) for value in values]


def _told(
    features: FeatureSet,
    asked: Sequence[Asked],
    histories: Mapping[str, Sequence[Version]],
    label: Ahead | str | None,
) -> dict[str, Any]:
    """What the registry keeps of where a model's rows are from."""
    times = [each.at_us for each in asked]
    return {
        "features": features.name,
        "from": text_of(min(times)) if times else None,
        "to": text_of(max(times)) if times else None,
        "label": label if isinstance(label, str) else None if label is None else label.describe(),
        "positions": {
            name: str(max((v.position for v in history), default=0)) for name, history in histories.items()
        },
    }
