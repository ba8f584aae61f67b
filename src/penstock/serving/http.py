"""The predict API over HTTP, documented with OpenAPI. The only importer of FastAPI.

`build_app` makes the FastAPI application of an `App`: run/ mounts it in the table process, beside which it answers from the
same event loop. The routes are thin: what they do is predict.py, sagemaker.py and campaign.py.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, unquote_to_bytes

import msgspec
import orjson
from fastapi import FastAPI, Request
from fastapi.responses import Response, StreamingResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from penstock.app.application import App
from penstock.errors import ServiceError
from penstock.features.definition import Plan, unknown_values
from penstock.features.instants import instant_of_number, instant_of_text
from penstock.features.tile_reach import TilesReach
from penstock.metrics.registry import Registry
from penstock.models import registry
from penstock.models.artifacts import ArtifactFolder
from penstock.serving import inference_log, sagemaker
from penstock.serving.campaign import Campaigns
from penstock.serving.inference_log import REQUEST_ID_BYTES_MAX, InferenceLog
from penstock.serving.json_bodies import json_object
from penstock.serving.live_models import LiveModels
from penstock.serving.openapi import ANSWER, CAMPAIGN, INVOCATION, PROBLEMS
from penstock.serving.outbox import Answer, Outbox
from penstock.serving.predict import Asked, PredictorService, Unlogged
from penstock.serving.problems import (
    RequestProblem,
    bad_request,
    too_large,
    unknown_entity,
    unknown_predictor,
)
from penstock.serving.python_calls import PythonCalls
from penstock.serving.store import AsyncStore, ClientStore
from penstock.serving.unserved import refuse_by
from penstock.serving.watch import Watch

BODY_BYTES_MAX = 1024 * 1024
ID = "penstock.id"  # In a request's scope: the id in its path.
_NOT_UTF8 = orjson.dumps({"error": "BadRequest", "message": "a path is UTF-8 where it is not ASCII"})


class Serving:
    """What the routes share: the predictors of one application over one store."""

    def __init__(
        self,
        app: App,
        store: AsyncStore,
        *,
        artifacts: Path | None = None,
        metrics: Registry | None = None,
        now_us: Callable[[], int] = lambda: time.time_ns() // 1000,
        tiles_reach: TilesReach | None = None,
    ) -> None:
        self.app, self.store = app, store
        self.models = LiveModels(store, None if artifacts is None else ArtifactFolder(artifacts))
        self.log = InferenceLog(store, retention_s=app.inferences_kept_s)
        self.python = PythonCalls()
        self.watch = Watch(metrics)
        self.predictors = {
            name: PredictorService(declared, store, self.models, self.log, self.python, self.watch, now_us)
            for name, declared in app.predictors.items()
        }
        self._tiles_reach = tiles_reach
        self.campaigns = Campaigns(store, now_us, self._reach)

    async def _reach(self, plan: Plan, until_s: float) -> bool:
        reach = self._tiles_reach
        return reach is not None and await asyncio.to_thread(reach, plan, until_s)

    def predictor(self, name: str) -> PredictorService:
        service = self.predictors.get(name)
        if service is None:
            raise unknown_predictor(name, sorted(self.predictors))
        return service

    async def warm(self) -> None:
        """Before somebody asks. What is wrong with a model or a function is said to whoever does."""
        for service in self.predictors.values():
            await self.models.find(service.declared.model)
            if service.plan.has_python:
                with suppress(RequestProblem):
                    await self.python.warm(service.plan)

    def close(self) -> None:
        self.python.close()


def build_app(
    app: App,
    client: AsyncStore | Any,
    *,
    artifacts: Path | None = None,
    metrics: Registry | None = None,
    now_us: Callable[[], int] = lambda: time.time_ns() // 1000,
    tiles_reach: TilesReach | None = None,
) -> PredictApi:
    """`client` is an AsyncStore (`EndpointStore(database)` in process) or any client of penstock.connect. `tiles_reach` says in a
    thread whether day tiles hold what their tables held at a moment; without it campaigns read the rows of today."""
    store: AsyncStore = client if hasattr(client, "call_all") else ClientStore(client)
    serving = Serving(
        app, store, artifacts=artifacts, metrics=metrics, now_us=now_us, tiles_reach=tiles_reach
    )

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        warming = asyncio.create_task(serving.warm())
        yield
        warming.cancel()
        serving.close()

    api = PredictApi(
        title=app.name,
        summary="Predictions on fresh events, every one of them on record.",
        version="1",
        lifespan=lifespan,
    )
    api.state.serving = serving
    for status in (404, 405):
        api.add_exception_handler(status, refuse_by(_hint(serving.predictors.values())))
    routes = _Routes(serving)
    api.lean = LeanPredict(
        api.by_routes, routes, Outbox(routes.settle, routes.told) if serving.log.adds_together else None
    )
    _add_routes(api.add_api_route, routes)
    return api


def _add_routes(add: Callable[..., None], routes: _Routes) -> None:
    add(
        "/predict/{predictor}/{entity_name}/{entity_id}",
        routes.predict,
        methods=["GET"],
        responses={200: ANSWER, **PROBLEMS},
        summary="Predict one",
        description="Features of the entity as of now, the model's answer, and its request id in the log. "
        "Values that features request come as query parameters.",
        response_class=Response,
    )
    add(
        "/predict/{predictor}/{by}/{value}",
        routes.post,
        methods=["POST"],
        responses={200: CAMPAIGN, **PROBLEMS},
        summary="Predict a campaign, or one with request values in the body",
        description="Where `by` is the campaign's index, a line of JSON for each entity in its partition. Where it is the "
        "entity, one prediction; the body holds the request values.",
        response_class=Response,
        openapi_extra={"requestBody": {"content": {"application/json": {"schema": {"type": "object"}}}}},
    )
    add(
        "/endpoints/{predictor}/invocations",
        routes.invoke,
        methods=["POST"],
        responses={200: INVOCATION, **PROBLEMS},
        summary="SageMaker's InvokeEndpoint",
        response_class=Response,
        openapi_extra={
            "requestBody": {
                "required": True,
                "content": {
                    "application/json": {"schema": {"type": "object"}},
                    "text/csv": {"schema": {"type": "string"}},
                },
            }
        },
    )


def _hint(predictors: Iterable[PredictorService]) -> str:
    """Where a prediction is, for who looked elsewhere."""
    for each in predictors:
        return f"a prediction is at GET /predict/{each.name}/{each.plan.entity_name}/ID, and /docs lists all there is"
    return "/docs lists all there is"


class _Question(msgspec.Struct):
    """A `GET /predict/…`, taken apart: values and the caller's own id are not looked at yet."""

    predictor: str
    entity_name: str
    entity_id: str
    given: dict[str, Any]
    request_id: str | None


