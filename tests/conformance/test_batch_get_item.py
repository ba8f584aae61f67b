"""BatchGetItem over the wire."""

from __future__ import annotations

from typing import Any

import pytest
from tests.conformance.answers import invalid, n, refused, s, values_of
from tests.conformance.conftest import NewTable


@pytest.fixture
def table(db: Any, new_table: NewTable) -> str:
    name = new_table()
    for number in range(3):
        db.put_item(TableName=name, Item={"pk": s(str(number)), "x": n(number), "y": n(0)})
    return name


def keys(*names: str) -> list[dict[str, Any]]:
    return [{"pk": s(name)} for name in names]


# Why: [A] items of several tables, in no order; what is not there is left out.
def test_items_of_several_tables_come_without_those_that_are_not_there(
    db: Any, table: str, new_table: NewTable
) -> None:
    other = new_table("pk sk")
    db.put_item(TableName=other, Item={"pk": s("a"), "sk": s("b")})
    answer = db.batch_get_item(
        RequestItems={
            table: {"Keys": keys("0", "2", "missing"), "ProjectionExpression": "pk, x"},
            other: {"Keys": [{"pk": s("a"), "sk": s("b")}], "ConsistentRead": True},
        },
        ReturnConsumedCapacity="TOTAL",
    )
    found = sorted(answer["Responses"][table], key=lambda item: str(item["pk"]["S"]))
    assert found == [{"pk": s("0"), "x": n(0)}, {"pk": s("2"), "x": n(2)}]
    assert answer["Responses"][other] == [{"pk": s("a"), "sk": s("b")}]
    assert answer["UnprocessedKeys"] == {}
    units = {each["TableName"]: each["CapacityUnits"] for each in answer["ConsumedCapacity"]}
    assert units == {table: 1.5, other: 1.0}


# Why: [A] "A single operation can retrieve up to 16 MB of data": the rest comes back as UnprocessedKeys.
def test_more_than_16_mb_are_left_as_unprocessed_keys(db: Any, new_table: NewTable) -> None:
    table = new_table()
    names = [f"{number:02d}" for number in range(50)]
    for name in names:
        db.put_item(TableName=table, Item={"pk": s(name), "x": s("x" * 380_000)})
    found: list[str] = []
    wanted: dict[str, Any] = {table: {"Keys": keys(*names), "ProjectionExpression": "pk"}}
    rounds = 0
    while wanted:
        answer = db.batch_get_item(RequestItems=wanted)
        found += values_of(answer["Responses"][table], "pk")
        wanted, rounds = answer["UnprocessedKeys"], rounds + 1
        if wanted:
            assert wanted[table]["ProjectionExpression"] == "pk"
    assert sorted(found) == names
    assert rounds == 2


# Why: [A] at most 100 keys; none twice; at least one.
def test_the_number_of_keys_is_limited(db: Any, table: str) -> None:
    with refused("ValidationException"):
        db.batch_get_item(RequestItems={table: {"Keys": keys(*map(str, range(101)))}})
    with invalid("Too many items requested for the BatchGetItem call"):
        half = {"Keys": keys(*map(str, range(51)))}
        db.batch_get_item(RequestItems={table: half, "not-there": half})
    with invalid("Provided list of item keys contains duplicates"):
        db.batch_get_item(RequestItems={table: {"Keys": keys("0", "0")}})
    with refused("ValidationException"):
        db.batch_get_item(RequestItems={table: {"Keys": []}})
    with refused("ValidationException"):
        db.batch_get_item(RequestItems={})


# Why: a key that does not fit and a table that is not there fail the whole request.
def test_one_wrong_key_or_table_fails_the_request(db: Any, table: str) -> None:
    with invalid("The provided key element does not match the schema"):
        db.batch_get_item(RequestItems={table: {"Keys": [*keys("0"), {"other": s("a")}]}})
    with refused("ResourceNotFoundException", "Requested resource not found"):
        db.batch_get_item(RequestItems={table: {"Keys": keys("0")}, "not-there": {"Keys": keys("0")}})


# Why: the legacy parameter.
def test_attributes_to_get(db: Any, table: str) -> None:
    answer = db.batch_get_item(RequestItems={table: {"Keys": keys("1"), "AttributesToGet": ["y"]}})
    assert answer["Responses"][table] == [{"y": n(0)}]
