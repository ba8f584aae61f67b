"""A user's Python beside the loop: request values, transforms and models that are classes."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from tests.shop import Shop

from penstock import App, computed, count, requested
from penstock.features.windows import Value
from penstock.models.register import TrainingRows, register


class Rule:
    """A model of a few lines."""

    def predict(self, rows: list[dict[str, Any]]) -> list[tuple[str, float]]:
        return [("yes", 0.75) if row["basket_per_purchase"] > 5 else ("no", 0.25) for row in rows]


class Broken:
    """A model that ends its process where it is asked for an odd number of purchases."""

    def predict(self, rows: list[dict[str, Any]]) -> list[int]:
        if any(row["purchases_7d"] % 2 for row in rows):
            os._exit(3)
        return [1 for _ in rows]


def basket_per_purchase(features: Mapping[str, Any]) -> float:
    return float(features["basket"]) / max(1, int(features["purchases_7d"]))


ROWS: list[dict[str, Value]] = [{"purchases_7d": 2, "basket": 1.0, "basket_per_purchase": 0.5}] * 3


@pytest.fixture(scope="module")
def shop() -> Iterator[Shop]:
    app = App("python")
    purchases = app.table(
        "Purchases",
        partition_key="customer_id",
        sort_key="purchase_id",
        local_indexes={"by_time": "purchased_at"},
        stream=True,
    )
    features = app.features(
        "basket",
        source=purchases,
        entity="customer_id",
        time="purchased_at",
        features={
            "purchases_7d": count(days=7),
            "basket": requested("basket_value"),
            "basket_per_purchase": computed(basket_per_purchase, needs=("purchases_7d", "basket")),
        },
    )
    app.predictor("rule", features=features, model="rule")
    app.predictor("broken", features=features, model="broken")
    shop = Shop(app)
    shop.buy("c1", "p1", "1", days_ago=1)
    shop.buy("c2", "p1", "1", days_ago=1)
    shop.buy("c2", "p2", "1", days_ago=2)
    for name, model in (("rule", Rule()), ("broken", Broken())):
        register(shop.registry, name, model, TrainingRows(ROWS), format="python")
        shop.registry.promote(name, 1)
    yield shop
    shop.api.state.serving.close()


# Why: request values, transforms and a Python class, all in one answer.
def test_a_python_model_sees_request_values_and_transforms(shop: Shop) -> None:
    body = shop.ask("GET", "/predict/rule/customer/c1?basket_value=6").json()
    assert body["features"] == {"purchases_7d": 1, "basket": 6.0, "basket_per_purchase": 6.0}
    assert (body["prediction"], body["probability"]) == ("yes", 0.75)
    body = shop.ask("POST", "/predict/rule/customer/c2", json={"basket_value": 6}).json()
    assert (body["features"]["basket_per_purchase"], body["prediction"]) == (3.0, "no")


# Why: a value that the features need and nobody sent is the caller's to bring.
def test_a_missing_request_value_is_named(shop: Shop) -> None:
    answer = shop.ask("GET", "/predict/rule/customer/c1")
    assert answer.status_code == 422
    assert "basket_value" in answer.json()["message"]


# Why: user code may end its process. That call fails and says so; the next one has a new process.
def test_a_model_that_ends_its_process_fails_alone(shop: Shop) -> None:
    crash = shop.ask("GET", "/predict/broken/customer/c1?basket_value=6")
    assert crash.status_code == 500
    assert crash.json()["error"] == "ModelFailed"
    began_s = time.monotonic()
    while (answer := shop.ask("GET", "/predict/broken/customer/c2?basket_value=6")).status_code != 200:
        assert time.monotonic() - began_s < 20
    assert answer.json()["prediction"] == 1
