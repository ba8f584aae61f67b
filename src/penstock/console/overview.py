"""The Overview: what is wrong first, and then the flow from event to answer and lake with its rates and lags."""

from __future__ import annotations

import shlex
import time
from collections import deque
from collections.abc import Mapping
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from penstock.console import troubles
from penstock.console.lake_client import LakeClient, LakeProblem
from penstock.console.predictors import PredictorPages
from penstock.console.rendering import Pages
from penstock.console.requests import is_fragment
from penstock.console.shared import Shared
from penstock.console.streams import StreamPages
from penstock.console.tables import OWN, TablePages
from penstock.errors import ServiceError
from penstock.features.instants import text_of
from penstock.models.registry import split_name
from penstock.serving.monitor import ALERTS
from penstock.serving.store import is_missing

FRESH_S = 1.5
RATE_OVER_S = 10.0
ALERTS_READ, ALERTS_SHOWN = 50, 5
LATELY_S = 600.0
ALERT_STANDS_US = 24 * 3600 * 1_000_000


class Rates:
    """Differences per second of numbers that only grow, over the last few looks."""

    def __init__(self, over_s: float = RATE_OVER_S) -> None:
        self._over_s = over_s
        self._looks: deque[tuple[float, Mapping[str, float]]] = deque()

    def add(self, at_s: float, numbers: Mapping[str, float]) -> dict[str, float | None]:
        """The rates as of this look; None for what was not there at an earlier one."""
        while len(self._looks) > 1 and at_s - self._looks[0][0] > self._over_s:
            self._looks.popleft()
        rates: dict[str, float | None] = dict.fromkeys(numbers)
        if self._looks:
            since_s, before = self._looks[0]
            passed_s = at_s - since_s
            if passed_s > 0:
                rates |= {n: (v - before[n]) / passed_s for n, v in numbers.items() if n in before}
        self._looks.append((at_s, dict(numbers)))
        return rates


class Lately:
    """What numbers that only grow have gained of late. The first look has all of it: nobody was there before to see it."""

    def __init__(self, over_s: float = LATELY_S) -> None:
        self._over_s = over_s
        self._looks: deque[tuple[float, Mapping[str, float]]] = deque()

    def add(self, at_s: float, numbers: Mapping[str, float]) -> dict[str, float]:
        if not self._looks:
            self._looks.append((at_s, {}))
        self._looks.append((at_s, dict(numbers)))
        while len(self._looks) > 2 and at_s - self._looks[1][0] >= self._over_s:
            self._looks.popleft()
        before = self._looks[0][1]
        return {
            name: gained for name, number in numbers.items() if (gained := number - before.get(name, 0)) > 0
        }


class OverviewPages:
    def __init__(
        self, pages: Pages, tables: TablePages, streams: StreamPages, predictors: PredictorPages, lake: LakeClient
    ) -> None:  # fmt: skip
        self._pages, self._context = pages, pages.context
        self._tables, self._streams, self._predictors, self._lake = tables, streams, predictors, lake
        self._rates = Rates()
        self._failures = {name: Lately() for name in self._context.app.predictors}
        self._seen: Shared[dict[str, Any]] = Shared(self._look, FRESH_S, time.monotonic)

    def routes(self) -> list[Route]:
        return [Route("/", self.show)]

    async def show(self, request: Request) -> Response:
        seen = await self._seen.get()
        if is_fragment(request, "flow"):
            return self._pages.show(request, "flow.html", **seen)
        return self._pages.show(request, "overview.html", **seen, commands=self._commands(request))

    def _commands(self, request: Request) -> list[tuple[str, str]]:
        """What to try, with this application's own names."""
        app, api_url = self._context.app, self._context.api_url
        found = []
        for each in list(app.predictors.values())[:1]:
            address = f"{request.url.scheme}://{request.headers.get('host', '')}"
            found.append(("Predict", f"curl {shlex.quote(address + each.example())}"))
        for name in app.followed()[:1]:
            found.append(("Ask the lake", f'penstock sql "SELECT count(*) FROM current.{name}"'))
        return [*found, ("AWS CLI", f"aws dynamodb list-tables --endpoint-url {api_url}")]

    async def _look(self) -> dict[str, Any]:
        tables = [each for name in await self._tables.names() if (each := await self._tables.describe(name))]
        own = [each for each in tables if not each["TableName"].startswith(OWN)]
        flows, lake_problem = await self._flows()
        consumers = await self._streams.consumers.get()
        predictors = await self._predictor_states()
        counts = {
            "items": float(sum(each["ItemCount"] for each in own)),
            "lake": float(sum(flow["rows"] for flow in flows)),
            "answers": float(sum(each["answers"] or 0 for each in predictors)),
            "handled": float(sum(each.handled for each in consumers)),
            "asked": float(self._lake.asked),
        }
        if self._context.changes is not None:
            counts["changes"] = float(self._context.changes())
        behind = [flow["behind_s"] for flow in flows if flow["behind_s"] is not None]
        return {
            "problems": [
                *troubles.of_lake(lake_problem, flows, bool(self._context.app.followed())),
                *troubles.of_consumers(consumers),
                *troubles.of_predictors(predictors),
                *troubles.of_tables(tables),
                *troubles.of_alerts(await self._alerts(), self._context.now_us())[:ALERTS_SHOWN],
            ],
            "tables": own,
            "items": int(counts["items"]),
            "bytes": sum(each["TableSizeBytes"] for each in own),
            "streams": sum(1 for each in own if each.get("StreamSpecification", {}).get("StreamEnabled")),
            "flows": flows,
            "lake_behind_s": max(behind, default=None),
            "consumers": consumers,
            "consumer_lag_s": max((each.lag_s for each in consumers), default=0.0),
            "dead": sum(each.dead_letters for each in consumers),
            "predictors": predictors,
            "rates": self._rates.add(time.monotonic(), counts),
        }

    async def _flows(self) -> tuple[list[dict[str, Any]], str | None]:
        if self._context.lake_url is None:
            return [], None
        try:
            return (await self._lake.look("/status"))["tables"], None
        except LakeProblem as problem:
            return [], str(problem)

    async def _predictor_states(self) -> list[dict[str, Any]]:
        found = []
        for each in self._context.app.predictors.values():
            model, alias = split_name(each.model)
            aliases = await run_in_threadpool(self._predictors.registry.aliases, model)
            number = int(alias) if alias.isdigit() else aliases.get(alias)
            counted = self._predictors.counted(each.name)
            lately = self._failures[each.name].add(time.monotonic(), counted["failures"])
            found.append(
                {"name": each.name, "model": each.model, "number": number, **counted, "failed_lately": lately}
            )
        return found

    async def _alerts(self) -> list[dict[str, str]]:
        """Those of the last day, newest first, of what the monitor kept."""
        since = text_of(self._context.now_us() - ALERT_STANDS_US)
        found: list[dict[str, str]] = []
        for name in self._context.app.predictors:
            asked = {
                "TableName": ALERTS,
                "KeyConditionExpression": "#p = :p AND #a >= :a",
                "ExpressionAttributeNames": {"#p": "predictor", "#a": "at"},
                "ExpressionAttributeValues": {":p": {"S": name}, ":a": {"S": since}},
                "ScanIndexForward": False,
                "Limit": ALERTS_READ,
            }
            try:
                page = await self._context.store.call("Query", asked)
            except ServiceError as error:
                if not is_missing(error):
                    raise
                return []
            found += [{n: str(next(iter(v.values()))) for n, v in item.items()} for item in page["Items"]]
        return found
