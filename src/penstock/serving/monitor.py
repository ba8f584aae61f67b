"""Is the model still right? The log of a while, held against the training set, the history and the labels that came since.

A report says for one predictor and time range: volume, errors, latency, the spread of predictions and of each feature (PSI, KS,
nulls) against training, staleness (how old the latest event was, for each source and each feature that tells a time since),
skew (logged features against the same recomputed offline), and, where labels are there, accuracy, AUC, Brier score and
calibration. Bounds make alerts of it (`DEFAULT_BOUNDS`; a predictor declares others with monitor={"psi": 0.1}); what so few
rows can show by chance (B4 of models/baseline.py) is no alert.

    penstock_alerts: predictor, at#measure → value, bound, message; each alert is logged, and posted to a webhook where there is one
"""

from __future__ import annotations

import json
import logging
import math
import re
import urllib.request
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from penstock.app.application import App
from penstock.app.features import Aggregate, FeatureSet
from penstock.app.predictors import DEFAULT_BOUNDS
from penstock.errors import ServiceError, UsageError
from penstock.features.instants import DAY_US, instant_of_text, text_of
from penstock.features.windows import Value
from penstock.models import baseline
from penstock.models.registry import Registry, split_name
from penstock.serving.inference_log import CHAMPION, TABLE
from penstock.serving.replay import Inferences, Replay

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
ROWS_MAX = 1_000_000  # Of a while; the latest.
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
    read: int = 0  # Of those, the latest that everything but the volume is told of.
    by_version: dict[str, int] = field(default_factory=dict)
    by_prediction: dict[str, int] = field(default_factory=dict)
    latency_ms: dict[str, float] = field(default_factory=dict)
    drift: dict[str, dict[str, float]] = field(default_factory=dict)
    spreads: dict[str, dict[str, Any]] = field(default_factory=dict)
    trained: dict[str, Any] = field(default_factory=dict)
    staleness: dict[str, dict[str, float | None]] = field(default_factory=dict)
    errors: dict[str, Any] = field(default_factory=dict)
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


def lake_log(
    lake: Any, predictor: str, from_us: int, to_us: int, rows_max: int = ROWS_MAX
) -> tuple[int, list[Row]]:
    """How many there are, and the latest of them, from the lake."""
    quoted = predictor.replace("'", "''")
    chosen = (
        f"FROM current.\"{TABLE}\" WHERE predictor = '{quoted}' AND role = '{CHAMPION}' "
        f"AND \"timestamp\" BETWEEN '{text_of(from_us)}' AND '{text_of(to_us)}'"
    )
    count = lake.sql(f"SELECT count(*) AS n {chosen}").table.to_pylist()[0]["n"]
    latest = lake.sql(f'SELECT * {chosen} ORDER BY "timestamp" DESC LIMIT {rows_max}').table.to_pylist()
    return count, [
        _row({name: value for name, value in item.items() if value is not None}) for item in latest
    ]


