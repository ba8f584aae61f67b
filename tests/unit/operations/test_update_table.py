"""UpdateTable: each change, what the reply shows of it, and what AWS refuses."""

from __future__ import annotations

from typing import Any

import pytest
from tests.botocore_model import response_faults
from tests.tables import definitions, index, table_request, units

from penstock.errors import ServiceError
from penstock.testing.databases import MemoryDatabase, memory_database

INVALID = "One or more parameter values were invalid: "
ENABLE: dict[str, Any] = {"StreamSpecification": {"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"}}
DISABLE: dict[str, Any] = {"StreamSpecification": {"StreamEnabled": False}}
PROVISIONED: dict[str, Any] = {"BillingMode": "PROVISIONED", "ProvisionedThroughput": units(5, 5)}


@pytest.fixture
def db() -> MemoryDatabase:
    return memory_database()


def update(db: MemoryDatabase, **request: Any) -> dict[str, Any]:
    reply = db.ask("UpdateTable", TableName="music", **request)
    assert response_faults("dynamodb", "UpdateTable", reply) == []
    description: dict[str, Any] = reply["TableDescription"]
    return description


def described(db: MemoryDatabase) -> dict[str, Any]:
    table: dict[str, Any] = db.ask("DescribeTable", TableName="music")["Table"]
    return table


def refused(db: MemoryDatabase, **request: Any) -> tuple[str, str]:
    with pytest.raises(ServiceError) as caught:
        db.ask("UpdateTable", TableName="music", **request)
    assert caught.value.message is not None
    return caught.value.code, caught.value.message.removeprefix(INVALID)


# Why: AWS's reply shows the old numbers being updated; the new ones are there for the next request.
def test_throughput_is_updating_in_the_reply_and_changed_for_the_next_request(db: MemoryDatabase) -> None:
    db.ask("CreateTable", **table_request(**PROVISIONED))
    db.clock.advance(10)
    reply = update(db, ProvisionedThroughput=units(3, 9))
    assert reply["TableStatus"] == "UPDATING"
    assert reply["ProvisionedThroughput"] == {"NumberOfDecreasesToday": 0} | units(5, 5)
    now = db.clock.now_us() / 1e6
    assert described(db)["TableStatus"] == "ACTIVE"
    assert described(db)["ProvisionedThroughput"] == {
        "LastIncreaseDateTime": now,
        "LastDecreaseDateTime": now,
        "NumberOfDecreasesToday": 1,
    } | units(3, 9)


# Why: AWS counts decreases by UTC day.
def test_decreases_are_counted_by_day(db: MemoryDatabase) -> None:
    db.ask("CreateTable", **table_request(**PROVISIONED))
    update(db, ProvisionedThroughput=units(4, 5))
    update(db, ProvisionedThroughput=units(3, 5))
    assert described(db)["ProvisionedThroughput"]["NumberOfDecreasesToday"] == 2
    db.clock.advance(24 * 3600)
    assert described(db)["ProvisionedThroughput"]["NumberOfDecreasesToday"] == 0
    update(db, ProvisionedThroughput=units(2, 5))
    assert described(db)["ProvisionedThroughput"]["NumberOfDecreasesToday"] == 1


def test_warm_throughput_never_shrinks(db: MemoryDatabase) -> None:
    db.ask("CreateTable", **table_request(**PROVISIONED))
    update(db, ProvisionedThroughput=units(9, 1))
    warm = {"ReadUnitsPerSecond": 9, "WriteUnitsPerSecond": 5, "Status": "ACTIVE"}
    assert described(db)["WarmThroughput"] == warm
    assert refused(db, WarmThroughput={"ReadUnitsPerSecond": 8})[1].startswith(
        "Requested ReadUnitsPerSecond for WarmThroughput for table is lower than current WarmThroughput"
    )
    update(db, WarmThroughput={"ReadUnitsPerSecond": 10})
    assert described(db)["WarmThroughput"] == warm | {"ReadUnitsPerSecond": 10}


