"""The monitor: healthy traffic raises nothing, what moved is said, and an alert reaches log, table and webhook."""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import numpy
import pytest
from sklearn.linear_model import LinearRegression
from tests.landing import Landing
from tests.shop import Shop, storefront, trained

from penstock.errors import UsageError
from penstock.metrics.exposition import text
from penstock.models.register import TrainingRows, register
from penstock.serving.inference_log import TABLE
from penstock.serving.monitor import ALERTS, Monitor, Report, error_rate, errors_of, labels_of

_, TRAINING = trained()


@pytest.fixture(scope="module")
def shop() -> Shop:
    app = storefront()
    # The latency of a busy machine is no drift, and no business of these tests.
    app.predictors["will_buy"] = replace(app.predictors["will_buy"], monitor={"latency_p99_ms": math.inf})
    shop = Shop(app)
    shop.add_model()
    return shop


def answered(shop: Shop, rows: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], int, int]:
    """Asks with these features; the answers, and the time range in which they are alone."""
    shop.db.clock.advance(86_400)
    began = shop.now_us
    asked = [("POST", "/endpoints/will_buy/invocations", {"json": {"features": row}}) for row in rows]
    bodies = [answer.json() for answer in shop.ask_all(asked)]
    shop.db.clock.advance(1)
    return bodies, began, shop.now_us


def sample(count: int, seed: int) -> list[dict[str, Any]]:
    """Rows of the training set, drawn again."""
    chosen = numpy.random.default_rng(seed).integers(len(TRAINING.rows), size=count)
    return [dict(TRAINING.rows[int(n)]) for n in chosen]


def report_on(shop: Shop, rows: list[dict[str, Any]], **more: Any) -> Report:
    _, began, ended = answered(shop, rows)
    return Monitor(shop.app, shop.client, shop.registry).report("will_buy", began, ended, **more)


# Why: an alert on a healthy day teaches people not to look. Small numbers of rows vary; that is no drift.
@pytest.mark.parametrize(("count", "seed"), [(5, 1), (31, 2), (100, 3), (400, 4)])
def test_traffic_like_the_training_set_raises_no_alert(shop: Shop, count: int, seed: int) -> None:
    report = report_on(shop, sample(count, seed))
    assert report.rows == count
    assert report.alerts == []


# Why: the tutorial's example: amounts turn from euros to cents, and nobody is told but by this.
def test_a_feature_that_moved_is_an_alert_and_the_others_are_not(shop: Shop) -> None:
    rows = [
        {**row, "total_purchase_volume_30d": 100 * row["total_purchase_volume_30d"]} for row in sample(200, 5)
    ]
    measures = {alert.measure for alert in report_on(shop, rows).alerts}
    assert {"psi/total_purchase_volume_30d", "ks/total_purchase_volume_30d", "psi/prediction"} <= measures
    assert not any("purchases_7d" in each or "jewelry" in each for each in measures)


# Why: a renamed attribute makes nulls, and the model fills them in without a word.
def test_nulls_that_rise_are_an_alert(shop: Shop) -> None:
    report = report_on(shop, [{**row, "jewelry_share_90d": None} for row in sample(100, 6)])
    assert report.drift["jewelry_share_90d"]["null_rate"] == 1.0
    assert "nulls/jewelry_share_90d" in {alert.measure for alert in report.alerts}


# Why: labels come later, by request or by customer, as 1, true or "1"; accuracy, ranking and calibration are over those that came.
def test_labels_that_arrive_give_live_accuracy_and_calibration(shop: Shop) -> None:
    chance = numpy.random.default_rng(7)
    bodies, began, ended = answered(shop, sample(300, 7))
    monitor = Monitor(shop.app, shop.client, shop.registry)
    true = {body["requestId"]: bool(chance.random() < body["probability"]) for body in bodies[:200]}
    report = monitor.report("will_buy", began, ended, labels=true)
    assert report.live["rows"] == 200
    right = sum(true[body["requestId"]] == bool(body["prediction"]) for body in bodies[:200])
    assert report.live["accuracy"] == right / 200
    assert sum(each["rows"] for each in report.live["calibration"]) == 200
    assert report.live["auc"] > 0.7
    assert report.alerts == []
    turned = {id_: int(not label) for id_, label in true.items()}
    measures = {a.measure for a in monitor.report("will_buy", began, ended, labels=turned).alerts}
    assert measures == {"calibration"}  # The version was registered without an accuracy to fall from.


# Why: a version that was registered with figures is held to them.
def test_a_drop_of_accuracy_and_auc_is_an_alert() -> None:
    shop = Shop()
    register(shop.registry, "will_buy", *trained(), metrics={"accuracy": 0.9, "auc": 0.9})
    shop.registry.promote("will_buy", 1)
    bodies, began, ended = answered(shop, sample(200, 8))
    monitor = Monitor(shop.app, shop.client, shop.registry)
    labels = {body["requestId"]: n % 2 for n, body in enumerate(bodies)}
    measures = {alert.measure for alert in monitor.report("will_buy", began, ended, labels=labels).alerts}
    assert {"accuracy", "auc"} <= measures


