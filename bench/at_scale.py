"""One million items of 1 KB: memory, time to open, CPU per request against ten thousand, loop lag under long reads."""

from __future__ import annotations

import argparse
import tempfile
import threading
import time
import urllib.request
from pathlib import Path

from load import call, definition, item, measure
from servers import Running, running

import penstock
from penstock.store.rocks import open_store

SMALL, LARGE = 10_000, 1_000_000


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--items", type=int, default=LARGE)
    chosen = options.parse_args()
    cpu: dict[int, tuple[float, float]] = {}
    for items in (SMALL, chosen.items):
        with tempfile.TemporaryDirectory(prefix="penstock-bench-") as folder:
            _load(folder, items)
            started = time.perf_counter()
            with running("penstock", folder) as server:
                call(server, "DescribeTable", {"TableName": "bench"})
                opened_s = time.perf_counter() - started
                reads = measure(server, "GetItem", "bench", items, 16, 8)
                queries = measure(server, "Query", "bench", items, 16, 4)
                cpu[items] = (reads.cpu_us, queries.cpu_us)
                print(
                    f"{items:>9,} items: open and answer {opened_s:.2f} s (interpreter included), "
                    f"GetItem {reads.per_s:,.0f}/s {reads.cpu_us:.1f} µs CPU, "
                    f"Query {queries.per_s:,.0f}/s {queries.cpu_us:.1f} µs CPU, "
                    f"resident {server.resident_mb():.0f} MB"
                )
                if items != SMALL:
                    _lag_under_load(server)
                    print(f"resident after all of that: {server.resident_mb():.0f} MB   (to reach: 400)")
    get, query = (large / small for small, large in zip(cpu[SMALL], cpu[chosen.items], strict=True))
    print(
        f"CPU per request, {chosen.items:,} against {SMALL:,} items: GetItem {get:.2f}, Query {query:.2f}   (to reach: 1.5)"
    )


def _load(folder: str, items: int) -> None:
    """Written, flushed and compacted at both sizes, as a table is that has lived a while."""
    client = penstock.connect(f"file:{folder}", durability="process")
    client.create_table(**definition("bench", indexed=False))
    for first in range(0, items, 25):
        puts = [{"PutRequest": {"Item": item(n, items)}} for n in range(first, min(first + 25, items))]
        client.batch_write_item(RequestItems={"bench": puts})
    client.close()
    store = open_store(Path(folder))
    store.compact()
    store.close()


def _lag_under_load(server: Running) -> None:
    """How long a GetItem waits while filtered scans, a backfill and writes go on beside it."""
    stop = threading.Event()
    filtered = {
        "TableName": "bench",
        "FilterExpression": "amount > :a AND contains(category, :k)",
        "ExpressionAttributeValues": {":a": {"N": "100"}, ":k": {"S": "zz"}},
    }

    def scan() -> None:
        start: dict[str, object] = {}
        while not stop.is_set():
            page = call(server, "Scan", {**filtered, **start})
            last = page.get("LastEvaluatedKey")
            start = {"ExclusiveStartKey": last} if last else {}

    index = {
        "IndexName": "by_category",
        "KeySchema": [{"AttributeName": "category", "KeyType": "HASH"}],
        "Projection": {"ProjectionType": "KEYS_ONLY"},
    }
    call(
        server,
        "UpdateTable",
        {
            "TableName": "bench",
            "AttributeDefinitions": [{"AttributeName": "category", "AttributeType": "S"}],
            "GlobalSecondaryIndexUpdates": [{"Create": index}],
        },
    )
    call(
        server,
        "UpdateTimeToLive",
        {"TableName": "bench", "TimeToLiveSpecification": {"Enabled": True, "AttributeName": "ttl"}},
    )
    scans = [threading.Thread(target=scan) for _ in range(2)]
    for each in scans:
        each.start()
    waits = []
    until = time.monotonic() + 10
    while time.monotonic() < until:
        begun = time.perf_counter()
        urllib.request.urlopen(server.url).read()  # The health answer: nothing but the loop.
        waits.append((time.perf_counter() - begun) * 1000)
        time.sleep(0.002)
    stop.set()
    for each in scans:
        each.join()
    waits.sort()
    print(
        f"beside two filtered scans and a backfill, the loop answers in p50 {waits[len(waits) // 2]:.1f} ms, "
        f"p99 {waits[int(len(waits) * 0.99)]:.1f} ms   (to reach: 10)"
    )


if __name__ == "__main__":
    main()
