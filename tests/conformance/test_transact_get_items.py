"""TransactGetItems over the wire."""

from __future__ import annotations

from typing import Any

from tests.conformance.answers import invalid, n, refused, s
from tests.conformance.conftest import NewTable


def get(table: str, name: str, **more: Any) -> dict[str, Any]:
    return {"Get": {"TableName": table, "Key": {"pk": s(name)}, **more}}


# Why: [A] "Responses: an ordered array", an empty object for what is not there.
def test_items_come_in_the_order_asked_for(db: Any, new_table: NewTable) -> None:
    table, other = new_table(), new_table()
    db.put_item(TableName=table, Item={"pk": s("a"), "x": n(1), "y": n(2)})
    db.put_item(TableName=other, Item={"pk": s("b")})
    answer = db.transact_get_items(
        TransactItems=[
            get(other, "b"),
            get(table, "missing"),
            get(table, "a", ProjectionExpression="x"),
        ],
        ReturnConsumedCapacity="TOTAL",
    )
    assert answer["Responses"] == [{"Item": {"pk": s("b")}}, {}, {"Item": {"x": n(1)}}]
    units = {each["TableName"]: each["CapacityUnits"] for each in answer["ConsumedCapacity"]}
    assert units == {table: 4.0, other: 2.0}


# Why: [A] up to 100 items, 4 MB in all.
def test_a_transaction_reads_100_items_and_4_mb(db: Any, new_table: NewTable) -> None:
    table = new_table()
    answer = db.transact_get_items(TransactItems=[get(table, str(number)) for number in range(100)])
    assert answer["Responses"] == [{}] * 100
    with refused("ValidationException"):
        db.transact_get_items(TransactItems=[get(table, str(number)) for number in range(101)])
    for number in range(11):
        db.put_item(TableName=table, Item={"pk": s(str(number)), "x": s("x" * 390_000)})
    assert (
        len(db.transact_get_items(TransactItems=[get(table, str(i)) for i in range(10)])["Responses"]) == 10
    )
    with refused("ValidationException"):
        db.transact_get_items(TransactItems=[get(table, str(number)) for number in range(11)])


# Why: what is wrong with a key is told as the reason of that action.
def test_a_key_that_does_not_fit_is_a_reason(db: Any, new_table: NewTable) -> None:
    table = new_table()
    with refused("TransactionCanceledException") as answer:
        wrong = {"Get": {"TableName": table, "Key": {"other": s("a")}}}
        db.transact_get_items(TransactItems=[get(table, "a"), wrong])
    assert [reason["Code"] for reason in answer["CancellationReasons"]] == ["None", "ValidationError"]
    assert answer["CancellationReasons"][1]["Message"] == "The provided key element does not match the schema"


# Why: a table that is not there, an overlapping projection.
def test_mistakes_in_the_request_are_errors(db: Any, new_table: NewTable) -> None:
    table = new_table()
    with refused("ResourceNotFoundException", "Requested resource not found"):
        db.transact_get_items(TransactItems=[get("not-there", "a")])
    with invalid(
        "Invalid ProjectionExpression: Two document paths overlap with each other; must remove or rewrite one of "
        "these paths; path one: [x], path two: [x]"
    ):
        db.transact_get_items(TransactItems=[get(table, "a", ProjectionExpression="x, x")])
