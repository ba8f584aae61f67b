"""Changes folded into day tiles, as the consumer does it, over HTTP from another process.

    python bench/tiles.py [--changes 3000]

The changes are of half as many customers, on three days each at most. A hundred changes at a time and one after the other is what the
consumer did at first; a thousand, sixteen at once, is what it does.
"""

from __future__ import annotations

import argparse
import random
import subprocess
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
from penstock.features.tiles import MADE_AT_ONCE, RECORDS_AT_ONCE, TileMaker, definition  # noqa: E402

HOW = ((100, 1), (100, MADE_AT_ONCE), (RECORDS_AT_ONCE, 1), (RECORDS_AT_ONCE, MADE_AT_ONCE))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--changes", type=int, default=3000)
    changes = parser.parse_args().changes
    random.seed(7)
    app = storefront()
    declared = app.feature_sets["buyer"]
    bounded = {name: each for name, each in declared.features.items() if name != "days_since_last"}
    plan = compile_set(replace(declared, features=bounded, tiles="BuyerTiles"))
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "penstock", "serve", "--data", folder, "--port", "0"]
        server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        try:
            assert server.stdout is not None
            url = next(word for line in server.stdout for word in line.split() if word.startswith("http://"))
            with penstock.connect(url) as client:
                client.create_table(**app.tables["Purchases"].definition())
                client.create_table(**definition("BuyerTiles"))
                items = made_up(changes)
                for start in range(0, changes, 25):
                    puts = [{"PutRequest": {"Item": item}} for item in items[start : start + 25]]
                    client.batch_write_item(RequestItems={"Purchases": puts})

                def call(method: str, request: Mapping[str, Any]) -> dict[str, Any]:
                    answer: dict[str, Any] = getattr(client, method)(**request)
                    return answer

                records = [{"dynamodb": {"NewImage": item}} for item in items]
                for size, at_once in HOW:
                    maker = TileMaker(plan, call, at_once=at_once)
                    began_s = time.perf_counter()
                    for start in range(0, changes, size):
                        maker.handle({"Records": records[start : start + size]})
                    rate = changes / (time.perf_counter() - began_s)
                    print(f"{size:5} changes a batch, {at_once:2} entities at once: {rate:,.0f} changes/s")
        finally:
            server.kill()
            server.wait()


def made_up(count: int) -> list[dict[str, Any]]:
    now_us = time.time_ns() // 1000
    return [
        to_item(
            {
                "customer_id": f"c{random.randrange(count // 2)}",
                "purchase_id": f"p{number}",
                "purchased_at": text_of(now_us - random.randrange(2 * DAY_US)),
                "amount": Decimal(random.randrange(100, 50_000)) / 100,
                "category": "jewelry",
            }
        )
        for number in range(count)
    ]


if __name__ == "__main__":
    main()
