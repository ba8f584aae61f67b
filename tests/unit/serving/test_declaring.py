"""What a predictor may not be declared with is said where it is declared, not at the first request."""

from __future__ import annotations

import re
from typing import Any

import pytest

from penstock import App, count, keys_only, requested
from penstock.errors import UsageError
from penstock.features.definition import compile_set


# Why: a misspelt bound watched nothing and said nothing; an index that cannot serve a campaign was an error 500 at midnight.
@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"campaign_by": "by_colour"}, "has to be a global index of Orders that is sorted by customer"),
        ({"campaign_by": "by_time"}, "has to be a global index of Orders that is sorted by customer"),
        ({"campaign_by": "by_day"}, "has to be a global index of Orders that is sorted by customer"),
        ({"monitor": {"psy": 0.1}}, "monitor has no bound psy; there is psi, ks"),
        ({"challenger": "m@challenger", "challenger_share": 10}, "challenger_share lies between 0 and 1"),
        ({"challenger_share": 0.1}, "none is named"),
    ],
)
def test_what_a_predictor_cannot_be_is_said_at_once(settings: dict[str, Any], says: str) -> None:
    app = App("shop")
    orders = app.table(
        "Orders",
        partition_key="customer",
        sort_key="order",
        local_indexes={"by_time": "at"},
        global_indexes={"by_day": ("day", "order", keys_only())},
    )
    features = app.features("f", source=orders, entity="customer", time="at", features={"n": count(days=7)})
    with pytest.raises(UsageError, match=says):
        app.predictor("p", features=features, model="m", **settings)
    assert app.predictors == {}


# Why: bytes have no text of their own in a path; "abc" found nobody, and a campaign ended in the middle of its answer.
def test_a_predictor_of_a_binary_entity_is_refused() -> None:
    app = App("shop")
    orders = app.table("Orders", partition_key="customer:B", sort_key="at")
    features = app.features("f", source=orders, entity="customer", time="at", features={"n": count(days=7)})
    with pytest.raises(UsageError, match="customer is binary, which no address can say"):
        app.predictor("p", features=features, model="m")


# Why: the first command that a newcomer copies said c1 where sensors are numbers, and was answered with an error.
def test_the_example_of_a_predictor_has_an_entity_of_its_kind_and_the_values_that_are_owed() -> None:
    app = App("pumps")
    readings = app.table("Readings", partition_key="sensor:N", sort_key="at:N")
    orders = app.table("Orders", partition_key="customer_id", sort_key="at")
    asked = {"ambient": requested("ambient_c"), "load": requested("load"), "age": requested("age", default=3)}
    health = app.features("health", source=readings, entity="sensor", time="at", features=asked)
    buyer = app.features(
        "buyer", source=orders, entity="customer_id", time="at", features={"n": count(days=7)}
    )
    examples = [app.predictor(f.name, features=f, model="m").example() for f in (health, buyer)]
    assert examples == ["/predict/health/sensor/1?ambient_c=1&load=1", "/predict/buyer/customer/c1"]


# Why: a name in place of what it names was an AttributeError of text; and a local index was advised where it cannot help.
def test_a_source_that_does_not_serve_is_said_in_words() -> None:
    app = App("shop")
    orders = app.table("Orders", partition_key="customer", sort_key="order")
    with pytest.raises(UsageError, match=r"f: source is what app.table\(…\) gave, not 'Orders'"):
        app.features("f", source="Orders", entity="customer", time="at", features={})  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=r"p: features is what app.features\(…\) gave, not 'f'"):
        app.predictor("p", features="f", model="m")  # type: ignore[arg-type]
    for entity, advice in (
        ("customer", "local_indexes={'by_time': 'at'}"),
        ("shop_id", "global_indexes={'by_shop': ('shop_id', 'at')}"),
    ):
        features = app.features(entity, source=orders, entity=entity, time="at", features={"n": count()})
        with pytest.raises(UsageError, match=re.escape(f"declare {advice} on it")):
            compile_set(features)