# Why: a regression has no accuracy; it has errors.
def test_a_regression_has_errors_instead_of_accuracy() -> None:
    shop = Shop()
    _, training = trained()
    rows = TrainingRows(training.rows)
    fitted = LinearRegression().fit(rows.matrix(rows.filled()), training.labels)
    register(shop.registry, "will_buy", fitted, rows)
    shop.registry.promote("will_buy", 1)
    bodies, began, ended = answered(shop, sample(40, 9))
    labels = {body["requestId"]: body["prediction"] + 2 for body in bodies}
    report = Monitor(shop.app, shop.client, shop.registry).report("will_buy", began, ended, labels=labels)
    assert report.live == {
        "rows": 40,
        "mean_absolute_error": pytest.approx(2.0),
        "root_mean_squared_error": pytest.approx(2.0),
    }


# Why: staleness is asked of every source and every feature that tells a time, and skew of the rows' own history.
def test_staleness_of_sources_and_features_and_skew_are_told() -> None:
    app = storefront()
    app.predictors["will_buy"] = replace(app.predictors["will_buy"], monitor={"staleness_days": 1.0})
    shop = Shop(app)
    shop.add_model()
    for n in range(40):
        shop.buy(f"c{n}", "p1", "20", days_ago=2 + n)
    began = shop.now_us
    answers = shop.ask_all([("GET", f"/predict/will_buy/customer/c{n}", {}) for n in range(50)])
    monitor = Monitor(shop.app, shop.client, shop.registry)
    report = monitor.report("will_buy", began, shop.now_us)
    ages = {"newest_days": 2.0, "median_days": 22.0, "p90_days": 38.0, "without": 10.0}
    assert report.staleness == {"days_since_last": ages, "Purchases.purchased_at": ages}
    assert report.skew == {"rows": 50, "gone": 0, "differing": 0, "requestIds": [], "examples": []}
    assert "staleness/Purchases.purchased_at" in {alert.measure for alert in report.alerts}
    tampered = answers[3].json()["requestId"]
    row = shop.client.get_item(TableName="InferenceMetadata", Key={"requestId": {"S": tampered}})["Item"]
    row["inputData"] = {"S": row["inputData"]["S"].replace('"purchases_7d":1', '"purchases_7d":5')}
    shop.client.put_item(TableName="InferenceMetadata", Item=row)
    report = monitor.report("will_buy", began, shop.now_us)
    assert report.skew["requestIds"] == [tampered]
    assert "skew" in {alert.measure for alert in report.alerts}


# Why: a row lives as long as `inferences_kept` says, and the lake hears of its end a little later, or never where it does not run.
# The monitor ended with "there is no inference".
def test_a_row_that_only_the_lake_still_has_is_counted_and_not_recomputed(tmp_path: Path) -> None:
    shop = Shop()
    landing = Landing(shop, tmp_path, TABLE)
    shop.buy("c1", "p1", "20", days_ago=2)
    shop.add_model()
    began = shop.now_us
    answers = shop.ask_all([("GET", f"/predict/will_buy/customer/c{n}", {}) for n in range(5)])
    lake = landing.drain()
    for answer in answers[:2]:
        shop.client.delete_item(TableName=TABLE, Key={"requestId": {"S": answer.json()["requestId"]}})
    report = Monitor(shop.app, shop.client, shop.registry, lake=lake).report("will_buy", began, shop.now_us)
    assert report.rows == 5
    assert report.skew == {"rows": 3, "gone": 2, "differing": 0, "requestIds": [], "examples": []}
    assert "skew" not in {alert.measure for alert in report.alerts}


# Why: failures are no rows of the log; they are counted by the process that answered, and told by code.
def test_failures_are_read_from_the_metrics_and_only_own_faults_are_a_rate(shop: Shop) -> None:
    metrics = (
        'penstock_prediction_failures_total{predictor="will_buy",code="StoreFailed"} 30\n'
        'penstock_prediction_failures_total{predictor="will_buy",code="BadRequest"} 500\n'
        'penstock_prediction_failures_total{predictor="other",code="StoreFailed"} 7\n'
    )
    assert errors_of(metrics, "will_buy") == {"StoreFailed": 30, "BadRequest": 500}
    report = report_on(shop, sample(70, 10), errors=errors_of(metrics, "will_buy"))
    assert report.errors["rate"] == 0.3
    assert {alert.measure for alert in report.alerts} == {"errors"}


def failures_of(shop: Shop) -> dict[str, int]:
    return errors_of(text(shop.api.state.serving.watch.metrics), "will_buy")


