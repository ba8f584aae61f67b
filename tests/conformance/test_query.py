"""Query over the wire."""

from __future__ import annotations

from typing import Any

import pytest
from tests.conformance.answers import all_pages, invalid, items_of, n, refused, s, values_of
from tests.conformance.conftest import NewTable
from tests.tables import definitions, index


def key_condition(text: str, **values: Any) -> dict[str, Any]:
    return {
        "KeyConditionExpression": text,
        "ExpressionAttributeValues": {f":{name}": value for name, value in values.items()},
    }


@pytest.fixture
def table(db: Any, new_table: NewTable) -> str:
    """One partition of ten items, sorted by a number; every second one is in a local and in a global index."""
    name = new_table(
        "pk sk",
        AttributeDefinitions=definitions(pk="S", sk="N", rank="N", team="S"),
        LocalSecondaryIndexes=[index("by_rank", "pk", "rank", "KEYS_ONLY")],
        GlobalSecondaryIndexes=[
            {
                **index("by_team", "team", "rank"),
                "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["note"]},
            }
        ],
    )
    for number in range(10):
        item = {"pk": s("a"), "sk": n(number - 2), "note": s(f"note {number}"), "rest": s("rest")}
        if number % 2 == 0:
            item |= {"rank": n(100 - number), "team": s("red")}
        db.put_item(TableName=name, Item=item)
    db.put_item(TableName=name, Item={"pk": s("b"), "sk": n(0)})
    return name


# Why: developerguide/Query.KeyConditionExpressions: each comparison; numbers sort as numbers.
@pytest.mark.parametrize(
    ("condition", "values", "expected"),
    [
        ("pk = :pk", {}, ["-2", "-1", "0", "1", "2", "3", "4", "5", "6", "7"]),
        ("pk = :pk AND sk = :x", {"x": n(3)}, ["3"]),
        ("pk = :pk AND sk < :x", {"x": n(0)}, ["-2", "-1"]),
        ("pk = :pk AND sk <= :x", {"x": n(0)}, ["-2", "-1", "0"]),
        ("pk = :pk AND sk > :x", {"x": n("5.5")}, ["6", "7"]),
        ("pk = :pk AND sk >= :x", {"x": n(6)}, ["6", "7"]),
        ("sk BETWEEN :x AND :y AND pk = :pk", {"x": n(1), "y": n(3)}, ["1", "2", "3"]),
        ("(pk = :pk) AND (sk = :x)", {"x": n(99)}, []),
    ],
)
def test_a_range_of_the_sort_key(
    db: Any, table: str, condition: str, values: dict[str, Any], expected: list[str]
) -> None:
    answer = db.query(TableName=table, **key_condition(condition, pk=s("a"), **values))
    assert values_of(answer["Items"], "sk") == expected
    assert (answer["Count"], answer["ScannedCount"]) == (len(expected), len(expected))


# Why: strings sort by their UTF-8 bytes; begins_with takes a prefix of them.
def test_strings_sort_by_bytes_and_begin_with_a_prefix(db: Any, new_table: NewTable) -> None:
    table = new_table("pk sk")
    names = ["a", "B", "aa", "b", "\u00e9", "\uffff", "\U0001f600"]
    for name in names:
        db.put_item(TableName=table, Item={"pk": s("p"), "sk": s(name)})
    found = db.query(TableName=table, **key_condition("pk = :pk", pk=s("p")))["Items"]
    assert values_of(found, "sk") == sorted(names, key=str.encode)
    found = db.query(
        TableName=table, **key_condition("pk = :pk AND begins_with(sk, :x)", pk=s("p"), x=s("a"))
    )
    assert values_of(found["Items"], "sk") == ["a", "aa"]


# Why: [A] ScanIndexForward, Limit, ExclusiveStartKey: pages in both directions join to the whole.
@pytest.mark.parametrize("forward", [True, False])
@pytest.mark.parametrize("limit", [1, 3, 10, 11])
def test_pages_join_to_the_whole_in_both_directions(db: Any, table: str, forward: bool, limit: int) -> None:
    pages = all_pages(
        db.query,
        TableName=table,
        Limit=limit,
        ScanIndexForward=forward,
        **key_condition("pk = :pk", pk=s("a")),
    )
    found = [int(number) for number in values_of(items_of(pages), "sk")]
    assert found == sorted(range(-2, 8), reverse=not forward)
    assert all(page["Count"] <= limit for page in pages)
    assert len(pages) == 10 // limit + 1 if limit <= 10 else len(pages) == 1


