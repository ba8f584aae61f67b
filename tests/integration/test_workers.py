"""Two worker processes over one server: they share the shards, and what one leaves by dying the other takes over."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from penstock.connect.client import Client
from penstock.connect.urls import connect
from penstock.run.app_files import load_app

APP = """
import penstock

app = penstock.App("shop")
purchases = app.table("purchases", partition_key="customer", sort_key="id", stream=True, stream_shards=4)
seen = app.table("seen", partition_key="id")
totals = app.table("totals", partition_key="customer")


@app.on_change(purchases, batch_size=20)
def note(event):
    with seen.writer() as writer:
        for record in event["Records"]:
            writer.put({"id": record["dynamodb"]["NewImage"]["id"]["S"]})


@app.on_change(purchases, batch_size=20, parallelization_factor=2)
def add_up(event, context):
    amounts = {}
    for record in event["Records"]:
        image = record["dynamodb"]["NewImage"]
        customer = image["customer"]["S"]
        amounts[customer] = amounts.get(customer, 0) + int(image["amount"]["N"])
    context.transact([
        {"Update": {"TableName": "totals", "Key": {"customer": {"S": customer}},
                    "UpdateExpression": "ADD amount :a", "ExpressionAttributeValues": {":a": {"N": str(amount)}}}}
        for customer, amount in amounts.items()
    ])
"""
WORKER = """
import sys, threading
from pathlib import Path
from penstock.connect.urls import connect
from penstock.events.worker import Worker
from penstock.run.app_files import load_app

client = connect(sys.argv[2])
app = load_app(Path(sys.argv[1]))
app.bind(client)
worker = Worker(app, client, name=sys.argv[3])
worker.start()
print("ready", flush=True)
threading.Event().wait()
"""
WITHIN_S = 60.0
TAKE_OVER_S = 15.0  # The lease's 4 s, the next beat, and room for a busy machine.


def until(condition: Callable[[], bool], within_s: float = WITHIN_S) -> None:
    never, deadline_s = threading.Event(), time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline_s, f"not within {within_s} s"
        never.wait(0.05)


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    process = subprocess.Popen(
        [sys.executable, "-m", "penstock", "serve", "--data", str(tmp_path / "data"), "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert process.stdout is not None
        found = re.search(r"http://[^ ]+:\d+", process.stdout.readline())
        assert found is not None
        yield found.group()
    finally:
        process.terminate()
        process.wait(WITHIN_S)
        assert process.stdout is not None
        process.stdout.close()


class Started:
    """A worker process."""

    def __init__(self, folder: Path, url: str, name: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", WORKER, str(folder / "app.py"), url, name],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "ready\n"

    def kill(self) -> None:
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait(WITHIN_S)
        assert self.process.stdout is not None
        self.process.stdout.close()


def shared(client: Client) -> list[list[str]]:
    """Who holds the shards of each of the two consumers."""
    found: list[list[str]] = []
    for consumer in ("note", "add_up"):
        items = client.query(
            TableName="penstock_consumers",
            KeyConditionExpression="consumer = :c AND begins_with(part, :s)",
            ExpressionAttributeValues={":c": {"S": consumer}, ":s": {"S": "shard/"}},
            ConsistentRead=True,
        )["Items"]
        found.append(sorted(item["owner"]["S"] for item in items if "owner" in item))
    return found


# Why: a killed process is what the leases are for: the other takes over within seconds, nothing is lost, and what goes
# through ctx.transact is added up exactly once.
def test_a_killed_workers_shards_are_taken_over_and_nothing_is_lost_or_doubled(
    tmp_path: Path, url: str
) -> None:
    (tmp_path / "app.py").write_text(APP)
    with connect(url) as client:
        app = load_app(tmp_path / "app.py")
        app.bind(client)
        for table in app.tables.values():
            client.create_table(**table.definition())
        purchases, seen, totals = (app.tables[name] for name in ("purchases", "seen", "totals"))
        written = 0

        def buy(count: int) -> None:
            nonlocal written
            with purchases.writer() as writer:
                for _ in range(count):
                    writer.put({"customer": f"c{written % 37}", "id": f"p{written}", "amount": written})
                    written += 1

        first, second = Started(tmp_path, url, "first"), Started(tmp_path, url, "second")
        try:
            until(lambda: shared(client) == [["first"] * 2 + ["second"] * 2] * 2)
            buy(2000)
            first.kill()  # In the middle of it.
            killed_s = time.monotonic()
            buy(2000)
            until(lambda: shared(client) == [["second"] * 4] * 2, TAKE_OVER_S)
            assert time.monotonic() - killed_s < TAKE_OVER_S
            wanted = sum(range(written))
            until(lambda: sum(1 for _ in seen.scan()) == written)
            until(lambda: sum(int(item["amount"]) for item in totals.scan()) >= wanted)
            assert sum(int(item["amount"]) for item in totals.scan()) == wanted
        finally:
            if first.process.poll() is None:
                first.kill()
            second.kill()
