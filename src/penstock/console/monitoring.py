"""The Monitor page of a predictor: what `penstock monitor` reports of a while, alerts first, as pictures and tables.

The report reads the log, recomputes features and folds all of it in Python, for seconds: it is made by the command itself, in
a process of its own, one at a time, and everybody who looks shares it for a minute.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import pairwise
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from penstock.console.command_runs import run_command
from penstock.console.rendering import Pages, amount
from penstock.console.requests import is_fragment
from penstock.console.shared import Shared
from penstock.errors import PenstockError

RANGES = ("1h", "24h", "7d", "30d")
FIRST = "24h"
FRESH_S = 60.0
WITHIN_S = 120.0
ROWS_MAX = 50_000
BINS_SHOWN = 14
OUTPUT = "/prediction"


class ReportProblem(PenstockError):
    """The report could not be made. The message is for the person who asked."""


class MonitorPages:
    def __init__(self, pages: Pages) -> None:
        self._pages, self._context = pages, pages.context
        self._one_at_a_time = asyncio.Lock()
        self._reports: dict[tuple[str, str], Shared[dict[str, Any]]] = {
            (name, since): Shared(partial(self._make, name, since), FRESH_S, time.monotonic)
            for name in pages.context.app.predictors
            for since in RANGES
        }

    def routes(self) -> list[Route]:
        return [Route("/predictors/{name}/monitor", self.show)]

    async def show(self, request: Request) -> Response:
        name, since = request.path_params["name"], request.query_params.get("since", FIRST)
        if name not in self._context.app.predictors:
            what = f"The application declares no predictor {name!r}."
            return self._pages.show(request, "missing.html", 404, what=what, back="/predictors")
        since = since if since in RANGES else FIRST
        predictor = self._context.app.predictors[name]
        if not is_fragment(request, "report"):
            return self._pages.show(
                request, "monitor.html", predictor=predictor, since=since, ranges=RANGES, fresh_s=int(FRESH_S)
            )
        shared = self._reports[name, since]
        if "again" in request.query_params:
            shared.forget()
        try:
            report = await shared.get()
        except ReportProblem as problem:
            return self._pages.show(request, "monitor_problem.html", problem=str(problem))
        return self._pages.show(request, "monitor_report.html", predictor=predictor, since=since, **report)

    async def _make(self, name: str, since: str) -> dict[str, Any]:
        if self._context.app_file is None or self._context.models is None:
            raise ReportProblem("this console does not know the application's file; use penstock monitor")
        arguments = [
            "monitor", name, "--since", since, "--json", "--no-keep", "--rows-max", str(ROWS_MAX),
            "--app", str(self._context.app_file), "--data", str(self._context.models.parent),
            "--store", self._context.api_url,
        ]  # fmt: skip
        async with self._one_at_a_time:
            ended = await run_command(arguments, WITHIN_S)
        if ended.code is None:
            raise ReportProblem(
                f"The report took longer than {WITHIN_S:.0f} s and was stopped; ask for less, or penstock monitor"
            )
        if not ended.output:
            raise ReportProblem(ended.said or "The report could not be made.")
        return shown(orjson.loads(ended.output), self._context.now_us())


def shown(report: Mapping[str, Any], made_us: int) -> dict[str, Any]:
    """A report as the page draws it."""
    live = dict(report["live"])
    trained: Mapping[str, Any] = report["trained"].get("metrics", {})
    return {
        "report": report,
        "alerts": _alerts(report["alerts"]),
        "made_us": made_us,
        "spread": [_spread(name, report) for name in _in_order(report)],
        "right": [
            (label, live[name], trained.get(name))
            for name, label in _MEASURES
            if isinstance(live.get(name), int | float)
        ],
        "calibration": _points(live.get("calibration", [])),
    }


def _alerts(alerts: Sequence[Mapping[str, Any]]) -> list[str]:
    """One sentence for all that is told of one thing: what moved, moved by more than one measure."""
    found: dict[str, list[Mapping[str, Any]]] = {}
    for each in alerts:
        kind, _, of = each["measure"].partition("/")
        found.setdefault(of if kind in _MOVED else each["measure"], []).append(each)
    return [_sentence(of, group) for of, group in found.items()]


def _sentence(of: str, group: Sequence[Mapping[str, Any]]) -> str:
    first = group[0]
    if first["measure"] == of:
        return f"{first['message'][:1].upper()}{first['message'][1:]}."
    measured = ", ".join(
        f"{_MOVED[each['measure'].partition('/')[0]]} {each['value']:.3g}, bound {each['bound']:g}"
        for each in group
    )
    return f"{of} moved since training: {measured}."


_MOVED = {"psi": "PSI", "ks": "KS", "nulls": "null rate up by"}
_MEASURES = (
    ("accuracy", "Accuracy"),
    ("auc", "AUC"),
    ("brier", "Brier score"),
    ("miscalibration", "Miscalibration beyond chance"),
    ("mean_absolute_error", "Mean absolute error"),
    ("root_mean_squared_error", "Root mean squared error"),
)


def _in_order(report: Mapping[str, Any]) -> list[str]:
    """What the model says first, then what moved most."""
    return sorted(report["drift"], key=lambda name: (name != OUTPUT, -report["drift"][name]["psi"], name))


def _spread(name: str, report: Mapping[str, Any]) -> dict[str, Any]:
    measured, spread = report["drift"][name], report["spreads"][name]
    alerts = {each["measure"] for each in report["alerts"]}
    plain = name.lstrip("/")
    return {
        "name": "what it answers" if name == OUTPUT else plain,
        "is_output": name == OUTPUT,
        "moved": {kind for kind in ("psi", "ks", "nulls") if f"{kind}/{plain}" in alerts},
        **measured,
        "is_number": spread["kind"] == "number",
        "means": [_mean(spread["mean_trained"]), _mean(spread["mean_live"])],
        "bars": _bars(spread),
    }


def _mean(number: float | None) -> str | None:
    return None if number is None else amount(round(number) if abs(number) >= 100 else number)


def _bars(spread: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Then and now of each bin, in hundredths of the highest bar; nulls at the end where there are any."""
    rows = list(
        zip(
            [*_bin_names(spread["bins"], spread["kind"]), "null"],
            spread["trained"],
            spread["live"],
            strict=True,
        )
    )
    if not rows[-1][1] and not rows[-1][2]:
        rows.pop()
    if spread["kind"] == "text":
        rows = sorted(rows, key=lambda row: -max(row[1:]))[:BINS_SHOWN]
    top = max((max(then, now) for _, then, now in rows), default=0.0) or 1.0
    return [
        {"name": name, "then": then, "now": now, "then_high": 100 * then / top, "now_high": 100 * now / top}
        for name, then, now in rows
    ]


def _bin_names(bins: list[Any], kind: str) -> list[str]:
    if kind == "text":
        return [str(each) for each in bins]
    edges = [amount(each) for each in bins[:-1]]
    if not edges:
        return ["any"]
    return [f"≤ {edges[0]}", *(f"{low} – {high}" for low, high in pairwise(edges)), f"> {edges[-1]}"]  # fmt: skip


def _points(bins: list[Mapping[str, float]]) -> list[dict[str, float]]:
    """Where each tenth of the probabilities stands: across what was said, up what came true; the area tells how many."""
    most = max((each["rows"] for each in bins), default=1)
    return [
        {
            **each,
            "x": round(100 * each["predicted"], 1),
            "y": round(100 - 100 * each["came_true"], 1),
            "r": round(2.0 + 4.0 * (each["rows"] / most) ** 0.5, 1),
        }
        for each in bins
    ]
