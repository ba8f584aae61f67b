"""Streams as a whole: whatever is written, split, synced, trimmed or lost, consumers see each change once, in order."""

from __future__ import annotations

import random
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

import pytest
from tests.reading_streams import HOUR_S, Record, iterator, make_table, shards_of, split, stream_of

from penstock.errors import ServiceError
from penstock.testing import Disk, FaultyStore, replayable, seeds
from penstock.testing.databases import MemoryDatabase

KEYS = [f"key-{number}" for number in range(12)]
History = dict[str, list[tuple[str, str, str]]]


def change_of(record: Record) -> tuple[str, str, str]:
    body = record["dynamodb"]
    old, new = body.get("OldImage", {}), body.get("NewImage", {})
    return record["eventName"], old.get("v", {}).get("N", ""), new.get("v", {}).get("N", "")


def key_of(record: Record) -> str:
    return str(record["dynamodb"]["Keys"]["pk"]["S"])


@dataclass
class Writer:
    """Random writes, and what they must leave in the stream."""

    db: MemoryDatabase
    random: random.Random
    now: dict[str, str] = field(default_factory=dict)
    expected: History = field(default_factory=lambda: defaultdict(list))
    answers: list[list[Any]] = field(default_factory=list)

    def write(self) -> None:
        """One change that is applied and, for now, not synced."""
        key = self.random.choice(KEYS)
        before = self.now.get(key, "")
        if self.random.random() < 0.3:
            self.answers.append(self.db.start("DeleteItem", TableName="things", Key={"pk": {"S": key}}))
            after = ""
        else:
            after = str(self.random.randrange(3))
            item = {"pk": {"S": key}, "v": {"N": after}}
            self.answers.append(self.db.start("PutItem", TableName="things", Item=item))
        if after != before:
            event = "INSERT" if not before else "MODIFY" if after else "REMOVE"
            self.expected[key].append((event, before, after))
        self.now[key] = after

    def split(self) -> None:
        stream = stream_of(self.db)
        open_ = [shard.number for shard in stream.shards if shard.closed is None]
        if len(open_) < 8:
            split(self.db, self.random.choice(open_))


@dataclass
class Reader:
    """A consumer as AWS asks for: parents to their end before children, one iterator per shard."""

    db: MemoryDatabase
    arn: str
    random: random.Random
    at: dict[str, str] = field(default_factory=dict)
    ended: set[str] = field(default_factory=set)
    last: dict[str, str] = field(default_factory=dict)
    seen: list[Record] = field(default_factory=list)
    order: list[tuple[str, str]] = field(default_factory=list)  # (sequence number, shard) of what was seen.

    def discover(self) -> None:
        shards = shards_of(self.db, self.arn)
        there = {shard["ShardId"] for shard in shards}
        for shard in shards:
            id_, parent = shard["ShardId"], shard.get("ParentShardId")
            known = id_ in self.at or id_ in self.ended
            if not known and (parent is None or parent in self.ended or parent not in there):
                self.at[id_] = iterator(self.db, self.arn, id_, "TRIM_HORIZON")

    def poll(self, shard: str) -> int:
        """One page of one shard; the number of its records."""
        limit = self.random.choice([1, 2, 5, 1000])
        page = self.db.ask("GetRecords", ShardIterator=self.at[shard], Limit=limit)
        self.take(shard, page)
        return len(page["Records"])

    def take(self, shard: str, page: dict[str, Any]) -> None:
        self.seen += page["Records"]
        self.order += [(record["dynamodb"]["SequenceNumber"], shard) for record in page["Records"]]
        if page["Records"]:
            self.last[shard] = page["Records"][-1]["dynamodb"]["SequenceNumber"]
        if "NextShardIterator" in page:
            self.at[shard] = page["NextShardIterator"]
        else:
            del self.at[shard]
            self.ended.add(shard)

    def restart(self) -> None:
        """From the sequence numbers alone, as a consumer that kept only its positions."""
        for shard in self.at:
            number = self.last.get(shard)
            if number is None:
                self.at[shard] = iterator(self.db, self.arn, shard, "TRIM_HORIZON")
            else:
                kind = "AFTER_SEQUENCE_NUMBER"
                self.at[shard] = iterator(self.db, self.arn, shard, kind, SequenceNumber=number)

    def drain(self) -> None:
        while True:
            self.discover()
            known = len(self.ended)
            if sum(self.poll(shard) for shard in list(self.at)) == 0 and len(self.ended) == known:
                return

    def history(self) -> History:
        found: History = defaultdict(list)
        for record in self.seen:
            found[key_of(record)].append(change_of(record))
        return found


def scene(random: random.Random) -> tuple[Writer, Reader]:
    db = MemoryDatabase()
    arn = make_table(db, shards=random.randint(1, 4))
    return Writer(db, random), Reader(db, arn, random)


# Why: the promise of streams, for any history: per key the sequence of its changes, each once. The reader polls
# while writes, syncs and splits go on, and now and then starts again from its last sequence numbers.
@pytest.mark.parametrize("seed", seeds(60))
def test_a_reader_that_polls_sees_each_change_of_each_key_once_and_in_order(seed: int) -> None:
    with replayable(seed) as random:
        writer, reader = scene(random)
        for _ in range(250):
            step = random.random()
            if step < 0.6:
                writer.write()
            elif step < 0.7:
                writer.db.settle()
            elif step < 0.73:
                writer.split()
            elif step < 0.76:
                writer.db.clock.set_wall_us(writer.db.clock.now_us() + random.randint(-5_000, 5_000))
            elif step < 0.78:
                reader.restart()
            else:
                # Not always: DescribeStream waits for all that is not synced, and pages must be right without that.
                if not reader.at or random.random() < 0.3:
                    reader.discover()
                if reader.at:
                    reader.poll(random.choice(sorted(reader.at)))
        writer.db.settle()
        reader.drain()
        assert reader.history() == writer.expected
        numbers = [record["dynamodb"]["SequenceNumber"] for record in reader.seen]
        assert len(set(numbers)) == len(numbers)


