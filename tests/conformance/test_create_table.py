"""CreateTable over the wire."""

from __future__ import annotations

from typing import Any

import pytest
from tests.conformance.answers import invalid, refused
from tests.conformance.conftest import NewTable, new_name, wait_until_active
from tests.tables import definitions, index, schema, table_request, units


# Why: [A] TableDescription: everything that was asked for is told, and the table is ACTIVE before long.
def test_a_table_with_everything_is_described(db: Any, new_table: NewTable) -> None:
    name = new_table(
        "pk sk",
        AttributeDefinitions=definitions(pk="S", sk="N", x="S", y="B"),
        LocalSecondaryIndexes=[index("local", "pk", "x")],
        GlobalSecondaryIndexes=[
            {
                **index("global", "x", "y"),
                "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["a", "b"]},
            }
        ],
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "OLD_IMAGE"},
        DeletionProtectionEnabled=False,
        Tags=[{"Key": "team", "Value": "blue"}],
    )
    table = db.describe_table(TableName=name)["Table"]
    assert table["TableStatus"] == "ACTIVE"
    assert table["KeySchema"] == schema("pk", "sk")
    assert sorted(table["AttributeDefinitions"], key=str) == sorted(
        definitions(pk="S", sk="N", x="S", y="B"), key=str
    )
    assert table["TableArn"].endswith(f":table/{name}")
    assert (table["ItemCount"], table["TableSizeBytes"]) == (0, 0)
    assert table["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"
    assert table["StreamSpecification"] == {"StreamEnabled": True, "StreamViewType": "OLD_IMAGE"}
    assert table["LatestStreamArn"].endswith(table["LatestStreamLabel"])
    [local] = table["LocalSecondaryIndexes"]
    assert (local["IndexName"], local["KeySchema"]) == ("local", schema("pk", "x"))
    [global_] = table["GlobalSecondaryIndexes"]
    assert global_["IndexStatus"] == "ACTIVE"
    assert sorted(global_["Projection"]["NonKeyAttributes"]) == ["a", "b"]
    assert global_["IndexArn"] == f"{table['TableArn']}/index/global"


# Why: [A] "The CreateTable operation is asynchronous ... sets the TableStatus to CREATING".
def test_the_answer_says_creating(db: Any) -> None:
    name = new_name()
    description = db.create_table(**table_request(name))["TableDescription"]
    assert description["TableStatus"] == "CREATING"
    wait_until_active(db, name)
    with refused("ResourceInUseException", f"Table already exists: {name}"):
        db.create_table(**table_request(name))
    db.delete_table(TableName=name)


# Why: [A] provisioned throughput, of the table and of each global index.
def test_provisioned_throughput_is_kept(db: Any, new_table: NewTable) -> None:
    name = new_table(
        AttributeDefinitions=definitions(pk="S", x="S"),
        BillingMode="PROVISIONED",
        ProvisionedThroughput=units(5, 7),
        GlobalSecondaryIndexes=[index("global", "x", ProvisionedThroughput=units(1, 2))],
    )
    table = db.describe_table(TableName=name)["Table"]
    throughputs = [each["ProvisionedThroughput"] for each in (table, table["GlobalSecondaryIndexes"][0])]
    found = [(each["ReadCapacityUnits"], each["WriteCapacityUnits"]) for each in throughputs]
    assert found == [(5, 7), (1, 2)]
    assert "BillingModeSummary" not in table


# Why: [A] and [C]: what a table may be, in AWS's words.
@pytest.mark.parametrize(
    ("more", "message"),
    [
        (
            {"AttributeDefinitions": definitions(other="S")},
            "One or more parameter values were invalid: Some index key attributes are not defined in "
            "AttributeDefinitions. Keys: [pk], AttributeDefinitions: [other]",
        ),
        (
            {"AttributeDefinitions": definitions(pk="S", more="S")},
            "One or more parameter values were invalid: Number of attributes in KeySchema does not exactly match "
            "number of attributes defined in AttributeDefinitions",
        ),
        (
            {"BillingMode": "PROVISIONED"},
            "One or more parameter values were invalid: ReadCapacityUnits and WriteCapacityUnits must both be "
            "specified when BillingMode is PROVISIONED",
        ),
        (
            {"ProvisionedThroughput": units(1, 1)},
            "One or more parameter values were invalid: Neither ReadCapacityUnits nor WriteCapacityUnits can be "
            "specified when BillingMode is PAY_PER_REQUEST",
        ),
        (
            {"KeySchema": [{"AttributeName": "pk", "KeyType": "RANGE"}]},
            "Invalid KeySchema: The first KeySchemaElement is not a HASH key type",
        ),
        (
            {"LocalSecondaryIndexes": [index("local", "pk", "pk")]},
            "One or more parameter values were invalid: Table KeySchema does not have a range key, which is required "
            "when specifying a LocalSecondaryIndex",
        ),
    ],
)
def test_what_is_wrong_with_a_table_is_told(db: Any, more: dict[str, Any], message: str) -> None:
    with invalid(message):
        db.create_table(**table_request(new_name(), **more))


# Why: [C] names: 3 to 255 characters of a-z, A-Z, 0-9, '_', '-' and '.'.
@pytest.mark.parametrize("name", ["ab", "a" * 256, "with space", "slash/"])
def test_a_name_of_other_characters_or_length_is_refused(db: Any, name: str) -> None:
    with refused("ValidationException"):
        db.create_table(**table_request(name))


# Why: [Q] 5 local and 20 global indexes.
def test_the_number_of_indexes_is_limited(db: Any) -> None:
    types = definitions(pk="S", sk="S", **{f"x{number}": "S" for number in range(21)})
    local = [index(f"local-{number}", "pk", f"x{number}") for number in range(6)]
    with refused("ValidationException"):
        db.create_table(
            **table_request(new_name(), "pk sk", AttributeDefinitions=types[:8], LocalSecondaryIndexes=local)
        )
    global_ = [index(f"global-{number}", f"x{number}") for number in range(21)]
    with refused("ValidationException"):
        wrong: dict[str, Any] = {
            "AttributeDefinitions": [types[0], *types[2:]],
            "GlobalSecondaryIndexes": global_,
        }
        db.create_table(**table_request(new_name(), **wrong))
