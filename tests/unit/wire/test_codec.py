"""boto3's shapes to bytes and back, held to botocore's own model and to what boto3 sends."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import botocore.session
import orjson
import pytest
from botocore.model import Shape
from hypothesis import given
from hypothesis import strategies as st

from penstock.wire.codec import (
    TIMES,
    WITHOUT_TIMES,
    decode_answer,
    decode_error,
    encode_request,
    target_of,
)

MODELS = [botocore.session.get_session().get_service_model(n) for n in ("dynamodb", "dynamodbstreams")]


def times_in(shape: Shape | None, seen: frozenset[str] = frozenset()) -> Iterator[str]:
    if shape is None or shape.name in seen:
        return
    seen |= {shape.name}
    if shape.type_name == "structure":
        for name, member in shape.members.items():
            if member.type_name == "timestamp":
                yield name
            yield from times_in(member, seen)
    elif shape.type_name == "list":
        yield from times_in(shape.member, seen)
    elif shape.type_name == "map":
        yield from times_in(shape.value, seen)


# Why: a new time in AWS's model must show up here, not as a bare number in somebody's program.
def test_the_times_and_the_actions_without_any_are_botocores() -> None:
    found = {
        action: set(times_in(model.operation_model(action).output_shape))
        for model in MODELS
        for action in model.operation_names
    }
    assert set().union(*found.values()) == TIMES
    assert not [action for action in WITHOUT_TIMES if found[action]]


# Why: X-Amz-Target names the service and its version.
def test_every_action_has_the_target_of_its_service() -> None:
    for model in MODELS:
        for action in model.operation_names:
            assert target_of(action) == f"{model.metadata['targetPrefix']}.{action}"


# Why: bytes are base64 on the wire, wherever they stand and whichever bytes-like type they have.
def test_bytes_become_base64() -> None:
    item = {
        "a": {"B": b"\x00\xff"},
        "b": {"BS": [bytearray(b"x"), memoryview(b"y")]},
        "c": {"L": [{"B": b""}]},
    }
    assert orjson.loads(encode_request({"Item": item}))["Item"] == {
        "a": {"B": "AP8="},
        "b": {"BS": ["eA==", "eQ=="]},
        "c": {"L": [{"B": ""}]},
    }


# Why: K2. boto3 takes text for a blob as UTF-8; sent as it stands it would be read as base64 and be other bytes.
def test_text_for_binary_is_sent_as_its_utf8_bytes() -> None:
    sent = orjson.loads(encode_request({"Item": {"a": {"B": "é"}, "b": {"M": {"c": {"BS": ["x", b"y"]}}}}}))
    assert sent["Item"] == {"a": {"B": "w6k="}, "b": {"M": {"c": {"BS": ["eA==", "eQ=="]}}}}


# Why: K3. Attributes may be called like types and times.
def test_an_attribute_called_like_a_type_is_left_alone() -> None:
    item = {
        "B": {"S": "x"},
        "BS": {"L": [{"S": "y"}]},
        "CreationDateTime": {"N": "5"},
        "M": {"M": {"B": {"B": b"z"}}},
    }
    body = encode_request({"Item": item})
    assert decode_answer("GetItem", body) == {"Item": item}


# Why: boto3 gives datetimes; programs compare and format them.
def test_times_become_datetimes() -> None:
    body = b'{"Table":{"CreationDateTime":1795168800.5,"ItemCount":3,"TableName":"t"}}'
    table = decode_answer("DescribeTable", body)["Table"]
    assert table["CreationDateTime"] == datetime(2026, 11, 20, 10, 0, 0, 500_000, UTC)
    assert table["ItemCount"] == 3
    records = decode_answer(
        "GetRecords", b'{"Records":[{"dynamodb":{"ApproximateCreationDateTime":1795168800}}]}'
    )
    when = records["Records"][0]["dynamodb"]["ApproximateCreationDateTime"]
    assert when == datetime(2026, 11, 20, 10, tzinfo=UTC)


# Why: the other way, for the few requests that take a time.
def test_a_datetime_in_a_request_becomes_epoch_seconds() -> None:
    asked = {"TimeRangeLowerBound": datetime(2026, 11, 20, 10, tzinfo=UTC)}
    assert encode_request(asked) == b'{"TimeRangeLowerBound":1795168800.0}'


# Why: what JSON cannot hold is found before it is sent, and named by its place.
@pytest.mark.parametrize(
    ("params", "says"),
    [
        ({"Item": {"n": {"N": Decimal("1.5")}}}, 'Item.n.N: a number is text, write {"N": "1.5"}'),
        ({"Item": {"s": {"SS": {"a"}}}}, "Item.s.SS: SS holds a list, not set"),
        ({"Item": {"l": {"L": [{"S": "a"}, {"S": Decimal(1)}]}}}, "Item.l.L[1].S: S holds a str"),
        ({"Item": {5: {"S": "a"}}}, "Item.5: a name is a str, not int"),
        ({"Limit": Decimal(5)}, "Limit: Decimal has no place in a request"),
        ({"Item": {"x": {"S": object()}}}, "object"),
        ({"Item": {"x": {"S": "\ud800"}}}, "UTF-8"),
    ],
)
def test_what_json_cannot_hold_is_a_type_error_with_its_place(params: dict[str, Any], says: str) -> None:
    with pytest.raises(TypeError) as caught:
        encode_request(params)
    assert says in str(caught.value)


values: st.SearchStrategy[Any] = st.deferred(
    lambda: st.one_of(
        st.builds(lambda v: {"S": v}, st.text()),
        st.builds(lambda v: {"B": v}, st.binary()),
        st.builds(lambda v: {"BS": v}, st.lists(st.binary(), min_size=1)),
        st.builds(lambda v: {"L": v}, st.lists(values, max_size=3)),
        st.builds(lambda v: {"M": v}, st.dictionaries(st.sampled_from(["B", "BS", "a", "L"]), values)),
    )
)


# Why: whatever is put must come back the same; the shapes nest and the filters look at bytes.
@given(st.dictionaries(st.sampled_from(["B", "BS", "EndTime", "x"]), values))
def test_an_item_survives_the_way_there_and_back(item: dict[str, Any]) -> None:
    assert decode_answer("GetItem", encode_request({"Item": item})) == {"Item": item}
    assert decode_answer("GetRecords", encode_request({"Item": item})) == {"Item": item}


# Why: code written for botocore's ClientError reads these members.
def test_an_error_has_botocores_shape() -> None:
    body = (
        b'{"__type":"com.amazonaws.dynamodb.v20120810#TransactionCanceledException","Message":"m",'
        b'"CancellationReasons":[{"Code":"None"},{"Code":"ConditionalCheckFailed","Item":{"b":{"B":"eA=="}}}]}'
    )
    error = decode_error(400, body)
    assert error.code == "TransactionCanceledException"
    assert error.response["Error"] == {"Code": "TransactionCanceledException", "Message": "m"}
    assert error.response["CancellationReasons"][1]["Item"] == {"b": {"B": b"x"}}
    assert error.response["ResponseMetadata"]["HTTPStatusCode"] == 400


# Why: proxies and other servers answer pages; the status and the text are what helps then.
@pytest.mark.parametrize("body", [b"<html>bad gateway</html>", b"", b"[]", b"\xff"])
def test_an_error_that_is_no_json_keeps_its_status(body: bytes) -> None:
    error = decode_error(502, body)
    assert (error.code, error.status) == ("502", 502)
