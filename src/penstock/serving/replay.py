"""An inference looked at again: its row, the events that it came from, and whether the same answer comes out today.

Y1. A replay takes the features as the source tables held them at the row's stream position, the version of the model that the row
    names, and the arithmetic that answered then. What comes out is the same bits, or a difference that is named.
Y2. A position is on record where the engine is in the process that answered. Over a client (`penstock serve`, AWS, any compatible
    store) the answer of a Query does not say what it saw, and from tiles no one position tells. Then each moment around the
    row's time at which the entity's events changed is tried: where the features come out to the bit at one of them, that is
    what was seen, and `as_of` says so. Where at none, the values as known at the row's time are shown, with what differs.
Y3. Features that were declared since are no difference: the row knows nothing of them, and a note says so. One that is no longer
    declared is a difference, without which the model is not asked.
Y4. A model that is Python is run only where the caller says that its code may run here (`run_python`); otherwise a note says that
    the prediction was taken from the features alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import cloudpickle
import numpy
import orjson

from penstock.app.application import App
from penstock.app.tables import Table
from penstock.errors import UsageError
from penstock.features.definition import Measure, Plan, Source, Values, compile_set, transform
from penstock.features.history import (
    Sql,
    StreamClient,
    Version,
    json_path,
    versions_of_entities,
    versions_of_entity,
)
from penstock.features.instants import instant_of_text, text_range
from penstock.features.offline import Past
from penstock.features.online import entity_value
from penstock.features.windows import scalar
from penstock.models.prediction import decide
from penstock.models.registry import Registry
from penstock.models.runtime import IN_PROCESS, load_model
from penstock.serving.inference_log import TABLE
from penstock.serving.python_calls import answers_of, prediction_of


@dataclass(frozen=True)
class Replay:
    """What a replay found. `differences` is empty where every bit is the same."""

    request_id: str
    logged: dict[str, Any]
    recomputed: dict[str, Any]
    differences: list[str] = field(default_factory=list)
    as_of: str = ""  # At which position, or by which search, the features were taken.
    notes: list[str] = field(default_factory=list)
    feature_differences: list[str] = field(default_factory=list)
    ages_us: dict[str, int | None] = field(
        default_factory=dict
    )  # By source: how old its latest event was, None without one.


@dataclass(frozen=True)
class Chain:
    """Events → features → model version → answer."""

    row: dict[str, Any]
    events: list[dict[str, Any]]
    features: Values
    model: dict[str, Any]
    answer: dict[str, Any]
    sql: list[str]


class Inferences:
    """The log, with what is needed to recompute it."""

    def __init__(
        self, app: App, client: Any, registry: Registry, lake: Sql | None = None, *, run_python: bool = False
    ) -> None:
        """With a lake, the client's stream tells the moment that the lake is behind."""
        self._app, self._client, self._registry = app, client, registry
        self._history: Sql | StreamClient = client if lake is None else lake
        self._tail: StreamClient | None = None if lake is None else client
        self._run_python = run_python
        self._held: dict[tuple[str, str, str], list[Version]] = {}

    def row(self, request_id: str) -> dict[str, Any]:
        found = self._row_if_any(request_id)
        if found is None:
            raise UsageError(f"there is no inference {request_id!r} in {TABLE}")
        return found

    def _row_if_any(self, request_id: str) -> dict[str, Any] | None:
        answer = self._client.get_item(
            TableName=TABLE, Key={"requestId": {"S": request_id}}, ConsistentRead=True
        )
        item: dict[str, Any] | None = answer.get("Item")
        return item

    def replay(self, request_id: str) -> Replay:
        return self._replay(self.row(request_id))

    def replay_many(self, request_ids: Sequence[str]) -> list[Replay]:
        """As one by one, with the history of all their entities read once; rows that are gone from the table are left out."""
        rows = [row for each in request_ids if (row := self._row_if_any(each)) is not None]
        by_predictor: dict[str, list[Mapping[str, Any]]] = {}
        for row in rows:
            if "entity" in row:
                by_predictor.setdefault(row["predictor"]["S"], []).append(row)
        for held in by_predictor.values():
            plan = self._plan(held[0])
            texts = dict.fromkeys(row["entity"]["S"] for row in held)
            values = [entity_value(plan, text) for text in texts]
            for table in _tables(plan):
                found = versions_of_entities(self._history, table, plan.entity, values, self._tail)
                for text, versions in found.items():
                    self._held[table.name, plan.entity, text] = versions
        try:
            return [self._replay(row) for row in rows]
        finally:
            self._held.clear()

    def _replay(self, row: Mapping[str, Any]) -> Replay:
        logged = {"features": orjson.loads(row["inputData"]["S"]), **orjson.loads(row["output"]["S"])}
        found = Replay(row["requestId"]["S"], logged, {}, as_of="the features came with the request")
        then: Mapping[str, Any] = logged["features"]
        features = then
        if "entity" in row:
            features, as_of = self._features(row, then, found)
            found = replace(found, as_of=as_of)
            found.notes.extend(
                f"{name} is a feature only since then" for name in features if name not in then
            )
            found.feature_differences.extend(
                f"{name}: {then[name]!r} then, {value!r} now{self._reason(row)}"
                for name, value in features.items()
                if name in then and then[name] != value
            )
        found.differences.extend(found.feature_differences)
        gone = [name for name in then if name not in features]
        found.differences.extend(f"{name}: {then[name]!r} then, and no feature any more" for name in gone)
        said = {} if gone else self._predict(row, features, found.notes)
        found.recomputed.update({"features": features, **said})
        for name in ("prediction", "probability"):
            if name in found.recomputed and logged[name] != found.recomputed[name]:
                found.differences.append(f"{name}: {logged[name]!r} then, {found.recomputed[name]!r} now")
        return found

    def _reason(self, row: Mapping[str, Any]) -> str:
        if "streamPosition" not in row:
            return " (no stream position is on record, and at no change around that time do the logged values come out)"
        return " (the history no longer tells what the table held, or the feature's definition changed)"

    def _features(
        self, row: Mapping[str, Any], logged: Mapping[str, Any], found: Replay
    ) -> tuple[Values, str]:
        """Recomputed as known then, and what `then` was (Y2)."""
        plan = self._plan(row)
        at_us, known_us = _instant(row, "asOf"), _instant(row, "timestamp")
        entity = entity_value(plan, row["entity"]["S"])
        versions = {table.name: self._versions(plan, table, entity) for table in _tables(plan)}
        past = Past(plan, versions)
        sent = _numbers(orjson.loads(row["request"]["S"])["given"])
        given = {name: sent.get(each.name, each.default) for name, each in plan.requested.items()}

        def at(position: int | None) -> Values:
            return transform(plan, past.features(entity, at_us, position, given, known_us))

        position = int(row["streamPosition"]["S"]) if "streamPosition" in row else None
        for number, source in enumerate(plan.sources):
            rows = past.rows(number, entity, at_us, position, known_us)
            found.ages_us[f"{source.table.name}.{source.time}"] = at_us - rows[-1][0] if rows else None
        if position is not None:
            return at(position), f"stream position {position:021d}"
        values = at(None)
        if _fits(values, logged):
            return values, f"what was known at {row['timestamp']['S']}"
        around = _positions_around(versions, known_us, float(row["latencyMs"]["N"]))
        for tried in around:
            if _fits(other := at(tried), logged):
                return (
                    other,
                    f"stream position {tried:021d}, the one around that time that gives the logged values",
                )
        return (
            values,
            f"what was known at {row['timestamp']['S']}; none of {len(around)} moments around it fits",
        )

    def _plan(self, row: Mapping[str, Any]) -> Plan:
        name = row["predictor"]["S"]
        if name not in self._app.predictors:
            raise UsageError(f"the application declares no predictor {name!r} any more")
        return compile_set(self._app.predictors[name].features)

    def _versions(self, plan: Plan, table: Table, entity: Mapping[str, str]) -> list[Version]:
        [text] = entity.values()
        held = self._held.get((table.name, plan.entity, text))
        if held is not None:
            return held
        return versions_of_entity(self._history, table, plan.entity, entity, self._tail)

    def _predict(
        self, row: Mapping[str, Any], features: Mapping[str, Any], notes: list[str]
    ) -> dict[str, Any]:
        version = self._registry.get(row["modelName"]["S"], row["modelVersion"]["S"])
        declared = self._app.predictors[row["predictor"]["S"]].threshold
        threshold = version.threshold if declared is None else declared
        if version.format not in IN_PROCESS:
            if not self._run_python:
                notes.append(f"{version.name} is a {version.format} model, whose code is not run here")
                return {}
            model = cloudpickle.loads(self._registry.content(version))
            [answer] = answers_of(model, [dict(features)])
            found = prediction_of(answer, version.classes, threshold)
        else:
            loaded = load_model(version, self._registry.content(version))
            score = loaded.score_one(loaded.signature.vector(features))
            found = decide(score, loaded.classes, threshold)
        return {"prediction": found.label, "probability": found.probability}

    def why(self, request_id: str) -> Chain:
        row = self.row(request_id)
        version = self._registry.get(row["modelName"]["S"], row["modelVersion"]["S"])
        events, sql = self._events(row) if "entity" in row else ([], [])
        return Chain(
            row=row,
            events=events,
            features=orjson.loads(row["inputData"]["S"]),
            model={
                "name": version.name,
                "format": version.format,
                "data": version.data,
                "gate": version.gate,
                "createdAt": version.created_at,
                "createdBy": version.created_by,
                "contributions": self._contributions(version, row),
            },
            answer=orjson.loads(row["output"]["S"]),
            sql=sql,
        )

    def _contributions(self, version: Any, row: Mapping[str, Any]) -> dict[str, float]:
        """What each column of a linear model adds to its sum; empty for others."""
        if version.format != "linear":
            return {}
        model: Any = load_model(version, self._registry.content(version))
        if len(model.coefficients) != 1:
            return {}
        values = numpy.array(model.signature.vector(orjson.loads(row["inputData"]["S"])))
        parts = numpy.array(model.coefficients[0]) * values
        names = [column.name for column in model.signature.columns]
        return {"(intercept)": model.intercepts[0]} | dict(zip(names, parts.tolist(), strict=True))

    def _events(self, row: Mapping[str, Any]) -> tuple[list[dict[str, Any]], list[str]]:
        plan = self._plan(row)
        at_us, known_us = _instant(row, "asOf"), _instant(row, "timestamp")
        entity = entity_value(plan, row["entity"]["S"])
        position = int(row["streamPosition"]["S"]) if "streamPosition" in row else None
        events: list[dict[str, Any]] = []
        sql: list[str] = []
        for source in plan.sources:
            table = source.table
            window_us = source.window_us
            low_us = None if window_us is None else at_us - window_us
            known = [
                (placed[0], version)
                for version in self._versions(plan, table, entity)
                if (placed := source.row(version.item)) is not None
                and placed[0] <= at_us
                and version.known_at(position, known_us)
            ]
            inside = [each for each in known if low_us is None or each[0] > low_us]
            chosen = {
                id(version): (instant, version) for instant, version in (*inside, *_reached(source, known))
            }
            if low_us is not None:
                low_us = min([low_us, *(instant - 1 for instant, _ in chosen.values())])
            [text] = entity.values()
            sql.append(why_sql(table, plan.entity, text, source.time, low_us, at_us, position))
            events += [
                {"table": table.name, "position": f"{version.position:021d}", "item": version.item}
                for _, version in chosen.values()
            ]
        events.sort(key=lambda each: (each["table"], each["position"]))
        return events, sql