def test_the_same_throughput_again_is_refused(db: MemoryDatabase) -> None:
    db.ask("CreateTable", **table_request(**PROVISIONED))
    for again in ({"ProvisionedThroughput": units(5, 5)}, PROVISIONED):
        code, message = refused(db, **again)
        assert code == "ValidationException"
        assert message.startswith(
            "The provisioned throughput for the table will not change. The requested value equals the current "
            "value. Current ReadCapacityUnits provisioned for the table: 5. Requested ReadCapacityUnits: 5. "
        )


# Why: on demand twice is no error on AWS, provisioned twice is.
def test_the_billing_mode_switches_both_ways(db: MemoryDatabase) -> None:
    db.ask("CreateTable", **table_request())
    assert update(db, BillingMode="PAY_PER_REQUEST")["TableStatus"] == "UPDATING"
    assert described(db)["TableStatus"] == "ACTIVE"
    update(db, **PROVISIONED)
    table = described(db)
    assert table["BillingModeSummary"]["BillingMode"] == "PROVISIONED"
    assert table["ProvisionedThroughput"]["ReadCapacityUnits"] == 5
    db.clock.advance(5)
    update(db, BillingMode="PAY_PER_REQUEST")
    table = described(db)
    assert table["BillingModeSummary"] == {
        "BillingMode": "PAY_PER_REQUEST",
        "LastUpdateToPayPerRequestDateTime": db.clock.now_us() / 1e6,
    }
    assert table["ProvisionedThroughput"]["ReadCapacityUnits"] == 0


# Why: nothing is assigned by itself: the request names the throughput of every index.
def test_a_switch_to_provisioned_names_every_index(db: MemoryDatabase) -> None:
    db.ask(
        "CreateTable",
        **table_request(
            AttributeDefinitions=definitions(pk="S", a="S"), GlobalSecondaryIndexes=[index("by_a", "a")]
        ),
    )
    assert refused(db, **PROVISIONED)[1] == "ProvisionedThroughput must be specified for index: by_a"
    throughput = {"Update": {"IndexName": "by_a", "ProvisionedThroughput": units(2, 3)}}
    update(db, **PROVISIONED, GlobalSecondaryIndexUpdates=[throughput])
    (by_a,) = described(db)["GlobalSecondaryIndexes"]
    assert by_a["ProvisionedThroughput"]["WriteCapacityUnits"] == 3
    _, message = refused(db, GlobalSecondaryIndexUpdates=[throughput])
    assert message.startswith("The provisioned throughput for the index by_a will not change.")


def test_limits_on_demand_are_merged_and_cleared(db: MemoryDatabase) -> None:
    db.ask("CreateTable", **table_request())
    update(db, OnDemandThroughput={"MaxReadRequestUnits": 5, "MaxWriteRequestUnits": 6})
    update(db, OnDemandThroughput={"MaxReadRequestUnits": -1})
    assert described(db)["OnDemandThroughput"] == {"MaxWriteRequestUnits": 6}
    update(db, OnDemandThroughput={"MaxWriteRequestUnits": -1})
    assert "OnDemandThroughput" not in described(db)


# Why: a stream that was switched off stays readable, and one that is switched on again is another stream.
def test_a_stream_begins_and_ends(db: MemoryDatabase) -> None:
    db.ask("CreateTable", **table_request())
    first = update(db, **ENABLE)
    assert first["TableStatus"] == "UPDATING"
    assert first["StreamSpecification"] == ENABLE["StreamSpecification"]
    assert refused(db, **ENABLE)[1] == "Table already has an enabled stream: TableName: music"
    off = update(db, **DISABLE)
    assert "StreamSpecification" not in off
    assert off["LatestStreamArn"] == first["LatestStreamArn"]
    assert refused(db, **DISABLE)[1] == "Table has no stream to disable: TableName: music"
    second = update(db, **ENABLE)
    assert second["LatestStreamArn"] != first["LatestStreamArn"]
    assert [stream.enabled for stream in db.database.view.streams()] == [False, True]


# Why: "exactly the hashes, each once" is what sends every change to one shard.
def test_a_stream_opens_with_the_shards_that_a_tag_asks_for(db: MemoryDatabase) -> None:
    tags = [
        {"Key": "penstock:stream-shards", "Value": "3"},
        {"Key": "penstock:stream-retention-hours", "Value": "48"},
    ]
    db.ask("CreateTable", **table_request(Tags=tags, **ENABLE))
    (stream,) = db.database.view.streams()
    assert stream.retention_s == 48 * 3600
    bounds = [(shard.low, shard.high) for shard in stream.shards]
    assert bounds[0][0] == 0
    assert bounds[-1][1] == 2**32
    assert [high for _, high in bounds[:-1]] == [low for low, _ in bounds[1:]]


