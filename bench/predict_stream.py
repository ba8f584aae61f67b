"""A campaign as lines of JSON over HTTP: from 50 raw rows for each customer, and from day tiles.

    python bench/predict_stream.py [--customers 2000] [--rounds 3] [--beside]

A process serves, as the table process does; this one reads the lines. The tiles are asked as of now: once where today's rows are
read because tiles may be behind the table, once where today is taken from them. `--beside` asks for 300 predictions a second, an open
loop of five seconds, with no campaign beside it and with one after the other.
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import random
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]

from predict_campaign import fill  # noqa: E402
from tests.shop import storefront  # noqa: E402

import penstock  # noqa: E402
from penstock.features.definition import compile_set  # noqa: E402
from penstock.features.tiles import TileMaker, definition  # noqa: E402
from penstock.models.linear import LinearModel  # noqa: E402
from penstock.models.register import TrainingRows, register  # noqa: E402
from penstock.models.registry import DEFINITION, Registry  # noqa: E402
from penstock.models.signature import Column, Signature  # noqa: E402
from penstock.serving.inference_log import table as log_table  # noqa: E402

PER_SECOND, CONNECTIONS, BESIDE_S = 300, 16, 5.0
KINDS = ("raw rows", "day tiles, behind the table", "day tiles, up to the table")


def application(tiled: bool) -> penstock.App:
    app = storefront()
    if tiled:
        declared = app.feature_sets["buyer"]
        bounded = {name: each for name, each in declared.features.items() if name != "days_since_last"}
        features = replace(declared, features=bounded, tiles="BuyerTiles")
        app.feature_sets["buyer"] = features
        app.predictors["will_buy"] = replace(
            app.predictors["will_buy"], features=features, model="tiled@champion"
        )
    return app


def prepare(data: Path, customers: int) -> None:
    random.seed(7)
    app = application(True)
    with penstock.connect(f"file:{data}", durability="process") as client:
        for each in (
            *(table.definition() for table in app.tables.values()),
            log_table().definition(),
            DEFINITION,
            definition("BuyerTiles"),
        ):
            client.create_table(**each)
        plan = compile_set(app.feature_sets["buyer"])
        maker = TileMaker(plan, lambda method, request: getattr(client, method)(**request))
        now_us = time.time_ns() // 1000
        for customer in range(customers):
            fill(client, maker, f"c{customer:07}", now_us)
        registry = Registry(client)
        for name, tiled in (("will_buy", False), ("tiled", True)):
            names = list(application(tiled).feature_sets["buyer"].features)
            signature = Signature(tuple(Column(each, fill=0.0) for each in names))
            model = LinearModel(signature, ((0.01,) * len(names),), (0.0,), (0, 1), "logistic")
            register(registry, name, model, TrainingRows([dict.fromkeys(names, 0.0)]), format="linear")
            registry.promote(name, 1)


def applications(store: Any) -> list[Any]:
    from penstock.serving.http import build_app

    return [
        build_app(
            application(kind != KINDS[0]),
            store,
            tiles_reach=lambda plan, until_s, kind=kind: kind == KINDS[-1],
        )
        for kind in KINDS
    ]


def serve(data: Path) -> None:
    """The child: an API for each kind."""
    import served_apps

    served_apps.serve(data, applications)


def rate(port: int) -> float:
    connection = http.client.HTTPConnection("127.0.0.1", port)
    began_s = time.perf_counter()
    connection.request("POST", "/predict/will_buy/category/jewelry")
    lines = connection.getresponse().read().splitlines()
    passed_s = time.perf_counter() - began_s
    assert lines[-1].startswith(b'{"done":%d,"failed":0' % (len(lines) - 1)), lines[-1]
    return (len(lines) - 1) / passed_s


async def beside(port: int, customers: int, campaigns: bool) -> str:
    """What predictions take, from the moment that they are due."""
    free: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue()
    for _ in range(CONNECTIONS):
        free.put_nowait(await asyncio.open_connection("127.0.0.1", port))
    times: list[float] = []
    until_s = time.perf_counter() + BESIDE_S

    async def one(due_s: float) -> None:
        reader, writer = channel = await free.get()
        target = f"/predict/will_buy/customer/c{random.randrange(customers):07}"
        writer.write(f"GET {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0]))
        free.put_nowait(channel)
        times.append(time.perf_counter() - due_s)

    async def walk() -> None:
        while time.perf_counter() < until_s:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(
                b"POST /predict/will_buy/category/jewelry HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n"
                b"Connection: close\r\n\r\n"
            )
            while await reader.read(65536):
                """Its lines are not what is measured."""
            writer.close()

    tasks = [asyncio.create_task(walk())] if campaigns else []
    due_s = time.perf_counter()
    while due_s < until_s:
        await asyncio.sleep(max(0.0, due_s - time.perf_counter()))
        tasks.append(asyncio.create_task(one(due_s)))
        due_s += 1 / PER_SECOND
    await asyncio.gather(*tasks)
    times.sort()
    return f"p50 {times[len(times) // 2] * 1e3:.1f}, p99 {times[len(times) * 99 // 100] * 1e3:.1f} ms"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--customers", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--beside", action="store_true")
    parser.add_argument("--serve", type=Path)
    arguments = parser.parse_args()
    if arguments.serve is not None:
        serve(arguments.serve)
        return
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        prepare(data, arguments.customers)
        command = [sys.executable, __file__, "--serve", str(data)]
        child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert child.stdout is not None
        try:
            ports = [int(child.stdout.readline()) for _ in KINDS]
            for _ in range(arguments.rounds):
                for kind, port in zip(KINDS, ports, strict=True):
                    print(f"{kind:28} {rate(port):,.0f} customers/s")
            for kind, port in zip(KINDS, ports, strict=True) if arguments.beside else ():
                for campaigns in (False, True):
                    took = asyncio.run(beside(port, arguments.customers, campaigns))
                    print(f"{kind:28} predictions {'beside campaigns' if campaigns else 'alone':16} {took}")
        finally:
            child.kill()
            child.wait()


if __name__ == "__main__":
    main()
