"""PutItem over the wire."""

from __future__ import annotations

from typing import Any

import pytest
from tests.conformance.answers import invalid, n, refused, s
from tests.conformance.conftest import NewTable
from tests.tables import definitions, index

ALL_TYPES: dict[str, dict[str, Any]] = {
    "S": {"S": "text \u00e9\U0001f600"},
    "N": {"N": "-1.5"},
    "B": {"B": b"\x00\xff"},
    "BOOL": {"BOOL": False},
    "NULL": {"NULL": True},
    "SS": {"SS": ["a", "b"]},
    "NS": {"NS": ["1", "2.5"]},
    "BS": {"BS": [b"a", b"\x00"]},
    "L": {"L": [{"N": "1"}, {"L": []}, {"M": {}}]},
    "M": {"M": {"a": {"M": {"b": {"S": ""}}}, "B": {"B": b""}}},
}


# Why: [A] AttributeValue: each of the ten types comes back as it was put.
def test_an_item_of_every_type_comes_back(db: Any, new_table: NewTable) -> None:
    table = new_table()
    db.put_item(TableName=table, Item={"pk": s("a"), **ALL_TYPES})
    found = db.get_item(TableName=table, Key={"pk": s("a")}, ConsistentRead=True)["Item"]
    for name in ("SS", "NS", "BS"):
        assert sorted(found[name].pop(name)) == sorted(ALL_TYPES[name][name])
    assert {k: v for k, v in found.items() if v} == {
        "pk": s("a"),
        **{k: v for k, v in ALL_TYPES.items() if k not in ("SS", "NS", "BS")},
    }


# Why: [A] "If an item that has the same primary key as the new item already exists, the new item completely replaces".
def test_a_put_replaces_the_whole_item_and_returns_the_old_one(db: Any, new_table: NewTable) -> None:
    table = new_table()
    first = {"pk": s("a"), "x": n(1)}
    assert "Attributes" not in db.put_item(TableName=table, Item=first, ReturnValues="ALL_OLD")
    answer = db.put_item(TableName=table, Item={"pk": s("a"), "y": n(2)}, ReturnValues="ALL_OLD")
    assert answer["Attributes"] == first
    found = db.get_item(TableName=table, Key={"pk": s("a")}, ConsistentRead=True)["Item"]
    assert found == {"pk": s("a"), "y": n(2)}


# Why: [A] ReturnValues: "PutItem does not recognize any values other than NONE or ALL_OLD".
@pytest.mark.parametrize("wanted", ["ALL_NEW", "UPDATED_OLD", "UPDATED_NEW"])
def test_other_return_values_are_refused(db: Any, new_table: NewTable, wanted: str) -> None:
    with invalid("ReturnValues can only be ALL_OLD or NONE"):
        db.put_item(TableName=new_table(), Item={"pk": s("a")}, ReturnValues=wanted)


# Why: [A] ConditionExpression: the put succeeds only where it holds.
def test_a_condition_that_fails_writes_nothing_and_shows_the_item_where_asked(
    db: Any, new_table: NewTable
) -> None:
    table = new_table()
    db.put_item(TableName=table, Item={"pk": s("a"), "x": n(1)})
    again = {
        "TableName": table,
        "Item": {"pk": s("a"), "x": n(2)},
        "ConditionExpression": "attribute_not_exists(pk)",
    }
    with refused("ConditionalCheckFailedException", "The conditional request failed") as answer:
        db.put_item(**again)
    assert "Item" not in answer
    with refused("ConditionalCheckFailedException") as answer:
        db.put_item(**again, ReturnValuesOnConditionCheckFailure="ALL_OLD")
    assert answer["Item"] == {"pk": s("a"), "x": n(1)}
    assert db.get_item(TableName=table, Key={"pk": s("a")}, ConsistentRead=True)["Item"]["x"] == n(1)


# Why: developerguide/HowItWorks.NamingRulesDataTypes: up to 38 digits, trailing and leading zeroes are trimmed.
@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("0001.500", "1.5"),
        ("-0", "0"),
        ("1e2", "100"),
        ("1E-130", "0." + "0" * 129 + "1"),
        ("9.9999999999999999999999999999999999999E+125", "9" * 38 + "0" * 88),
        ("12345678901234567890123456789012345678", "12345678901234567890123456789012345678"),
    ],
)
def test_numbers_are_kept_exactly(db: Any, new_table: NewTable, given: str, kept: str) -> None:
    table = new_table()
    db.put_item(TableName=table, Item={"pk": s("a"), "x": n(given)})
    assert db.get_item(TableName=table, Key={"pk": s("a")}, ConsistentRead=True)["Item"]["x"] == n(kept)


