"""Events: from a write to its handler, an idle consumer's cost, records through a no-op handler, NDJSON ingestion.

Each figure stands beside what is to be reached. Handlers and ingestion run in this process, the tables in a server beside it.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import orjson
from servers import Running, running

import penstock
from penstock.connect.batch_writer import write_all
from penstock.connect.client import Client
from penstock.events.ingest import Ingestion
from penstock.events.worker import Worker

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
        _ingestion(client, server, chosen.records, chosen.senders)


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


def _ingestion(client: Client, server: Running, records: int, senders: int) -> None:
    app, table = _application(client, "ingested")
    ingestion = Ingestion(app, client)
    bodies = [
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
    started, before = time.perf_counter(), _cpu_s()
    with ThreadPoolExecutor(senders) as pool:
        replies = list(
            pool.map(lambda body: ingestion.take(table.name, body, "application/x-ndjson"), bodies)
        )
    taken = time.perf_counter() - started
    stored = sum(orjson.loads(reply.body)["stored"] for reply in replies)
    print(
        f"NDJSON ingestion, durable, local and global index and stream: {stored / taken:,.0f} events/s, "
        f"{(_cpu_s() - before) / stored * 1e6:.0f} µs CPU an event here   (to reach: 15,000)"
    )
    ingestion.close()


if __name__ == "__main__":
    main()
