"""The consumer's core with the store in memory and a clock that the test moves: starts, gaps, shards, leases, lanes."""

from __future__ import annotations

from random import Random
from typing import Any

import orjson
import pytest
from tests.in_memory import Direct, create_table, fresh_ids, memory_client

from penstock.connect.client import Client
from penstock.connect.json_caller import JsonCaller
from penstock.engine import shards
from penstock.events.consumer import Consumer
from penstock.events.dead_letters import DeadLetters
from penstock.events.effects import Effect, Invoke, Read, Result
from penstock.events.leases import LEASE_S
from penstock.events.performer import Performer
from penstock.events.positions import NotOurs, Positions
from penstock.events.settings import Settings
from penstock.events.source import Source
from penstock.events.system_tables import consumers_table, dead_letters_table, ensure_table
from penstock.testing.databases import MemoryDatabase

HOUR = 3600.0


class Bench:
    """A table with a stream, and workers that a test runs by hand."""

    def __init__(self) -> None:
        self.database = MemoryDatabase()
        self.client: Client = memory_client(self.database)
        for definition in (consumers_table(), dead_letters_table()):
            ensure_table(self.client, definition, sleep=self.database.pass_time)
        create_table(self.client, "changes")
        self.database.pass_time(1.0)
        self.seen: list[str] = []
        self.batches: list[int] = []
        self.ids = fresh_ids("id")

    def put(self, *names: str, key: str = "a") -> None:
        for name in names:
            self.client.put_item(TableName="changes", Item={"k": {"S": key}, "v": {"S": name}})

    def handle(self, event: dict[str, Any], context: Any) -> None:
        self.batches.append(len(event["Records"]))
        self.seen += [record["dynamodb"]["NewImage"]["v"]["S"] for record in event["Records"]]

    def worker(self, name: str = "w1", **given: Any) -> Worker:
        handler = given.pop("handler", self.handle)
        return Worker(self, name, Settings("collect", "changes", handler, **given))

    def fail_until_the_stream_has_dropped_it(self) -> None:
        """A worker that retries what there is for most of a day, and is gone for the rest."""

        def fail(event: dict[str, Any], context: Any) -> None:
            raise ValueError("no")

        worker = self.worker(handler=fail)
        for _ in range(23):
            self.database.pass_time(HOUR)
            worker.run(5.0)
        self.database.pass_time(6 * HOUR)
        self.database.pass_time(HOUR)

    def letters(self) -> list[Any]:
        return list(DeadLetters(self.client).list("collect"))

    def position(self) -> int:
        _, leases, _ = Positions(self.client, "collect").look()
        lease = next(iter(leases.values()))
        return min(Positions(self.client, "collect").positions_of(lease.shard, lease.factor))


class Worker:
    def __init__(self, bench: Bench, name: str, settings: Settings) -> None:
        self.bench, self.clock = bench, bench.database.clock
        random = Random(7)
        self.consumer = Consumer(settings, name, random)
        self.performer = Performer(
            bench.client, settings, name, self.clock, random, bench.ids, lambda pause_s: None
        )
        self.done: list[tuple[Effect, Result]] = []

    def turn(self) -> bool:
        now_s, wall_s = self.clock.monotonic_s(), self.clock.now_us() / 1_000_000
        effects = self.consumer.step(now_s, wall_s)
        for effect in effects:
            result = self.performer.perform(effect)
            self.done.append((effect, result))
            self.consumer.settle(effect, result, now_s, wall_s)
        return bool(effects)

    def run(self, seconds: float = 3.0) -> None:
        """Everything that happens within this time."""
        until_s = self.clock.monotonic_s() + seconds
        while True:
            while self.turn():
                pass
            now_s = self.clock.monotonic_s()
            if now_s >= until_s:
                return
            self.bench.database.pass_time(
                min(max(self.consumer.due_s(now_s) - now_s, 0.01), until_s - now_s, 1.0)
            )


@pytest.fixture
def bench() -> Bench:
    return Bench()


# Why: StartingPosition TRIM_HORIZON is everything that the stream still has.
def test_a_new_consumer_begins_with_the_oldest_record(bench: Bench) -> None:
    bench.put("1", "2")
    bench.worker().run()
    assert bench.seen == ["1", "2"]


# Why: LATEST means from the consumer's first start on, and a crash before the first record must not move that.
def test_latest_begins_at_the_first_start_also_after_a_crash(bench: Bench) -> None:
    bench.put("before")
    bench.database.pass_time(5.0)
    bench.worker(starting_position="LATEST").run(2.0)
    assert bench.seen == []
    bench.put("while nobody lived")
    bench.database.pass_time(60.0)
    bench.worker("w2", starting_position="LATEST").run(LEASE_S + 2)
    assert bench.seen == ["while nobody lived"]


