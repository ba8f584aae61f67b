"""GetItem at a glance is GetItem: the same plan for the usual body, and no plan for any other."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.tables import table_request

from penstock.database.actions import GLANCES
from penstock.errors import PenstockError
from penstock.operations.dynamodb import get_item
from penstock.operations.json_door import parse_body
from penstock.testing.databases import MemoryDatabase

TABLES = {"notes": "pk sk", "plain": "pk"}


@pytest.fixture(scope="module")
def db() -> MemoryDatabase:
    db = MemoryDatabase()
    for name, keys in TABLES.items():
        db.ask("CreateTable", **table_request(name, keys))
        item = {key: {"S": "a:b"} for key in keys.split()} | {"note": {"S": "é"}}
        db.ask("PutItem", TableName=name, Item=item)
    return db


def both(db: MemoryDatabase, body: bytes) -> tuple[object, object]:
    """What a glance plans, and what the action does."""
    context = db.database.context()
    seen = get_item.glance(body, context)
    try:
        return seen, get_item.run(parse_body(body), context)
    except PenstockError as error:
        return seen, error


# Why: the measured request must take the short way, or it is code without a use.
@pytest.mark.parametrize(
    "body",
    [
        b'{"TableName":"notes","Key":{"pk":{"S":"a:b"},"sk":{"S":"a:b"}}}',
        b'{"Key": {"sk": {"S": "a:b"}, "pk": {"S": "none"}}, "TableName": "notes"}',
        '{"TableName":"plain","Key":{"pk":{"S":"é"}}}'.encode(),
    ],
)
def test_the_usual_request_is_answered_at_a_glance_as_the_action_answers_it(
    db: MemoryDatabase, body: bytes
) -> None:
    seen, planned = both(db, body)
    assert seen is not None
    assert seen == planned


# Why: each of these has another answer than the item under the key that stands there last, or needs more looking.
@pytest.mark.parametrize(
    "body",
    [
        b'{"TableName":"plain","Key":{"pk":{"S":"a"},"pk":{"S":"a:b"}}}',
        b'{"TableName":"plain","Key":{"pk":{"S":"a","S":"a:b"}}}',
        b'{"TableName":"notes","TableName":"plain","Key":{"pk":{"S":"a:b"}}}',
        b'{"TableName":"plain","Key":{"pk":{"S":"a\\u003ab"},"pk":{"S":"a\\u003ab"}}}',
        b'{"TableName":"plain","Key":{"pk":{"S":""}}}',
        b'{"TableName":"plain","Key":{"pk":{"S":"a"},"sk":{"S":"a"}}}',
        b'{"TableName":"plain","Key":{"sk":{"S":"a"}}}',
        b'{"TableName":"plain","Key":{"pk":{"N":"1"}}}',
        b'{"TableName":"plain","Key":{"pk":{"S":1}}}',
        b'{"TableName":"plain","Key":{"pk":"a"}}',
        b'{"TableName":"plain","Key":[]}',
        b'{"TableName":"arn:aws:dynamodb:us-east-1:000000000000:table/plain","Key":{"pk":{"S":"a"}}}',
        b'{"TableName":"gone","Key":{"pk":{"S":"a"}}}',
        b'{"TableName":["plain"],"Key":{"pk":{"S":"a"}}}',
        b'{"TableName":"plain","Key":{"pk":{"S":"a"}},"ConsistentRead":true}',
        b'{"TableName":"plain","Key":{"pk":{"S":"a\xff"}}}',
        b'{"TableName":"plain","Key":{"pk":{"S":"a"}}} x',
        b"[]",
        b"",
    ],
)
def test_anything_else_is_left_to_the_action(db: MemoryDatabase, body: bytes) -> None:
    assert both(db, body)[0] is None


PIECES = st.sampled_from(
    [
        b'"pk":{"S":"a:b"}',
        b'"sk":{"S":"a:b"}',
        b'"pk":{"S":"a"}',
        b'"pk":{"N":"1"}',
        b'"sk":{"S":"a","S":"a:b"}',
        b'"\\u0070k":{"S":"a"}',
        b'"pk":{"S":":"}',
        b'"pk":null',
        b'"sk":{}',
        b'":":{"S":":"}',
        '"pk":{"S":"é"}'.encode(),
    ]
)
MEMBERS = st.one_of(
    st.sampled_from(
        [b'"TableName":"notes"', b'"TableName":"plain"', b'"TableName":"gone"', b'"x":":"', b'"Key":{}']
    ),
    st.lists(PIECES, max_size=3).map(lambda parts: b'"Key":{' + b",".join(parts) + b"}"),
)


# Why: two readers of one body that disagree are how a check is passed by.
@given(
    st.lists(MEMBERS, max_size=4).map(lambda parts: b"{" + b",".join(parts) + b"}"),
    st.integers(0, 90),
    st.binary(max_size=1),
)
@example(b'{"TableName":"plain","Key":{"pk":{"S":"a:b"}}}', 0, b"")
def test_a_glance_never_differs_from_the_action(
    db: MemoryDatabase, body: bytes, at: int, noise: bytes
) -> None:
    for each in (body, body[:at] + noise + body[at:]):
        seen, planned = both(db, each)
        assert seen is None or seen == planned


# Why: an item of a table under a bad day's weather must meet it.
def test_only_the_plain_action_is_glanced_at(db: MemoryDatabase) -> None:
    assert list(GLANCES) == [get_item.run]
    status, body = db.call_bytes("GetItem", orjson.dumps({"TableName": "plain", "Key": {"pk": {"S": "a:b"}}}))
    assert (status, orjson.loads(body)["Item"]["note"]) == (200, {"S": "é"})
