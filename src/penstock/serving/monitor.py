"""Is the model still right? The log of a while, held against the training set, the history and the labels that came since.

A report says for one predictor and time range: volume, latency, the spread of predictions and of each feature (PSI, KS, nulls)
against training, staleness (how old the latest event was), skew (logged features against the same recomputed offline),
and, where labels are there, accuracy, Brier score and calibration. Bounds make alerts of it (`DEFAULT_BOUNDS`; a predictor
declares others with monitor={"psi": 0.1}).

    penstock_alerts: predictor, at#measure → value, bound, message; each alert is logged, and posted to a webhook where there is one
"""

from __future__ import annotations

import json
import logging
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from penstock.app.application import App
from penstock.errors import ServiceError, UsageError
from penstock.features.instants import instant_of_text, text_of
from penstock.features.windows import Value
from penstock.models import baseline
from penstock.models.registry import Registry, split_name
from penstock.serving.inference_log import CHAMPION, TABLE
from penstock.serving.replay import Inferences

log = logging.getLogger("penstock.monitor")

ALERTS = "penstock_alerts"
DEFINITION: dict[str, Any] = {
    "TableName": ALERTS,
    "AttributeDefinitions": [
        {"AttributeName": "predictor", "AttributeType": "S"},
        {"AttributeName": "at", "AttributeType": "S"},
    ],
    "KeySchema": [
        {"AttributeName": "predictor", "KeyType": "HASH"},
        {"AttributeName": "at", "KeyType": "RANGE"},
    ],
    "BillingMode": "PAY_PER_REQUEST",
}
DEFAULT_BOUNDS: dict[str, float] = {
    "psi": 0.25,
    "ks": 0.3,
    "null_rate_rise": 0.2,
    "latency_p99_ms": 100.0,
    "skew": 0.0,
    "accuracy_drop": 0.1,
    "volume_min": 0.0,
}
ROWS_MIN = 30  # Fewer rows say nothing about a spread.
WEBHOOK_S = 5.0
BINS = 10


@dataclass(frozen=True)
class Row:
    """A row of the log, read."""

    request_id: str
    at_us: int
    as_of_us: int
    entity: str | None
    version: str
    features: dict[str, Value]
    prediction: Any
    probability: float | None
    latency_ms: float


@dataclass(frozen=True)
class Alert:
    measure: str
    value: float
    bound: float
    message: str


@dataclass
class Report:
    predictor: str
    from_us: int
    to_us: int
    rows: int = 0
    by_version: dict[str, int] = field(default_factory=dict)
    by_prediction: dict[str, int] = field(default_factory=dict)
    latency_ms: dict[str, float] = field(default_factory=dict)
    drift: dict[str, dict[str, float]] = field(default_factory=dict)
    staleness_days: float | None = None
    skew: dict[str, Any] = field(default_factory=dict)
    live: dict[str, Any] = field(default_factory=dict)
    alerts: list[Alert] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        return {
            **{name: held for name, held in self.__dict__.items() if name not in ("alerts", "from_us", "to_us")},
            "from": text_of(self.from_us),
            "to": text_of(self.to_us),
            "alerts": [alert.__dict__ for alert in self.alerts],
        }  # fmt: skip


def read_log(client: Any, predictor: str, from_us: int, to_us: int) -> Iterator[Row]:
    """The champion's rows of a time range. It reads the whole log: a large one is asked in the lake instead (`lake_log`)."""
    request: dict[str, Any] = {
        "TableName": TABLE,
        "FilterExpression": "#p = :p AND #t BETWEEN :f AND :u",
        "ExpressionAttributeNames": {"#p": "predictor", "#t": "timestamp"},
        "ExpressionAttributeValues": {
            ":p": {"S": predictor},
            ":f": {"S": text_of(from_us)},
            ":u": {"S": text_of(to_us)},
        },
    }
    while True:
        page = client.scan(**request)
        for item in page["Items"]:
            if item["role"]["S"] == CHAMPION:
                yield _row({name: next(iter(value.values())) for name, value in item.items()})
        if "LastEvaluatedKey" not in page:
            return
        request["ExclusiveStartKey"] = page["LastEvaluatedKey"]


