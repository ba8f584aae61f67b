"""What is not synced yet is seen by nobody: answers that depend on it wait for its sync, and others do not."""

from __future__ import annotations

from typing import Any

import pytest
from tests.tables import definitions, index, table_request

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
