"""The embedded owner's waiting: who sleeps is woken by what it waits for, and by nothing else."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import orjson
import pytest

from penstock.database.actions import DYNAMODB, STREAMS
from penstock.database.open import SystemClock
from penstock.database.owner import Owner
from penstock.store.memory import MemoryStore

PATIENCE_S = 20.0  # Only a failure waits for so long.


@pytest.fixture
def owner() -> Iterator[Owner]:
    owner = Owner(MemoryStore(), SystemClock())
    yield owner
    owner.close()


def ask(owner: Owner, target: str, wait_ms: int = 0, **request: Any) -> dict[str, Any]:
    status, body = owner.call(target, orjson.dumps(request), wait_ms)
    assert status == 200, body
    return orjson.loads(body)  # type: ignore[no-any-return]


def latest(owner: Owner) -> str:
    """An iterator at the end of a new table's stream."""
    arn = ask(
        owner,
        DYNAMODB + "CreateTable",
        TableName="things",
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        BillingMode="PAY_PER_REQUEST",
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"},
    )["TableDescription"]["LatestStreamArn"]
    described = ask(owner, STREAMS + "DescribeStream", StreamArn=arn)["StreamDescription"]
    shard = described["Shards"][0]["ShardId"]
    reply = ask(owner, STREAMS + "GetShardIterator", StreamArn=arn, ShardId=shard, ShardIteratorType="LATEST")
    return str(reply["ShardIterator"])


class Call(threading.Thread):
    """A call on a thread of its own, with its result."""

    def __init__(self, call: Callable[[], dict[str, Any]]) -> None:
        super().__init__(daemon=True)
        self._call = call
        self.result: dict[str, Any] | None = None
        self.start()

    def run(self) -> None:
        self.result = self._call()

    def answer(self) -> dict[str, Any]:
        self.join(PATIENCE_S)
        assert self.result is not None, "the call was not answered"
        return self.result


def held(owner: Owner, at: str, count: int, wait_ms: int = 25_000) -> list[Call]:
    """Consumers whose pages are held open; returns when all of them are."""
    calls = [
        Call(lambda: ask(owner, STREAMS + "GetRecords", wait_ms, ShardIterator=at)) for _ in range(count)
    ]
    everybody = threading.Event()

    def look() -> None:
        with owner._lock:
            if sum(len(held) for held in owner.database.feed.waiting.values()) == count:
                everybody.set()

    for _ in range(2000):
        look()
        if everybody.wait(0.01):
            return calls
    raise AssertionError("the consumers are not held")


def put(owner: Owner, key: str) -> dict[str, Any]:
    return ask(owner, DYNAMODB + "PutItem", TableName="things", Item={"pk": {"S": key}})


def keys(page: dict[str, Any]) -> list[str]:
    return [record["dynamodb"]["Keys"]["pk"]["S"] for record in page["Records"]]


# Why: a write of one thread answers the consumers that sleep in others.
def test_a_write_wakes_the_consumers_that_sleep_in_other_threads(owner: Owner) -> None:
    consumers = held(owner, latest(owner), 5)
    put(owner, "a")
    assert [keys(consumer.answer()) for consumer in consumers] == [["a"]] * 5


# Why: `start` is how the socket in a data directory asks; its writes wake sleeping callers too.
def test_a_write_through_start_wakes_a_consumer(owner: Owner) -> None:
    [consumer] = held(owner, latest(owner), 1)
    done = threading.Event()
    body = orjson.dumps({"TableName": "things", "Item": {"pk": {"S": "a"}}})
    owner.start(DYNAMODB + "PutItem", body, lambda status, reply: done.set())
    assert keys(consumer.answer()) == ["a"]
    assert done.wait(PATIENCE_S)


# Why: a wait that ends without a change is ended by the background thread alone.
def test_a_wait_ends_by_itself(owner: Owner) -> None:
    at = latest(owner)
    page = ask(owner, STREAMS + "GetRecords", 200, ShardIterator=at)
    assert page["Records"] == []
    assert page["NextShardIterator"]


# Why: closing must not leave a thread asleep for ever.
def test_closing_answers_who_sleeps() -> None:
    owner = Owner(MemoryStore(), SystemClock())
    consumers = held(owner, latest(owner), 3)
    owner.close()
    assert [consumer.answer()["Records"] for consumer in consumers] == [[], [], []]


# Why: nobody's write is lost or left unanswered where writers, consumers and long reads share the owner.
def test_consumers_see_every_write_of_many_threads_once(owner: Owner) -> None:
    at = latest(owner)
    writers = [
        Call(lambda first=first: [put(owner, f"{first}-{n}") for n in range(40)][-1])  # type: ignore[misc]
        for first in range(4)
    ]
    scans = [Call(lambda: ask(owner, DYNAMODB + "Scan", TableName="things")) for _ in range(4)]
    seen: list[str] = []
    while len(seen) < 160:
        page = ask(owner, STREAMS + "GetRecords", 5000, ShardIterator=at, Limit=7)
        assert page["Records"], "a held page came back empty while writes were under way"
        seen += keys(page)
        at = page["NextShardIterator"]
    assert sorted(seen) == sorted(f"{first}-{n}" for first in range(4) for n in range(40))
    for call in writers + scans:
        call.answer()


# Why: `durability="process"` answers before the sync; consumers still wait for it, and it comes without them.
def test_with_process_durability_a_consumer_gets_what_was_synced_in_the_background() -> None:
    owner = Owner(MemoryStore(), SystemClock(), durability="process")
    [consumer] = held(owner, latest(owner), 1)
    put(owner, "a")
    assert keys(consumer.answer()) == ["a"]
    owner.close()