def lake_log(lake: Any, predictor: str, from_us: int, to_us: int) -> Iterator[Row]:
    """The same rows, from the lake."""
    quoted = predictor.replace("'", "''")
    query = (
        f"SELECT * FROM current.\"{TABLE}\" WHERE predictor = '{quoted}' AND role = '{CHAMPION}' "
        f"AND \"timestamp\" BETWEEN '{text_of(from_us)}' AND '{text_of(to_us)}'"
    )
    for item in lake.sql(query).table.to_pylist():
        yield _row({name: value for name, value in item.items() if value is not None})


def _row(item: Mapping[str, Any]) -> Row:
    output = orjson.loads(item["output"])
    at_us, as_of_us = instant_of_text(item["timestamp"]), instant_of_text(item["asOf"])
    assert at_us is not None
    assert as_of_us is not None
    return Row(
        str(item["requestId"]),
        at_us,
        as_of_us,
        item.get("entity"),
        str(item["modelVersion"]),
        orjson.loads(item["inputData"]),
        output["prediction"],
        output["probability"],
        float(item["latencyMs"]),
    )


class Monitor:
    """Reports on one application."""

    def __init__(
        self,
        app: App,
        client: Any,
        registry: Registry,
        *,
        lake: Any = None,
        webhook: str | None = None,
        post: Callable[[str, bytes], None] | None = None,
    ) -> None:
        self._app, self._client, self._registry, self._lake = app, client, registry, lake
        self._inferences = Inferences(app, client, registry, lake)
        self._webhook, self._post = webhook, post or _post

    def report(
        self,
        predictor: str,
        from_us: int,
        to_us: int,
        *,
        labels: Mapping[str, Any] | None = None,
        skew_rows: int = 100,
    ) -> Report:
        """`labels` are what came true, by request id or by entity."""
        if predictor not in self._app.predictors:
            raise UsageError(f"the application declares no predictor {predictor!r}")
        declared = self._app.predictors[predictor]
        found = (read_log if self._lake is None else lake_log)(
            self._client if self._lake is None else self._lake, predictor, from_us, to_us
        )
        rows = sorted(found, key=lambda row: (row.at_us, row.request_id))
        report = Report(predictor, from_us, to_us, rows=len(rows))
        model, chosen = split_name(declared.model)
        trained = self._registry.get(model, chosen)
        _describe(report, rows)
        report.drift = drift(trained.baseline, rows)
        report.skew = self._skew(rows[-skew_rows:] if skew_rows else [])
        if labels:
            report.live = live(rows, labels)
        bounds = {**DEFAULT_BOUNDS, **(declared.monitor or {})}
        report.alerts = alerts(report, trained.baseline, trained.metrics, bounds)
        return report

    def _skew(self, rows: Sequence[Row]) -> dict[str, Any]:
        """Logged feature values against the same recomputed from the history."""
        asked = [row for row in rows if row.entity is not None]
        differing: list[str] = []
        examples: list[str] = []
        for row in asked:
            found = self._inferences.replay(row.request_id)
            if found.differences:
                differing.append(row.request_id)
                examples += found.differences[:1]
        return {
            "rows": len(asked),
            "differing": len(differing),
            "requestIds": differing[:10],
            "examples": examples[:3],
        }

    def keep(self, report: Report) -> None:
        """Alerts go to the log, the table and the webhook."""
        if not report.alerts:
            return
        try:
            self._client.create_table(**DEFINITION)
        except ServiceError as error:
            if error.code != "ResourceInUseException":
                raise
        for alert in report.alerts:
            log.warning("%s: %s", report.predictor, alert.message)
            self._client.put_item(
                TableName=ALERTS,
                Item={
                    "predictor": {"S": report.predictor},
                    "at": {"S": f"{text_of(report.to_us)}#{alert.measure}"},
                    "value": {"N": f"{alert.value:.9g}"},
                    "bound": {"N": f"{alert.bound:.9g}"},
                    "message": {"S": alert.message},
                },
            )
        if self._webhook is not None:
            body = {"predictor": report.predictor, "alerts": [alert.__dict__ for alert in report.alerts]}
            try:
                self._post(self._webhook, json.dumps(body).encode())
            except OSError as error:
                # The alert is in the table; that nobody heard of it is worth a line, not the report.
                log.error("the webhook did not take the alert: %s", error)


def _post(url: str, body: bytes) -> None:
    if not url.startswith(("http://", "https://")):
        raise UsageError(f"{url} is no http address")
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=WEBHOOK_S):
        pass


