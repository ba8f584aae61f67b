"""The application's address as a whole: predictions, events, deliveries, console and handlers on one."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.shop import Shop

from penstock.metrics.registry import Registry
from penstock.run.pages import build
from penstock.run.settings import Settings


@pytest.fixture(scope="module")
def ask(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder: Path = tmp_path_factory.mktemp("pages")
    shop = Shop()
    shop.app.delivery("clicks")
    shop.app.http("POST /orders", lambda event, context: {})
    client: Any = shop.client
    pages = build(shop.app, Settings(folder / "app.py", folder), None, client, Registry())

    async def run(method: str, path: str) -> httpx.Response:
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(pages), base_url="http://localhost"
        ) as http:
            return await http.request(method, path)

    return lambda method, path: asyncio.run(run(method, path))


# Why: FastAPI describes an error of its own for each path with a name in it; no client should be written for that.
def test_no_route_is_described_with_an_error_that_none_gives(ask: Any) -> None:
    described = ask("GET", "/openapi.json").json()
    assert {"/events/{table}", "/deliveries/{name}", "/health"} < described["paths"].keys()
    assert "HTTPValidationError" not in str(described)


# Why: whatever is asked for on this address, a program reads one shape of refusal; the console keeps its page for people.
def test_what_nothing_serves_is_refused_in_one_shape(ask: Any) -> None:
    for method, path, status, code in (
        ("GET", "/nowhere", 404, "NotFound"),
        ("GET", "/events/Purchases", 405, "MethodNotAllowed"),
        ("DELETE", "/health", 405, "MethodNotAllowed"),
        ("GET", "/orders", 404, "NotFound"),
    ):
        answer = ask(method, path)
        assert (answer.status_code, answer.json()["error"]) == (status, code), path
    missing = ask("GET", "/console/nowhere")
    assert (missing.status_code, missing.headers["content-type"]) == (404, "text/html; charset=utf-8")
