"""Is the model still right? The report of a running application's monitor, as a page."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from urllib.request import Request, urlopen

from playwright.sync_api import Page, expect

from tests.browser.demo import Demo
from tests.browser.looking import SIZES, THEMES, Looker

FAR_OUT = 400  # Customers that all buy for a thousand times as much: a good share of whatever else was asked meanwhile.


def _report(page: Page) -> None:
    expect(page.locator("#report .spreads")).to_be_visible(timeout=60_000)


# Why: the page is where somebody learns that a model went wrong: volume, latency, what moved, skew and whether it was right.
def test_the_monitor_shows_what_moved_and_whether_it_was_right(looker: Looker, running: Demo) -> None:
    with looker.page("/predictors/will_buy") as page:
        page.get_by_role("link", name="Monitor").click()
        _report(page)
        report = page.locator("#report")
        expect(report.locator(".stats").first).to_contain_text("Answers")
        expect(report.locator(".spreads li")).to_have_count(8)  # Seven features, and what it answers.
        expect(report.locator(".spreads li").first).to_contain_text("What it answers")
        expect(report).to_contain_text("Skewed, of")
        expect(report).to_contain_text("Purchases.purchased_at")
        expect(report).to_contain_text("Brier score")  # The demo's labels have all come.
        assert report.locator(".calibration circle").count() > 0
        for size in SIZES:
            for theme in THEMES:
                looker.look_as(page, size, theme)
                looker.check(page, f"monitor {size} {theme}")
                looker.picture(page, f"monitor-{size}-{theme}")


# Why: an alert comes first and names what moved; the page itself keeps nothing and changes nothing.
def test_a_feature_that_moved_is_the_first_thing_on_the_page(looker: Looker, running: Demo) -> None:
    at = (datetime.now(UTC) - timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    purchase = {"purchase_id": "p1", "purchased_at": at, "category": "jewelry", "amount": 90_000}
    body = json.dumps([{"customer_id": f"rich{n}", **purchase} for n in range(FAR_OUT)]).encode()
    urlopen(Request(f"{running.url}/events/Purchases", body, {"Content-Type": "application/json"})).close()
    for each in range(FAR_OUT):
        urlopen(f"{running.url}/predict/will_buy/customer/rich{each}").close()
    with looker.page("/predictors/will_buy/monitor?since=1h", theme="dark") as page:
        _report(page)
        alerts = page.locator("#report > section").first
        expect(alerts).to_have_class("panel flush troubles")
        expect(alerts).to_contain_text("mean_amount_30d moved since training: PSI")
        expect(page.locator(".spreads li.moved").first).to_be_visible()
        looker.check(page, "monitor with alerts")
        looker.picture(page, "monitor-alerts-wide-dark")
        page.locator(".segments label", has_text="7d").click()
        page.wait_for_url("**since=7d")
        _report(page)
    assert "penstock_alerts" not in running.client.list_tables()["TableNames"]
