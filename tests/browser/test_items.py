"""Looking into a table and changing it: forms that show their request, writes that ask first and lose nothing."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import Page, expect

from penstock.console import typed_json
from tests.browser.demo import Demo
from tests.browser.looking import Looker


def _write(page: Page, text: str) -> None:
    """Put text into the page's editor, as typing would."""
    page.wait_for_selector(".cm-editor")
    page.locator(".cm-content").click()
    page.keyboard.press("Control+a")
    page.keyboard.insert_text(text)


def _item(running: Demo, key: dict[str, Any], table: str = "Ledger") -> dict[str, Any] | None:
    item: dict[str, Any] | None = running.client.get_item(TableName=table, Key=key, ConsistentRead=True).get(
        "Item"
    )
    return item


# Why: an item made by hand is written as it was reviewed, and one that is there already is never replaced by a new one.
def test_a_new_item_is_reviewed_written_and_not_written_twice(looker: Looker, running: Demo) -> None:
    text = '{"account": {"N": "77"}, "line": {"B": "AQI="}, "note": {"S": "made by hand"}}'
    with looker.page("/tables/Ledger/new") as page:
        _write(page, text)
        page.get_by_role("button", name="Review…").click()
        expect(page.locator("#dialog h2")).to_have_text("Write a new item?")
        looker.check(page, "review of a new item")
        looker.picture(page, "review-new-wide-light", whole=False)
        assert _item(running, {"account": {"N": "77"}, "line": {"B": b"\x01\x02"}}) is None
        page.get_by_role("button", name="Write it").click()
        expect(page.locator(".toast")).to_contain_text("Written")
        assert _item(running, {"account": {"N": "77"}, "line": {"B": b"\x01\x02"}}) is not None
        page.goto(f"{looker.url}/console/tables/Ledger/new")
        _write(page, text.replace("made by hand", "again"))
        page.get_by_role("button", name="Review…").click()
        page.get_by_role("button", name="Write it").click()
        expect(page.locator("#dialog [role=alert]")).to_contain_text("is there already")


# Why: a review shows what changes, and a change that somebody else made meanwhile is never overwritten unseen.
def test_an_edit_is_refused_where_the_item_changed_meanwhile(looker: Looker, running: Demo) -> None:
    key: dict[str, Any] = {"account": {"N": "500"}, "line": {"B": b"\x05"}}
    running.client.put_item(TableName="Ledger", Item={**key, "note": {"S": "first"}})
    with looker.page(f"/tables/Ledger/item?key={typed_json.key_word(key)}", theme="dark") as page:
        _write(page, typed_json.text_of({**key, "note": {"S": "second"}}))
        page.get_by_role("button", name="Review the change…").click()
        expect(page.locator("#dialog del")).to_have_text("first")
        expect(page.locator("#dialog ins")).to_have_text("second")
        looker.check(page, "review of a change")
        looker.picture(page, "review-edit-wide-dark", whole=False)
        running.client.put_item(TableName="Ledger", Item={**key, "note": {"S": "somebody else's"}})
        page.get_by_role("button", name="Save it").click()
        expect(page.locator("#dialog [role=alert]")).to_contain_text("changed by somebody else")
        page.reload()
        _write(page, typed_json.text_of({**key, "note": {"S": "second"}}))
        page.get_by_role("button", name="Review the change…").click()
        page.get_by_role("button", name="Save it").click()
        expect(page.locator(".toast")).to_contain_text("Saved")
    item = _item(running, key)
    assert item is not None
    assert item["note"] == {"S": "second"}


# Why: a deletion cannot be taken back, so it shows what goes, asks, and can be left.
def test_a_delete_asks_first(looker: Looker, running: Demo) -> None:
    key: dict[str, Any] = {"account": {"N": "600"}, "line": {"B": b"\x06"}}
    running.client.put_item(TableName="Ledger", Item={**key, "note": {"S": "to go"}})
    with looker.page(f"/tables/Ledger/item?key={typed_json.key_word(key)}", "narrow") as page:
        page.get_by_role("button", name="Delete…").click()
        expect(page.locator("#dialog h2")).to_have_text("Delete this item?")
        looker.check(page, "review of a deletion")
        looker.picture(page, "review-delete-narrow-light", whole=False)
        page.get_by_role("button", name="Cancel").click()
        assert _item(running, key) is not None
        page.get_by_role("button", name="Delete…").click()
        page.get_by_role("button", name="Delete it").click()
        expect(page.locator(".toast")).to_contain_text("Deleted")
    assert _item(running, key) is None


