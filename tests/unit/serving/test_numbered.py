"""Entities and campaigns that are numbers: one number has many texts, and they are one customer."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from tests.shop import Shop

from penstock import App, count, keys_only, total
from penstock.errors import UsageError
from penstock.features.definition import compile_set
from penstock.features.instants import text_of
from penstock.features.tile_backfill import backfills
from penstock.features.tiles import definition
from penstock.models import linear
from penstock.models.register import TrainingRows, register
from penstock.models.signature import Column, Signature
from penstock.serving.monitor import Monitor
from penstock.serving.replay import Inferences

DAY_US = 86_400_000_000
TEXTS = ["7", "007", "7.0", "70e-1"]


def numbered(tiles: str | None = None) -> Shop:
    app = App("numbered")
    orders = app.table(
        "Orders",
        partition_key="customer:N",
        sort_key="order",
        local_indexes={"by_time": "at"},
        global_indexes={"by_store": ("store:N", "customer", keys_only())},
        stream=True,
    )
    buyer = app.features(
        "buyer",
        source=orders,
        entity="customer",
        time="at",
        tiles=tiles,
        features={"orders_7d": count(days=7), "volume_30d": total("amount", days=30)},
    )
    app.predictor("will_buy", features=buyer, model="will_buy", campaign_by="by_store")
    shop = Shop(app)
    if tiles is not None:
        shop.client.create_table(**definition(tiles))
    for day in range(1, 20):
        order = {
            "customer": {"N": "7"},
            "order": {"S": f"o{day}"},
            "at": {"S": text_of(shop.now_us - day * DAY_US)},
            "amount": {"N": "2.5"},
            "store": {"N": "12"},
        }
        shop.client.put_item(TableName="Orders", Item=order)
    signature = Signature((Column("orders_7d"), Column("volume_30d")))
    model = linear.LinearModel(signature, ((0.1, 0.01),), (0.0,), (0, 1), "logistic")
    register(
        shop.registry, "will_buy", model, TrainingRows([{"orders_7d": 1, "volume_30d": 1.0}]), format="linear"
    )
    shop.registry.promote("will_buy", 1)
    return shop


# Why: tiles are kept under the number's own text; asked about "007", they said that customer 7 had never bought.
@pytest.mark.parametrize("tiles", [None, "BuyerTiles"])
def test_all_texts_of_a_number_are_one_customer(tiles: str | None) -> None:
    shop = numbered(tiles)

    def call(action: str, request: Mapping[str, Any]) -> dict[str, Any]:
        answer: dict[str, Any] = getattr(shop.client, action)(**request)
        return answer

    for each in backfills(shop.app, call):
        assert [progress.done for progress in each.run()] == [True]
    bodies = [shop.ask("GET", f"/predict/will_buy/customer/{text}").json() for text in TEXTS]
    assert [body["features"] for body in bodies] == [{"orders_7d": 6, "volume_30d": 47.5}] * len(TEXTS)
    assert {row["entity"]["S"] for row in shop.log_rows()} == {"7"}


# Why: a retry may write the number in another way; it is the same question.
def test_a_retry_with_another_text_of_the_number_gets_the_first_answer() -> None:
    shop = numbered()
    headers = {"X-Request-Id": "mine"}
    first, again = (shop.ask("GET", f"/predict/will_buy/customer/{t}", headers=headers) for t in ("7", "7.0"))
    assert (first.status_code, again.status_code) == (200, 200)
    assert again.json() == first.json()


# Why: one row whose number was written otherwise ended the monitor's report, for the skew of all others too.
def test_rows_with_other_texts_of_a_number_are_replayed() -> None:
    shop = numbered()
    for text in TEXTS:
        shop.ask("GET", f"/predict/will_buy/customer/{text}")
    for row, text in zip(shop.log_rows(), TEXTS, strict=True):
        shop.client.put_item(TableName="InferenceMetadata", Item={**row, "entity": {"S": text}})
    inferences = Inferences(shop.app, shop.client, shop.registry)
    replays = inferences.replay_many([row["requestId"]["S"] for row in shop.log_rows()])
    assert [each.differences for each in replays] == [[]] * len(TEXTS)
    report = Monitor(shop.app, shop.client, shop.registry).report("will_buy", 0, shop.now_us + 1)
    assert (report.skew["rows"], report.skew["differing"]) == (len(TEXTS), 0)


# Why: a value that is no number is the caller's mistake, and was told as a failure of the store.
def test_a_campaign_by_a_number_takes_each_text_of_it_and_nothing_else() -> None:
    shop = numbered()
    for text in ("12", "012", "12.0"):
        *lines, end = map(json.loads, shop.ask("POST", f"/predict/will_buy/store/{text}").text.splitlines())
        assert ([line["customer"] for line in lines], end["done"]) == (["7"], 1)
    refused = shop.ask("POST", "/predict/will_buy/store/twelve")
    assert (refused.status_code, refused.json()["error"]) == (400, "BadRequest")
    assert "store is a number" in refused.json()["message"]


# Why: one entity cannot be the key of a number here and of a text there; what said so was a failing store, at each prediction.
def test_tables_whose_entities_are_of_different_types_are_refused() -> None:
    app = App("mixed")
    orders = app.table("Orders", partition_key="customer:N", sort_key="at", stream=True)
    visits = app.table("Visits", partition_key="customer", sort_key="at", stream=True)
    features = {"orders": count(days=7), "visits": count(days=7, source=visits)}
    declared = app.features("buyer", source=orders, entity="customer", time="at", features=features)
    with pytest.raises(UsageError, match="customer is of type N in Orders and S in Visits"):
        compile_set(declared)