def test_protection_class_and_encryption_change_one_at_a_time(db: MemoryDatabase) -> None:
    db.ask("CreateTable", **table_request())
    assert update(db, DeletionProtectionEnabled=True)["TableStatus"] == "ACTIVE"
    assert described(db)["DeletionProtectionEnabled"] is True
    shown = update(db, TableClass="STANDARD_INFREQUENT_ACCESS")
    assert (shown["TableStatus"], "TableClassSummary" in shown) == ("UPDATING", False)
    assert described(db)["TableClassSummary"]["TableClass"] == "STANDARD_INFREQUENT_ACCESS"
    update(db, SSESpecification={"Enabled": True})
    assert described(db)["SSEDescription"]["SSEType"] == "KMS"
    update(db, SSESpecification={"Enabled": False})
    assert "SSEDescription" not in described(db)
    assert refused(db, SSESpecification={"Enabled": False})[1] == "Table is already encrypted by default"


# Why: found on AWS; a request that makes two changes would otherwise pass here and fail there.
@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (
            {"BillingMode": "PROVISIONED"},
            "ProvisionedThroughput must be specified when BillingMode is PROVISIONED",
        ),
        (
            {"BillingMode": "PAY_PER_REQUEST", "ProvisionedThroughput": units(1, 1)},
            "ProvisionedThroughput cannot be specified when BillingMode is PAY_PER_REQUEST",
        ),
        (
            {"ProvisionedThroughput": units(1, 1)},
            "Neither ReadCapacityUnits nor WriteCapacityUnits can be specified when BillingMode is PAY_PER_REQUEST",
        ),
        (
            {"StreamSpecification": {"StreamEnabled": True}},
            "If stream is being enabled then UpdateViewType is required",
        ),
        (
            {"StreamSpecification": {"StreamEnabled": False, "StreamViewType": "KEYS_ONLY"}},
            "If stream is being disabled, then UpdateViewType must not be specified",
        ),
        (
            {**ENABLE, **PROVISIONED},
            "You cannot modify stream status while updating table IOPS",
        ),
        (
            {**ENABLE, "DeletionProtectionEnabled": False},
            "DeletionProtection modification must be the only operation in the request",
        ),
        (
            {"SSESpecification": {}, "TableClass": "STANDARD"},
            "Server-Side Encryption modification must be the only operation in the request",
        ),
        (
            {"GlobalSecondaryIndexUpdates": [], "BillingMode": "PAY_PER_REQUEST"},
            "List of GlobalSecondaryIndexUpdates is empty",
        ),
        (
            {"GlobalSecondaryIndexUpdates": [{}]},
            "One of GlobalSecondaryIndexUpdate.Update, GlobalSecondaryIndexUpdate.Create, "
            "GlobalSecondaryIndexUpdate.Delete must not be null",
        ),
    ],
)
def test_a_wrong_change_is_refused_in_aws_words(
    db: MemoryDatabase, request_: dict[str, Any], message: str
) -> None:
    db.ask("CreateTable", **table_request())
    before = described(db)
    assert refused(db, **request_) == ("ValidationException", message)
    assert described(db) == before


@pytest.mark.parametrize("request_", [{}, {"GlobalSecondaryIndexUpdates": []}, {"WarmThroughput": {}}])
def test_no_change_at_all_is_refused_before_the_table_is_looked_for(
    db: MemoryDatabase, request_: dict[str, Any]
) -> None:
    code, message = refused(db, **request_)
    assert code == "ValidationException"
    assert message.startswith("At least one of ProvisionedThroughput, BillingMode, UpdateStreamEnabled, ")


def test_a_table_that_is_not_there_is_named(db: MemoryDatabase) -> None:
    assert refused(db, BillingMode="PAY_PER_REQUEST") == (
        "ResourceNotFoundException",
        "Requested resource not found: Table: music not found",
    )
