"""The explorer's form as requests, over a database that decides whether they mean what they say."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import QueryParams

from penstock.console import exploring, snippets, typed_json
from penstock.console.exploring import Form, build, pick, read_form, targets
from penstock.errors import UsageError
from penstock.testing.databases import MemoryDatabase

KEYS = [{"AttributeName": "c", "KeyType": "HASH"}, {"AttributeName": "n", "KeyType": "RANGE"}]
INDEX = {"IndexName": "by_day", "KeySchema": [{"AttributeName": "day", "KeyType": "HASH"}]}


@pytest.fixture
def database() -> MemoryDatabase:
    made = MemoryDatabase()
    made.ask(
        "CreateTable",
        TableName="Things",
        KeySchema=KEYS,
        AttributeDefinitions=[
            {"AttributeName": "c", "AttributeType": "S"},
            {"AttributeName": "n", "AttributeType": "N"},
            {"AttributeName": "day", "AttributeType": "S"},
        ],
        GlobalSecondaryIndexes=[{**INDEX, "Projection": {"ProjectionType": "KEYS_ONLY"}}],
        BillingMode="PAY_PER_REQUEST",
    )
    made.tick()
    for number in range(10):
        deep = {"M": {"list": {"L": [{"N": str(number)}]}}}
        item = {"c": {"S": "a"}, "n": {"N": str(number)}, "day": {"S": f"d{number % 2}"}, "size": deep}
        made.ask("PutItem", TableName="Things", Item=item)
    return made


def _form(query: str) -> Form:
    params = QueryParams(query)
    return read_form(params.get, params.getlist)


def _ask(database: MemoryDatabase, query: str) -> dict[str, Any]:
    form = _form(query)
    found = targets(database.ask("DescribeTable", TableName="Things")["Table"])
    action, request = build(form, "Things", pick(found, form.index))
    return database.ask(action, **request)


def _numbers(answer: dict[str, Any]) -> list[int]:
    return [int(item["n"]["N"]) for item in answer["Items"]]


# Why: each way to fill in the form reads what it says.
@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("mode=query&pk=a&op=between&sk=3&sk2=5", [3, 4, 5]),
        ("mode=query&pk=a&op=%3E%3D&sk=8", [8, 9]),
        ("mode=query&pk=a&op=%3C&sk=2&order=desc", [1, 0]),
        ("mode=query&pk=a&f.name=size.list%5B0%5D&f.op=%3E&f.type=N&f.value=7", [8, 9]),
        ("mode=query&pk=a&f.name=size&f.op=missing&f.type=S&f.value=", []),
        ("mode=query&pk=nobody", []),
    ],
)
def test_a_form_reads_what_it_says(database: MemoryDatabase, query: str, expected: list[int]) -> None:
    assert _numbers(_ask(database, query)) == expected


# Why: an index is another key; its rows lead to the items of the table.
def test_an_index_is_queried_by_its_own_key(database: MemoryDatabase) -> None:
    answer = _ask(database, "mode=query&index=by_day&pk=d1")
    found = targets(database.ask("DescribeTable", TableName="Things")["Table"])
    assert sorted(_numbers(answer)) == [1, 3, 5, 7, 9]
    assert exploring.key_of(answer["Items"][0], found[0]).keys() == {"c", "n"}
    assert exploring.columns(answer["Items"], found[1], found[0]) == ["c", "n", "day"]


# Why: the next page begins where this one ended, whatever the key's types are.
def test_pages_follow_each_other(database: MemoryDatabase) -> None:
    seen: list[int] = []
    start = ""
    for _ in range(4):
        answer = _ask(database, f"mode=query&pk=a&limit=3&start={start}")
        seen += _numbers(answer)
        if "LastEvaluatedKey" in answer:
            start = typed_json.key_word(answer["LastEvaluatedKey"])
    assert seen == list(range(10))


# Why: a mistake is said in the words of the form, before a request is sent.
@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("mode=query", "needs the partition key"),
        ("mode=query&pk=a&op=%3D&sk=ten", "'ten' is not a number"),
        ("mode=scan&f.name=a..b&f.op=%3D&f.type=S&f.value=", "is no attribute"),
        ("mode=scan&f.name=a&f.op=%3D&f.type=BOOL&f.value=maybe", "true or false"),
        ("mode=scan&f.name=a&f.op=%3D&f.type=B&f.value=***", "base64"),
        ("mode=scan&start=%25%25", "no key"),
        ("mode=scan&index=none", "no index"),
    ],
)
def test_a_mistake_is_said_in_the_forms_words(database: MemoryDatabase, query: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        _ask(database, query)


# Why: whatever an attribute is called, and whatever is typed, the request is one that the engine understands.
@given(
    names=st.lists(st.sampled_from(["name", "size", "a b", "#x", ":y", "ORDER", "ü"]), max_size=3),
    text=st.text(max_size=8),
)
def test_any_filter_makes_a_request_that_is_understood(names: Sequence[str], text: str) -> None:
    database = MemoryDatabase()
    definition = {"AttributeName": "k", "AttributeType": "S"}
    schema = [{"AttributeName": "k", "KeyType": "HASH"}]
    database.ask(
        "CreateTable",
        TableName="Any",
        KeySchema=schema,
        AttributeDefinitions=[definition],
        BillingMode="PAY_PER_REQUEST",
    )
    database.tick()
    filters = tuple(exploring.Filter(name, "contains", "S", text) for name in names)
    found = targets(database.ask("DescribeTable", TableName="Any")["Table"])
    action, request = build(Form(mode="scan", filters=filters), "Any", found[0])
    assert database.ask(action, **request)["Items"] == []


# Why: what is copied must be the same request, for a shell and for Python.
def test_snippets_mean_the_request() -> None:
    request = {
        "TableName": "T",
        "Key": {"k": {"S": "it's"}, "b": {"B": b"\x00"}},
        "ConsistentRead": True,
        "Limit": 3,
    }
    words = shlex.split(snippets.as_cli("GetItem", request, "http://x").replace("\\\n", ""))
    assert words[:3] == ["aws", "dynamodb", "get-item"]
    assert words[words.index("--key") + 1] == '{"k":{"S":"it\'s"},"b":{"B":"AA=="}}'
    assert "--consistent-read" in words
    source = snippets.as_python("GetItem", request, "http://x")
    told = source[source.index("client.get_item") :].replace("client.get_item", "dict")
    assert eval(told) == request


VALUES = st.recursive(
    st.one_of(
        st.builds(lambda text: {"S": text}, st.text(max_size=5)),
        st.builds(lambda number: {"N": str(number)}, st.integers()),
        st.builds(lambda held: {"B": held}, st.binary(max_size=5)),
        st.builds(lambda held: {"BS": held}, st.lists(st.binary(max_size=3), max_size=2)),
        st.builds(lambda held: {"BOOL": held}, st.booleans()),
    ),
    lambda inner: st.one_of(
        st.builds(lambda held: {"L": held}, st.lists(inner, max_size=3)),
        st.builds(lambda held: {"M": held}, st.dictionaries(st.text(max_size=3), inner, max_size=3)),
    ),
    max_leaves=6,
)


# Why: T1 and T2: an item that is opened and saved unchanged is the same item, and a link leads to the key that it was made from.
@given(st.dictionaries(st.text(max_size=4), VALUES, max_size=4))
def test_items_and_keys_survive_their_text(item: dict[str, Any]) -> None:
    assert typed_json.item_of(typed_json.text_of(item)) == item
    assert typed_json.key_of_word(typed_json.key_word(item)) == item
