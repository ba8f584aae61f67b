"""Asking the lake from a page: answers, mistakes, charts, saved queries, time travel and a way out of a long query."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Page, expect

from tests.browser.looking import Looker


def _ask(page: Page, sql: str) -> None:
    page.wait_for_selector(".cm-editor")
    page.locator(".cm-content").click()
    page.keyboard.press("Control+a")
    page.keyboard.insert_text(sql)
    page.keyboard.press("Control+Enter")


# Why: the shortest way from a question to rows, a picture and a file.
def test_a_question_is_answered_as_grid_chart_and_file(looker: Looker, tmp_path: Path) -> None:
    with looker.page("/lake") as page:
        _ask(page, "SELECT category, count(*) AS purchases FROM current.Purchases GROUP BY 1 ORDER BY 1")
        expect(page.locator("#answer [role=status]").first).to_contain_text("6 rows")
        expect(page.locator("#answer tbody tr").first).to_contain_text("clothing")
        looker.check(page, "answer")
        looker.picture(page, "lake-answer-wide-light")
        page.get_by_role("tab", name="Chart").click()
        expect(page.locator("[data-chart-kind]")).to_have_value(
            "bar"
        )  # There is nothing between two categories.
        assert page.evaluate("Boolean(Chart.getChart(document.querySelector('[data-answer-chart]')))")
        looker.check(page, "chart of an answer")
        looker.picture(page, "lake-chart-wide-light")
        with page.expect_download() as download:
            page.get_by_role("button", name="CSV").click()
        kept = tmp_path / "query.csv"
        download.value.save_as(kept)
        assert kept.read_text().splitlines()[0].replace('"', "") == "category,purchases"
        expect(page.locator("[data-history] button")).to_have_count(1)


# Why: most questions are wrong at first; what is wrong is said by the engine, in the page.
def test_a_wrong_question_says_what_is_wrong(looker: Looker) -> None:
    with looker.page("/lake", theme="dark") as page:
        _ask(page, "SELECT nothing FROM current.Purchases")
        expect(page.locator("#answer [role=alert]")).to_contain_text("nothing")
        _ask(page, "DROP TABLE current.Purchases")
        expect(page.locator("#answer [role=alert]")).to_contain_text("is not a query")
        looker.check(page, "wrong question")
        looker.picture(page, "lake-wrong-wide-dark")


# Why: a question that takes for ever must not hold anybody up.
def test_a_long_question_can_be_cancelled(looker: Looker) -> None:
    with looker.page("/lake") as page:
        _ask(page, "SELECT count(*) FROM range(100000000000) AS a(x), range(100) AS b(y) WHERE x * y % 7 = 3")
        page.get_by_role("button", name="Cancel").first.click()
        expect(page.locator("#answer [role=alert]")).to_be_visible()


# Why: a good question is asked again next week, by somebody else too.
def test_a_question_is_saved_and_dropped(looker: Looker) -> None:
    with looker.page("/lake?sql=SELECT%2041%20%2B%201") as page:
        page.get_by_role("button", name="Save as…").click()
        page.get_by_label("Name").fill("the <answer>")
        page.get_by_role("button", name="Save", exact=True).click()
        expect(page.locator("#kept .query")).to_have_text("the <answer>")
        page.goto(f"{looker.url}/console/lake")
        page.locator("#kept .query").click()
        page.keyboard.press("Control+Enter")
        expect(page.locator("#answer tbody")).to_have_text("42")
        page.get_by_role("button", name="Delete the <answer>").click()
        expect(page.locator("#kept")).to_contain_text("None yet")


# Why: what a table costs to read is in its files: many small ones are a reason to compact.
def test_a_table_lists_its_files(looker: Looker) -> None:
    with looker.page("/lake/tables/current/Purchases") as page:
        files = page.get_by_role("region", name="Files").locator("tbody tr")
        expect(files.first).to_contain_text(".parquet")
        expect(files.first).to_contain_text("KB")


# Why: what the table said then is one click away from what it says now.
def test_a_snapshot_can_be_asked(looker: Looker) -> None:
    with looker.page("/lake/tables/current/Purchases") as page:
        page.get_by_role("link", name="Query it then").first.click()
        expect(page.locator(".cm-content")).to_contain_text("FOR VERSION AS OF")
        page.get_by_role("button", name="Run").click()
        expect(page.locator("#answer [role=status]").first).to_contain_text("rows")


# Why: a newcomer's first question is about the application's own table, whatever the alphabet says.
def test_the_first_question_is_about_the_applications_table(looker: Looker) -> None:
    with looker.page("/lake") as page:
        expect(page.locator(".cm-content")).to_contain_text("FROM current.Purchases")


# Why: seen on a phone: the list of names stayed open over the answer that was asked for.
def test_asking_closes_the_list_of_names(looker: Looker) -> None:
    with looker.page("/lake", size="narrow") as page:
        page.wait_for_selector(".cm-editor")
        page.locator(".cm-content").click()
        page.keyboard.press("Control+a")
        page.keyboard.type("SELECT count(*) FROM current.Purchases LIMIT 1 OFFS")
        expect(page.locator(".cm-tooltip-autocomplete")).to_be_visible()
        expect(page.locator(".cm-completionIcon")).to_have_count(0)
        page.keyboard.press("Control+Enter")
        expect(page.locator(".cm-tooltip-autocomplete")).to_have_count(0)


# Why: names of tables and columns are long; nobody should have to spell them.
def test_names_are_completed(looker: Looker) -> None:
    with looker.page("/lake") as page:
        page.wait_for_selector(".cm-editor")
        page.locator(".cm-content").click()
        page.keyboard.press("Control+a")
        page.keyboard.type("SELECT * FROM current.Pur")
        expect(page.locator(".cm-tooltip-autocomplete")).to_contain_text("Purchases")
        page.locator(".cm-tooltip-autocomplete li", has_text="Purchases").first.click()
        expect(page.locator(".cm-content")).to_contain_text("current.Purchases")
