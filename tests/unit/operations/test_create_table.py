"""CreateTable: what it refuses, in AWS's words and order, and what the table is afterwards."""

from __future__ import annotations

from typing import Any

import pytest
from tests.botocore_model import response_faults
from tests.tables import definitions, index, schema, table_request, units

from penstock.errors import ServiceError
from penstock.testing.databases import MemoryDatabase, memory_database

INVALID = "One or more parameter values were invalid: "


@pytest.fixture
def db() -> MemoryDatabase:
    return memory_database()


def refused(db: MemoryDatabase, **request: Any) -> str:
    with pytest.raises(ServiceError) as caught:
        db.ask("CreateTable", **table_request(**request))
    assert caught.value.code == "ValidationException"
    assert caught.value.message is not None
    assert db.ask("ListTables") == {"TableNames": []}
    return caught.value.message.removeprefix(INVALID)


# Why: SDK waiters sleep 20 s when they see CREATING once, so the status passes within the one reply.
def test_the_reply_says_creating_and_the_next_request_finds_the_table_active(db: MemoryDatabase) -> None:
    created = db.ask("CreateTable", **table_request())["TableDescription"]
    assert created["TableStatus"] == "CREATING"
    assert db.ask("DescribeTable", TableName="music")["Table"]["TableStatus"] == "ACTIVE"


# Why: every member of the answer has the type that SDKs parse, for a table that uses all of them.
def test_a_table_with_everything_is_described_as_the_service_model_says(db: MemoryDatabase) -> None:
    request = table_request(
        keys="pk sk",
        AttributeDefinitions=definitions(pk="S", sk="N", a="B", b="S"),
        LocalSecondaryIndexes=[index("by_a", "pk", "a", "KEYS_ONLY")],
        GlobalSecondaryIndexes=[
            index("by_b", "b", Projection={"ProjectionType": "INCLUDE", "NonKeyAttributes": ["z", "c"]})
        ],
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"},
        SSESpecification={"Enabled": True},
        Tags=[{"Key": "team", "Value": "data"}],
        TableClass="STANDARD_INFREQUENT_ACCESS",
        DeletionProtectionEnabled=True,
        OnDemandThroughput={"MaxReadRequestUnits": 9},
    )
    reply = db.ask("CreateTable", **request)
    assert response_faults("dynamodb", "CreateTable", reply) == []
    assert [i["IndexStatus"] for i in reply["TableDescription"]["GlobalSecondaryIndexes"]] == ["CREATING"]
    described = db.ask("DescribeTable", TableName="music")
    assert response_faults("dynamodb", "DescribeTable", described) == []
    table = described["Table"]
    assert table["KeySchema"] == schema("pk", "sk")
    assert [d["AttributeName"] for d in table["AttributeDefinitions"]] == ["a", "b", "pk", "sk"]
    (by_b,) = table["GlobalSecondaryIndexes"]
    assert by_b["Projection"] == {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["c", "z"]}
    assert by_b["IndexStatus"] == "ACTIVE"
    assert "Backfilling" not in by_b
    assert by_b["IndexArn"] == table["TableArn"] + "/index/by_b"
    assert table["LatestStreamArn"] == f"{table['TableArn']}/stream/{table['LatestStreamLabel']}"
    assert table["OnDemandThroughput"] == {"MaxReadRequestUnits": 9}
    assert table["TableClassSummary"] == {"TableClass": "STANDARD_INFREQUENT_ACCESS"}
    assert table["SSEDescription"]["Status"] == "ENABLED"
    assert table["DeletionProtectionEnabled"] is True


# Why: AWS's label has exactly three digits of a second; consumers split the ARN at it.
def test_a_stream_is_labelled_with_its_birth_time(db: MemoryDatabase) -> None:
    db.clock.advance(0.0075)
    stream = {"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"}
    created = db.ask("CreateTable", **table_request(StreamSpecification=stream))["TableDescription"]
    assert created["LatestStreamLabel"] == "2026-01-01T00:00:00.007"


