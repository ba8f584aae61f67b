"""API Gateway's proxy shape: requests to events, results to responses, and the listener that serves them."""

from __future__ import annotations

import http.client
import json
import threading
from typing import Any

import pytest

from penstock.app.handlers import HttpHandler
from penstock.errors import UsageError
from penstock.events.http_door import TOKEN_HEADER, HttpDoor
from penstock.events.proxy import Malformed, Request, Routes, event_of, response_of
from penstock.testing import ManualClock


def handler(event: Any, context: Any) -> Any:
    return {"statusCode": 200, "body": "here"}


def mounted(route: str, function: Any) -> HttpHandler:
    method, path = route.split(" ")
    return HttpHandler(method, path, function)


def routes(*declared: str) -> Routes:
    return Routes([mounted(route, handler) for route in declared])


def request(
    method: str = "GET", path: str = "/", query: str = "", body: bytes = b"", **headers: str
) -> Request:
    pairs = tuple((name.replace("_", "-"), value) for name, value in headers.items())
    return Request(method, path, query, pairs, body)


def event(asked: Request, *declared: str) -> dict[str, Any]:
    match = routes(*declared).match(asked.method, asked.path)
    assert match is not None
    return event_of(asked, match, "request-1", 1_767_225_600.5)


# Why: the members that handlers of payload format 1.0 read, by AWS's names.
def test_a_request_becomes_the_event_of_format_1() -> None:
    got = event(
        request(
            "POST",
            "/orders/a%20b",
            "q=1&q=2&e=",
            b'{"x": 1}',
            Content_Type="application/json",
            Cookie="a=1; b=2",
        ),
        "POST /orders/{id}",
    )
    assert got["httpMethod"] == "POST"
    assert got["path"] == "/orders/a b"
    assert got["resource"] == "/orders/{id}"
    assert got["pathParameters"] == {"id": "a b"}
    assert got["queryStringParameters"] == {"q": "2", "e": ""}
    assert got["multiValueQueryStringParameters"] == {"q": ["1", "2"], "e": [""]}
    assert got["headers"]["Content-Type"] == "application/json"
    assert got["multiValueHeaders"]["Content-Type"] == ["application/json"]
    assert (got["body"], got["isBase64Encoded"]) == ('{"x": 1}', False)
    assert got["requestContext"]["requestId"] == "request-1"
    assert got["requestContext"]["requestTimeEpoch"] == 1_767_225_600_500
    assert got["requestContext"]["identity"]["sourceIp"] == "127.0.0.1"


# Why: handlers of payload format 2.0 read these; they do not clash with format 1.0.
def test_the_event_has_what_format_2_adds() -> None:
    got = event(request("GET", "/a%20b", "q=1", Cookie="a=1; b=2"), "GET /{name}")
    assert got["routeKey"] == "GET /{name}"
    assert (got["rawPath"], got["rawQueryString"]) == ("/a%20b", "q=1")
    assert got["cookies"] == ["a=1", "b=2"]
    assert got["requestContext"]["http"]["method"] == "GET"


# Why: AWS gives null for what is not there, and base64 for what is no text.
def test_absent_parts_are_null_and_binary_bodies_are_base64() -> None:
    got = event(request("GET", "/"), "GET /")
    assert got["pathParameters"] is None
    assert got["queryStringParameters"] is None
    assert got["body"] is None
    binary = event(request("PUT", "/", body=b"\xff\x00"), "PUT /")
    assert (binary["body"], binary["isBase64Encoded"]) == ("/wA=", True)


# Why: API Gateway takes the most specific route.
@pytest.mark.parametrize(
    ("method", "path", "wanted"),
    [
        ("GET", "/orders/new", "/orders/new"),
        ("GET", "/orders/7", "/orders/{id}"),
        ("GET", "/orders/7/lines/2", "/orders/{rest+}"),
        ("DELETE", "/orders/7", "/orders/{rest+}"),
        ("GET", "/elsewhere", None),
        ("GET", "/orders", None),
    ],
)
def test_the_most_exact_route_wins(method: str, path: str, wanted: str | None) -> None:
    found = routes("ANY /orders/{rest+}", "GET /orders/{id}", "GET /orders/new").match(method, path)
    assert (found.handler.path if found else None) == wanted


# Why: a route that can never match should fail when it is declared.
def test_a_wrong_path_is_refused() -> None:
    for path in ("/a/{b", "/{a}/{a}"):
        with pytest.raises(UsageError):
            routes(f"GET {path}")


