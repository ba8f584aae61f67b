"""An inference computed again, and the chain behind it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.landing import Landing
from tests.shop import Shop, storefront, trained

from penstock import count, first, requested, since_first, since_last
from penstock.errors import UsageError
from penstock.features.instants import text_of
from penstock.models.register import register
from penstock.serving.monitor import Monitor
from penstock.serving.replay import Inferences


def shop_with_history() -> tuple[Shop, Inferences]:
    shop = Shop()
    shop.buy("c1", "p1", "19.99", days_ago=1, category="jewelry")
    shop.buy("c1", "p2", "80.01", days_ago=10)
    shop.buy("c2", "p1", "7", days_ago=3)
    shop.add_model()
    return shop, Inferences(shop.app, shop.client, shop.registry)


# Why: the promise of the log: the same bits come out, although events were added, corrected and deleted since.
def test_a_replay_gives_the_same_bits_after_the_history_went_on() -> None:
    shop, inferences = shop_with_history()
    request_id = shop.ask("GET", "/predict/will_buy/customer/c1").json()["requestId"]
    shop.buy("c1", "p1", "5000", days_ago=1)
    shop.buy("c1", "p9", "12", days_ago=0.1)
    shop.app.tables["Purchases"].delete(customer_id="c1", purchase_id="p2")
    shop.add_model(seed=1)
    replay = inferences.replay(request_id)
    assert replay.differences == []
    assert replay.recomputed == replay.logged
    after = shop.ask("GET", "/predict/will_buy/customer/c1").json()
    assert after["features"] != replay.logged["features"]


# Why: a replay that always agrees proves nothing; a row that was tampered with has to show.
def test_a_replay_names_what_differs() -> None:
    shop, inferences = shop_with_history()
    request_id = shop.ask("GET", "/predict/will_buy/customer/c1").json()["requestId"]
    row = inferences.row(request_id)
    row["inputData"] = {"S": row["inputData"]["S"].replace('"purchases_7d":1', '"purchases_7d":2')}
    shop.client.put_item(TableName="InferenceMetadata", Item=row)
    [difference] = inferences.replay(request_id).differences
    assert difference.startswith("purchases_7d: 2 then, 1 now")


# Why: `penstock why` is for the day on which somebody asks; it has to name the events and where they stand.
def test_why_tells_events_features_model_and_answer() -> None:
    shop, inferences = shop_with_history()
    body = shop.ask("GET", "/predict/will_buy/customer/c1").json()
    shop.buy("c1", "p7", "1", days_ago=2)
    chain = inferences.why(body["requestId"])
    assert [event["item"]["purchase_id"]["S"] for event in chain.events] == ["p1", "p2"]
    assert chain.features == body["features"]
    assert chain.model["name"] == "will_buy@1"
    assert chain.answer == {"prediction": body["prediction"], "probability": body["probability"]}
    assert set(chain.model["contributions"]) == {"(intercept)", *body["features"]}
    assert 'raw."Purchases"' in chain.sql[0]


# Why: a feature may look beyond every window: at the latest purchase of toys, or at the first of all. The chain named neither, and
# its SQL did not find them.
def test_why_names_the_events_that_features_without_a_window_come_from(tmp_path: Path) -> None:
    app = storefront()
    declared = app.feature_sets["buyer"]
    features = {
        **declared.features,
        "since_toys": since_last(where={"category": "toys"}),
        "since_first": since_first(),
        "first_amount": first("amount"),
    }
    app.feature_sets["buyer"] = replace(declared, features=features)
    app.predictors["will_buy"] = replace(app.predictors["will_buy"], features=app.feature_sets["buyer"])
    shop = Shop(app)
    landing = Landing(shop, tmp_path)
    for purchase, days_ago, category in (
        ("p1", 400, "books"),
        ("p2", 300, "toys"),
        ("p3", 200, "books"),
        ("p4", 1, "books"),
    ):
        shop.buy("c1", purchase, "10", days_ago=days_ago, category=category)
    shop.add_model()
    request_id = shop.ask("GET", "/predict/will_buy/customer/c1").json()["requestId"]
    lake = landing.drain()
    chain = Inferences(shop.app, shop.client, shop.registry, lake).why(request_id)
    named = [event["item"]["purchase_id"]["S"] for event in chain.events]
    assert named == ["p1", "p2", "p4"]
    found = [row["sequence"] for row in lake.sql(chain.sql[0]).table.to_pylist()]
    assert {event["position"] for event in chain.events} <= set(found)


# Why: streams forget after a day; the lake does not. The replay and the SQL that `why` shows have to work over it.
def test_the_lake_tells_a_replay_what_the_stream_has_forgotten(tmp_path: Path) -> None:
    shop = Shop()
    landing = Landing(shop, tmp_path)
    for customer, purchase, amount, days_ago in (
        ("c1", "p1", "19.99", 1),
        ("c1", "p2", "80.01", 10),
        ("c1", "p3", "5", 200),
        ("c2", "p1", "7", 3),
    ):
        shop.buy(customer, purchase, amount, days_ago=days_ago, category="jewelry")
    shop.add_model()
    request_id = shop.ask("GET", "/predict/will_buy/customer/c1").json()["requestId"]
    shop.buy("c1", "p1", "5000", days_ago=1)
    lake = landing.drain()
    inferences = Inferences(shop.app, shop.client, shop.registry, lake)
    assert inferences.replay(request_id).differences == []
    chain = inferences.why(request_id)
    assert [event["item"]["purchase_id"]["S"] for event in chain.events] == ["p1", "p2"]
    found = lake.sql(chain.sql[0]).table.to_pylist()
    assert [row["sequence"] for row in found] == [event["position"] for event in chain.events]


def without_position(shop: Shop, request_id: str, **more: Any) -> None:
    """The row as another store leaves it: a client's answers do not say at which position they were read."""
    row = shop.client.get_item(TableName="InferenceMetadata", Key={"requestId": {"S": request_id}})["Item"]
    del row["streamPosition"]
    shop.client.put_item(TableName="InferenceMetadata", Item=row | more)


