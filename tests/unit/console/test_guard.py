"""Who may use the console: names, origins, tokens and passwords, over a small application behind the guard."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.testclient import TestClient

from penstock.app.application import App
from penstock.connect.urls import connect
from penstock.console.context import Context
from penstock.console.guard import Guard
from penstock.console.pages import mount
from penstock.errors import UsageError
from penstock.serving.store import ClientStore
from penstock.testing import ManualClock

SAME = {"origin": "http://127.0.0.1:8080", "sec-fetch-site": "same-origin"}


def _context(tmp_path: Path, **settings: object) -> Context:
    client = connect(f"file:{tmp_path / 'data'}")
    context = Context(App("shop"), ClientStore(client), client, lake_url=None, boards=tmp_path / "boards")
    for name, value in settings.items():
        setattr(context, name, value)
    return context


@pytest.fixture
def context(tmp_path: Path) -> Context:
    return _context(tmp_path)


def _guarded(context: Context) -> TestClient:
    async def write(request: Request) -> Response:
        return PlainTextResponse("written")

    async def token(request: Request) -> Response:
        return PlainTextResponse(request.state.token)

    routes = [Route("/write", write, methods=["POST"]), Route("/token", token), Route("/sign-in", token)]
    app = Starlette(routes=[Mount("/console", Guard(Starlette(routes=routes), context))])
    return TestClient(app, base_url="http://127.0.0.1:8080")


# Why: any page in a browser can send a form to a loopback port; without the token of our own pages it changes nothing.
def test_a_write_without_the_token_is_refused(context: Context) -> None:
    browser = _guarded(context)
    token = browser.get("/console/token").text
    assert browser.post("/console/write", headers=SAME).status_code == 403
    assert browser.post("/console/write", headers={**SAME, "x-penstock-token": "0" * 64}).status_code == 403
    assert browser.post("/console/write", headers={**SAME, "x-penstock-token": token}).text == "written"


# Why: the token alone is not enough, should it ever leak into another site's hands.
def test_another_sites_request_is_refused_even_with_the_token(context: Context) -> None:
    browser = _guarded(context)
    token = {"x-penstock-token": browser.get("/console/token").text}
    for headers in (
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:9999"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ):
        assert browser.post("/console/write", headers={**token, **headers}).status_code == 403, headers


# Why: a read can cost a scan; another site may link to a page, and may not load it as a picture or a script.
def test_another_site_may_open_a_page_and_not_load_one(context: Context) -> None:
    browser = _guarded(context)
    foreign = {"sec-fetch-site": "cross-site"}
    opened = {**foreign, "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
    assert browser.get("/console/token", headers=opened).status_code == 200
    framed = {**foreign, "sec-fetch-mode": "navigate", "sec-fetch-dest": "iframe"}
    assert browser.get("/console/token", headers=framed).status_code == 403
    assert browser.get("/console/token", headers={**foreign, "sec-fetch-mode": "no-cors"}).status_code == 403


# Why: a name of somebody else's that resolves to this machine (DNS rebinding) makes their page same-origin.
def test_another_name_for_this_machine_is_refused(context: Context) -> None:
    browser = _guarded(context)
    assert browser.get("/console/token", headers={"host": "evil.example:8080"}).status_code == 421
    for host in ("127.0.0.1:8080", "localhost", "[::1]:8080"):
        assert browser.get("/console/token", headers={"host": host}).status_code == 200, host


# Why: escaping has one more line behind it: even markup that slipped through could not run, nor the page be framed.
def test_every_answer_carries_a_strict_policy(context: Context) -> None:
    browser = _guarded(context)
    for path in ("/console/token", "/console/none"):
        headers = browser.get(path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert re.search(r"script-src 'self';", policy)
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert headers["x-content-type-options"] == "nosniff"


# Why: beyond loopback a console without a password is everybody's.
def test_another_address_needs_a_password(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="password"):
        _guarded(_context(tmp_path, loopback=False)).get("/console/token")


# Why: signed in is who knows the password, for half a day, with a token of their own.
def test_signing_in_opens_the_console_until_the_session_ends(tmp_path: Path) -> None:
    clock = ManualClock()
    context = _context(tmp_path, loopback=False, password="water", now_us=clock.now_us)
    app = Starlette()
    mount(app, context)
    browser = TestClient(app, base_url="http://box.example:8080", follow_redirects=False)
    assert browser.get("/console/tables").headers["location"] == "/console/sign-in?next=/console/tables"
    assert browser.post("/console/tables/x/write").status_code == 401
    refused = browser.post("/console/sign-in", data={"password": "steam", "next": "/console/tables"})
    assert refused.status_code == 403
    foreign = browser.post(
        "/console/sign-in", data={"password": "water"}, headers={"origin": "http://evil.example"}
    )
    assert foreign.status_code == 403
    entered = browser.post("/console/sign-in", data={"password": "water", "next": "/console/tables"})
    assert (entered.status_code, entered.headers["location"]) == (303, "/console/tables")
    assert "HttpOnly" in entered.headers["set-cookie"]
    assert "SameSite=strict" in entered.headers["set-cookie"]
    assert browser.get("/console/tables").status_code == 200
    clock.advance(13 * 3600)
    assert browser.get("/console/tables").status_code == 303


# Why: a sign-in link must not carry anybody to another site afterwards.
def test_a_sign_in_leads_only_into_the_console(tmp_path: Path) -> None:
    app = Starlette()
    mount(app, _context(tmp_path, loopback=False, password="water"))
    browser = TestClient(app, base_url="http://box.example", follow_redirects=False)
    for place in (
        "http://evil.example",
        "//evil.example",
        "/console/..//evil.example",
        "/console\\evil",
        "/other",
    ):
        entered = browser.post("/console/sign-in", data={"password": "water", "next": place})
        assert entered.headers["location"] == "/console/", place


# Why: a session is ours by its seal; one that is made up or changed opens nothing.
def test_a_made_up_session_opens_nothing(tmp_path: Path) -> None:
    app = Starlette()
    mount(app, _context(tmp_path, loopback=False, password="water"))
    for cookie in ("99999999999.aa.bb", "", "x", "99999999999." + "0" * 64):
        browser = TestClient(app, base_url="http://box.example", follow_redirects=False)
        browser.cookies.set("penstock_session", cookie)
        assert browser.get("/console/tables").status_code == 303, cookie


# Why: the pages are our own; every script and style they name is packaged, and no address leads elsewhere.
def test_pages_load_nothing_from_elsewhere(context: Context) -> None:
    app = Starlette()
    mount(app, context)
    browser = TestClient(app, base_url="http://127.0.0.1:8080")
    for path in ("/", "/tables", "/streams", "/lake", "/predictors", "/boards", "/boards/new", "/recipes"):
        answer = browser.get(f"/console{path}")
        assert answer.status_code == 200, path
        for address in re.findall(r'(?:src|href)="([^"#]+)"', answer.text):
            assert address.startswith("/console"), (path, address)
            if "/static/" in address:
                assert browser.get(address).status_code == 200, address
        assert not re.search(r"<script(?![^>]*(?:src=|application/json))", answer.text), path
        assert not re.search(r'\s(?:style|on\w+)="', answer.text), path