# Why: what a handler returns is what the caller gets.
def test_a_result_becomes_a_response() -> None:
    made = response_of(
        {
            "statusCode": 201,
            "headers": {"x-one": 1, "x-two": "single"},
            "multiValueHeaders": {"x-two": ["a", "b"]},
            "cookies": ["c=1"],
            "body": "aGk=",
            "isBase64Encoded": True,
        }
    )
    assert (made.status, made.body) == (201, b"hi")
    assert [pair for pair in made.headers if pair[0] != "content-type"] == [
        ("x-one", "1"),
        ("x-two", "a"),
        ("x-two", "b"),
        ("set-cookie", "c=1"),
    ]
    assert response_of({"answer": 42}).body == b'{"answer":42}', "format 2.0 infers the response"
    assert response_of({"statusCode": 204}).body == b""


# Why: API Gateway answers 502 to a malformed proxy response, so that the mistake is seen.
@pytest.mark.parametrize(
    "result",
    [
        {"statusCode": "x"},
        {"statusCode": 42},
        {"statusCode": 200, "body": {"a": 1}},
        {"statusCode": 200, "body": "%%%", "isBase64Encoded": True},
        {"statusCode": 200, "headers": {"a": "b\r\nc: d"}},
        {"statusCode": 200, "headers": ["a"]},
        {"statusCode": 200, "multiValueHeaders": {"a": "b"}},
        {"no": {1, 2}},
    ],
)
def test_what_is_no_response_is_refused(result: Any) -> None:
    with pytest.raises(Malformed):
        response_of(result)


def served(function: Any, *declared: str, token: str | None = None) -> HttpDoor:
    return HttpDoor([mounted(route, function) for route in declared], ManualClock(), token=token)


def ask(
    door: HttpDoor, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None
) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(*door.address, timeout=20)
    connection.request(method, path, body, headers or {})
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer.status, content


# Why: the whole way, with a real socket: an inference Lambda behind a route.
def test_a_handler_answers_over_http() -> None:
    def infer(event: dict[str, Any], context: Any) -> dict[str, Any]:
        assert context.function_name == "infer"
        asked = json.loads(event["body"])
        return {
            "statusCode": 200,
            "body": json.dumps({"sum": sum(asked["numbers"]), "id": event["pathParameters"]["id"]}),
        }

    door = served(infer, "POST /inference/{id}")
    door.start()
    try:
        status, body = ask(door, "POST", "/inference/7?x=1", b'{"numbers": [1, 2]}')
        assert (status, json.loads(body)) == (200, {"sum": 3, "id": "7"})
        assert ask(door, "GET", "/inference/7")[0] == 404
    finally:
        door.close()


# Why: a handler that fails is a 502 and never takes the listener with it; SystemExit is no way out either.
def test_a_handler_that_fails_is_a_bad_gateway() -> None:
    def fail(event: dict[str, Any]) -> Any:
        if event["path"] == "/exit":
            raise SystemExit(1)
        if event["path"] == "/malformed":
            return {"statusCode": 200, "body": 7}
        raise ValueError("no")

    door = served(fail, "GET /{name}")
    door.start()
    try:
        for path in ("/raise", "/exit", "/malformed"):
            assert ask(door, "GET", path) == (502, b'{"message": "Internal server error"}')
    finally:
        door.close()


# Why: any page in a browser can reach a loopback port; only who has the token is served.
def test_a_caller_without_the_token_is_refused() -> None:
    door = served(handler, "GET /", token="secret")
    door.start()
    try:
        assert ask(door, "GET", "/")[0] == 403
        assert ask(door, "GET", "/", b"", {TOKEN_HEADER: "secret"})[0] == 200
    finally:
        door.close()


# Why: a graceful stop lets a call that runs come to its answer.
def test_a_stop_waits_for_the_call_that_runs() -> None:
    entered, leave = threading.Event(), threading.Event()

    def slow(event: dict[str, Any]) -> dict[str, Any]:
        entered.set()
        leave.wait(20)
        return {"statusCode": 200, "body": "done"}

    door = served(slow, "GET /")
    door.start()
    answers: list[tuple[int, bytes]] = []
    asking = threading.Thread(target=lambda: answers.append(ask(door, "GET", "/")))
    asking.start()
    assert entered.wait(20)
    door.close()
    assert not door.drain(0.0), "a call runs, and the time is over"
    leave.set()
    asking.join(20)
    assert answers == [(200, b"done")]
