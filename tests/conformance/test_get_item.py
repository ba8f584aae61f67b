"""GetItem over the wire."""

from __future__ import annotations

from typing import Any

import pytest
from tests.conformance.answers import invalid, n, refused, s
from tests.conformance.conftest import NewTable


@pytest.fixture
def table(db: Any, new_table: NewTable) -> str:
    name = new_table("pk sk")
    deep = {"M": {"list": {"L": [n(1), {"M": {"b": n(2), "c": n(3)}}]}, "x": n(4)}}
    db.put_item(
        TableName=name, Item={"pk": s("a"), "sk": s("b"), "top": n(0), "deep": deep, "odd.name": n(5)}
    )
    return name


KEY = {"pk": s("a"), "sk": s("b")}


# Why: [A] "If there is no matching item, GetItem does not return any data and there will be no Item element".
def test_an_item_that_is_not_there_is_an_answer_without_item(db: Any, table: str) -> None:
    answer = db.get_item(TableName=table, Key={"pk": s("a"), "sk": s("other")})
    assert "Item" not in answer


# Why: developerguide/Expressions.ProjectionExpressions: top-level, nested and quoted names; the structure is kept.
@pytest.mark.parametrize(
    ("expression", "names", "expected"),
    [
        ("#t", {"#t": "top"}, {"top": n(0)}),
        ("deep.x", None, {"deep": {"M": {"x": n(4)}}}),
        ("deep.#l[1].b", {"#l": "list"}, {"deep": {"M": {"list": {"L": [{"M": {"b": n(2)}}]}}}}),
        ("#o", {"#o": "odd.name"}, {"odd.name": n(5)}),
        ("absent, deep.absent, deep.x", None, {"deep": {"M": {"x": n(4)}}}),
    ],
)
def test_a_projection_gives_the_paths_that_are_there(
    db: Any, table: str, expression: str, names: dict[str, str] | None, expected: dict[str, Any]
) -> None:
    more = {"ExpressionAttributeNames": names} if names else {}
    answer = db.get_item(TableName=table, Key=KEY, ProjectionExpression=expression, **more)
    assert answer["Item"] == expected


# Why: an item of which no projected path is there is an empty item, not a missing one.
def test_a_projection_of_nothing_gives_an_empty_item(db: Any, table: str) -> None:
    assert db.get_item(TableName=table, Key=KEY, ProjectionExpression="absent")["Item"] == {}


# Why: the same page: paths must not overlap.
def test_overlapping_paths_are_refused(db: Any, table: str) -> None:
    with invalid(
        "Invalid ProjectionExpression: Two document paths overlap with each other; must remove or rewrite one of "
        "these paths; path one: [deep], path two: [deep, x]"
    ):
        db.get_item(TableName=table, Key=KEY, ProjectionExpression="deep, deep.x")


# Why: the legacy parameter, whose paths are plain names.
def test_attributes_to_get_gives_these_attributes(db: Any, table: str) -> None:
    answer = db.get_item(TableName=table, Key=KEY, AttributesToGet=["top", "pk"])
    assert answer["Item"] == {"top": n(0), "pk": s("a")}


# Why: a key names exactly the key attributes, of their types.
@pytest.mark.parametrize(
    "key", [{"pk": s("a")}, {**KEY, "more": n(1)}, {"pk": s("a"), "sk": n(1)}, {"pk": s("a"), "SK": s("b")}]
)
def test_a_key_that_does_not_fit_is_refused(db: Any, table: str, key: dict[str, Any]) -> None:
    with invalid("The provided key element does not match the schema"):
        db.get_item(TableName=table, Key=key)


# Why: developerguide/read-write-operations: half a unit per 4 KB eventually, one strongly; at least one page.
@pytest.mark.parametrize(("consistent", "units"), [(False, 1.0), (True, 2.0)])
def test_a_read_consumes_by_4_kb(db: Any, table: str, consistent: bool, units: float) -> None:
    db.put_item(TableName=table, Item={**KEY, "text": s("x" * 5000)})
    answer = db.get_item(TableName=table, Key=KEY, ConsistentRead=consistent, ReturnConsumedCapacity="TOTAL")
    assert answer["ConsumedCapacity"] == {"TableName": table, "CapacityUnits": units}


# Why: the table may be named by its ARN.
def test_the_table_may_be_named_by_its_arn(db: Any, table: str) -> None:
    arn = db.describe_table(TableName=table)["Table"]["TableArn"]
    assert db.get_item(TableName=arn, Key=KEY)["Item"]["top"] == n(0)


# Why: [A] ResourceNotFoundException; and the shape of a name is checked before the table is looked for.
def test_a_table_that_is_not_there_is_told(db: Any) -> None:
    with refused("ResourceNotFoundException", "Requested resource not found"):
        db.get_item(TableName="not-there", Key=KEY)
    with refused("ValidationException"):
        db.get_item(TableName="!", Key=KEY)
