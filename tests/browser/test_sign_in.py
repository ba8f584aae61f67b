"""From another address: nothing without the password, and everything with it.

127.0.0.2 is an address of this machine that is not its loopback name: what comes in there is treated as from elsewhere.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.looking import SIZES, THEMES, Looker
from tests.upping import Upping, upping

OUTSIDE = "127.0.0.2"
PASSWORD = "water <under> pressure"


@pytest.fixture(scope="module")
def open_up(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Upping]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PENSTOCK_PASSWORD", PASSWORD)
        with upping(tmp_path_factory.mktemp("open"), "--host", OUTSIDE) as up:
            up.wait_until_ready()
            yield up


def _outside(up: Upping) -> str:
    return up.url("app").replace("127.0.0.1", OUTSIDE)


@pytest.fixture
def looker(browser: Browser, open_up: Upping) -> Iterator[Looker]:
    looking = Looker(browser, _outside(open_up))
    yield looking
    looking.none_wrong()


# Why: the first thing that somebody on another machine sees, and all of it without the password.
def test_the_console_asks_who_comes_from_elsewhere(looker: Looker) -> None:
    looker.expected = ["403"]
    with looker.page("/tables") as page:
        expect(page.locator("h1")).to_have_text("Sign in")
        for size in SIZES:
            for theme in THEMES:
                looker.look_as(page, size, theme)
                looker.check(page, f"sign-in {size} {theme}")
                looker.picture(page, f"sign-in-{size}-{theme}", whole=False)
        page.get_by_label("Password").fill("fire")
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("alert")).to_contain_text("not the password")
        looker.picture(page, "sign-in-wrong-narrow-dark", whole=False)
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        expect(page.locator("h1")).to_have_text("Tables")
        assert page.url.endswith("/console/tables")


# Why: a session is good for the pages and for what they ask beside the console, until it is left.
def test_a_session_reaches_everything_until_it_is_left(looker: Looker, open_up: Upping) -> None:
    order = b'{"customer_id": "c1", "order_id": "o1", "ordered_at": "2026-11-20T10:00:00Z", "category": "toys", "amount": 1}'
    assert open_up.ask(open_up.url("app") + "/events/Orders", order)[0] == 200
    with looker.page("/predictors/will_order") as page:
        page.get_by_label("Password").fill(PASSWORD)
        page.keyboard.press("Enter")
        page.locator("#campaign-value").fill("toys")
        page.get_by_role("button", name="Start").click()
        expect(page.locator("[data-rate]")).to_contain_text("complete")
        expect(page.locator("[data-done]")).to_have_text("1")
        page.get_by_role("button", name="Sign out").click()
        expect(page.locator("h1")).to_have_text("Sign in")
        page.goto(f"{looker.url}/console/")
        expect(page.locator("h1")).to_have_text("Sign in")


# Why: predictions and events are as open as the console would be; programs give the password with each request.
@pytest.mark.parametrize("path", ["/predict/will_order/customer/c1", "/docs", "/metrics", "/openapi.json"])
def test_programs_from_elsewhere_give_the_password(open_up: Upping, path: str) -> None:
    url = _outside(open_up) + path
    for headers in ({}, {"Authorization": "Bearer fire"}, {"Cookie": "penstock_session=1.2.3"}):
        with pytest.raises(HTTPError) as refused:
            urlopen(Request(url, headers=headers))
        assert refused.value.code == 401
        assert json.load(refused.value)["error"] == "Unauthorized"
    with urlopen(Request(url, headers={"Authorization": f"Bearer {PASSWORD}"})) as answer:
        assert answer.status == 200


# Why: on this machine itself everything is as it is without --host.
def test_this_machine_needs_no_password(open_up: Upping) -> None:
    assert open_up.ask(open_up.url("app") + "/predict/will_order/customer/c1")[0] == 200
    assert open_up.ask(open_up.url("app") + "/console/")[0] == 200
