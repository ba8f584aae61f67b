"""Scan over the wire."""

from __future__ import annotations

from typing import Any

import pytest
from tests.conformance.answers import all_pages, invalid, items_of, n, refused, s, values_of
from tests.conformance.conftest import NewTable
from tests.tables import definitions, index


@pytest.fixture
def table(db: Any, new_table: NewTable) -> str:
    """Thirty items, every third in the index."""
    name = new_table(
        AttributeDefinitions=definitions(pk="S", team="S"),
        GlobalSecondaryIndexes=[index("by_team", "team", projection="KEYS_ONLY")],
    )
    for number in range(30):
        item = {"pk": s(f"{number:02d}"), "x": n(number)}
        if number % 3 == 0:
            item["team"] = s("red")
        db.put_item(TableName=name, Item=item)
    return name


ALL = [f"{number:02d}" for number in range(30)]


# Why: [A] pages of any Limit join to every item, each once.
@pytest.mark.parametrize("limit", [1, 7, 30, 31])
def test_pages_join_to_every_item_once(db: Any, table: str, limit: int) -> None:
    pages = all_pages(db.scan, TableName=table, Limit=limit)
    assert sorted(values_of(items_of(pages), "pk")) == ALL
    assert all(page["ScannedCount"] <= limit for page in pages)


# Why: [A] parallel scan: every item in exactly one segment.
@pytest.mark.parametrize("segments", [1, 2, 3, 8, 100])
def test_each_item_is_in_exactly_one_segment(db: Any, table: str, segments: int) -> None:
    found = [
        item
        for segment in range(segments)
        for item in items_of(
            all_pages(db.scan, TableName=table, TotalSegments=segments, Segment=segment, Limit=4)
        )
    ]
    assert sorted(values_of(found, "pk")) == ALL


# Why: [A] "you can retrieve a maximum of 1 MB of data", before the filter.
def test_a_page_ends_at_1_mb_before_the_filter(db: Any, new_table: NewTable) -> None:
    table = new_table()
    for number in range(8):
        db.put_item(TableName=table, Item={"pk": s(str(number)), "x": s("x" * 300_000)})
    pages = all_pages(
        db.scan,
        TableName=table,
        FilterExpression="attribute_not_exists(x)",
        ReturnConsumedCapacity="TOTAL",
    )
    assert [page["ScannedCount"] for page in pages] == [
        4,
        4,
        0,
    ]  # The second page ends with the last item: it cannot know.
    assert [page["Count"] for page in pages] == [0, 0, 0]
    assert pages[0]["ConsumedCapacity"]["CapacityUnits"] == 146.5


# Why: a sparse index is scanned as a table of its own.
def test_an_index_is_scanned_by_itself(db: Any, table: str) -> None:
    answer = db.scan(TableName=table, IndexName="by_team")
    assert sorted(values_of(answer["Items"], "pk")) == ALL[::3]
    assert all(item.keys() == {"pk", "team"} for item in answer["Items"])
    pages = all_pages(db.scan, TableName=table, IndexName="by_team", Limit=3)
    assert sorted(values_of(items_of(pages), "pk")) == ALL[::3]


# Why: [A] FilterExpression: every function and operator; what is filtered away was read.
@pytest.mark.parametrize(
    ("expression", "values", "count"),
    [
        ("x < :a", {"a": n(10)}, 10),
        ("x BETWEEN :a AND :b", {"a": n(10), "b": n(12)}, 3),
        ("x IN (:a, :b)", {"a": n(1), "b": n(99)}, 1),
        ("attribute_exists(team) AND NOT x > :a", {"a": n(9)}, 4),
        ("attribute_not_exists(team) OR x = :a", {"a": n(0)}, 21),
        ("attribute_type(x, :a)", {"a": s("N")}, 30),
        ("begins_with(team, :a)", {"a": s("re")}, 10),
        ("contains(team, :a)", {"a": s("ed")}, 10),
        ("size(team) = :a", {"a": n(3)}, 10),
        ("x <> :a", {"a": s("0")}, 30),
        ("pk = :a", {"a": s("07")}, 1),
    ],
)
def test_filters(db: Any, table: str, expression: str, values: dict[str, Any], count: int) -> None:
    answer = db.scan(
        TableName=table,
        FilterExpression=expression,
        ExpressionAttributeValues={f":{name}": value for name, value in values.items()},
    )
    assert (answer["Count"], answer["ScannedCount"]) == (count, 30)
    assert len(answer["Items"]) == count


# Why: [A] COUNT without items, projections, and the legacy ScanFilter.
def test_counts_projections_and_the_legacy_filter(db: Any, table: str) -> None:
    counted = db.scan(TableName=table, Select="COUNT")
    assert (counted["Count"], "Items" in counted) == (30, False)
    names = [item.keys() for item in db.scan(TableName=table, ProjectionExpression="x")["Items"]]
    assert names == [{"x"}] * 30
    legacy = {"x": {"ComparisonOperator": "GE", "AttributeValueList": [n(28)]}}
    assert db.scan(TableName=table, ScanFilter=legacy)["Count"] == 2


# Why: [A] Segment and TotalSegments belong together and within each other; the other constraints.
@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (
            {"Segment": 0},
            "The TotalSegments parameter is required but was not present in the request when Segment parameter is "
            "present",
        ),
        (
            {"TotalSegments": 2},
            "The Segment parameter is required but was not present in the request when parameter TotalSegments is "
            "present",
        ),
        (
            {"Segment": 2, "TotalSegments": 2},
            "The Segment parameter is zero-based and must be less than parameter TotalSegments: Segment: 2 is not "
            "less than TotalSegments: 2",
        ),
        ({"IndexName": "other"}, "The table does not have the specified index: other"),
        (
            {"IndexName": "by_team", "ConsistentRead": True},
            "Consistent reads are not supported on global secondary indexes",
        ),
        (
            {"Select": "ALL_ATTRIBUTES", "IndexName": "by_team"},
            "One or more parameter values were invalid: Select type ALL_ATTRIBUTES is not supported for global "
            "secondary index by_team because its projection type is not ALL",
        ),
    ],
)
def test_mistakes_are_told(db: Any, table: str, request_: dict[str, Any], message: str) -> None:
    with invalid(message):
        db.scan(TableName=table, **request_)


# Why: a segment's pages go on in that segment only.
def test_a_start_key_of_another_segment_is_refused(db: Any, table: str) -> None:
    last = db.scan(TableName=table, TotalSegments=2, Segment=0, Limit=1)["LastEvaluatedKey"]
    with invalid(
        "The provided starting key is invalid: Invalid ExclusiveStartKey. Please use ExclusiveStartKey "
        "with correct Segment. TotalSegments: 2 Segment: 1"
    ):
        db.scan(TableName=table, TotalSegments=2, Segment=1, ExclusiveStartKey=last)


# Why: [A] ResourceNotFoundException.
def test_a_table_that_is_not_there_is_told(db: Any) -> None:
    with refused("ResourceNotFoundException", "Requested resource not found"):
        db.scan(TableName="not-there")
