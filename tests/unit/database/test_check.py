"""`check` finds what is wrong: each kind of record that the database keeps, broken behind its back."""

from __future__ import annotations

import struct
from dataclasses import replace

import msgspec
import pytest
from tests.reading_streams import split, stream_of
from tests.tables import definitions, index, table_request

from penstock.database import catalog
from penstock.database.check import FINDINGS_MAX, Report, check
from penstock.engine.changes import change_key, trim_key
from penstock.engine.expiry import entry_key
from penstock.model import items
from penstock.model.keys import space_bounds
from penstock.model.tables import Table
from penstock.store.interface import Family
from penstock.testing.databases import MemoryDatabase

SECOND = 4_000_000_000
COUNTED = struct.Struct(">Iqq")


@pytest.fixture
def db() -> MemoryDatabase:
    """Six items; four are in the indexes, two expire some day, all are in a stream of two shards."""
    db = MemoryDatabase()
    db.ask(
        "CreateTable",
        **table_request(
            "things",
            "pk sk",
            AttributeDefinitions=definitions(pk="S", sk="S", x="S"),
            LocalSecondaryIndexes=[index("local", "pk", "x", "KEYS_ONLY")],
            GlobalSecondaryIndexes=[index("global", "x")],
            StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"},
            Tags=[{"Key": "penstock:stream-shards", "Value": "2"}],
        ),
    )
    ttl = {"Enabled": True, "AttributeName": "ttl"}
    db.ask("UpdateTimeToLive", TableName="things", TimeToLiveSpecification=ttl)
    db.pass_time(1.5)
    for number in range(6):
        item = {"pk": {"S": str(number)}, "sk": {"S": "s"}}
        if number < 4:
            item["x"] = {"S": "x"}
        if number < 2:
            item["ttl"] = {"N": str(SECOND)}
        db.ask("PutItem", TableName="things", Item=item)
    return db


def table_of(db: MemoryDatabase) -> Table:
    return db.database.view.table("things")


def space_named(db: MemoryDatabase, name: str) -> int:
    found = table_of(db).index(name)
    assert found is not None
    return found.space


def pairs(db: MemoryDatabase, space: int) -> list[tuple[bytes, bytes]]:
    return list(db.store.scan(Family.DATA, *space_bounds(space)))


def put(db: MemoryDatabase, key: bytes, value: bytes, family: Family = Family.DATA) -> None:
    batch = db.store.batch()
    batch.put(family, key, value)
    db.store.write(batch)


def delete(db: MemoryDatabase, key: bytes, family: Family = Family.DATA) -> None:
    batch = db.store.batch()
    batch.delete(family, key)
    db.store.write(batch)


def findings(db: MemoryDatabase) -> str:
    return "\n".join(check(db.store).findings)


# Why: where nothing is wrong nothing is found, and everything was looked at.
def test_a_sound_database_has_no_findings(db: MemoryDatabase) -> None:
    seen: list[int] = []
    report = check(db.store, lambda so_far: seen.append(so_far.read))
    assert report.findings == []
    assert report.sound
    assert (report.tables, report.items, report.entries, report.changes) == (1, 6, 4 + 4 + 2, 6)
    assert seen[-1] == report.read == 22


# Why: an entry that is missing, surplus or wrong is found from the side that it is missing on.
@pytest.mark.parametrize("name", ["local", "global"])
def test_index_entries_are_held_to_their_items(db: MemoryDatabase, name: str) -> None:
    space = space_named(db, name)
    first, second = pairs(db, space)[:2]
    delete(db, first[0])
    assert f"index things/{name}: no entry for the item" in findings(db)
    put(db, first[0], items.encode({**items.decode(first[1]), "y": {"S": "?"}}, 99))
    assert "differs from its item" in findings(db)
    put(db, *first)
    put(db, second[0] + b"more", second[1])
    assert "its item belongs under another key" in findings(db)


# Why: as above, for an entry of an item that is gone.
def test_an_entry_of_an_item_that_is_gone_is_found(db: MemoryDatabase) -> None:
    delete(db, pairs(db, table_of(db).space)[0][0])
    told = findings(db)
    assert told.count("its item is not there") >= 1 or "no item expires" in told
    assert "counters say 6 items" in told


# Why: E1 of engine/expiry.py, in both directions.
def test_expiry_entries_are_held_to_their_items(db: MemoryDatabase) -> None:
    time_to_live = table_of(db).time_to_live
    assert time_to_live is not None
    entry, _ = pairs(db, time_to_live.space)[0]
    delete(db, entry)
    assert "no expiry entry for the item" in findings(db)
    put(db, entry, b"")
    base = pairs(db, table_of(db).space)[0][0]
    put(db, entry_key(time_to_live, SECOND + 1, base), b"")
    assert "no item expires at this second" in findings(db)


