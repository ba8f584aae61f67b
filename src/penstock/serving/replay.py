"""An inference looked at again: its row, the events that it came from, and whether the same answer comes out today.

Y1. A replay takes the features as the source tables held them at the row's stream position, the version of the model that the row
    names, and the arithmetic that answered then. What comes out is the same bits, or a difference that is named.
Y2. Where no position is on record (another store than this process' engine), features are recomputed as known at the row's time;
    a difference then may be an event that was on its way.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy
import orjson

from penstock.app.application import App
from penstock.app.tables import Table
from penstock.errors import UsageError
from penstock.features.definition import Plan, Values, compile_set, request_values, transform
from penstock.features.history import Sql, StreamClient, Version, versions_of_entity
from penstock.features.instants import instant_of_text, text_range
from penstock.features.offline import Past
from penstock.features.online import entity_value
from penstock.models.prediction import decide
from penstock.models.registry import Registry
from penstock.models.runtime import IN_PROCESS, load_model
from penstock.serving.inference_log import TABLE


@dataclass(frozen=True)
class Replay:
    """What a replay found. `differences` is empty where every bit is the same."""

    request_id: str
    logged: dict[str, Any]
    recomputed: dict[str, Any]
    differences: list[str] = field(default_factory=list)


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

    def __init__(self, app: App, client: Any, registry: Registry, lake: Sql | None = None) -> None:
        self._app, self._client, self._registry = app, client, registry
        self._history: Sql | StreamClient = client if lake is None else lake

    def row(self, request_id: str) -> dict[str, Any]:
        answer = self._client.get_item(
            TableName=TABLE, Key={"requestId": {"S": request_id}}, ConsistentRead=True
        )
        if "Item" not in answer:
            raise UsageError(f"there is no inference {request_id!r} in {TABLE}")
        item: dict[str, Any] = answer["Item"]
        return item

    def replay(self, request_id: str) -> Replay:
        row = self.row(request_id)
        logged = {"features": orjson.loads(row["inputData"]["S"]), **orjson.loads(row["output"]["S"])}
        features = self._features(row)
        differences: list[str] = []
        if features is None:
            features = logged["features"]
        else:
            differences += [
                f"{name}: {logged['features'].get(name)!r} then, {value!r} now{self._reason(row)}"
                for name, value in features.items()
                if logged["features"].get(name) != value
            ]
        recomputed: dict[str, Any] = {"features": features, **self._predict(row, features, differences)}
        for name in ("prediction", "probability"):
            if name in recomputed and logged[name] != recomputed[name]:
                differences.append(f"{name}: {logged[name]!r} then, {recomputed[name]!r} now")
        return Replay(request_id, logged, recomputed, differences)

    def _reason(self, row: Mapping[str, Any]) -> str:
        if "streamPosition" not in row:
            return " (no stream position is on record: an event may have been on its way)"
        return " (the history no longer tells what the table held, or the feature's definition changed)"

    def _features(self, row: Mapping[str, Any]) -> Values | None:
        """Recomputed as known then; None where the features came with the request."""
        if "entity" not in row:
            return None
        plan = self._plan(row)
        at_us = instant_of_text(row["asOf"]["S"])
        assert at_us is not None
        entity = entity_value(plan, row["entity"]["S"])
        past = Past(plan, {table.name: self._versions(plan, table, entity) for table in _tables(plan)})
        position = int(row["streamPosition"]["S"]) if "streamPosition" in row else None
        given = request_values(plan, _numbers(orjson.loads(row["request"]["S"])["given"]))
        known_us = instant_of_text(row["timestamp"]["S"])
        return transform(plan, past.features(entity, at_us, position, given, known_us))

    def _plan(self, row: Mapping[str, Any]) -> Plan:
        name = row["predictor"]["S"]
        if name not in self._app.predictors:
            raise UsageError(f"the application declares no predictor {name!r} any more")
        return compile_set(self._app.predictors[name].features)

    def _versions(self, plan: Plan, table: Table, entity: Mapping[str, str]) -> list[Version]:
        return versions_of_entity(self._history, table, plan.entity, entity)

    def _predict(
        self, row: Mapping[str, Any], features: Mapping[str, Any], differences: list[str]
    ) -> dict[str, Any]:
        version = self._registry.get(row["modelName"]["S"], row["modelVersion"]["S"])
        if version.format not in IN_PROCESS:
            differences.append(f"{version.name} is a {version.format} model, which is not run again")
            return {}
        model = load_model(version, self._registry.content(version))
        score = model.score_one(model.signature.vector(features))
        declared = self._app.predictors[row["predictor"]["S"]].threshold
        found = decide(score, model.classes, version.threshold if declared is None else declared)
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
        at_us = instant_of_text(row["asOf"]["S"])
        assert at_us is not None
        entity = entity_value(plan, row["entity"]["S"])
        position = int(row["streamPosition"]["S"]) if "streamPosition" in row else None
        known_us = instant_of_text(row["timestamp"]["S"]) or at_us
        events: list[dict[str, Any]] = []
        sql: list[str] = []
        for source in plan.sources:
            table = source.table
            window_us = source.window_us
            low_us = None if window_us is None else at_us - window_us
            sql.append(why_sql(table, plan.entity, row["entity"]["S"], source.time, low_us, at_us, position))
            known = [
                (placed[0], version)
                for version in self._versions(plan, table, entity)
                if (placed := source.row(version.item)) is not None
                and placed[0] <= at_us
                and version.known_at(position, known_us)
            ]
            inside = [version for instant, version in known if low_us is None or instant > low_us]
            if not inside and known and any(measure.end for measure in source.measures):
                inside = [max(known, key=lambda each: each[0])[1]]  # What `since_last` reached back for.
            events += [
                {"table": table.name, "position": f"{version.position:021d}", "item": version.item}
                for version in inside
            ]
        events.sort(key=lambda each: (each["table"], each["position"]))
        return events, sql


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
        f"WHERE (new_image ->> '$.{entity}.{kind}') = '{quoted}'",
    ]
    if table.key_types.get(time, "S") == "S":  # A little wide, as the Query is; numbers are not bounded here.
        low, high = text_range(at_us if low_us is None else low_us, at_us)
        text.append(f"  AND (new_image ->> '$.{time}.S') < '{high}'")
        if low_us is not None:
            text.append(f"  AND (new_image ->> '$.{time}.S') >= '{low}'")
    if position is not None:
        text.append(f"  AND sequence <= '{position:021d}'")
    return "\n".join([*text, "ORDER BY sequence"])
