"""What a predictor may not be declared with is said where it is declared, not at the first request."""

from __future__ import annotations

from typing import Any

import pytest

from penstock import App, count, keys_only
from penstock.errors import UsageError


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