def labels_of(lake: Any, query: str) -> dict[str, Any]:
    """What came true, as a query of the lake tells it: `requestId` or `entity`, and `label`; null is not known yet."""
    found: dict[str, Any] = {}
    for row in lake.sql(query).table.to_pylist():
        named = {name.lower(): value for name, value in row.items()}
        key = named.get("requestid", named.get("entity"))
        if key is None or "label" not in named:
            raise UsageError("a query of labels has the columns requestId (or entity) and label")
        if named["label"] is not None:
            found[str(key)] = named["label"]
    return found


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
        run_python: bool = False,
        post: Callable[[str, bytes], None] | None = None,
    ) -> None:
        self._app, self._client, self._registry, self._lake = app, client, registry, lake
        self._inferences = Inferences(app, client, registry, lake, run_python=run_python)
        self._webhook, self._post = webhook, post or _post

    def report(
        self,
        predictor: str,
        from_us: int,
        to_us: int,
        *,
        labels: Mapping[str, Any] | None = None,
        skew_rows: int = 100,
        errors: Mapping[str, int] | None = None,
        rows_max: int = ROWS_MAX,
    ) -> Report:
        """`labels` are what came true, by request id or by entity. `errors` are counts by code, as `errors_of` reads them."""
        if predictor not in self._app.predictors:
            raise UsageError(f"the application declares no predictor {predictor!r}")
        declared = self._app.predictors[predictor]
        count, rows = self._rows(predictor, from_us, to_us, rows_max)
        report = Report(predictor, from_us, to_us, rows=count, read=len(rows))
        model, chosen = split_name(declared.model)
        trained = self._registry.get(model, chosen)
        _describe(report, rows)
        report.trained = {"version": trained.number, "metrics": dict(trained.metrics)}
        report.errors = error_rate(errors or {}, count)
        report.drift = drift(trained.baseline, rows)
        report.spreads = spreads(trained.baseline, rows)
        asked = [row.request_id for row in (rows[-skew_rows:] if skew_rows else []) if row.entity is not None]
        replays = self._inferences.replay_many(asked)
        report.skew = skew(replays, len(asked) - len(replays))
        report.staleness = {
            **staleness_of_features(declared.features, rows),
            **staleness_of_sources(replays),
        }
        if labels:
            report.live = live(rows, labels, trained.classes)
        bounds = {**DEFAULT_BOUNDS, **(declared.monitor or {})}
        report.alerts = alerts(report, trained.baseline, trained.metrics, bounds)
        return report

    def _rows(self, predictor: str, from_us: int, to_us: int, rows_max: int) -> tuple[int, list[Row]]:
        def order(row: Row) -> tuple[int, str]:
            return row.at_us, row.request_id

        if self._lake is not None:
            count, latest = lake_log(self._lake, predictor, from_us, to_us, rows_max)
            return count, sorted(latest, key=order)
        rows = sorted(read_log(self._client, predictor, from_us, to_us), key=order)
        return len(rows), rows[-rows_max:]

    def keep(self, report: Report, *, shown: bool = False) -> None:
        """Alerts go to the log, the table and the webhook. `shown`: who would read the log has them before the eyes."""
        if not report.alerts:
            return
        try:
            self._client.create_table(**DEFINITION)
        except ServiceError as error:
            if error.code != "ResourceInUseException":
                raise
        for alert in report.alerts:
            if not shown:
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


def skew(replays: Sequence[Replay], gone: int) -> dict[str, Any]:
    """Logged feature values against the same recomputed from the history. `gone`: rows that were read and are no longer in the
    table, because they expired or were deleted while the lake still has them."""
    differing = [each for each in replays if each.feature_differences]
    return {
        "rows": len(replays),
        "gone": gone,
        "differing": len(differing),
        "requestIds": [each.request_id for each in differing[:10]],
        "examples": [each.feature_differences[0] for each in differing[:3]],
    }


def staleness_of_features(features: FeatureSet, rows: Sequence[Row]) -> dict[str, dict[str, float | None]]:
    """Of each feature that tells the days since an event."""
    names = [
        name
        for name, each in features.features.items()
        if isinstance(each, Aggregate) and each.kind in ("since_last", "since_first")
    ]
    return {name: _ages([_number(row.features.get(name)) for row in rows]) for name in names}


def staleness_of_sources(replays: Sequence[Replay]) -> dict[str, dict[str, float | None]]:
    """Of each source: how old an entity's latest event was, whatever the features tell of it. `newest_days` is the youngest
    event of all entities: that of a source which nothing arrives in any more only grows."""
    names = dict.fromkeys(name for each in replays for name in each.ages_us)
    return {name: _ages([_days(each.ages_us.get(name)) for each in replays]) for name in names}


