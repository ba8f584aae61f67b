"""One inference: its row, the chain events → features → model → answer, and whether it comes out the same today."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import orjson
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from penstock.app.plain import from_item
from penstock.console.lake_client import BlockingLake, LakeProblem
from penstock.console.rendering import Pages, amount
from penstock.errors import PenstockError
from penstock.models.registry import Registry
from penstock.serving.replay import Chain, Inferences, Replay

EVENTS_SHOWN = 60


@dataclass(frozen=True)
class Found:
    chain: Chain | None
    problem: str | None
    from_lake: bool


class InferencePages:
    def __init__(self, pages: Pages, registry: Registry) -> None:
        context = pages.context
        self._pages = pages
        self._over_lake = Inferences(context.app, context.client, registry, BlockingLake(context.lake_url))
        self._over_stream = Inferences(context.app, context.client, registry)

    def routes(self) -> list[Route]:
        return [
            Route("/inferences/{id:path}/replay", self.replay, methods=["POST"]),
            Route("/inferences/{id:path}", self.show),
        ]

    async def show(self, request: Request) -> Response:
        id_ = request.path_params["id"]
        try:
            row = await run_in_threadpool(self._over_stream.row, id_)
        except PenstockError as error:
            return self._pages.show(request, "missing.html", 404, what=str(error), back="/predictors")
        found = await run_in_threadpool(self._chain, id_)
        chain = found.chain
        events = chain.events if chain is not None else []
        return self._pages.show(
            request,
            "inference.html",
            id=id_,
            row={name: next(iter(value.values())) for name, value in row.items()},
            features=orjson.loads(row["inputData"]["S"]),
            output=orjson.loads(row["output"]["S"]),
            chain=chain,
            problem=found.problem,
            from_lake=found.from_lake,
            events=[{**each, "plain": _plain(each["item"])} for each in events[-EVENTS_SHOWN:]],
            event_count=len(events),
            trained_on=_trained_on(chain.model["data"]) if chain is not None else [],
            parts=_shares(chain.model["contributions"] if chain is not None else {}),
        )

    def _chain(self, id_: str) -> Found:
        """From the lake; from the change stream, which reaches a day back, where there is none."""
        try:
            return Found(self._over_lake.why(id_), None, True)
        except LakeProblem:
            pass
        except PenstockError as error:
            return Found(None, str(error), True)
        try:
            return Found(self._over_stream.why(id_), None, False)
        except PenstockError as error:
            return Found(None, str(error), False)

    async def replay(self, request: Request) -> Response:
        try:
            replay = await run_in_threadpool(self._replay, request.path_params["id"])
        except PenstockError as error:
            return self._pages.show(request, "replay.html", problem=str(error), replay=None)
        return self._pages.show(request, "replay.html", problem=None, replay=replay)

    def _replay(self, id_: str) -> Replay:
        try:
            return self._over_lake.replay(id_)
        except LakeProblem:
            return self._over_stream.replay(id_)


def _plain(item: dict[str, Any]) -> str:
    return ", ".join(
        f"{name}: {value if isinstance(value, str | Decimal) else json.dumps(value, default=str)}"
        for name, value in from_item(item).items()
    )


def _trained_on(data: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What the version's training set was, with a position for each stream."""
    return [
        (name, ", ".join(f"{of} {each}" for of, each in held.items()) if isinstance(held, Mapping)
         else amount(held) if isinstance(held, int | float) else str(held))
        for name, held in data.items()
    ]  # fmt: skip


def _shares(contributions: dict[str, float]) -> dict[str, tuple[float, int]]:
    """What each column adds to the sum, and how long its bar is, of 100."""
    most = max((abs(part) for part in contributions.values()), default=0.0) or 1.0
    return {name: (part, round(abs(part) / most * 100)) for name, part in contributions.items()}
