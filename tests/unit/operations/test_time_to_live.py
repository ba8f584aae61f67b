"""UpdateTimeToLive and DescribeTimeToLive, and the two actions about the service itself."""

from __future__ import annotations

from typing import Any

import pytest
from tests.botocore_model import response_faults
from tests.tables import table_request

from penstock.errors import ServiceError
from penstock.testing.databases import MemoryDatabase, memory_database


@pytest.fixture
def db() -> MemoryDatabase:
    made = memory_database()
    made.ask("CreateTable", **table_request())
    return made


def update(db: MemoryDatabase, enabled: bool, attribute: str = "ttl") -> Any:
    return db.ask(
        "UpdateTimeToLive",
        TableName="music",
        TimeToLiveSpecification={"Enabled": enabled, "AttributeName": attribute},
    )


def described(db: MemoryDatabase) -> Any:
    return db.ask("DescribeTimeToLive", TableName="music")["TimeToLiveDescription"]


def refused(db: MemoryDatabase, enabled: bool, attribute: str = "ttl") -> str:
    with pytest.raises(ServiceError) as caught:
        update(db, enabled, attribute)
    assert caught.value.code == "ValidationException"
    assert caught.value.message is not None
    return caught.value.message


# Why: each status is seen; the name of the attribute is told only while it counts.
def test_time_to_live_is_enabled_once_its_entries_are_there(db: MemoryDatabase) -> None:
    assert described(db) == {"TimeToLiveStatus": "DISABLED"}
    reply = update(db, True)
    assert reply == {"TimeToLiveSpecification": {"Enabled": True, "AttributeName": "ttl"}}
    assert described(db) == {"TimeToLiveStatus": "ENABLING", "AttributeName": "ttl"}
    db.tick()
    assert described(db) == {"TimeToLiveStatus": "ENABLED", "AttributeName": "ttl"}
    update(db, False)
    assert described(db) == {"TimeToLiveStatus": "DISABLED"}


def test_a_change_that_changes_nothing_is_refused(db: MemoryDatabase) -> None:
    assert refused(db, False) == "TimeToLive is already disabled"
    update(db, True)
    for _ in range(2):
        assert refused(db, True) == "TimeToLive is already enabled"
        other = "TimeToLive is active on a different AttributeName: current AttributeName is ttl"
        assert refused(db, True, "other") == other
        assert refused(db, False, "other") == other
        db.tick()


def test_the_service_tells_its_limits_and_never_an_address_of_aws(db: MemoryDatabase) -> None:
    limits = db.ask("DescribeLimits")
    assert response_faults("dynamodb", "DescribeLimits", limits) == []
    assert limits["TableMaxReadCapacityUnits"] == 40_000
    endpoints = db.ask("DescribeEndpoints")
    assert response_faults("dynamodb", "DescribeEndpoints", endpoints) == []
    assert "amazonaws" not in endpoints["Endpoints"][0]["Address"]
