"""Predictions while writes flow into the lake: open loop, each answer's time counted from when its request was due.

    python bench/lake_beside.py [--per-s 300] [--writes 1000] [--seconds 30]

`penstock up` runs the storefront: tables and predictions in one process, the lake in another at nice 10. Requests are sent
when they are due, whether or not earlier ones are answered, so that a stall counts for all that waited in it. Writer and
client are processes of their own, on the same two cores. Measured without writes first, then with them.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from predict_one import CUSTOMERS, ROOT, fill
from servers import free_port

import penstock

CONNECTIONS = 64
BATCH = 10
APP = """
import sys
sys.path.insert(0, {root!r})
from tests.shop import storefront
app = storefront()
app.lake(app.tables["Purchases"])
"""


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--per-s", type=int, default=300)
    options.add_argument("--writes", type=int, default=1000)
    options.add_argument("--seconds", type=float, default=30.0)
    options.add_argument("--write", metavar="URL", help=argparse.SUPPRESS)
    chosen = options.parse_args()
    if chosen.write:
        _write(chosen.write, chosen.writes)
        return
    with tempfile.TemporaryDirectory(prefix="penstock-bench-") as folder, _up(Path(folder)) as ports:
        asyncio.run(_ask(ports["app"], chosen.per_s, 3.0))
        _tell("without writes", asyncio.run(_ask(ports["app"], chosen.per_s, chosen.seconds)))
        url = f"http://127.0.0.1:{ports['api']}"
        before = _landed(ports["lake"])
        writer = subprocess.Popen([sys.executable, __file__, "--write", url, "--writes", str(chosen.writes)])
        try:
            asyncio.run(_ask(ports["app"], chosen.per_s, 3.0))
            began, first = time.perf_counter(), _landed(ports["lake"])
            _tell(f"{chosen.writes} writes/s", asyncio.run(_ask(ports["app"], chosen.per_s, chosen.seconds)))
            landed = _landed(ports["lake"])
            print(
                f"  into the lake meanwhile: {(landed - first) / (time.perf_counter() - began):,.0f} rows/s"
            )
        finally:
            writer.terminate()
            writer.wait(30)
    assert landed > before, "nothing flowed into the lake"


def _tell(name: str, times_ms: list[float]) -> None:
    p50, p99, most = (times_ms[int((len(times_ms) - 1) * share)] for share in (0.5, 0.99, 1.0))
    print(
        f"{name}: {len(times_ms):,} predictions, p50 {p50:.1f} ms, p99 {p99:.1f} ms, at most {most:.0f} ms"
        "   (p99 to reach: 15)"
    )


@contextmanager
def _up(folder: Path) -> Iterator[dict[str, int]]:
    fill(folder / "data")
    (folder / "app.py").write_text(APP.format(root=str(ROOT)))
    ports = {"api": free_port(), "app": free_port(), "lake": free_port()}
    command = [str(Path(sys.executable).with_name("penstock")), "up", str(folder / "app.py")]
    command += ["--data", str(folder / "data")]
    for name, port in ports.items():
        command += [f"--{name}-port", str(port)]
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _wait_for(f"http://127.0.0.1:{ports['app']}/predict/will_buy/customer/c1", child)
        _wait_for(f"http://127.0.0.1:{ports['lake']}/status", child)
        yield ports
    finally:
        child.terminate()
        child.wait(60)


def _wait_for(url: str, child: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        if child.poll() is not None:
            raise RuntimeError(f"penstock up ended with {child.returncode}")
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.2)
    raise TimeoutError(url)


def _landed(port: int) -> int:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/status", timeout=30) as answer:
        tables: list[dict[str, Any]] = json.load(answer)["tables"]
    return sum(table["offset"] for table in tables)


def _write(url: str, per_s: int) -> None:
    """The child: purchases of customers that nobody predicts for, at a rate, until it is ended."""
    number, due = 0, time.perf_counter()
    with penstock.connect(url) as client:
        while True:
            puts = [{"PutRequest": {"Item": _purchase(number + place)}} for place in range(BATCH)]
            client.batch_write_item(RequestItems={"Purchases": puts})
            number += BATCH
            due += BATCH / per_s
            time.sleep(max(0.0, due - time.perf_counter()))


def _purchase(number: int) -> dict[str, Any]:
    return {
        "customer_id": {"S": f"w{random.randrange(20_000)}"},
        "purchase_id": {"S": f"p{number:09d}"},
        "purchased_at": {"S": time.strftime("%Y-%m-%dT%H:%M:%S.000000Z", time.gmtime())},
        "amount": {"N": f"{random.randrange(100, 50_000) / 100}"},
        "category": {"S": random.choice(("jewelry", "books", "garden"))},
    }


async def _ask(port: int, per_s: int, seconds: float) -> list[float]:
    """Milliseconds from when each request was due to its whole answer, sorted."""
    due: asyncio.Queue[float] = asyncio.Queue()
    times_ms: list[float] = []

    async def answer() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while (at := await due.get()) >= 0:
            target = f"/predict/will_buy/customer/c{random.randrange(CUSTOMERS)}"
            writer.write(f"GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200"), head
            await reader.readexactly(int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0]))
            times_ms.append((time.perf_counter() - at) * 1000)
        writer.close()

    workers = [asyncio.create_task(answer()) for _ in range(CONNECTIONS)]
    start = time.perf_counter()
    for number in range(int(per_s * seconds)):
        at = start + number / per_s
        await asyncio.sleep(max(0.0, at - time.perf_counter()))
        due.put_nowait(at)
    for _ in workers:
        due.put_nowait(-1.0)
    await asyncio.gather(*workers)
    return sorted(times_ms)


if __name__ == "__main__":
    main()
