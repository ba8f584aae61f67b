"""One prediction: features from the index, the model, the log row, the answer."""

from __future__ import annotations

import asyncio
import hashlib
import math
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from typing import Any, TypeAlias

import msgspec
import orjson

from penstock.app.predictors import Predictor
from penstock.errors import PenstockError, ServiceError, UsageError
from penstock.features.definition import Values, assemble, compile_set, request_values
from penstock.features.online import Observed, Page, Reader, entity_value
from penstock.features.tiles import TileReader
from penstock.models.prediction import Prediction, decide, decide_rows
from penstock.serving.inference_log import (
    CHALLENGER,
    CHAMPION,
    Inference,
    InferenceLog,
    RequestIds,
)
from penstock.serving.live_models import LiveModels, Loaded
from penstock.serving.outbox import Others
from penstock.serving.problems import (
    RequestProblem,
    bad_request,
    missing_values,
    model_failed,
    no_table,
    store_failed,
    too_large,
)
from penstock.serving.python_calls import PythonCalls
from penstock.serving.store import AsyncStore, is_missing
from penstock.serving.watch import Watch

Pages: TypeAlias = Callable[[Sequence[Mapping[str, Any]]], Awaitable[list[Page]]]
MixedPages: TypeAlias = Callable[[Sequence[tuple[str, Mapping[str, Any]]]], Awaitable[list[Page]]]

_ACTIONS = {"batch_get_item": "BatchGetItem", "query": "Query"}
SHADOWS_MAX = 64  # Of a challenger that is Python: what is asked beyond is counted and not answered.


class Asked(msgspec.Struct, frozen=True):
    """What a caller wants to know. `entity` None: the features come with the request."""

    entity: str | None
    given: Mapping[str, Any]
    at_us: int | None = None
    request_id: str | None = None
    received_s: float = 0.0
    inference_id: str | None = (
        None  # The caller's own name for it, as SageMaker has one; no key, and may repeat.
    )
    target: Loaded | None = None  # The model that has to answer, in place of the predictor's choice.

    def canonical(self, predictor: str) -> str:
        """Equal for equal questions: what a repeated X-Request-Id is held against."""
        question = {"predictor": predictor, "entity": self.entity, "given": self.given, "at": self.at_us}
        return orjson.dumps(question, option=orjson.OPT_SORT_KEYS).decode()


class Unlogged(msgspec.Struct):
    """An answer whose row is not in the log yet: nobody is told of it before."""

    body: dict[str, Any]
    row: Inference
    chosen: Loaded


