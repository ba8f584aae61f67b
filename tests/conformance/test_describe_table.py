"""DescribeTable over the wire."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from tests.conformance.answers import refused, s
from tests.conformance.conftest import NewTable


# Why: [A] what a table is; times are times, and numbers count up.
def test_a_table_is_described_by_name_and_by_arn(db: Any, new_table: NewTable) -> None:
    name = new_table()
    table = db.describe_table(TableName=name)["Table"]
    assert (table["TableName"], table["TableStatus"]) == (name, "ACTIVE")
    assert isinstance(table["CreationDateTime"], datetime)
    assert len(table["TableId"]) == 36
    assert db.describe_table(TableName=table["TableArn"])["Table"] == table


# Why: [A] ItemCount and TableSizeBytes; AWS updates them every six hours, we at once.
def test_items_and_bytes_are_counted(db: Any, new_table: NewTable, is_penstock: bool) -> None:
    name = new_table()
    db.put_item(TableName=name, Item={"pk": s("a"), "x": s("12345")})
    db.put_item(TableName=name, Item={"pk": s("b")})
    table = db.describe_table(TableName=name)["Table"]
    expected = (2, 9 + 3) if is_penstock else (table["ItemCount"], table["TableSizeBytes"])
    assert (table["ItemCount"], table["TableSizeBytes"]) == expected


# Why: table actions name the table that is not there.
def test_a_table_that_is_not_there_is_named(db: Any) -> None:
    with refused("ResourceNotFoundException", "Requested resource not found: Table: not-there not found"):
        db.describe_table(TableName="not-there")
