"""The Recipes page: how each access pattern is served, what it reads, and what a month of it would cost on AWS on demand.

Nothing is assumed: each pattern is explained by the engine on the data that are there (`Penstock.Explain`), which decides the
request as ever and throws the plan away.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from functools import partial
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from penstock.console import access_patterns, snippets
from penstock.console.access_patterns import Pattern
from penstock.console.rendering import Pages
from penstock.console.shared import Shared
from penstock.errors import PenstockError, ServiceError
from penstock.serving.inference_log import TABLE as LOG
from penstock.serving.store import is_missing

FRESH_S = 5.0
RATES = (1.0, 10.0, 100.0, 1000.0)
SECONDS_A_MONTH = 730 * 3600


class RecipePages:
    def __init__(self, pages: Pages) -> None:
        self._pages, self._context = pages, pages.context
        # A pattern is explained by doing it, a Scan's page of 1 MB among them: everybody who looks shares the answer.
        self._looks = {rate: Shared(partial(self._look, rate), FRESH_S, time.monotonic) for rate in RATES}

    def routes(self) -> list[Route]:
        return [Route("/recipes", self.show)]

    async def show(self, request: Request) -> Response:
        rate = _rate(request.query_params.get("rate", ""))
        groups, empty = await self._looks[rate].get()
        return self._pages.show(request, "recipes.html", groups=groups, empty=empty, rate=rate, rates=RATES)

    async def _look(self, rate: float) -> tuple[list[dict[str, Any]], list[str]]:
        """Each group of patterns with what it reads and costs; and the tables that hold nothing to ask for."""
        app = self._context.app
        groups: list[dict[str, Any]] = []
        for predictor in app.predictors.values():
            sample = await self._sample(predictor.features.source.name)
            if sample is None:
                continue
            patterns = access_patterns.of_predictor(predictor, sample, self._context.now_us())
            row = await self._sample(LOG)
            patterns += access_patterns.of_log(row) if row is not None else []
            groups.append(
                {"title": f"Predictor {predictor.name}", "patterns": await self._explained(patterns, rate)}
            )
        empty = []
        for table in app.tables.values():
            sample = await self._sample(table.name)
            if sample is None:
                empty.append(table.name)
                continue
            patterns = access_patterns.of_table(table, sample)
            groups.append({"title": f"Table {table.name}", "patterns": await self._explained(patterns, rate)})
        return groups, empty

    async def _sample(self, table: str) -> Mapping[str, Any] | None:
        try:
            page = await self._context.store.call("Scan", {"TableName": table, "Limit": 1})
        except ServiceError as error:
            if not is_missing(error):
                raise
            return None
        return page["Items"][0] if page["Items"] else None

    async def _explained(self, patterns: list[Pattern], rate: float) -> list[dict[str, Any]]:
        return list(await asyncio.gather(*(self._explain(each, rate) for each in patterns)))

    async def _explain(self, pattern: Pattern, rate: float) -> dict[str, Any]:
        shown: dict[str, Any] = {
            "pattern": pattern,
            "request": snippets.as_request(pattern.request),
            "python": snippets.as_python(pattern.action, pattern.request, self._context.api_url),
            "cli": snippets.as_cli(pattern.action, pattern.request, self._context.api_url),
        }
        try:
            told = await run_in_threadpool(
                self._context.client.explain, pattern.action, pattern.request, rate
            )
        except PenstockError as error:  # Another endpoint than ours explains nothing.
            return {**shown, "told": None, "problem": str(error)}
        return {**shown, "told": told, "problem": None}


def _rate(text: str) -> float:
    try:
        rate = float(text)
    except ValueError:
        return RATES[1]
    return rate if rate in RATES else RATES[1]
