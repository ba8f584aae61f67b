"""A campaign into a file, end to end: from 50 raw rows for each customer, and from day tiles.

    python bench/predict_campaign.py [--customers 2000] [--threads 1]

To reach on two cores: 5,000 customers/s from raw rows, 20,000/s from tiles. In process one thread is fastest; over HTTP more are.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from tests.shop import storefront  # noqa: E402

import penstock  # noqa: E402
from penstock.app.plain import to_item  # noqa: E402
from penstock.features.definition import compile_set  # noqa: E402
from penstock.features.instants import DAY_US, text_of  # noqa: E402
from penstock.features.tiles import TileMaker, day_of, definition  # noqa: E402
from penstock.models.linear import LinearModel  # noqa: E402
from penstock.models.registry import Version  # noqa: E402
from penstock.models.signature import Column, Signature  # noqa: E402
from penstock.serving.bulk import Bulk  # noqa: E402

EVENTS = 50


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--customers", type=int, default=2000)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    random.seed(7)
    app = storefront()
    declared = app.feature_sets["buyer"]
    bounded = {name: each for name, each in declared.features.items() if name != "days_since_last"}
    tiled = replace(declared, features=bounded, tiles="BuyerTiles")
    ended_us = time.time_ns() // 1000 // DAY_US * DAY_US - 1
    now_us = ended_us + DAY_US // 2
    with (
        tempfile.TemporaryDirectory() as folder,
        penstock.connect(f"file:{folder}/data", durability="process") as client,
    ):
        client.create_table(**app.tables["Purchases"].definition())
        client.create_table(**definition("BuyerTiles"))

        def call(action: str, request: Mapping[str, Any]) -> dict[str, Any]:
            answer: dict[str, Any] = getattr(client, action)(**request)
            return answer

        plan = compile_set(tiled)
        maker = TileMaker(plan, call)
        for customer in range(arguments.customers):
            fill(client, maker, f"c{customer:07}", now_us)
        for name, features, at_us, reach in (
            ("raw rows", declared, now_us, False),
            ("day tiles, as a day ended", tiled, ended_us, False),
            ("day tiles, as of noon, behind the table", tiled, now_us, False),
            ("day tiles, as of noon, up to the table", tiled, now_us, True),
        ):
            signature = Signature(tuple(Column(feature, fill=0.0) for feature in features.features))
            model = LinearModel(signature, ((0.01,) * len(features.features),), (0.0,), (0, 1), "logistic")
            version = Version("will_buy", 1, "linear", "", signature.as_json(), [0, 1])
            predictor = replace(app.predictors["will_buy"], features=features)
            counted = Counting(client)
            work = Bulk(
                predictor,
                counted,
                version,
                model,
                threads=arguments.threads,
                project=False,
                tiles_reach=lambda plan, until_s, reach=reach: reach,
            )
            began_s = time.perf_counter()
            done = work.run("jewelry", Path(folder) / f"{name}.parquet", at_us=at_us)
            rate = (done or 0) / (time.perf_counter() - began_s)
            asked = counted.queries / (done or 1)
            print(f"{name:40} {done:,} customers, {rate:,.0f}/s, {asked:.2f} Queries of rows a customer")
            work.close()


class Counting:
    """A client that counts the Queries that read a customer's rows."""

    def __init__(self, client: Any) -> None:
        self._body, self.runs_engine, self.queries = client.answer_body, client.runs_engine, 0

    def answer_body(self, action: str, request: Mapping[str, Any]) -> bytes:
        self.queries += request.get("IndexName") == "by_time"
        return self._body(action, request)


def fill(client: Any, maker: TileMaker, customer: str, now_us: int) -> None:
    days = set()
    for start in range(0, EVENTS, 25):
        puts = []
        for purchase in range(start, start + 25):
            at_us = now_us - random.randrange(89 * DAY_US)
            days.add(day_of(at_us))
            item = {
                "customer_id": customer,
                "purchase_id": f"p{purchase}",
                "purchased_at": text_of(at_us),
                "amount": Decimal(random.randrange(100, 50_000)) / 100,
                "category": "jewelry" if purchase == 0 else random.choice(["jewelry", "books"]),
            }
            puts.append({"PutRequest": {"Item": to_item(item)}})
        client.batch_write_item(RequestItems={"Purchases": puts})
    maker.make(maker.plan.sources[0], customer, days)


if __name__ == "__main__":
    main()
