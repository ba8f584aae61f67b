"""Dead letters from a page: looked into, retried in a process of their own, discarded."""

from __future__ import annotations

from playwright.sync_api import expect

from penstock.events.dead_letters import DeadLetter, DeadLetters
from tests.browser.demo import Demo
from tests.browser.looking import Looker


def _letter(running: Demo, category: str) -> DeadLetter:
    letters = DeadLetters(running.client)
    for each in letters.list("notify"):
        shown = letters.show("notify", each.id)
        assert shown.record is not None
        if (shown.record["dynamodb"]["NewImage"]["category"]["S"] == "toys") is (category == "toys"):
            return shown
    raise AssertionError(f"no letter of {category}")


def _path(letter: DeadLetter) -> str:
    return f"/streams/letter?consumer={letter.consumer}&id={letter.id}"


# Why: whoever looks for what follows a table finds all of it in one place, the lake too.
def test_all_that_follow_a_table_are_listed(looker: Looker, running: Demo) -> None:
    with looker.page("/streams") as page:
        rows = page.locator("#consumers tbody tr")
        expect(rows.filter(has_text="notify")).to_contain_text("Returns")
        expect(rows.filter(has_text="the lake").filter(has_text="Purchases")).to_be_visible()


# Why: a letter whose cause is gone is handled by a retry, and one whose cause is not stays, with the error.
def test_a_retry_handles_a_record_or_says_why_not(looker: Looker, returned: Demo) -> None:
    with looker.page(_path(_letter(returned, "toys"))) as page:
        looker.check(page, "letter")
        looker.picture(page, "letter-wide-light")
        page.get_by_role("button", name="Retry…").click()
        page.get_by_role("button", name="Retry", exact=True).click()
        expect(page.locator("#dialog [role=alert]")).to_contain_text("address is not known", timeout=60_000)
    fine = _letter(returned, "others")
    with looker.page(_path(fine)) as page:
        page.get_by_role("button", name="Retry…").click()
        page.get_by_role("button", name="Retry", exact=True).click()
        expect(page.locator(".toast")).to_contain_text("Handled", timeout=60_000)
    assert fine.id not in {each.id for each in DeadLetters(returned.client).list("notify")}


# Why: what nobody wants handled is dropped knowingly, and only after a question.
def test_a_letter_is_discarded_after_a_question(looker: Looker, returned: Demo) -> None:
    letter = _letter(returned, "toys")
    with looker.page(_path(letter), "narrow", "dark") as page:
        looker.check(page, "letter, narrow")
        looker.picture(page, "letter-narrow-dark")
        page.get_by_role("button", name="Discard…").click()
        looker.picture(page, "letter-discard-narrow-dark", whole=False)
        page.get_by_role("button", name="Discard", exact=True).click()
        expect(page.locator(".toast")).to_contain_text("Discarded")
    assert letter.id not in {each.id for each in DeadLetters(returned.client).list("notify")}
