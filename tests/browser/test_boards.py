"""Boards: shown, narrowed down, edited in the page, and refused where they are wrong."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests.browser.looking import Looker

BOARD = """title = "By hand"
[[charts]]
title = "Purchases"
kind = "number"
sql = "SELECT count(*) FROM current.Purchases WHERE purchased_at > $since"
[[charts]]
title = "Broken"
kind = "line"
sql = "SELECT no_such_column FROM current.Purchases"
"""


def _write(page: Page, text: str) -> None:
    page.wait_for_selector(".cm-editor")
    page.locator(".cm-content").click()
    page.keyboard.press("Control+a")
    page.keyboard.insert_text(text)


# Why: every chart of the boards that come with the storefront has something to show.
def test_the_storefronts_boards_have_no_empty_chart(looker: Looker) -> None:
    for name in ("sales", "model-health"):
        with looker.page(f"/boards/{name}") as page:
            page.wait_for_selector("html[data-drawn]")
            expect(page.locator(".board .notice")).to_have_count(0)


# Why: a range or a filter asks again, and lives in the address.
def test_a_board_is_narrowed_down(looker: Looker) -> None:
    with looker.page("/boards/sales") as page:
        page.wait_for_selector("html[data-drawn]")
        number = page.locator("[data-chart='1'] .big-number")
        before = number.text_content()
        page.locator(".segments label", has_text="all").click()
        expect(number).not_to_have_text(before or "")
        page.get_by_label("Category", exact=True).select_option("jewelry")
        page.wait_for_url("**category=jewelry**")
        page.reload()
        expect(page.get_by_label("Category", exact=True)).to_have_value("jewelry")


# Why: an hour in which nobody bought was as wide as no time at all, so that a shop's morning looked like its night.
def test_times_without_rows_have_their_place_along_the_axis(looker: Looker) -> None:
    with looker.page("/boards/sales") as page:
        page.wait_for_selector("html[data-drawn]")
        days = ["2026-11-01 00:00:00", "2026-11-02 00:00:00", "2026-11-05 00:00:00"]
        assert page.evaluate("evenly", days) == [f"2026-11-0{day} 00:00:00" for day in range(1, 6)]
        assert page.evaluate("evenly", ["2026-11-01T10:00", "2026-11-01T10:01", "2026-11-01T10:03"]) == [
            f"2026-11-01T10:0{minute}" for minute in range(4)
        ]
        for kept in (
            ["toys", "home", "grocery"],
            ["2026-01-01", "2026-02-01", "2026-03-01"],
            ["2026-11-02", "2026-11-01"],
        ):
            assert page.evaluate("evenly", kept) == kept


# Why: a range of thirty days begins within a day and ends within one. Both held less than a day, and the chart fell at its ends
# as if the shop had sold less.
def test_a_day_that_the_range_cuts_is_marked(looker: Looker) -> None:
    with looker.page("/boards/sales") as page:
        page.wait_for_selector("html[data-drawn]")

        def cut(labels: list[str], since: str | None, until: str | None) -> list[bool]:
            found: list[bool] = page.evaluate("(given) => cutShort(...given)", [labels, since, until])
            return found

        days = [f"2026-11-0{day} 00:00:00" for day in range(1, 5)]
        assert cut(days, "2026-11-01T10:00:00.000000Z", "2026-11-04T10:00:00.000000Z") == [
            True,
            False,
            False,
            True,
        ]
        assert cut(days, "2026-11-01T00:00:00.000000Z", "2026-11-05T00:00:00.000000Z") == [False] * 4
        assert cut(days, None, None) == [False] * 4
        moments = ["2026-11-01T10:00:07", "2026-11-01T10:00:08"]
        for unlike in (moments, ["toys", "home"]):
            assert cut(unlike, "2026-11-01T00:00:00.000000Z", "2026-11-01T10:00:08.500000Z") == [False] * 2
        fills = "Chart.getChart(document.querySelector(`[data-chart='4'] canvas`)).data.datasets[0].pointBackgroundColor"
        first, *_, last = page.evaluate(fills)
        assert first != last  # Today is going on; the board's query begins with a whole day.


# Why: a board is made and changed where it is looked at; a wrong file is refused with the reason, and a chart that fails
# says so beside those that do not.
def test_a_board_is_made_changed_and_deleted(looker: Looker) -> None:
    with looker.page("/boards/new", theme="dark") as page:
        page.get_by_label("File name").fill("by-hand")
        _write(page, BOARD.replace('kind = "line"', 'kind = "pie"'))
        page.get_by_role("button", name="Save").click()
        expect(page.locator("#board-problem")).to_contain_text("chart 2: kind is one of")
        _write(page, BOARD)
        page.get_by_role("button", name="Save").click()
        expect(page.locator("h1")).to_have_text("By hand")
        page.wait_for_selector("html[data-drawn]")
        expect(page.locator("[data-chart='0'] .big-number")).not_to_have_text("0")
        expect(page.locator("[data-chart='1'] .notice")).to_contain_text("no_such_column")
        looker.check(page, "a board by hand")
        looker.picture(page, "board-broken-wide-dark")
        page.get_by_role("link", name="Edit").click()
        _write(page, BOARD.replace("By hand", "Changed"))
        page.get_by_role("button", name="Save").click()
        expect(page.locator("h1")).to_have_text("Changed")
        page.get_by_role("link", name="Edit").click()
        page.get_by_role("button", name="Delete…").click()
        page.get_by_role("button", name="Delete it").click()
        expect(page.locator("main")).not_to_contain_text("Changed")


# Why: charts are drawn on canvas, which no style sheet reaches: they have to follow the theme by themselves.
def test_charts_follow_the_theme(looker: Looker) -> None:
    colour = (
        "Chart.getChart(document.querySelector('[data-chart=\"4\"] canvas')).data.datasets[0].borderColor"
    )
    with looker.page("/boards/sales", theme="light") as page:
        page.wait_for_selector("html[data-drawn]")
        light = page.evaluate(colour)
        page.get_by_role("button", name="Theme").click()
        page.get_by_role("button", name="Theme").click()
        assert page.evaluate(colour) != light
