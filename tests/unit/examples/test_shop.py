"""The storefront's synthetic shop: one seed, one shop, with something in it to find."""

from __future__ import annotations

import importlib
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType

import pytest

STOREFRONT = Path(__file__).parents[3] / "examples" / "storefront"
OPENED = datetime(2026, 11, 20, tzinfo=UTC)


@pytest.fixture
def shop(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(STOREFRONT))
    monkeypatch.delitem(sys.modules, "shop", raising=False)
    return importlib.import_module("shop")


# Why: the history is loaded in parts, over several starts; each start has to mean the same purchases.
def test_the_history_is_the_same_each_time_and_has_the_size_that_is_promised(shop: ModuleType) -> None:
    counts = shop.purchase_counts()
    assert (len(counts), sum(counts)) == (20_000, 300_000)
    assert min(counts) >= 0
    assert counts == shop.purchase_counts()
    assert list(shop.history(7, 20, OPENED)) == list(shop.history(7, 20, OPENED))


# Why: purchases are keyed by customer and id, and a second with the same key would replace the first.
def test_purchases_of_a_customer_are_in_order_before_the_opening_and_apart(shop: ModuleType) -> None:
    bought = list(shop.history(7, 50, OPENED))
    times = [each["purchased_at"] for each in bought]
    assert times == sorted(times)
    assert OPENED - timedelta(days=shop.DAYS) <= times[0] <= times[-1] <= OPENED
    assert len({each["purchase_id"] for each in bought}) == 50


# Why: with nothing to find the first model would be a coin.
def test_who_lost_interest_does_not_buy_lately(shop: ModuleType) -> None:
    lost = next(n for n in range(1000) if shop.Customer(n).interest_days < shop.DAYS / 2)
    last = [each["purchased_at"] for each in shop.history(lost, 30, OPENED)][-1]
    assert last < OPENED - timedelta(days=shop.DAYS / 2)


# Why: the monitor holds what is asked against what was trained on. Moments of another kind than those that are asked about made
# it cry on the first day: whoever just bought was nobody the model had seen.
def test_the_moments_of_training_are_of_the_kind_that_is_asked_about(shop: ModuleType) -> None:
    counts = shop.purchase_counts()
    asked = shop.moments(200, counts, OPENED)
    assert asked == shop.moments(200, counts, OPENED)
    assert len(asked) == 400
    assert all(OPENED - timedelta(days=14) <= at < OPENED - timedelta(days=6) for _, at in asked)
    lately = 0
    for customer, at in asked:
        bought = [
            each["purchased_at"]
            for each in shop.history(int(customer[1:]), counts[int(customer[1:])], OPENED)
        ]
        lately += any(timedelta() <= at - each <= timedelta(seconds=10) for each in bought)
    assert lately >= 200
