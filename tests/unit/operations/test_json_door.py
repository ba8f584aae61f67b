"""The JSON door refuses what two readers could read differently, and costs a good request next to nothing."""

from __future__ import annotations

import json
import tracemalloc

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.errors import ServiceError, condition_failed, serialization, unknown_operation, validation
from penstock.operations.json_door import error_body, parse_body


def refusal(body: bytes) -> ServiceError:
    with pytest.raises(ServiceError) as caught:
        parse_body(body)
    assert caught.value.code == "SerializationException"
    assert caught.value.status == 400
    return caught.value


# Why: the plain case, with what strings may hold that the cheap filter counts: colons, quotes, escapes.
def test_an_object_comes_back_as_a_dict() -> None:
    assert parse_body(b'{"a":{"S":"x:y\\":z"},"t":"10:30"}') == {"a": {"S": 'x:y":z'}, "t": "10:30"}


# Why: every kind of damage must be AWS's SerializationException, never a Python exception out of the door.
@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "empty"),
        (b"{", "not JSON"),
        (b'{"a":1}x', "not JSON"),
        (b'{"a":NaN}', "not JSON"),
        (b'{"a":1e999}', "not JSON"),
        (b"\xef\xbb\xbf{}", "not JSON"),
        (b'{"a":"\xff"}', "not UTF-8"),
        (b'{"a":"\xed\xa0\x80"}', "not UTF-8"),
        (b'{"a":"\\ud800"}', "not JSON"),
        (b'{"a":"\\udc00\\ud800"}', "not JSON"),
        (b'{"a":"b\nc"}', "not JSON"),
        (b"[]", "Start of list found where not expected"),
        (b'"text"', "JSON object"),
        (b"null", "JSON object"),
        (b"7", "JSON object"),
    ],
)
def test_damage_is_a_serialization_exception(body: bytes, says: str) -> None:
    message = refusal(body).message
    assert message is not None
    assert says in message


# Why: J2. Some of these hide from a filter that counts quote-colon, some from one that counts colons.
@pytest.mark.parametrize(
    "body",
    [
        b'{"a":1,"a":2}',
        b'{"a":1,"a" :2}',
        b'{"a":"x","a":"\\u003a"}',
        b'{"a":"x","a":"\\u003A"}',
        b'{"k":[{"b":{"S":"1"},"b":{"S":"1"}}]}',
        b'{"a":1,"\\u0061":2}',
        b'{"":1,"":2}',
    ],
)
def test_a_repeated_key_is_refused(body: bytes) -> None:
    assert "given twice" in (refusal(body).message or "")


# Why: the escape that makes the filter suspicious is legal JSON by itself.
def test_an_escaped_colon_is_taken() -> None:
    assert parse_body(b'{"a":"x\\u003ay"}') == {"a": "x:y"}


# Why: two well-known engines die of deep nesting; ours answers, at each depth around each limit.
@pytest.mark.parametrize("depth", [255, 500, 1023, 1024, 1025, 100_000])
def test_deep_nesting_is_an_error(depth: int) -> None:
    assert "deeper than 254" in (refusal(b'{"a":' * depth + b"1" + b"}" * depth).message or "")
    assert "deeper than 254" in (refusal(b'{"a":' + b"[" * depth + b"]" * depth + b"}").message or "")


# Why: J4. 16 MB of `{},` are five million dicts: half a gigabyte, and seconds in which nobody else is answered.
@pytest.mark.parametrize("many", [b"{},", b"[],", b'{"a":{}},', b'"\\"{",[],'])
def test_too_many_containers_are_refused_before_they_are_made(many: bytes) -> None:
    body = b'{"a":[' + many * (2_100_000) + b"0]}"
    tracemalloc.start()
    message = refusal(body).message
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert message == "The body has more than 2000000 objects and arrays"
    assert most < 2 * len(body)


# Why: text may be full of braces; only those outside of it are objects.
@pytest.mark.parametrize("text", [b"{" * 2_100_000, b'\\"{' * 2_100_000])
def test_braces_in_text_are_no_containers(text: bytes) -> None:
    assert parse_body(b'{"a":"' + text + b'"}') == {"a": orjson.loads(b'"' + text + b'"')}


# Why: counting must not cost more than reading: each start of a text that never ends could be looked for again.
def test_a_text_without_an_end_is_counted_once() -> None:
    refusal(b'{"a":"' + b'\\"{' * 3_000_000)


# Why: the depth filter counts braces; a wide request has many and is not deep.
def test_two_hundred_levels_and_thousands_of_neighbours_pass() -> None:
    deep = b'{"a":' * 254 + b"1" + b"}" * 254
    assert orjson.dumps(parse_body(deep)) == deep
    wide = {"a": [{"S": "x"}] * 5000}
    assert parse_body(orjson.dumps(wide)) == wide


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


# Why: J3 must never refuse a good request, in whichever of JSON's spellings a client writes.
@settings(deadline=None)  # The machine may be busy.
@given(st.dictionaries(st.text(), json_values), st.booleans(), st.sampled_from([(",", ":"), (", ", " : ")]))
def test_every_good_object_passes(
    request_: dict[str, object], ascii_only: bool, marks: tuple[str, str]
) -> None:
    body = json.dumps(request_, ensure_ascii=ascii_only, separators=marks).encode()
    assert parse_body(body) == request_


# Why: and it must find a repeated key wherever it stands and whatever it holds.
@settings(deadline=None)  # The machine may be busy.
@given(st.lists(st.text(), min_size=1, unique=True), json_values, json_values, st.data())
def test_every_repeated_key_is_found(
    keys: list[str], first: object, second: object, data: st.DataObject
) -> None:
    again = data.draw(st.sampled_from(keys))
    entries = [f"{json.dumps(key)}:{json.dumps(first)}" for key in keys]
    entries.insert(data.draw(st.integers(0, len(keys))), f"{json.dumps(again)} :{json.dumps(second)}")
    refusal(("{" + ",".join(entries) + "}").encode())


# Why: SDKs tell errors apart by the part of __type behind the #, and show the message member.
def test_errors_are_written_as_aws_writes_them() -> None:
    unknown = b'{"__type":"com.amazon.coral.service#UnknownOperationException"}'
    assert error_body(unknown_operation()) == unknown
    assert orjson.loads(error_body(validation("no"))) == {
        "__type": "com.amazon.coral.validate#ValidationException",
        "message": "no",
    }
    assert orjson.loads(error_body(serialization("no")))["Message"] == "no"
    assert orjson.loads(error_body(condition_failed({"id": {"S": "1"}})))["Item"] == {"id": {"S": "1"}}
