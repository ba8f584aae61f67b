"""Training sets: rows out are rows in, as known then; the same from the stream and from the lake."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from tests.landing import Landing
from tests.shop import Shop

from penstock import App, ahead, count, requested, total
from penstock.errors import UsageError
from penstock.features.history import lake_changes
from penstock.features.instants import DAY_US, text_of
from penstock.features.offline import Past
from penstock.testing.seeds import replayable, seeds


def lived(shop: Shop, random: Any, turns: int) -> list[tuple[str, int]]:
    """A shop that goes on for a while: purchases, late ones, corrections, returns. The moments to ask about."""
    purchases = shop.app.tables["Purchases"]
    spine: list[tuple[str, int]] = []
    for turn in range(turns):
        customer, purchase = f"c{random.randrange(4)}", f"p{random.randrange(12)}"
        if random.random() < 0.15:
            purchases.delete(customer_id=customer, purchase_id=purchase)
        else:
            late = random.choice([0.0, 0.0, 3.0, 20.0, 40.0])
            amount = f"{random.randrange(1, 5000)}.{random.randrange(100):02}"
            shop.buy(customer, purchase, amount, days_ago=late, category=random.choice(["jewelry", "books"]))
        shop.db.clock.advance(random.choice([1, 60, 1800]))
        spine += [
            (f"c{random.randrange(5)}", shop.now_us - random.choice([0, 0, turn * DAY_US])) for _ in range(3)
        ]
    return spine


# Why: "the same definition, the same answer": the slow reading, the columns of the stream and the SQL over the lake agree bit for
# bit on random shops with late and corrected events.
@pytest.mark.parametrize("seed", seeds(3))
def test_stream_lake_and_one_at_a_time_agree(seed: int, tmp_path: Path) -> None:
    shop = Shop()
    with replayable(seed) as random:
        landing = Landing(shop, tmp_path)
        spine = lived(shop, random, 40)
        lake = landing.drain()
        buyer = shop.app.feature_sets["buyer"]
        label = ahead(count(days=7))
        streamed = shop.app.training_set(buyer, spine, label=label, history=shop.client)
        landed = shop.app.training_set(buyer, spine, label=label, history=lake)
        assert landed.rows == streamed.rows
        assert landed.labels == streamed.labels
        assert {0, 1} == set(landed.labels)
        plan = shop.api.state.serving.predictors["will_buy"].plan
        past = Past(plan, {"Purchases": lake_changes(lake, shop.app.tables["Purchases"])})
        assert landed.rows == [past.features({"S": entity}, at_us) for entity, at_us in spine]


# Why: training on what was put right afterwards is how models learn to know the future.
def test_a_row_sees_what_was_known_at_its_time_and_position() -> None:
    shop = Shop()
    shop.buy("c1", "p1", "10", days_ago=0)
    shop.db.clock.advance(60)
    then_us, position = shop.now_us, shop.db.database.view.last_sequence()
    shop.db.clock.advance(60)
    shop.buy("c1", "p1", "999", days_ago=0.01)
    buyer = shop.app.feature_sets["buyer"]
    spine = [("c1", then_us), ("c1", shop.now_us), ("c1", shop.now_us, position), ("nobody", shop.now_us)]
    rows = shop.app.training_set(buyer, spine, history=shop.client).rows
    assert [row["total_purchase_volume_30d"] for row in rows] == [10.0, 999.0, 10.0, 0.0]


# Why: history that is loaded in bulk was written long after it happened; without a word about it no row would see any of it.
def test_backfilled_history_counts_from_its_own_time() -> None:
    shop = Shop()
    for day in range(20):
        shop.buy("c1", f"p{day}", "1", days_ago=day)
    loaded_us = shop.now_us + 1
    buyer = shop.app.feature_sets["buyer"]
    spine = [("c1", shop.now_us - 10 * DAY_US)]
    assert shop.app.training_set(buyer, spine).rows[0]["purchases_7d"] == 0
    rows = shop.app.training_set(buyer, spine, backfilled=loaded_us).rows
    assert rows[0]["purchases_7d"] == 7


# Why: T1 and T2: order is kept, duplicates stay, labels and positions may come with the spine.
def test_rows_out_are_rows_in() -> None:
    shop = Shop()
    shop.buy("c1", "p1", "5", days_ago=1)
    at = text_of(shop.now_us)
    spine = [{"customer": name, "at": at, "bought": n} for n, name in enumerate(["c2", "c1", "c2", "c1"])]
    found = shop.app.training_set(shop.app.feature_sets["buyer"], spine, label="bought")
    assert found.labels == [0, 1, 2, 3]
    assert [row["total_purchase_volume_30d"] for row in found.rows] == [0.0, 5.0, 0.0, 5.0]
    assert found.data["features"] == "buyer"


# Why: a data frame's customers are numbers where the table's are text, and the other way round; a training set of zeros followed.
def test_a_spine_whose_entities_are_of_another_type_is_refused_or_read() -> None:
    shop = Shop()
    shop.buy("7", "p1", "10", days_ago=1)
    buyer = shop.app.feature_sets["buyer"]
    with pytest.raises(UsageError, match="customer_id is text, not 7"):
        shop.app.training_set(buyer, [(7, shop.now_us)])
    app = App("numbered")
    orders = app.table("Orders", partition_key="customer:N", sort_key="at", stream=True)
    bought = app.features(
        "bought",
        source=orders,
        entity="customer",
        time="at",
        features={"n": count(days=7), "basket": requested("basket")},
    )
    numbered = Shop(app)
    orders.put({"customer": 7, "at": text_of(numbered.now_us)})
    spine = [
        {"customer": customer, "at": numbered.now_us, "basket": "2.5"} for customer in (7, "7", "07.0", 8)
    ]
    rows = app.training_set(bought, spine).rows
    assert [row["n"] for row in rows] == [1, 1, 1, 0]
    assert {row["basket"] for row in rows} == {2.5}
    with pytest.raises(UsageError, match="customer is a number; 'c7' is none"):
        app.training_set(bought, [{"customer": "c7", "at": 0, "basket": 1}])
    with pytest.raises(UsageError, match="basket is a number; 'much' is none"):
        app.training_set(bought, [{"customer": 7, "at": 0, "basket": "much"}])


# Why: a label that looks ahead must not count what is at the moment itself, and must count what is at its far edge.
def test_a_label_looks_at_what_follows() -> None:
    shop = Shop()
    shop.buy("c1", "p1", "5", days_ago=7)
    shop.buy("c1", "p2", "6", days_ago=0)
    buyer = shop.app.feature_sets["buyer"]
    spine = [("c1", shop.now_us - 7 * DAY_US), ("c1", shop.now_us - 7 * DAY_US - 1), ("c1", shop.now_us)]
    label = ahead(total("amount", days=7), above=None)
    assert shop.app.training_set(buyer, spine, label=label).labels == [6.0, 5.0, 0.0]


# Why: mistakes in a spine are found before an hour of work.
@pytest.mark.parametrize("row", [("c1",), {"customer": "c1"}, ("c1", "noon"), ("c1", Decimal(1))])
def test_a_bad_spine_row_is_refused(row: Any) -> None:
    shop = Shop()
    with pytest.raises(UsageError):
        shop.app.training_set(shop.app.feature_sets["buyer"], [row])


# Why: times from year 1 to 9999 of many customers do not fit one number of 63 bits with them; the answers must not know.
@pytest.mark.parametrize("customers", [3, 40])
def test_times_far_apart_are_told_apart(customers: int) -> None:
    shop = Shop()
    ends = ["0001-01-01T00:00:00.000000Z", "2026-01-01T00:00:00.000000Z", "9999-12-31T23:59:59.999999Z"]
    for number in range(customers):
        for purchase, at in enumerate(ends):
            shop.app.tables["Purchases"].put(
                {"customer_id": f"c{number}", "purchase_id": f"p{purchase}", "purchased_at": at, "amount": 1}
            )
    position = shop.db.database.view.last_sequence()
    spine = [(f"c{number}", at, position) for number in range(-1, customers) for at in ends]
    rows = shop.app.training_set(shop.app.feature_sets["buyer"], spine, history=shop.client).rows
    since = [row["days_since_last"] for row in rows]
    assert since == [None] * 3 + [0.0, 0.0, 0.0] * customers
    assert [row["total_purchase_volume_30d"] for row in rows] == [0.0] * 3 + [1.0, 1.0, 1.0] * customers
