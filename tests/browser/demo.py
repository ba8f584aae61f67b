"""The console over a database in this process with a small seeded shop, for the browser tests and for looking at pages.

python -m tests.browser.demo            prints the address and serves until Ctrl-C
"""

from __future__ import annotations

import asyncio
import random
import socket
import sys
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import uvicorn
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import penstock
from penstock import count, keys_only, mean, share, since_last, total
from penstock.app.application import App
from penstock.app.plain import to_item
from penstock.connect.client import Client
from penstock.console.context import Context
from penstock.console.pages import mount
from penstock.database.open import open_database
from penstock.events.worker import Worker
from penstock.metrics.registry import Registry as Metrics
from penstock.models.artifacts import ArtifactFolder
from penstock.models.register import TrainingRows, register
from penstock.models.registry import Registry
from penstock.server.serve import serve
from penstock.serving import inference_log
from penstock.serving.http import build_app, prepare_tables
from penstock.serving.store import EndpointStore
from penstock.sql.service import start_lake

BOARDS = Path(__file__).parents[2] / "examples" / "storefront" / "boards"
# What a retry loads, in a process of its own.
APP_FILE = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parents[2])!r})
from tests.browser.demo import declare
app = declare()
"""
CATEGORIES = ("grocery", "clothing", "home", "toys", "electronics", "jewelry")


def declare() -> App:
    app = App("storefront")
    purchases = app.table(
        "Purchases",
        partition_key="customer_id",
        sort_key="purchase_id",
        local_indexes={"by_time": "purchased_at"},
        global_indexes={"by_category": ("category", "customer_id", keys_only())},
        stream=True,
    )
    app.table("Sessions", partition_key="session_id", time_to_live="expires_at")
    app.table("Ledger", partition_key="account:N", sort_key="line:B")
    buyer = app.features(
        "buyer",
        source=purchases,
        entity="customer_id",
        time="purchased_at",
        features={
            "total_purchase_volume_30d": total("amount", days=30),
            "purchases_7d": count(days=7),
            "mean_amount_30d": mean("amount", days=30, default=0),
            "jewelry_share_90d": share("amount", where={"category": "jewelry"}, days=90),
            "days_since_last": since_last(default=365),
        },
    )
    app.predictor("will_buy", features=buyer, model="will_buy@champion", campaign_by="by_category")
    app.lake(purchases, inference_log.table())

    @app.on_change(purchases, batch_size=10, maximum_retry_attempts=0, bisect_batch_on_function_error=False)
    def notify(event: dict[str, Any], context: Any) -> None:
        for record in event["Records"]:
            if record["dynamodb"]["NewImage"]["category"]["S"] == "toys":
                raise ValueError("the toy shop's address is not known <yet>")

    return app


def train(app: App, client: Client, folder: Path) -> None:
    """Two versions, the first of them promoted: a model of what a seed makes up."""
    chance = random.Random(3)
    rows, labels = [], []
    for _ in range(400):
        bought = chance.random() < 0.5
        rows.append(
            {
                "total_purchase_volume_30d": chance.gauss(220 if bought else 60, 40),
                "purchases_7d": float(chance.randint(1, 4) if bought else chance.randint(0, 1)),
                "mean_amount_30d": chance.gauss(45, 10),
                "jewelry_share_90d": chance.random() * 0.4,
                "days_since_last": chance.uniform(0, 8 if bought else 40),
            }
        )
        labels.append(int(bought != (chance.random() < 0.1)))
    registry = Registry(client, ArtifactFolder(folder))
    for strength in (1.0, 0.1):
        model = make_pipeline(StandardScaler(), LogisticRegression(C=strength))
        training = TrainingRows(rows, labels, {"from": "raw.Purchases", "label": "bought within 7 days"})
        model.fit(training.matrix(), labels)
        auc = 0.9312 if strength == 1.0 else 0.9275
        register(registry, "will_buy", model, training, metrics={"auc": auc}, note=f"C={strength}")
    registry.promote("will_buy", 1)


def history(seed: int = 7, customers: int = 60) -> list[dict[str, Any]]:
    """A fixed shop, so that two runs show the same pages; only the days are counted from today."""
    chance = random.Random(seed)
    today = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0)
    items: list[dict[str, Any]] = []
    for number in range(customers):
        for place in range(chance.randint(1, 12)):
            at = today - timedelta(days=chance.uniform(0, 60))
            item = {
                "customer_id": f"c{number}",
                "purchase_id": f"c{number}-{place:04}",
                "purchased_at": at,
                "category": chance.choice(CATEGORIES),
                "amount": round(chance.lognormvariate(3.6, 0.6), 2).__str__(),
            }
            items.append(to_item(item) | {"amount": {"N": item["amount"]}})
    return items


@dataclass
class Demo:
    """A running console. `url` is where the application is served."""

    url: str
    api_url: str
    app: App
    client: Client
    stop: Callable[[], None]


def start(boards: Path, **settings: Any) -> Demo:
    """In a thread; returns when it answers."""
    ready: dict[str, Any] = {}
    up = threading.Event()

    def run() -> None:
        try:
            asyncio.run(_serve(boards, settings, ready, up))
        except BaseException as error:
            ready["failed"] = error
            up.set()
            raise

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    if not up.wait(60) or "failed" in ready:
        raise RuntimeError(f"the console did not start: {ready.get('failed')}")

    def stop() -> None:
        ready["loop"].call_soon_threadsafe(ready["stop"].set)
        thread.join(20)

    return Demo(ready["url"], ready["api_url"], ready["app"], penstock.connect(ready["api_url"]), stop)


async def _serve(boards: Path, settings: dict[str, Any], ready: dict[str, Any], up: threading.Event) -> None:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    ready |= {"loop": loop, "stop": stop}

    def post(call: Callable[[], None]) -> None:
        loop.call_soon_threadsafe(call)

    with tempfile.TemporaryDirectory() as folder:
        database = open_database(Path(folder), post=post)
        listening: asyncio.Future[int] = loop.create_future()
        api_stop = asyncio.Event()
        api = asyncio.create_task(
            serve(
                database, "127.0.0.1", 0, ready=lambda _, port, __: listening.set_result(port), stop=api_stop
            )
        )
        api_url = f"http://127.0.0.1:{await listening}"
        app = declare()
        store = EndpointStore(database, database.database.view.last_sequence)
        client = penstock.connect(api_url)
        await seed(app, store)
        await asyncio.to_thread(train, app, client, Path(folder) / "models")
        worker = Worker(app, client)
        await asyncio.to_thread(worker.start)
        app_file = Path(folder) / "app.py"
        app_file.write_text(APP_FILE)
        metrics = Metrics()
        pages = build_app(app, store, artifacts=Path(folder) / "models", metrics=metrics)
        lake = await asyncio.to_thread(start_lake, app, api_url, Path(folder) / "lake", 0)
        context = Context(
            app, store, client, api_url, boards=boards, models=Path(folder) / "models", metrics=metrics, app_file=app_file,
            **{"lake_url": f"http://127.0.0.1:{lake.port}", **settings},
        )  # fmt: skip
        mount(pages, context)
        with socket.socket() as bound:
            bound.bind(("127.0.0.1", 0))
            server = uvicorn.Server(uvicorn.Config(pages, log_level="warning", lifespan="on"))
            running = asyncio.create_task(server.serve(sockets=[bound]))
            while not server.started and not running.done():
                await asyncio.sleep(0.01)
            ready |= {"url": f"http://127.0.0.1:{bound.getsockname()[1]}", "api_url": api_url, "app": app}
            await asyncio.to_thread(predict_some, ready["url"])
            up.set()
            await stop.wait()
            server.should_exit = True
            await running
        await asyncio.to_thread(lake.stop)
        api_stop.set()
        await api
        client.close()
        database.close()


def predict_some(url: str) -> None:
    for number in range(40):
        with urlopen(f"{url}/predict/will_buy/customer/c{number % 30}") as answer:
            answer.read()


async def seed(app: App, store: EndpointStore) -> None:
    await prepare_tables(store)
    for table in app.tables.values():
        await store.call("CreateTable", table.definition())
    await store.call("UpdateTimeToLive", {
        "TableName": "Sessions",
        "TimeToLiveSpecification": {"Enabled": True, "AttributeName": "expires_at"},
    })  # fmt: skip
    rows = history()
    for place in range(0, len(rows), 25):
        batch = [{"PutRequest": {"Item": item}} for item in rows[place : place + 25]]
        await store.call("BatchWriteItem", {"RequestItems": {"Purchases": batch}})
    markup = {"S": "<script>alert('no')</script>"}
    for number in range(3):
        item = {
            "account": {"N": str(number)},
            "line": {"B": b"\x00\xff"},
            "note": markup,
            "flags": {"SS": ["a", "b"]},
            "more": {"M": {"deep": {"L": [{"N": "1"}, {"BOOL": True}, {"NULL": True}]}}},
        }
        await store.call("PutItem", {"TableName": "Ledger", "Item": item})


if __name__ == "__main__":
    demo = start(BOARDS)
    print(f"{demo.url}/console/", flush=True)
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        demo.stop()
        sys.exit(0)