# Why: [A] "A single Query operation will read up to ... a maximum of 1 MB of data and then apply any filtering".
def test_a_page_ends_at_1_mb_before_the_filter(db: Any, new_table: NewTable) -> None:
    table = new_table("pk sk")
    for number in range(12):
        db.put_item(
            TableName=table,
            Item={"pk": s("a"), "sk": s(f"{number:02d}"), "x": s("x" * 100_000), "n": n(number)},
        )
    condition = key_condition("pk = :pk", pk=s("a"))
    pages = all_pages(db.query, TableName=table, **condition)
    assert [page["Count"] for page in pages] == [11, 1]
    filtered = key_condition("pk = :pk", pk=s("a"), last=n(11))
    pages = all_pages(db.query, TableName=table, FilterExpression="n = :last", **filtered)
    assert [(page["Count"], page["ScannedCount"]) for page in pages] == [(0, 11), (1, 1)]


# Why: developerguide/SecondaryIndexes: only items with the index's keys, in its order, with what it projects.
def test_a_sparse_global_index_holds_what_it_projects(db: Any, table: str) -> None:
    answer = db.query(TableName=table, IndexName="by_team", **key_condition("team = :t", t=s("red")))
    assert values_of(answer["Items"], "rank") == ["92", "94", "96", "98", "100"]
    assert all(item.keys() == {"pk", "sk", "team", "rank", "note"} for item in answer["Items"])
    first = db.query(TableName=table, IndexName="by_team", Limit=1, **key_condition("team = :t", t=s("red")))
    assert first["LastEvaluatedKey"] == {"pk": s("a"), "sk": n(6), "team": s("red"), "rank": n(92)}


# Why: developerguide/LSI: "DynamoDB automatically fetches these attributes from the table"; that costs more.
def test_a_local_index_fetches_what_it_does_not_project(db: Any, table: str) -> None:
    request = {"TableName": table, "IndexName": "by_rank", **key_condition("pk = :pk", pk=s("a"))}
    keys = db.query(**request, ReturnConsumedCapacity="TOTAL")
    assert all(item.keys() == {"pk", "sk", "rank"} for item in keys["Items"])
    whole = db.query(**request, Select="ALL_ATTRIBUTES", ReturnConsumedCapacity="TOTAL")
    assert all(item.keys() == {"pk", "sk", "rank", "note", "rest", "team"} for item in whole["Items"])
    some = db.query(**request, ProjectionExpression="note")
    assert [item.keys() for item in some["Items"]] == [{"note"}] * 5
    units = [answer["ConsumedCapacity"]["CapacityUnits"] for answer in (keys, whole)]
    assert units == [0.5, 3.0]


# Why: [A] Select: COUNT gives no items; the others go with an index, or with a projection.
def test_select(db: Any, table: str) -> None:
    condition = key_condition("pk = :pk", pk=s("a"))
    counted = db.query(TableName=table, Select="COUNT", **condition)
    assert (counted["Count"], "Items" in counted) == (10, False)
    with invalid("ALL_PROJECTED_ATTRIBUTES can be used only when Querying using an IndexName"):
        db.query(TableName=table, Select="ALL_PROJECTED_ATTRIBUTES", **condition)
    with invalid(
        "Must specify the AttributesToGet or ProjectionExpression when choosing to get SPECIFIC_ATTRIBUTES"
    ):
        db.query(TableName=table, Select="SPECIFIC_ATTRIBUTES", **condition)
    with invalid(
        "One or more parameter values were invalid: Select type ALL_ATTRIBUTES is not supported for global "
        "secondary index by_team because its projection type is not ALL"
    ):
        db.query(
            TableName=table,
            IndexName="by_team",
            Select="ALL_ATTRIBUTES",
            **key_condition("team = :t", t=s("red")),
        )


# Why: [A] "Strongly consistent reads are not supported on global secondary indexes".
def test_consistent_reads_are_for_the_table_and_local_indexes(db: Any, table: str) -> None:
    condition = key_condition("pk = :pk", pk=s("a"))
    assert db.query(TableName=table, IndexName="by_rank", ConsistentRead=True, **condition)["Count"] == 5
    with invalid("Consistent reads are not supported on global secondary indexes"):
        db.query(
            TableName=table,
            IndexName="by_team",
            ConsistentRead=True,
            **key_condition("team = :t", t=s("red")),
        )


# Why: [A] FilterExpression is applied after the read: Count and ScannedCount differ; keys may not be in it.
def test_a_filter_is_applied_after_the_read(db: Any, table: str) -> None:
    condition = key_condition("pk = :pk AND sk < :x", pk=s("a"), x=n(4), team=s("red"))
    answer = db.query(TableName=table, FilterExpression="team = :team", **condition)
    assert (answer["Count"], answer["ScannedCount"]) == (3, 6)
    with invalid("Filter Expression can only contain non-primary key attributes: Primary key attribute: sk"):
        db.query(
            TableName=table,
            FilterExpression="sk = :y",
            **key_condition("pk = :pk", pk=s("a"), y=n(1)),
        )