# Why: a lease changes hands only when its owner is dead or has given it up.
def test_a_second_worker_takes_over_within_seconds_of_a_crash(bench: Bench) -> None:
    first, second = bench.worker("w1"), bench.worker("w2")
    bench.put("1")
    first.run(2.0)
    second.run(0.5)
    assert second.consumer.followers == {}, "the first one lives"
    bench.put("2")
    second.run(LEASE_S + 1.5)
    assert bench.seen == ["1", "2"]


# Why: fenced by a conditional write; a worker that slept must not put the position back, or move it at all.
def test_a_worker_that_lost_its_lease_cannot_move_the_position(bench: Bench) -> None:
    bench.put("1")
    first, second = bench.worker("w1"), bench.worker("w2")
    first.run(2.0)
    bench.put("2")
    second.run(LEASE_S + 2.0)
    kept = bench.position()
    old = next(iter(first.consumer.followers.values())).held
    with pytest.raises(NotOurs):
        Positions(bench.client, "collect").save(old.shard, old.epoch, 1, 0, 1)
    with pytest.raises(NotOurs):
        Positions(bench.client, "collect").open_lanes(old.shard, old.epoch, 1)
    first.run(1.0)
    assert first.consumer.followers == {}, "it has seen that the shard is another's"
    assert bench.position() == kept
    assert bench.seen == ["1", "2"]


# Why: C2; without a beat others may hold the shard already.
def test_no_handler_is_called_without_a_recent_beat(bench: Bench) -> None:
    worker = bench.worker()
    worker.run(1.0)
    bench.put("late")
    read, _ = next(pair for pair in reversed(worker.done) if isinstance(pair[0], Read))
    page = worker.performer.perform(read)
    bench.database.pass_time(LEASE_S + 1)
    now_s, wall_s = worker.clock.monotonic_s(), worker.clock.now_us() / 1e6
    worker.consumer.settle(read, page, now_s, wall_s)
    before = len(worker.done)
    worker.turn()
    assert worker.consumer.pending == 1, "it has been read"
    assert not any(isinstance(effect, Invoke) for effect, _ in worker.done[before:])
    worker.run(2.0)
    assert bench.seen == ["late"]


# Why: a graceful stop keeps what was done and lets others begin at once.
def test_a_stop_keeps_the_position_and_gives_the_shard_up(bench: Bench) -> None:
    bench.put("1")
    first = bench.worker("w1")
    first.run(1.0)
    first.consumer.stop()
    first.run(0.1)
    assert first.consumer.stopped
    bench.put("2")
    bench.worker("w2").run(0.5)
    assert bench.seen == ["1", "2"]


# Why: the stream keeps 24 hours; what left it unread is reported among the dead letters, and the stream goes on.
def test_a_trimmed_position_is_recorded_as_a_gap(bench: Bench) -> None:
    bench.put("1")
    first = bench.worker()
    first.run(2.0)
    first.consumer.stop()
    first.run(0.1)
    bench.put("lost")
    bench.database.pass_time(30 * HOUR)
    bench.database.pass_time(HOUR)
    bench.put("2")
    bench.worker("w2").run(5.0)
    assert bench.seen == ["1", "2"]
    [letter] = bench.letters()
    assert (letter.kind, letter.error_type) == ("gap", "TrimmedDataAccessException")


# Why: W5; nothing was handled yet, so no position tells that the stream was trimmed: the first changes were lost in silence.
def test_the_first_changes_may_be_a_gap_too(bench: Bench) -> None:
    first = bench.worker()
    first.run(2.0)
    bench.put("lost")
    bench.database.pass_time(30 * HOUR)
    bench.database.pass_time(HOUR)
    bench.put("2")
    bench.worker("w2").run(LEASE_S + 2.0)
    assert bench.seen == ["2"]
    [letter] = bench.letters()
    assert letter.kind == "gap"
    assert "first changes" in letter.error_message


# Why: W5; a new consumer begins where the stream does, and misses nothing by that.
def test_a_new_consumer_of_an_old_stream_has_no_gap(bench: Bench) -> None:
    bench.put("1")
    bench.database.pass_time(40 * HOUR)
    bench.put("2")
    bench.worker().run(3.0)
    assert (bench.seen, bench.letters()) == (["2"], [])