# Why: a plain provisioned table's description has no summary of its mode, class, stream or encryption.
def test_what_was_not_asked_for_is_not_described(db: MemoryDatabase) -> None:
    db.ask(
        "CreateTable",
        **table_request(BillingMode="PROVISIONED", ProvisionedThroughput=units(5, 6)),
    )
    table = db.ask("DescribeTable", TableName="music")["Table"]
    assert table.keys() == {
        "AttributeDefinitions", "TableName", "KeySchema", "TableStatus", "CreationDateTime",
        "ProvisionedThroughput", "TableSizeBytes", "ItemCount", "TableArn", "TableId",
        "DeletionProtectionEnabled", "WarmThroughput",
    }  # fmt: skip
    assert table["ProvisionedThroughput"] == {"NumberOfDecreasesToday": 0} | units(5, 6)
    assert table["WarmThroughput"] == {"ReadUnitsPerSecond": 5, "WriteUnitsPerSecond": 6, "Status": "ACTIVE"}


def test_a_name_that_is_taken_is_in_use(db: MemoryDatabase) -> None:
    db.ask("CreateTable", **table_request())
    status, reply = db.call("CreateTable", table_request())
    assert status == 400
    assert reply["__type"].endswith("#ResourceInUseException")
    assert reply["message"] == "Table already exists: music"


# Why: each message is AWS's own; the conformance suite records most of them.
@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (
            {"ProvisionedThroughput": units(1, 1)},
            "Neither ReadCapacityUnits nor WriteCapacityUnits can be specified when BillingMode is PAY_PER_REQUEST",
        ),
        (
            {"BillingMode": "PROVISIONED"},
            "ReadCapacityUnits and WriteCapacityUnits must both be specified when BillingMode is PROVISIONED",
        ),
        (
            {"BillingMode": "PROVISIONED", "ProvisionedThroughput": units(1_000_000_000_001, 1)},
            "Given value 1000000000001 for ReadCapacityUnits is out of bounds",
        ),
        (
            {"AttributeDefinitions": [*definitions(pk="S"), *definitions(pk="N")]},
            "Attribute Name is duplicated: pk",
        ),
        (
            {"KeySchema": schema("pk", "pk")},
            "Invalid KeySchema: Some index key attribute have no definition",
        ),
        (
            {"AttributeDefinitions": definitions(other="S")},
            "Some index key attributes are not defined in AttributeDefinitions. "
            "Keys: [pk], AttributeDefinitions: [other]",
        ),
        (
            {"AttributeDefinitions": definitions(pk="S", sk="S"), "KeySchema": schema("pk", "pk")},
            "Both the Hash Key and the Range Key element in the KeySchema have the same name",
        ),
        (
            {"keys": "sk pk", "KeySchema": schema("pk", "sk")[::-1]},
            "Invalid KeySchema: The first KeySchemaElement is not a HASH key type",
        ),
        (
            {"keys": "pk sk", "KeySchema": [*schema("pk"), *schema("sk")]},
            "Invalid KeySchema: The second KeySchemaElement is not a RANGE key type",
        ),
        (
            {"AttributeDefinitions": definitions(pk="S", extra="N")},
            "Number of attributes in KeySchema does not exactly match number of attributes defined in "
            "AttributeDefinitions",
        ),
        ({"LocalSecondaryIndexes": []}, "List of LocalSecondaryIndexes is empty"),
        ({"GlobalSecondaryIndexes": []}, "List of GlobalSecondaryIndexes is empty"),
        (
            {
                "AttributeDefinitions": definitions(pk="S", a="S"),
                "LocalSecondaryIndexes": [index("by_a", "pk", "a")],
            },
            "Table KeySchema does not have a range key, which is required when specifying a LocalSecondaryIndex",
        ),
        (
            {
                "AttributeDefinitions": definitions(pk="S", a="S", extra="S"),
                "GlobalSecondaryIndexes": [index("by_a", "a", Projection={})],
            },
            "Some AttributeDefinitions are not used. AttributeDefinitions: [pk, a, extra], keys used: [pk, a]",
        ),
        (
            {
                "AttributeDefinitions": definitions(pk="S", a="S"),
                "GlobalSecondaryIndexes": [index("by_a", "a"), index("by_a", "a")],
            },
            "Duplicate index name: by_a",
        ),
        (
            {
                "AttributeDefinitions": definitions(pk="S", a="S"),
                "GlobalSecondaryIndexes": [index("by_a", "a", ProvisionedThroughput=units(1, 1))],
            },
            "ProvisionedThroughput should not be specified for index: by_a when BillingMode is PAY_PER_REQUEST",
        ),
        (
            {
                "BillingMode": "PROVISIONED",
                "ProvisionedThroughput": units(1, 1),
                "AttributeDefinitions": definitions(pk="S", a="S"),
                "GlobalSecondaryIndexes": [index("by_a", "a")],
            },
            "ProvisionedThroughput is not specified for index: by_a",
        ),
        (
            {"StreamSpecification": {"StreamEnabled": True}},
            "Table is being created with a stream enabled, UpdateViewType is required",
        ),
        (
            {"OnDemandThroughput": {"MaxReadRequestUnits": 0}},
            "Requested MaxReadRequestUnits for OnDemandThroughput for table is outside of valid range",
        ),
        (
            {"Tags": [{"Key": "aws:x", "Value": ""}]},
            "Tag Key cannot be prefixed with aws:, Key: aws:x",
        ),
    ],
)
def test_a_wrong_table_is_refused_in_aws_words(
    db: MemoryDatabase, request_: dict[str, Any], message: str
) -> None:
    assert refused(db, **request_) == message


