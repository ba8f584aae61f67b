"""TransactWriteItems over the wire."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from tests.conformance.answers import invalid, n, refused, s, values_of
from tests.conformance.conftest import NewTable
from tests.tables import definitions, index


def put(table: str, name: str, **more: Any) -> dict[str, Any]:
    return {"Put": {"TableName": table, "Item": {"pk": s(name), **more}}}


def act(kind: str, table: str, name: str, **more: Any) -> dict[str, Any]:
    return {kind: {"TableName": table, "Key": {"pk": s(name)}, **more}}


def add_one(table: str, name: str) -> dict[str, Any]:
    values = {":one": n(1)}
    return act("Update", table, name, UpdateExpression="ADD x :one", ExpressionAttributeValues=values)


@pytest.fixture
def table(db: Any, new_table: NewTable) -> str:
    name = new_table()
    for number in range(3):
        db.put_item(TableName=name, Item={"pk": s(str(number)), "x": n(number)})
    return name


def content(db: Any, table: str) -> dict[str, Any]:
    return {item["pk"]["S"]: item.get("x") for item in db.scan(TableName=table, ConsistentRead=True)["Items"]}


# Why: [A] the four kinds of actions, over tables, all of them at once.
def test_the_four_kinds_of_actions_go_through_together(db: Any, table: str, new_table: NewTable) -> None:
    other = new_table()
    db.transact_write_items(
        TransactItems=[
            put(table, "new", x=n(9)),
            add_one(table, "1"),
            act("Delete", table, "2"),
            act("ConditionCheck", table, "0", ConditionExpression="attribute_exists(pk)"),
            put(other, "other"),
        ]
    )
    assert content(db, table) == {"0": n(0), "1": n(2), "new": n(9)}
    assert content(db, other) == {"other": None}


# Why: [A] CancellationReasons: in order, None for what would have gone through; nothing is written.
def test_one_that_fails_cancels_all_and_each_has_its_reason(db: Any, table: str) -> None:
    never = {"ConditionExpression": "attribute_not_exists(pk)"}
    with refused(
        "TransactionCanceledException",
        "Transaction cancelled, please refer cancellation reasons for specific reasons "
        "[None, ConditionalCheckFailed, None, ConditionalCheckFailed]",
    ) as answer:
        db.transact_write_items(
            TransactItems=[
                put(table, "new"),
                act("Delete", table, "0", **never),
                add_one(table, "1"),
                act("ConditionCheck", table, "2", **never, ReturnValuesOnConditionCheckFailure="ALL_OLD"),
            ]
        )
    failed = {"Code": "ConditionalCheckFailed", "Message": "The conditional request failed"}
    assert answer["CancellationReasons"] == [
        {"Code": "None"},
        failed,
        {"Code": "None"},
        {**failed, "Item": {"pk": s("2"), "x": n(2)}},
    ]
    assert content(db, table) == {"0": n(0), "1": n(1), "2": n(2)}


# Why: [A] ValidationError as a reason: an item that grows too large, a wrong index key, an operand of a wrong type.
def test_what_is_invalid_only_now_is_a_reason_too(db: Any, table: str) -> None:
    db.put_item(TableName=table, Item={"pk": s("0"), "x": s("text")})
    with refused("TransactionCanceledException") as answer:
        db.transact_write_items(TransactItems=[put(table, "new"), add_one(table, "0")])
    assert answer["CancellationReasons"][1] == {
        "Code": "ValidationError",
        "Message": "An operand in the update expression has an incorrect data type",
    }


# Why: [A] "Multiple operations on the same item" are refused; 1 to 100 actions.
def test_the_same_item_twice_and_too_many_actions_are_refused(db: Any, table: str) -> None:
    with invalid("Transaction request cannot include multiple operations on one item"):
        db.transact_write_items(TransactItems=[put(table, "a"), act("Delete", table, "a")])
    with refused("ValidationException"):
        db.transact_write_items(TransactItems=[put(table, str(number)) for number in range(101)])
    with refused("ValidationException"):
        db.transact_write_items(TransactItems=[])
    db.transact_write_items(TransactItems=[put(table, f"many-{number}") for number in range(100)])
    assert len(content(db, table)) == 103


# Why: [A] "The aggregate size of the items in the transaction cannot exceed 4 MB".
def test_the_items_of_a_transaction_have_4_mb_in_all(db: Any, table: str) -> None:
    large = [put(table, str(number), x=s("x" * 390_000)) for number in range(11)]
    db.transact_write_items(TransactItems=large[:10])
    with refused("ValidationException"):
        db.transact_write_items(TransactItems=large)


# Why: [A] ClientRequestToken: the same request again within ten minutes changes nothing more; another is refused.
def test_a_token_makes_a_retry_harmless(db: Any, table: str) -> None:
    token = str(uuid4())
    for _ in range(3):
        db.transact_write_items(TransactItems=[add_one(table, "1")], ClientRequestToken=token)
    assert content(db, table)["1"] == n(2)
    with refused("IdempotentParameterMismatchException"):
        db.transact_write_items(TransactItems=[add_one(table, "2")], ClientRequestToken=token)
    assert content(db, table)["2"] == n(2)


# Why: a transaction that was cancelled has used no token.
def test_a_token_of_a_cancelled_transaction_may_be_used_again(db: Any, table: str) -> None:
    token = str(uuid4())
    guarded = put(table, "guarded")
    guarded["Put"]["ConditionExpression"] = "attribute_not_exists(pk)"
    db.put_item(TableName=table, Item={"pk": s("guarded")})
    with refused("TransactionCanceledException"):
        db.transact_write_items(TransactItems=[guarded], ClientRequestToken=token)
    db.delete_item(TableName=table, Key={"pk": s("guarded")})
    db.transact_write_items(TransactItems=[guarded], ClientRequestToken=token)
    assert "guarded" in content(db, table)


# Why: developerguide/transaction-apis: two units for each KB written, by table.
def test_a_transaction_consumes_twice(db: Any, table: str) -> None:
    answer = db.transact_write_items(
        TransactItems=[put(table, "a", x=s("x" * 1500)), add_one(table, "1")], ReturnConsumedCapacity="TOTAL"
    )
    [consumed] = answer["ConsumedCapacity"]
    assert (consumed["TableName"], consumed["CapacityUnits"]) == (table, 6.0)
    assert consumed["WriteCapacityUnits"] == 6.0


# Why: indexes change with the items, in the same transaction.
def test_indexes_follow_a_transaction(db: Any, new_table: NewTable) -> None:
    table = new_table(
        AttributeDefinitions=definitions(pk="S", x="S"), GlobalSecondaryIndexes=[index("by_x", "x")]
    )
    db.transact_write_items(TransactItems=[put(table, "a", x=s("1")), put(table, "b")])
    assert values_of(db.scan(TableName=table, IndexName="by_x")["Items"], "pk") == ["a"]


# Why: [A] what is wrong with the request itself is no reason but an error.
def test_mistakes_in_the_request_are_errors(db: Any, table: str) -> None:
    with refused("ResourceNotFoundException", "Requested resource not found"):
        db.transact_write_items(TransactItems=[put("not-there", "a")])
    with invalid("TransactItems can only contain one of Check, Put, Update or Delete"):
        db.transact_write_items(TransactItems=[{**put(table, "a"), **act("Delete", table, "b")}])
    with invalid('Invalid ConditionExpression: Syntax error; token: "<EOF>", near: "("'):
        wrong = act("ConditionCheck", table, "0", ConditionExpression="attribute_exists(")
        db.transact_write_items(TransactItems=[wrong])
