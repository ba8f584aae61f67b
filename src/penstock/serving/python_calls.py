"""A user's Python, called from the loop and run elsewhere: transforms, and models that are Python classes.

One process of its own, started with the application where features are computed, else when it is first needed: user code
may block, leak or end its process, and predictions that need none of it go on. Functions and models travel by value
(cloudpickle), once for each version and process.

Y1. A model of format `python` is an object with `predict(rows)`: a list of dicts, feature → value, in; a list out, each a label
    or a number, or (label, probability). Where it was registered with classes, a number, or a list of one for each class,
    is a score (P1 of models/prediction.py), and classes and threshold make the answer of it.
Y2. A process that died is started again; the call that it died on fails, and says so. One that does not answer in time is
    ended, so that what waits behind it does not wait for ever.
Y3. What it raises reaches who asked as an error that code expects: `sys.exit()` would end the loop that waits for it, and no
    future takes a StopIteration.
Y4. The process ends with the one that it answers, also where that was killed: nobody else would ever end it.
"""

from __future__ import annotations

import asyncio
import math
import multiprocessing
import os
import reprlib
import signal
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from typing import Any

import cloudpickle
import orjson

from penstock.errors import UsageError
from penstock.features.definition import Plan, Values, transformed
from penstock.models.prediction import Label, Prediction, decide, plain_label
from penstock.serving.live_models import Loaded
from penstock.serving.problems import model_failed

CALL_S_MAX = 30.0
LOADED_MAX = 32  # Functions and models that the child keeps: versions come and go, and it lives long.
_LOADED: dict[str, Any] = {}  # In the child: what it was sent before.


class _NotLoaded(Exception):
    """The child has no such function or model, or none any more."""


class _Child:
    """One process, and what it was sent."""

    def __init__(self) -> None:
        # Not forked: a fork would take the engine's locks and threads with it.
        context = multiprocessing.get_context("spawn")
        self._pid = context.Value("q", 0)
        self._pool = ProcessPoolExecutor(1, mp_context=context, initializer=_tell_pid, initargs=(self._pid,))
        self._sent: set[str] = set()

    def begin(self, function: Any, name: str, content: bytes, values: Any) -> asyncio.Future[Any]:
        known = None if name in self._sent else content
        loop = asyncio.get_running_loop()
        return loop.run_in_executor(self._pool, _call_there, function, name, known, values)

    def knows(self, name: str, *, is_so: bool = True) -> None:
        (self._sent.add if is_so else self._sent.discard)(name)

    def end(self, *, is_gone: bool = False) -> None:
        """Also where it does not listen. `is_gone`: its number may be that of another process by now."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        if self._pid.value and not is_gone:
            with suppress(ProcessLookupError):
                os.kill(self._pid.value, signal.SIGKILL)


class PythonCalls:
    """Lives in the table process; the child lives behind it."""

    def __init__(self, call_s_max: float = CALL_S_MAX) -> None:
        self._call_s_max = call_s_max
        self._child: _Child | None = None
        self._pickled: dict[str, bytes] = {}

    async def warm(self, plan: Plan) -> None:
        """A process with the plan's functions takes some tenths of a second, which no prediction has to wait for then."""
        await self._features(_load_there, plan, {})

    async def transform(self, plan: Plan, values: Values) -> Values:
        found: Values = await self._features(_transform_there, plan, values)
        return found

    async def _features(self, function: Any, plan: Plan, values: Values) -> Any:
        content = self._pickled.get(plan.name)
        if content is None:
            content = self._pickled[plan.name] = by_value(dict(plan.transforms))
        name = f"features/{plan.name}"
        return await self._run(function, name, name, content, values)

    async def predict(self, loaded: Loaded, values: Values, threshold: float = 0.5) -> Prediction:
        return (await self.predict_many(loaded, [values], threshold))[0]

    async def predict_many(
        self, loaded: Loaded, rows: list[Values], threshold: float = 0.5
    ) -> list[Prediction]:
        version = loaded.version
        answers = await self._run(_predict_there, version.name, version.artifact, loaded.content, rows)
        return [prediction_of(answer, version.classes, threshold) for answer in answers]

    async def _run(self, function: Any, shown: str, name: str, content: bytes, values: Any) -> Any:
        while True:
            child, answer = self._begin(function, name, content, values)
            try:
                found = await asyncio.wait_for(answer, self._call_s_max)
            except _NotLoaded:
                child.knows(name, is_so=False)
                continue
            except BrokenProcessPool as error:
                self._drop(child, is_gone=True)
                raise model_failed(f"{shown}: the Python process ended: {error}") from error
            except TimeoutError as error:
                if answer.done() and not answer.cancelled():  # The user's own code raised it.
                    raise model_failed(f"{shown}: TimeoutError: {error}") from error
                self._drop(child)
                raise model_failed(
                    f"{shown}: no answer within {self._call_s_max:g} s; its Python process was ended"
                ) from error
            except UsageError as error:  # A feature that cannot be computed, in words.
                raise model_failed(f"{shown}: {error}") from error
            except Exception as error:
                raise model_failed(f"{shown}: {type(error).__name__}: {error}") from error
            child.knows(name)
            return found

    def _begin(
        self, function: Any, name: str, content: bytes, values: Any
    ) -> tuple[_Child, asyncio.Future[Any]]:
        child = self._child
        if child is not None:
            try:
                return child, child.begin(function, name, content, values)
            except BrokenProcessPool:  # It died while nothing was asked of it; this call it has not seen.
                self._drop(child, is_gone=True)
        child = self._child = _Child()
        return child, child.begin(function, name, content, values)

    def _drop(self, child: _Child, *, is_gone: bool = False) -> None:
        """Calls that failed together find that another is there already."""
        child.end(is_gone=is_gone)
        if self._child is child:
            self._child = None

    def close(self) -> None:
        if self._child is not None:
            self._drop(self._child)


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


