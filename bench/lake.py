"""The lake beside the tables: freshness, a backlog, SQL against plain Parquet, bytes a row, memory. Each beside its limit."""

from __future__ import annotations

import argparse
import random
import resource
import statistics
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import duckdb
from servers import running

import penstock
from penstock.lake.process import LakeProcess
from penstock.sql.lake import Lake
from penstock.sql.service import start_lake

TABLE = "purchases"
CATEGORIES = ("books", "garden", "jewelry", "music", "toys")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--backlog", type=int, default=1_000_000)
    options.add_argument("--per-s", type=int, default=1000)
    options.add_argument("--seconds", type=float, default=30.0)
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="penstock-bench-") as folder, running("penstock") as server:
        client = penstock.connect(server.url)
        client.create_table(**_definition())
        process = start_lake(None, server.url, f"{folder}/lake", 0)
        try:
            _wait(process, 0)
            _backlog(client, process, chosen.backlog)
            _freshness(client, process, chosen.per_s, chosen.seconds)
            _questions(process, Path(folder))
        finally:
            process.stop()
            client.close()
    print(
        f"resident at most: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024} MB, queries included   (to reach: 1024)"
    )


def _definition() -> dict[str, Any]:
    return {
        "TableName": TABLE,
        "KeySchema": [
            {"AttributeName": "customer", "KeyType": "HASH"}, {"AttributeName": "id", "KeyType": "RANGE"},
        ],
        "AttributeDefinitions": [
            {"AttributeName": "customer", "AttributeType": "S"}, {"AttributeName": "id", "AttributeType": "S"},
        ],
        "BillingMode": "PAY_PER_REQUEST",
        "StreamSpecification": {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
    }  # fmt: skip


def _item(number: int) -> dict[str, Any]:
    chance = random.Random(number)
    return {
        "customer": {"S": f"c{chance.randrange(20_000):05d}"},
        "id": {"S": f"p{number:08d}"},
        "amount": {"N": f"{chance.randrange(100, 50_000) / 100}"},
        "category": {"S": chance.choice(CATEGORIES)},
        "quantity": {"N": str(chance.randrange(1, 5))},
        "purchased_at": {
            "S": f"2026-11-20T{number // 3600 % 24:02d}:{number // 60 % 60:02d}:{number % 60:02d}.000000Z"
        },
    }


def _wait(process: LakeProcess, changes: int) -> None:
    while True:
        flows = [follower.flow for follower in process.followers]
        if flows and flows[0].state == "following" and flows[0].offset >= changes:
            return
        time.sleep(0.02)


def _backlog(client: penstock.Client, process: LakeProcess, count: int) -> None:
    process.follower(TABLE).pause(paused=True)
    for first in range(0, count, 25):
        puts = [{"PutRequest": {"Item": _item(number)}} for number in range(first, min(first + 25, count))]
        client.batch_write_item(RequestItems={TABLE: puts})
    began = time.perf_counter()
    process.follower(TABLE).pause(paused=False)
    _wait(process, count)
    per_s = count / (time.perf_counter() - began)
    print(f"backlog of {count:,} changes into raw and current: {per_s:,.0f}/s   (to reach: 30,000)")


def _freshness(client: penstock.Client, process: LakeProcess, per_s: int, seconds: float) -> None:
    """From the answer of a write to the first query that sees it."""
    stop = threading.Event()

    def write() -> None:
        number, due = 10_000_000, time.perf_counter()
        while not stop.is_set():
            client.put_item(TableName=TABLE, Item=_item(number))
            number += 1
            due += 1 / per_s
            time.sleep(max(0.0, due - time.perf_counter()))

    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    lake, waits, marker = Lake(process.warehouse), [], 0
    ends = time.perf_counter() + seconds
    while time.perf_counter() < ends:
        marker += 1
        client.put_item(TableName=TABLE, Item={**_item(20_000_000), "quantity": {"N": str(marker)}})
        answered = time.perf_counter()
        query = f"SELECT 1 FROM current.{TABLE} WHERE id = 'p20000000' AND quantity = {marker}"
        while not lake.sql(query).rows():
            time.sleep(0.02)
        waits.append(time.perf_counter() - answered)
    stop.set()
    writer.join()
    waits.sort()
    p50, p99 = statistics.median(waits), waits[min(len(waits) - 1, int(len(waits) * 0.99))]
    print(
        f"freshness at {per_s:,} writes/s: p50 {p50:.2f} s, p99 {p99:.2f} s of {len(waits)}   (to reach: 1, 3)"
    )


def _questions(process: LakeProcess, folder: Path) -> None:
    follower = process.follower(TABLE)
    follower.ask(lambda sink: [sink.raw.table.size(), sink.current.table.size()])
    lake = Lake(process.warehouse)
    for namespace, limit in (("raw", 40), ("current", 20)):
        table = lake.warehouse.find(namespace, TABLE)
        assert table is not None
        size = table.size()
        each = f"{size.bytes / size.rows:.1f} bytes a row"
        print(
            f"{namespace}: {each}, {size.files} files, {size.delete_files} of deletes   (to reach: {limit})"
        )
    plain = duckdb.connect(config={"threads": lake.bounds.threads})
    parquet = str(folder / "plain.parquet")
    plain.register("rows", lake.sql(f"SELECT * FROM current.{TABLE}", rows_max=100_000_000).table)
    plain.execute(f"COPY rows TO '{parquet}' (FORMAT parquet, COMPRESSION zstd)")
    for name, query in (
        ("group-by", "SELECT category, sum(amount) FROM {} GROUP BY 1"),
        ("point", "SELECT amount FROM {} WHERE id = 'p00000777'"),
        ("top 10", "SELECT customer, sum(amount) AS s FROM {} GROUP BY 1 ORDER BY 2 DESC LIMIT 10"),
    ):
        ours = min(_timed(lambda q=query: lake.sql(q.format(f"current.{TABLE}"))) for _ in range(5))  # type: ignore[misc]
        theirs = min(
            _timed(lambda q=query: plain.execute(q.format(f"'{parquet}'")).fetchall()) for _ in range(5)
        )  # type: ignore[misc]
        print(
            f"{name}: {ours * 1000:.0f} ms, plain Parquet {theirs * 1000:.0f} ms, ratio {ours / theirs:.2f}   (to reach: 1.5)"
        )


def _timed(call: Any) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
