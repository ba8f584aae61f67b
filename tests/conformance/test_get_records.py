"""GetRecords over the wire."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from tests.conformance.answers import n, refused, s
from tests.conformance.conftest import NewTable
from tests.conformance.following import iterator, records, table_with_stream


def write_one_life(db: Any, name: str) -> None:
    """An item comes, changes, is written again as it is, and goes."""
    for value in (1, 2, 2):
        db.put_item(TableName=name, Item={"pk": s("a"), "x": n(value)})
    db.delete_item(TableName=name, Key={"pk": s("a")})
    db.delete_item(TableName=name, Key={"pk": s("a")})


# Why: [A] Record: what each has, and none for a write that changes nothing.
def test_a_record_for_each_change_and_none_without(db: Any, streams: Any, new_table: NewTable) -> None:
    name, arn = table_with_stream(db, new_table)
    write_one_life(db, name)
    found = records(streams, arn, 3)
    assert [record["eventName"] for record in found] == ["INSERT", "MODIFY", "REMOVE"]
    modified = found[1]
    change = modified["dynamodb"]
    assert change["Keys"] == {"pk": s("a")}
    assert change["OldImage"] == {"pk": s("a"), "x": n(1)}
    assert change["NewImage"] == {"pk": s("a"), "x": n(2)}
    assert change["StreamViewType"] == "NEW_AND_OLD_IMAGES"
    assert isinstance(change["ApproximateCreationDateTime"], datetime)
    assert change["SizeBytes"] == 3 + 6 + 6
    assert modified["eventSource"] == "aws:dynamodb"
    assert len({record["eventID"] for record in found}) == 3
    numbers = [int(record["dynamodb"]["SequenceNumber"]) for record in found]
    assert numbers == sorted(set(numbers))
    assert "userIdentity" not in found[2]


# Why: [A] StreamViewType: which images a record has.
@pytest.mark.parametrize(
    ("view", "images"),
    [
        ("KEYS_ONLY", [set(), set(), set()]),
        ("NEW_IMAGE", [{"NewImage"}, {"NewImage"}, set()]),
        ("OLD_IMAGE", [set(), {"OldImage"}, {"OldImage"}]),
        ("NEW_AND_OLD_IMAGES", [{"NewImage"}, {"NewImage", "OldImage"}, {"OldImage"}]),
    ],
)
def test_a_view_decides_which_images_there_are(
    db: Any, streams: Any, new_table: NewTable, view: str, images: list[set[str]]
) -> None:
    name, arn = table_with_stream(db, new_table, view)
    write_one_life(db, name)
    found = [record["dynamodb"].keys() & {"NewImage", "OldImage"} for record in records(streams, arn, 3)]
    assert found == images


# Why: batches and transactions leave a record for each item, in the order of their commit.
def test_every_kind_of_write_leaves_its_records(db: Any, streams: Any, new_table: NewTable) -> None:
    name, arn = table_with_stream(db, new_table, "NEW_IMAGE")
    db.batch_write_item(RequestItems={name: [{"PutRequest": {"Item": {"pk": s("a")}}}]})
    put = {"Put": {"TableName": name, "Item": {"pk": s("b")}}}
    db.transact_write_items(TransactItems=[put])
    db.execute_statement(Statement=f"INSERT INTO \"{name}\" VALUE {{'pk': 'c'}}")
    db.update_item(TableName=name, Key={"pk": s("d")})
    found = [record["dynamodb"]["Keys"]["pk"]["S"] for record in records(streams, arn, 4)]
    assert found == ["a", "b", "c", "d"]


# Why: [A] Limit cuts a page; the next iterator goes on behind it, and does not end while the shard is open.
def test_pages_go_on_behind_each_other(db: Any, streams: Any, new_table: NewTable) -> None:
    name, arn = table_with_stream(db, new_table, "KEYS_ONLY")
    for number in range(5):
        db.put_item(TableName=name, Item={"pk": s(str(number))})
    records(streams, arn, 5)
    at, sizes = iterator(streams, arn), []
    for _ in range(4):
        page = streams.get_records(ShardIterator=at, Limit=2)
        sizes.append(len(page["Records"]))
        at = page["NextShardIterator"]
    assert sizes == [2, 2, 1, 0]


# Why: [A] what is no iterator; a Limit out of range.
def test_mistakes_are_told(db: Any, streams: Any, new_table: NewTable) -> None:
    with refused("ValidationException"):
        streams.get_records(ShardIterator="not-an-iterator")
    _, arn = table_with_stream(db, new_table)
    for limit in (0, 1001):
        with refused("ValidationException"):
            streams.get_records(ShardIterator=iterator(streams, arn), Limit=limit)