# Why: what is wrong with an item is said in its own words, at the place, before anything is sent.
def test_a_wrong_item_is_explained(looker: Looker) -> None:
    with looker.page("/tables/Ledger/new") as page:
        for text, said in (
            ('{"account": {"N": 5}}', "account: N holds text in quotes"),
            ('{"account": "5"}', "a value says its type"),
            ('{"account": ', "this is not JSON"),
            ('{"account": {"N": "5"}, "line": {"S": "x"}}', "line: the key attribute"),
        ):
            _write(page, text)
            page.get_by_role("button", name="Review…").click()
            expect(page.locator("#dialog [role=alert]")).to_contain_text(said)
            page.get_by_role("button", name="Back").click()


# Why: data are other people's text; a script in them is shown, never run.
def test_markup_in_data_is_text(looker: Looker) -> None:
    with looker.page("/tables/Ledger") as page:
        page.on("dialog", lambda dialog: looker.problems.append("a script in the data ran"))
        expect(page.locator("#results table")).to_contain_text("<script>alert('no')</script>")


# Why: the form must send exactly the request that it shows, by key, by index, with a range and filters.
def test_a_query_shows_the_request_that_it_sends(looker: Looker) -> None:
    with looker.page("/tables/Purchases") as page:
        page.locator("#index").select_option("by_category")
        page.wait_for_selector("label[for=pk]:has-text('category')")
        page.locator("#pk").fill("jewelry")
        page.locator("#op").select_option("begins_with")
        page.locator("#sk").fill("c1")
        page.get_by_text("Filters", exact=True).click()
        page.get_by_label("Attribute", exact=True).first.fill("purchase_id")
        page.get_by_label("Condition").first.select_option("contains")
        page.get_by_label("Value", exact=True).first.fill("c1")
        page.get_by_role("button", name="Query", exact=True).click()
        expect(page.locator("#results pre").first).to_contain_text("begins_with(#s, :s)")
        request = page.locator("#results pre").first.text_content() or ""
        assert '"IndexName": "by_category"' in request
        assert '"FilterExpression": "contains(#f0, :f0)"' in request
        page.get_by_role("tab", name="AWS CLI").click()
        expect(page.locator("#results pre:visible")).to_contain_text("aws dynamodb query --endpoint-url")
        page.get_by_role("button", name="Copy").click()
        copied = page.evaluate("navigator.clipboard.readText()")
        assert "--key-condition-expression '#p = :p AND begins_with(#s, :s)'" in copied
        assert "index=by_category" in page.url


# Why: a Scan costs what the table holds; whoever starts one has been told, and goes through it page by page.
def test_a_scan_warns_and_pages(looker: Looker) -> None:
    with looker.page("/tables/Purchases") as page:
        page.get_by_role("radio", name="Scan").check()
        expect(page.locator(".explorer .notice")).to_contain_text("read units")
        page.get_by_role("button", name="Scan a page").click()
        page.wait_for_url("**mode=scan**")
        first = page.locator("#results tbody tr").first.text_content()
        page.get_by_role("link", name="Next page").click()
        expect(page.locator("#results tbody tr").first).not_to_have_text(first or "")
        expect(page.get_by_role("link", name="First page")).to_be_visible()


# Why: AWS' own words about a wrong request reach the person who made it.
def test_a_refused_request_is_shown(looker: Looker) -> None:
    with looker.page("/tables/Ledger") as page:
        page.locator("#pk").fill("abc")
        page.get_by_role("button", name="Query", exact=True).click()
        expect(page.locator("#results [role=alert]")).to_contain_text("account: 'abc' is not a number")
