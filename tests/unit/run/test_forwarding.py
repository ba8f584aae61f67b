"""Requests that another process answers: handed on whole, and clear words where it is not there."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from tests.shop import Shop

from penstock.app.handlers import HttpHandler
from penstock.events.http_door import HttpDoor
from penstock.run.forwarding import Handlers
from penstock.testing.clock import ManualClock


def echo(event: dict[str, Any], context: Any) -> dict[str, Any]:
    return {
        "statusCode": 207,
        "headers": {"x-told": event["headers"].get("x-asked", "")},
        "body": f"{event['httpMethod']} {event['pathParameters']} {event['queryStringParameters']} {event['body']}",
    }


HANDLERS = [HttpHandler("ANY", "/echo/{name}", echo)]


@pytest.fixture
def worker() -> Iterator[str]:
    door = HttpDoor(HANDLERS, ManualClock(), token="secret")
    door.start()
    yield f"http://127.0.0.1:{door.address[1]}"
    door.close()


async def ask(app: Handlers, method: str, path: str, **more: Any) -> httpx.Response:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://shop") as client:
        return await client.request(method, path, **more)


def run(app: Handlers, method: str, path: str, **more: Any) -> httpx.Response:
    return asyncio.run(ask(app, method, path, **more))


# Why: a Lambda handler sees what API Gateway would show it, whichever process took the request.
def test_a_request_reaches_the_handler_whole_and_its_answer_comes_back(worker: str) -> None:
    app = Handlers(HANDLERS, worker, "secret")
    answer = run(app, "POST", "/echo/a%2Fb?x=1", content=b"body", headers={"x-asked": "yes"})
    assert (answer.status_code, answer.headers["x-told"]) == (207, "yes")
    assert answer.text == "POST {'name': 'a/b'} {'x': '1'} body"


# Why: the body of an answer to HEAD is announced and not sent.
def test_head_ends(worker: str) -> None:
    assert run(Handlers(HANDLERS, worker, "secret"), "HEAD", "/echo/a").status_code == 207


# Why: any page in a browser can reach a loopback port; only the application may ask the worker.
def test_the_worker_refuses_whoever_has_no_token(worker: str) -> None:
    assert run(Handlers(HANDLERS, worker, "guess"), "GET", "/echo/a").status_code == 403
    forged = run(
        Handlers(HANDLERS, worker, "guess"), "GET", "/echo/a", headers={"x-penstock-worker": "secret"}
    )
    assert forged.status_code == 403


# Why: what no handler takes is not the worker's business, and it may be starting. With a handler declared or without, the
# API refuses alike: its own paths are not the handlers' to say that they are not there.
@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nowhere", 404, "NotFound"),
        ("GET", "/echo", 404, "NotFound"),
        ("PUT", "/predict/will_buy/customer/c1", 405, "MethodNotAllowed"),
        ("GET", "/endpoints/will_buy/invocations", 405, "MethodNotAllowed"),
    ],
)
def test_what_no_handler_takes_is_refused_by_the_application(
    method: str, path: str, status: int, code: str
) -> None:
    shop = Shop()
    shop.api.mount("/", Handlers(HANDLERS, "http://127.0.0.1:9", "secret"))
    answer = shop.ask(method, path)
    assert (answer.status_code, answer.json()["error"]) == (status, code)


# Why: a worker that is starting again did not run the handler; a client may try again, and is told so.
def test_a_worker_that_is_not_there_is_a_503_with_retry_after() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # Nobody listens on it.
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        answer = run(Handlers(HANDLERS, url, "secret"), "GET", "/echo/a")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
