"""Campaigns: who is asked, what is read, and what happens to those that do not answer."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from tests.shop import Shop

from penstock import computed
from penstock.errors import ServiceError, UsageError
from penstock.features.definition import assemble
from penstock.features.online import Reader, entity_value, read
from penstock.models.runtime import load_model
from penstock.serving import bulk
from penstock.serving.campaign import THROTTLED
from penstock.testing.seeds import replayable, seeds


@pytest.fixture(scope="module")
def shop() -> Shop:
    shop = Shop()
    for customer in range(40):
        for purchase in range(3):
            category = "jewelry" if customer % 2 else "books"
            shop.buy(
                f"c{customer:02}",
                f"p{purchase}",
                f"{customer}.50",
                days_ago=purchase * 5 + 1,
                category=category,
            )
    shop.add_model()
    return shop


def lines_of(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


# Why: three purchases of one customer are three entries of the index and one customer.
def test_a_campaign_answers_once_for_each_customer_of_the_category(shop: Shop) -> None:
    answer = shop.ask("POST", "/predict/will_buy/category/jewelry")
    assert answer.status_code == 200
    *lines, end = lines_of(answer.text)
    assert [line["customer"] for line in lines] == [f"c{n:02}" for n in range(1, 40, 2)]
    assert end == {"done": 20, "failed": 0}
    one = shop.ask("GET", "/predict/will_buy/customer/c01").json()
    assert lines[0]["probability"] == one["probability"]


# Why: "resumable from one key".
def test_a_campaign_goes_on_behind_the_entity_that_it_is_told(shop: Shop) -> None:
    answer = shop.ask("POST", "/predict/will_buy/category/jewelry", json={"after": "c35"})
    assert [line.get("customer") for line in lines_of(answer.text)] == ["c37", "c39", None]


# Why: a campaign by something that no index has would have to scan, so it is refused.
@pytest.mark.parametrize("path", ["/predict/will_buy/colour/red", "/predict/nope/category/jewelry"])
def test_a_campaign_that_no_index_serves_is_not_found(shop: Shop, path: str) -> None:
    assert shop.ask("POST", path).status_code == 404


# Why: the promise about cost. Every request of a campaign is a Query with a partition key; what it consumes is what the index
# partition and the chosen customers' windows hold, and does not grow with the rest of the table.
def test_a_campaign_reads_the_index_partition_and_the_chosen_customers_only(shop: Shop) -> None:
    def consumed() -> float:
        total = 0.0
        actions: set[str] = set()

        def query(**request: Any) -> dict[str, Any]:
            nonlocal total
            answer: dict[str, Any] = shop.client.query(**request, ReturnConsumedCapacity="TOTAL")
            total += answer["ConsumedCapacity"]["CapacityUnits"]
            actions.add("query")
            return answer

        class Counted:
            """A client that has nothing but Query: a scan would be an AttributeError."""

            def __init__(self, query: Callable[..., dict[str, Any]]) -> None:
                self.query = query

        work = make_bulk(shop, Counted(query))
        ids = list(work.entities("jewelry"))
        assert len(ids) == 20
        work.features(ids, shop.now_us, {})
        return total

    before = consumed()
    for other in range(300):
        shop.buy(f"x{other:03}", "p0", "10", days_ago=2, category="garden")
    assert consumed() == before
    assert {name for name, _ in shop.endpoint.requests} <= {"Query", "GetItem", "PutItem", "CreateTable"}


def make_bulk(shop: Shop, client: Any, threads: int = 1) -> bulk.Bulk:
    version = shop.registry.get("will_buy")
    model = load_model(version, shop.registry.content(version))
    declared = shop.app.predictors["will_buy"]
    return bulk.Bulk(declared, client, version, model, threads=threads, sleep=lambda seconds: None)


# Why: B3. A traceback of some function named nobody, in a campaign of millions.
def test_an_entity_whose_features_cannot_be_computed_is_named(shop: Shop) -> None:
    work = make_bulk(shop, shop.client)
    step = computed(lambda values: 1 / 0, needs=("purchases_7d",))
    work.plan = replace(work.plan, transforms={"purchases_7d": step})
    with pytest.raises(UsageError, match="customer c01: purchases_7d cannot be computed: ZeroDivisionError"):
        work.features(["c01"], shop.now_us, {})
    work.close()


class Unreliable:
    """A client that refuses every so many requests."""

    def __init__(self, client: Any, refuses: Callable[[], bool]) -> None:
        self._client, self._refuses = client, refuses
        self.refused = 0

    def query(self, **request: Mapping[str, Any]) -> dict[str, Any]:
        if self._refuses():
            self.refused += 1
            raise ServiceError(sorted(THROTTLED)[self.refused % len(THROTTLED)], "later")
        answer: dict[str, Any] = self._client.query(**request)
        return answer


# Why: "none lost, none doubled", with throttled reads at random places and a stop in the middle.
@pytest.mark.parametrize("seed", seeds(5))
def test_throttling_and_stops_lose_and_double_nobody(
    shop: Shop, seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "CHUNK", 3)
    monkeypatch.setattr(bulk, "PART_ROWS", 5)
    out = tmp_path / "campaign.parquet"
    with replayable(seed) as random:
        client = Unreliable(shop.client, lambda: random.random() < 0.4)
        runs = 0
        while True:
            runs += 1
            done = make_bulk(shop, client).run(
                "jewelry", out, at_us=shop.now_us, stop=lambda: random.random() < 0.3
            )
            if done is not None:
                break
    assert done == 20
    table = pq.read_table(out)
    assert table.column("customer").to_pylist() == [f"c{n:02}" for n in range(1, 40, 2)]
    assert not out.with_name(out.name + ".parts").exists()
    assert client.refused


# Why: parts of one campaign in the file of another would be wrong and look right.
def test_parts_of_another_campaign_are_not_mixed_in(shop: Shop, tmp_path: Path) -> None:
    out = tmp_path / "campaign.parquet"
    stops = iter([True, True])
    work = make_bulk(shop, shop.client)
    monkey = pytest.MonkeyPatch()
    monkey.setattr(bulk, "CHUNK", 3)
    assert work.run("jewelry", out, at_us=shop.now_us, stop=lambda: next(stops, True)) is None
    monkey.undo()
    with pytest.raises(UsageError, match="another campaign"):
        work.run("books", out, at_us=shop.now_us)
    with pytest.raises(UsageError, match="as of now"):
        work.run("jewelry", out, at_us=shop.now_us, as_of="2001-02-03")


# Why: bulk and single answers are one product: the same features, the same bits.
def test_bulk_features_are_those_of_one_at_a_time(shop: Shop) -> None:
    work = make_bulk(shop, shop.client)
    ids = list(work.entities("jewelry"))
    many = work.features(ids, shop.now_us, {})
    for id_, row in zip(ids, many, strict=True):
        observed = read(shop.client.query, Reader(work.plan), entity_value(work.plan, id_), shop.now_us)
        assert row == assemble(work.plan, observed.measured, {})
    assert [p.probability for p in work.predict(many)] == [work.predict([row])[0].probability for row in many]