# Why: pages that are held open are the same pages: nothing is missed or doubled, and nobody is left waiting.
@pytest.mark.parametrize("seed", seeds(30))
def test_a_reader_whose_pages_are_held_open_sees_the_same(seed: int) -> None:
    with replayable(seed) as random:
        writer, reader = scene(random)
        db = writer.db
        open_pages: dict[str, list[tuple[int, dict[str, Any]]]] = {}

        def collect() -> None:
            for shard, answers in list(open_pages.items()):
                if answers:
                    assert answers[0][0] == 200
                    reader.take(shard, answers[0][1])
                    del open_pages[shard]

        for _ in range(200):
            step = random.random()
            if step < 0.5:
                writer.write()
            elif step < 0.6:
                db.settle()
            elif step < 0.62:
                writer.split()
            elif step < 0.7:
                db.pass_time(random.choice([0.05, 0.4]))
            else:
                if not reader.at or random.random() < 0.3:
                    reader.discover()
                for shard in sorted(set(reader.at) - set(open_pages)):
                    wait_ms = random.choice([1, 300, 5000])
                    open_pages[shard] = db.start("GetRecords", wait_ms, ShardIterator=reader.at[shard])
            collect()
        db.pass_time(10)
        collect()
        assert open_pages == {}
        assert db.database.feed.waiting == {}
        reader.drain()
        assert reader.history() == writer.expected


# Why: retention takes a prefix of each key's history and nothing else; a reader that is too late is told.
@pytest.mark.parametrize("seed", seeds(30))
def test_retention_takes_the_oldest_changes_and_tells_who_comes_too_late(seed: int) -> None:
    with replayable(seed) as random:
        writer, early = scene(random)
        db = writer.db
        for _ in range(60):
            for _ in range(random.randrange(6)):
                writer.write()
            db.settle()
            if random.random() < 0.1:
                writer.split()
            early.restart()  # Its iterators are older than 15 minutes.
            early.drain()
            db.pass_time(random.random() * HOUR_S)
        assert early.history() == writer.expected
        db.pass_time(61)
        late = Reader(db, early.arn, random)
        late.drain()
        kept = late.history()
        for key, changes in writer.expected.items():
            assert changes[len(changes) - len(kept[key]) :] == kept[key]
        found = {change_id(record) for record in late.seen}
        for record in early.seen:
            age_s = db.clock.now_us() / 1_000_000 - record["dynamodb"]["ApproximateCreationDateTime"]
            # A change is looked at once a minute, and its time is shown in whole seconds.
            assert (change_id(record) in found) or age_s >= 24 * HOUR_S
            assert (change_id(record) not in found) or age_s <= 24 * HOUR_S + 62
        first = {shard: number for number, shard in reversed(early.order)}
        for shard in sorted({shard["ShardId"] for shard in shards_of(db, early.arn)} & first.keys()):
            number = first[shard]
            if any(record["dynamodb"]["SequenceNumber"] == number for record in late.seen):
                iterator(db, early.arn, shard, "AT_SEQUENCE_NUMBER", SequenceNumber=number)
            else:
                with pytest.raises(ServiceError, match="TrimmedDataAccessException"):
                    iterator(db, early.arn, shard, "AT_SEQUENCE_NUMBER", SequenceNumber=number)


# Why: a consumer acts on what it reads; a power cut must never take back a change, or a shard's end, that one has seen.
@pytest.mark.parametrize("seed", seeds(60))
def test_what_a_consumer_has_seen_survives_power_loss(seed: int) -> None:
    with replayable(seed) as random:
        disk = Disk()
        store = FaultyStore(disk)
        db = MemoryDatabase(store)
        arn = make_table(db, shards=random.randint(1, 3))
        writer, reader = Writer(db, random), Reader(db, arn, random)
        for _ in range(120):
            step = random.random()
            if step < 0.6:
                writer.write()
            elif step < 0.7:
                db.settle()
            elif step < 0.74:
                writer.split()
            else:
                for shard in sorted(reader.at):
                    answers = db.start("GetRecords", ShardIterator=reader.at[shard])
                    if answers:  # The end of a shard may wait for its sync.
                        reader.take(shard, answers[0][1])
                if random.random() < 0.3:
                    reader.discover()
        store.power_off()
        again = MemoryDatabase(FaultyStore(disk), db.clock)
        seen = list(reader.seen)
        fresh = Reader(again, arn, random)
        fresh.drain()
        found = [record["dynamodb"]["SequenceNumber"] for record in fresh.seen]
        assert {record["dynamodb"]["SequenceNumber"] for record in seen} <= set(found)
        # The consumer that goes on sees exactly the rest, and then what is written next.
        reader.db = again
        writer = Writer(again, random, now=_values(again))
        for _ in range(10):
            writer.write()
        again.settle()
        reader.drain()
        fresh.drain()
        assert sorted(map(change_id, reader.seen)) == sorted(map(change_id, fresh.seen))
        assert reader.history() == fresh.history()


def change_id(record: Record) -> str:
    return str(record["eventID"])


def _values(db: MemoryDatabase) -> dict[str, str]:
    items = db.ask("Scan", TableName="things")["Items"]
    return {item["pk"]["S"]: item["v"]["N"] for item in items}
