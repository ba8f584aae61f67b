"""A user's Python beside the loop: request values, transforms and models that are classes."""

from __future__ import annotations

import asyncio
import math
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import cloudpickle
import numpy
import orjson
import pytest
from tests.shop import Shop

from penstock import App, computed, count, requested
from penstock.app.features import FeatureSet
from penstock.features.windows import Value
from penstock.models.register import TrainingRows, register
from penstock.models.registry import Version
from penstock.serving import python_calls
from penstock.serving.live_models import Loaded
from penstock.serving.problems import RequestProblem
from penstock.serving.python_calls import PythonCalls


class Rule:
    """A model of a few lines."""

    def predict(self, rows: list[dict[str, Any]]) -> list[tuple[str, float]]:
        return [("yes", 0.75) if row["basket_per_purchase"] > 5 else ("no", 0.25) for row in rows]


class Broken:
    """A model that ends its process where it is asked for an odd number of purchases."""

    def predict(self, rows: list[dict[str, Any]]) -> list[int]:
        if any(row["purchases_7d"] % 2 for row in rows):
            os._exit(3)
        return [1 for _ in rows]


def basket_per_purchase(features: Mapping[str, Any]) -> float:
    return float(features["basket"]) / max(1, int(features["purchases_7d"]))


NOT_PLAIN: dict[float, Any] = {
    1: numpy.float64(0.5),
    2: numpy.int32(7),
    3: math.nan,
    4: 2**80,
    5: math.inf,
    6: {"a": 1},
    7: "\ud800",
    8: numpy.arange(2),
    9: numpy.bool_(True),
}


def not_plain(features: Mapping[str, Any]) -> Any:
    return NOT_PLAIN[features["basket"]]


class Agreeing:
    """A model that takes whatever it is given."""

    def predict(self, rows: list[dict[str, Any]]) -> list[int]:
        return [1 for _ in rows]


ROWS: list[dict[str, Value]] = [{"purchases_7d": 2, "basket": 1.0, "basket_per_purchase": 0.5}] * 3


@pytest.fixture(scope="module")
def shop() -> Iterator[Shop]:
    app = App("python")
    purchases = app.table(
        "Purchases",
        partition_key="customer_id",
        sort_key="purchase_id",
        local_indexes={"by_time": "purchased_at"},
        stream=True,
    )

    def declare(name: str, feature: str, computed_by: Any) -> FeatureSet:
        features = {"purchases_7d": count(days=7), "basket": requested("basket_value"), feature: computed_by}
        return app.features(
            name, source=purchases, entity="customer_id", time="purchased_at", features=features
        )

    per_purchase = computed(basket_per_purchase, needs=("purchases_7d", "basket"))
    features = declare("basket", "basket_per_purchase", per_purchase)
    odd = declare("odd", "odd", computed(not_plain, needs=("basket",)))
    app.predictor("odd", features=odd, model="any")
    app.predictor("rule", features=features, model="rule")
    app.predictor("broken", features=features, model="broken")
    shop = Shop(app)
    shop.buy("c1", "p1", "1", days_ago=1)
    shop.buy("c2", "p1", "1", days_ago=1)
    shop.buy("c2", "p2", "1", days_ago=2)
    for name, model in (("rule", Rule()), ("broken", Broken()), ("any", Agreeing())):
        register(shop.registry, name, model, TrainingRows(ROWS), format="python")
        shop.registry.promote(name, 1)
    yield shop
    shop.api.state.serving.close()


# Why: request values, transforms and a Python class, all in one answer.
def test_a_python_model_sees_request_values_and_transforms(shop: Shop) -> None:
    body = shop.ask("GET", "/predict/rule/customer/c1?basket_value=6").json()
    assert body["features"] == {"purchases_7d": 1, "basket": 6.0, "basket_per_purchase": 6.0}
    assert (body["prediction"], body["probability"]) == ("yes", 0.75)
    body = shop.ask("POST", "/predict/rule/customer/c2", json={"basket_value": 6}).json()
    assert (body["features"]["basket_per_purchase"], body["prediction"]) == (3.0, "no")


# Why: Python computes with numpy, and 0.5 is 0.5 whoever made it. A row of the log is JSON, which has no NaN.
@pytest.mark.parametrize(("basket", "feature"), [(1, 0.5), (2, 7), (3, None), (9, True)])
def test_what_a_transform_computes_is_made_plain(shop: Shop, basket: int, feature: Value) -> None:
    body = shop.ask("GET", f"/predict/odd/customer/c1?basket_value={basket}").json()
    assert (body["features"]["odd"], body["prediction"]) == (feature, 1)
    [row] = [row for row in shop.log_rows() if row["requestId"]["S"] == body["requestId"]]
    assert orjson.loads(row["inputData"]["S"]) == body["features"]


