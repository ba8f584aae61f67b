"""Feast's feature server with its sqlite store beside our predictions, on this machine, in turns: 16 connections.

    FEAST_PYTHON=/some/where/bin/python python bench/feast_beside.py [--seconds 8] [--rounds 3]

Both answer the features of one customer: Feast looks up what was computed and materialized before; we compute them from fifty
events in the window, predict, and put the answer on record. One process each, one client of bare sockets for both.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "bench")]

from predict_one import CUSTOMERS, fill  # noqa: E402

CONNECTIONS = 16
NAMES = ["total_purchase_volume_30d", "purchases_7d", "days_since_last", "jewelry_share_90d"]

# Run by Feast's Python: a project with the four features of each customer in sqlite, and then its own server.
PREPARE = """
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path
import pandas
from feast import Entity, FeatureStore, FeatureView, Field, FileSource, ValueType
from feast.types import Float64, Int64

folder, customers = Path(sys.argv[1]), int(sys.argv[2])
(folder / "feature_store.yaml").write_text(
    "project: shop\\nprovider: local\\nregistry: registry.db\\nentity_key_serialization_version: 3\\n"
    "online_store:\\n  type: sqlite\\n  path: online.db\\noffline_store:\\n  type: file\\n"
)
now = datetime.now(timezone.utc)
pandas.DataFrame({
    "customer_id": [f"c{n}" for n in range(customers)],
    "total_purchase_volume_30d": [n * 1.5 for n in range(customers)],
    "purchases_7d": [n % 9 for n in range(customers)],
    "days_since_last": [n / 10 for n in range(customers)],
    "jewelry_share_90d": [n % 100 / 100 for n in range(customers)],
    "event_timestamp": [now - timedelta(hours=1)] * customers,
}).to_parquet(folder / "buyers.parquet")
store = FeatureStore(repo_path=str(folder))
customer = Entity(name="customer", join_keys=["customer_id"], value_type=ValueType.STRING)
store.apply([customer, FeatureView(
    name="buyer", entities=[customer], ttl=timedelta(days=30),
    schema=[Field(name="total_purchase_volume_30d", dtype=Float64), Field(name="purchases_7d", dtype=Int64),
            Field(name="days_since_last", dtype=Float64), Field(name="jewelry_share_90d", dtype=Float64)],
    source=FileSource(path=str(folder / "buyers.parquet"), timestamp_field="event_timestamp"),
)])
store.materialize(now - timedelta(days=1), now)
"""


def feast_request() -> bytes:
    asked = {
        "features": [f"buyer:{name}" for name in NAMES],
        "entities": {"customer_id": [f"c{random.randrange(CUSTOMERS)}"]},
    }
    body = json.dumps(asked).encode()
    head = f"POST /get-online-features HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def our_request() -> bytes:
    return (
        f"GET /predict/will_buy/customer/c{random.randrange(CUSTOMERS)} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
    )


async def ask(port: int, request: Callable[[], bytes], seconds: float) -> tuple[float, float, float, int]:
    """Requests/s, p50 and p99 in ms, and how many there were."""
    until = time.perf_counter() + seconds
    times: list[float] = []

    async def one() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while time.perf_counter() < until:
            sent = request()
            began = time.perf_counter()
            writer.write(sent)
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200"), head
            length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            await reader.readexactly(length)
            times.append(time.perf_counter() - began)
        writer.close()

    began = time.perf_counter()
    await asyncio.gather(*(one() for _ in range(CONNECTIONS)))
    times.sort()
    p50, p99 = (times[int(len(times) * share)] * 1000 for share in (0.5, 0.99))
    return len(times) / (time.perf_counter() - began), p50, p99, len(times)


def cpu_s(pid: int) -> float:
    """User and system time so far of a process and those below it: a rate that other work on the machine does not move."""
    total = 0.0
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(entry.name) == pid or int(fields[1]) == pid:
            total += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return total


def wait_for(port: int, process: subprocess.Popen[str]) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        if process.poll() is not None:
            raise RuntimeError(f"Feast's server ended with {process.returncode}")
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise TimeoutError("Feast's server takes no connections")


def started_feast(python: str, folder: Path, stack: ExitStack) -> tuple[int, int]:
    environment = {**os.environ, "FEAST_USAGE": "False"}
    subprocess.run([python, "-c", PREPARE, str(folder), str(CUSTOMERS)], check=True, env=environment)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    feast = str(Path(python).with_name("feast"))
    command = [feast, "serve", "--host", "127.0.0.1", "--port", str(port), "--no-access-log"]
    command += ["--max-requests", "0"]  # Else its worker ends after every thousand, and connections break.
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        text=True,
        start_new_session=True,  # gunicorn has a worker below it.
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    stack.callback(process.wait)
    stack.callback(lambda: os.killpg(process.pid, 15))
    wait_for(port, process)
    return port, process.pid


def started_ours(folder: Path, stack: ExitStack) -> tuple[int, int]:
    fill(folder)
    command = [sys.executable, str(ROOT / "bench" / "predict_one.py"), "--serve", str(folder)]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    stack.callback(child.wait)
    stack.callback(child.kill)
    assert child.stdout is not None
    return int(child.stdout.readline()), child.pid


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    python = os.environ.get("FEAST_PYTHON")
    if python is None:
        raise SystemExit("FEAST_PYTHON names no Python that has feast==0.67.*")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # So that the servers end with it.
    with tempfile.TemporaryDirectory() as held, ExitStack() as stack:
        (Path(held) / "feast").mkdir()
        sides = {
            "feast": (started_feast(python, Path(held) / "feast", stack), feast_request),
            "penstock": (started_ours(Path(held) / "data", stack), our_request),
        }
        for (port, _), request in sides.values():
            asyncio.run(ask(port, request, 1.0))
        found: dict[str, list[tuple[float, ...]]] = {name: [] for name in sides}
        for _ in range(arguments.rounds):
            for name, ((port, pid), request) in sides.items():
                used_s = cpu_s(pid)
                rate, p50, p99, count = asyncio.run(ask(port, request, arguments.seconds))
                cpu_us = (cpu_s(pid) - used_s) / count * 1e6
                found[name].append((rate, p50, p99, cpu_us))
                print(
                    f"{name:9} {CONNECTIONS} connections {rate:8.0f}/s  p50 {p50:7.2f} ms  p99 {p99:7.2f} ms  "
                    f"CPU {cpu_us:6.0f} µs a request",
                    flush=True,
                )
        ours, theirs = (
            [statistics.median(each) for each in zip(*found[n], strict=True)] for n in ("penstock", "feast")
        )
        print(f"rate {ours[0] / theirs[0]:.2f} times Feast's (to reach: 2)")
        print(f"p99 {ours[2] / theirs[2]:.2f} of Feast's (to reach: 0.25)")
        print(f"CPU {ours[3] / theirs[3]:.2f} of Feast's a request")


if __name__ == "__main__":
    main()
