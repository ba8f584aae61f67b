"""What can be asked about a consumer from outside: whether it has come as far as somebody needs."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.events.test_consumer import HOUR, Bench

from penstock.events.consumer_status import has_handled


@pytest.fixture
def bench() -> Bench:
    return Bench()


def now_s(bench: Bench) -> float:
    return bench.database.clock.now_us() / 1e6


def handled(bench: Bench, until_s: float) -> bool:
    return has_handled(bench.client, "collect", "changes", until_s)


# Why: who relies on it reads nothing else: it has to be true of every change, to the microsecond, and of no later one.
def test_a_consumer_has_handled_what_was_written_before_its_oldest_open_record(bench: Bench) -> None:
    bench.put("1")
    assert not handled(bench, now_s(bench)), "nobody ever handled anything"
    worker = bench.worker()
    worker.run(2.0)
    assert handled(bench, now_s(bench))
    before_s = now_s(bench)
    bench.database.pass_time(0.002)
    bench.put("2", "3")
    assert handled(bench, before_s)
    assert not handled(bench, now_s(bench))
    worker.run(2.0)
    assert handled(bench, now_s(bench))


# Why: a change that the consumer gave up is in the dead letters, and its effect is missing.
def test_a_consumer_that_gave_a_change_up_has_not_handled_it(bench: Bench) -> None:
    def fail(event: dict[str, Any], context: Any) -> None:
        raise ValueError("no")

    bench.put("1")
    bench.worker(handler=fail, maximum_retry_attempts=0).run(3.0)
    assert bench.letters()
    assert not handled(bench, now_s(bench))


# Why: the stream drops what nobody handled after a day, and what is not there any more looks like nothing to handle.
def test_what_left_the_stream_unread_is_not_handled(bench: Bench) -> None:
    bench.put("1")
    bench.worker().run(2.0)
    bench.put("lost")
    bench.database.pass_time(30 * HOUR)
    bench.database.pass_time(HOUR)
    assert not handled(bench, now_s(bench))


# Why: a table that nobody writes to for days has lost nothing, and its consumer says each ten minutes that it is at the tip.
def test_a_quiet_table_stays_handled(bench: Bench) -> None:
    bench.put("1")
    worker = bench.worker()
    for _ in range(40):
        bench.database.pass_time(HOUR)
        worker.run(5.0)
    assert handled(bench, now_s(bench))


# Why: a table without a stream has no changes to handle, which is not the same as having handled them.
def test_of_a_table_that_is_not_there_nothing_is_handled(bench: Bench) -> None:
    assert not has_handled(bench.client, "collect", "nothing", now_s(bench))