def _describe(report: Report, rows: Sequence[Row]) -> None:
    for row in rows:
        report.by_version[row.version] = report.by_version.get(row.version, 0) + 1
        shown = "number" if isinstance(row.prediction, float) else str(row.prediction)
        report.by_prediction[shown] = report.by_prediction.get(shown, 0) + 1
    latencies = sorted(row.latency_ms for row in rows)
    if latencies:
        report.latency_ms = {
            name: latencies[min(len(latencies) - 1, int(share * len(latencies)))]
            for name, share in (("p50", 0.5), ("p90", 0.9), ("p99", 0.99))
        }
    known = [
        float(value)
        for row in rows
        if (value := row.features.get("days_since_last")) is not None and not isinstance(value, str)
    ]
    report.staleness_days = sorted(known)[len(known) // 2] if known else None


def drift(trained: Mapping[str, baseline.Spread], rows: Sequence[Row]) -> dict[str, dict[str, float]]:
    """PSI, KS and nulls of each feature and of the prediction against training."""
    found: dict[str, dict[str, float]] = {}
    for name, spread in trained.items():
        values: list[Value]
        if name == "/" + baseline.OUTPUT:
            values = [row.prediction if row.probability is None else row.probability for row in rows]
        else:
            values = [row.features.get(name) for row in rows]
        seen = baseline.fold(spread, values)
        found[name] = {
            "psi": baseline.psi(spread, seen),
            "ks": baseline.ks(spread, seen),
            "null_rate": baseline.null_rate(seen),
            "null_rate_trained": baseline.null_rate(spread),
        }
    return found


def live(rows: Sequence[Row], labels: Mapping[str, Any]) -> dict[str, Any]:
    """Accuracy, Brier score and calibration over the rows whose label has come."""
    joined = [
        (row, labels[key])
        for row in rows
        if (key := row.request_id if row.request_id in labels else row.entity or "") in labels
    ]
    if not joined:
        return {"rows": 0}
    right = sum(str(row.prediction) == str(label) for row, label in joined)
    found: dict[str, Any] = {"rows": len(joined), "accuracy": right / len(joined)}
    scored = [(row.probability, int(float(label))) for row, label in joined if row.probability is not None and _is_01(label)]  # fmt: skip
    if scored:
        found["brier"] = sum((p - label) ** 2 for p, label in scored) / len(scored)
        bins: list[list[tuple[float, int]]] = [[] for _ in range(BINS)]
        for p, label in scored:
            bins[min(BINS - 1, int(p * BINS))].append((p, label))
        found["calibration"] = [
            {
                "rows": len(each),
                "predicted": sum(p for p, _ in each) / len(each),
                "came_true": sum(label for _, label in each) / len(each),
            }
            for each in bins
            if each
        ]
    return found


def _is_01(label: Any) -> bool:
    return str(label) in ("0", "1", "0.0", "1.0", "True", "False") and not isinstance(label, bool)


def alerts(
    report: Report,
    trained: Mapping[str, baseline.Spread],
    metrics: Mapping[str, Any],
    bounds: Mapping[str, float],
) -> list[Alert]:
    found: list[Alert] = []

    def check(measure: str, value: float, bound: str, says: str) -> None:
        if value > bounds[bound]:
            found.append(
                Alert(measure, value, bounds[bound], f"{says} is {value:.3g}, above {bounds[bound]:g}")
            )

    if report.rows < bounds["volume_min"]:
        found.append(
            Alert(
                "volume", report.rows, bounds["volume_min"], f"only {report.rows} predictions in this while"
            )
        )
    if report.rows >= ROWS_MIN:
        for name, measured in report.drift.items():
            shown = name.lstrip("/")
            check(f"psi/{shown}", measured["psi"], "psi", f"the drift (PSI) of {shown}")
            if trained[name]["kind"] == "number":
                check(f"ks/{shown}", measured["ks"], "ks", f"the drift (KS) of {shown}")
            rise = measured["null_rate"] - measured["null_rate_trained"]
            check(f"nulls/{shown}", rise, "null_rate_rise", f"the rise of the null rate of {shown}")
    if report.latency_ms:
        check("latency", report.latency_ms["p99"], "latency_p99_ms", "the p99 of latency in ms")
    if report.skew.get("rows"):
        check("skew", report.skew["differing"] / report.skew["rows"], "skew", "the share of skewed features")
    if "accuracy" in report.live and "accuracy" in metrics:
        drop = float(metrics["accuracy"]) - report.live["accuracy"]
        check("accuracy", drop, "accuracy_drop", "the drop of accuracy since training")
    return found
