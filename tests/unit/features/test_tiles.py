"""Day tiles: the same answer as raw rows, from a few reads."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.shop import MemoryClient, Shop, storefront

from penstock import App, count, distinct, last, mean, most, share, since_last, std, top, total
from penstock.errors import ServiceError, UsageError
from penstock.features.definition import Plan, compile_set
from penstock.features.instants import DAY_US, text_of
from penstock.features.online import Page, Reader, read
from penstock.features.packs import Day, dump, fold_day, pack_days, pack_of, packed, restore
from penstock.features.tiles import TileMaker, TileReader, consumers, definition
from penstock.models import linear
from penstock.models.register import TrainingRows, register
from penstock.models.runtime import load_model
from penstock.models.signature import Column, Signature
from penstock.serving.bulk import Bulk
from penstock.serving.predict import Asked
from penstock.testing.clock import START_US
from penstock.testing.databases import MemoryDatabase
from penstock.testing.seeds import replayable, seeds

app = App("tiles")
clicks = app.table("Clicks", partition_key="who", sort_key="id", local_indexes={"by_time": "at"}, stream=True)
PLAN = compile_set(
    app.features(
        "clicker",
        source=clicks,
        entity="who",
        time="at",
        tiles="ClickTiles",
        features={
            "n_3": count(days=3),
            "n_hour": count(hours=1),
            "sum_7": total("n", days=7),
            "mean_7": mean("n", days=7),
            "std_7": std("n", days=7),
            "most_3": most("n", days=3),
            "last_7": last("colour", days=7),
            "top_7": top("colour", days=7),
            "distinct_3": distinct("colour", days=3),
            "share_7": share("n", where={"colour": "red"}, days=7),
        },
    )
)
# Without values in its parts a set is packed by many days, here with windows over several packs.
SUMS = compile_set(
    app.features(
        "sums",
        source=clicks,
        entity="who",
        time="at",
        tiles="ClickTiles",
        features={
            "n_3": count(days=3),
            "n_hour": count(hours=1),
            "n_600": count(days=600),
            "sum_7": total("n", days=7),
            "mean_600": mean("n", days=600),
            "std_7": std("n", days=7),
            "most_600": most("n", days=600),
            "since_red": since_last(days=7, where={"colour": "red"}),
            "share_600": share("n", where={"colour": "red"}, days=600),
        },
    )
)


class World:
    """The table, its tiles, and a consumer that makes them from the stream's records."""

    def __init__(self, plan: Plan = PLAN) -> None:
        self.db = MemoryDatabase()
        self.client = MemoryClient(self.db)
        app.bind(self.client)
        self.client.create_table(**clicks.definition())
        self.client.create_table(**definition("ClickTiles"))
        self.reads: list[str] = []
        self.maker = TileMaker(plan, self.call)

    def call(self, action: str, request: Mapping[str, Any]) -> dict[str, Any]:
        self.reads.append(action)
        answer: dict[str, Any] = getattr(self.client, action)(**request)
        return answer

    def change(self, id_: str, item: dict[str, Any] | None) -> None:
        """A write and what the stream would tell the consumer of it."""
        old = self.client.get_item(TableName="Clicks", Key={"who": {"S": "w"}, "id": {"S": id_}}).get("Item")
        if item is None:
            clicks.delete(who="w", id=id_)
        else:
            clicks.put({"who": "w", "id": id_, **item})
        new = self.client.get_item(TableName="Clicks", Key={"who": {"S": "w"}, "id": {"S": id_}}).get("Item")
        images = {name: image for name, image in (("OldImage", old), ("NewImage", new)) if image is not None}
        self.maker.handle({"Records": [{"dynamodb": images}]})


_items = st.fixed_dictionaries(
    {
        "at": st.one_of(
            st.integers(0, 9 * DAY_US),
            st.integers(0, 600 * DAY_US),
            st.sampled_from([days * DAY_US + by for days in range(9) for by in (-1, 0, 1)]),
        ).map(lambda back: text_of(START_US - back)),
        "n": st.decimals(allow_nan=False, allow_infinity=False, places=3, min_value=-100, max_value=100),
        "colour": st.sampled_from(["red", "green", "blue"]),
    }
)


