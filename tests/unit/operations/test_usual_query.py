"""A query that is like one before it is read by what is remembered; its answer must be what the whole way gives."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.tables import definitions, index, table_request

from penstock.engine.plans import Context, Plan
from penstock.errors import ServiceError
from penstock.operations.dynamodb import query
from penstock.testing.databases import MemoryDatabase, memory_database

TEXTS = ("a", "b", "a\0", "é", ":x", "2026-11-20T10:00:00", "", "x" * 2000)
VALUES = st.sampled_from(
    [{"S": text} for text in TEXTS] + [{"N": "1"}, {"N": "01"}, {"S": 1}, {}, {"S": "a", "N": "1"}, None, "a"]
)
CONDITIONS = (
    "pk = :p",
    "#p = :p",
    "#p = :p AND #s = :l",
    "#p = :p AND #s BETWEEN :l AND :h",
    "#s < :l AND :p = #p",
    "#p = :p AND begins_with(#s, :l)",
    "#p = :p AND #s >= :l",
    "#p = :p OR #s = :l",
    "#p > :p",
    "sk = :l",
    "#p = :p AND #s = :l AND other = :h",
    "#p =",
    7,
)
MEMBERS: dict[str, st.SearchStrategy[Any]] = {
    "IndexName": st.sampled_from(["by_at", "by_kind", "by_number", "none", None, 3]),
    "ExpressionAttributeNames": st.sampled_from(
        [
            {"#p": "pk", "#s": "sk"},
            {"#p": "pk", "#s": "at"},
            {"#p": "kind", "#s": "pk"},
            {"#p": "pk"},
            {"#p": 3},
            {},
            None,
        ]
    ),
    "ExpressionAttributeValues": st.dictionaries(
        st.sampled_from([":p", ":l", ":h", "p"]), VALUES, max_size=4
    ),
    "Limit": st.sampled_from([1, 2, 5, 600, 0, -1, None, True, "1"]),
    "ScanIndexForward": st.sampled_from([True, False, 0, None]),
    "ConsistentRead": st.sampled_from([True, False, 1, None]),
    "ReturnConsumedCapacity": st.sampled_from(["TOTAL", "NONE"]),
    "Select": st.sampled_from(["COUNT", "ALL_ATTRIBUTES"]),
    "Nonsense": st.just(1),
}
REQUESTS = st.builds(
    lambda always, more: always | more,
    st.fixed_dictionaries(
        {
            "TableName": st.sampled_from(["notes", "notes", "notes", "none", None, 3]),
            "KeyConditionExpression": st.sampled_from(CONDITIONS),
        }
    ),
    st.fixed_dictionaries({}, optional=MEMBERS),
)


def filled() -> MemoryDatabase:
    database = memory_database()
    database.ask(
        "CreateTable",
        **table_request(
            "notes",
            "pk sk",
            AttributeDefinitions=definitions(pk="S", sk="S", at="S", kind="S", number="N"),
            LocalSecondaryIndexes=[index("by_at", "pk", "at", "KEYS_ONLY")],
            GlobalSecondaryIndexes=[index("by_kind", "kind", "pk"), index("by_number", "number", "pk")],
        ),
    )
    for number, text in enumerate(("a", "b", "a\0", "é", ":x", "2026-11-20T10:00:00")):
        for place in ("a", "b", "é"):
            item = {"pk": {"S": place}, "sk": {"S": text}, "at": {"S": text}, "kind": {"S": text}}
            database.ask("PutItem", TableName="notes", Item=item | {"number": {"N": str(number)}})
    database.settle()
    return database


@pytest.fixture(scope="module")
def context() -> Context:
    return filled().database.context()


def told(request: Any, context: Context, way: Any) -> Plan | str | None:
    try:
        outcome = way(deepcopy(request), context)
        if outcome is None or isinstance(outcome, Plan):
            return outcome
        while True:
            try:
                next(outcome)
            except StopIteration as finished:
                plan: Plan = finished.value
                return plan
    except ServiceError as error:
        return f"{error.code}: {error.message}"


# Why: the short way must never answer what the whole way would refuse, or otherwise than it.
@given(request=REQUESTS)
def test_the_short_way_says_what_the_whole_way_says_or_nothing(request: Any, context: Context) -> None:
    short = told(request, context, query._usual)
    assert short is None or short == told(request, context, query._any)


# Why: a short way that is never taken would pass every other test.
@pytest.mark.parametrize(
    ("index_name", "names", "condition"),
    [
        (None, {"#p": "pk", "#s": "sk"}, "#p = :p AND #s BETWEEN :l AND :h"),
        ("by_at", {"#p": "pk", "#t": "at"}, "#p = :p AND #t BETWEEN :l AND :h"),
        ("by_kind", None, "kind = :p AND pk BETWEEN :l AND :h"),
    ],
)
@pytest.mark.parametrize("more", [{}, {"Limit": 2}, {"ScanIndexForward": False, "Limit": 1}])
def test_a_usual_query_takes_the_short_way(
    index_name: str | None,
    names: dict[str, str] | None,
    condition: str,
    more: dict[str, Any],
    context: Context,
) -> None:
    request = {
        "TableName": "notes",
        "KeyConditionExpression": condition,
        "ExpressionAttributeValues": {":p": {"S": "a"}, ":l": {"S": "a"}, ":h": {"S": "é"}},
        **({} if index_name is None else {"IndexName": index_name}),
        **({} if names is None else {"ExpressionAttributeNames": names}),
        **more,
    }
    short = told(request, context, query._usual)
    assert isinstance(short, Plan)
    assert b'"Items":[{' in short.reply
    assert short == told(request, context, query._any)


# Why: a long page is read in slices, so that others have their turn; the short way must leave it alone.
def test_a_page_of_more_than_a_slice_is_left_to_the_whole_way() -> None:
    database = filled()
    for number in range(0, 600, 25):
        puts = [
            {"PutRequest": {"Item": {"pk": {"S": "many"}, "sk": {"S": f"{n:04}"}}}}
            for n in range(number, number + 25)
        ]
        database.ask("BatchWriteItem", RequestItems={"notes": puts})
    request = {
        "TableName": "notes",
        "KeyConditionExpression": "pk = :p",
        "ExpressionAttributeValues": {":p": {"S": "many"}},
    }
    context = database.database.context()
    assert told(request, context, query._usual) is None
    assert database.ask("Query", **request)["Count"] == 600
    short = told(request | {"Limit": 512}, context, query._usual)
    assert isinstance(short, Plan)
    assert short == told(request | {"Limit": 512}, context, query._any)
