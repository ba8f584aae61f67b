"""Half an hour of writes with the lake behind them: what a minute looks like, what grows, and whether all is there at the end.

    python bench/lake_soak.py [--minutes 30] [--rate 5000] [--items 1000000]

`penstock serve` holds the table, the lake is a process of its own at nice 10, and this one writes 25 items a request over
`--items` keys, so that most writes change an item in time. At the end raw must hold every write, once, and current must
equal a scan of the table.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from servers import Running, running

import penstock
from penstock.sql.lake import open_lake

TABLE = "purchases"
BATCH = 25
NICE = 10
SETTLE_S = 120.0


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--minutes", type=float, default=30.0)
    options.add_argument("--rate", type=int, default=5000)
    options.add_argument("--items", type=int, default=1_000_000)
    options.add_argument("--follow", nargs=2, metavar=("URL", "FOLDER"), help=argparse.SUPPRESS)
    chosen = options.parse_args()
    if chosen.follow:
        _follow(*chosen.follow)
        return
    with tempfile.TemporaryDirectory(prefix="penstock-bench-") as folder, running("penstock") as server:
        with penstock.connect(server.url) as client:
            client.create_table(**_definition())
        with following(server.url, Path(folder)) as lake:
            written = _soak(server, lake, Path(folder), chosen)
            _settle(lake, written)
        _verify(server, Path(folder), written)


def _definition() -> dict[str, Any]:
    return {
        "TableName": TABLE,
        "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
        "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
        "BillingMode": "PAY_PER_REQUEST",
        "StreamSpecification": {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
    }


def _item(number: int, items: int) -> dict[str, Any]:
    """`number` tells one write from the next on the same item."""
    # A step that has no divisor in common with round numbers: each item comes once before any comes twice.
    return {
        "id": {"S": f"p{number * 7919 % items:08d}"},
        "number": {"N": str(number)},
        "amount": {"N": f"{random.randrange(100, 50_000) / 100}"},
        "category": {"S": random.choice(("books", "garden", "jewelry", "music", "toys"))},
    }


# -- The lake, a process of its own --


def _follow(url: str, folder: str) -> None:
    """The child: it prints its port, and ends with SIGTERM."""
    os.nice(NICE)
    from penstock.sql.service import start_lake

    process = start_lake(None, url, folder, 0)
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    print(process.port, flush=True)
    ended.wait()
    process.stop()


@contextmanager
def following(url: str, folder: Path) -> Iterator[Running]:
    """A lake in this folder that follows the tables at `url`."""
    command = [sys.executable, __file__, "--follow", url, str(folder)]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        assert child.stdout is not None
        yield Running("lake", int(child.stdout.readline()), child.pid)
    finally:
        child.terminate()
        child.wait(60)


def flow(lake: Running) -> dict[str, Any]:
    """How the one table's flow is."""
    with urllib.request.urlopen(f"{lake.url}/status", timeout=30) as answer:
        tables: list[dict[str, Any]] = json.load(answer)["tables"]
    return tables[0] if tables else {"offset": 0, "behind_s": None, "commit_ms": 0.0}


# -- Writing and watching --


class Writer:
    """Writes at a rate, in a thread. `written` is how many were answered."""

    def __init__(self, url: str, per_s: int, items: int) -> None:
        self.written = 0
        self._url, self._per_s, self._items = url, per_s, items
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> int:
        self._stop.set()
        self._thread.join()
        return self.written

    def _run(self) -> None:
        with penstock.connect(self._url) as client:
            due = time.perf_counter()
            while not self._stop.is_set():
                numbers = range(self.written, self.written + BATCH)
                puts = [{"PutRequest": {"Item": _item(number, self._items)}} for number in numbers]
                client.batch_write_item(RequestItems={TABLE: puts})
                self.written += BATCH
                due += BATCH / self._per_s
                time.sleep(max(0.0, due - time.perf_counter()))


def _soak(server: Running, lake: Running, folder: Path, chosen: argparse.Namespace) -> int:
    print("minute  written/s  landed/s  behind s  batch ms p50/p95  files  lake MB  table MB")
    writer = Writer(server.url, chosen.rate, chosen.items)
    ends = time.perf_counter() + chosen.minutes * 60
    minute = landed_before = written_before = 0
    while time.perf_counter() < ends:
        minute += 1
        began = time.perf_counter()
        behind: list[float] = []
        batches: list[float] = []
        while time.perf_counter() < min(began + 60, ends):
            time.sleep(0.5)
            told = flow(lake)
            behind.append(told["behind_s"] or 0.0)
            batches.append(told["commit_ms"])
        seconds, landed, written = time.perf_counter() - began, told["offset"], writer.written
        batches.sort()
        files = sum(1 for _ in folder.rglob("*.parquet"))
        print(
            f"{minute:6} {(written - written_before) / seconds:10,.0f} {(landed - landed_before) / seconds:9,.0f}"
            f" {max(behind):9.1f} {batches[len(batches) // 2]:8.0f} /{batches[int(len(batches) * 0.95)]:7.0f}"
            f" {files:6} {lake.resident_mb():8.0f} {server.resident_mb():9.0f}",
            flush=True,
        )
        landed_before, written_before = landed, written
    return writer.stop()


def _settle(lake: Running, written: int) -> None:
    began = time.perf_counter()
    while flow(lake)["offset"] < written:
        if time.perf_counter() - began > SETTLE_S:
            raise TimeoutError(f"{flow(lake)['offset']:,} of {written:,} landed")
        time.sleep(0.1)
    time.sleep(1.0)  # Raw is first; current follows in the same step.
    print(f"the last write landed {time.perf_counter() - began:.1f} s after it was answered")


def _verify(server: Running, folder: Path, written: int) -> None:
    lake = open_lake(folder, make=False)
    sql = f"SELECT count(*) AS n, count(DISTINCT ordinal) AS d FROM raw.{TABLE} WHERE operation <> 'SNAPSHOT'"
    raw = lake.sql(sql).rows()
    held = lake.sql(f"SELECT id, number FROM current.{TABLE}", rows_max=1 << 40).table.to_pydict()
    current = dict(zip(held["id"], map(int, held["number"]), strict=True))
    table: dict[str, int] = {}
    with penstock.connect(server.url) as client:
        start: dict[str, Any] = {}
        while True:
            page = client.scan(TableName=TABLE, **start)
            table.update((item["id"]["S"], int(item["number"]["N"])) for item in page["Items"])
            if "LastEvaluatedKey" not in page:
                break
            start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}
    whole = raw == [{"n": written, "d": written}]
    same = table == current and len(held["id"]) == len(current)
    print(
        f"raw holds each of {written:,} writes once: {whole}; current equals the table's {len(table):,}: {same}"
    )
    if not (whole and same):
        raise SystemExit(f"raw says {raw}; current holds {len(held['id']):,}")


if __name__ == "__main__":
    main()
