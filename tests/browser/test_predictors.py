"""Predictions from a page: ask, understand, replay, campaign, and move the model that answers."""

from __future__ import annotations

import json
import re
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.browser.demo import Demo
from tests.browser.looking import Looker


# Why: an answer can be traced to its events and comes out the same again; that is what the log is for.
def test_an_answer_is_asked_for_explained_and_replayed(looker: Looker, running: Demo) -> None:
    with looker.page("/predictors/will_buy") as page:
        page.get_by_label("Customer").fill("c3")
        page.get_by_role("button", name="Predict").click()
        why = page.get_by_role("link", name="Why this answer")
        key = {"requestId": {"S": (why.get_attribute("href") or "").rpartition("/")[2]}}
        kept = running.client.get_item(TableName="InferenceMetadata", Key=key)["Item"]
        expect(page.locator("#prediction .big-number").first).to_have_text(kept["prediction"]["S"])
        looker.check(page, "prediction")
        looker.picture(page, "prediction-wide-light")
        page.get_by_role("link", name="Why this answer").click()
        expect(page.locator(".chain li").first).to_contain_text("Events")
        looker.check(page, "inference")
        page.get_by_role("button", name="Replay").click()
        expect(page.locator("#replay")).to_contain_text("The same, bit for bit", timeout=20_000)
        looker.picture(page, "inference-wide-light")


# Why: somebody of whom nothing is known gets an answer that says so; a mistake gets the API's own words.
def test_unknown_and_wrong_entities_are_told_apart(looker: Looker) -> None:
    with looker.page("/predictors/will_buy", "narrow", "dark") as page:
        page.get_by_label("Customer").fill("nobody at all")
        page.get_by_role("button", name="Predict").click()
        expect(page.locator("#prediction")).to_contain_text("no events of customer")
        looker.check(page, "prediction of nobody")
        looker.picture(page, "prediction-narrow-dark")
        page.get_by_label("Customer").fill("x" * 2049)
        page.get_by_role("button", name="Predict").click()
        expect(page.locator("#prediction")).to_have_text(re.compile(r"^\s*\w[^\"]+ \(400\)\s*$"))


# Why: a campaign answers for as long as it runs; it is counted as it comes, and can be kept.
def test_a_campaign_is_counted_and_kept(looker: Looker, running: Demo, tmp_path: Path) -> None:
    asked = {
        "TableName": "Purchases",
        "IndexName": "by_category",
        "KeyConditionExpression": "category = :c",
        "ExpressionAttributeValues": {":c": {"S": "jewelry"}},
    }

    def customers() -> int:
        page = running.client.query(**asked)  # type: ignore[arg-type]
        return len({item["customer_id"]["S"] for item in page["Items"]})

    before = customers()
    with looker.page("/predictors/will_buy") as page:
        page.locator("#campaign-value").fill("jewelry")
        page.get_by_role("button", name="Start").click()
        expect(page.locator("[data-rate]")).to_contain_text("complete")
        done = int(page.locator("[data-done]").text_content() or "")
        assert before <= done <= customers()  # People buy meanwhile, some of them jewelry for the first time.
        looker.check(page, "campaign")
        looker.picture(page, "campaign-wide-light")
        with page.expect_download() as download:
            page.get_by_role("button", name="Download").click()
        kept = tmp_path / "campaign.jsonl"
        download.value.save_as(kept)
        assert sum("prediction" in json.loads(line) for line in kept.read_text().splitlines()) == done
        page.locator("#campaign-value").fill("no such thing")
        page.get_by_role("button", name="Start").click()
        expect(page.locator("[data-rate]")).to_contain_text("nobody has this category")
        expect(page.get_by_role("button", name="Download")).to_be_hidden()


# Why: the model that answers is moved with care, at once, and back again.
def test_a_version_is_promoted_and_rolled_back(looker: Looker) -> None:
    with looker.page("/predictors/will_buy") as page:
        page.get_by_role("button", name="Promote…").click()
        expect(page.locator("#dialog h2")).to_have_text("Promote version 1?")
        looker.check(page, "promotion")
        looker.picture(page, "promote-wide-light", whole=False)
        page.get_by_role("button", name="Promote", exact=True).click()
        expect(page.locator(".toast")).to_contain_text("Promoted")
        _predict_until_version(page, 1)
        page.get_by_role("button", name="Roll back…").click()
        expect(page.locator("#dialog h2")).to_have_text("Roll back to version 2?")
        looker.check(page, "rolling back")
        looker.picture(page, "rollback-wide-light", whole=False)
        page.get_by_role("button", name="Roll back", exact=True).click()
        expect(page.locator(".toast")).to_contain_text("Rolled back")
        _predict_until_version(page, 2)


def _predict_until_version(page: Page, number: int) -> None:
    """Requests that were begun with what was loaded before are answered with that."""
    verdict = page.locator("#prediction .verdict")
    for _ in range(50):
        with page.expect_response("**/try"):
            page.get_by_role("button", name="Predict").click()
        expect(verdict).to_be_visible()
        if f"Version{number}" in (verdict.text_content() or ""):
            break
    expect(verdict).to_contain_text(f"Version{number}")
