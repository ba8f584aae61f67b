"""The Monitor page's picture of a report: bars that compare, and one sentence for all that is told of one thing."""

from __future__ import annotations

from typing import Any

from penstock.console.monitoring import shown


def _report(**changes: Any) -> dict[str, Any]:
    measured = {"psi": 0.5, "ks": 0.4, "null_rate": 0.0, "null_rate_trained": 0.0}
    numbers = {
        "kind": "number", "bins": [1.0, 2.5, None], "trained": [0.2, 0.6, 0.2, 0.0], "live": [0.0, 0.3, 0.7, 0.0],
        "mean_trained": 2.0, "mean_live": 1234.56,
    }  # fmt: skip
    texts = {
        "kind": "text", "bins": ["a", "…"], "trained": [0.4, 0.5, 0.1], "live": [1.0, 0.0, 0.0],
        "mean_trained": None, "mean_live": None,
    }  # fmt: skip
    return {
        "rows": 100, "read": 100, "errors": {}, "live": {}, "trained": {"version": 1, "metrics": {"auc": 0.8}}, "alerts": [],
        "drift": {"amount": {**measured, "psi": 0.2}, "category": measured, "/prediction": {**measured, "psi": 0.0}},
        "spreads": {"amount": numbers, "category": texts, "/prediction": numbers}, **changes,
    }  # fmt: skip


# Why: the answers are looked at first, then what moved most; a feature further down is one that did not.
def test_answers_come_first_and_then_what_moved_most() -> None:
    names = [each["name"] for each in shown(_report(), 0)["spread"]]
    assert names == ["what it answers", "category", "amount"]


# Why: then and now are on one scale, or the picture lies; a bin of nulls is there only where there are nulls.
def test_bars_share_one_scale_and_name_their_bins() -> None:
    _, category, amount = shown(_report(), 0)["spread"]
    assert [bar["name"] for bar in amount["bars"]] == ["≤ 1", "1 – 2.5", "> 2.5"]
    assert max(bar["now_high"] for bar in amount["bars"]) == 100
    assert amount["bars"][1]["then_high"] == 100 * 0.6 / 0.7
    assert {bar["name"] for bar in category["bars"]} == {"a", "…", "null"}
    assert amount["means"] == ["2", "1,235"]


# Why: drift by two measures is one thing to look into, not two.
def test_alerts_of_one_feature_are_one_sentence() -> None:
    alerts = [
        {"measure": "psi/amount", "value": 0.5, "bound": 0.25, "message": "the drift (PSI) of amount is 0.5, above 0.25"},
        {"measure": "ks/amount", "value": 0.4, "bound": 0.3, "message": "the drift (KS) of amount is 0.4, above 0.3"},
        {"measure": "latency", "value": 120, "bound": 100, "message": "the p99 of latency in ms is 120, above 100"},
    ]  # fmt: skip
    found = shown(_report(alerts=alerts), 0)
    assert found["alerts"] == [
        "amount moved since training: PSI 0.5, bound 0.25, KS 0.4, bound 0.3.",
        "The p99 of latency in ms is 120, above 100.",
    ]
    assert found["spread"][2]["moved"] == {"psi", "ks"}


# Why: a figure means something beside what it was in training.
def test_what_came_true_is_beside_training() -> None:
    live = {
        "rows": 9,
        "accuracy": 0.7,
        "auc": 0.6,
        "calibration": [{"rows": 9, "predicted": 0.25, "came_true": 1.0}],
    }
    found = shown(_report(live=live), 0)
    assert found["right"] == [("Accuracy", 0.7, None), ("AUC", 0.6, 0.8)]
    assert found["calibration"][0]["x"] == 25.0
    assert found["calibration"][0]["y"] == 0.0