# Why: the same page: what is out of range or too precise raises an exception.
@pytest.mark.parametrize(
    ("number", "message"),
    [
        ("1e126", "Number overflow. Attempting to store a number with magnitude larger than supported range"),
        (
            "1e-131",
            "Number underflow. Attempting to store a number with magnitude smaller than supported range",
        ),
        ("1" * 39, "Attempting to store more than 38 significant digits in a Number"),
        ("one", "The parameter cannot be converted to a numeric value: one"),
        ("", "The parameter cannot be converted to a numeric value"),
    ],
)
def test_numbers_that_cannot_be_kept_are_refused(
    db: Any, new_table: NewTable, number: str, message: str
) -> None:
    with invalid(message):
        db.put_item(TableName=new_table(), Item={"pk": s("a"), "x": n(number)})


# Why: [C] Item size: 400 KB, with names; a byte less is taken.
def test_an_item_may_have_400_kb_and_no_more(db: Any, new_table: NewTable) -> None:
    table = new_table()
    room = 400 * 1024 - len("pk") - len("a") - len("x")
    db.put_item(TableName=table, Item={"pk": s("a"), "x": s("x" * room)})
    with invalid("Item size has exceeded the maximum allowed size"):
        db.put_item(TableName=table, Item={"pk": s("a"), "x": s("x" * (room + 1))})


# Why: [C] Partition key 2,048 bytes, sort key 1,024 bytes, none empty; the wrong type and a missing key.
@pytest.mark.parametrize(
    ("item", "message"),
    [
        (
            {"pk": s("a")},
            "One or more parameter values were invalid: Missing the key sk in the item",
        ),
        (
            {"pk": n(1), "sk": s("a")},
            "One or more parameter values were invalid: Type mismatch for key pk expected: S actual: N",
        ),
        (
            {"pk": s(""), "sk": s("a")},
            "One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an "
            "empty string value. Key: pk",
        ),
        (
            {"pk": s("x" * 2049), "sk": s("a")},
            "One or more parameter values were invalid: Size of hashkey has exceeded the maximum size limit of2048 "
            "bytes",
        ),
        (
            {"pk": s("a"), "sk": s("x" * 1025)},
            "One or more parameter values were invalid: Aggregated size of all range keys has exceeded the size "
            "limit of 1024 bytes",
        ),
    ],
)
def test_keys_are_there_of_their_type_and_size(
    db: Any, new_table: NewTable, item: dict[str, Any], message: str
) -> None:
    with invalid(message):
        db.put_item(TableName=new_table("pk sk"), Item=item)


# Why: an index key of another type is refused, a missing one leaves the item out of the index.
def test_an_index_key_has_its_type_or_is_missing(db: Any, new_table: NewTable) -> None:
    indexes = [index("by_year", "year")]
    table = new_table(AttributeDefinitions=definitions(pk="S", year="N"), GlobalSecondaryIndexes=indexes)
    db.put_item(TableName=table, Item={"pk": s("a")})
    with invalid(
        "One or more parameter values were invalid: Type mismatch for Index Key year Expected: N Actual: S "
        "IndexName: by_year"
    ):
        db.put_item(TableName=table, Item={"pk": s("a"), "year": s("2001")})


# Why: [C] Sets: at least one member, no duplicates; values nested at most 32 deep.
@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"SS": []}, "One or more parameter values were invalid: An string set  may not be empty"),
        (
            {"SS": ["a", "a"]},
            "One or more parameter values were invalid: Input collection [a, a] contains duplicates.",
        ),
        ({"NS": ["1", "1.0"]}, "Input collection contains duplicates"),
    ],
)
def test_sets_have_members_and_no_duplicates(
    db: Any, new_table: NewTable, value: dict[str, Any], message: str
) -> None:
    with invalid(message):
        db.put_item(TableName=new_table(), Item={"pk": s("a"), "x": value})


# Why: [C] Nested attribute depth: up to 32 levels.
def test_values_are_nested_32_levels_and_no_more(db: Any, new_table: NewTable) -> None:
    table = new_table()

    def nested(levels: int) -> dict[str, Any]:
        value: dict[str, Any] = n(1)
        for _ in range(levels):
            value = {"L": [value]}
        return value

    db.put_item(TableName=table, Item={"pk": s("a"), "x": nested(31)})
    with invalid(
        "Nesting Levels have exceeded supported limits: Attributes in the item have nested levels beyond supported "
        "limit"
    ):
        db.put_item(TableName=table, Item={"pk": s("a"), "x": nested(32)})


