"""Every page at both sizes, dark and light: no error in the console, no failed request, nothing that axe finds serious."""

from __future__ import annotations

import json
from collections.abc import Callable
from urllib.request import urlopen

import pytest
from playwright.sync_api import Page, expect

from penstock.console import typed_json
from penstock.events.dead_letters import DeadLetters
from tests.browser.demo import Demo
from tests.browser.looking import SIZES, THEMES, Looker

PAGES = {
    "overview": "/",
    "tables": "/tables",
    "table": "/tables/Purchases",
    "table-query": "/tables/Purchases?mode=query&index=by_category&pk=jewelry&op=begins_with&sk=c1",
    "table-scan": "/tables/Purchases?mode=scan&f.name=amount&f.op=%3E&f.type=N&f.value=80",
    "table-schema": "/tables/Purchases/schema",
    "item": "/tables/Ledger/item?key="
    + typed_json.key_word({"account": {"N": "1"}, "line": {"B": b"\x00\xff"}}),
    "item-new": "/tables/Purchases/new",
    "streams": "/streams",
    "lake": "/lake",
    "lake-table": "/lake/tables/current/Purchases",
    "predictors": "/predictors",
    "predictor": "/predictors/will_buy",
    "boards": "/boards",
    "board-sales": "/boards/sales",
    "board-model-health": "/boards/model-health",
    "board-edit": "/boards/sales/edit",
    "recipes": "/recipes",
}


def _inference(running: Demo) -> str:
    asked = json.load(urlopen(f"{running.url}/predict/will_buy/customer/c7"))
    return f"/inferences/{asked['requestId']}"


def _letter(running: Demo) -> str:
    letter = next(iter(DeadLetters(running.client).list("notify")))
    return f"/streams/letter?consumer={letter.consumer}&id={letter.id}"


# Pages of what is only there once the product runs.
FOUND: dict[str, Callable[[Demo], str]] = {"inference": _inference, "letter": _letter}


# Why: a page that is broken, unreadable or unreachable for somebody at one size or in one theme is a broken page.
@pytest.mark.parametrize("name", [*PAGES, *FOUND])
def test_a_page_is_sound(looker: Looker, returned: Demo, name: str) -> None:
    with looker.page(PAGES[name] if name in PAGES else FOUND[name](returned)) as page:
        _settle(page)
        for size in SIZES:
            for theme in THEMES:
                looker.look_as(page, size, theme)
                looker.check(page, f"{name} {size} {theme}")
                looker.picture(page, f"{name}-{size}-{theme}")


def _settle(page: Page) -> None:
    """Charts are drawn when their board says so; editors when their text is there."""
    if page.locator("[data-board]").count():
        page.wait_for_selector("html[data-drawn]")
    if page.locator("textarea[data-editor]").count():
        page.wait_for_selector(".cm-editor")


# Why: an address that names nothing is answered with a page that says so and leads back.
def test_what_is_not_there_is_said(looker: Looker) -> None:
    looker.expected = ["404"]
    for path in (
        "/nothing",
        "/tables/Nothing",
        "/boards/nothing",
        "/predictors/nothing",
        "/inferences/nothing",
    ):
        with looker.page(path) as page:
            expect(page.locator("h1")).to_have_text("Not here")
            looker.check(page, path)


# Why: whoever cannot use a mouse reaches every page, and knows how.
def test_the_keyboard_reaches_everything(looker: Looker) -> None:
    with looker.page("/") as page:
        page.keyboard.press("?")
        expect(page.locator("#shortcuts")).to_be_visible()
        looker.check(page, "shortcuts")
        looker.picture(page, "shortcuts-wide-light", whole=False)
        page.keyboard.press("Escape")
        page.keyboard.press("g")
        page.keyboard.press("t")
        expect(page.locator("h1")).to_have_text("Tables")
        page.goto(page.url + "/Purchases")
        page.keyboard.press("/")
        assert page.evaluate("document.activeElement.id") == "pk"
        page.keyboard.type("c1")
        page.keyboard.press("Control+Enter")
        expect(page.locator("#results [role=status]")).to_contain_text("item")
        page.keyboard.press("Tab")
        expect(page.locator(":focus")).to_have_count(1)


# Why: a theme that somebody chose stays chosen, on every page and before anything is drawn.
def test_a_chosen_theme_stays(looker: Looker) -> None:
    with looker.page("/tables", theme="light") as page:
        page.get_by_role("button", name="Theme").click()
        page.get_by_role("button", name="Theme").click()
        expect(page.locator("html")).to_have_attribute("data-theme", "dark")
        page.goto(page.url)
        expect(page.locator("html")).to_have_attribute("data-theme", "dark")
        assert page.evaluate("getComputedStyle(document.documentElement).colorScheme") == "dark"


# Why: at 390 px the pages' list is behind a button, which has to open it and say so.
def test_the_menu_opens_on_a_small_screen(looker: Looker) -> None:
    with looker.page("/tables", "narrow") as page:
        expect(page.get_by_role("link", name="Recipes")).to_be_hidden()
        page.get_by_role("button", name="Pages").click()
        looker.check(page, "menu")
        looker.picture(page, "menu-narrow-light", whole=False)
        page.get_by_role("link", name="Recipes").click()
        expect(page.locator("h1")).to_have_text("Recipes")


# Why: the overview is looked at for minutes; what it shows has to be the present, rates included.
def test_the_overview_goes_on_by_itself(looker: Looker, running: Demo) -> None:
    with looker.page("/") as page:
        expect(page.locator(".arrow.b1 b")).not_to_have_class("pending")
        running.client.put_item(TableName="Sessions", Item={"session_id": {"S": "fresh"}})
        count = running.client.describe_table(TableName="Sessions")["Table"]["ItemCount"]
        assert count == 1
        expect(page.locator(".arrow.b1 b")).not_to_have_text("0", timeout=10_000)
        expect(page.locator(".arrow.b2")).to_contain_text("changes/s")
