"""The Predictors pages: try one, walk a campaign, see and move model versions, and look into single inferences."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode

import orjson
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from penstock.app.access import SortRange
from penstock.app.features import Aggregate, RequestValue, window_text
from penstock.app.predictors import Predictor
from penstock.console.guard import PREFIX
from penstock.console.inward import ask
from penstock.console.lake_client import LakeClient, LakeProblem
from penstock.console.model_versions import version_rows
from penstock.console.rendering import Pages
from penstock.console.requests import form_of, go_to, is_fragment
from penstock.errors import PenstockError, ServiceError, UsageError
from penstock.metrics.registry import Histogram
from penstock.models.artifacts import ArtifactFolder
from penstock.models.registry import Registry, split_name
from penstock.serving.inference_log import TABLE
from penstock.serving.store import is_missing

RECENT = 25
LATENCY = "penstock_prediction_seconds"
_KINDS = {  # How an aggregate is said.
    "count": "number of events",
    "distinct": "different values",
    "since_last": "days since the last event",
    "since_first": "days since the first event",
    "std": "standard deviation",
    "top": "most frequent value",
}
SAMPLE = 200  # Rows of the log that are read where there is no lake to ask for the latest.


class PredictorPages:
    """`app` is the application that the console is mounted on."""

    def __init__(self, pages: Pages, app: ASGIApp, lake: LakeClient) -> None:
        self._pages, self._context, self._app, self._lake = pages, pages.context, app, lake
        folder = pages.context.models
        self.registry = Registry(pages.context.client, ArtifactFolder(folder) if folder else None)

    def routes(self) -> list[Route]:
        return [
            Route("/predictors", self.all),
            Route("/predictors/{name}", self.show),
            Route("/predictors/{name}/try", self.attempt, methods=["POST"]),
            Route("/models/{model}/review", self.review, methods=["POST"]),
            Route("/models/{model}/move", self.move, methods=["POST"]),
        ]

    async def all(self, request: Request) -> Response:
        listed: list[dict[str, Any]] = []
        for predictor in self._context.app.predictors.values():
            model, alias = split_name(predictor.model)
            aliases = await run_in_threadpool(self.registry.aliases, model)
            number = int(alias) if alias.isdigit() else aliases.get(alias)
            listed.append({"predictor": predictor, "number": number, **self.counted(predictor.name)})
        return self._pages.show(request, "predictors.html", predictors=listed)

    def counted(self, name: str) -> dict[str, Any]:
        """What the process has counted since it started."""
        registry = self._context.metrics
        found: dict[str, Any] = {"answers": None, "failures": {}, "p50_s": None, "p99_s": None}
        for metric in registry.metrics() if registry is not None else ():
            if metric.name == "penstock_predictions_total":
                found["answers"] = sum(s.value for s in metric.samples() if ("predictor", name) in s.labels)
            elif metric.name == "penstock_prediction_failures_total":
                found["failures"] = {
                    dict(each.labels)["code"]: each.value
                    for each in metric.samples()
                    if ("predictor", name) in each.labels
                }
            elif isinstance(metric, Histogram) and metric.name == LATENCY and metric.count(name):
                found |= {"p50_s": metric.quantile(0.5, name), "p99_s": metric.quantile(0.99, name)}
        return found

    async def show(self, request: Request) -> Response:
        predictor = self._context.app.predictors.get(request.path_params["name"])
        if predictor is None:
            what = f"The application declares no predictor {request.path_params['name']!r}."
            return self._pages.show(request, "missing.html", 404, what=what, back="/predictors")
        inferences, sampled = await self._recent(predictor.name)
        recent: dict[str, Any] = {"inferences": inferences, "sampled": sampled}
        if is_fragment(request, "recent"):
            return self._pages.show(request, "inferences.html", **recent)
        model, alias = split_name(predictor.model)
        example = await self._example(predictor)
        return self._pages.show(
            request,
            "predictor.html",
            predictor=predictor,
            features=feature_rows(predictor),
            requested=[
                each for each in predictor.features.features.values() if isinstance(each, RequestValue)
            ],
            campaign_by=(by := _campaign_attribute(predictor)),
            campaign_value=_text(example, by) if by else "",
            model=model,
            alias=alias,
            versions=await self._versions(model),
            counted=self.counted(predictor.name),
            entity=request.query_params.get("entity") or _text(example, predictor.features.entity),
            **recent,
        )

    async def _versions(self, model: str) -> list[dict[str, Any]]:
        def read() -> list[dict[str, Any]]:
            return version_rows(self.registry.versions(model), self.registry.aliases(model))

        return await run_in_threadpool(read)

    async def _example(self, predictor: Predictor) -> Mapping[str, Any]:
        """An event, so that the forms can be tried at once."""
        source = predictor.features
        try:
            page = await self._context.store.call("Scan", {"TableName": source.source.name, "Limit": 1})
        except ServiceError as error:
            if not is_missing(error):
                raise
            return {}
        return page["Items"][0] if page["Items"] else {}

    async def _recent(self, predictor: str) -> tuple[list[dict[str, Any]], bool]:
        """The latest rows of the log: from the lake, which can order them; else the latest of a sample."""
        quoted = predictor.replace("'", "''")
        sql = (
            'SELECT requestId, "timestamp", entity, prediction, output, latencyMs, modelVersion, role '
            f'FROM current."{TABLE}" WHERE predictor = \'{quoted}\' ORDER BY "timestamp" DESC LIMIT {RECENT}'
        )
        try:
            rows = await self._lake.rows(sql, RECENT)
        except LakeProblem:
            rows = await self._sample(predictor)
            return [_inference(row) for row in rows[:RECENT]], True
        return [_inference(row) for row in rows], False

    async def _sample(self, predictor: str) -> list[dict[str, Any]]:
        try:
            page = await self._context.store.call("Scan", {"TableName": TABLE, "Limit": SAMPLE})
        except ServiceError as error:
            if not is_missing(error):
                raise
            return []
        rows = [{name: next(iter(value.values())) for name, value in item.items()} for item in page["Items"]]
        mine = [row for row in rows if row["predictor"] == predictor]
        return sorted(mine, key=lambda row: str(row["timestamp"]), reverse=True)

    async def attempt(self, request: Request) -> Response:
        """Through the public API, so that the page shows what any caller gets, the row in the log included."""
        name = request.path_params["name"]
        predictor = self._context.app.predictors.get(name)
        form = await form_of(request)
        entity = form.get("entity", "").strip()
        if predictor is None or not entity:
            return self._pages.show(
                request, "prediction.html", problem="Which one? Write its id.", answer=None
            )
        given = {key[2:]: value for key, value in form.items() if key.startswith("v.") and value.strip()}
        path = f"/predict/{quote(name, safe='')}/{predictor.features.entity_name}/{quote(entity, safe='')}"
        status, body = await ask(self._app, "GET", path, urlencode(given))
        answer = orjson.loads(body)
        if status != 200:
            said = answer.get("message") or answer.get("detail") or body[:200].decode()
            problem = f"{said} ({status})"
            return self._pages.show(request, "prediction.html", problem=problem, answer=None)
        called = f"{self._origin(request)}{path}" + (f"?{urlencode(given)}" if given else "")
        return self._pages.show(
            request, "prediction.html", problem=None, answer=answer, called=called, predictor=predictor
        )

    def _origin(self, request: Request) -> str:
        return f"{request.url.scheme}://{request.headers['host']}"

    # -- Moving an alias --

    async def review(self, request: Request) -> Response:
        form = await form_of(request)
        model = request.path_params["model"]
        alias, what = form.get("alias", ""), form.get("what", "")
        try:
            now = await run_in_threadpool(self.registry.alias, model, alias)
            versions = {each["number"]: each for each in await self._versions(model)}
            to = (
                int(form["number"])
                if what == "promote"
                else await run_in_threadpool(self._before, model, alias)
            )
        except PenstockError as error:
            return self._pages.show(request, "review.html", problem=str(error))
        return self._pages.show(
            request,
            "model_review.html",
            model=model,
            alias=alias,
            what=what,
            now=versions.get(now),
            to=versions.get(to),
            back=form.get("back", ""),
        )

    def _before(self, model: str, alias: str) -> int:
        """Where a rollback would go. The registry keeps the way in its events, newest last."""
        item = self._context.client.get_item(
            TableName="penstock_models", Key={"model": {"S": model}, "entry": {"S": f"alias#{alias}"}}
        ).get("Item")
        history = item["history"]["L"] if item else []
        if not history:
            raise UsageError(f"{model}@{alias} has no earlier version to go back to")
        return int(history[0]["N"])

    async def move(self, request: Request) -> Response:
        form = await form_of(request)
        model, alias, what = request.path_params["model"], form.get("alias", ""), form.get("what", "")
        try:
            if what == "promote":
                await run_in_threadpool(self.registry.promote, model, int(form["number"]), alias)
            else:
                await run_in_threadpool(self.registry.rollback, model, alias)
        except PenstockError as error:
            return self._pages.show(request, "review.html", problem=str(error))
        back = form.get("back", "")
        name = back if back in self._context.app.predictors else ""
        done = "promoted" if what == "promote" else "rolled"
        return go_to(f"{PREFIX}/predictors/{quote(name)}?done={done}")


def _text(item: Mapping[str, Any], name: str) -> str:
    return str(next(iter(item[name].values()))) if name in item else ""


def feature_rows(predictor: Predictor) -> list[dict[str, str]]:
    """Each feature in words."""
    return [{"name": name, "says": _says(held)} for name, held in predictor.features.features.items()]


def _says(held: Any) -> str:
    if isinstance(held, RequestValue):
        return "comes with the request"
    if not isinstance(held, Aggregate):
        return "computed in Python"
    if held.kind == "ratio" and held.numerator is not None and held.other is not None:
        return f"({_says(held.numerator)}) / ({_says(held.other)})"
    text = _KINDS.get(held.kind, held.kind) + (f" of {held.attribute}" if held.attribute else "")
    if held.source is not None:
        text += f" in {held.source.name}"
    if held.where:
        text += " where " + " and ".join(f"{name} {_condition(wanted)}" for name, wanted in held.where)
    return text + (", all time" if held.window_s is None else f", last {window_text(held.window_s)}")


def _condition(wanted: Any) -> str:
    if isinstance(wanted, list | tuple | set | frozenset):
        return " or ".join(map(_condition, wanted))
    return wanted.says() if isinstance(wanted, SortRange) else f"is {wanted}"


def _campaign_attribute(predictor: Predictor) -> str | None:
    if predictor.campaign_by is None:
        return None
    keys = predictor.features.source.indexes.get(predictor.campaign_by)
    return keys.partition if keys is not None else None


def _inference(row: dict[str, Any]) -> dict[str, Any]:
    output = orjson.loads(row["output"])
    return {
        "id": row["requestId"],
        "at": str(row["timestamp"]),
        "entity": row.get("entity"),
        "prediction": row["prediction"],
        "probability": output.get("probability"),
        "latency_ms": float(row["latencyMs"]),
        "version": row["modelVersion"],
        "role": row["role"],
    }
