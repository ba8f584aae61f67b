"""Predict one, 50 events in the window, logged: latency at one connection, rate at sixteen, against a constant endpoint.

    python bench/predict_one.py [--seconds 4] [--log]

A process serves; this one asks, with a client of bare sockets, so that the client is not what is measured. The peer is a
FastAPI endpoint on the same server that returns a constant of the same shape; the ratio is of one run. `--log` measures what the
log adds: the same predictions with and without it, a second each in turns, at one connection.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import subprocess
import sys
import tempfile
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson

import penstock
from penstock.features.instants import DAY_US, text_of
from penstock.models.register import register
from penstock.models.registry import DEFINITION, Registry
from penstock.serving.inference_log import table as log_table

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from tests.shop import storefront, trained  # noqa: E402

CUSTOMERS, EVENTS = 200, 50


def fill(data: Path) -> None:
    random.seed(7)
    app = storefront()
    now_us = time.time_ns() // 1000
    with penstock.connect(f"file:{data}", durability="process") as client:
        app.bind(client)
        for definition in (
            *(t.definition() for t in app.tables.values()),
            log_table().definition(),
            DEFINITION,
        ):
            client.create_table(**definition)
        for customer in range(CUSTOMERS):
            for purchase in range(EVENTS):
                app.tables["Purchases"].put(
                    {
                        "customer_id": f"c{customer}",
                        "purchase_id": f"p{purchase}",
                        "purchased_at": text_of(now_us - random.randrange(89 * DAY_US)),
                        "amount": Decimal(random.randrange(100, 50_000)) / 100,
                        "category": random.choice(["jewelry", "books", "garden"]),
                    }
                )
        registry = Registry(client)
        register(registry, "will_buy", *trained())
        registry.promote("will_buy", 1)


class NoLog:
    """In place of the inference log, to see what it adds."""

    async def add(self, inference: Any, *, own_id: bool) -> None:
        return None

    def add_together(self, inferences: list[Any]) -> list[None]:
        return [None] * len(inferences)


def applications(store: Any) -> list[Any]:
    """One with a constant endpoint beside it, and one without the log."""
    from fastapi.responses import Response

    from penstock.serving.http import build_app

    api = build_app(storefront(), store)
    features = {"total_purchase_volume_30d": 1.5, "purchases_7d": 1, "days_since_last": 1.0, "share": 0.5}
    constant = {"requestId": "x" * 36, "prediction": 1, "probability": 0.5, "features": features}
    constant |= {"modelVersion": "1", "latencyMs": 1.0}

    @api.get("/constant/{id_}")
    async def answer(id_: str) -> Response:
        return Response(orjson.dumps(constant), media_type="application/json")

    unlogged = build_app(storefront(), store)
    unlogged.state.serving.log = NoLog()
    for service in unlogged.state.serving.predictors.values():
        service.log = NoLog()
    return [api, unlogged]


def serve(data: Path) -> None:
    """The child."""
    import served_apps

    served_apps.serve(data, applications)


async def ask(port: int, path: str, seconds: float, connections: int) -> tuple[float, list[float]]:
    until = time.perf_counter() + seconds
    times: list[float] = []

    async def one() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while time.perf_counter() < until:
            target = path.format(random.randrange(CUSTOMERS))
            began = time.perf_counter()
            writer.write(f"GET {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200"), head
            length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            await reader.readexactly(length)
            times.append(time.perf_counter() - began)
        writer.close()

    began = time.perf_counter()
    await asyncio.gather(*(one() for _ in range(connections)))
    return len(times) / (time.perf_counter() - began), sorted(times)


def measure_log(logged: int, unlogged: int, turns: int = 10) -> None:
    path = "/predict/will_buy/customer/c{}"
    asyncio.run(ask(logged, path, 1.0, 1))
    p50_ms: dict[int, list[float]] = {logged: [], unlogged: []}
    for _ in range(turns):
        for port, found in p50_ms.items():
            _, times = asyncio.run(ask(port, path, 1.0, 1))
            found.append(times[len(times) // 2] * 1000)
    adds = sorted(one - other for one, other in zip(*p50_ms.values(), strict=True))
    for name, port in (("logged", logged), ("unlogged", unlogged)):
        print(f"{name:9} p50 {sorted(p50_ms[port])[turns // 2]:.3f} ms")
    print(
        f"the log adds {adds[turns // 2]:.3f} ms to the p50 (to reach: 0.1); by turn {adds[0]:.3f} to {adds[-1]:.3f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--serve", type=Path)
    parser.add_argument("--log", action="store_true")
    arguments = parser.parse_args()
    if arguments.serve is not None:
        serve(arguments.serve)
        return
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        fill(data)
        child = subprocess.Popen(
            [sys.executable, __file__, "--serve", str(data)], stdout=subprocess.PIPE, text=True
        )
        try:
            assert child.stdout is not None
            port, unlogged = int(child.stdout.readline()), int(child.stdout.readline())
            if arguments.log:
                measure_log(port, unlogged)
                return
            rates = {}
            for name, path in (("constant", "/constant/{}"), ("predict", "/predict/will_buy/customer/c{}")):
                asyncio.run(ask(port, path, 0.5, 1))
                for connections in (1, 16):
                    rate, times = asyncio.run(ask(port, path, arguments.seconds, connections))
                    rates[name, connections] = rate
                    p50, p99 = (times[int(len(times) * share)] * 1000 for share in (0.5, 0.99))
                    print(
                        f"{name:9} {connections:3} connections {rate:8.0f}/s  p50 {p50:.2f} ms  p99 {p99:.2f} ms"
                    )
            print(
                f"ratio to a constant at 16: {rates['predict', 16] / rates['constant', 16]:.2f} (to reach: 0.3)"
            )
        finally:
            child.kill()
            child.wait()


if __name__ == "__main__":
    main()
