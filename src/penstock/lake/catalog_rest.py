"""The Iceberg REST catalogue over HTTP: what pyiceberg, DuckDB, Spark and Trino ask of one, on the lake's port.

The endpoints are advertised in /v1/config, and nothing else is: no views, no scan planning, no credentials. A commit that
carries an Idempotency-Key and is sent again gets the first answer again.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable

from penstock.lake.iceberg.catalog import LocalCatalog
from penstock.lake.iceberg.rest_calls import RestCalls, RestError
from penstock.lake.listener import HttpError, Request, Response, Route, json_response

_NAMESPACES = "/v1/namespaces"
_NAMESPACE = _NAMESPACES + "/{namespace}"
_TABLES = _NAMESPACE + "/tables"
_TABLE = _TABLES + "/{table}"
_ANSWERS_MAX = 1000
_SEPARATOR = "\x1f"  # Between the levels of a namespace in a path.


class CatalogRoutes:
    """`routes` for the listener."""

    def __init__(self, catalog: LocalCatalog) -> None:
        self._calls = RestCalls(catalog)
        self._answers: OrderedDict[str, Response] = OrderedDict()
        self._lock = threading.Lock()

    def routes(self) -> list[Route]:
        return [
            Route("GET", "/v1/config", self._config),
            *(Route(method, path, self._guarded(call)) for method, path, call in self._table()),
        ]

    def _table(self) -> list[tuple[str, str, Callable[[Request], Response]]]:
        calls = self._calls
        return [
            ("GET", _NAMESPACES, lambda r: json_response(calls.list_namespaces(r.query.get("parent")))),
            ("POST", _NAMESPACES, lambda r: json_response(calls.create_namespace(r.json()))),
            ("GET", _NAMESPACE, lambda r: json_response(calls.load_namespace(_namespace(r)))),
            ("HEAD", _NAMESPACE, lambda r: _empty(lambda: calls.load_namespace(_namespace(r)))),
            ("DELETE", _NAMESPACE, lambda r: _empty(lambda: calls.drop_namespace(_namespace(r)))),
            (
                "POST",
                _NAMESPACE + "/properties",
                lambda r: json_response(calls.update_namespace(_namespace(r), r.json())),
            ),
            ("GET", _TABLES, lambda r: json_response(calls.list_tables(_namespace(r)))),
            ("POST", _TABLES, lambda r: json_response(calls.create_table(_namespace(r), r.json()))),
            ("GET", _TABLE, lambda r: json_response(calls.load_table(_namespace(r), r.parts["table"]))),
            ("HEAD", _TABLE, lambda r: _empty(lambda: calls.load_table(_namespace(r), r.parts["table"]))),
            (
                "POST",
                _TABLE,
                lambda r: json_response(calls.commit_table(_namespace(r), r.parts["table"], r.json())),
            ),
            ("DELETE", _TABLE, lambda r: _empty(lambda: self._drop(r))),
            ("POST", _TABLE + "/metrics", lambda r: Response(status=204)),
            (
                "POST",
                _NAMESPACE + "/register",
                lambda r: json_response(calls.register_table(_namespace(r), r.json())),
            ),
            ("POST", "/v1/tables/rename", lambda r: _empty(lambda: calls.rename_table(r.json()))),
            ("POST", "/v1/transactions/commit", lambda r: _empty(lambda: calls.commit_transaction(r.json()))),
        ]

    def _drop(self, request: Request) -> None:
        purge = request.query.get("purgeRequested", "false").lower() == "true"
        self._calls.drop_table(_namespace(request), request.parts["table"], purge=purge)

    def _config(self, _: Request) -> Response:
        endpoints = [f"{method} {path.replace('/v1/', '/v1/{prefix}/')}" for method, path, _ in self._table()]
        return json_response({"defaults": {}, "overrides": {}, "endpoints": endpoints})

    def _guarded(self, call: Callable[[Request], Response]) -> Callable[[Request], Response]:
        def answer(request: Request) -> Response:
            key = request.headers.get("idempotency-key", "")
            known = self._known(key, request)
            if known is not None:
                return known
            try:
                response = call(request)
            except RestError as error:
                told = {"error": {"message": str(error), "type": error.type, "code": error.status}}
                raise HttpError(error.status, str(error), told) from error
            except HttpError as error:
                told = {"error": {"message": str(error), "type": "BadRequestException", "code": error.status}}
                raise HttpError(error.status, str(error), told) from error
            self._keep(key, request, response)
            return response

        return answer

    def _known(self, key: str, request: Request) -> Response | None:
        with self._lock:
            return self._answers.get(f"{key} {request.method} {request.path}") if key else None

    def _keep(self, key: str, request: Request, response: Response) -> None:
        if not key:
            return
        with self._lock:
            self._answers[f"{key} {request.method} {request.path}"] = response
            if len(self._answers) > _ANSWERS_MAX:
                self._answers.popitem(last=False)


def _namespace(request: Request) -> str:
    name = request.parts["namespace"]
    if _SEPARATOR in name or "." in name:
        raise RestError(404, "NoSuchNamespaceException", f"Namespace does not exist: {name}")
    return name


def _empty(call: Callable[[], object]) -> Response:
    call()
    return Response(status=204)