# Why: what no row of the log can hold is the transform's failure, with the feature's name, and no error of ours.
@pytest.mark.parametrize("basket", [4, 5, 6, 7, 8])
def test_what_cannot_be_a_feature_is_refused_by_its_name(shop: Shop, basket: int) -> None:
    answer = shop.ask("GET", f"/predict/odd/customer/c1?basket_value={basket}")
    assert (answer.status_code, answer.json()["error"]) == (500, "ModelFailed")
    assert "odd is computed as" in answer.json()["message"]


# Why: a set has many transforms, and "KeyError: 10.0" says of none of them that it failed; the terminal has the same words.
def test_a_transform_that_fails_is_named(shop: Shop) -> None:
    answer = shop.ask("GET", "/predict/odd/customer/c1?basket_value=10")
    assert answer.json() == {
        "error": "ModelFailed",
        "message": "features/odd: odd cannot be computed: KeyError: 10.0",
    }


def children() -> set[int | None]:
    return {each.pid for each in multiprocessing.active_children()}


# Why: the first prediction waited 0.4 s for a process to start, and the monitor's first report was an alert on latency.
def test_the_process_of_computed_features_is_there_before_the_first_prediction(shop: Shop) -> None:
    serving = shop.api.state.serving
    serving.close()
    before = children()
    plan = serving.predictor("rule").plan

    async def ask() -> tuple[set[int | None], Any]:
        await serving.warm()
        warm = children()
        return warm, await serving.python.transform(
            plan, {"purchases_7d": 2, "basket": 6.0, "basket_per_purchase": None}
        )

    warm, values = asyncio.run(ask())
    assert len(warm - before) == 1
    assert values["basket_per_purchase"] == 3.0
    assert children() <= warm


# Why: a value that the features need and nobody sent is the caller's to bring.
def test_a_missing_request_value_is_named(shop: Shop) -> None:
    answer = shop.ask("GET", "/predict/rule/customer/c1")
    assert answer.status_code == 422
    assert "basket_value" in answer.json()["message"]


# Why: user code may end its process. That call fails and says so; the next one has a new process.
def test_a_model_that_ends_its_process_fails_alone(shop: Shop) -> None:
    crash = shop.ask("GET", "/predict/broken/customer/c1?basket_value=6")
    assert crash.status_code == 500
    assert crash.json()["error"] == "ModelFailed"
    began_s = time.monotonic()
    while (answer := shop.ask("GET", "/predict/broken/customer/c2?basket_value=6")).status_code != 200:
        assert time.monotonic() - began_s < 20
    assert answer.json()["prediction"] == 1


class Pid:
    """Says which process it runs in; hangs where it is told to."""

    def predict(self, rows: list[dict[str, Any]]) -> list[float]:
        if any(row.get("hang") for row in rows):
            threading.Event().wait()
        return [float(os.getpid()) for _ in rows]


class Counted(bytes):
    """Content that counts how often it is sent."""

    sent = 0

    def __reduce__(self) -> tuple[Callable[[bytes], bytes], tuple[bytes]]:
        Counted.sent += 1
        return bytes, (bytes(self),)


def loaded(number: int = 1) -> Loaded:
    return Loaded(
        Version("pid", number, "python", f"hash{number}", [], []), None, Counted(cloudpickle.dumps(Pid()))
    )


async def pid_of(calls: PythonCalls, model: Loaded) -> int:
    return int((await calls.predict(model, {})).label)


async def pid_or_none(calls: PythonCalls, model: Loaded) -> int | None:
    with suppress(RequestProblem):
        return await pid_of(calls, model)
    return None


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


# Why: the kernel takes an idle process for its memory. Every prediction after it failed, until the server was started again.
def test_a_process_that_died_between_calls_is_replaced_for_the_next() -> None:
    async def run() -> None:
        calls, model = PythonCalls(), loaded()
        try:
            first = await pid_of(calls, model)
            os.kill(first, signal.SIGKILL)
            began_s = time.monotonic()
            # A call may still fail on the death itself; none does once it was noticed.
            while (second := await pid_or_none(calls, model)) is None:
                assert time.monotonic() - began_s < 20
            assert second != first
            assert await pid_of(calls, model) == second
        finally:
            calls.close()

    asyncio.run(run())