# Why: whoever looks at a new application asks for a prediction before there is a model; that is no failing of the model that
# comes later, and was an alert for as long as the process ran.
def test_who_asked_before_the_first_promotion_is_no_failure() -> None:
    shop = Shop()
    shop.add_model(promote=False)
    early = shop.ask_all([("GET", f"/predict/will_buy/customer/c{n}", {}) for n in range(50)])
    assert {answer.status_code for answer in early} == {503}
    shop.registry.promote("will_buy", 1)
    _, began, ended = answered(shop, sample(40, 12))
    monitor = Monitor(shop.app, shop.client, shop.registry)
    report = monitor.report("will_buy", began, ended, errors=failures_of(shop))
    assert report.errors == {"by_code": {"ModelMissing": 50}, "rate": 0.0}
    assert "errors" not in {alert.measure for alert in report.alerts}


# Why: a version that was promoted and does not load is a failing, and has another code than one that is not there yet.
def test_a_promoted_version_that_does_not_load_is_a_failure() -> None:
    shop = Shop()
    shop.add_model()
    shop.client.update_item(
        TableName="penstock_models",
        Key={"model": {"S": "will_buy"}, "entry": {"S": "version#000001"}},
        UpdateExpression="SET content = :broken",
        ExpressionAttributeValues={":broken": {"B": b"broken"}},
    )
    answer = shop.ask("GET", "/predict/will_buy/customer/c1")
    assert (answer.status_code, answer.json()["error"]) == (503, "ModelUnavailable")
    assert error_rate(failures_of(shop), 0)["rate"] == 1.0


@contextmanager
def listening(status: int) -> Iterator[tuple[str, list[Any]]]:
    """A server on this machine that keeps what is posted to it."""
    heard: list[Any] = []

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            heard.append((self.path, self.headers["Content-Type"], json.loads(body)))
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Hook) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/hook", heard
        finally:
            server.shutdown()
            thread.join()


# Why: an alert that nobody hears is none: it goes to the log, to a table and to whoever listens, and once to who sees the report
# itself; a listener that fails loses nothing.
@pytest.mark.parametrize(("status", "is_shown"), [(204, False), (500, True)])
def test_an_alert_goes_to_the_log_the_table_and_the_webhook(
    shop: Shop, status: int, is_shown: bool, caplog: pytest.LogCaptureFixture
) -> None:
    rows = [{**row, "total_purchase_volume_30d": 1e6} for row in sample(50, 11)]
    _, began, ended = answered(shop, rows)
    with listening(status) as (url, heard):
        monitor = Monitor(shop.app, shop.client, shop.registry, webhook=url)
        report = monitor.report("will_buy", began, ended)
        monitor.keep(report, shown=is_shown)
    assert ("the drift (PSI) of total_purchase_volume_30d" in caplog.text) is not is_shown
    assert ("the webhook did not take the alert" in caplog.text) == (status == 500)
    [(path, kind, body)] = heard
    assert (path, kind) == ("/hook", "application/json")
    assert body == {"predictor": "will_buy", "alerts": [alert.__dict__ for alert in report.alerts]}
    items = shop.client.query(
        TableName=ALERTS,
        KeyConditionExpression="predictor = :p AND begins_with(#a, :a)",
        ExpressionAttributeNames={"#a": "at"},
        ExpressionAttributeValues={":p": {"S": "will_buy"}, ":a": {"S": report.as_json()["to"]}},
    )["Items"]
    assert {item["message"]["S"] for item in items} == {alert.message for alert in report.alerts}


# Why: a picture of what moved needs both spreads over the same bins; of a large log only the latest are read, and all are counted.
def test_a_report_has_the_spreads_of_then_and_now_over_the_latest_rows(shop: Shop) -> None:
    _, began, ended = answered(shop, sample(120, 9))
    report = Monitor(shop.app, shop.client, shop.registry).report(
        "will_buy", began, ended, rows_max=100, skew_rows=0
    )
    assert (report.rows, report.read) == (120, 100)
    assert report.trained["version"] == 1
    for name, spread in report.spreads.items():
        assert len(spread["trained"]) == len(spread["live"]) == len(spread["bins"]) + 1, name
        assert sum(spread["live"]) == pytest.approx(1.0)


class _Answers:
    """A lake that answers one query."""

    def __init__(self, *rows: dict[str, object]) -> None:
        self.rows = list(rows)
        self.table = self

    def sql(self, query: str) -> _Answers:
        return self

    def to_pylist(self) -> list[dict[str, object]]:
        return self.rows


# Why: what came true is in the lake too; a label that is not known yet is no label, and a query without one is a mistake.
def test_labels_come_from_a_query_of_the_lake() -> None:
    known = _Answers({"requestId": "r1", "label": 1}, {"requestId": "r2", "label": None})
    assert labels_of(known, "SELECT …") == {"r1": 1}
    assert labels_of(_Answers({"entity": 7, "label": False}), "SELECT …") == {"7": False}
    with pytest.raises(UsageError, match="requestId"):
        labels_of(_Answers({"request": "r1", "label": 1}), "SELECT …")
