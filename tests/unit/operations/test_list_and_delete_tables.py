"""ListTables' pages, DescribeTable's misses and what DeleteTable leaves behind."""

from __future__ import annotations

import pytest
from tests.botocore_model import response_faults
from tests.tables import definitions, index, table_request

from penstock.database.check import check
from penstock.errors import ServiceError
from penstock.testing.databases import MemoryDatabase, memory_database


@pytest.fixture
def db() -> MemoryDatabase:
    return memory_database()


# Why: LastEvaluatedTableName is left out exactly where nothing follows, also when the page is full.
def test_names_come_in_order_and_in_pages(db: MemoryDatabase) -> None:
    for name in ("b-table", "Z-table", "a-table"):
        db.ask("CreateTable", **table_request(name))
    assert db.ask("ListTables") == {"TableNames": ["Z-table", "a-table", "b-table"]}
    assert db.ask("ListTables", Limit=2) == {
        "TableNames": ["Z-table", "a-table"],
        "LastEvaluatedTableName": "a-table",
    }
    assert db.ask("ListTables", Limit=1, ExclusiveStartTableName="a-table") == {"TableNames": ["b-table"]}
    # A name that is gone is still a place in the order.
    assert db.ask("ListTables", ExclusiveStartTableName="a-zzz") == {"TableNames": ["b-table"]}


def test_a_hundred_names_fit_on_a_page(db: MemoryDatabase) -> None:
    for number in range(101):
        db.ask("CreateTable", **table_request(f"t-{number:03d}"))
    page = db.ask("ListTables")
    assert len(page["TableNames"]) == 100
    assert page["LastEvaluatedTableName"] == "t-099"


@pytest.mark.parametrize("action", ["DescribeTable", "DeleteTable", "DescribeTimeToLive"])
def test_a_table_that_is_not_there_is_named(db: MemoryDatabase, action: str) -> None:
    for name in ("nowhere", "arn:aws:dynamodb:us-east-1:000000000000:table/nowhere"):
        with pytest.raises(ServiceError) as caught:
            db.ask(action, TableName=name)
        assert caught.value.code == "ResourceNotFoundException"
        assert caught.value.message == "Requested resource not found: Table: nowhere not found"


def test_a_table_is_found_by_its_arn(db: MemoryDatabase) -> None:
    arn = db.ask("CreateTable", **table_request())["TableDescription"]["TableArn"]
    assert db.ask("DescribeTable", TableName=arn)["Table"]["TableName"] == "music"


# Why: a name used again must never show what the first table held; and nothing of it stays on disk.
def test_a_table_made_again_is_empty_and_another(db: MemoryDatabase) -> None:
    request = table_request(
        AttributeDefinitions=definitions(pk="S", a="S"), GlobalSecondaryIndexes=[index("by_a", "a")]
    )
    first = db.ask("CreateTable", **request)["TableDescription"]
    db.ask("PutItem", TableName="music", Item={"pk": {"S": "1"}, "a": {"S": "x"}})
    deleted = db.ask("DeleteTable", TableName="music")
    assert response_faults("dynamodb", "DeleteTable", deleted) == []
    assert deleted["TableDescription"]["TableStatus"] == "DELETING"
    assert db.ask("ListTables") == {"TableNames": []}
    assert check(db.store).findings == []
    second = db.ask("CreateTable", **request)["TableDescription"]
    assert (second["TableArn"], second["TableId"] != first["TableId"]) == (first["TableArn"], True)
    assert db.ask("Scan", TableName="music")["Items"] == []


def test_a_protected_table_is_not_deleted(db: MemoryDatabase) -> None:
    db.ask("CreateTable", **table_request(DeletionProtectionEnabled=True))
    with pytest.raises(ServiceError) as caught:
        db.ask("DeleteTable", TableName="music")
    assert caught.value.code == "ValidationException"
    assert caught.value.message == (
        "Resource cannot be deleted as it is currently protected against deletion. "
        "Disable deletion protection first."
    )
    db.ask("UpdateTable", TableName="music", DeletionProtectionEnabled=False)
    db.ask("DeleteTable", TableName="music")


# Why: a stream outlives its table, so that its consumers see the last changes.
def test_the_stream_of_a_deleted_table_is_closed_and_kept(db: MemoryDatabase) -> None:
    stream = {"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"}
    db.ask("CreateTable", **table_request(StreamSpecification=stream))
    db.ask("PutItem", TableName="music", Item={"pk": {"S": "1"}})
    db.ask("DeleteTable", TableName="music")
    (kept,) = db.database.view.streams()
    assert (kept.table_name, kept.enabled) == ("music", False)
    assert kept.shards[0].closed == db.database.view.last_sequence()


# Why: the catalogue is what a restart knows.
def test_tables_are_there_after_a_restart(db: MemoryDatabase) -> None:
    db.ask("CreateTable", **table_request(Tags=[{"Key": "a", "Value": "b"}]))
    before = db.ask("DescribeTable", TableName="music")
    assert db.reopen().ask("DescribeTable", TableName="music") == before