# Why: developerguide/Query.KeyConditionExpressions: what a key condition may be, in AWS's words.
@pytest.mark.parametrize(
    ("condition", "values", "message"),
    [
        ("sk = :x", {"x": n(1)}, "Query condition missed key schema element: pk"),
        ("pk > :x", {"x": s("a")}, "Query key condition not supported"),
        (
            "pk = :x AND sk <> :y",
            {"x": s("a"), "y": n(1)},
            "Invalid operator used in KeyConditionExpression: <>",
        ),
        (
            "pk = :x OR sk = :y",
            {"x": s("a"), "y": n(1)},
            "Invalid operator used in KeyConditionExpression: OR",
        ),
        (
            "pk = :x AND note = :y",
            {"x": s("a"), "y": s("b")},
            "Query condition missed key schema element: sk",
        ),
        (
            "pk = :x",
            {"x": n(1)},
            "One or more parameter values were invalid: Condition parameter type does not match schema type",
        ),
    ],
)
def test_what_is_wrong_with_a_key_condition_is_told(
    db: Any, table: str, condition: str, values: dict[str, Any], message: str
) -> None:
    with invalid(message):
        db.query(TableName=table, **key_condition(condition, **values))


# Why: [A] an index that is not there; a start key that is none; a Limit below one.
def test_other_mistakes_are_told(db: Any, table: str) -> None:
    condition = key_condition("pk = :pk", pk=s("a"))
    with invalid("The table does not have the specified index: other"):
        db.query(TableName=table, IndexName="other", **condition)
    with invalid("The provided starting key is invalid"):
        db.query(TableName=table, ExclusiveStartKey={"pk": s("a")}, **condition)
    with invalid(
        "Either the KeyConditions or KeyConditionExpression parameter must be specified in the request."
    ):
        db.query(TableName=table)
    with invalid(
        "1 validation error detected: Value at 'Limit' failed to satisfy constraint: Member must have value "
        "greater than or equal to 1"
    ):
        db.query(TableName=table, Limit=0, **condition)
    with refused("ResourceNotFoundException", "Requested resource not found"):
        db.query(TableName="not-there", **condition)


# Why: developerguide/read-write-operations: the bytes of the page are summed, then rounded up to 4 KB.
def test_a_page_consumes_by_the_sum_of_its_bytes(db: Any, table: str) -> None:
    condition = key_condition("pk = :pk", pk=s("a"))
    answer = db.query(TableName=table, ConsistentRead=True, ReturnConsumedCapacity="INDEXES", **condition)
    assert answer["ConsumedCapacity"]["Table"] == {"CapacityUnits": 1.0}
    indexed = db.query(
        TableName=table,
        IndexName="by_team",
        ReturnConsumedCapacity="INDEXES",
        **key_condition("team = :t", t=s("red")),
    )["ConsumedCapacity"]
    assert indexed["GlobalSecondaryIndexes"] == {"by_team": {"CapacityUnits": 0.5}}
    assert indexed["Table"] == {"CapacityUnits": 0.0}


# Why: the legacy parameters mean the same.
def test_key_conditions_and_query_filter(db: Any, table: str) -> None:
    answer = db.query(
        TableName=table,
        KeyConditions={
            "pk": {"ComparisonOperator": "EQ", "AttributeValueList": [s("a")]},
            "sk": {"ComparisonOperator": "BETWEEN", "AttributeValueList": [n(0), n(3)]},
        },
        QueryFilter={"team": {"ComparisonOperator": "NOT_NULL"}},
        AttributesToGet=["sk"],
    )
    assert answer["Items"] == [{"sk": n(0)}, {"sk": n(2)}]
    assert answer["ScannedCount"] == 4


# Why: announced in 2025: a global index may have up to four attributes in each part of its key.
def test_an_index_with_several_key_attributes(db: Any, new_table: NewTable) -> None:
    key = [("team", "HASH"), ("year", "HASH"), ("rank", "RANGE"), ("name", "RANGE")]
    table = new_table(
        AttributeDefinitions=definitions(pk="S", team="S", year="N", rank="N", name="S"),
        GlobalSecondaryIndexes=[
            {
                "IndexName": "several",
                "KeySchema": [{"AttributeName": name, "KeyType": type_} for name, type_ in key],
                "Projection": {"ProjectionType": "ALL"},
            }
        ],
    )
    for number, (rank, name) in enumerate([(1, "b"), (1, "a"), (2, "c"), (10, "d")]):
        item = {"pk": s(str(number)), "team": s("t"), "year": n(1), "rank": n(rank), "name": s(name)}
        db.put_item(TableName=table, Item=item)
    request = key_condition("team = :t AND #y = :y AND #r = :r", t=s("t"), y=n(1), r=n(1))
    answer = db.query(
        TableName=table,
        IndexName="several",
        ExpressionAttributeNames={"#y": "year", "#r": "rank"},
        **request,
    )
    assert values_of(answer["Items"], "name") == ["a", "b"]
