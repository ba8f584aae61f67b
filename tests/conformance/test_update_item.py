"""UpdateItem over the wire."""

from __future__ import annotations

from typing import Any

import pytest
from tests.conformance.answers import invalid, n, refused, s
from tests.conformance.conftest import NewTable
from tests.tables import definitions, index

KEY = {"pk": s("a")}
OLD = {
    "pk": s("a"),
    "num": n(1),
    "text": s("t"),
    "tags": {"SS": ["x", "y"]},
    "list": {"L": [n(0), n(1), n(2)]},
    "map": {"M": {"in": n(1), "out": n(2)}},
}


@pytest.fixture
def table(db: Any, new_table: NewTable) -> str:
    name = new_table()
    db.put_item(TableName=name, Item=OLD)
    return name


def updated(db: Any, table: str, expression: str, **more: Any) -> dict[str, Any]:
    """The whole item after an update; `values` and `names` are placeholders without their sign."""
    values = {f":{name}": value for name, value in more.pop("values", {}).items()}
    names = {f"#{name}": name for name in more.pop("names", "").split()}
    request = {"TableName": table, "Key": KEY, "UpdateExpression": expression, "ReturnValues": "ALL_NEW"}
    if values:
        request["ExpressionAttributeValues"] = values
    if names:
        request["ExpressionAttributeNames"] = names
    attributes: dict[str, Any] = db.update_item(**{**request, **more})["Attributes"]
    return attributes


# Why: developerguide/Expressions.UpdateExpressions: each clause as documented there.
@pytest.mark.parametrize(
    ("expression", "values", "changed"),
    [
        ("SET num = num + :v", {"v": n("2.5")}, {"num": n("3.5")}),
        ("SET num = :v - num", {"v": n(1)}, {"num": n(0)}),
        ("SET more = if_not_exists(more, :v)", {"v": n(7)}, {"more": n(7)}),
        ("SET num = if_not_exists(num, :v)", {"v": n(7)}, {}),
        (
            "SET #list = list_append(#list, :v)",
            {"v": {"L": [n(3)]}},
            {"list": {"L": [n(0), n(1), n(2), n(3)]}},
        ),
        ("SET #list[1] = :v", {"v": s("b")}, {"list": {"L": [n(0), s("b"), n(2)]}}),
        ("SET #list[99] = :v", {"v": s("end")}, {"list": {"L": [n(0), n(1), n(2), s("end")]}}),
        ("SET #map.#in = :v", {"v": n(9)}, {"map": {"M": {"in": n(9), "out": n(2)}}}),
        ("SET #map.fresh = :v", {"v": n(9)}, {"map": {"M": {"in": n(1), "out": n(2), "fresh": n(9)}}}),
        ("REMOVE #list[0], #map.#in", {}, {"list": {"L": [n(1), n(2)]}, "map": {"M": {"out": n(2)}}}),
        ("REMOVE absent, #text", {}, {"text": None}),
        ("ADD num :v", {"v": n(-1)}, {"num": n(0)}),
        ("ADD fresh :v", {"v": n(5)}, {"fresh": n(5)}),
        ("ADD tags :v", {"v": {"SS": ["y", "z"]}}, {"tags": {"SS": ["x", "y", "z"]}}),
        ("DELETE tags :v", {"v": {"SS": ["x", "q"]}}, {"tags": {"SS": ["y"]}}),
        ("DELETE tags :v", {"v": {"SS": ["x", "y"]}}, {"tags": None}),
        ("SET a = num, num = :v", {"v": n(2)}, {"a": n(1), "num": n(2)}),
    ],
)
def test_each_clause_does_what_is_documented(
    db: Any, table: str, expression: str, values: dict[str, Any], changed: dict[str, Any]
) -> None:
    names = " ".join(name for name in ("list", "map", "in", "text") if f"#{name}" in expression)
    found = updated(db, table, expression, values=values, names=names)
    if "tags" in found:
        found["tags"]["SS"].sort()
    expected = {name: value for name, value in {**OLD, **changed}.items() if value is not None}
    assert found == expected


# Why: [A] "Edits an existing item's attributes, or adds a new item to the table if it does not already exist".
def test_an_update_of_a_missing_item_makes_it(db: Any, new_table: NewTable) -> None:
    table = new_table()
    assert updated(db, table, "SET x = :v", values={"v": n(1)}) == {**KEY, "x": n(1)}
    other = db.update_item(TableName=table, Key={"pk": s("b")}, ReturnValues="ALL_NEW")
    assert other["Attributes"] == {"pk": s("b")}


# Why: [A] ReturnValues: UPDATED_OLD and UPDATED_NEW hold only the updated attributes.
@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ("NONE", None),
        ("ALL_OLD", OLD),
        ("UPDATED_OLD", {"num": n(1)}),
        ("ALL_NEW", {**OLD, "num": n(5), "fresh": n(1)}),
        ("UPDATED_NEW", {"num": n(5), "fresh": n(1)}),
    ],
)
def test_return_values(db: Any, table: str, wanted: str, expected: dict[str, Any] | None) -> None:
    answer = db.update_item(
        TableName=table,
        Key=KEY,
        UpdateExpression="SET num = :v, fresh = :w",
        ExpressionAttributeValues={":v": n(5), ":w": n(1)},
        ReturnValues=wanted,
    )
    found = answer.get("Attributes")
    if found and "tags" in found:
        found["tags"]["SS"].sort()
    assert found == expected


