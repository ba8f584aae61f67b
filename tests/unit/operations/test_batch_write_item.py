"""BatchWriteItem, where botocore would not let the request out."""

from __future__ import annotations

import pytest
from tests.tables import table_request

from penstock.errors import ServiceError
from penstock.testing.databases import MemoryDatabase, memory_database

PUT = {"PutRequest": {"Item": {"pk": {"S": "a"}}}}


@pytest.fixture
def database() -> MemoryDatabase:
    database = memory_database()
    database.ask("CreateTable", **table_request())
    return database


# Why: AWS ignores members that it does not know, so what has no others is an empty request and not a fault of ours.
def test_a_request_of_unknown_members_only_is_empty(database: MemoryDatabase) -> None:
    with pytest.raises(ServiceError, match="is empty, must contain exactly one"):
        database.ask("BatchWriteItem", RequestItems={"music": [PUT, {"PatchRequest": {}}]})


# Why: the other side of the same rule: an unknown member beside a put does not make two of it.
def test_an_unknown_member_beside_a_put_is_ignored(database: MemoryDatabase) -> None:
    database.ask("BatchWriteItem", RequestItems={"music": [{**PUT, "Comment": "x"}]})
    assert database.ask("Scan", TableName="music")["Count"] == 1
