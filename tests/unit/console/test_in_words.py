"""What the console says of an application: its features in words, and its access patterns as requests."""

from __future__ import annotations

from typing import Any

import pytest

import penstock
from penstock import ahead, at_least, begins_with, between, count, mean, ratio, share
from penstock.app.features import Feature
from penstock.console.access_patterns import of_table
from penstock.console.predictors import feature_rows

APP = penstock.App("pumps")
READINGS = APP.table(
    "Readings", partition_key="sensor:N", sort_key="at:N", global_indexes={"by_site": ("site", "sensor:N")}
)
TRIPS = APP.table("Trips", partition_key="sensor:N", sort_key="at:N")
ALARMS = count(days=7, where={"state": ["alarm", begins_with("off")]})


# Why: a range was shown as Python's own form of it, "last 1 days" is no English, and of which table was not said.
@pytest.mark.parametrize(
    ("feature", "says"),
    [
        (count(hours=24, where={"temperature": at_least(70)}), "number of events where temperature >= 70, last day"),
        (mean("vibration", hours=1), "mean of vibration, last hour"),
        (mean("vibration", hours=36), "mean of vibration, last 36 hours"),
        (mean("vibration", minutes=90), "mean of vibration, last 90 minutes"),
        (share("load", where={"load": between(1, 5)}), "share of load where load between 1 and 5, all time"),
        (count(days=30, source=TRIPS, time="at"), "number of events in Trips, last 30 days"),
        (
            ratio(ALARMS, count(days=7)),
            "(number of events where state is alarm or begins with off, last 7 days) / (number of events, last 7 days)",
        ),
    ],
)  # fmt: skip
def test_a_feature_is_said_in_words(feature: Feature, says: str) -> None:
    features = penstock.App("a").features(
        "f", source=READINGS, entity="sensor", time="at", features={"x": feature}
    )
    predictor = penstock.App("a").predictor("p", features=features, model="m")
    assert feature_rows(predictor) == [{"name": "x", "says": says}]


# Why: it goes on record with a model; "the next 0.25 days" has to be worked out by whoever reads it.
def test_a_label_says_its_window_in_the_unit_that_it_was_declared_in() -> None:
    assert ahead(count(hours=6)).describe() == "count over the next 6 hours > 0"
    assert ahead(count(days=7)).describe() == "count over the next 7 days > 0"


# Why: with the key that is there already no index changes, and the page said less than an event costs.
@pytest.mark.parametrize("at", ["1795904620761", "0", "-1", "9.5E-130"])
def test_the_item_that_would_be_written_is_new_where_the_key_is_a_number(at: str) -> None:
    sample: dict[str, Any] = {"sensor": {"N": "1"}, "at": {"N": at}, "site": {"S": "north"}}
    [written] = [each.request["Item"] for each in of_table(READINGS, sample) if each.action == "PutItem"]
    assert written["sensor"] == sample["sensor"]
    assert float(written["at"]["N"]) != float(at)