# Why: W5; a machine that slept over the weekend must not raise an alarm for each quiet table.
def test_a_stream_that_nothing_was_written_to_has_no_gap(bench: Bench) -> None:
    bench.worker().run(2.0)
    bench.database.pass_time(60 * HOUR)
    bench.put("1")
    bench.worker("w2").run(LEASE_S + 2.0)
    assert (bench.seen, bench.letters()) == (["1"], [])


# Why: W5; a quiet table's position is trimmed too, and nothing was missed.
def test_a_shard_that_was_quiet_has_no_gap(bench: Bench) -> None:
    bench.put("1")
    worker = bench.worker()
    worker.run(5.0)
    for _ in range(40):
        bench.database.pass_time(HOUR)
        worker.run(5.0)
    worker.consumer.stop()
    worker.run(1.0)
    bench.database.pass_time(HOUR)
    bench.put("2")
    bench.worker("w2").run(5.0)
    assert bench.seen == ["1", "2"]
    assert bench.letters() == []


# Why: W5; a worker that was at the tip and retried one record for a day takes it along when it dies, and nobody was told.
def test_a_record_that_failed_until_it_left_the_stream_is_a_gap(bench: Bench) -> None:
    bench.put("lost")
    bench.fail_until_the_stream_has_dropped_it()
    bench.put("2")
    bench.worker("w2").run(LEASE_S + 2.0)
    assert bench.seen == ["2"]
    [letter] = bench.letters()
    assert letter.kind == "gap"


# Why: an iterator is good for 15 minutes; a position for as long as the stream has its records.
def test_an_expired_iterator_is_renewed_from_the_position(bench: Bench) -> None:
    bench.put("1")
    worker = bench.worker()
    worker.run(2.0)
    bench.put("2")
    bench.database.pass_time(HOUR)
    worker.run(5.0)
    assert bench.seen == ["1", "2"]


# Why: order per key across a split: the parent is read to its end before its children are begun.
def test_children_of_a_split_follow_their_parent(bench: Bench) -> None:
    worker = bench.worker(batch_size=1)
    worker.run(1.0)
    for round_ in range(4):
        for key in "abcdef":
            bench.put(f"{key}{round_}", key=key)
        database = bench.database.database
        stream = database.view.streams()[0]
        open_ = [shard.number for shard in stream.shards if shard.closed is None]
        database.apply(shards.plan_split(database.view, stream.id, open_[0]))
        bench.database.tick()
    worker.run(10.0)
    assert len(bench.seen) == 24
    for key in "abcdef":
        assert [name for name in bench.seen if name[0] == key] == [f"{key}{n}" for n in range(4)]
    _, leases, _ = Positions(bench.client, "collect").look()
    assert sum(lease.ended for lease in leases.values()) == 4


# Why: AWS lists streams and shards in pages; a shard behind the first page would never be read.
def test_streams_and_shards_behind_the_first_page_are_found(bench: Bench) -> None:
    asked: list[str] = []

    class Paging(Direct):
        def send(self, target: str, body: bytes, wait_ms: int) -> tuple[int, bytes]:
            if target.endswith((".ListStreams", ".DescribeStream")):
                asked.append(target.rpartition(".")[2])
                body = orjson.dumps({**orjson.loads(body), "Limit": 1})
            return super().send(target, body, wait_ms)

    create_table(bench.client, "wide", shards=3)
    bench.database.pass_time(1.0)
    for enabled in (False, True):
        view = {"StreamViewType": "NEW_IMAGE"} if enabled else {}
        bench.client.update_table(TableName="wide", StreamSpecification={"StreamEnabled": enabled, **view})
        bench.database.pass_time(5.0)
    found = Source(Client(JsonCaller(Paging(lambda: bench.database))), "wide").streams()
    assert len(found) == 2
    assert found == Source(bench.client, "wide").streams()
    assert {len(stream.shards) for stream in found} == {3}
    assert asked.count("ListStreams") >= 2
    assert asked.count("DescribeStream") >= 6


# Why: what is kept of shards would grow for ever: on AWS a shard lives four hours.
def test_shards_that_have_left_the_stream_are_forgotten(bench: Bench) -> None:
    worker = bench.worker()
    bench.put("1")
    database = bench.database.database
    database.apply(shards.plan_split(database.view, database.view.streams()[0].id, 0))
    bench.database.tick()
    worker.run(5.0)
    assert len(Positions(bench.client, "collect").look()[1]) == 3
    bench.database.pass_time(30 * HOUR)
    bench.database.pass_time(HOUR)
    worker.run(120.0)
    assert len(Positions(bench.client, "collect").look()[1]) == 2
    assert bench.letters() == []