class Owed(msgspec.Struct):
    """An answer, and where it is not in the log yet, what is to be logged before it is told."""

    answer: Answer
    service: PredictorService | None = None
    unlogged: Unlogged | None = None


class _Routes:
    """The handlers. Each is a few lines of HTTP around Serving."""

    def __init__(self, serving: Serving) -> None:
        self._serving = serving

    async def predict(self, predictor: str, entity_name: str, entity_id: str, request: Request) -> Response:
        given: dict[str, Any] = dict(request.query_params)
        request_id = request.headers.get("x-request-id")
        status, body = await self.predict_one(_Question(predictor, entity_name, entity_id, given, request_id))
        return Response(body, status, media_type="application/json")

    async def predict_one(self, question: _Question) -> Answer:
        return (await self._one(question, at_once=True)).answer

    async def infer_one(self, question: _Question) -> Owed:
        """As predict_one, but that `settle` logs it: only then it may be told."""
        # A caller's own id may be one that was answered before: the store tells, after its sync.
        return await self._one(question, at_once=question.request_id is not None)

    async def _one(self, question: _Question, *, at_once: bool) -> Owed:
        received_s = time.perf_counter()
        try:
            service = self._serving.predictor(question.predictor)
            if question.entity_name != service.plan.entity_name:
                raise unknown_entity(question.entity_name, service.plan.entity_name)
            asked = _asked(service, question.entity_id, question.given, question.request_id, received_s)
            if at_once:
                return Owed((200, orjson.dumps(await service.answer(asked))))
            unlogged = await service.infer(asked, in_turn=True)
            return Owed((200, orjson.dumps(unlogged.body)), service, unlogged)
        except RequestProblem as problem:
            return Owed((problem.status, self._problem_body(question.predictor, problem)))

    def settle(self, owed: Sequence[Owed]) -> list[Answer]:
        """Log those that are not logged yet, all as one; the answers that may be told then."""
        rows = [each.unlogged.row for each in owed if each.unlogged is not None]
        errors = iter(self._serving.log.add_together(rows)) if rows else iter(())
        return [each.answer if each.unlogged is None else self._settled(each, next(errors)) for each in owed]

    def _settled(self, owed: Owed, error: ServiceError | None) -> Answer:
        if error is None:
            return owed.answer
        service, owed.unlogged = owed.service, None
        assert service is not None
        problem = service.log_problem(error)
        return problem.status, self._problem_body(service.name, problem)

    def told(self, owed: Sequence[Owed]) -> None:
        for each in owed:
            if each.service is not None and each.unlogged is not None:
                each.service.logged(each.unlogged)

    async def post(self, predictor: str, by: str, value: str, request: Request) -> Response:
        received_s = time.perf_counter()
        value = request.scope.get(ID, value)
        try:
            service = self._serving.predictor(predictor)
            given = await _json_object(request)
            if by == service.plan.entity_name:
                request_id = request.headers.get("x-request-id")
                return _json(await service.answer(_asked(service, value, given, request_id, received_s)))
            lines = await self._serving.campaigns.begin(service, by, value, given)
            return StreamingResponse(lines, media_type="application/x-ndjson")
        except RequestProblem as problem:
            return self._problem(predictor, problem)

    async def invoke(self, predictor: str, request: Request) -> Response:
        received_s = time.perf_counter()
        headers = request.headers
        try:
            predictor = sagemaker.predictor_named(predictor, self._serving.predictors)
            service = self._serving.predictor(predictor)
            inference_id = sagemaker.check_headers(predictor, headers)
            target = None
            if (variant := headers.get(sagemaker.VARIANT_HEADER)) is not None:
                target = sagemaker.variant_named(predictor, variant, await service.variants())
            kind, accept = headers.get("content-type", ""), headers.get("accept", "")
            invocation = sagemaker.parse(
                service.plan, await request.body(), kind, accept, received_s, inference_id, target
            )
            answered = [await service.answer_and_model(asked) for asked in invocation.rows]
            answers, by = [answer for answer, _ in answered], answered[-1][1]
            invoked = sagemaker.variant_of(service.declared.model, by, await service.variants())
        except RequestProblem as problem:
            self._problem_body(predictor, problem)
            status, code, content = sagemaker.error_body(problem)
            told = {"x-amzn-errortype": code, "x-amzn-RequestId": str(uuid.uuid4())}
            return Response(content, status, told, media_type="application/json")
        return Response(
            sagemaker.render(invocation, answers),
            headers={
                "x-Amzn-Invoked-Production-Variant": invoked,
                "x-amzn-RequestId": answers[-1]["requestId"],
            },
            media_type=invocation.accept,
        )

    def _problem(self, predictor: str, problem: RequestProblem) -> Response:
        body = self._problem_body(predictor, problem)
        return Response(body, problem.status, media_type="application/json")

    def _problem_body(self, predictor: str, problem: RequestProblem) -> bytes:
        known = predictor if predictor in self._serving.predictors else ""
        self._serving.watch.failed(known, problem.code)  # A metric's labels are not the caller's to choose.
        return orjson.dumps({"error": problem.code, "message": problem.message})