# Why: a record's header, JSON and key belong together.
def test_an_item_s_record_is_held_to_itself(db: MemoryDatabase) -> None:
    (first, record), (second, other), *_ = pairs(db, table_of(db).space)
    put(db, first, other)
    assert "has other key attributes" in findings(db)
    put(db, first, items.encode(items.decode(record), 7))
    assert "the record says 7 bytes" in findings(db)
    put(db, first, record)
    put(db, second, b"?")
    assert "the record cannot be read" in findings(db)


# Why: DescribeTable's figures are those of what is there.
def test_counters_are_held_to_what_is_there(db: MemoryDatabase) -> None:
    key = catalog.COUNTS + table_of(db).space.to_bytes(4, "big")
    put(db, key, COUNTED.pack(table_of(db).space, 5, 1), Family.META)
    assert "counters say 5 items and 1 bytes" in findings(db)
    put(db, catalog.COUNTS + (99).to_bytes(4, "big"), COUNTED.pack(99, 0, 0), Family.META)
    assert "space 99 has counters and belongs to no table" in findings(db)


# Why: S2 of engine/shards.py: a reader of the shards meets each change where its key and number say.
def test_changes_are_held_to_their_shards(db: MemoryDatabase) -> None:
    stream = stream_of(db)
    [(key, value), *_] = db.store.scan(Family.CHANGES, b"", None)
    number, sequence = int.from_bytes(key[4:8], "big"), int.from_bytes(key[8:], "big")
    last = db.database.view.last_sequence()
    for wrong, body, told in (
        (change_key(stream.id, 1 - number, sequence), value, "its key belongs into another shard"),
        (change_key(stream.id, 7, sequence), value, "has no such shard"),
        (change_key(99, 0, sequence), value, "no stream has the number 99"),
        (change_key(stream.id, number, 1), value, "is not one of its shard"),
        (change_key(stream.id, number, last + 1), value, "was never given"),
        (key, b"?" + value[1:], "it begins with b'?"),
        (key, value[:-3], "cannot be read"),
    ):
        put(db, wrong, body, Family.CHANGES)
        assert told in findings(db), told
        delete(db, wrong, Family.CHANGES)
        put(db, key, value, Family.CHANGES)
    assert findings(db) == ""


# Why: a split closes a shard; what came before it stays its own.
def test_a_split_stream_is_sound_and_a_change_in_a_closed_shard_is_not(db: MemoryDatabase) -> None:
    split(db, 0)
    for number in range(20):
        item = {"pk": {"S": f"more {number}"}, "sk": {"S": "s"}}
        db.ask("PutItem", TableName="things", Item=item)
    assert findings(db) == ""
    [parent] = [shard for shard in stream_of(db).shards if shard.number == 0]
    assert parent.closed is not None
    [(_, value), *_] = db.store.scan(Family.CHANGES, b"", None)
    put(db, change_key(stream_of(db).id, 0, parent.closed + 1), value, Family.CHANGES)
    assert "is not one of its shard" in findings(db)


# Why: C4 of engine/changes.py.
def test_a_change_from_before_what_retention_took_is_found(db: MemoryDatabase) -> None:
    [(key, _), *_] = db.store.scan(Family.CHANGES, b"", None)
    stream, shard = int.from_bytes(key[:4], "big"), int.from_bytes(key[4:8], "big")
    put(db, trim_key(stream, shard), key[8:], Family.META)
    assert "retention has taken it" in findings(db)


# Why: what a table believes of its stream is what consumers are shown.
def test_a_stream_is_the_same_in_its_table_and_in_the_catalogue(db: MemoryDatabase) -> None:
    stream = replace(stream_of(db), retention_s=1)
    put(db, catalog.STREAM + stream.id.to_bytes(4, "big"), msgspec.json.encode(stream), Family.META)
    assert "differs from the catalogue's" in findings(db)


# Why: a deleted table leaves nothing; and a number is never given twice.
def test_leftovers_and_used_numbers_are_found(db: MemoryDatabase) -> None:
    put(db, (77).to_bytes(4, "big") + b"left", b"")
    put(db, catalog.NEXT, (1).to_bytes(4, "big"), Family.META)
    told = findings(db)
    assert "space 77 belongs to no table" in told
    assert "the next number is 1" in told


# Why: a torn index has millions of findings; the first thousand tell enough.
def test_findings_are_bounded_and_counted() -> None:
    report = Report()
    for number in range(FINDINGS_MAX + 5):
        report.add(str(number))
    assert (len(report.findings), report.left_out) == (FINDINGS_MAX, 5)
