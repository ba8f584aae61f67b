"""UpdateTable over the wire."""

from __future__ import annotations

import time
from typing import Any

from tests.conformance.answers import invalid, n, refused, s, values_of
from tests.conformance.conftest import NewTable, wait_until_active
from tests.tables import definitions, index, units

PATIENCE_S = 600
TYPES = definitions(pk="S", x="N")


def wait_for_indexes(db: Any, name: str) -> list[dict[str, Any]]:
    """Asked again until none is on its way, with a bound; AWS takes minutes."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        table = db.describe_table(TableName=name)["Table"]
        indexes: list[dict[str, Any]] = table.get("GlobalSecondaryIndexes", [])
        if table["TableStatus"] == "ACTIVE" and all(i["IndexStatus"] == "ACTIVE" for i in indexes):
            return indexes
    raise AssertionError("the indexes did not become ACTIVE")


# Why: [A] GlobalSecondaryIndexUpdates: items that were there are in the new index, and those that come while it is built.
def test_an_index_is_added_with_what_is_there_and_deleted(db: Any, new_table: NewTable) -> None:
    name = new_table()
    for number in range(40):
        db.put_item(TableName=name, Item={"pk": s(f"{number:02d}"), "x": n(number % 4)})
    db.put_item(TableName=name, Item={"pk": s("wrong type"), "x": s("text")})
    answer = db.update_table(
        TableName=name,
        AttributeDefinitions=TYPES,
        GlobalSecondaryIndexUpdates=[{"Create": index("by_x", "x", "pk")}],
    )["TableDescription"]
    assert answer["GlobalSecondaryIndexes"][0]["IndexStatus"] == "CREATING"
    assert answer["TableStatus"] == "UPDATING"
    db.put_item(TableName=name, Item={"pk": s("late"), "x": n(1)})
    db.delete_item(TableName=name, Key={"pk": s("01")})
    wait_for_indexes(db, name)
    found = db.query(
        TableName=name,
        IndexName="by_x",
        KeyConditionExpression="x = :x",
        ExpressionAttributeValues={":x": n(1)},
    )["Items"]
    assert values_of(found, "pk") == [f"{number:02d}" for number in range(5, 40, 4)] + ["late"]
    with refused("ValidationException"):
        db.update_table(
            TableName=name,
            AttributeDefinitions=TYPES,
            GlobalSecondaryIndexUpdates=[{"Create": index("by_x", "x")}],
        )
    db.update_table(TableName=name, GlobalSecondaryIndexUpdates=[{"Delete": {"IndexName": "by_x"}}])
    deadline = time.monotonic() + PATIENCE_S
    while wait_for_indexes(db, name) and time.monotonic() < deadline:
        pass
    with invalid("The table does not have the specified index: by_x"):
        db.scan(TableName=name, IndexName="by_x")


# Why: [A] BillingMode and ProvisionedThroughput.
def test_billing_and_throughput_change(db: Any, new_table: NewTable) -> None:
    name = new_table(BillingMode="PROVISIONED", ProvisionedThroughput=units(5, 5))
    db.update_table(TableName=name, ProvisionedThroughput=units(6, 5))
    wait_until_active(db, name)
    found = db.describe_table(TableName=name)["Table"]["ProvisionedThroughput"]
    assert (found["ReadCapacityUnits"], found["WriteCapacityUnits"]) == (6, 5)
    with refused("ValidationException"):
        db.update_table(TableName=name, ProvisionedThroughput=units(6, 5))
    db.update_table(TableName=name, BillingMode="PAY_PER_REQUEST")
    wait_until_active(db, name)
    summary = db.describe_table(TableName=name)["Table"]["BillingModeSummary"]
    assert summary["BillingMode"] == "PAY_PER_REQUEST"


# Why: [A] StreamSpecification: a stream is enabled and disabled; twice the same is refused.
def test_a_stream_is_enabled_and_disabled(db: Any, streams: Any, new_table: NewTable) -> None:
    name = new_table()
    on = {"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"}
    arn = db.update_table(TableName=name, StreamSpecification=on)["TableDescription"]["LatestStreamArn"]
    wait_until_active(db, name)
    assert streams.describe_stream(StreamArn=arn)["StreamDescription"]["StreamStatus"] == "ENABLED"
    with invalid(f"Table already has an enabled stream: TableName: {name}"):
        db.update_table(TableName=name, StreamSpecification=on)
    db.update_table(TableName=name, StreamSpecification={"StreamEnabled": False})
    wait_until_active(db, name)
    assert streams.describe_stream(StreamArn=arn)["StreamDescription"]["StreamStatus"] == "DISABLED"
    with refused("ValidationException"):
        db.update_table(TableName=name, StreamSpecification={"StreamEnabled": False})


# Why: [A] DeletionProtectionEnabled.
def test_deletion_protection_protects(db: Any, new_table: NewTable) -> None:
    name = new_table()
    db.update_table(TableName=name, DeletionProtectionEnabled=True)
    wait_until_active(db, name)
    with refused("ValidationException"):
        db.delete_table(TableName=name)
    db.update_table(TableName=name, DeletionProtectionEnabled=False)
    wait_until_active(db, name)
    db.delete_table(TableName=name)


# Why: nothing to change, an index that is not there, a table that is not there.
def test_mistakes_are_told(db: Any, new_table: NewTable) -> None:
    name = new_table()
    with refused("ValidationException"):
        db.update_table(TableName=name)
    with refused("ResourceNotFoundException"):
        db.update_table(TableName=name, GlobalSecondaryIndexUpdates=[{"Delete": {"IndexName": "other"}}])
    with refused("ResourceNotFoundException", "Requested resource not found: Table: not-there not found"):
        db.update_table(TableName="not-there", BillingMode="PAY_PER_REQUEST")
