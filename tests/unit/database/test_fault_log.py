"""Faults in the log: enough to learn of them, and not a line for each of thousands of requests."""

from __future__ import annotations

import pytest
from tests.tables import table_request

from penstock.testing import FaultyStore
from penstock.testing.databases import MemoryDatabase

PUT = {"TableName": "music", "Item": {"pk": {"S": "a"}}}


# Why: a server on a full disk logged a line for each request, and stopped where its log was a pipe that nobody read.
def test_a_full_disk_is_told_once_a_second(caplog: pytest.LogCaptureFixture) -> None:
    store = FaultyStore()
    database = MemoryDatabase(store)
    database.ask("CreateTable", **table_request())
    store.full = True
    assert {database.call("PutItem", PUT)[0] for _ in range(1000)} == {500}
    assert [record.message for record in caplog.records] == [
        "the request could not be carried out: the disk is full"
    ]
    database.clock.advance(2)
    database.call("PutItem", PUT)
    assert caplog.records[-1].message.endswith("(and 999 more since the last such line)")