# Why: Y2. Over a client a purchase may arrive between the clock and the Query; the replay finds the moment that was seen.
def test_without_a_position_the_moment_that_was_seen_is_found() -> None:
    shop, inferences = shop_with_history()
    before_us = shop.now_us
    shop.db.clock.advance(0.5)
    shop.buy("c1", "p8", "12", days_ago=0.5)
    shop.db.clock.advance(0.5)
    body = shop.ask("GET", f"/predict/will_buy/customer/c1?at={text_of(shop.now_us)}").json()
    shop.db.clock.advance(0.1)
    shop.buy("c1", "p9", "13", days_ago=0.5)
    # The row says that it was asked before p8, and its features say that p8 was seen and p9 was not.
    without_position(shop, body["requestId"], timestamp={"S": text_of(before_us)})
    replay = inferences.replay(body["requestId"])
    assert replay.differences == []
    assert replay.recomputed["features"] == body["features"]
    assert "the one around that time" in replay.as_of


# Why: what fits at no moment is a difference, and the reason says what was tried.
def test_without_a_position_a_row_that_fits_nowhere_is_said() -> None:
    shop, inferences = shop_with_history()
    body = shop.ask("GET", "/predict/will_buy/customer/c1").json()
    tampered = {"S": json.dumps({**body["features"], "purchases_7d": 7})}
    without_position(shop, body["requestId"], inputData=tampered)
    replay = inferences.replay(body["requestId"])
    [difference] = replay.feature_differences
    assert "purchases_7d: 7 then, 1 now (no stream position is on record" in difference
    assert "fits" in replay.as_of


class Doubled:
    """A Python model."""

    def predict(self, rows: list[dict[str, Any]]) -> list[float]:
        return [2.0 * row["purchases_7d"] for row in rows]


# Why: Y3. A registry's Python is run only by who says so; without it the features are still proved.
def test_a_python_model_is_replayed_where_its_code_may_run() -> None:
    shop, inferences = shop_with_history()
    _, training = trained()
    register(shop.registry, "will_buy", Doubled(), training, format="python")
    shop.registry.promote("will_buy", 2)
    try:
        request_id = shop.ask("GET", "/predict/will_buy/customer/c1").json()["requestId"]
    finally:
        shop.api.state.serving.close()
    replay = inferences.replay(request_id)
    assert replay.differences == []
    assert "whose code is not run here" in replay.notes[0]
    running = Inferences(shop.app, shop.client, shop.registry, run_python=True)
    replay = running.replay(request_id)
    assert (replay.recomputed, replay.notes) == (replay.logged, [])


# Why: the lake is a moment behind the table. A prediction of this second is no skew only because the sink has not landed yet.
def test_what_the_lake_has_not_landed_yet_the_stream_tells(tmp_path: Path) -> None:
    shop = Shop()
    landing = Landing(shop, tmp_path)
    shop.buy("c1", "p1", "19.99", days_ago=1)
    shop.add_model()
    lake = landing.drain()
    shop.buy("c1", "p2", "30", days_ago=0.5)
    shop.buy("c3", "p1", "30", days_ago=0.5)
    ids = [shop.ask("GET", f"/predict/will_buy/customer/c{n}").json()["requestId"] for n in (1, 2, 3)]
    inferences = Inferences(shop.app, shop.client, shop.registry, lake)
    found = [*inferences.replay_many(ids), *map(inferences.replay, ids)]
    assert [each.differences for each in found] == [[]] * 6
    assert found[0].recomputed["features"]["purchases_7d"] == 2


# Why: on the day after a feature was added, every row of the day before is older than it. The monitor ended with "the request has
# to bring basket", or called all of them skewed.
def test_rows_from_before_a_feature_was_declared_or_dropped_are_replayed() -> None:
    shop, _ = shop_with_history()
    request_id = shop.ask("GET", "/predict/will_buy/customer/c1").json()["requestId"]
    declared = shop.app.feature_sets["buyer"]

    def with_features(features: dict[str, Any]) -> Inferences:
        changed = replace(declared, features=features)
        shop.app.predictors["will_buy"] = replace(shop.app.predictors["will_buy"], features=changed)
        return Inferences(shop.app, shop.client, shop.registry)

    more = {**declared.features, "basket": requested("basket"), "purchases_90d": count(days=90)}
    replay = with_features(more).replay(request_id)
    assert replay.differences == []
    assert replay.recomputed["probability"] == replay.logged["probability"]
    assert replay.notes == [f"{name} is a feature only since then" for name in ("basket", "purchases_90d")]
    fewer = {name: each for name, each in declared.features.items() if name != "purchases_7d"}
    replay = with_features(fewer).replay(request_id)
    assert replay.differences == ["purchases_7d: 1 then, and no feature any more"]
    assert replay.feature_differences == []
    report = Monitor(shop.app, shop.client, shop.registry).report("will_buy", 0, shop.now_us + 1)
    assert (report.skew["rows"], report.skew["differing"]) == (1, 0)


# Why: an id that is not there gets words, not a traceback.
def test_an_unknown_request_id_is_said() -> None:
    _, inferences = shop_with_history()
    with pytest.raises(UsageError, match="no inference 'x'"):
        inferences.replay("x")
