"""Ten thousand small commits into raw and current, upkeep between them as in production: the first and the last 500.

    python bench/lake_commits.py [--commits 10000] [--rows 20]

The changes come from memory, in pages as GetRecords answers them, so that what is measured is the lake alone. A batch is
two commits, raw and current; a third of its rows change items that are there. Upkeep is timed apart.
"""

from __future__ import annotations

import argparse
import os
import random
import resource
import statistics
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from penstock.lake.clock import SystemClock
from penstock.lake.iceberg.warehouse import open_warehouse
from penstock.lake.sink import TableSink
from penstock.lake.upkeep import Upkeep

SHOWN = 500
SEQUENCE_PER_US = 100_000


class Feed:
    """The lake's `Api` over changes that are made up when they are asked for."""

    def __init__(self, rows: int) -> None:
        self._rows = rows
        self._chance = random.Random(3)
        self._made = 0
        self.flowing = False
        self._told = False

    def call(self, action: str, request: Mapping[str, Any], wait_ms: int = 0) -> dict[str, Any]:
        match action:
            case "DescribeTable":
                key = [{"AttributeName": "id", "KeyType": "HASH"}]
                stream = {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}
                return {"Table": {"KeySchema": key, "LatestStreamArn": "a", "StreamSpecification": stream}}
            case "DescribeStream":
                shard = {"ShardId": "s", "SequenceNumberRange": {"StartingSequenceNumber": "0"}}
                return {"StreamDescription": {"Shards": [shard]}}
            case "GetShardIterator":
                return {"ShardIterator": "i"}
            case "Scan":
                return {"Items": []}
            case _:
                return {"Records": self._records(), "NextShardIterator": "i"}

    def _records(self) -> list[dict[str, Any]]:
        """A page, then an empty one, so that each batch is a page."""
        self._told = not self._told
        if not self.flowing or not self._told:
            return []
        now_us = time.time_ns() // 1000
        return [self._record(now_us, place) for place in range(self._rows)]

    def _record(self, now_us: int, place: int) -> dict[str, Any]:
        known = self._made > 100 and self._chance.random() < 1 / 3
        number = self._chance.randrange(self._made) if known else self._made
        self._made += not known
        key = {"id": {"S": f"p{number:08d}"}}
        amount = f"{self._chance.randrange(100, 50_000) / 100}"
        return {
            "eventName": "MODIFY" if known else "INSERT",
            "dynamodb": {
                "ApproximateCreationDateTime": now_us // 1_000_000,
                "SequenceNumber": f"{now_us * SEQUENCE_PER_US + place:021d}",
                "Keys": key,
                "NewImage": {**key, "amount": {"N": amount}, "category": {"S": f"c{number % 7}"}},
            },
        }

    def close(self) -> None:
        pass


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--commits", type=int, default=10_000)
    options.add_argument("--rows", type=int, default=20)
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="penstock-bench-") as folder:
        feed = Feed(chosen.rows)
        sink = TableSink(open_warehouse(folder), feed, "purchases", SystemClock(), "bench")
        sink.open()
        while sink.position.snapshot is None or not sink.position.snapshot.done:
            sink.step()
        feed.flowing = True
        commits_ms: list[float] = []
        upkeep_ms: list[float] = []
        upkeep = Upkeep()
        for _ in range(chosen.commits // 2):
            began = time.perf_counter()
            assert sink.step() == chosen.rows
            landed = time.perf_counter()
            upkeep.tick(sink)
            commits_ms += [(landed - began) * 500] * 2  # Raw and current: half each.
            upkeep_ms.append((time.perf_counter() - landed) * 1000)
        for name, part in (("first", commits_ms[:SHOWN]), ("last", commits_ms[-SHOWN:])):
            p50, p95 = statistics.median(part), _at(part, 0.95)
            print(f"{name} {len(part)} commits: p50 {p50:.1f} ms, p95 {p95:.1f} ms   (to reach: 150)")
        last = upkeep_ms[-SHOWN:]
        print(f"upkeep after a batch: p50 {statistics.median(last):.1f} ms, p99 {_at(last, 0.99):.0f} ms")
        for table in (sink.raw.table, sink.current.table):
            print(f"{table.name}: {len(table.data)} files, {_metadata_mb(table.folder()):.1f} MB of metadata")
    resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"resident at most: {resident} MB   (to reach: 1024)")


def _at(times: list[float], share: float) -> float:
    return sorted(times)[min(len(times) - 1, int(len(times) * share))]


def _metadata_mb(folder: Path | None) -> float:
    assert folder is not None
    return sum(entry.stat().st_size for entry in os.scandir(folder / "metadata")) / 1e6


if __name__ == "__main__":
    main()
