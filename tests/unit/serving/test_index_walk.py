"""Walking a partition of an index: everybody once, in order, whatever the pages and the runs of entries look like."""

from __future__ import annotations

from functools import partial
from typing import Any

import orjson
import pytest
from tests.shop import MemoryClient, Shop

from penstock import App, keys_only
from penstock.features.definition import compile_set
from penstock.serving import index_walk
from penstock.serving.index_walk import CampaignIndex, IndexWalk, campaign_index
from penstock.testing.databases import MemoryDatabase
from penstock.testing.seeds import replayable, seeds


def walked(
    shop: Shop, *, unparsed: bool, page_items: int, seek_costs: int, after: str | None = None
) -> tuple[list[str], int, int]:
    """Who was found, by how many requests, and how many entries were read."""
    predictor = shop.app.predictors["will_buy"]
    plan = compile_set(predictor.features)
    index = campaign_index(plan, predictor.features.source, predictor.campaign_by, predictor.name)
    walk = IndexWalk(index, {"S": "jewelry"}, "S", after=after, page_items=page_items, seek_costs=seek_costs)
    found: list[str] = []
    requests = entries = 0
    while not walk.is_done:
        page: dict[str, Any] = shop.client.query(**walk.request)
        requests, entries = requests + 1, entries + page["ScannedCount"]
        found += walk.take(orjson.dumps(page) if unparsed else page)
    return found, requests, entries


# Why: skipping entries must skip nobody: runs of any length, pages that end in them, and both ways of reading a page.
@pytest.mark.parametrize("seed", seeds(8))
def test_everybody_is_found_once_and_in_order(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index_walk, "ENTITIES_BY_SEEK", 3)
    shop = Shop()
    with replayable(seed) as random:
        for customer in range(random.randrange(1, 30)):
            for purchase in range(random.choice([0, 1, 1, 2, 5, 12, 30])):
                shop.buy(f"c{customer:02}/é", f"p{purchase}", "1", days_ago=1, category="jewelry")
            shop.buy(f"c{customer:02}/é", "book", "1", days_ago=1)
        items = shop.client.scan(TableName="Purchases")["Items"]
        everybody = sorted({i["customer_id"]["S"] for i in items if i["category"]["S"] == "jewelry"})
        after = random.choice([None, "", "c07", "c07/é", "c07/é~", "d"]) or None
        expected = everybody if after is None else [each for each in everybody if each > after]
        for unparsed in (True, False):
            found, _, _ = walked(
                shop,
                unparsed=unparsed,
                page_items=random.choice([1, 2, 7, 1000]),
                seek_costs=random.choice([1, 4, 1000]),
                after=after,
            )
            assert found == expected


# Why: I2. A customer with thousands of purchases must not cost thousands of reads, nor ones with two a request each.
@pytest.mark.parametrize(("purchases", "requests_max", "entries_max"), [(40, 20, 100), (2, 3, 24)])
def test_long_runs_are_skipped_and_short_ones_read(
    purchases: int, requests_max: int, entries_max: int
) -> None:
    shop = Shop()
    for customer in range(12):
        for purchase in range(purchases):
            shop.buy(f"c{customer:02}", f"p{purchase}", "1", days_ago=1, category="jewelry")
    found, requests, entries = walked(shop, unparsed=True, page_items=50, seek_costs=16)
    assert len(found) == 12
    assert requests <= requests_max
    assert entries <= entries_max


# Why: an entity's attribute may have any name, and a quote in one ended the campaign with an error of the JSON reader.
@pytest.mark.parametrize(
    "name", ['am"ount', "back\\slash", "\t", "\x00", "é 😀", " ", "#e", ":b", "class", "a.b[0]"]
)
def test_an_entity_of_any_name_is_walked(name: str) -> None:
    app = App("awkward")
    events = app.table(
        "Events", partition_key="id", global_indexes={"by_kind": ("kind", f"{name}:S", keys_only())}
    )
    client = MemoryClient(MemoryDatabase())
    app.bind(client)
    client.create_table(**events.definition())
    for number in range(6):
        events.put({"id": str(number), "kind": "red", name: f"w{number // 2}"})
    walk_of = partial(
        IndexWalk, CampaignIndex(events, "by_kind", "kind", name), {"S": "red"}, "S", after=None, page_items=3
    )
    for unparsed in (True, False):
        walk, found = walk_of(), []
        while not walk.is_done:
            page: dict[str, Any] = client.query(**walk.request)
            found += walk.take(orjson.dumps(page) if unparsed else page)
        assert found == ["w0", "w1", "w2"]
