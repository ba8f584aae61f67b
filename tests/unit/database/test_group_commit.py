"""What is not synced yet is seen by nobody: answers that depend on it wait for its sync, and others do not."""

from __future__ import annotations

from typing import Any

import pytest
from tests.reading_streams import id_of, iterator, read_shard
from tests.tables import definitions, index, table_request

from penstock.database.check import check
from penstock.testing import FaultyStore
from penstock.testing.databases import MemoryDatabase, memory_database

KEY = {"pk": {"S": "a"}, "sk": {"S": "1"}}


@pytest.fixture
def database() -> MemoryDatabase:
    database = memory_database()
    local = [index("by_at", "pk", "at", "KEYS_ONLY")]
    types = definitions(pk="S", sk="S", at="S")
    database.ask(
        "CreateTable",
        **table_request("notes", "pk sk", AttributeDefinitions=types, LocalSecondaryIndexes=local),
    )
    put(database, note="old", at="now")
    database.settle()
    return database


def put(database: MemoryDatabase, **attributes: str) -> None:
    """Applied, and not synced."""
    item = KEY | {name: {"S": text} for name, text in attributes.items()}
    assert database.start("PutItem", TableName="notes", Item=item) == []


def query(names: str, **more: Any) -> dict[str, Any]:
    return {
        "TableName": "notes",
        "KeyConditionExpression": "pk = :pk",
        "ExpressionAttributeValues": {":pk": KEY["pk"]},
        "ProjectionExpression": names,
        **more,
    }


# Why: G2. A power cut may still take the write back, and then the reader has seen what never was.
def test_a_read_of_an_unsynced_write_waits_for_its_sync(database: MemoryDatabase) -> None:
    put(database, note="new", at="now")
    answers = database.start("GetItem", TableName="notes", Key=KEY)
    assert answers == []
    database.sync()
    assert answers[0][1]["Item"]["note"] == {"S": "new"}


# Why: G2 is worth its price only if a reader of another partition does not pay it.
def test_a_read_of_another_partition_does_not_wait(database: MemoryDatabase) -> None:
    put(database, note="new", at="now")
    answers = database.start("GetItem", TableName="notes", Key=KEY | {"pk": {"S": "b"}})
    assert [status for status, _ in answers] == [200]


# Why: the entry in the index did not change, so only the base item's own partition tells of the unsynced write.
@pytest.mark.parametrize("action", ["Query", "Scan"])
def test_a_read_through_a_local_index_waits_for_the_items_that_it_fetches(
    action: str, database: MemoryDatabase
) -> None:
    request = query("note", IndexName="by_at")
    if action == "Scan":
        request = {"TableName": "notes", "IndexName": "by_at", "ProjectionExpression": "note"}
    put(database, note="new", at="now")
    answers = database.start(action, **request)
    assert answers == []
    database.settle()
    assert answers[0][1]["Items"] == [{"note": {"S": "new"}}]


# Why: a refusal tells what is stored as surely as an answer does.
@pytest.mark.parametrize(
    "update",
    [
        {"UpdateExpression": "SET note.inner = :v", "ExpressionAttributeValues": {":v": {"S": "x"}}},
        {"UpdateExpression": "ADD note :v", "ExpressionAttributeValues": {":v": {"N": "1"}}},
        {
            "UpdateExpression": "SET extra = :v",
            "ConditionExpression": "note = :v",
            "ExpressionAttributeValues": {":v": {"S": "old"}},
        },
    ],
    ids=["path", "type", "condition"],
)
def test_a_refusal_that_depends_on_an_unsynced_write_waits_for_its_sync(
    update: dict[str, Any], database: MemoryDatabase
) -> None:
    put(database, note="new", at="now")
    answers = database.start("UpdateItem", TableName="notes", Key=KEY, **update)
    assert answers == []
    database.sync()
    assert [status for status, _ in answers] == [400]


@pytest.fixture
def on_a_bad_disk() -> tuple[MemoryDatabase, FaultyStore]:
    """A table with a stream and an item, synced; the next sync fails."""
    store = FaultyStore()
    database = MemoryDatabase(store)
    stream = {"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"}
    database.ask("CreateTable", **table_request("notes", "pk sk", StreamSpecification=stream))
    put(database, note="old")
    database.settle()
    store.fail_syncs(1)
    return database, store


def told(database: MemoryDatabase) -> list[str]:
    """The notes that the stream tells of."""
    records = read_shard(database, position(database, "TRIM_HORIZON"))
    return [record["dynamodb"]["NewImage"]["note"]["S"] for record in records]


def position(database: MemoryDatabase, type_: str) -> str:
    [stream] = database.ask("ListStreams")["Streams"]
    return iterator(database, stream["StreamArn"], id_of(database, 0, "notes"), type_)