class PredictApi(FastAPI):
    """FastAPI, but that predictions are answered before its middleware."""

    lean: LeanPredict

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"].startswith("/predict/"):
            await self.lean(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)

    async def by_routes(self, scope: Scope, receive: Receive, send: Send) -> None:
        await super().__call__(scope, receive, send)


class LeanPredict:
    """Answers `GET /predict/…` before middleware, router, parameters and response classes, which cost half a prediction.

    The documented route does the same work; requests that are not of the plainest form go there.
    """

    def __init__(self, app: ASGIApp, routes: _Routes, outbox: Outbox[Owed] | None) -> None:
        """`outbox`: of answers that are logged together, where the log can."""
        self._app, self._routes, self.outbox = app, routes, outbox

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope.get("root_path"):
            await self._app(scope, receive, send)
            return
        path = (scope.get("raw_path") or quote(scope["path"]).encode()).partition(b"?")[0]
        query: bytes = scope["query_string"]
        if scope["method"] == "GET" and self.is_prediction(path):
            target = path + b"?" + query if query else path
            await send_json(send, *await self.answer(target, scope["headers"]))
            return
        try:
            names = _names(path)
        except UnicodeDecodeError:
            await send_json(send, 400, _NOT_UTF8)
            return
        if len(names) == 3:
            # The router cuts a decoded path at each slash, and an id may hold some.
            plain = f"/predict/{names[0]}/{names[1]}/{names[2].replace('/', '-')}"
            scope = {**scope, "path": plain, ID: names[2]}
        await self._app(scope, receive, send)

    def is_prediction(self, target: bytes) -> bool:
        """Whether a GET of this is for one prediction: `/predict/` and three names."""
        return target.startswith(b"/predict/") and target.partition(b"?")[0].count(b"/") == 4

    async def answer(self, target: bytes, headers: Iterable[tuple[bytes, bytes]]) -> Answer:
        question = self._question(target, headers)
        return (400, _NOT_UTF8) if question is None else await self._routes.predict_one(question)

    async def infer(self, target: bytes, headers: Iterable[tuple[bytes, bytes]]) -> Owed:
        """As `answer`, but that `settle` logs it: only then it may be told."""
        question = self._question(target, headers)
        return Owed((400, _NOT_UTF8)) if question is None else await self._routes.infer_one(question)

    def _question(self, target: bytes, headers: Iterable[tuple[bytes, bytes]]) -> _Question | None:
        """None where the path is no text."""
        path, _, query = target.partition(b"?")
        try:
            predictor, entity_name, entity_id = _names(path)
        except UnicodeDecodeError:
            return None
        given: dict[str, Any] = (
            dict(parse_qsl(query.decode("latin-1"), keep_blank_values=True)) if query else {}
        )
        request_id = None
        for name, value in headers:
            if name == b"x-request-id":
                request_id = value.decode("latin-1")
        return _Question(predictor, entity_name, entity_id, given, request_id)


