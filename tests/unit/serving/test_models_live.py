"""Promotion, rollback, canaries and challengers while requests run."""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from sklearn.linear_model import LogisticRegression
from tests.shop import Shop, storefront, trained

from penstock.models.register import TrainingRows, register
from penstock.serving.live_models import FRESH_S, LiveModels
from penstock.serving.predict import is_canary


class Clock:
    """Monotonic time that a test moves."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


# Why: "promotion and rollback take effect within a second": what is older than that is never used.
def test_a_promotion_is_followed_within_a_second() -> None:
    shop, clock = Shop(), Clock()
    shop.add_model(seed=0)
    shop.add_model(seed=1, promote=False)
    models = LiveModels(shop.store, monotonic_s=clock)

    async def watch() -> list[int]:
        seen = [(await models.get("will_buy@champion")).version.number]
        shop.registry.promote("will_buy", 2)
        clock.now_s += FRESH_S
        seen.append((await models.get("will_buy@champion")).version.number)
        shop.registry.rollback("will_buy")
        clock.now_s += FRESH_S
        seen.append((await models.get("will_buy@champion")).version.number)
        return seen

    assert FRESH_S < 1
    assert asyncio.run(watch()) == [1, 2, 1]


# Why: "without a restart or a lost request".
def test_no_request_is_lost_while_the_alias_moves() -> None:
    shop = Shop()
    shop.add_model(seed=0)
    shop.add_model(seed=1, promote=False)

    async def run() -> list[int]:
        transport = httpx.ASGITransport(shop.api)
        statuses = []
        async with httpx.AsyncClient(transport=transport, base_url="http://shop") as http:
            for turn in range(20):
                shop.registry.promote("will_buy", 1 + turn % 2)
                answers = await asyncio.gather(
                    *(http.get(f"/predict/will_buy/customer/c{n}") for n in range(5))
                )
                statuses += [answer.status_code for answer in answers]
        return statuses

    assert asyncio.run(run()) == [200] * 100


# Why: a challenger in the shadow sees the same features, is on record, and is not what the caller gets.
def test_a_challenger_is_logged_and_not_returned() -> None:
    app = storefront()
    app.predictors["will_buy"] = replace(app.predictors["will_buy"], challenger="will_buy@challenger")
    shop = Shop(app)
    shop.buy("c1", "p1", "300", days_ago=1)
    shop.add_model(seed=0)
    shop.add_model(seed=1, promote=False)
    shop.registry.promote("will_buy", 2, "challenger")
    body = shop.ask("GET", "/predict/will_buy/customer/c1").json()
    assert body["modelVersion"] == "1"
    rows = {row["role"]["S"]: row for row in shop.log_rows()}
    assert rows["champion"]["modelVersion"] == {"S": "1"}
    assert rows["challenger"]["modelVersion"] == {"S": "2"}
    assert rows["challenger"]["requestId"]["S"] == body["requestId"] + "/challenger"
    assert rows["challenger"]["inputData"] == rows["champion"]["inputData"]


# Why: a share of entities by hash: always the same ones, about as many as were asked for.
def test_a_canary_answers_its_share_of_entities() -> None:
    app = storefront()
    declared = replace(app.predictors["will_buy"], challenger="will_buy@challenger", challenger_share=0.3)
    app.predictors["will_buy"] = declared
    shop = Shop(app)
    shop.add_model(seed=0)
    shop.add_model(seed=1, promote=False)
    shop.registry.promote("will_buy", 2, "challenger")
    ids = [f"c{n}" for n in range(100)]
    answers = shop.ask_all([("GET", f"/predict/will_buy/customer/{id_}", {}) for id_ in ids])
    versions = {id_: answer.json()["modelVersion"] for id_, answer in zip(ids, answers, strict=True)}
    assert versions == {id_: "2" if is_canary(declared, id_) else "1" for id_ in ids}
    assert 15 <= sum(version == "2" for version in versions.values()) <= 45


def invoke(shop: Shop, customer: str, variant: str | None = None) -> httpx.Response:
    headers = {} if variant is None else {"X-Amzn-SageMaker-Target-Variant": variant}
    body = {"json": {"customer_id": customer}, "headers": headers}
    return shop.ask("POST", "/endpoints/will_buy/invocations", **body)


VARIANT = "x-amzn-invoked-production-variant"


# Why: TargetVariant "overrides the default behavior for the endpoint, which is to distribute the invocation traffic based on the
# variant weights" (InvokeEndpoint), and a program sends back the name that it was told.
def test_a_variant_that_an_answer_names_can_be_asked_for() -> None:
    _, training = trained()
    shop = with_challenger(0.3, trained(1)[0], training, "sklearn")
    declared = shop.app.predictors["will_buy"]
    canary = next(f"c{n}" for n in range(100) if is_canary(declared, f"c{n}"))
    other = next(f"c{n}" for n in range(100) if not is_canary(declared, f"c{n}"))
    told = [invoke(shop, customer).headers[VARIANT] for customer in (other, canary)]
    assert told == ["will_buy@champion:1", "will_buy@challenger:2"]
    for variant in (*told, "will_buy@champion", "will_buy@challenger"):
        for customer in (canary, other):
            answer = invoke(shop, customer, variant)
            assert answer.status_code == 200
            assert answer.headers[VARIANT].startswith(variant)
            assert answer.json()["modelVersion"] == answer.headers[VARIANT][-1]


# Why: a variant that is not served now is refused as SageMaker's front does it, before a model is asked: one of another
# version, and a challenger in the shadow, which SageMaker does not count among the production variants either.
@pytest.mark.parametrize(
    ("share", "variant"),
    [
        (0.3, "will_buy@champion:2"),
        (0.3, "will_buy@champion:"),
        (0.3, "will_buy@challenger:1"),
        (0.3, "blue"),
        (0.0, "will_buy@challenger"),
    ],
)
def test_a_variant_that_is_not_served_is_refused(share: float, variant: str) -> None:
    estimator, training = trained(1)
    shop = with_challenger(share, estimator, training, "sklearn")
    answer = invoke(shop, "c1", variant)
    assert (answer.status_code, answer.headers["x-amzn-errortype"]) == (400, "ValidationError")
    assert answer.json()["Message"].startswith(f"Variant {variant} not found for Endpoint will_buy")
    assert shop.log_rows() == []


# Why: who asks for a variant wants to hear of that one: the champion's answer in its place would hide that it fails.
def test_a_variant_that_was_asked_for_fails_by_itself() -> None:
    rows = TrainingRows([{"of_another_shop": float(n)} for n in range(20)])
    estimator = LogisticRegression().fit(rows.matrix(), [n % 2 for n in range(20)])
    shop = with_challenger(1.0, estimator, rows, "sklearn")
    assert invoke(shop, "c1").headers[VARIANT] == "will_buy@champion:1"
    answer = invoke(shop, "c1", "will_buy@challenger")
    assert (answer.status_code, answer.headers["x-amzn-errortype"]) == (424, "ModelError")


# Why: a challenger that cannot be had is no reason to refuse an answer.
def test_a_missing_challenger_is_not_the_callers_problem() -> None:
    app = storefront()
    app.predictors["will_buy"] = replace(app.predictors["will_buy"], challenger="nothing@challenger")
    shop = Shop(app)
    shop.add_model()
    assert shop.ask("GET", "/predict/will_buy/customer/c1").status_code == 200


def with_challenger(share: float, model: Any, training: TrainingRows, format: str) -> Shop:
    """A champion that answers, and a challenger that is something else."""
    app = storefront()
    app.predictors["will_buy"] = replace(
        app.predictors["will_buy"], challenger="will_buy@challenger", challenger_share=share
    )
    shop = Shop(app)
    shop.add_model()
    register(shop.registry, "will_buy", model, training, format=format)
    shop.registry.promote("will_buy", 2, "challenger")
    return shop


# Why: a challenger that takes a feature which the predictor does not have fails each time; in the shadow and as a canary the
# caller gets the champion's answer, and the failure is counted.
@pytest.mark.parametrize("share", [0.0, 1.0])
def test_a_challenger_that_fails_leaves_the_answer_to_the_champion(share: float) -> None:
    rows = TrainingRows([{"of_another_shop": float(n)} for n in range(20)])
    estimator = LogisticRegression().fit(rows.matrix(), [n % 2 for n in range(20)])
    shop = with_challenger(share, estimator, rows, "sklearn")
    answers = shop.ask_all([("GET", f"/predict/will_buy/customer/c{n}", {}) for n in range(5)])
    assert [(each.status_code, each.json()["modelVersion"]) for each in answers] == [(200, "1")] * 5
    assert shop.api.state.serving.watch.challengers.value("will_buy") == 5


class Slow:
    """A Python challenger that answers when a file is there."""

    def __init__(self, gate: str) -> None:
        self.gate = gate

    def predict(self, rows: list[dict[str, Any]]) -> list[int]:
        while not os.path.exists(self.gate):
            os.sched_yield()
        return [1 for _ in rows]


# Why: a challenger in the shadow may be Python and slow; who asks must not wait for an answer that is not for them.
def test_nobody_waits_for_a_slow_challenger(tmp_path: Path) -> None:
    _, training = trained()
    gate = tmp_path / "gate"
    gate.touch()
    shop = with_challenger(0.0, Slow(str(gate)), training, "python")
    gate.unlink()

    async def run() -> list[str]:
        transport = httpx.ASGITransport(shop.api)
        async with httpx.AsyncClient(transport=transport, base_url="http://shop") as http:
            answer = await http.get("/predict/will_buy/customer/c1")
            before = [row["role"]["S"] for row in shop.log_rows()]
            gate.touch()
            await asyncio.gather(*shop.api.state.serving.predictors["will_buy"]._shadows)
        assert answer.status_code == 200
        return before

    try:
        assert asyncio.run(run()) == ["champion"]
        assert sorted(row["role"]["S"] for row in shop.log_rows()) == ["challenger", "champion"]
    finally:
        shop.api.state.serving.close()


# Why: ids of challengers' rows are made from callers' ids; a caller who sends one must not be given the challenger's answer.
def test_an_id_that_reads_like_a_challengers_is_refused() -> None:
    app = storefront()
    app.predictors["will_buy"] = replace(app.predictors["will_buy"], challenger="will_buy@challenger")
    shop = Shop(app)
    shop.add_model(seed=0)
    shop.add_model(seed=1, promote=False)
    shop.registry.promote("will_buy", 2, "challenger")
    ids = ("mine", "mine/challenger")
    asked = [("GET", "/predict/will_buy/customer/c1", {"headers": {"X-Request-Id": id_}}) for id_ in ids]
    assert [answer.status_code for answer in shop.ask_all(asked)] == [200, 409]


# Why: a model that is gone from the registry must not take the answers with it that are given already.
def test_a_store_that_does_not_answer_leaves_the_model_in_use(monkeypatch: pytest.MonkeyPatch) -> None:
    shop, clock = Shop(), Clock()
    shop.add_model()
    models = LiveModels(shop.store, monotonic_s=clock)

    async def run() -> int:
        await models.get("will_buy@champion")
        shop.client.delete_table(TableName="penstock_models")
        shop.db.tick()
        clock.now_s += 5
        return (await models.get("will_buy@champion")).version.number

    assert asyncio.run(run()) == 1