# Why: G4. The sync of the write failed: neither the old item nor the new one may be told as what is stored.
def test_a_read_of_a_write_whose_sync_failed_is_refused_until_a_sync_succeeds(
    on_a_bad_disk: tuple[MemoryDatabase, FaultyStore],
) -> None:
    database, _ = on_a_bad_disk
    status, reply = database.call("PutItem", {"TableName": "notes", "Item": KEY | {"note": {"S": "new"}}})
    assert (status, reply["__type"].rpartition("#")[2]) == (500, "InternalServerError")
    for action, request in (
        ("GetItem", {"TableName": "notes", "Key": KEY}),
        ("Query", query("note")),
        ("Scan", {"TableName": "notes"}),
        ("TransactGetItems", {"TransactItems": [{"Get": {"TableName": "notes", "Key": KEY}}]}),
    ):
        assert database.call(action, request)[0] == 500, action
    assert database.call("GetItem", {"TableName": "notes", "Key": KEY | {"pk": {"S": "b"}}})[0] == 200
    assert told(database) == ["old"]
    database.pass_time(2)
    assert database.ask("GetItem", TableName="notes", Key=KEY)["Item"]["note"] == {"S": "new"}
    assert told(database) == ["old", "new"]


# Why: a refusal tells what is stored as surely as an answer does.
def test_a_refusal_that_depends_on_a_failed_sync_is_no_refusal(
    on_a_bad_disk: tuple[MemoryDatabase, FaultyStore],
) -> None:
    database, _ = on_a_bad_disk
    request: dict[str, Any] = {
        "TableName": "notes",
        "Item": KEY,
        "ConditionExpression": "note = :old",
        "ExpressionAttributeValues": {":old": {"S": "old"}},
    }
    put(database, note="new")
    waiting = database.start("PutItem", **request)
    database.sync()
    assert [status for status, _ in waiting] == [500]
    assert database.call("PutItem", request)[0] == 500
    database.pass_time(2)
    assert database.call("PutItem", request)[0] == 400


# Why: a client's own write may end the doubt; its answer tells of no failure.
def test_a_later_write_that_is_synced_makes_certain_what_was_doubtful(
    on_a_bad_disk: tuple[MemoryDatabase, FaultyStore],
) -> None:
    database, _ = on_a_bad_disk
    put(database, note="new")
    database.settle()
    database.ask("PutItem", TableName="notes", Item=KEY | {"pk": {"S": "b"}, "note": {"S": "other"}})
    assert database.ask("GetItem", TableName="notes", Key=KEY)["Item"]["note"] == {"S": "new"}
    assert told(database) == ["old", "new", "other"]


# Why: a consumer that holds a page open must hear of the change when it becomes certain, not when its time is over.
def test_a_held_page_is_answered_when_the_doubt_ends(
    on_a_bad_disk: tuple[MemoryDatabase, FaultyStore],
) -> None:
    database, _ = on_a_bad_disk
    latest = position(database, "LATEST")
    put(database, note="new")
    held = database.start("GetRecords", wait_ms=20_000, ShardIterator=latest)
    database.settle()
    assert held == []
    database.pass_time(2)
    assert [len(reply["Records"]) for _, reply in held] == [1]


# Why: after an I/O error only opening the store again tells what the disk has. Until then reads of all else go on.
def test_a_lost_store_refuses_what_is_doubtful_until_it_is_opened_again(
    on_a_bad_disk: tuple[MemoryDatabase, FaultyStore],
) -> None:
    database, store = on_a_bad_disk
    put(database, note="new")
    store.lost = True
    database.settle()
    for _ in range(3):
        database.pass_time(2)
        assert database.call("GetItem", {"TableName": "notes", "Key": KEY})[0] == 500
    assert database.call("GetItem", {"TableName": "notes", "Key": KEY | {"pk": {"S": "b"}}})[0] == 200
    store.power_off()
    again = MemoryDatabase(FaultyStore(store.disk))
    assert again.ask("GetItem", TableName="notes", Key=KEY)["Item"]["note"]["S"] in ("old", "new")
    assert check(again.store).findings == []


# Why: sent again with its token, a transaction is answered from what is remembered; that may be doubtful as well.
def test_a_transaction_sent_again_is_not_answered_while_the_first_is_doubtful(
    on_a_bad_disk: tuple[MemoryDatabase, FaultyStore],
) -> None:
    database, _ = on_a_bad_disk
    request = {
        "TransactItems": [{"Put": {"TableName": "notes", "Item": KEY | {"note": {"S": "new"}}}}],
        "ClientRequestToken": "once",
    }
    assert [database.call("TransactWriteItems", request)[0] for _ in range(2)] == [500, 500]
    database.pass_time(2)
    assert database.call("TransactWriteItems", request)[0] == 200
    assert told(database) == ["old", "new"]


# Why: a table whose making failed to be synced may be gone after the next start.
@pytest.mark.parametrize("action", ["DescribeTable", "ListTables", "Scan"])
def test_a_table_whose_making_is_doubtful_is_not_told_of(
    action: str, on_a_bad_disk: tuple[MemoryDatabase, FaultyStore]
) -> None:
    database, _ = on_a_bad_disk
    request = {} if action == "ListTables" else {"TableName": "more"}
    assert database.call("CreateTable", table_request("more"))[0] == 500
    assert database.call(action, request)[0] == 500
    database.pass_time(2)
    assert database.call(action, request)[0] == 200
