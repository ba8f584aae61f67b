"""Bringing a store to what an application declares."""

from __future__ import annotations

from pathlib import Path

import pytest

import penstock
from penstock.connect.client import Client
from penstock.errors import UsageError
from penstock.run.declared_tables import ensure_tables


@pytest.fixture
def client(tmp_path: Path) -> Client:
    return penstock.connect(f"file:{tmp_path}")


def never(seconds: float) -> None:
    raise AssertionError("nothing had to be waited for")


def soon(seconds: float) -> None:
    """The engine makes tables and indexes in its own threads; this only lets go of ours."""


# Why: the first start makes the tables, the second finds them.
def test_tables_are_made_once(client: Client) -> None:
    app = penstock.App("shop")
    app.table("Orders", partition_key="customer", sort_key="at:N", time_to_live="gone_at")
    assert ensure_tables(client, app.tables.values()) == ["Orders"]
    assert ensure_tables(client, app.tables.values(), sleep=never) == []
    told = client.describe_time_to_live(TableName="Orders")["TimeToLiveDescription"]
    assert told["AttributeName"] == "gone_at"


# Why: an application grows; its data must not have to be loaded again for a new index or a stream.
def test_a_new_global_index_and_a_stream_are_added_to_a_table_that_has_items(client: Client) -> None:
    before = penstock.App("before")
    before.table("Orders", partition_key="customer")
    ensure_tables(client, before.tables.values())
    client.put_item(TableName="Orders", Item={"customer": {"S": "c1"}, "category": {"S": "toys"}})
    after = penstock.App("after")
    orders = after.table(
        "Orders", partition_key="customer", global_indexes={"by_category": "category"}, stream=True
    )
    after.bind(client)
    assert ensure_tables(client, after.tables.values()) == []
    assert [item["customer"] for item in orders.query(category="toys", index="by_category")] == ["c1"]
    assert client.describe_table(TableName="Orders")["Table"]["StreamSpecification"]["StreamEnabled"]


# Why: keys cannot change in place. To go on with other keys than declared would fail later, and less clearly.
def test_other_keys_than_declared_are_refused_with_the_ways_out(client: Client) -> None:
    one, two = penstock.App("one"), penstock.App("two")
    one.table("Orders", partition_key="customer", sort_key="order")
    two.table("Orders", partition_key="customer", sort_key="at")
    ensure_tables(client, one.tables.values())
    with pytest.raises(
        UsageError, match=r"customer, order, and app\.py declares customer, at.*penstock destroy"
    ):
        ensure_tables(client, two.tables.values())


# Why: AWS makes local indexes with the table only.
def test_a_local_index_cannot_be_added_later(client: Client) -> None:
    one, two = penstock.App("one"), penstock.App("two")
    one.table("Orders", partition_key="customer", sort_key="order")
    two.table("Orders", partition_key="customer", sort_key="order", local_indexes={"by_time": "at"})
    ensure_tables(client, one.tables.values())
    with pytest.raises(UsageError, match="has no local index 'by_time'"):
        ensure_tables(client, two.tables.values())