def _ages(days: Sequence[float | None]) -> dict[str, float | None]:
    known = sorted(each for each in days if each is not None)
    if not known:
        return {"newest_days": None, "median_days": None, "p90_days": None, "without": float(len(days))}
    return {
        "newest_days": known[0],
        "median_days": known[len(known) // 2],
        "p90_days": known[int(len(known) * 0.9)],
        "without": float(len(days) - len(known)),
    }


def _days(age_us: int | None) -> float | None:
    return None if age_us is None else age_us / DAY_US


def _number(value: Value) -> float | None:
    return None if value is None or isinstance(value, str) else float(value)


_FAILED = re.compile(r"^penstock_prediction_failures_total\{(?P<labels>[^}]*)\} (?P<count>\S+)", re.MULTILINE)
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
# Without ModelMissing: who asked before the first promotion asked no model. Later it cannot come, for an alias never goes away.
OWN_FAULTS = ("ModelFailed", "ModelUnavailable", "StoreFailed", "TableMissing")


def errors_of(metrics: str, predictor: str) -> dict[str, int]:
    """Requests of a predictor that were refused or failed since its process started, by code, from the text of `/metrics`."""
    found: dict[str, int] = {}
    for line in _FAILED.finditer(metrics):
        labels = dict(_LABEL.findall(line["labels"]))
        if labels.get("predictor") == predictor:
            found[labels["code"]] = found.get(labels["code"], 0) + int(float(line["count"]))
    return found


def error_rate(errors: Mapping[str, int], answered: int) -> dict[str, Any]:
    """What the caller did wrong, or asked too early, is counted, and no part of the rate."""
    own = sum(count for code, count in errors.items() if code in OWN_FAULTS)
    return {"by_code": dict(errors), "rate": own / (own + answered)} if errors else {}


def drift(trained: Mapping[str, baseline.Spread], rows: Sequence[Row]) -> dict[str, dict[str, float]]:
    """PSI, KS and nulls of each feature and of the prediction against training."""
    found: dict[str, dict[str, float]] = {}
    for name, spread in trained.items():
        seen = _seen(name, spread, rows)
        found[name] = {
            "psi": baseline.psi(spread, seen),
            "psi_by_chance": baseline.psi_by_chance(spread, seen),
            "ks": baseline.ks(spread, seen),
            "ks_by_chance": baseline.ks_by_chance(spread, seen),
            "null_rate": baseline.null_rate(seen),
            "null_rate_trained": baseline.null_rate(spread),
        }
    return found


def _seen(name: str, spread: baseline.Spread, rows: Sequence[Row]) -> baseline.Spread:
    values: list[Value]
    if name == "/" + baseline.OUTPUT:
        values = [row.prediction if row.probability is None else row.probability for row in rows]
    else:
        values = [row.features.get(name) for row in rows]
    return baseline.fold(spread, values)


def spreads(trained: Mapping[str, baseline.Spread], rows: Sequence[Row]) -> dict[str, dict[str, Any]]:
    """The share of each bin then and now, for a picture: numbers by their upper edge (the last has none), texts by name. Nulls
    are the last."""
    found: dict[str, dict[str, Any]] = {}
    for name, spread in trained.items():
        seen = _seen(name, spread, rows)
        bins = list(spread["counts"]) if spread["kind"] == "text" else [*spread["edges"], None]
        found[name] = {
            "kind": spread["kind"],
            "bins": bins,
            "trained": baseline.shares(spread),
            "live": baseline.shares(seen),
            "mean_trained": spread.get("mean"),
            "mean_live": seen.get("mean"),
        }
    return found


def live(rows: Sequence[Row], labels: Mapping[str, Any], classes: Sequence[Any]) -> dict[str, Any]:
    """How right the answers were whose label has come: accuracy, AUC, Brier score and calibration, or the errors of numbers."""
    joined = [
        (row, labels[key])
        for row in rows
        if (key := row.request_id if row.request_id in labels else row.entity or "") in labels
    ]
    if not joined:
        return {"rows": 0}
    if not classes and all(
        isinstance(row.prediction, float) and row.probability is None for row, _ in joined
    ):
        errors = [float(label) - row.prediction for row, label in joined]
        return {
            "rows": len(joined),
            "mean_absolute_error": sum(map(abs, errors)) / len(errors),
            "root_mean_squared_error": math.sqrt(sum(each * each for each in errors) / len(errors)),
        }
    right = sum(_same(row.prediction, label) for row, label in joined)
    found: dict[str, Any] = {"rows": len(joined), "accuracy": right / len(joined)}
    pair = list(classes) if len(classes) == 2 else [0, 1]
    scored = [
        (row.probability, int(_same(pair[1], label)))
        for row, label in joined
        if row.probability is not None and len(classes) in (0, 2) and any(_same(each, label) for each in pair)
    ]
    if scored:
        found["brier"] = sum((p - label) ** 2 for p, label in scored) / len(scored)
        ranked = _auc(scored)
        if ranked is not None:
            found["auc"] = ranked
        found["calibration"] = _calibration(scored)
        found["miscalibration"] = _miscalibration(found["calibration"])
    return found


def _same(said: Any, label: Any) -> bool:
    """1, 1.0, true and "1" are one label: they come from JSON, from SQL and from people."""
    return str(said) == str(label) or _plain(said) == _plain(label)


def _plain(label: Any) -> str:
    text = str(label).lower()
    text = {"true": "1", "false": "0"}.get(text, text)
    return text[:-2] if text.endswith(".0") else text


def _auc(scored: Sequence[tuple[float, int]]) -> float | None:
    """How often one that came true is ranked above one that did not; ties count half."""
    positives = sum(label for _, label in scored)
    if not 0 < positives < len(scored):
        return None
    ordered = sorted(p for p, _ in scored)
    ranks = sum((bisect_left(ordered, p) + bisect_right(ordered, p) + 1) / 2 for p, label in scored if label)
    return (ranks - positives * (positives + 1) / 2) / (positives * (len(scored) - positives))


def _calibration(scored: Sequence[tuple[float, int]]) -> list[dict[str, float]]:
    bins: list[list[tuple[float, int]]] = [[] for _ in range(BINS)]
    for p, label in scored:
        bins[min(BINS - 1, int(p * BINS))].append((p, label))
    return [
        {
            "rows": len(each),
            "predicted": sum(p for p, _ in each) / len(each),
            "came_true": sum(label for _, label in each) / len(each),
        }
        for each in bins
        if each
    ]


def _miscalibration(bins: Sequence[Mapping[str, float]]) -> float:
    """The mean distance between what was predicted and what came true, beyond what so few rows do by chance."""
    total = sum(each["rows"] for each in bins)
    return sum(
        each["rows"]
        / total
        * max(0.0, abs(each["predicted"] - each["came_true"]) - _by_chance(each["predicted"], each["rows"]))
        for each in bins
    )


def _by_chance(share: float, rows: float) -> float:
    """How far the share of so many rows strays: three standard deviations."""
    return 3 * math.sqrt(max(share * (1 - share), 0.25 / rows) / rows)


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
    if report.read >= ROWS_MIN:
        for name, measured in report.drift.items():
            shown = name.lstrip("/")
            if measured["psi"] > measured["psi_by_chance"]:
                check(f"psi/{shown}", measured["psi"], "psi", f"the drift (PSI) of {shown}")
            if trained[name]["kind"] == "number" and measured["ks"] > measured["ks_by_chance"]:
                check(f"ks/{shown}", measured["ks"], "ks", f"the drift (KS) of {shown}")
            rise = measured["null_rate"] - measured["null_rate_trained"]
            if rise > _by_chance(measured["null_rate_trained"], report.read):
                check(f"nulls/{shown}", rise, "null_rate_rise", f"the rise of the null rate of {shown}")
        if report.errors:
            check("errors", report.errors["rate"], "error_rate", "the share of requests that failed")
    for name, ages in report.staleness.items():
        if "." in name and ages["newest_days"] is not None:
            check(f"staleness/{name}", ages["newest_days"], "staleness_days", f"the age in days of the newest event of {name}")  # fmt: skip
    if report.latency_ms:
        check("latency", report.latency_ms["p99"], "latency_p99_ms", "the p99 of latency in ms")
    if report.skew.get("rows"):
        check("skew", report.skew["differing"] / report.skew["rows"], "skew", "the share of skewed features")
    if report.live.get("rows", 0) >= ROWS_MIN:
        for measure in ("accuracy", "auc"):
            if measure in report.live and measure in metrics:
                drop = float(metrics[measure]) - report.live[measure]
                if drop > _by_chance(float(metrics[measure]), report.live["rows"]):
                    check(measure, drop, f"{measure}_drop", f"the drop of {measure} since training")
        check(
            "calibration",
            report.live.get("miscalibration", 0.0),
            "calibration",
            "the miscalibration beyond chance",
        )
    return found