# Why: developerguide/Expressions.UpdateExpressions: what each clause refuses, in AWS's words.
@pytest.mark.parametrize(
    ("expression", "values", "message"),
    [
        (
            "SET num = num + :v",
            {"v": s("a")},
            "Invalid UpdateExpression: Incorrect operand type for operator or function; operator or function: +, "
            "operand type: S",
        ),
        (
            "SET pk = :v",
            {"v": s("b")},
            "One or more parameter values were invalid: Cannot update attribute pk. This attribute is part of the key",
        ),
        (
            "SET num = absent + :v",
            {"v": n(1)},
            "The provided expression refers to an attribute that does not exist in the item",
        ),
        (
            "SET num.part = :v",
            {"v": n(1)},
            "The document path provided in the update expression is invalid for update",
        ),
        (
            "SET absent.part = :v",
            {"v": n(1)},
            "The document path provided in the update expression is invalid for update",
        ),
        (
            "SET num = :v, num = :v",
            {"v": n(1)},
            "Invalid UpdateExpression: Two document paths overlap with each other; must remove or rewrite one of "
            "these paths; path one: [num], path two: [num]",
        ),
        (
            "SET a = :v SET b = :v",
            {"v": n(1)},
            'Invalid UpdateExpression: The "SET" section can only be used once in an update expression;',
        ),
        (
            "ADD num :v",
            {"v": s("a")},
            "Invalid UpdateExpression: Incorrect operand type for operator or function; operator: ADD, operand "
            "type: STRING, typeSet: ALLOWED_FOR_ADD_OPERAND",
        ),
        ("", {}, "Invalid UpdateExpression: The expression can not be empty;"),
    ],
)
def test_what_is_wrong_with_an_update_is_told(
    db: Any, table: str, expression: str, values: dict[str, Any], message: str
) -> None:
    with invalid(message):
        updated(db, table, expression, values=values)
    found = db.get_item(TableName=table, Key=KEY, ConsistentRead=True)["Item"]
    assert found["num"] == n(1)


# Why: [A] ConditionExpression of an update, also on an item that is not there.
def test_a_condition_that_fails_changes_nothing(db: Any, table: str) -> None:
    with refused("ConditionalCheckFailedException", "The conditional request failed") as answer:
        updated(
            db,
            table,
            "SET num = :v",
            values={"v": n(5)},
            ConditionExpression="num > :v",
            ReturnValuesOnConditionCheckFailure="ALL_OLD",
        )
    assert answer["Item"]["num"] == n(1)
    with refused("ConditionalCheckFailedException") as answer:
        db.update_item(
            TableName=table,
            Key={"pk": s("missing")},
            ConditionExpression="attribute_exists(pk)",
            ReturnValuesOnConditionCheckFailure="ALL_OLD",
        )
    assert "Item" not in answer
    assert "Item" not in db.get_item(TableName=table, Key={"pk": s("missing")}, ConsistentRead=True)


# Why: an index follows its attribute: where it changes, goes and comes.
def test_an_index_follows_the_item(db: Any, new_table: NewTable) -> None:
    indexes = [index("by_year", "year", projection="KEYS_ONLY")]
    table = new_table(AttributeDefinitions=definitions(pk="S", year="N"), GlobalSecondaryIndexes=indexes)

    def indexed() -> list[str]:
        items = db.scan(TableName=table, IndexName="by_year")["Items"]
        return [item["year"]["N"] for item in items]

    seen = []
    for expression, values in (
        ("SET x = :v", {"v": n(1)}),
        ("SET #year = :v", {"v": n(2001)}),
        ("SET #year = :v", {"v": n(2002)}),
        ("REMOVE #year", {}),
    ):
        updated(db, table, expression, values=values, names="year" if "year" in expression else "")
        seen.append(indexed())
    assert seen == [[], ["2001"], ["2002"], []]


# Why: the legacy parameter: PUT, ADD and DELETE.
def test_attribute_updates_put_add_and_delete(db: Any, table: str) -> None:
    found = db.update_item(
        TableName=table,
        Key=KEY,
        AttributeUpdates={
            "num": {"Action": "ADD", "Value": n(4)},
            "text": {"Action": "DELETE"},
            "tags": {"Action": "DELETE", "Value": {"SS": ["x"]}},
            "new": {"Value": n(1)},
        },
        ReturnValues="ALL_NEW",
    )["Attributes"]
    assert (found["num"], found["tags"], found["new"]) == (n(5), {"SS": ["y"]}, n(1))
    assert "text" not in found


# Why: [C] the item as it becomes must fit too.
def test_an_item_may_not_grow_above_400_kb(db: Any, new_table: NewTable) -> None:
    table = new_table()
    db.put_item(TableName=table, Item={**KEY, "x": s("x" * 300_000)})
    with invalid("Item size to update has exceeded the maximum allowed size"):
        updated(db, table, "SET y = :v", values={"v": s("y" * 120_000)})


# Why: capacity is that of the larger of the item before and after.
def test_an_update_consumes_by_the_larger_item(db: Any, new_table: NewTable) -> None:
    table = new_table()
    db.put_item(TableName=table, Item={**KEY, "x": s("x" * 2500)})
    answer = db.update_item(
        TableName=table, Key=KEY, UpdateExpression="REMOVE x", ReturnConsumedCapacity="TOTAL"
    )
    assert answer["ConsumedCapacity"]["CapacityUnits"] == 3
