"""DeleteItem over the wire."""

from __future__ import annotations

from typing import Any

from tests.conformance.answers import invalid, n, refused, s
from tests.conformance.conftest import NewTable


# Why: [A] idempotent: deleting what is not there is no error.
def test_a_delete_takes_the_item_and_returns_it_where_asked(db: Any, new_table: NewTable) -> None:
    table = new_table()
    item = {"pk": s("a"), "x": n(1)}
    db.put_item(TableName=table, Item=item)
    answer = db.delete_item(TableName=table, Key={"pk": s("a")}, ReturnValues="ALL_OLD")
    assert answer["Attributes"] == item
    assert "Item" not in db.get_item(TableName=table, Key={"pk": s("a")}, ConsistentRead=True)
    again = db.delete_item(TableName=table, Key={"pk": s("a")}, ReturnValues="ALL_OLD")
    assert "Attributes" not in again


# Why: [A] conditional delete; a condition on a missing item sees no attributes.
def test_a_condition_that_fails_deletes_nothing(db: Any, new_table: NewTable) -> None:
    table = new_table()
    db.put_item(TableName=table, Item={"pk": s("a"), "x": n(1)})
    request = {
        "TableName": table,
        "Key": {"pk": s("a")},
        "ConditionExpression": "x > :one",
        "ExpressionAttributeValues": {":one": n(1)},
    }
    with refused("ConditionalCheckFailedException", "The conditional request failed") as answer:
        db.delete_item(**request, ReturnValuesOnConditionCheckFailure="ALL_OLD")
    assert answer["Item"] == {"pk": s("a"), "x": n(1)}
    with refused("ConditionalCheckFailedException"):
        db.delete_item(**{**request, "Key": {"pk": s("missing")}})
    db.delete_item(**{**request, "ConditionExpression": "x = :one"})


# Why: [A] ReturnValues of a delete.
def test_only_all_old_is_returned(db: Any, new_table: NewTable) -> None:
    with invalid("ReturnValues can only be ALL_OLD or NONE"):
        db.delete_item(TableName=new_table(), Key={"pk": s("a")}, ReturnValues="ALL_NEW")


# Why: developerguide/read-write-operations: a delete consumes by the size of what it deletes, at least one unit.
def test_a_delete_consumes_by_the_size_of_the_item(db: Any, new_table: NewTable) -> None:
    table = new_table()
    db.put_item(TableName=table, Item={"pk": s("a"), "text": s("x" * 3000)})
    units = [
        db.delete_item(TableName=table, Key={"pk": s("a")}, ReturnConsumedCapacity="TOTAL")[
            "ConsumedCapacity"
        ]["CapacityUnits"]
        for _ in range(2)
    ]
    assert units == [3, 1]


# Why: the legacy condition.
def test_expected_is_a_condition(db: Any, new_table: NewTable) -> None:
    table = new_table()
    db.put_item(TableName=table, Item={"pk": s("a"), "x": n(1)})
    for wrong in (n(2), s("1")):
        with refused("ConditionalCheckFailedException"):
            db.delete_item(TableName=table, Key={"pk": s("a")}, Expected={"x": {"Value": wrong}})
    db.delete_item(TableName=table, Key={"pk": s("a")}, Expected={"x": {"Value": n(1)}})


# Why: a key that does not fit, and a table that is not there.
def test_wrong_keys_and_tables_are_refused(db: Any, new_table: NewTable) -> None:
    with invalid("The provided key element does not match the schema"):
        db.delete_item(TableName=new_table(), Key={"other": s("a")})
    with refused("ResourceNotFoundException", "Requested resource not found"):
        db.delete_item(TableName="not-there", Key={"pk": s("a")})
