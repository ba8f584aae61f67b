"""What can be asked about a consumer from outside: whether it has come as far as somebody needs."""

from __future__ import annotations

from typing import Any

import pytest
from tests.in_memory import create_table
from tests.unit.events.test_consumer import HOUR, Bench

from penstock.engine import shards
from penstock.events.consumer_status import has_handled
from penstock.events.dead_letters import DeadLetters


@pytest.fixture
def bench() -> Bench:
    return Bench()


def now_s(bench: Bench) -> float:
    return bench.database.clock.now_us() / 1e6


def handled(bench: Bench, until_s: float) -> bool:
    return has_handled(bench.client, "collect", "changes", until_s)


def fail(event: dict[str, Any], context: Any) -> None:
    raise ValueError("no")


def switch(bench: Bench, *, on: bool) -> None:
    view = {"StreamViewType": "NEW_IMAGE"} if on else {}
    bench.client.update_table(TableName="changes", StreamSpecification={"StreamEnabled": on, **view})
    bench.database.pass_time(5.0)


def leave_for_more_than_a_day(bench: Bench) -> None:
    bench.database.pass_time(30 * HOUR)
    bench.database.pass_time(HOUR)


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
    bench.put("1")
    bench.worker(handler=fail, maximum_retry_attempts=0).run(3.0)
    assert bench.letters()
    assert not handled(bench, now_s(bench))


# Why: the position moves past a change that is given up. Asked in the wrong order, neither the letter nor the change is seen.
def test_a_change_that_is_given_up_while_somebody_looks_is_not_handled(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.put("1")
    worker = bench.worker(handler=fail, maximum_retry_attempts=0)
    while not worker.consumer.tally.batches:
        worker.turn()
    assert not bench.letters(), "it has failed and is not buried yet"
    count = DeadLetters.count

    def count_and_bury(letters: DeadLetters, name: str) -> int:
        counted = count(letters, name)
        worker.run(3.0)
        return counted

    monkeypatch.setattr(DeadLetters, "count", count_and_bury)
    assert not handled(bench, now_s(bench))


# Why: the stream drops what nobody handled after a day, and what is not there any more looks like nothing to handle; also where
# nothing of the shard was handled before, so that no position tells of it.
@pytest.mark.parametrize("handled_before", [(), ("1",)])
def test_what_left_the_stream_unread_is_not_handled(bench: Bench, handled_before: tuple[str, ...]) -> None:
    bench.put(*handled_before)
    bench.worker().run(2.0)
    assert handled(bench, now_s(bench))
    bench.put("lost")
    leave_for_more_than_a_day(bench)
    assert not handled(bench, now_s(bench))


# Why: one lane goes on while another fails, and what the slow one had not handled has left the stream with it.
def test_what_left_the_stream_before_its_lane_came_to_it_is_not_handled(bench: Bench) -> None:
    def fail_one(event: dict[str, Any], context: Any) -> None:
        if event["Records"][0]["dynamodb"]["Keys"]["k"] == {"S": "k0"}:
            raise ValueError("no")

    for number in range(12):
        bench.put(f"{number}", key=f"k{number % 5}")
    worker = bench.worker(batch_size=1, parallelization_factor=3, handler=fail_one)
    worker.run(3.0)
    assert not handled(bench, now_s(bench))
    leave_for_more_than_a_day(bench)
    assert not handled(bench, now_s(bench))


# Why: the shard of a change that nobody handled leaves the stream with it, and its children know nothing of that.
def test_a_shard_that_left_the_stream_unread_is_not_handled(bench: Bench) -> None:
    bench.put("1")
    bench.worker().run(2.0)
    bench.put("lost")
    database = bench.database.database
    database.apply(shards.plan_split(database.view, database.view.streams()[0].id, 0))
    bench.database.tick()
    leave_for_more_than_a_day(bench)
    worker = bench.worker("w2")
    while not bench.letters():
        assert not handled(bench, now_s(bench))
        if not worker.turn():
            bench.database.pass_time(0.25)
    assert not handled(bench, now_s(bench))


# Why: W5. A worker that has read the stream to its tip and retries one record has not handled it; with the worker the record is
# gone, and the stream has dropped it.
def test_what_failed_until_it_left_the_stream_is_not_handled(bench: Bench) -> None:
    bench.put("1")
    bench.fail_until_the_stream_has_dropped_it()
    assert not bench.letters()
    assert not handled(bench, now_s(bench))


# Why: W5. A machine that slept for a day wakes up with what it knew of the tip, and may be killed before it reads on.
def test_a_worker_that_slept_does_not_take_the_tip_of_yesterday_for_that_of_today(bench: Bench) -> None:
    bench.put("1")
    worker = bench.worker()
    worker.run(5.0)
    bench.put("lost")
    leave_for_more_than_a_day(bench)
    while not bench.letters():
        worker.turn()
        assert not handled(bench, now_s(bench))


# Why: without a stream nobody sees what is written, also not once there is another. The one before is forgotten a day after its end,
# however long there was none.
@pytest.mark.parametrize("hours_without", [0, 40])
def test_what_was_written_while_the_stream_was_off_is_not_handled(bench: Bench, hours_without: int) -> None:
    bench.put("1")
    worker = bench.worker()
    worker.run(2.0)
    switch(bench, on=False)
    for _ in range(hours_without):
        bench.database.pass_time(HOUR)
        worker.run(60.0)
    worker.run(40.0)
    bench.put("unseen")
    assert not handled(bench, now_s(bench))
    switch(bench, on=True)
    bench.put("2")
    worker.run(60.0)
    assert bench.seen == ["1", "2"]
    assert not handled(bench, now_s(bench))
    for _ in range(24):
        bench.database.pass_time(HOUR)
        worker.run(5.0)
    assert handled(bench, now_s(bench)), "today begins after it"


# Why: a table that was made anew has lost its items, of which no change tells.
def test_the_changes_of_a_table_that_was_made_anew_are_not_all_there_was(bench: Bench) -> None:
    bench.put("1")
    worker = bench.worker()
    worker.run(2.0)
    bench.client.delete_table(TableName="changes")
    bench.database.pass_time(5.0)
    create_table(bench.client, "changes")
    bench.database.pass_time(1.0)
    worker.run(60.0)
    assert not handled(bench, now_s(bench))


# Why: a shard that was split is read to its end, and then its children: that is no interruption.
def test_a_split_shard_stays_handled(bench: Bench) -> None:
    worker = bench.worker()
    worker.run(2.0)
    database = bench.database.database
    database.apply(shards.plan_split(database.view, database.view.streams()[0].id, 0))
    bench.database.tick()
    bench.put("1")
    assert not handled(bench, now_s(bench))
    worker.run(40.0)
    assert bench.seen == ["1"]
    assert handled(bench, now_s(bench))


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
