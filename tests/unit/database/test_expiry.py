"""Items that expire: which ones, when, at what rate, and what their deletion leaves in the stream."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest
from tests.tables import definitions, index, table_request

from penstock.database.check import check
from penstock.database.expiry import STEP_ITEMS, expire
from penstock.engine.expiry import entry_key
from penstock.engine.plans import Plan
from penstock.errors import StoreUnavailable
from penstock.limits import EXPIRED_PER_S_MAX, EXPIRY_PAST_S
from penstock.model.keys import base_key
from penstock.store.interface import Batch, Family
from penstock.store.memory import MemoryStore
from penstock.testing.databases import MemoryDatabase, memory_database


class CountingStore(MemoryStore):
    """Counts the records that scans give."""

    records = 0

    def scan(
        self, family: Family, lower: bytes, upper: bytes | None, *, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        for pair in super().scan(family, lower, upper, reverse=reverse):
            self.records += 1
            yield pair


class FullDisk(MemoryStore):
    """Refuses writes while it is full."""

    full = False

    def write(self, batch: Batch) -> None:
        if self.full:
            raise StoreUnavailable("no space left on device")
        super().write(batch)


@pytest.fixture
def db() -> MemoryDatabase:
    made = memory_database()
    made.ask(
        "CreateTable",
        **table_request(
            AttributeDefinitions=definitions(pk="S", a="S"),
            GlobalSecondaryIndexes=[index("by_a", "a")],
            StreamSpecification={"StreamEnabled": True, "StreamViewType": "OLD_IMAGE"},
        ),
    )
    return made


def enable(db: MemoryDatabase) -> None:
    specification = {"Enabled": True, "AttributeName": "ttl"}
    db.ask("UpdateTimeToLive", TableName="music", TimeToLiveSpecification=specification)


def now(db: MemoryDatabase) -> int:
    return db.clock.now_us() // 1_000_000


def put(db: MemoryDatabase, pk: str, second: object, type_: str = "N") -> None:
    item: dict[str, Any] = {"pk": {"S": pk}, "a": {"S": "x"}, "ttl": {type_: str(second)}}
    db.ask("PutItem", TableName="music", Item=item)


def left(db: MemoryDatabase) -> set[str]:
    return {item["pk"]["S"] for item in db.ask("Scan", TableName="music")["Items"]}


# Why: "expired items leave within seconds", those that were there before and those that come later, dated back.
def test_an_item_goes_once_its_second_has_passed(db: MemoryDatabase) -> None:
    put(db, "before", now(db) - 10)
    enable(db)
    put(db, "soon", now(db) + 3)
    put(db, "never", now(db) + 10**9)
    db.pass_time(1)
    assert left(db) == {"soon", "never"}
    put(db, "dated back", now(db) - 3600)
    db.pass_time(1)
    assert left(db) == {"soon", "never"}
    db.pass_time(2)
    assert left(db) == {"never"}
    assert check(db.store).findings == []


# Why: developerguide/TTL: only a number of seconds counts, and not one that is more than five years old.
def test_what_is_no_time_of_these_years_is_left_alone(db: MemoryDatabase) -> None:
    enable(db)
    put(db, "text", now(db) - 10, "S")
    put(db, "negative", -5)
    put(db, "huge", "9" * 38)
    put(db, "ancient", now(db) - EXPIRY_PAST_S - 10)
    put(db, "fraction", f"{now(db) - 10}.75")
    put(db, "nearly ancient", now(db) - EXPIRY_PAST_S + 10)
    db.pass_time(1)
    assert left(db) == {"text", "negative", "huge", "ancient"}
    assert check(db.store).findings == []


# Why: consumers tell a deletion by the service from one by a user; its index entries go with it.
def test_the_deletion_is_a_remove_record_of_the_service(db: MemoryDatabase) -> None:
    enable(db)
    put(db, "1", now(db) - 10)
    db.pass_time(1)
    (stream,) = db.database.view.streams()
    changes = [value for _, value in db.database.view.scan_changes(stream.id, 0, 0)]
    assert [change[:2] for change in changes] == [b"I\x00", b"R\x01"]
    assert b'"OldImage":{' in changes[1]
    assert db.ask("Scan", TableName="music", IndexName="by_a")["Items"] == []


# Why: a million items that expire in one second must not hold up requests.
def test_items_go_at_a_bounded_rate(db: MemoryDatabase) -> None:
    for number in range(STEP_ITEMS * 3):
        put(db, str(number), now(db) - 10)
    enable(db)
    pause = STEP_ITEMS / EXPIRED_PER_S_MAX
    counts = []
    db.tick()
    for _ in range(3):
        counts.append(len(left(db)))
        db.pass_time(pause)
    assert counts == [STEP_ITEMS * 2, STEP_ITEMS, 0]


# Why: T1: the item as it stands decides, not the entry that was found.
def test_an_item_that_got_more_time_stays(db: MemoryDatabase) -> None:
    enable(db)
    put(db, "1", now(db) + 5)
    put(db, "2", now(db) + 5)
    db.ask(
        "UpdateItem",
        TableName="music",
        Key={"pk": {"S": "1"}},
        UpdateExpression="SET #t = :t",
        ExpressionAttributeNames={"#t": "ttl"},
        ExpressionAttributeValues={":t": {"N": str(now(db) + 50)}},
    )
    db.ask(
        "UpdateItem",
        TableName="music",
        Key={"pk": {"S": "2"}},
        UpdateExpression="REMOVE #t",
        ExpressionAttributeNames={"#t": "ttl"},
    )
    db.pass_time(10)
    assert left(db) == {"1", "2"}
    db.pass_time(45)
    assert left(db) == {"2"}


# Why: T1 again, for an entry that no write would leave behind: a wrong one must never cost an item.
def test_an_entry_that_its_item_does_not_agree_with_deletes_nothing(db: MemoryDatabase) -> None:
    enable(db)
    put(db, "1", now(db) + 1000)
    table = db.database.view.table("music")
    assert table.time_to_live is not None
    key = base_key(table, {"pk": {"S": "1"}})
    db.database.apply(Plan(puts=[(entry_key(table.time_to_live, now(db) - 10, key), b"")]))
    db.pass_time(1)
    assert left(db) == {"1"}
    assert check(db.store).findings == []


# Why: a disk that is full for a while must not end the job that would make room.
def test_items_expire_after_the_disk_took_writes_again() -> None:
    disk = FullDisk()
    db = MemoryDatabase(disk)
    db.ask("CreateTable", **table_request())
    enable(db)
    put(db, "1", now(db) + 1)
    db.tick()
    disk.full = True
    db.pass_time(5)
    assert left(db) == {"1"}
    disk.full = False
    db.pass_time(5)
    assert left(db) == set()


# Why: a look every second must cost what has expired, not what is stored.
def test_a_look_reads_nothing_but_what_has_expired() -> None:
    store = CountingStore()
    db = MemoryDatabase(store)
    db.ask("CreateTable", **table_request())
    enable(db)
    db.tick()
    for number in range(200):
        put(db, str(number), now(db) + (3 if number < 5 else 10**6))
    store.records = 0
    job = expire(db.database)
    for _ in range(2):
        next(job)
    assert store.records == 0
    db.clock.advance(10)
    next(job)
    assert store.records == 5


def test_nothing_expires_after_time_to_live_is_disabled(db: MemoryDatabase) -> None:
    enable(db)
    db.tick()
    put(db, "1", now(db) + 5)
    specification = {"Enabled": False, "AttributeName": "ttl"}
    db.ask("UpdateTimeToLive", TableName="music", TimeToLiveSpecification=specification)
    db.pass_time(60)
    assert left(db) == {"1"}
    assert check(db.store).findings == []
    enable(db)
    db.pass_time(1)
    assert left(db) == set()


# Why: the status holds back deletions until the walk is done, whatever is written and restarted meanwhile.
@pytest.mark.parametrize("seed", range(10))
def test_entries_follow_their_items_whatever_happens(db: MemoryDatabase, seed: int) -> None:
    chance = random.Random(seed)

    def write() -> None:
        pk = str(chance.randrange(200))
        if chance.random() < 0.2:
            db.ask("DeleteItem", TableName="music", Key={"pk": {"S": pk}})
        else:
            put(db, pk, now(db) + chance.randrange(-20, 20), chance.choice("NNNS"))

    for _ in range(150):
        write()
    enable(db)
    job = expire(db.database)
    for _ in range(60):
        for _ in range(chance.randrange(6)):
            write()
        next(job)
        db.clock.advance(chance.random())
        if chance.random() < 0.1:
            job = expire(db.database)  # As after a restart.
    assert check(db.store).findings == []
    db.clock.advance(60)
    for _ in range(50):
        next(job)
    items = db.ask("Scan", TableName="music")["Items"]
    assert all("S" in item["ttl"] for item in items)
    assert check(db.store).findings == []