def _tell_pid(place: Any) -> None:
    place.value = os.getpid()
    parent = multiprocessing.parent_process()
    assert parent is not None
    threading.Thread(target=_end_after, args=(parent,), daemon=True).start()


def _end_after(parent: Any) -> None:
    """Y4."""
    parent.join()
    os._exit(1)


def _there(name: str, content: bytes | None) -> Any:
    found = _LOADED.pop(name, None)
    if found is None:
        if content is None:
            raise _NotLoaded(name)
        found = cloudpickle.loads(content)
    _LOADED[name] = found  # The latest used is the last.
    while len(_LOADED) > LOADED_MAX:
        del _LOADED[next(iter(_LOADED))]
    return found


def _call_there(function: Any, name: str, content: bytes | None, values: Any) -> Any:
    """Y3."""
    try:
        return function(name, content, values)
    except BaseException as error:
        if isinstance(error, Exception) and not isinstance(error, StopIteration):
            raise
        raise RuntimeError(f"{type(error).__name__}: {error}") from error


def _load_there(name: str, content: bytes | None, values: Values) -> None:
    _there(name, content)


def _transform_there(name: str, content: bytes | None, values: Values) -> Values:
    return transformed(_there(name, content), values)


def _predict_there(name: str, content: bytes | None, rows: list[Values]) -> list[Any]:
    return answers_of(_there(name, content), rows)


def answers_of(model: Any, rows: list[Values]) -> list[Any]:
    """What a Python model says of rows, in plain types."""
    answers = list(model.predict(rows))
    if len(answers) != len(rows):
        raise ValueError(f"predict was given {len(rows)} rows and answered {len(answers)}")
    return [_plain(answer) for answer in answers]


def _plain(answer: Any) -> Any:
    if not isinstance(answer, tuple | list):
        return _label(answer)
    if len(answer) == 2:
        return _label(answer[0]), _probability(answer[1])
    return [float(each) for each in answer]


def _label(answer: Any) -> Label:
    label = plain_label(answer)
    is_other = isinstance(label, str) and not isinstance(answer, str)  # Made text, so that it is shown.
    if is_other or (isinstance(label, float) and not math.isfinite(label)):
        raise ValueError(
            f"predict answered {reprlib.repr(answer)}: a label is text, a finite number, true or false"
        )
    try:
        orjson.dumps(label)
    except orjson.JSONEncodeError as error:
        raise ValueError(f"predict answered {reprlib.repr(label)}, which JSON does not hold") from error
    return label


def _probability(answer: Any) -> float:
    probability = float(answer)
    if not 0 <= probability <= 1:
        raise ValueError(f"predict answered the probability {probability}")
    return probability


def prediction_of(answer: Any, classes: Sequence[Label], threshold: float) -> Prediction:
    """Y1."""
    if isinstance(answer, tuple):
        return Prediction(answer[0], answer[1])
    if classes and isinstance(answer, float | list):
        return decide(answer, classes, threshold)
    return Prediction(answer, None)
