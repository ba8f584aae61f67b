"""Members that an action does not have: AWS ignores them, so none of them may be read, whatever other actions do with it."""

from __future__ import annotations

from typing import Any

import pytest
from tests.tables import table_request

from penstock.testing.databases import MemoryDatabase, memory_database

KEY = {"pk": {"S": "a"}}
TABLE = {"TableName": "music"}
EQUAL = {"ComparisonOperator": "EQ", "AttributeValueList": [KEY["pk"]]}
UPDATE = {
    **TABLE,
    "Key": KEY,
    "UpdateExpression": "SET a = :a",
    "ExpressionAttributeValues": {":a": {"N": "1"}},
}
NEVER = {"zz": {"Value": {"N": "1"}}}  # As Expected: no item is like that.


@pytest.fixture
def database() -> MemoryDatabase:
    database = memory_database()
    database.ask("CreateTable", **table_request())
    database.ask("PutItem", TableName="music", Item=KEY)
    return database


# Why: the code of one action serves several; a member that only one of them has was found by the others, unchecked. It
# made conditions that AWS does not know of, and errors that were no answer.
@pytest.mark.parametrize(
    ("action", "request_"),
    [
        ("TransactWriteItems", {"TransactItems": [{"Put": {**TABLE, "Item": KEY, "Expected": NEVER}}]}),
        ("TransactWriteItems", {"TransactItems": [{"Put": {**TABLE, "Item": KEY, "Expected": {"pk": 5}}}]}),
        ("TransactWriteItems", {"TransactItems": [{"Update": {**UPDATE, "AttributeUpdates": 5}}]}),
        (
            "TransactWriteItems",
            {"TransactItems": [{"Delete": {**TABLE, "Key": KEY, "ConditionalOperator": 5}}]},
        ),
        ("TransactGetItems", {"TransactItems": [{"Get": {**TABLE, "Key": KEY, "AttributesToGet": 5}}]}),
        ("BatchWriteItem", {"RequestItems": {"music": [{"PutRequest": {"Item": KEY, "Expected": NEVER}}]}}),
        ("BatchGetItem", {"RequestItems": {"music": {"Keys": [KEY], "ExpressionAttributeValues": 6}}}),
        ("Query", {**TABLE, "KeyConditions": {"pk": {**EQUAL, "Value": []}}}),
        ("Query", {**TABLE, "KeyConditions": {"pk": {**EQUAL, "Value": {"S": "b"}}}, "Segment": "x"}),
        ("Scan", {**TABLE, "ScanFilter": {"pk": {**EQUAL, "Value": {"S": "b"}}}, "Expected": 4}),
        ("GetItem", {**TABLE, "Key": KEY, "ExpressionAttributeValues": 5, "ConditionExpression": 4}),
        ("PutItem", {**TABLE, "Item": KEY, "UpdateExpression": 3, "FilterExpression": 5, "Key": 4}),
        ("DeleteItem", {**TABLE, "Key": KEY, "AttributeUpdates": 2}),
    ],
)
def test_a_member_that_the_action_does_not_have_is_ignored(
    action: str, request_: dict[str, Any], database: MemoryDatabase
) -> None:
    reply = database.ask(action, **request_)
    assert reply.get("Count", 1) == 1
