"""The storefront of the tests: purchases in a table, features of a buyer, a predictor over an application in memory."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Mapping
from decimal import Decimal
from itertools import count as count_up
from typing import Any

import httpx
import numpy
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import penstock
from penstock import App, count, keys_only, share, since_last, total
from penstock.database.actions import MODULES
from penstock.database.appends import Appends
from penstock.features.instants import DAY_US, text_of
from penstock.features.windows import Value
from penstock.models.register import TrainingRows, register
from penstock.models.registry import Registry, Version
from penstock.serving.http import build_app, prepare_tables
from penstock.serving.store import EndpointStore, method_of
from penstock.testing.databases import MemoryDatabase


def storefront() -> App:
    app = penstock.App("storefront")
    purchases = app.table(
        "Purchases",
        partition_key="customer_id",
        sort_key="purchase_id",
        local_indexes={"by_time": "purchased_at"},
        global_indexes={"by_category": ("category", "customer_id", keys_only())},
        stream=True,
    )
    buyer = app.features(
        "buyer",
        source=purchases,
        entity="customer_id",
        time="purchased_at",
        features={
            "total_purchase_volume_30d": total("amount", days=30),
            "purchases_7d": count(days=7),
            "days_since_last": since_last(),
            "jewelry_share_90d": share("amount", where={"category": "jewelry"}, days=90),
        },
    )
    app.predictor("will_buy", features=buyer, model="will_buy@champion", campaign_by="by_category")
    return app


class MemoryClient:
    """A blocking client over a MemoryDatabase: what penstock.connect gives, without a disk."""

    def __init__(self, db: MemoryDatabase) -> None:
        self._db = db

    def __getattr__(self, name: str) -> Any:
        action = "".join(part.capitalize() for part in name.split("_"))
        if method_of(action) != name or not any(action in modules for modules in MODULES.values()):
            raise AttributeError(name)
        return lambda **request: self._db.ask(action, **_plain(request))


def _plain(value: Any) -> Any:
    """Bytes as base64, as a client sends them."""
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, list) else value


class LoopEndpoint:
    """`ports.Endpoint` over a MemoryDatabase that does by itself, after each request, all that is due."""

    def __init__(self, db: MemoryDatabase) -> None:
        self._db = db
        self.requests: list[tuple[str, bytes]] = []

    def start(self, target: str, body: bytes, done: Any, wait_ms: int = 0) -> None:
        self.requests.append((target.rpartition(".")[2], body))
        self._db._target(target.rpartition(".")[2])
        self._db.database.start(target, body, done, wait_ms)
        asyncio.get_running_loop().call_soon(self._db.settle)


class Shop:
    """An application over a database in memory, with HTTP in front."""

    def __init__(self, app: App | None = None) -> None:
        self.db = MemoryDatabase()
        self.app = app or storefront()
        self.client = MemoryClient(self.db)
        self.app.bind(self.client)
        for table in self.app.tables.values():
            self.client.create_table(**table.definition())
        self.endpoint = LoopEndpoint(self.db)
        self.store = EndpointStore(
            self.endpoint,
            self.db.database.view.last_sequence,
            Appends(self.db.database, self.db.store.batch),
        )
        self._moves = count_up(self.db.clock.now_us())
        self.registry = Registry(self.client, now_us=lambda: next(self._moves), user=lambda: "ann")
        self.tiles_hold_today = False
        self.api = build_app(
            self.app,
            self.store,
            now_us=self.db.clock.now_us,
            tiles_reach=lambda plan, until_s: self.tiles_hold_today,
        )
        asyncio.run(prepare_tables(self.store))

    @property
    def now_us(self) -> int:
        return self.db.clock.now_us()

    def buy(
        self, customer: str, purchase: str, amount: str, days_ago: float, category: str = "books"
    ) -> None:
        self.app.tables["Purchases"].put(
            {
                "customer_id": customer,
                "purchase_id": purchase,
                "purchased_at": text_of(self.now_us - round(days_ago * DAY_US)),
                "amount": Decimal(amount),
                "category": category,
            }
        )

    def add_model(self, *, seed: int = 0, promote: bool = True) -> Version:
        version = register(self.registry, "will_buy", *trained(seed))
        if promote:
            self.registry.promote("will_buy", version.number)
        return version

    def ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        return self.ask_all([(method, path, more)])[0]

    def ask_all(self, requests: list[tuple[str, str, dict[str, Any]]]) -> list[httpx.Response]:
        async def run() -> list[httpx.Response]:
            transport = httpx.ASGITransport(self.api)
            async with httpx.AsyncClient(transport=transport, base_url="http://shop") as http:
                return [await http.request(method, path, **more) for method, path, more in requests]

        return asyncio.run(run())

    def log_rows(self) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = self.client.scan(TableName="InferenceMetadata")["Items"]
        return items


def trained(seed: int = 0) -> tuple[Any, TrainingRows]:
    """A logistic regression on made-up buyers, and the rows that it has seen."""
    random = numpy.random.default_rng(seed)
    rows: list[dict[str, Value]] = [
        {
            "total_purchase_volume_30d": float(volume),
            "purchases_7d": int(number),
            "days_since_last": None if number == 0 else float(since),
            "jewelry_share_90d": float(part),
        }
        for volume, number, since, part in zip(
            random.gamma(2, 100, 400).round(2),
            random.poisson(2, 400),
            random.gamma(1, 9, 400),
            random.random(400),
            strict=True,
        )
    ]
    labels = [int(float(row["total_purchase_volume_30d"] or 0) + random.normal(0, 80) > 200) for row in rows]
    training = TrainingRows(rows, labels, {"features": "buyer"})
    estimator = make_pipeline(SimpleImputer(), StandardScaler(), LogisticRegression())
    estimator.fit(training.matrix(), labels)
    return estimator, training
