"""DescribeTimeToLive over the wire."""

from __future__ import annotations

from typing import Any

from tests.conformance.answers import refused
from tests.conformance.conftest import NewTable


# Why: [A] TimeToLiveStatus: DISABLED without an attribute, then ENABLING or ENABLED with it.
def test_the_state_of_time_to_live(db: Any, new_table: NewTable) -> None:
    name = new_table()
    assert db.describe_time_to_live(TableName=name)["TimeToLiveDescription"] == {
        "TimeToLiveStatus": "DISABLED"
    }
    db.update_time_to_live(
        TableName=name, TimeToLiveSpecification={"Enabled": True, "AttributeName": "expires"}
    )
    description = db.describe_time_to_live(TableName=name)["TimeToLiveDescription"]
    assert description["AttributeName"] == "expires"
    assert description["TimeToLiveStatus"] in ("ENABLING", "ENABLED")


# Why: table actions name the table that is not there.
def test_a_table_that_is_not_there_is_named(db: Any) -> None:
    with refused("ResourceNotFoundException", "Requested resource not found: Table: not-there not found"):
        db.describe_time_to_live(TableName="not-there")