class PredictorService:
    """One predictor of an application, ready to answer."""

    def __init__(
        self,
        declared: Predictor,
        store: AsyncStore,
        models: LiveModels,
        log: InferenceLog,
        python: PythonCalls,
        watch: Watch,
        now_us: Callable[[], int],
    ) -> None:
        self.declared = declared
        self.name = declared.name
        self.plan = compile_set(declared.features)
        # In process, whole rows cost less than projected ones: see Reader.
        self.reader = Reader(self.plan, project=store.position() is None)
        self.tiles = None if self.plan.tiles is None else TileReader(self.plan)
        self.models, self.log, self.python, self.watch = models, log, python, watch
        self._store, self._now_us = store, now_us
        self._request_ids = RequestIds()
        self._shadows: set[asyncio.Task[None]] = set()

    async def answer(self, asked: Asked) -> dict[str, Any]:
        return (await self.answer_and_model(asked))[0]

    async def answer_and_model(self, asked: Asked) -> tuple[dict[str, Any], Loaded]:
        unlogged = await self.infer(asked)
        return await self._answer(unlogged, own_id=asked.request_id is not None), unlogged.chosen

    async def _answer(self, unlogged: Unlogged, *, own_id: bool) -> dict[str, Any]:
        first = await self._log(unlogged.row, own_id=own_id)
        if first is not None:
            return answer_of_row(first)
        self.watch.saw(unlogged.row)
        await self._shadow(unlogged)
        return unlogged.body

    def logged(self, unlogged: Unlogged) -> None:
        """To be called by whoever logged it other than `answer` does."""
        self.watch.saw(unlogged.row)
        if self.declared.challenger is not None:
            self._beside(self._shadow(unlogged))

    def log_problem(self, error: ServiceError) -> RequestProblem:
        """An answer that is not on record is not given."""
        if error.code == "ValidationException" and "Item size" in str(error):
            return too_large(
                "what was asked, with its answer, is too large for the log: a row has at most 400 KB"
            )
        return (no_table if is_missing(error) else store_failed)(f"the log: {error}")

    async def infer(self, asked: Asked, *, in_turn: bool = False) -> Unlogged:
        """`in_turn`: once its events are read, others of its turn go first (outbox.py)."""
        now_us = self._now_us()
        at_us = now_us if asked.at_us is None else asked.at_us
        if asked.entity is not None and self.plan.entity_type == "N":
            # 007 is 7: to the canary, the tiles, the log and whoever repeats a request as well.
            asked = msgspec.structs.replace(asked, entity=self._key(asked.entity)["N"])
        chosen = await self._chosen(asked.entity) if asked.target is None else asked.target
        position = self._store.position()
        values, observed = await self._values(asked, at_us, self._read_in_turn if in_turn else None)
        if asked.target is None:
            chosen, prediction = await self._predict_or_champion(chosen, values)
        else:
            prediction = await self.predict(chosen, values)
        inference = Inference(
            request_id=asked.request_id or self._request_ids.fresh(),
            answered_us=now_us,
            model=chosen.version.model,
            version=chosen.version.number,
            predictor=self.name,
            inputs=values,
            prediction=prediction,
            latency_ms=(time.perf_counter() - asked.received_s) * 1000,
            request=asked.canonical(self.name),
            as_of_us=at_us,
            entity_type=None if asked.entity is None else self.plan.entity_name,
            entity=asked.entity,
            position=self._known_at(position, observed),
            events=None if observed is None else observed.events,
            inference_id=asked.inference_id,
        )
        return Unlogged(self._body(inference, observed), inference, chosen)

    def _known_at(self, before: int | None, observed: Observed | None) -> int | None:
        """The position of the features: that of the first round of reads, unless a later round may have seen more."""
        if observed is None or before is None or self.tiles is not None:
            return None  # Tiles lag behind the table: no one position tells what they have seen.
        return before if observed.rounds == 1 or self._store.position() == before else None

    def _body(self, inference: Inference, observed: Observed | None) -> dict[str, Any]:
        body = {
            "requestId": inference.request_id,
            "prediction": inference.prediction.label,
            "probability": inference.prediction.probability,
            "features": inference.inputs,
            "modelVersion": str(inference.version),
            "latencyMs": round(inference.latency_ms, 3),
        }
        if observed is not None and not observed.events:
            body["note"] = _nothing_known(self.plan.entity_name, inference.entity)
        return body

    async def _chosen(self, entity: str | None) -> Loaded:
        """The champion, or for this share of entities the challenger."""
        declared = self.declared
        if declared.challenger is not None and entity is not None and is_canary(declared, entity):
            challenger = await self.models.find(declared.challenger)
            if challenger is not None:
                return challenger
        return await self.models.get(declared.model)

    async def variants(self) -> dict[str, Loaded]:
        """What SageMaker calls production variants, by what the predictor declares: the champion, and a challenger that answers for
        a share. One in the shadow is none."""
        declared, found = self.declared, {}
        for name in (declared.model, declared.challenger if declared.challenger_share > 0 else None):
            loaded = None if name is None else await self.models.find(name)
            if name is not None and loaded is not None:
                found[name] = loaded
        return found or {declared.model: await self.models.get(declared.model)}

    async def _read_in_turn(self, requests: Sequence[Mapping[str, Any]]) -> list[Page]:
        pages = await self._store.pages(requests)
        await Others()
        return pages

    async def _values(
        self, asked: Asked, at_us: int, pages: Pages | None = None
    ) -> tuple[Values, Observed | None]:
        if asked.entity is None:
            return self._given_features(asked.given), None
        try:
            given = request_values(self.plan, numbers(asked.given))
        except UsageError as error:
            raise missing_values(str(error)) from error
        observed = await self.observe(asked.entity, at_us, pages)
        values = assemble(self.plan, observed.measured, given)
        if self.plan.has_python:
            values = await self.python.transform(self.plan, values)
        return values, observed

    def _given_features(self, given: Mapping[str, Any]) -> Values:
        missing = [name for name in self.plan.order if name not in given]
        if missing:
            raise missing_values(
                f"the request has to bring {', '.join(missing)}, or an entity to look them up for"
            )
        return {name: given[name] for name in self.plan.order}

    async def observe(
        self,
        entity: str,
        at_us: int,
        pages: Pages | None = None,
    ) -> Observed:
        """Read what the features need. `pages` replaces the store's, for those who have more patience."""
        key = self._key(entity)
        if self.tiles is not None:
            [observed] = await self.observe_tiles(self.tiles, [entity], at_us, self._store.mixed_pages)
            return observed
        steps = self.reader.steps(key, at_us)
        pages = self._store.pages if pages is None else pages
        try:
            requests = next(steps)
            while True:
                requests = steps.send(await pages(requests))
        except StopIteration as finished:
            read: Observed = finished.value
            return read
        except ServiceError as error:
            raise (no_table if is_missing(error) else store_failed)(str(error)) from error

    def _key(self, entity: str) -> dict[str, str]:
        try:
            return entity_value(self.plan, entity)
        except UsageError as error:
            raise bad_request(str(error)) from error

    async def observe_tiles(
        self,
        tiles: TileReader,
        entities: Sequence[str],
        at_us: int,
        pages: MixedPages,
        *,
        today_from_tiles: bool = False,
    ) -> list[Observed]:
        """Days that were folded beforehand, and the rows of those that are not enough."""
        steps = tiles.steps(entities, at_us, today_from_tiles=today_from_tiles)
        try:
            requests = next(steps)
            while True:
                requests = steps.send(
                    await pages([(_ACTIONS[method], request) for method, request in requests])
                )
        except StopIteration as finished:
            observed: list[Observed] = finished.value
            return observed
        except UsageError as error:
            raise model_failed(str(error)) from error
        except ServiceError as error:
            raise (no_table if is_missing(error) else store_failed)(str(error)) from error

    def predict_rows(self, loaded: Loaded, rows: Sequence[Values]) -> list[Prediction]:
        """Of a model that is no Python class. A UsageError does not say whose row it was."""
        assert loaded.model is not None
        return decide_rows(loaded.model, rows, self.threshold(loaded))

    async def _predict_or_champion(self, chosen: Loaded, values: Values) -> tuple[Loaded, Prediction]:
        """A canary that fails is counted, and its share of entities meets the champion."""
        try:
            return chosen, await self.predict(chosen, values)
        except RequestProblem as problem:
            champion = await self.models.get(self.declared.model)
            if champion is chosen:
                raise
            self.watch.challenger_failed(self.name, problem.message)
            return champion, await self.predict(champion, values)

    async def predict(self, loaded: Loaded, values: Values) -> Prediction:
        model = loaded.model
        if model is None:
            return await self.python.predict(loaded, values, self.threshold(loaded))
        try:
            score = model.score_one(model.signature.vector(values))
        except UsageError as error:
            raise model_failed(f"{loaded.version.name}: {error}") from error
        return decide(score, model.classes, self.threshold(loaded))

    def threshold(self, loaded: Loaded) -> float:
        declared = self.declared.threshold
        return loaded.version.threshold if declared is None else declared

    async def _log(self, inference: Inference, *, own_id: bool) -> dict[str, Any] | None:
        try:
            return await self.log.add(inference, own_id=own_id)
        except ServiceError as error:
            raise self.log_problem(error) from error

    async def _shadow(self, unlogged: Unlogged) -> None:
        """What the challenger would have said, on record and not returned. Its failure is not the caller's."""
        name = self.declared.challenger
        if name is None or self.declared.challenger_share > 0:
            return
        challenger = await self.models.find(name)
        if challenger is None or challenger.version.number == unlogged.chosen.version.number:
            return
        if challenger.model is not None:
            await self._ask_challenger(challenger, unlogged.row)
        elif len(self._shadows) < SHADOWS_MAX:
            # Another process runs it, and takes its time: the caller does not wait for what it is not told.
            self._beside(self._ask_challenger(challenger, unlogged.row))
        else:
            self.watch.challenger_failed(self.name, "too many of its predictions are under way")

    def _beside(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._shadows.add(task)
        task.add_done_callback(self._shadows.discard)

    async def _ask_challenger(self, challenger: Loaded, champion: Inference) -> None:
        try:
            began_s = time.perf_counter()
            prediction = await self.predict(challenger, champion.inputs)
            row = Inference(
                request_id=f"{champion.request_id}/{CHALLENGER}",
                answered_us=champion.answered_us,
                model=challenger.version.model,
                version=challenger.version.number,
                predictor=self.name,
                inputs=champion.inputs,
                prediction=prediction,
                latency_ms=(time.perf_counter() - began_s) * 1000,
                request=champion.request,
                as_of_us=champion.as_of_us,
                entity_type=champion.entity_type,
                entity=champion.entity,
                position=champion.position,
                events=champion.events,
                role=CHALLENGER,
            )
            await self.log.add(row, own_id=False)
        except PenstockError as error:
            self.watch.challenger_failed(self.name, str(error))


def is_canary(declared: Predictor, entity: str) -> bool:
    """By hash, so that an entity always meets the same model."""
    digest = hashlib.blake2b(f"{declared.name}\0{entity}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") < declared.challenger_share * 2**64


def numbers(given: Mapping[str, Any]) -> dict[str, float | None]:
    """Request values as floats; text comes from a URL."""
    found: dict[str, float | None] = {}
    for name, value in given.items():
        try:
            found[name] = None if value is None else float(value)
        except (OverflowError, TypeError, ValueError):
            raise bad_request(f"{name} is a number; {value!r} is none") from None
        if not math.isfinite(found[name] or 0.0):
            raise bad_request(f"{name} is a number that a float64 holds, not {value!r}")
    return found


def _nothing_known(entity_name: str, entity: str | None) -> str:
    return f"no events of {entity_name} {entity} were found"


def answer_of_row(item: Mapping[str, Any]) -> dict[str, Any]:
    """The first answer, from the row that it left."""
    output = orjson.loads(item["output"]["S"])
    body = {
        "requestId": item["requestId"]["S"],
        "prediction": output["prediction"],
        "probability": output["probability"],
        "features": orjson.loads(item["inputData"]["S"]),
        "modelVersion": item["modelVersion"]["S"],
        "latencyMs": float(item["latencyMs"]["N"]),
    }
    if item.get("eventsRead") == {"N": "0"}:
        body["note"] = _nothing_known(item["entityType"]["S"], item["entity"]["S"])
    return body


__all__ = ["CHAMPION", "Asked", "PredictorService", "Unlogged", "answer_of_row", "is_canary", "numbers"]
