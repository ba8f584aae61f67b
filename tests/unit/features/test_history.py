"""The history of a table: from its stream, from the lake, and from both; what a replay and a training set are made of."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

from tests.landing import Landing
from tests.shop import Shop

from penstock import App, count, last, total
from penstock.features.instants import DAY_US, text_of
from penstock.models import linear
from penstock.models.register import TrainingRows, register
from penstock.models.signature import Column, Signature
from penstock.serving.replay import Inferences


def predicted(shop: Shop, customer: str = "c1") -> dict[str, Any]:
    answer = shop.ask("GET", f"/predict/will_buy/customer/{customer}")
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


# Why: the keys of the lake and of the stream were written in two ways, so a purchase that was corrected or taken back while the
# lake was behind counted twice in a replay, and the monitor called it skew.
def test_a_correction_that_the_lake_has_not_landed_yet_ends_what_it_corrects(tmp_path: Path) -> None:
    shop = Shop()
    landing = Landing(shop, tmp_path)
    shop.buy("c1", "p1", "19.99", days_ago=1)
    shop.buy("c1", "p2", "5", days_ago=2)
    shop.add_model()
    lake = landing.drain()
    shop.buy("c1", "p1", "30", days_ago=1)
    shop.app.tables["Purchases"].delete(customer_id="c1", purchase_id="p2")
    body = predicted(shop)
    assert (body["features"]["purchases_7d"], body["features"]["total_purchase_volume_30d"]) == (1, 30.0)
    inferences = Inferences(shop.app, shop.client, shop.registry, lake)
    assert inferences.replay(body["requestId"]).differences == []
    assert [event["item"]["amount"] for event in inferences.why(body["requestId"]).events] == [{"N": "30"}]


def made_again(shop: Shop) -> None:
    """The table of a shop, deleted and made again, with another purchase of c1 in it."""
    shop.client.delete_table(TableName="Purchases")
    shop.db.settle()
    shop.db.clock.advance(60)
    shop.client.create_table(**shop.app.tables["Purchases"].definition())
    shop.buy("c1", "p9", "7", days_ago=1)


# Why: the streams of both are listed for a day. What the first table held went with it, without a record of each item.
def test_a_table_that_was_made_again_has_no_history_of_the_one_before() -> None:
    shop = Shop()
    shop.buy("c1", "p1", "19.99", days_ago=1)
    shop.add_model()
    made_again(shop)
    body = predicted(shop)
    assert body["features"]["purchases_7d"] == 1
    assert Inferences(shop.app, shop.client, shop.registry).replay(body["requestId"]).differences == []
    buyer = shop.app.feature_sets["buyer"]
    [row] = shop.app.training_set(buyer, [("c1", shop.now_us)], history=shop.client).rows
    assert row == body["features"]


# Why: the lake says of each item that it went, by its key alone: nobody has seen its last image.
def test_what_went_while_nobody_followed_is_gone_in_a_replay_over_the_lake(tmp_path: Path) -> None:
    shop = Shop()
    landing = Landing(shop, tmp_path)
    shop.buy("c1", "p1", "19.99", days_ago=1)
    shop.add_model()
    before = predicted(shop)
    landing.drain()
    made_again(shop)
    lake = Landing(shop, tmp_path).drain()
    shop.db.clock.advance(60)
    after = predicted(shop)
    inferences = Inferences(shop.app, shop.client, shop.registry, lake)
    assert [inferences.replay(body["requestId"]).differences for body in (before, after)] == [[], []]


class Hesitant:
    """A client whose streams answer twice with nothing before they go on, as AWS does."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._asked: dict[str, int] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def get_records(self, **request: Any) -> dict[str, Any]:
        iterator = request["ShardIterator"]
        self._asked[iterator] = self._asked.get(iterator, 0) + 1
        if self._asked[iterator] <= 2:
            return {"Records": [], "NextShardIterator": iterator}
        answer: dict[str, Any] = self._client.get_records(**{**request, "Limit": 1})
        return answer


# Why: an empty page in the middle of a shard is no end of it; what stood behind was missing from training sets, in silence.
def test_a_stream_that_answers_with_nothing_for_a_while_is_read_to_its_end() -> None:
    shop = Shop()
    for day in range(5):
        shop.buy("c1", f"p{day}", "10", days_ago=day)
    shop.db.clock.advance(60)
    buyer, spine = shop.app.feature_sets["buyer"], [("c1", shop.now_us - 1)]
    shop.app.tables["Purchases"].delete(customer_id="c1", purchase_id="p4")
    hesitant = shop.app.training_set(buyer, spine, history=Hesitant(shop.client))
    assert hesitant.rows == shop.app.training_set(buyer, spine, history=shop.client).rows
    assert hesitant.rows[0]["purchases_7d"] == 5


# Why: a path of JSON ends a name at a dot. DynamoDB's names may hold anything, and the lake then knew of no event.
def test_names_with_dots_and_quotes_are_found_in_the_lake(tmp_path: Path) -> None:
    app = App("names")
    entity, time, amount = "customer.id", "bought 'at'", "amount'EUR"
    orders = app.table(
        "Orders", partition_key=entity, sort_key="no", local_indexes={"by_time": time}, stream=True
    )
    features = {"n": count(days=7), "sum": total(amount, days=7), "latest": last(amount, days=7)}
    buyer = app.features("buyer", source=orders, entity=entity, time=time, features=features)
    app.predictor("will_buy", features=buyer, model="will_buy")
    shop = Shop(app)
    landing = Landing(shop, tmp_path)
    signature = Signature(tuple(Column(name, fill=0.0) for name in features))
    model = linear.LinearModel(signature, ((0.1, 0.1, 0.1),), (0.0,), (0, 1), "logistic")
    register(shop.registry, "will_buy", model, TrainingRows([dict.fromkeys(features, 1.0)]), format="linear")
    shop.registry.promote("will_buy", 1)
    for day in (1, 2):
        orders.put(
            {entity: "c1", "no": f"o{day}", time: text_of(shop.now_us - day * DAY_US), amount: Decimal(day)}
        )
    answer = shop.ask("GET", "/predict/will_buy/customer.id/c1")
    assert answer.json()["features"] == {"n": 2, "sum": 3.0, "latest": 1.0}
    lake = landing.drain()
    inferences = Inferences(app, shop.client, shop.registry, lake)
    assert inferences.replay(answer.json()["requestId"]).differences == []
    chain = inferences.why(answer.json()["requestId"])
    assert len(lake.sql(chain.sql[0]).table) == len(chain.events) == 2
    [row] = app.training_set(buyer, [("c1", shop.now_us)], history=lake).rows
    assert row == answer.json()["features"]
