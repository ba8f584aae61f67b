"""Events: from a write to its handler, an idle consumer's cost, records through a no-op handler, NDJSON ingestion.

Each figure stands beside what is to be reached. Handlers run in this process, the tables in a server beside it. Ingestion is
measured as its users send: `POST /events/TABLE` to a running `penstock up`, whose table process does all of it on one core; and
from Python, in a process beside the server.
"""

from __future__ import annotations

import argparse
import http.client
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import orjson
from servers import Running, running

import penstock
from penstock.connect.batch_writer import write_all
from penstock.connect.client import Client
from penstock.events.ingest import Ingestion
from penstock.events.worker import Worker
from penstock.run.state import Picture, read_picture

IDLE_S = 5.0


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--records", type=int, default=100_000)
    options.add_argument("--senders", type=int, default=8)
    chosen = options.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="penstock-bench-") as folder,
        running("penstock", folder) as server,
    ):
        client = penstock.connect(f"http://127.0.0.1:{server.port}")
        _latency_and_idle(client)
        _throughput(client, chosen.records)
        _ingestion(client, chosen.records, chosen.senders)
    _ingestion_of_up(chosen.records, chosen.senders)


def _application(client: Client, name: str) -> tuple[penstock.App, penstock.app.tables.Table]:
    app = penstock.App("bench")
    app.bind(client)
    table = app.table(
        name,
        partition_key="customer",
        sort_key="id",
        local_indexes={"by_time": "at"},
        global_indexes={"by_category": ("category", "customer", penstock.keys_only())},
        stream=True,
    )
    client.create_table(**table.definition())
    return app, table


def _latency_and_idle(client: Client) -> None:
    app, table = _application(client, "latency")
    delays: list[float] = []

    @app.on_change(table)
    def note(event: dict) -> None:  # type: ignore[type-arg]
        now = time.time()
        delays.extend(now - float(r["dynamodb"]["NewImage"]["at"]["S"]) for r in event["Records"])

    worker = Worker(app, client)
    worker.start()
    time.sleep(2)
    for number in range(500):
        table.put({"customer": f"c{number}", "id": "1", "at": repr(time.time())})
        time.sleep(0.01)
    time.sleep(1)
    ordered = sorted(delays)
    p50, p99 = ordered[len(ordered) // 2] * 1000, ordered[int(len(ordered) * 0.99)] * 1000
    print(
        f"write to handler, {len(ordered)} writes: p50 {p50:.1f} ms, p99 {p99:.1f} ms   (to reach: 20, 100)"
    )
    before = _cpu_s()
    time.sleep(IDLE_S)
    print(f"idle consumer: {(_cpu_s() - before) / IDLE_S:.2%} of a core   (to reach: 1 %)")
    worker.stop()


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _throughput(client: Client, records: int) -> None:
    app, table = _application(client, "throughput")
    puts = [
        {
            "PutRequest": {
                "Item": {
                    "customer": {"S": f"c{number % 5000}"},
                    "id": {"S": f"p{number}"},
                    "pad": {"S": "x" * 200},
                }
            }
        }
        for number in range(records)
    ]
    write_all(client, table.name, puts)
    handled, finished = [0], threading.Event()

    @app.on_change(table, batch_size=500)
    def nothing(event: dict) -> None:  # type: ignore[type-arg]
        handled[0] += len(event["Records"])
        if handled[0] >= records:
            finished.set()

    worker = Worker(app, client)
    started, before = time.perf_counter(), _cpu_s()
    worker.start()
    finished.wait(120)
    taken = time.perf_counter() - started
    worker.stop()
    cpu_s = _cpu_s() - before
    print(
        f"no-op handler: {handled[0] / taken:,.0f} records/s, {cpu_s / handled[0] * 1e6:.0f} µs CPU a record"
        "   (to reach: 20,000 on one core)"
    )


def _bodies(records: int) -> list[bytes]:
    """NDJSON, 500 events each."""
    return [
        b"\n".join(
            orjson.dumps(
                {
                    "customer": f"c{n % 5000}",
                    "id": f"p{n}",
                    "at": "2026-11-20T10:00:00Z",
                    "category": f"k{n % 20}",
                    "amount": 12.5,
                }
            )
            for n in range(first, first + 500)
        )
        for first in range(0, records, 500)
    ]


def _ingestion(client: Client, records: int, senders: int) -> None:
    app, table = _application(client, "ingested")
    ingestion = Ingestion(app, client)
    bodies = _bodies(records)
    started, before = time.perf_counter(), _cpu_s()
    with ThreadPoolExecutor(senders) as pool:
        replies = list(
            pool.map(lambda body: ingestion.take(table.name, body, "application/x-ndjson"), bodies)
        )
    taken = time.perf_counter() - started
    stored = sum(orjson.loads(reply.body)["stored"] for reply in replies)
    print(
        f"NDJSON ingestion from Python, durable, local and global index and stream: {stored / taken:,.0f} events/s, "
        f"{(_cpu_s() - before) / stored * 1e6:.0f} µs CPU an event here   (to reach: 15,000)"
    )
    ingestion.close()


APP = """
import penstock

app = penstock.App("bench")
app.table(
    "ingested", partition_key="customer", sort_key="id", local_indexes={"by_time": "at"},
    global_indexes={"by_category": ("category", "customer", penstock.keys_only())}, stream=True,
)
"""


@contextmanager
def _up(folder: Path) -> Iterator[Picture]:
    """`penstock up` with one table, once it is ready."""
    (folder / "app.py").write_text(APP)
    ports = ["--api-port", "0", "--app-port", "0", "--lake-port", "0"]
    process = subprocess.Popen(
        [sys.executable, "-m", "penstock", "up", *ports], cwd=folder, stdout=subprocess.DEVNULL
    )
    try:
        until_s = time.monotonic() + 60
        while (picture := read_picture(folder / "data")) is None or not picture.facts:
            if process.poll() is not None or time.monotonic() > until_s:
                raise RuntimeError("penstock up does not come up")
            time.sleep(0.1)
        yield picture
    finally:
        process.terminate()
        process.wait(60)


def _ingestion_of_up(records: int, senders: int) -> None:
    bodies = _bodies(records)
    with tempfile.TemporaryDirectory(prefix="penstock-bench-") as folder, _up(Path(folder)) as picture:
        table = next(each for each in picture.processes if each.name == "table")
        host = table.addresses["app"].removeprefix("http://")
        running, connections = Running("table", 0, table.pid), threading.local()

        def send(body: bytes) -> int:
            if not hasattr(connections, "open"):
                connections.open = http.client.HTTPConnection(host)
            connections.open.request(
                "POST", "/events/ingested", body, {"content-type": "application/x-ndjson"}
            )
            return int(orjson.loads(connections.open.getresponse().read())["stored"])

        with ThreadPoolExecutor(senders) as pool:
            started, before = time.perf_counter(), running.cpu_s()
            stored = sum(pool.map(send, bodies))
            taken = time.perf_counter() - started
        print(
            f"NDJSON ingestion, POST to penstock up, durable, the same table: {stored / taken:,.0f} events/s, "
            f"{(running.cpu_s() - before) / stored * 1e6:.0f} µs CPU an event   (to reach: 15,000)"
        )


if __name__ == "__main__":
    main()