# Why: developerguide/read-write-operations: one unit per KB of the larger of old and new; indexes apart.
def test_consumed_capacity_is_told_by_table_and_index(db: Any, new_table: NewTable) -> None:
    table = new_table(
        "pk sk",
        AttributeDefinitions=definitions(pk="S", sk="S", x="S"),
        LocalSecondaryIndexes=[index("local", "pk", "x")],
        GlobalSecondaryIndexes=[index("global", "x", projection="KEYS_ONLY")],
    )
    item = {"pk": s("a"), "sk": s("b"), "x": s("x"), "text": s("x" * 2500)}
    answer = db.put_item(TableName=table, Item=item, ReturnConsumedCapacity="INDEXES")
    consumed = answer["ConsumedCapacity"]
    assert consumed["CapacityUnits"] == 7
    assert consumed["Table"]["CapacityUnits"] == 3
    assert consumed["LocalSecondaryIndexes"]["local"]["CapacityUnits"] == 3
    assert consumed["GlobalSecondaryIndexes"]["global"]["CapacityUnits"] == 1
    total = db.put_item(TableName=table, Item=item, ReturnConsumedCapacity="TOTAL")["ConsumedCapacity"]
    assert total == {"TableName": table, "CapacityUnits": 3}


# Why: [A] ReturnItemCollectionMetrics: for tables with local indexes, the partition key and an estimate in GB.
def test_item_collection_metrics_are_told_where_there_are_local_indexes(db: Any, new_table: NewTable) -> None:
    types = definitions(pk="S", sk="S", x="S")
    table = new_table("pk sk", AttributeDefinitions=types, LocalSecondaryIndexes=[index("local", "pk", "x")])
    answer = db.put_item(
        TableName=table, Item={"pk": s("a"), "sk": s("b")}, ReturnItemCollectionMetrics="SIZE"
    )
    metrics = answer["ItemCollectionMetrics"]
    assert metrics["ItemCollectionKey"] == {"pk": s("a")}
    low, high = metrics["SizeEstimateRangeGB"]
    assert 0 <= low <= high <= 1


# Why: AWS names no table where an item is asked for.
def test_a_table_that_is_not_there_is_told(db: Any) -> None:
    with refused("ResourceNotFoundException", "Requested resource not found"):
        db.put_item(TableName="not-there", Item={"pk": s("a")})


# Why: the legacy parameters mean what their expressions mean, and do not mix with them.
def test_expected_is_a_condition_and_does_not_mix_with_one(db: Any, new_table: NewTable) -> None:
    table = new_table()
    item = {"pk": s("a")}
    db.put_item(TableName=table, Item=item, Expected={"pk": {"Exists": False}})
    with refused("ConditionalCheckFailedException"):
        db.put_item(TableName=table, Item=item, Expected={"pk": {"Exists": False}})
    with invalid(
        "Can not use both expression and non-expression parameters in the same request: Non-expression parameters: "
        "{Expected} Expression parameters: {ConditionExpression}"
    ):
        db.put_item(
            TableName=table,
            Item=item,
            Expected={"pk": {"Exists": False}},
            ConditionExpression="attribute_exists(pk)",
        )


# Why: developerguide/ReservedWords and Expressions: what is wrong with an expression is told, before the table is asked.
@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("attribute_exists(", 'Syntax error; token: "<EOF>", near: "("'),
        ("size = :v", "Attribute name is a reserved keyword; reserved keyword: size"),
        (
            "x = :missing",
            "An expression attribute value used in expression is not defined; attribute value: :missing",
        ),
        (
            "#missing = :v",
            "An expression attribute name used in the document path is not defined; attribute name: #missing",
        ),
    ],
)
def test_what_is_wrong_with_a_condition_is_told(db: Any, expression: str, message: str) -> None:
    with invalid(f"Invalid ConditionExpression: {message}"):
        db.put_item(
            TableName="not-there",
            Item={"pk": s("a")},
            ConditionExpression=expression,
            ExpressionAttributeValues={":v": n(1)},
        )


# Why: a placeholder that no expression uses is refused.
def test_unused_placeholders_are_refused(db: Any) -> None:
    with invalid("Value provided in ExpressionAttributeValues unused in expressions: keys: {:unused}"):
        db.put_item(
            TableName="not-there",
            Item={"pk": s("a")},
            ConditionExpression="attribute_exists(pk)",
            ExpressionAttributeValues={":unused": n(1)},
        )
