"""The synthetic shop: 20,000 customers and 300,000 purchases from one seed, then new purchases as they happen.

Known behaviour, so that a model has something true to find. A customer has a rate of buying, a favourite category and a
day on which they lose interest; half of them lose it within the history. Who bought often and lately will buy again.

Everything is made from (seed, customer), so a stop anywhere goes on exactly where it was, and two machines have the same
shop up to the day on which it was first opened.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

CUSTOMERS = 20_000
PURCHASES = 300_000
DAYS = 120
SEED = 7
CATEGORIES = {  # Name: how popular, usual price.
    "grocery": (30, 24),
    "clothing": (22, 58),
    "home": (16, 75),
    "toys": (12, 32),
    "electronics": (11, 240),
    "jewelry": (9, 310),
}
_NAMES = list(CATEGORIES)
_POPULARITY = [popular for popular, _ in CATEGORIES.values()]


class Customer:
    """What drives one customer's purchases."""

    def __init__(self, number: int) -> None:
        self.id = f"c{number}"
        self.chance = random.Random(f"{SEED}/{number}")
        self.favourite = self.chance.choices(_NAMES, _POPULARITY)[0]
        self.interest_days = DAYS * 2 * self.chance.random()  # Half of them beyond the history's end.
        self.rate = self.chance.gammavariate(1.2, 1.0)

    def basket(self, chance: random.Random) -> tuple[str, Decimal]:
        category = self.favourite if chance.random() < 0.55 else chance.choices(_NAMES, _POPULARITY)[0]
        price = CATEGORIES[category][1] * chance.lognormvariate(0.0, 0.45)
        return category, Decimal(f"{price:.2f}")


def purchase_counts() -> list[int]:
    """How many purchases each customer has in the history: by their rates, and exactly PURCHASES together."""
    weights = []
    for number in range(CUSTOMERS):
        customer = Customer(number)
        weights.append(customer.rate * min(DAYS, customer.interest_days))
    scale, counts, given, meant = PURCHASES / sum(weights), [], 0, 0.0
    for weight in weights:
        meant += weight * scale
        counts.append(round(meant) - given)
        given += counts[-1]
    return counts


def history(number: int, purchases: int, opened: datetime) -> Iterator[dict[str, Any]]:
    """One customer's purchases before the shop was opened here, oldest first."""
    customer = Customer(number)
    days = min(float(DAYS), customer.interest_days)
    moments = sorted(customer.chance.random() * days for _ in range(purchases))
    began = opened - timedelta(days=DAYS)
    for place, moment in enumerate(moments):
        category, amount = customer.basket(customer.chance)
        yield purchase(customer.id, f"h{place:04}", began + timedelta(days=moment), category, amount)


def moments(customers: int, counts: list[int], opened: datetime) -> list[tuple[str, datetime]]:
    """When somebody would have been asked about, from two weeks before the shop was opened here until one week: the week after is
    known. One moment for each customer, and as often one of the ten seconds after a purchase, as live.py asks.

    A model that was trained on moments of another kind meets customers that it has never seen, and the monitor says so.
    """
    chance = random.Random(f"{SEED}/moments")
    first, last = opened - timedelta(days=14), opened - timedelta(days=7)
    bought = [
        (f"c{number}", event["purchased_at"] + timedelta(seconds=chance.uniform(0, 10)))
        for number in range(customers)
        for event in history(number, counts[number], opened)
        if first <= event["purchased_at"] < last
    ]
    asked = [(f"c{number}", first + chance.random() * (last - first)) for number in range(customers)]
    return asked + (chance.choices(bought, k=customers) if bought else [])


def purchase(customer: str, id_: str, at: datetime, category: str, amount: Decimal) -> dict[str, Any]:
    return {
        "customer_id": customer,
        "purchase_id": f"{customer}-{id_}",
        "purchased_at": at.astimezone(UTC),
        "category": category,
        "amount": amount,
    }