def _reached(source: Source, known: Sequence[tuple[int, Version]]) -> Iterator[tuple[int, Version]]:
    """The one event that each of `since_last`, `last`, `since_first` and `first` without a window comes from."""
    for measure in source.measures:
        fitting = [each for each in known if measure.end is not None and _is_looked_at(measure, each[1].item)]
        if fitting:
            end = max if measure.end == "last" else min
            yield end(fitting, key=lambda each: (each[0], source.ties(each[1].item)))


def _is_looked_at(measure: Measure, item: dict[str, Any]) -> bool:
    if measure.matches is not None and not measure.matches(item):
        return False
    held = item.get(measure.attribute)
    return not measure.attribute or (held is not None and scalar(held) is not None)


AROUND_US = 2_000_000  # AWS tells the time of a change in whole seconds.
TRIED_MAX = 1000


def _positions_around(
    versions: Mapping[str, Sequence[Version]], known_us: int, latency_ms: float
) -> list[int]:
    """Positions at which the entity's events changed near a moment, and the one before them all: the nearest first."""
    low_us, high_us = known_us - AROUND_US, known_us + int(latency_ms * 1000) + AROUND_US
    found: dict[int, int] = {}
    for each in (version for held in versions.values() for version in held):
        for position, commit_us in ((each.position, each.commit_us), (each.until_position, each.until_us)):
            if low_us <= commit_us <= high_us:
                found[position] = abs(commit_us - known_us)
                found.setdefault(position - 1, abs(commit_us - known_us))
    return sorted(found, key=lambda position: (found[position], position))[:TRIED_MAX]


