"""One consumer over every kind of store: the engine in this process, a server over HTTP, and moto's DynamoDB through boto3.

What a handler is promised must not depend on where the tables live. moto stands for AWS: another implementation, reached
by the same boto3 that reaches AWS.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from moto import mock_aws

from penstock.app.application import App
from penstock.app.tables import Table
from penstock.connect.client import Client
from penstock.connect.urls import connect
from penstock.events.dead_letters import DeadLetters
from penstock.events.worker import Worker

WITHIN_S = 20.0


def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition with a bound; the waiting is on an event nobody sets, so nothing sleeps blindly."""
    never = threading.Event()
    for _ in range(int(WITHIN_S / 0.02)):
        if condition():
            return
        never.wait(0.02)
    raise AssertionError(f"not within {WITHIN_S} s")


def served(folder: Path) -> tuple[subprocess.Popen[str], str]:
    command = [sys.executable, "-c", "from penstock.cli.main import main; main()", "serve"]
    process = subprocess.Popen(
        [*command, "--data", str(folder), "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    found = re.search(r"http://[^ ]+:\d+", process.stdout.readline())
    assert found is not None, "the server said where it is"
    return process, found.group()


@pytest.fixture(params=["embedded", "http", "moto"])
def client(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Client]:
    if request.param == "embedded":
        with connect(f"file:{tmp_path}/data") as embedded:
            yield embedded
    elif request.param == "http":
        process, url = served(tmp_path / "data")
        try:
            with connect(url) as over_http:
                yield over_http
        finally:
            os.kill(process.pid, signal.SIGTERM)
            process.wait(WITHIN_S)
            assert process.stdout is not None
            process.stdout.close()
    else:
        # moto knows no endpoints that carry an account.
        monkeypatch.setenv("AWS_ACCOUNT_ID_ENDPOINT_MODE", "disabled")
        with mock_aws(), connect("aws:us-east-1") as over_boto3:
            yield over_boto3


class Shop:
    """An application with one table and what its handlers saw."""

    def __init__(self, client: Client) -> None:
        self.app = App("shop")
        self.app.bind(client)
        self.client = client
        self.purchases: Table = self.app.table(
            "purchases", partition_key="customer", sort_key="id", stream=True
        )
        self.totals: Table = self.app.table("totals", partition_key="customer")
        for table in (self.purchases, self.totals):
            client.create_table(**table.definition())
        until(lambda: all(self.active(table.name) for table in (self.purchases, self.totals)))
        self.events: list[dict[str, Any]] = []

    def active(self, name: str) -> bool:
        return bool(self.client.describe_table(TableName=name)["Table"]["TableStatus"] == "ACTIVE")

    def buy(self, customer: str, number: int) -> None:
        self.purchases.put({"customer": customer, "id": f"p{number:04d}", "amount": number})

    def records(self) -> list[dict[str, Any]]:
        return [record for event in self.events for record in event["Records"]]

    def seen(self) -> list[tuple[str, str]]:
        images = [record["dynamodb"]["NewImage"] for record in self.records()]
        return [(image["customer"]["S"], image["id"]["S"]) for image in images]


@pytest.fixture
def shop(client: Client) -> Shop:
    return Shop(client)


def running(shop: Shop) -> Worker:
    worker = Worker(shop.app, shop.client)
    worker.start()
    return worker


# Why: the first sentence of the guarantee, everywhere: all records, each key's in order, across a restart.
def test_every_change_reaches_the_handler_in_order_and_once_across_a_restart(shop: Shop) -> None:
    @shop.app.on_change(shop.purchases, batch_size=10, parallelization_factor=2)
    def collect(event: dict[str, Any]) -> None:
        shop.events.append(event)

    for number in range(25):
        shop.buy(f"c{number % 3}", number)
    worker = running(shop)
    until(lambda: len(shop.seen()) >= 25)
    assert worker.stop()
    for number in range(25, 40):
        shop.buy(f"c{number % 3}", number)
    worker = running(shop)
    until(lambda: len(shop.seen()) >= 40)
    assert worker.stop()

    assert len(shop.seen()) == 40, "a graceful stop keeps the position: nothing comes twice"
    for customer in ("c0", "c1", "c2"):
        bought = [id_ for who, id_ in shop.seen() if who == customer]
        assert bought == sorted(bought)


# Why: a handler written for AWS Lambda reads these members; compared with the published DynamoDB event.
def test_the_event_is_the_one_that_lambda_gets(shop: Shop) -> None:
    @shop.app.on_change(shop.purchases)
    def collect(event: dict[str, Any], context: Any) -> None:
        assert context.function_name == "collect"
        assert context.get_remaining_time_in_millis() > 0
        assert context.aws_request_id
        shop.events.append(event)

    shop.client.put_item(
        TableName="purchases",
        Item={"customer": {"S": "c"}, "id": {"S": "p"}, "blob": {"B": b"\x00"}, "n": {"N": "1.50"}},
    )
    shop.buy("c", 1)
    shop.client.delete_item(TableName="purchases", Key={"customer": {"S": "c"}, "id": {"S": "p"}})
    worker = running(shop)
    until(lambda: len(shop.records()) >= 3)
    assert worker.stop()

    first, _, last = shop.records()
    assert first["eventName"] == "INSERT"
    assert last["eventName"] == "REMOVE"
    assert last["dynamodb"]["OldImage"]["blob"] == {"B": "AA=="}, "binary values are base64 text in an event"
    for record in shop.records():
        assert record["eventSource"] == "aws:dynamodb"
        assert record["awsRegion"] == "us-east-1"
        assert record["eventVersion"]
        assert record["eventID"]
        assert re.fullmatch(
            r"arn:aws:dynamodb:us-east-1:\d{12}:table/purchases/stream/.+", record["eventSourceARN"]
        )
        change = record["dynamodb"]
        assert set(change["Keys"]) == {"customer", "id"}
        assert change["StreamViewType"] == "NEW_AND_OLD_IMAGES"
        assert isinstance(change["SequenceNumber"], str)
        assert isinstance(change["SizeBytes"], int)
        assert isinstance(change["ApproximateCreationDateTime"], int | float)


# Why: the stream goes on behind a record that cannot be handled, and the record is not lost.
def test_a_poison_record_becomes_a_dead_letter_that_can_be_retried(shop: Shop) -> None:
    broken = True

    @shop.app.on_change(
        shop.purchases, batch_size=5, maximum_retry_attempts=1, bisect_batch_on_function_error=True
    )
    def collect(event: dict[str, Any]) -> None:
        if broken and any(r["dynamodb"]["NewImage"]["amount"]["N"] == "3" for r in event["Records"]):
            raise ValueError("three is too much")
        shop.events.append(event)

    for number in range(8):
        shop.buy("c", number)
    worker = running(shop)
    until(lambda: len(shop.seen()) >= 7)
    letters = DeadLetters(shop.client)
    until(lambda: letters.count("collect") == 1)
    assert worker.stop()

    assert [id_ for _, id_ in shop.seen()] == [f"p{n:04d}" for n in (0, 1, 2, 4, 5, 6, 7)]
    letter = letters.show("collect", next(letters.list("collect")).id)
    assert letter.error_type == "ValueError"
    assert letter.error_message == "three is too much"
    assert letter.record is not None
    assert letter.record["dynamodb"]["NewImage"]["amount"] == {"N": "3"}

    settings = worker.consumers["collect"].settings
    assert letters.retry(settings, letter.id, request_id="r", now_s=lambda: 0.0, wall_s=0.0) is not None
    assert letters.show("collect", letter.id).attempts == letter.attempts + 1
    broken = False
    assert letters.retry(settings, letter.id, request_id="r", now_s=lambda: 0.0, wall_s=0.0) is None
    assert letters.count("collect") == 0
    assert shop.seen()[-1] == ("c", "p0003")


# Why: a handler that hangs must not hold its lane for ever, and what it hangs on is found as any other error is.
def test_a_call_that_hangs_has_failed_and_the_stream_goes_on(shop: Shop) -> None:
    released = threading.Event()

    @shop.app.on_change(shop.purchases, batch_size=1, maximum_retry_attempts=1, timeout_s=1.0)
    def collect(event: dict[str, Any]) -> None:
        if event["Records"][0]["dynamodb"]["NewImage"]["amount"]["N"] == "1":
            released.wait(WITHIN_S)
        shop.events.append(event)

    for number in range(3):
        shop.buy("c", number)
    worker = running(shop)
    until(lambda: len(shop.seen()) >= 2)
    assert [id_ for _, id_ in shop.seen()] == ["p0000", "p0002"]
    [letter] = DeadLetters(shop.client).list("collect")
    assert (letter.error_type, letter.error_message) == ("TimedOut", "Task timed out after 1.00 seconds")
    assert letter.attempts == 2
    assert worker.stop(), "a call that was left behind holds up nobody"
    released.set()


# Why: exactly once is a promise about the store's transactions, so it has to hold on each store.
def test_transact_commits_the_writes_with_the_position(shop: Shop) -> None:
    failed: list[int] = []

    @shop.app.on_change(shop.purchases, batch_size=4, parallelization_factor=2)
    def add_up(event: dict[str, Any], context: Any) -> None:
        amounts: dict[str, int] = {}
        for record in event["Records"]:
            image = record["dynamodb"]["NewImage"]
            customer = image["customer"]["S"]
            amounts[customer] = amounts.get(customer, 0) + int(image["amount"]["N"])
        context.transact(
            [
                {
                    "Update": {
                        "TableName": "totals",
                        "Key": {"customer": {"S": customer}},
                        "UpdateExpression": "ADD amount :a",
                        "ExpressionAttributeValues": {":a": {"N": str(amount)}},
                    }
                }
                for customer, amount in amounts.items()
            ]
        )
        if len(failed) < 3:
            failed.append(1)
            raise RuntimeError("after the commit, so nothing may be added twice")

    for number in range(30):
        shop.buy(f"c{number % 4}", number)
    worker = running(shop)

    def total() -> int:
        # moto makes the item of an update first and adds to it then, and a scan may come between.
        return sum(int(item.get("amount", 0)) for item in shop.totals.scan())

    until(lambda: total() >= sum(range(30)))
    assert worker.stop()
    assert total() == sum(range(30))


# Why: two workers share the shards, and what one leaves the other takes over within seconds.
def test_another_worker_takes_over_where_one_stopped_without_a_word(shop: Shop) -> None:
    @shop.app.on_change(shop.purchases, batch_size=10)
    def collect(event: dict[str, Any]) -> None:
        shop.events.append(event)

    shop.buy("c", 0)
    first = running(shop)
    until(lambda: len(shop.seen()) == 1)
    killed = first.consumers["collect"].consumer
    killed.stopped = True  # Its thread ends at once: no lease is given up, no position is saved any more.
    until(lambda: not first.consumers["collect"].alive)
    second = running(shop)
    shop.buy("c", 1)
    until(lambda: ("c", "p0001") in shop.seen())
    assert second.stop()
    assert [id_ for _, id_ in shop.seen()][-1] == "p0001"