@pytest.mark.parametrize(
    ("projection", "message"),
    [
        ({}, "Unknown ProjectionType: null"),
        ({"ProjectionType": "INCLUDE"}, "ProjectionType is INCLUDE, but NonKeyAttributes is not specified"),
        (
            {"ProjectionType": "ALL", "NonKeyAttributes": ["x"]},
            "ProjectionType is ALL, but NonKeyAttributes is specified",
        ),
        (
            {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["x", "x"]},
            "Duplicate element in NonKeyAttributes: x",
        ),
    ],
)
def test_a_projection_is_all_keys_only_or_a_list_of_names(
    db: MemoryDatabase, projection: dict[str, Any], message: str
) -> None:
    indexes = [index("by_a", "a", Projection=projection)]
    assert (
        refused(db, AttributeDefinitions=definitions(pk="S", a="S"), GlobalSecondaryIndexes=indexes)
        == message
    )


# Why: developerguide/ServiceQuotas: 100 projected attributes over all indexes, 20 global and 5 local indexes.
def test_indexes_have_limits(db: MemoryDatabase) -> None:
    included = {"ProjectionType": "INCLUDE", "NonKeyAttributes": [f"n{n}" for n in range(20)]}
    six = [index(f"by_{n}", "a", Projection=included) for n in range(6)]
    attributes = definitions(pk="S", a="S")
    assert "exceeds the limit of 100" in refused(
        db, AttributeDefinitions=attributes, GlobalSecondaryIndexes=six
    )
    many = [index(f"by_{n}", "a") for n in range(21)]
    assert (
        refused(db, AttributeDefinitions=attributes, GlobalSecondaryIndexes=many)
        == "GlobalSecondaryIndex count exceeds the per-table limit of 20"
    )
    local = [index(f"by_{n}", "pk", "a") for n in range(6)]
    assert (
        refused(
            db,
            keys="pk sk",
            AttributeDefinitions=definitions(pk="S", sk="S", a="S"),
            LocalSecondaryIndexes=local,
        )
        == "Number of LocalSecondaryIndexes exceeds per-table limit of 5"
    )


# Why: since 2025 a global index may have four attributes in each part of its key, partition first.
def test_a_global_index_may_have_up_to_four_attributes_in_each_part(db: MemoryDatabase) -> None:
    names = "abcdefgh"
    keys = [{"AttributeName": n, "KeyType": "HASH" if n < "e" else "RANGE"} for n in names]
    attributes = definitions(pk="S", **dict.fromkeys(names, "S"))
    wide = index("wide", "a", KeySchema=keys)
    db.ask(
        "CreateTable", **table_request("wide", AttributeDefinitions=attributes, GlobalSecondaryIndexes=[wide])
    )
    (described,) = db.ask("DescribeTable", TableName="wide")["Table"]["GlobalSecondaryIndexes"]
    assert described["KeySchema"] == keys
    db.ask("DeleteTable", TableName="wide")
    mixed = index("mixed", "a", KeySchema=[*schema("a", "b"), *schema("c")])
    assert (
        refused(
            db, AttributeDefinitions=definitions(pk="S", a="S", b="S", c="S"), GlobalSecondaryIndexes=[mixed]
        )
        == "All HASH key attributes must precede RANGE key attributes in the KeySchema"
    )


# Why: a table that silently lacks a policy or replicas would be trusted with what it does not do.
def test_what_penstock_does_not_do_is_refused_by_its_name(db: MemoryDatabase) -> None:
    assert refused(db, ResourcePolicy="{}").startswith("ResourcePolicy is not supported")