def _fits(values: Mapping[str, Any], logged: Mapping[str, Any]) -> bool:
    return all(values[name] == held for name, held in logged.items() if name in values)


def _instant(row: Mapping[str, Any], name: str) -> int:
    found = instant_of_text(row[name]["S"])
    assert found is not None
    return found


def _tables(plan: Plan) -> list[Table]:
    return list({source.table.name: source.table for source in plan.sources}.values())


def _numbers(given: Mapping[str, Any]) -> dict[str, float | None]:
    return {name: None if value is None else float(value) for name, value in given.items()}


def why_sql(
    table: Table,
    entity: str,
    id_: str,
    time: str,
    low_us: int | None,
    at_us: int,
    position: int | None,
) -> str:
    """The question to the lake that finds the events: what the raw log had of the entity until that position."""
    quoted = id_.replace("'", "''")
    kind = table.key_types.get(entity, "S")
    text = [
        f'SELECT sequence, operation, new_image FROM raw."{table.name}"',
        f"WHERE (new_image ->> {json_path(entity, kind)}) = '{quoted}'",
    ]
    if table.key_types.get(time, "S") == "S":  # A little wide, as the Query is; numbers are not bounded here.
        low, high = text_range(at_us if low_us is None else low_us, at_us)
        text.append(f"  AND (new_image ->> {json_path(time, 'S')}) < '{high}'")
        if low_us is not None:
            text.append(f"  AND (new_image ->> {json_path(time, 'S')}) >= '{low}'")
    if position is not None:
        text.append(f"  AND sequence <= '{position:021d}'")
    return "\n".join([*text, "ORDER BY sequence"])
