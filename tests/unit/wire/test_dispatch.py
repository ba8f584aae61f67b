"""What a request asks for, decided from its method and headers."""

from __future__ import annotations

import pytest

from penstock.wire.dispatch import Call, PlainAnswer, read_request

HEADERS = {b"content-type": b"application/x-amz-json-1.0", b"x-amz-target": b"DynamoDB_20120810.GetItem"}


def read(method: bytes = b"POST", *, any_origin: bool = False, **headers: bytes) -> Call | PlainAnswer:
    given = {**HEADERS, **{name.replace("_", "-").encode(): value for name, value in headers.items()}}
    return read_request(method, given, region="eu-west-1", any_origin=any_origin)


# Why: the common case, with the defaults that the short way in the protocol relies on.
def test_a_call_has_its_target() -> None:
    assert read() == Call("DynamoDB_20120810.GetItem")


# Why: the region of the greeting is the server's.
def test_the_greeting_names_the_region() -> None:
    answer = read(b"GET")
    assert isinstance(answer, PlainAnswer)
    assert answer.body == b"healthy: dynamodb.eu-west-1.amazonaws.com "


# Why: D4. Where every request must be signed, pages from anywhere may call, as on AWS.
@pytest.mark.parametrize(("any_origin", "kind"), [(True, Call), (False, PlainAnswer)])
def test_foreign_pages_may_call_only_where_requests_are_signed(any_origin: bool, kind: type) -> None:
    assert isinstance(read(origin=b"https://app.example", any_origin=any_origin), kind)


# Why: without an Origin an OPTIONS is no preflight, and DynamoDB knows no other use of it.
def test_options_without_an_origin_is_unknown() -> None:
    answer = read(b"OPTIONS")
    assert isinstance(answer, PlainAnswer)
    assert answer.status == 404


# Why: D5. Our own actions are known by name; the one that touches files is not for callers from elsewhere.
@pytest.mark.parametrize(("on_socket", "kind"), [(True, Call), (False, PlainAnswer)])
def test_a_checkpoint_is_asked_for_on_the_socket_only(on_socket: bool, kind: type) -> None:
    headers = {**HEADERS, b"x-amz-target": b"Penstock.Checkpoint"}
    asked = read_request(b"POST", headers, region="eu-west-1", any_origin=False, on_socket=on_socket)
    assert isinstance(asked, kind)
    assert isinstance(read(x_amz_target=b"Penstock.Explain"), Call)