# Why: a loop without end in user code held every later prediction up as well, each for its whole time.
def test_a_call_without_an_end_takes_its_process_with_it_and_no_other_call() -> None:
    async def run() -> None:
        calls, model = PythonCalls(call_s_max=30), loaded()
        try:
            first = await pid_of(calls, model)
            calls._call_s_max = 0.01
            with pytest.raises(RequestProblem, match="no answer within"):
                await calls.predict(model, {"hang": 1})
            calls._call_s_max = 30
            assert await pid_of(calls, model) != first
            began_s = time.monotonic()
            while is_alive(first):
                assert time.monotonic() - began_s < 20
                await pid_of(calls, model)
        finally:
            calls.close()

    asyncio.run(run())


# Why: a forest of 50 MB went through the pipe with every prediction.
def test_a_model_is_sent_to_its_process_once() -> None:
    async def run() -> None:
        calls, model = PythonCalls(), loaded()
        Counted.sent = 0
        try:
            for _ in range(3):
                await pid_of(calls, model)
            assert Counted.sent == 1
            # What the child no longer has is sent again, and nobody notices.
            for number in range(2, python_calls.LOADED_MAX + 2):
                await pid_of(calls, loaded(number))
            before = Counted.sent
            await pid_of(calls, model)
            assert Counted.sent == before + 1
        finally:
            calls.close()

    asyncio.run(run())


def leave(_: object) -> Any:
    sys.exit(3)


def interrupt(_: object) -> Any:
    raise KeyboardInterrupt


def stop(_: object) -> Any:
    return next(iter(()))


def complain(_: object) -> Any:
    raise ValueError("\ud800")


KILLED = """
import asyncio, os, signal, cloudpickle
from penstock.models.registry import Version
from penstock.serving.live_models import Loaded
from penstock.serving.python_calls import PythonCalls

class Pid:
    def predict(self, rows):
        return [os.getpid() for _ in rows]

async def main():
    version = Version("pid", 1, "python", "hash", [], [])
    prediction = await PythonCalls().predict(Loaded(version, None, cloudpickle.dumps(Pid())), {})
    print(prediction.label, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)

if __name__ == "__main__":
    asyncio.run(main())
"""


# Why: Y4. After `kill -9` of the table process its Python process waited for calls for ever, a new one after each kill.
def test_the_process_ends_with_the_one_that_it_answers(tmp_path: Path) -> None:
    program = tmp_path / "killed.py"
    program.write_text(KILLED)
    # Returns when all that hold its output have ended, and the Python process does hold it.
    ended = subprocess.run([sys.executable, program], capture_output=True, check=False, timeout=60)
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    assert int(ended.stdout) > 0


class Misbehaving:
    """A model that does what it is given."""

    def __init__(self, does: Callable[[object], Any]) -> None:
        self._does = does

    def predict(self, rows: list[dict[str, Any]]) -> list[Any]:
        return [self._does(row) for row in rows]


# Why: Y3. What a model raises is its failure. `sys.exit()` in a model ended the table process, and StopIteration kept the caller
# waiting for half a minute; a number or a text that JSON does not hold was an error of ours.
@pytest.mark.parametrize(
    ("does", "told"),
    [
        (leave, "SystemExit: 3"),
        (interrupt, "KeyboardInterrupt"),
        (stop, "StopIteration"),
        (complain, "ud800"),
        (lambda _: None, "None: a label is"),
        (lambda _: {"a": 1}, "a label is"),
        (lambda _: math.nan, "nan: a label is"),
        (lambda _: numpy.float64("inf"), "a label is"),
        (lambda _: ("yes", 2.5), "the probability 2.5"),
        (lambda _: ("yes", math.nan), "the probability nan"),
        (lambda _: 2**80, "which JSON does not hold"),
        (lambda _: "\ud800", "which JSON does not hold"),
        (lambda _: ("\ud800", 0.5), "which JSON does not hold"),
    ],
    ids=[
        "exit",
        "interrupt",
        "stop",
        "complaint",
        "none",
        "object",
        "nan",
        "inf",
        "above 1",
        "no share",
        "number",
        "text",
        "text and probability",
    ],
)
def test_a_model_that_misbehaves_fails_and_says_why(does: Callable[[object], Any], told: str) -> None:
    async def run() -> RequestProblem:
        calls = PythonCalls(call_s_max=20.0)
        content = cloudpickle.dumps(Misbehaving(does))
        try:
            with pytest.raises(RequestProblem) as failed:
                await calls.predict(
                    Loaded(Version("bad", 1, "python", told, [], []), None, content), {"a": 1}
                )
            return failed.value
        finally:
            calls.close()

    problem = asyncio.run(run())
    assert (problem.status, problem.code) == (500, "ModelFailed")
    assert told in problem.message
    orjson.dumps(problem.message)
