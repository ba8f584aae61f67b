"""What makes the storefront move: history loaded behind the first predictions, then customers who buy and are asked about.

None of this is needed in an application of one's own: there the events come over HTTP or from any AWS SDK.
"""

from __future__ import annotations

import logging
import random
import urllib.error
import urllib.request
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from itertools import islice
from typing import Any

import penstock
import shop
from penstock.app.plain import to_item

FIRST_CUSTOMERS = 500  # Loaded before anything is announced: enough for a first model.
LIVE_PER_S = 2.0
_BATCH = 25  # BatchWriteItem takes no more.
_AT_ONCE = 4  # Batches under way together share their syncs.
_CHUNK = 250  # Customers between two notes of how far the history is.

log = logging.getLogger("penstock.storefront")


def run(app: Any) -> None:
    table = app.tables["Purchases"].name

    @app.setup
    def first_model(ctx: Any) -> None:
        """Enough customers for a model, so that there is a prediction while the rest is loaded."""
        load(ctx, table, FIRST_CUSTOMERS)
        learn(app, ctx, "first model", FIRST_CUSTOMERS)

    @app.task
    def history(ctx: Any) -> None:
        """All customers; then a model from the lake, which has every change by then."""
        load(ctx, table, shop.CUSTOMERS)
        lake = ctx.lake()
        while lake is not None and not ctx.wait(2.0):
            if changes_in(lake) >= shop.PURCHASES:
                learn(app, ctx, "model from the lake", shop.CUSTOMERS, lake)
                return

    @app.task
    def live(ctx: Any) -> None:
        buy_and_ask(ctx, table)


def changes_in(lake: Any) -> int:
    try:
        [row] = lake.sql("SELECT count(*) AS changes FROM raw.purchases").rows()
    except penstock.PenstockError as error:
        log.info("the lake has no purchases yet: %s", error)
        return 0
    return int(row["changes"])


def learn(app: Any, ctx: Any, which: str, customers: int, lake: Any = None) -> None:
    """Once, whatever is started again."""
    if ctx.stopping() or ctx.recall(which) is not None:
        return
    import training  # scikit-learn takes a second to load, and only the worker trains.

    asked = shop.moments(customers, shop.purchase_counts(), opened_at(ctx))
    version, ranks = training.train(app, ctx, asked, lake=lake)
    ctx.remember(which, version)
    ctx.say(f"{version} trained on {customers:,} customers and promoted (AUC {ranks:.2f} on unseen ones)")


def load(ctx: Any, table: str, until: int) -> None:
    """Bring the history up to this customer, from wherever the last start left it."""
    done = int(ctx.recall("history") or 0)
    if done >= until:
        return
    opened = opened_at(ctx)
    counts = shop.purchase_counts()
    loaded, wanted = sum(counts[:done]), sum(counts[:until])
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        while done < until and not ctx.stopping():
            chunk = range(done, min(done + _CHUNK, until))
            events = (event for number in chunk for event in shop.history(number, counts[number], opened))
            for written in pool.map(lambda batch: write(ctx, table, batch), batches(events)):
                loaded += written
                ctx.progress(loaded, wanted, "purchases")
            done = chunk.stop
            ctx.remember("history", str(done))


def opened_at(ctx: Any) -> datetime:
    """The day on which the shop was first opened on these tables: its history ends there, at every start."""
    text = ctx.recall("opened")
    if text is None:
        text = datetime.now(UTC).isoformat()
        ctx.remember("opened", text)
    return datetime.fromisoformat(text)


def batches(events: Iterable[dict[str, object]]) -> Iterator[list[dict[str, object]]]:
    events = iter(events)
    while batch := list(islice(events, _BATCH)):
        yield batch


def write(ctx: Any, table: str, events: list[dict[str, object]]) -> int:
    """One batch, asked again for what the table had no time for, as any client of DynamoDB must."""
    left = {table: [{"PutRequest": {"Item": to_item(event)}} for event in events]}
    while left:
        left = ctx.client.batch_write_item(RequestItems=left).get("UnprocessedItems", {})
    return len(events)


def buy_and_ask(ctx: Any, table: str) -> None:
    """Customers who are still interested buy, the eager ones more often, and each time somebody is asked about: one of the last
    who bought, or anyone. Only those whose history is loaded: without it they would look like nobody the model has seen."""
    chance = random.Random()
    loaded, active, rates = 0, list[shop.Customer](), list[float]()
    lately: deque[str] = deque(maxlen=20)
    while not ctx.wait(chance.expovariate(LIVE_PER_S)):
        if loaded < shop.CUSTOMERS:
            before, loaded = loaded, int(ctx.recall("history") or 0)
            fresh = [c for c in map(shop.Customer, range(before, loaded)) if c.interest_days >= shop.DAYS]
            active += fresh
            rates += [customer.rate for customer in fresh]
        if not active:
            continue
        customer = chance.choices(active, rates)[0]
        now = datetime.now(UTC)
        category, amount = customer.basket(chance)
        event = shop.purchase(customer.id, f"{now:%Y%m%d%H%M%S%f}", now, category, amount)
        ctx.client.put_item(TableName=table, Item=to_item(event))
        lately.append(customer.id)
        ask(ctx, chance.choice(lately) if chance.random() < 0.5 else f"c{chance.randrange(loaded)}")


def ask(ctx: Any, customer: str) -> None:
    url = f"{ctx.app_url}/predict/will_buy/customer/{customer}"
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            answer.read()
    except (urllib.error.URLError, TimeoutError) as error:
        log.info("no prediction for %s: %s", customer, error)
