"""BatchWriteItem over the wire."""

from __future__ import annotations

from typing import Any

from tests.conformance.answers import invalid, n, refused, s, values_of
from tests.conformance.conftest import NewTable
from tests.tables import definitions, index


def put(name: str, **more: Any) -> dict[str, Any]:
    return {"PutRequest": {"Item": {"pk": s(name), **more}}}


def delete(name: str) -> dict[str, Any]:
    return {"DeleteRequest": {"Key": {"pk": s(name)}}}


# Why: [A] puts and deletes in several tables at once.
def test_puts_and_deletes_in_several_tables(db: Any, new_table: NewTable) -> None:
    first, second = new_table(), new_table()
    db.put_item(TableName=first, Item={"pk": s("old")})
    answer = db.batch_write_item(
        RequestItems={first: [put("a", x=n(1)), delete("old"), delete("never")], second: [put("b")]},
        ReturnConsumedCapacity="TOTAL",
    )
    assert answer["UnprocessedItems"] == {}
    assert values_of(db.scan(TableName=first)["Items"], "pk") == ["a"]
    assert values_of(db.scan(TableName=second)["Items"], "pk") == ["b"]
    units = {each["TableName"]: each["CapacityUnits"] for each in answer["ConsumedCapacity"]}
    assert units == {first: 3.0, second: 1.0}


# Why: [A] 25 requests at most, at least one, none for the same item twice.
def test_the_number_of_requests_is_limited(db: Any, new_table: NewTable) -> None:
    table = new_table()
    db.batch_write_item(RequestItems={table: [put(str(number)) for number in range(25)]})
    assert db.scan(TableName=table, Select="COUNT")["Count"] == 25
    with invalid("Too many items requested for the BatchWriteItem call"):
        both = {table: [put(str(n)) for n in range(13)], "not-there": [put(str(n)) for n in range(13)]}
        db.batch_write_item(RequestItems=both)
    with refused("ValidationException"):
        db.batch_write_item(RequestItems={table: [put(str(number)) for number in range(26)]})
    with refused("ValidationException"):
        db.batch_write_item(RequestItems={})
    with invalid("Provided list of item keys contains duplicates"):
        db.batch_write_item(RequestItems={table: [put("a"), delete("a")]})


# Why: what is wrong with one request fails all of them, and nothing is written.
def test_one_wrong_request_writes_nothing(db: Any, new_table: NewTable) -> None:
    table = new_table()
    with invalid("One or more parameter values were invalid: Missing the key pk in the item"):
        db.batch_write_item(RequestItems={table: [put("a"), {"PutRequest": {"Item": {"other": s("b")}}}]})
    with invalid("Item size has exceeded the maximum allowed size"):
        db.batch_write_item(RequestItems={table: [put("a"), put("b", x=s("x" * 410_000))]})
    with refused("ResourceNotFoundException", "Requested resource not found"):
        db.batch_write_item(RequestItems={table: [put("a")], "not-there": [put("a")]})
    assert db.scan(TableName=table)["Count"] == 0


# Why: a request is a put or a delete.
def test_a_request_is_a_put_or_a_delete(db: Any, new_table: NewTable) -> None:
    table = new_table()
    message = "Supplied AttributeValue has more than one datatypes set, must contain exactly one of the supported datatypes"
    with invalid(message):
        db.batch_write_item(RequestItems={table: [{**put("a"), **delete("a")}]})
    message = "Supplied AttributeValue is empty, must contain exactly one of the supported datatypes"
    with invalid(message):
        db.batch_write_item(RequestItems={table: [put("a"), {}]})


# Why: [A] indexes follow, and ItemCollectionMetrics are told by table.
def test_indexes_follow_a_batch(db: Any, new_table: NewTable) -> None:
    table = new_table(
        "pk sk",
        AttributeDefinitions=definitions(pk="S", sk="S", x="S"),
        LocalSecondaryIndexes=[index("local", "pk", "x")],
    )
    answer = db.batch_write_item(
        RequestItems={table: [put("a", sk=s("1"), x=s("x")), put("a", sk=s("2"))]},
        ReturnItemCollectionMetrics="SIZE",
    )
    assert values_of(db.scan(TableName=table, IndexName="local")["Items"], "sk") == ["1"]
    metrics = answer["ItemCollectionMetrics"][table]
    assert [each["ItemCollectionKey"] for each in metrics] == [{"pk": s("a")}] * len(metrics)
    assert metrics