# Why: W3; another number of lanes deals the keys anew, so every lane must stand at the same record first.
def test_changing_the_parallelization_factor_drains_first(bench: Bench) -> None:
    for number in range(12):
        bench.put(f"{number}", key=f"k{number % 5}")
    blocked = {"k0"}

    def pick(event: dict[str, Any], context: Any) -> None:
        if event["Records"][0]["dynamodb"]["Keys"]["k"]["S"] in blocked:
            raise ValueError("not yet")
        bench.handle(event, context)

    first = bench.worker(batch_size=1, parallelization_factor=3, handler=pick)
    first.run(3.0)
    first.consumer.stop()
    first.run(1.0)
    assert 0 < len(bench.seen) < 12, "the lanes stand at different records"
    blocked.clear()
    second = bench.worker("w2", batch_size=1, parallelization_factor=2, handler=pick)
    second.run(20.0)
    assert sorted(bench.seen, key=int) == [str(number) for number in range(12)], "each one once"
    assert next(iter(second.consumer.followers.values())).factor == 2


# Why: a batch waits for its window, counted from its first record.
def test_the_window_collects_records(bench: Bench) -> None:
    worker = bench.worker(window_s=10.0)
    worker.run(1.0)
    bench.put("1")
    worker.run(2.0)
    bench.put("2")
    worker.run(2.0)
    assert bench.seen == []
    worker.run(9.0)
    assert bench.batches == [2]


# Why: X1 and O3; the position moves in the handler's own transaction and an error behind it repeats nothing.
def test_transact_through_a_record_leaves_the_rest_for_the_next_call(bench: Bench) -> None:
    create_table(bench.client, "effects", stream=False)
    bench.database.pass_time(1.0)
    bench.put("1", "2", "3")

    def one_by_one(event: dict[str, Any], context: Any) -> None:
        record = event["Records"][0]
        bench.seen.append(record["dynamodb"]["NewImage"]["v"]["S"])
        put = {"Put": {"TableName": "effects", "Item": {"k": record["dynamodb"]["NewImage"]["v"]}}}
        context.transact([put], through=record["dynamodb"]["SequenceNumber"])
        raise RuntimeError("the rest another time")

    bench.worker(handler=one_by_one).run(20.0)
    assert bench.seen == ["1", "2", "3"]
    assert bench.client.scan(TableName="effects")["Count"] == 3


# Why: a record with both images of 400 KB does not fit into an item, and must not be lost for it.
def test_a_dead_letter_may_be_larger_than_an_item(bench: Bench) -> None:
    big = "".join(Random(1).choices("abcdefghijklmnopqrstuvwxyz0123456789", k=390_000))
    bench.put(big)
    bench.put("x" + big[1:])

    def fail(event: dict[str, Any]) -> None:
        raise ValueError("no")

    told: list[dict[str, Any]] = []
    bench.worker(handler=fail, maximum_retry_attempts=0, on_failure=told.append).run(10.0)
    letters = DeadLetters(bench.client)
    assert letters.count("collect") == 2
    last = letters.show("collect", bench.letters()[-1].id)
    assert last.record is not None
    assert last.record["dynamodb"]["OldImage"]["v"]["S"] == big
    letters.discard("collect", last.id)
    assert len(bench.client.scan(TableName="penstock_dead_letters")["Items"]) < 4
    assert sum(message["DDBStreamBatchInfo"]["batchSize"] for message in told) == 2
    assert told[0]["requestContext"]["condition"] == "RetryAttemptsExhausted"


# Why: a destination that fails must not stop the stream; the dead letters have the record.
def test_a_failing_destination_changes_nothing(bench: Bench) -> None:
    bench.put("bad", "good")

    def fail(event: dict[str, Any]) -> None:
        if event["Records"][0]["dynamodb"]["NewImage"]["v"]["S"] == "bad":
            raise ValueError("no")
        bench.handle(event, None)

    def destination(message: dict[str, Any]) -> None:
        raise OSError("no route")

    bench.worker(handler=fail, batch_size=1, maximum_retry_attempts=0, on_failure=destination).run(5.0)
    assert bench.seen == ["good"]
    assert len(bench.letters()) == 1


# Why: a filter must not hold the position back, or a restart would read everything that it keeps out again.
def test_filtered_records_move_the_position_too(bench: Bench) -> None:
    bench.put("1", "2")
    worker = bench.worker(accept=lambda record: False)
    worker.run(8.0)
    assert bench.seen == []
    assert worker.consumer.tally.filtered == 2
    assert bench.position() > 0