# Why: X2, over every aggregate that tiles serve: late events, corrections, deletions and questions at the edges of days.
@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from("abcdefgh"), st.one_of(st.none(), _items)), max_size=16),
    st.one_of(st.integers(-DAY_US, 2 * DAY_US), st.sampled_from([-1, 0, 1, DAY_US - 1, DAY_US])),
    st.sampled_from([PLAN, SUMS]),
)
def test_tiles_give_the_bits_that_raw_rows_give(changes: list[Any], back: int, plan: Plan) -> None:
    world = World(plan)
    for id_, item in changes:
        world.change(id_, item)
    at_us = START_US - back
    raw = read(world.client.query, Reader(plan), {"S": "w"}, at_us).measured
    assert TileReader(plan).read(world.call, "w", at_us) == raw
    # The consumer has handled everything: today's tile knows as much as today's rows.
    assert TileReader(plan).read_many(world.call, ["w"], at_us, today_from_tiles=True) == [raw]
    many = ["w", *"uvxyz"]
    assert TileReader(plan).read_many(world.call, many, at_us, today_from_tiles=True)[0] == raw


# Why: what tiles are for: a thousand events a day, and the reads do not grow with them.
def test_a_hot_entity_costs_as_few_reads_as_any() -> None:
    world = World()
    for number in range(300):
        at = text_of(START_US - 3 * DAY_US + number)
        clicks.put({"who": "w", "id": f"{number}", "at": at, "n": Decimal(1), "colour": "red"})
    source = PLAN.sources[0]
    world.maker.make(source, "w", [(START_US - 3 * DAY_US) // DAY_US])
    world.reads.clear()
    assert TileReader(PLAN).read(world.call, "w", START_US)["sum_7"] == 300.0
    assert world.reads.count("batch_get_item") == 1
    assert world.reads.count("query") <= 5


# Why: an id stands in a URL as whoever asks writes it, and a tile's key has the number as the table has it. The raw rows of today
# were found and the tiles were not: a wrong answer in place of an error.
@pytest.mark.parametrize("id_", ["5", "5.0", "05", "0.5e1"])
def test_a_number_is_the_same_entity_however_it_is_written(id_: str) -> None:
    numbered = App("numbered")
    events = numbered.table("Events", partition_key="who:N", sort_key="at", stream=True)
    declared = numbered.features(
        "n", source=events, entity="who", time="at", tiles="EventTiles", features={"n_7": count(days=7)}
    )
    plan, client = compile_set(declared), MemoryClient(MemoryDatabase())
    numbered.bind(client)
    client.create_table(**events.definition())
    client.create_table(**definition("EventTiles"))

    def call(action: str, request: Mapping[str, Any]) -> dict[str, Any]:
        answer: dict[str, Any] = getattr(client, action)(**request)
        return answer

    for days in range(5):
        events.put({"who": 5, "at": text_of(START_US - days * DAY_US)})
    today = START_US // DAY_US
    TileMaker(plan, call).make(plan.sources[0], "5", range(today - 5, today + 1))
    assert TileReader(plan).read(call, id_, START_US) == {"n_7": 5}


# Why: a part that changes on its way through the table would change answers.
@given(
    st.recursive(
        st.one_of(
            st.none(),
            st.integers(),
            st.decimals(allow_nan=False, allow_infinity=False),
            st.text(),
            st.binary(),
        ),
        lambda inner: st.lists(inner, max_size=3).map(tuple),
        max_leaves=5,
    )
)
def test_parts_survive_being_written(part: Any) -> None:
    assert restore(dump(part)) == part


# Why: "with 5% of keys returned unprocessed at random 0 lost": what BatchGetItem gives back is asked for until it is there.
@pytest.mark.parametrize("seed", seeds(5))
def test_unprocessed_keys_are_asked_for_again(seed: int) -> None:
    world = World()
    for number in range(8):
        at = text_of(START_US - number * DAY_US)
        world.change(f"{number}", {"at": at, "n": Decimal(1), "colour": "red"})
    with replayable(seed) as random:

        def call(action: str, request: Mapping[str, Any]) -> dict[str, Any]:
            if action != "batch_get_item":
                return world.call(action, request)
            keys = request["RequestItems"]["ClickTiles"]["Keys"]
            left = [key for key in keys if random.random() < 0.4]
            asked = [key for key in keys if key not in left]
            answer = (
                world.call(action, {"RequestItems": {"ClickTiles": {"Keys": asked}}})
                if asked
                else {"Responses": {}}
            )
            return {**answer, "UnprocessedKeys": {"ClickTiles": {"Keys": left}} if left else {}}

        found = TileReader(PLAN).read_many(call, ["w", "nobody"], START_US)
    assert found == TileReader(PLAN).read_many(world.call, ["w", "nobody"], START_US)
    assert found[0]["sum_7"] == 7.0


# Why: X4. Two workers hold one lease for a moment, and each writes the whole pack: neither may take the other's day away.
def test_makers_that_meet_lose_no_day() -> None:
    world = World(SUMS)
    for number in range(2):
        at = text_of(START_US - (number + 1) * DAY_US)
        clicks.put({"who": "w", "id": f"{number}", "at": at, "n": Decimal(1), "colour": "red"})
    today = START_US // DAY_US
    source = SUMS.sources[0]
    first, second = today - 1, today - 2
    met: list[str] = []

    def call(action: str, request: Mapping[str, Any]) -> dict[str, Any]:
        if action == "put_item" and not met:
            met.append(action)
            world.maker.make(source, "w", [second])
        return world.call(action, request)

    assert first // pack_days(source) == second // pack_days(source)
    TileMaker(SUMS, call).make(source, "w", [first])
    assert met
    assert TileReader(SUMS).read(world.call, "w", START_US)["sum_7"] == 2.0


_decimals = st.one_of(
    st.decimals(allow_nan=False, allow_infinity=False, places=2, min_value=-1000, max_value=1000),
    st.sampled_from(
        [Decimal("1E-100"), Decimal("9.99E+120"), Decimal("12345678901234567890.5"), Decimal("0E+5")]
    ),
)


# Why: K1 and K2. A column adds whole numbers where they fit and merges parts where they do not; no sum may tell which it was.
@given(st.lists(_decimals, min_size=1, max_size=8), st.data())
def test_a_slice_of_a_pack_is_the_merge_of_its_days(numbers: list[Decimal], data: st.DataObject) -> None:
    measures = (*PLAN.sources[0].measures, *SUMS.sources[0].measures)
    rows = [
        [(day * 3 * DAY_US + 1, (), {"n": {"N": str(n)}, "colour": {"S": "red"}})]
        for day, n in enumerate(numbers)
    ]
    keyed = {measure.name: measure for measure in measures if not measure.kind.needs_ties}.values()
    folded = {day * 3: fold_day(list(keyed), day * 3, each) for day, each in enumerate(rows)}
    pack = pack_of(packed(list(keyed), folded))
    low = data.draw(st.integers(0, 3 * len(numbers) - 3))
    high = data.draw(st.integers(low, 3 * len(numbers)))
    begin, end = pack.places(range(low, high + 1))
    inside = [day for day in folded if low <= day <= high]
    assert end - begin == len(inside)
    for measure in keyed if inside else ():
        merged = folded[inside[0]].parts[measure.name]
        for day in inside[1:]:
            merged = measure.kind.merge(merged, folded[day].parts[measure.name])
        assert pack.fold(measure, begin, end) == merged


# Why: a feature that was declared after the tiles were made would be 0 for all of history, and nobody would see it.
def test_tiles_from_before_a_feature_was_declared_are_refused() -> None:
    pack = pack_of(packed((), {1: Day(1, 0, 0, {})}))
    with pytest.raises(UsageError, match="another name"):
        pack.fold(PLAN.sources[0].measures[0], 0, 1)


def tiled_shop(customers: Sequence[str] = ("c1", "c2", "c3"), days: int = 40) -> Shop:
    """Customers with a purchase a day, their tiles kept, a model over what tiles serve."""
    tiled = storefront()
    declared = tiled.feature_sets["buyer"]
    bounded = {name: each for name, each in declared.features.items() if name != "days_since_last"}
    tiled.feature_sets["buyer"] = replace(declared, features=bounded, tiles="BuyerTiles")
    tiled.predictors["will_buy"] = replace(tiled.predictors["will_buy"], features=tiled.feature_sets["buyer"])
    shop = Shop(tiled)
    shop.client.create_table(**definition("BuyerTiles"))

    def call(action: str, request: Mapping[str, Any]) -> dict[str, Any]:
        answer: dict[str, Any] = getattr(shop.client, action)(**request)
        return answer

    [consumer] = consumers(tiled, call)
    for day in range(days):
        for customer in customers:
            category = "jewelry" if day % 2 else "books"
            shop.buy(customer, f"p{day}", f"{day}.2{customer[1]}", days_ago=day, category=category)
    for item in shop.client.scan(TableName="Purchases")["Items"]:
        consumer.handler({"Records": [{"dynamodb": {"NewImage": item}}]})
    model = linear.LinearModel(
        Signature(tuple(Column(name) for name in bounded)), ((0.001, 0.1, 1.0),), (0.0,), (0, 1), "logistic"
    )
    rows = TrainingRows([dict.fromkeys(bounded, 0.0)])
    register(shop.registry, "will_buy", model, rows, format="linear")
    shop.registry.promote("will_buy", 1)
    return shop


# Why: tiles are for predictions, not only for files: the API serves from them, and says the same as without.
def test_a_prediction_is_served_from_tiles() -> None:
    shop = tiled_shop()
    body = shop.ask("GET", "/predict/will_buy/customer/c1").json()
    plan = compile_set(shop.app.feature_sets["buyer"])
    assert body["features"] == read(shop.client.query, Reader(plan), {"S": "c1"}, shop.now_us).measured
    assert "BatchGetItem" in {name for name, _ in shop.endpoint.requests}


# Why: a campaign from tiles is fast because one request brings many customers; the answers are those of one at a time. The rows
# of today are owed only where tiles may be behind (X3).
@pytest.mark.parametrize("holds_today", [True, False])
def test_a_campaign_reads_the_tiles_of_many_in_one_request(holds_today: bool) -> None:
    shop = tiled_shop()
    shop.tiles_hold_today = holds_today
    shop.endpoint.requests.clear()
    *lines, summary = map(
        json.loads, shop.ask("POST", "/predict/will_buy/category/jewelry").text.splitlines()
    )
    assert summary == {"done": 3, "failed": 0}
    assert [name for name, _ in shop.endpoint.requests].count("BatchGetItem") == 1
    queries = [orjson.loads(body) for name, body in shop.endpoint.requests if name == "Query"]
    assert [query["IndexName"] for query in queries].count("by_time") == (0 if holds_today else 3)
    for line in lines:
        alone = shop.ask("GET", f"/predict/will_buy/customer/{line['customer']}").json()
        assert line["probability"] == alone["probability"]


# Why: C6. A chunk from tiles waits for nothing, so a prediction beside a campaign had no turn before its end: half a second.
def test_who_asks_beside_a_campaign_is_answered_between_its_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    shop = tiled_shop()
    monkeypatch.setattr("penstock.serving.campaign.TOGETHER", 1)
    serving = shop.api.state.serving
    service = serving.predictor("will_buy")

    async def run() -> bool:
        lines = await serving.campaigns.begin(service, "category", "jewelry", {})
        assert b"c1" in await anext(lines)
        asked = asyncio.create_task(service.infer(Asked("c3", {})))
        assert b"c2" in await anext(lines)
        return asked.done()

    assert asyncio.run(run())


# Why: C4. What is computed for many at once fails for all of them, and only one of them has text where a number belongs.
def test_a_customer_that_fails_in_a_campaign_from_tiles_fails_alone() -> None:
    tiled = storefront()
    noted = {"note_30d": last("note", days=30)}
    tiled.feature_sets["buyer"] = replace(tiled.feature_sets["buyer"], features=noted, tiles="BuyerTiles")
    tiled.predictors["will_buy"] = replace(tiled.predictors["will_buy"], features=tiled.feature_sets["buyer"])
    shop = Shop(tiled)
    shop.client.create_table(**definition("BuyerTiles"))
    for customer, note in (("c1", Decimal(1)), ("c2", "text"), ("c3", Decimal(3))):
        at = text_of(shop.now_us - 2 * DAY_US)
        bought = {"customer_id": customer, "purchase_id": "p", "purchased_at": at, "category": "jewelry"}
        tiled.tables["Purchases"].put({**bought, "note": note})
    [consumer] = consumers(tiled, lambda method, request: getattr(shop.client, method)(**request))
    for item in shop.client.scan(TableName="Purchases")["Items"]:
        consumer.handler({"Records": [{"dynamodb": {"NewImage": item}}]})
    model = linear.LinearModel(Signature((Column("note_30d"),)), ((1.0,),), (0.0,), (), "identity")
    register(shop.registry, "will_buy", model, TrainingRows([{"note_30d": 1.0}]), format="linear")
    shop.registry.promote("will_buy", 1)
    *lines, summary = map(
        json.loads, shop.ask("POST", "/predict/will_buy/category/jewelry").text.splitlines()
    )
    assert [line.get("prediction") for line in lines] == [1.0, None, 3.0]
    assert (lines[1]["error"], summary) == ("ModelFailed", {"done": 3, "failed": 1})


# Why: C2 holds for tiles too: a campaign that meets throttling waits, and leaves nobody out.
def test_a_throttled_campaign_from_tiles_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    shop = tiled_shop()
    monkeypatch.setattr("penstock.serving.campaign.PAUSE_S", 0.0)
    ask = shop.store.mixed_pages
    refused: list[str] = []

    async def mixed_pages(asked: Sequence[tuple[str, Mapping[str, Any]]]) -> list[Page]:
        if len(refused) < 3:
            refused.append(asked[0][0])
            raise ServiceError("ThrottlingException", "slow down", status=400)
        return await ask(asked)

    monkeypatch.setattr(shop.store, "mixed_pages", mixed_pages)
    *lines, summary = map(
        json.loads, shop.ask("POST", "/predict/will_buy/category/jewelry").text.splitlines()
    )
    assert (len(refused), len(lines), summary) == (3, 3, {"done": 3, "failed": 0})


# Why: "with 5% of keys returned unprocessed at random 0 lost and 0 doubled", counted exactly: of each hundred keys that are
# asked for, five chosen by lot come back.
@pytest.mark.parametrize("seed", seeds(3))
def test_a_campaign_with_five_percent_unprocessed_loses_and_doubles_nobody(seed: int, tmp_path: Path) -> None:
    customers = [f"c{number:03}" for number in range(240)]
    shop = tiled_shop(customers, days=2)
    version = shop.registry.get("will_buy")
    model = load_model(version, shop.registry.content(version))
    declared = shop.app.predictors["will_buy"]
    asked = withheld = 0
    with replayable(seed) as random:
        lots: list[bool] = []

        class Unready:
            """A client that leaves keys unprocessed."""

            query = staticmethod(shop.client.query)

            def batch_get_item(self, RequestItems: dict[str, Any]) -> dict[str, Any]:
                nonlocal asked, withheld, lots
                [(table, request)] = RequestItems.items()
                if len(lots) < len(request["Keys"]):
                    lots += random.sample([True] * 5 + [False] * 95, 100)
                drawn, lots = lots[: len(request["Keys"])], lots[len(request["Keys"]) :]
                left = [key for key, is_left in zip(request["Keys"], drawn, strict=True) if is_left]
                asked, withheld = asked + len(drawn), withheld + len(left)
                keys = [key for key in request["Keys"] if key not in left]
                found = (
                    shop.client.batch_get_item(RequestItems={table: {"Keys": keys}})
                    if keys
                    else {"Responses": {}}
                )
                return {**found, "UnprocessedKeys": {table: {"Keys": left}} if left else {}}

        out = tmp_path / "campaign.parquet"
        work = Bulk(declared, Unready(), version, model, threads=1)
        assert work.run("jewelry", out, at_us=shop.now_us) == 240
    assert withheld == (asked + len(lots)) // 100 * 5 - sum(lots) > 0
    rows = pq.read_table(out).to_pylist()
    assert [row["customer"] for row in rows] == customers
    whole = Bulk(declared, shop.client, version, model, threads=1)
    whole.run("jewelry", tmp_path / "whole.parquet", at_us=shop.now_us)
    assert rows == pq.read_table(tmp_path / "whole.parquet").to_pylist()


# Why: X3. A Query for each customer is most of what a campaign from tiles costs; it is owed only where tiles may be behind.
@pytest.mark.parametrize("reaches", [True, False])
def test_a_campaign_asks_for_the_rows_of_today_only_where_tiles_may_be_behind(
    reaches: bool, tmp_path: Path
) -> None:
    shop = tiled_shop()
    version = shop.registry.get("will_buy")
    model = load_model(version, shop.registry.content(version))
    asked: list[float] = []
    queries: list[str] = []

    class Counting:
        batch_get_item = staticmethod(shop.client.batch_get_item)

        def query(self, **request: Any) -> dict[str, Any]:
            queries.append(request["IndexName"])
            answer: dict[str, Any] = shop.client.query(**request)
            return answer

    def tiles_reach(plan: Plan, until_s: float) -> bool:
        asked.append(until_s)
        return reaches

    declared = shop.app.predictors["will_buy"]
    work = Bulk(declared, Counting(), version, model, threads=1, tiles_reach=tiles_reach)
    assert work.run("jewelry", tmp_path / "c.parquet", at_us=shop.now_us) == 3
    assert len(asked) == 1
    assert queries.count("by_time") == (0 if reaches else 3)


# Why: who asks waits up to a second for the answer, and as of the end of a day nothing depends on it (X3).
def test_a_campaign_as_of_the_end_of_a_day_does_not_ask_whether_tiles_are_behind(tmp_path: Path) -> None:
    shop = tiled_shop()
    version = shop.registry.get("will_buy")
    model = load_model(version, shop.registry.content(version))
    asked: list[float] = []

    def tiles_reach(plan: Plan, until_s: float) -> bool:
        asked.append(until_s)
        return True

    work = Bulk(
        shop.app.predictors["will_buy"], shop.client, version, model, threads=1, tiles_reach=tiles_reach
    )
    ended_us = shop.now_us // DAY_US * DAY_US - 1
    assert work.run("jewelry", tmp_path / "c.parquet", at_us=ended_us) == 3
    assert not asked
