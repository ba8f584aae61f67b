"""What the overview says: rates from counts, and troubles from what the parts tell."""

from __future__ import annotations

from typing import Any

from penstock.console import troubles
from penstock.console.overview import Lately, Rates
from penstock.events.consumer_status import ConsumerStatus

NOW_US = 1_795_169_700_000_000  # 2026-11-20T10:15:00Z


def _flow(**changes: Any) -> dict[str, Any]:
    return {"table": "Purchases", "state": "following", "behind_s": 0.5, "message": "", **changes}


def _alert(at: str, message: str) -> dict[str, str]:
    return {"predictor": "p", "at": at, "message": message}


def _consumer(**changes: Any) -> ConsumerStatus:
    held = {
        "name": "notify", "table": "Purchases", "workers": 1, "shards": (), "lag_records": 0, "lag_s": 0.0,
        "at_least": False, "retries": 0, "dead_letters": 0, "handled": 9, "trouble": "",
    }  # fmt: skip
    return ConsumerStatus(**{**held, **changes})


# Why: a rate is of the last seconds, not of the time since somebody first looked.
def test_a_rate_is_over_the_last_looks() -> None:
    rates = Rates(over_s=10)
    assert rates.add(0, {"items": 100}) == {"items": None}
    assert rates.add(2, {"items": 120}) == {"items": 10}
    for at_s in range(4, 40, 2):
        rates.add(at_s, {"items": 120})
    assert rates.add(40, {"items": 140}) == {"items": 2}


# Why: a number that appears later, as a consumer's does, has no rate before it was seen twice.
def test_a_number_that_is_new_has_no_rate_yet() -> None:
    rates = Rates()
    rates.add(0, {"a": 1})
    assert rates.add(1, {"a": 1, "b": 5}) == {"a": 0, "b": None}


# Why: who asked before the first model was there got a refusal; an hour later nothing is wrong any more.
def test_what_failed_long_ago_is_no_longer_told() -> None:
    lately = Lately(over_s=600)
    assert lately.add(0, {}) == {}
    assert lately.add(2, {"ModelMissing": 98}) == {"ModelMissing": 98}
    assert lately.add(300, {"ModelMissing": 98}) == {"ModelMissing": 98}
    assert lately.add(700, {"ModelMissing": 98}) == {}
    assert lately.add(701, {"ModelMissing": 98, "EntityMissing": 1}) == {"EntityMissing": 1}


# Why: what happened before anybody looked is told once, and after a long pause nothing old comes back.
def test_the_first_look_tells_all_and_a_later_one_only_what_is_new() -> None:
    lately = Lately(over_s=600)
    assert lately.add(0, {"ModelMissing": 3}) == {"ModelMissing": 3}
    assert lately.add(5000, {"ModelMissing": 3}) == {}
    assert lately.add(9000, {"ModelMissing": 4}) == {"ModelMissing": 1}


# Why: a monitor that runs every hour keeps the same alert every hour; the overview said it five times over.
def test_an_alert_is_told_once_with_its_age() -> None:
    found = troubles.of_alerts(
        [
            _alert("2026-11-20T10:10:00.000000Z#errors", "too many fail"),
            _alert("2026-11-20T10:00:00.000000Z#psi/x", "x drifts"),
            _alert("2026-11-20T09:10:00.000000Z#errors", "too many fail"),
        ],
        NOW_US,
    )
    assert [each.says for each in found] == [
        "p: too many fail (monitor, 5 min ago).",
        "p: x drifts (monitor, 15 min ago).",
    ]


# Why: silence has to mean that nothing is wrong.
def test_what_is_well_is_not_mentioned() -> None:
    assert list(troubles.of_lake(None, [_flow()], is_used=True)) == []
    assert list(troubles.of_lake("does not answer", [], is_used=False)) == []
    assert list(troubles.of_consumers([_consumer()])) == []
    well = {"name": "p", "model": "m@champion", "number": 1, "failed_lately": {}}
    assert list(troubles.of_predictors([well])) == []
    assert list(troubles.of_tables([{"TableName": "T", "TableStatus": "ACTIVE"}])) == []


# Why: each of these stops data or answers; the sentence says which, and the link where to look.
def test_each_trouble_is_named_and_leads_somewhere() -> None:
    found = [
        *troubles.of_lake(
            "The lake does not answer", [_flow(state="failed", message="fenced")], is_used=True
        ),
        *troubles.of_lake(None, [_flow(behind_s=90.0)], is_used=True),
        *troubles.of_consumers(
            [_consumer(trouble="no stream"), _consumer(workers=0, lag_records=5, dead_letters=1)]
        ),
        *troubles.of_predictors(
            [{"name": "p", "model": "m@champion", "number": None, "failed_lately": {"ModelMissing": 2}}]
        ),
        *troubles.of_tables([{"TableName": "T", "TableStatus": "DELETING"}]),
        *troubles.of_alerts([_alert("2026-11-20T10:00:00.000000Z#psi/x", "drift of x")], NOW_US),
    ]
    said = " ".join(each.says for each in found)
    for words in (
        "does not answer", "fenced", "90 s behind", "no stream", "Nobody runs notify", "1 change of",
        "nothing is promoted", "2 requests", "lately: ModelMissing", "T is deleting", "drift of x",
    ):  # fmt: skip
        assert words in said, words
    assert all(each.where.startswith("/") for each in found)
