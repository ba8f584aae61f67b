"""A user's Python, called from the loop and run elsewhere: transforms, and models that are Python classes.

One process of its own, started when it is first needed: user code may block, leak or end its process, and predictions that
need none of it go on. Functions and models travel by value (cloudpickle), once for each version.

Y1. A model of format `python` is an object with `predict(rows)`: a list of dicts, feature → value, in; a list out, each a label
    or a number, or (label, probability). Where it was registered with classes, a number, or a list of one for each class,
    is a score (P1 of models/prediction.py), and classes and threshold make the answer of it.
Y2. A process that died is started again; the call that it died on fails, and says so.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any

import cloudpickle

from penstock.features.definition import Plan, Values
from penstock.models.prediction import Label, Prediction, decide, plain_label
from penstock.serving.live_models import Loaded
from penstock.serving.problems import model_failed

CALL_S_MAX = 30.0
_LOADED: dict[str, Any] = {}  # In the child: what it was sent before.


class PythonCalls:
    """Lives in the table process; the child lives behind it."""

    def __init__(self) -> None:
        self._pool: ProcessPoolExecutor | None = None
        self._pickled: dict[str, bytes] = {}

    async def transform(self, plan: Plan, values: Values) -> Values:
        content = self._pickled.get(plan.name)
        if content is None:
            content = self._pickled[plan.name] = by_value(dict(plan.transforms))
        found: Values = await self._run(_transform_there, f"features/{plan.name}", content, values)
        return found

    async def predict(self, loaded: Loaded, values: Values, threshold: float = 0.5) -> Prediction:
        return (await self.predict_many(loaded, [values], threshold))[0]

    async def predict_many(
        self, loaded: Loaded, rows: list[Values], threshold: float = 0.5
    ) -> list[Prediction]:
        answers = await self._run(_predict_there, loaded.version.artifact, loaded.content, rows)
        return [prediction_of(answer, loaded.version.classes, threshold) for answer in answers]

    async def _run(self, function: Any, name: str, content: bytes, values: Any) -> Any:
        if self._pool is None:
            # Not forked: a fork would take the engine's locks and threads with it.
            self._pool = ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"))
        future = asyncio.get_running_loop().run_in_executor(self._pool, function, name, content, values)
        try:
            return await asyncio.wait_for(future, CALL_S_MAX)
        except BrokenProcessPool as error:
            self._pool = None
            raise model_failed(f"{name}: the Python process ended: {error}") from error
        except Exception as error:
            raise model_failed(f"{name}: {type(error).__name__}: {error}") from error

    def close(self) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
            self._pool = None


def by_value(held: Any) -> bytes:
    """Pickled with the code of the user's own modules: the child need not be able to import them."""
    modules = {
        sys.modules[function.compute.__module__]
        for function in held.values()
        if function.compute.__module__ in sys.modules
    }
    for module in modules:
        cloudpickle.register_pickle_by_value(module)
    try:
        content: bytes = cloudpickle.dumps({name: step.compute for name, step in held.items()})
        return content
    finally:
        for module in modules:
            cloudpickle.unregister_pickle_by_value(module)


def _there(name: str, content: bytes) -> Any:
    found = _LOADED.get(name)
    if found is None:
        found = _LOADED[name] = cloudpickle.loads(content)
    return found


def _transform_there(name: str, content: bytes, values: Values) -> Values:
    steps = _there(name, content)
    done: Values = {}
    for feature, value in values.items():
        done[feature] = steps[feature](dict(done)) if feature in steps else value
    return done


def _predict_there(name: str, content: bytes, rows: list[Values]) -> list[Any]:
    return answers_of(_there(name, content), rows)


def answers_of(model: Any, rows: list[Values]) -> list[Any]:
    """What a Python model says of rows, in plain types."""
    answers = list(model.predict(rows))
    if len(answers) != len(rows):
        raise ValueError(f"predict was given {len(rows)} rows and answered {len(answers)}")
    return [_plain(answer) for answer in answers]


def _plain(answer: Any) -> Any:
    if not isinstance(answer, tuple | list):
        return plain_label(answer)
    if len(answer) == 2:
        return plain_label(answer[0]), float(answer[1])
    return [float(each) for each in answer]


def prediction_of(answer: Any, classes: Sequence[Label], threshold: float) -> Prediction:
    """Y1."""
    if isinstance(answer, tuple):
        return Prediction(answer[0], answer[1])
    if classes and isinstance(answer, float | list):
        return decide(answer, classes, threshold)
    return Prediction(answer, None)
