"""A campaign: a prediction for every entity in one partition of a global index, as a stream of lines.

    POST /predict/will_buy/category/jewelry

C1. The index is read with a Query, keys only, sorted by the entity: one entity's entries are neighbours, so telling them apart
    needs no memory. Nothing is ever scanned.
C2. Features come from one bounded Query per entity, many of them in flight. Throttled ones are asked again until they answer.
C3. The order of the lines is the index' order. A stop resumes after the last line: `{"after": "c17"}`.
C4. A line is a prediction or, for an entity whose features or model fail, an error. The last line counts both.
C5. From day tiles, the features and predictions of a chunk are computed together, so many at a time that the loop, which other
    predictions wait for, is not held longer than a chunk of raw rows holds it. Today is read from them as well where they hold it.
C6. Between two chunks others have some turns of the loop: a prediction takes two or three, and would wait for a chunk before each.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

import orjson

from penstock.errors import ServiceError, UsageError
from penstock.features.definition import Plan, assemble, request_values, unknown_values
from penstock.features.online import Observed, Page, entity_value
from penstock.models.prediction import Prediction
from penstock.serving.index_walk import IndexWalk, campaign_index, partition_value
from penstock.serving.live_models import Loaded
from penstock.serving.predict import PredictorService, numbers
from penstock.serving.problems import RequestProblem, bad_request, missing_values, no_table, store_failed
from penstock.serving.store import AsyncStore, is_missing

Got = TypeVar("Got")
Reach: TypeAlias = Callable[[Plan, float], Awaitable[bool]]  # features/tile_reach.py

IN_FLIGHT = 64
TURNS_OF_OTHERS = 4
TOGETHER = 128  # C5: of which each costs a third of what one does that is asked for alone.
PAGE_ITEMS = 1000
ATTEMPTS_MAX = 12
PAUSE_S, PAUSE_S_MAX = 0.05, 5.0
THROTTLED = frozenset(
    {
        "ProvisionedThroughputExceededException",
        "ThrottlingException",
        "RequestLimitExceeded",
        "InternalServerError",
        "InternalServerErrorException",
        "ServiceUnavailable",
    }
)


class Campaigns:
    """Campaigns over one store."""

    def __init__(self, store: AsyncStore, now_us: Callable[[], int], reach: Reach) -> None:
        self._store, self._now_us, self._reach = store, now_us, reach

    async def begin(
        self, service: PredictorService, by: str, value: str, options: Mapping[str, Any]
    ) -> AsyncIterator[bytes]:
        """Everything that can be refused is refused here, before the first byte of an answer."""
        plan = service.plan
        walk = campaign_index(
            plan, service.declared.features.source, service.declared.campaign_by, service.name
        )
        if by != walk.by:
            raise RequestProblem(
                404,
                "NoCampaign",
                f"{service.name} is asked about a {plan.entity_name}, or by {walk.by}, not by {by}",
            )
        given = {name: held for name, held in options.items() if name not in ("after", "limit")}
        if unknown := unknown_values(plan, given):
            raise bad_request(f"a campaign of {service.name} takes no {', '.join(unknown)}")
        try:
            values = request_values(plan, numbers(given))
        except UsageError as error:
            raise missing_values(str(error)) from error
        after, limit = options.get("after"), options.get("limit")
        if (after is not None and not isinstance(after, str)) or (
            limit is not None and (not isinstance(limit, int) or isinstance(limit, bool) or limit < 1)
        ):
            raise bad_request("after is an id, limit a whole number from 1")
        try:
            key = partition_value(walk, value)
            if after is not None:
                after = entity_value(plan, after)[plan.entity_type]
        except UsageError as error:
            raise bad_request(str(error)) from error
        await service.models.get(service.declared.model)
        pages = self._entities(
            IndexWalk(walk, key, plan.entity_type, after=after, page_items=PAGE_ITEMS), limit
        )
        try:
            first: list[str] = await anext(pages, [])
        except ServiceError as error:
            raise (no_table if is_missing(error) else store_failed)(str(error)) from error
        at_us = self._now_us()
        today_from_tiles = service.tiles is not None and await self._reach(plan, at_us / 1e6)
        moment = _Moment(at_us, today_from_tiles, values)
        return self._lines(service, first, pages, moment)

    async def _entities(self, walk: IndexWalk, limit: int | None) -> AsyncGenerator[list[str], None]:
        """Distinct entities, page by page, in the index' order (C1)."""
        left = limit
        while not walk.is_done and left != 0:
            [page] = await self._pages([walk.request])
            found = walk.take(page)
            if left is not None:
                found = found[:left]
                left -= len(found)
            if found:
                yield found

    async def _pages(self, queries: Sequence[Mapping[str, Any]]) -> list[Page]:
        return await self._with_patience(lambda: self._store.pages(queries))

    async def _mixed_pages(self, asked: Sequence[tuple[str, Mapping[str, Any]]]) -> list[Page]:
        return await self._with_patience(lambda: self._store.mixed_pages(asked))

    async def _with_patience(self, ask: Callable[[], Awaitable[Got]]) -> Got:
        pause_s = PAUSE_S
        for attempt in range(ATTEMPTS_MAX):
            try:
                return await ask()
            except ServiceError as error:
                if error.code not in THROTTLED or attempt == ATTEMPTS_MAX - 1:
                    raise
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, PAUSE_S_MAX)
        raise AssertionError("the last attempt returns or raises")

    async def _lines(
        self,
        service: PredictorService,
        first: list[str],
        pages: AsyncGenerator[list[str], None],
        moment: _Moment,
    ) -> AsyncIterator[bytes]:
        size = IN_FLIGHT if service.tiles is None else TOGETHER
        done = failed = 0
        page: list[str] | None = first
        async with aclosing(pages):  # The caller may go away at any line.
            while page:
                for start in range(0, len(page), size):
                    lines = await self._chunk(service, page[start : start + size], moment)
                    done += len(lines)
                    failed += sum("error" in line for line in lines)
                    yield b"".join([orjson.dumps(line) + b"\n" for line in lines])
                    for _ in range(TURNS_OF_OTHERS):
                        await asyncio.sleep(0)
                page = await anext(pages, None)
        yield orjson.dumps({"done": done, "failed": failed}) + b"\n"

    async def _chunk(
        self, service: PredictorService, ids: Sequence[str], moment: _Moment
    ) -> list[dict[str, Any]]:
        """Where what is done together fails, each is asked for alone and says its own error."""
        observed: Sequence[Observed | None] = [None] * len(ids)
        if service.tiles is not None:
            with suppress(RequestProblem, UsageError):
                observed = found = await service.observe_tiles(
                    service.tiles,
                    ids,
                    moment.at_us,
                    self._mixed_pages,
                    today_from_tiles=moment.today_from_tiles,
                )
                loaded = await service.models.get(service.declared.model)
                if loaded.model is not None and not service.plan.has_python:
                    rows = [assemble(service.plan, each.measured, moment.given) for each in found]
                    predictions = service.predict_rows(loaded, rows)
                    return [
                        _line_of(service, id_, prediction, loaded)
                        for id_, prediction in zip(ids, predictions, strict=True)
                    ]
        lines = (self._line(service, id_, each, moment) for id_, each in zip(ids, observed, strict=True))
        return await asyncio.gather(*lines)

    async def _line(
        self, service: PredictorService, id_: str, observed: Observed | None, moment: _Moment
    ) -> dict[str, Any]:
        try:
            if observed is None:
                observed = await service.observe(id_, moment.at_us, self._pages)
            features = assemble(service.plan, observed.measured, moment.given)
            if service.plan.has_python:
                features = await service.python.transform(service.plan, features)
            loaded = await service.models.get(service.declared.model)
            prediction = await service.predict(loaded, features)
        except RequestProblem as problem:
            return {service.plan.entity_name: id_, "error": problem.code, "message": problem.message}
        return _line_of(service, id_, prediction, loaded)


@dataclass(frozen=True, slots=True)
class _Moment:
    """What is the same for all entities of one campaign."""

    at_us: int
    today_from_tiles: bool
    given: Mapping[str, float | None]


def _line_of(service: PredictorService, id_: str, prediction: Prediction, loaded: Loaded) -> dict[str, Any]:
    return {
        service.plan.entity_name: id_,
        "prediction": prediction.label,
        "probability": prediction.probability,
        "modelVersion": str(loaded.version.number),
    }
