"""An inference computed again, and the chain behind it."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.landing import Landing
from tests.shop import Shop

from penstock.errors import UsageError
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


# Why: an id that is not there gets words, not a traceback.
def test_an_unknown_request_id_is_said() -> None:
    _, inferences = shop_with_history()
    with pytest.raises(UsageError, match="no inference 'x'"):
        inferences.replay("x")
