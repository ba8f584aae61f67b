"""Reading one entity's features, over clients that parse their answers and clients that leave that to the reader."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from tests.shop import Shop, storefront

import penstock
from penstock.errors import ServiceError
from penstock.features.definition import compile_set
from penstock.features.instants import DAY_US, text_of
from penstock.features.online import Reader, pages_of, read

NOW_US = 1_767_225_600_000_000


# Why: pages that arrive as JSON are read by other code than pages that were parsed; both are one product.
def test_unparsed_pages_give_the_features_of_parsed_ones(tmp_path: Path) -> None:
    app = storefront()
    plan = compile_set(app.feature_sets["buyer"])
    with penstock.connect(f"file:{tmp_path}/data", durability="process") as client:
        app.bind(client)
        client.create_table(**app.tables["Purchases"].definition())
        for number in range(60):
            app.tables["Purchases"].put(
                {
                    "customer_id": "c1",
                    "purchase_id": f"p{number}",
                    "purchased_at": text_of(NOW_US - number * 2 * DAY_US),
                    "amount": Decimal(number) / 3 // Decimal("0.01") / 100,
                    "category": "jewelry" if number % 3 else "books",
                }
            )
        reader = Reader(plan, with_capacity=True)
        body: Any = pages_of(client)(**next(reader.steps({"S": "c1"}, NOW_US))[0])
        assert isinstance(body, bytes)
        unparsed = read(pages_of(client), reader, {"S": "c1"}, NOW_US)
        assert unparsed == read(client.query, reader, {"S": "c1"}, NOW_US)
        assert (
            unparsed.events == 46
        )  # Read: the one that just left the window lies in the second of its edge.
        assert unparsed.capacity > 0
        with pytest.raises(ServiceError) as refused:
            client.answer_body("Query", {"TableName": "Nowhere", "KeyConditionExpression": "a = :b"})
        assert refused.value.code in ("ResourceNotFoundException", "ValidationException")


# Why: a window of many pages is read for its columns too: row by row, 100,000 events held a loop for seconds.
@pytest.mark.parametrize("odd", [False, True])
def test_a_window_of_many_pages_is_one_window(odd: bool) -> None:
    shop = Shop()
    plan = compile_set(shop.app.feature_sets["buyer"])
    for number in range(30):
        shop.buy("c1", f"p{number:02}", "1.10", days_ago=number, category="jewelry")
    if odd:  # Another form of time, which columns leave to rows.
        at = text_of(shop.now_us - DAY_US)[:19] + "Z"
        shop.app.tables["Purchases"].put(
            {"customer_id": "c1", "purchase_id": "odd", "purchased_at": at, "amount": 1, "category": "books"}
        )

    def in_pages(**request: Any) -> Any:
        return shop.client.query(**request, Limit=7)

    paged = read(in_pages, Reader(plan), {"S": "c1"}, shop.now_us)
    whole = read(shop.client.query, Reader(plan), {"S": "c1"}, shop.now_us)
    assert (paged.measured, paged.events) == (whole.measured, whole.events)
    assert paged.measured["total_purchase_volume_30d"] == (34.0 if odd else 33.0)
    assert whole.rounds == 1
    assert paged.rounds >= 5