def _names(path: bytes) -> list[str]:
    """What stands behind `/predict`, from the path as it was sent: `a%2Fb` is one id."""
    parts = path.split(b"/")[2:]
    return [(unquote_to_bytes(part) if b"%" in part else part).decode() for part in parts]


async def send_json(send: Send, status: int, body: bytes) -> None:
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _asked(
    service: PredictorService,
    entity: str,
    given: dict[str, Any],
    request_id: str | None,
    received_s: float,
) -> Asked:
    if request_id is not None and not (
        1 <= len(request_id) <= REQUEST_ID_BYTES_MAX and request_id.isascii() and request_id.isprintable()
    ):
        raise bad_request(f"X-Request-Id has 1 to {REQUEST_ID_BYTES_MAX} printable ASCII characters")
    at = given.pop("at", None)
    if given and (unknown := unknown_values(service.plan, given)):
        raise bad_request(f"{service.name} takes no {', '.join(unknown)}")
    return Asked(entity, given, None if at is None else _instant(at), request_id, received_s)


def _instant(text: Any) -> int:
    instant = None
    if isinstance(text, str):
        instant = instant_of_text(text)
    elif isinstance(text, int) and not isinstance(text, bool):
        instant = instant_of_number(str(text), "us")
    if instant is None:
        raise bad_request(f"at is a time such as 2026-11-20T10:00:00Z, not {text!r}")
    return instant


async def _json_object(request: Request) -> dict[str, Any]:
    body = await request.body()
    if len(body) > BODY_BYTES_MAX:
        raise too_large(f"a body has at most {BODY_BYTES_MAX} bytes")
    return json_object(body) if body else {}


def _json(answer: dict[str, Any]) -> Response:
    return Response(orjson.dumps(answer), media_type="application/json")


async def prepare_tables(store: AsyncStore) -> None:
    """Make the tables of the log and the registry where they are not there yet."""
    for definition in (inference_log.table().definition(), registry.DEFINITION):
        try:
            await store.call("CreateTable", definition)
        except ServiceError as error:
            if error.code != "ResourceInUseException":
                raise
