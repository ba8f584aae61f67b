"""Consumers as Prometheus metrics: from a worker's own count, and from what workers leave in the store."""

from __future__ import annotations

from typing import Any

import pytest
from tests.in_memory import Direct
from tests.unit.events.test_consumer import Bench

from penstock.connect.client import Client
from penstock.connect.http import NoAnswer
from penstock.connect.json_caller import JsonCaller
from penstock.events.consumer_metrics import FRESH_S, watch_consumers
from penstock.events.consumer_status import LIVING_S, statuses
from penstock.events.records import Entry, written_s
from penstock.metrics.exposition import text
from penstock.metrics.registry import Registry


@pytest.fixture
def bench() -> Bench:
    return Bench()


def page(bench: Bench, registry: Registry) -> dict[str, float]:
    """The numbers of the page, once what was looked at before is no longer fresh."""
    bench.database.pass_time(FRESH_S)
    lines = [line for line in text(registry).splitlines() if not line.startswith("#")]
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}


def watching(bench: Bench, client: Client | None = None) -> Registry:
    registry, clock = Registry(), bench.database.clock
    watch_consumers(
        registry, client or bench.client, now_s=lambda: clock.now_us() / 1e6, monotonic_s=clock.monotonic_s
    )
    return registry


# Why: the figures of `penstock consumers` and each worker's own count, on a page that the application serves.
def test_a_page_tells_of_every_consumer_and_worker(bench: Bench) -> None:
    def fail(event: dict[str, Any], context: Any) -> None:
        if event["Records"][0]["dynamodb"]["NewImage"]["v"]["S"] == "bad":
            raise ValueError("no")

    bench.put("1", "bad", "2")
    registry = watching(bench)
    worker = bench.worker(handler=fail, batch_size=1, maximum_retry_attempts=1)
    worker.run(5.0)
    seen = page(bench, registry)
    who = '{consumer="collect",worker="w1"}'
    assert seen[f"penstock_consumer_handled_total{who}"] == 2
    assert seen[f"penstock_consumer_retries_total{who}"] == 1
    assert seen[f"penstock_consumer_dead_letters_total{who}"] == 1
    assert seen[f"penstock_change_to_handler_seconds_count{who}"] == 4, "each call of the handler"
    assert seen['penstock_consumer_dead_letters{consumer="collect"}'] == 1
    assert seen['penstock_consumer_workers{consumer="collect"}'] == 1
    assert seen['penstock_consumer_lag_records{consumer="collect"}'] == 0

    bench.put("3", "4")
    bench.database.pass_time(10.0)
    seen = page(bench, registry)
    assert seen['penstock_consumer_lag_records{consumer="collect"}'] == 2, "nobody reads, and it is seen"
    assert seen['penstock_consumer_lag_seconds{consumer="collect"}'] >= 10


# Why: a worker that was killed is no worker, long before the others drop its item.
def test_a_worker_that_is_silent_is_not_counted_as_one(bench: Bench) -> None:
    bench.worker().run(2.0)
    clock = bench.database.clock
    assert [status.workers for status in statuses(bench.client, clock.now_us() / 1e6)] == [1]
    bench.database.pass_time(LIVING_S + 1)
    assert [status.workers for status in statuses(bench.client, clock.now_us() / 1e6)] == [0]


# Why: a page that is asked for ten times a second must not read the streams ten times a second.
def test_pages_close_together_share_one_look(bench: Bench) -> None:
    calls: list[str] = []

    class Counting(Direct):
        def send(self, target: str, body: bytes, wait_ms: int) -> tuple[int, bytes]:
            calls.append(target)
            return super().send(target, body, wait_ms)

    bench.worker().run(2.0)
    registry = watching(bench, Client(JsonCaller(Counting(lambda: bench.database))))
    first = text(registry)
    asked = len(calls)
    assert asked > 0
    assert text(registry) == first
    assert len(calls) == asked
    page(bench, registry)
    assert len(calls) == 2 * asked


# Why: the other metrics of the page are wanted most when the store is away.
def test_a_store_that_does_not_answer_leaves_the_rest_of_the_page(bench: Bench) -> None:
    class Gone(Direct):
        def send(self, target: str, body: bytes, wait_ms: int) -> tuple[int, bytes]:
            raise NoAnswer("gone")

    registry = watching(bench, Client(JsonCaller(Gone(lambda: bench.database))))
    registry.counter("other_total", "Something else.").add(1)
    seen = page(bench, registry)
    assert seen == {"other_total": 1, "penstock_consumers_known": 0}


# Why: a record's own time is in whole seconds, which would hide every delay that matters.
def test_the_time_of_a_change_is_as_exact_as_its_record_tells() -> None:
    def entry(sequence: int, created_s: float) -> Entry:
        return Entry(sequence, created_s, 0.0, 0, {})

    assert written_s(entry(1_767_225_600_123_456_00000, 1_767_225_600)) == pytest.approx(1_767_225_600.123456)
    on_aws = entry(111_800_000_000_003_747_198_6412, 1_767_225_600)
    assert written_s(on_aws) == 1_767_225_600
