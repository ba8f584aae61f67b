"""UpdateItem's own rules, beside what its expressions do."""

from __future__ import annotations

import pytest

from penstock.errors import ServiceError
from penstock.testing.databases import MemoryDatabase

KEY = {"pk": {"S": "a"}}


@pytest.fixture
def database() -> MemoryDatabase:
    database = MemoryDatabase()
    database.ask(
        "CreateTable",
        TableName="things",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    return database


# Why: an update of an item that is not there begins from its key, but taking away from nothing makes nothing.
def test_remove_alone_brings_no_item_into_being(database: MemoryDatabase) -> None:
    database.ask("UpdateItem", TableName="things", Key=KEY, UpdateExpression="REMOVE a")
    assert database.ask("GetItem", TableName="things", Key=KEY) == {}
    database.ask("UpdateItem", TableName="things", Key=KEY)
    assert database.ask("GetItem", TableName="things", Key=KEY) == {"Item": KEY}


# Why: what an update returns after it made nothing is nothing, not an empty item.
def test_remove_alone_on_a_missing_item_returns_no_attributes(database: MemoryDatabase) -> None:
    answer = database.ask(
        "UpdateItem", TableName="things", Key=KEY, UpdateExpression="REMOVE a", ReturnValues="ALL_NEW"
    )
    assert answer == {}


# Why: keys are scalars, and AWS says so in words of their own once it knows the table.
@pytest.mark.parametrize(
    ("action", "parameters"),
    [
        ("PutItem", {"Item": KEY, "ConditionExpression": "attribute_exists(pk.x)"}),
        ("DeleteItem", {"Key": KEY, "ConditionExpression": "attribute_exists(pk[0])"}),
        (
            "UpdateItem",
            {"Key": KEY, "UpdateExpression": "REMOVE a", "ConditionExpression": "size(pk.x) > size(b)"},
        ),
        ("Scan", {"FilterExpression": "attribute_exists(pk.x)"}),
    ],
)
def test_no_path_goes_into_a_key(
    database: MemoryDatabase, action: str, parameters: dict[str, object]
) -> None:
    with pytest.raises(ServiceError, match="Key attributes must be scalars"):
        database.ask(action, TableName="things", **parameters)


# Why: each value of a request is at most 32 levels deep, but an update can put one inside another.
def test_an_update_cannot_nest_an_item_deeper_than_values_may_be(database: MemoryDatabase) -> None:
    deep: dict[str, object] = {"S": "x"}
    for _ in range(30):
        deep = {"M": {"m": deep}}
    database.ask("PutItem", TableName="things", Item={**KEY, "d": {"M": {"m": {"M": {}}}}})
    with pytest.raises(ServiceError, match="Nesting Levels"):
        database.ask(
            "UpdateItem",
            TableName="things",
            Key=KEY,
            UpdateExpression="SET d.m.x = :v",
            ExpressionAttributeValues={":v": deep},
        )
