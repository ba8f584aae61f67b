"""Random histories asked about as they happen, and asked again afterwards: the workload of "one definition, two places".

Events arrive on time, late, twice, corrected (same key, other values, another time, another customer), deleted; their instants
lie on the edges of windows, to the microsecond; some are in other forms of time, some have values of the wrong kind. After each
change some (customer, time) pairs are answered from the indexes; the answers are kept with the position that they were given at.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from random import Random
from typing import Any

import penstock
from penstock import (
    App,
    at_least,
    computed,
    count,
    distinct,
    first,
    last,
    least,
    mean,
    most,
    ratio,
    requested,
    share,
    since_first,
    since_last,
    std,
    top,
    total,
)
from penstock.features.definition import Values, assemble, compile_set, request_values, transform
from penstock.features.instants import DAY_US, SECOND_US, text_of
from penstock.features.online import Reader, pages_of, read
from tests.shop import Shop

WINDOWS = (1, 7, 30)
RED = {"colour": "red"}


def application() -> App:
    """Every kind of feature, over two tables and two kinds of time."""
    app = penstock.App("twice")
    events = app.table(
        "Events", partition_key="who", sort_key="id", local_indexes={"by_time": "at"}, stream=True
    )
    visits = app.table("Visits", partition_key="who", sort_key="moment", stream=True)
    features: dict[str, Any] = {"basket": requested("basket", default=1.0)}
    for days in WINDOWS:
        features |= {
            f"sum_{days}": total("n", days=days),
            f"sum_red_{days}": total("n", days=days, where=RED),
            f"count_{days}": count(days=days),
            f"count_big_{days}": count(days=days, where={"n": at_least(10)}),
            f"mean_{days}": mean("n", days=days, default=0.5),
            f"least_{days}": least("n", days=days),
            f"most_{days}": most("n", days=days, where={"colour": ["red", "blue"]}),
            f"std_{days}": std("n", days=days),
            f"distinct_{days}": distinct("colour", days=days),
            f"share_{days}": share("n", where=RED, days=days),
            f"ratio_{days}": ratio(total("n", days=days), count(days=days)),
            f"top_{days}": top("colour", days=days),
            f"last_{days}": last("n", days=days),
            f"first_{days}": first("colour", days=days),
            f"since_last_{days}": since_last(days=days, where=RED),
            f"visits_{days}": count(days=days, source=visits, time="moment"),
            f"stay_{days}": total("stay", days=days, source=visits, time="moment"),
        }
    features |= {
        "hours": count(hours=5),
        "since_last": since_last(),
        "since_first": since_first(),
        "since_red": since_last(where=RED),
        "last": last("colour"),
        "first": first("n", where=RED),
        "since_visit": since_last(source=visits, time="moment"),
        "mixed": ratio(count(days=7), count(days=30, source=visits, time="moment")),
        "after_basket": computed(
            lambda held: float(held["sum_7"]) * held["basket"], needs=("sum_7", "basket")
        ),
    }
    app.features("all", source=events, entity="who", time="at", features=features)
    # The way of one page and its columns is taken where nothing needs ties or another table.
    app.features("plain", source=events, entity="who", time="at", features={
        name: each for name, each in features.items()
        if not name.startswith(("last", "first", "since_first", "visits", "stay", "since_visit", "mixed", "basket", "after"))
    })  # fmt: skip
    return app


def lived(shop: Shop, random: Random, pairs: int) -> tuple[list[dict[str, Any]], dict[str, list[Values]]]:
    """The pairs as a spine, and by feature set what was answered on the way."""
    sets = {name: compile_set(each) for name, each in shop.app.feature_sets.items()}
    readers = {name: Reader(plan, project=random.random() < 0.5) for name, plan in sets.items()}
    query = pages_of(shop.client)
    spine: list[dict[str, Any]] = []
    answers: dict[str, list[Values]] = {name: [] for name in sets}
    instants: list[int] = [shop.now_us]
    customers = [f"w{number}/é" for number in range(max(3, pairs // 400))]
    while len(spine) < pairs:
        _change(shop, random, customers, instants)
        for _ in range(random.choice([1, 2, 4])):
            who, basket = random.choice(customers), float(random.randrange(9))
            at_us = _moment(shop, random, instants)
            position = shop.db.database.view.last_sequence()
            spine.append({"who": who, "at": at_us, "position": position, "basket": basket})
            for name, plan in sets.items():
                observed = read(query, readers[name], {"S": who}, at_us)
                given = request_values(plan, {"basket": basket})
                answers[name].append(transform(plan, assemble(plan, observed.measured, given)))
        if random.random() < 0.4:
            # A stream remembers 24 hours: what happens here takes less.
            shop.db.clock.advance(random.choice([0.000001, 1, 5, 60]))
    return spine, answers


def differing(
    shop: Shop, spine: list[dict[str, Any]], answers: dict[str, list[Values]], history: Any
) -> Iterator[tuple[dict[str, Any], Values, Values]]:
    """The pairs of which training sees something else than was answered: what of it differs, then and now."""
    for name, expected in answers.items():
        features = shop.app.feature_sets[name]
        found = shop.app.training_set(features, spine, history=history).rows
        for row, then, now in zip(spine, expected, found, strict=True):
            if then != now:
                wrong = [each for each in then if then[each] != now.get(each)]
                yield row, {each: then[each] for each in wrong}, {each: now.get(each) for each in wrong}


def _moment(shop: Shop, random: Random, instants: list[int]) -> int:
    """Now, or where some event enters or leaves a window, to the microsecond."""
    if random.random() < 0.3:
        return shop.now_us
    by = random.choice([0, 0, -1, 1, SECOND_US, -SECOND_US])
    return random.choice(instants[-200:]) + random.choice([0, *WINDOWS]) * DAY_US + by


def _change(shop: Shop, random: Random, customers: list[str], instants: list[int]) -> None:
    who = random.choice(customers)
    back = random.choice([0, 0, random.randrange(9 * DAY_US), random.randrange(40 * DAY_US)])
    instant = random.choice(instants[-50:]) if random.random() < 0.2 else shop.now_us - back
    if random.random() < 0.3:
        instant -= instant % SECOND_US
    instants.append(instant)
    key = f"e{random.randrange(40)}"
    if random.random() < 0.08:
        shop.app.tables["Events"].delete(who=who, id=key)
    elif random.random() < 0.25:
        shop.app.tables["Visits"].put(
            {"who": who, "moment": text_of(instant), "stay": Decimal(random.randrange(900))}
        )
    else:
        shop.app.tables["Events"].put(_event(random, who, key, instant))


def _event(random: Random, who: str, key: str, instant: int) -> dict[str, Any]:
    event: dict[str, Any] = {"who": who, "id": key, "at": _time(random, instant)}
    chance = random.random()
    if chance < 0.85:
        event["n"] = Decimal(random.randrange(-500, 5000)) / random.choice([1, 10, 100])
    elif chance < 0.92:
        event["n"] = random.choice([Decimal("9.99E+120"), Decimal("1E-100"), "12", True, None])
    if random.random() < 0.9:
        event["colour"] = random.choice(["red", "red", "blue", "grün", "red ", Decimal(7)])
    return event


def _time(random: Random, instant: int) -> str:
    text = text_of(instant)
    chance = random.random()
    if chance < 0.01:
        return random.choice(["soon", "2026-01-01T00:00:00+02:00", "nan"])
    if chance < 0.04 and instant % SECOND_US == 0:
        return text[:19] + "Z"
    return text[:26] + "999+00:00" if chance < 0.06 else text
