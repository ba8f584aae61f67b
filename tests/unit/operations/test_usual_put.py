"""A put of the usual form is seen at a glance; its plan must be what the whole way plans."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.tables import definitions, index, table_request

from penstock.engine.plans import Context, Plan
from penstock.errors import ServiceError
from penstock.operations.dynamodb import put_item
from penstock.testing.databases import memory_database

VALUES: st.SearchStrategy[Any] = st.sampled_from(
    [{"S": text} for text in ("a", "é", "", "x" * 3000, "x" * 420_000)]
    + [{"N": text} for text in ("1", "007", "1e3", "0.10", "-2.50", "x", "1" * 39, "999", "1000")]
    + [{"S": 1}, {"S": "a", "N": "1"}, {}, None, "a", "S", ["S"], [], {"BOOL": True}, {"NULL": False}]
    + [
        {"M": {"k": {"N": "01"}}},
        {"L": [{"S": "a"}, {"X": 1}]},
        {"SS": ["a", "a"]},
        {"B": "YQ=="},
        {"B": "!"},
    ]
)
ITEMS = st.builds(
    lambda keys, more: {name: value for name, value in (keys | more).items() if value != "absent"},
    st.fixed_dictionaries(
        {
            "pk": st.sampled_from([{"S": "a"}, {"S": "a"}, {"S": ""}, {"N": "1"}, "absent"]),
            "sk": st.sampled_from([{"S": "1"}, {"S": "1"}, {"S": "new"}, {"S": "x" * 1025}]),
        }
    ),
    st.dictionaries(st.sampled_from(["note", "kind", "number", "é", "", "n" * 70_000]), VALUES, max_size=3),
)
CONDITIONS = (
    "attribute_not_exists(pk)",
    "attribute_exists(pk)",
    "attribute_not_exists(note)",
    "kind = note",
    "pk.inner = note",
    "pk[0] = note",
    "#pk = note",
    "pk = :v",
    "pk =",
    "",
    "a" * 5000,
    None,
    3,
)
MEMBERS: dict[str, st.SearchStrategy[Any]] = {
    "ConditionExpression": st.sampled_from(CONDITIONS),
    "ReturnValues": st.sampled_from(["ALL_OLD", "NONE"]),
    "ExpressionAttributeNames": st.just({"#pk": "pk"}),
    "Nonsense": st.just(1),
}
REQUESTS: st.SearchStrategy[Any] = st.builds(
    lambda always, more: always | more,
    st.fixed_dictionaries(
        {
            "TableName": st.sampled_from(["notes"] * 6 + ["none", "arn:x:table/notes", None, 3]),
            "Item": st.one_of(ITEMS, ITEMS, ITEMS, st.sampled_from([None, [], "a", {}])),
        }
    ),
    st.fixed_dictionaries({}, optional=MEMBERS),
)


@pytest.fixture(scope="module")
def context() -> Context:
    database = memory_database()
    database.ask(
        "CreateTable",
        **table_request(
            "notes",
            "pk sk",
            AttributeDefinitions=definitions(pk="S", sk="S", kind="S", number="N"),
            GlobalSecondaryIndexes=[index("by_kind", "kind", "pk"), index("by_number", "number", "pk")],
            StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
        ),
    )
    old = {"pk": {"S": "a"}, "sk": {"S": "1"}, "kind": {"S": "a"}, "number": {"N": "7"}}
    database.ask("PutItem", TableName="notes", Item=old)
    database.settle()
    return database.database.context()


def told(request: Any, context: Context, way: Any) -> Plan | str | None:
    try:
        plan: Plan | None = way(deepcopy(request), context)
    except ServiceError as error:
        return f"{error.code}: {error.message}"
    return plan


# Why: the short way must never take what the whole way refuses, nor refuse or plan otherwise than it. What it leaves to the whole
# way it may have made canonical in part: the whole way then says the same of it.
@given(request=REQUESTS)
def test_the_short_way_plans_what_the_whole_way_plans_or_nothing(request: Any, context: Context) -> None:
    whole = told(request, context, put_item._any)
    short = told(request, context, put_item._usual)
    assert short is None or short == whole
    assert told(request, context, put_item.run) == whole


# Why: a short way that is never taken would pass every other test.
@pytest.mark.parametrize("more", [{}, {"ConditionExpression": "attribute_not_exists(nothing)"}])
def test_a_usual_put_takes_the_short_way(more: dict[str, Any], context: Context) -> None:
    item = {"pk": {"S": "a"}, "sk": {"S": "2"}, "kind": {"S": "b"}, "price": {"N": "1.50"}, "L": {"L": []}}
    request = {"TableName": "notes", "Item": item, **more}
    short = told(request, context, put_item._usual)
    assert isinstance(short, Plan)
    assert len(short.puts) == 2
    assert short == told(request, context, put_item._any)


# Why: a condition is the commonest reason for a refusal, and its error must not wait for the whole way.
def test_a_failed_condition_is_told_by_the_short_way(context: Context) -> None:
    request = {
        "TableName": "notes",
        "Item": {"pk": {"S": "a"}, "sk": {"S": "1"}},
        "ConditionExpression": "attribute_not_exists(pk)",
    }
    short = told(request, context, put_item._usual)
    assert isinstance(short, str)
    assert short.startswith("ConditionalCheckFailedException")
    assert short == told(request, context, put_item._any)
