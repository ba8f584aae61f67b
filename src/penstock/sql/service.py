"""SQL over HTTP, and the lake process put together: `start_lake` is what `penstock up` runs.

    POST /sql      {"sql": …, "format": "json", "rows_max": 1000, "seconds_max": 60, "id": "q1"}, or the text itself
    GET /sql/q1          how far it is, {"progress": 0 to 100}
    DELETE /sql/q1       cancels

Who names a lake's folder in X-Penstock-Lake is answered by that lake's process alone (see asked, A1).

`json` answers columns and rows in one object; numbers that a binary float would change are text. `csv`, `arrow` (a
stream), `parquet` and `lines` (one object a line) answer the rows as such.
"""

from __future__ import annotations

import gc
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson

from penstock.app.application import App
from penstock.lake.delivery import Deliveries, Spool
from penstock.lake.listener import HttpError, Request, Response, Route, json_response
from penstock.lake.process import LakeProcess
from penstock.sql.asked import FOLDER_HEADER, told_folder
from penstock.sql.curated import Curator
from penstock.sql.databases import Bounds, QueryError
from penstock.sql.lake import Lake
from penstock.sql.results import Result, expressible, json_value
from penstock.sql.session import QueryStopped

ROWS_MAX = 10_000  # Where the request does not say: an answer that a page can show.
_TYPES = {
    "csv": "text/csv; charset=utf-8",
    "arrow": "application/vnd.apache.arrow.stream",
    "parquet": "application/vnd.apache.parquet",
    "lines": "application/x-ndjson",
}


class SqlRoutes:
    def __init__(self, lake: Lake) -> None:
        self._lake = lake

    def routes(self) -> list[Route]:
        return [
            Route("POST", "/sql", self.ask),
            Route("GET", "/sql/{id}", self.look),
            Route("DELETE", "/sql/{id}", self.cancel),
        ]

    def ask(self, request: Request) -> Response:
        folder = self._lake.warehouse.folder
        named = request.headers.get(FOLDER_HEADER.lower())
        if named is None:
            return self._answer(request)
        if folder is None or named != told_folder(folder):
            raise HttpError(421, "this is the process of another lake")
        told = {FOLDER_HEADER: named}
        try:
            answer = self._answer(request)
        except HttpError as error:
            raise HttpError(error.status, str(error), error.body, told) from error
        return replace(answer, headers={**answer.headers, **told})

    def _answer(self, request: Request) -> Response:
        asked = self._read(request)
        sql = asked.get("sql")
        if not isinstance(sql, str) or not sql.strip():
            raise HttpError(400, 'there is no query; send {"sql": "SELECT …"}')
        format_ = asked.get("format") or _accepted(request.headers.get("accept", ""))
        if format_ != "json" and format_ not in _TYPES:
            raise HttpError(400, f"no format {format_!r}; there are json, {', '.join(_TYPES)}")
        try:
            result = self._lake.questions.ask(sql, bounds=self._bounds(asked), id_=asked.get("id"))
        except QueryStopped as error:
            raise HttpError(408, str(error)) from error
        except QueryError as error:
            raise HttpError(400, str(error)) from error
        headers = {
            "X-Penstock-Truncated": str(result.truncated).lower(),
            "X-Penstock-Seconds": f"{result.seconds:.4f}",
        }
        if format_ == "json":
            with expressible(result.table):
                return Response(_as_object(result), headers=headers)
        body = result.write("json" if format_ == "lines" else format_)
        return Response(body, content_type=_TYPES[format_], headers=headers)

    def look(self, request: Request) -> Response:
        progress = self._lake.questions.progress(request.parts["id"])
        if progress is None:
            raise HttpError(404, f"no query {request.parts['id']!r} is running")
        return json_response({"progress": progress})

    def cancel(self, request: Request) -> Response:
        if not self._lake.questions.cancel(request.parts["id"]):
            raise HttpError(404, f"no query {request.parts['id']!r} is running")
        return json_response({"cancelled": request.parts["id"]})

    def _read(self, request: Request) -> dict[str, Any]:
        if "json" in request.headers.get("content-type", ""):
            asked = request.json()
            if not isinstance(asked, dict):
                raise HttpError(400, "the body is not a JSON object")
            return {**request.query, **asked}
        return {**request.query, "sql": request.body.decode("utf-8", "replace")}

    def _bounds(self, asked: Mapping[str, Any]) -> Bounds:
        """A request may ask for less than the lake allows, and for no more."""
        allowed = self._lake.bounds
        try:
            rows = int(asked.get("rows_max", min(ROWS_MAX, allowed.rows_max)))
            seconds = float(asked.get("seconds_max", allowed.seconds_max))
        except (TypeError, ValueError) as error:
            raise HttpError(400, f"rows_max and seconds_max are numbers: {error}") from error
        return replace(
            allowed,
            rows_max=max(1, min(rows, allowed.rows_max)),
            seconds_max=max(0.01, min(seconds, allowed.seconds_max)),
        )


def _accepted(header: str) -> str:
    for format_, type_ in _TYPES.items():
        if type_.split(";")[0] in header:
            return format_
    return "json"


def _as_object(result: Result) -> bytes:
    table = result.table
    columns = [{"name": field.name, "type": str(field.type)} for field in table.schema]
    values = [column.to_pylist() for column in table.columns]
    rows = [list(row) for row in zip(*values, strict=True)]
    answer = {
        "columns": columns,
        "rows": rows,
        "row_count": len(rows),
        "truncated": result.truncated,
        "seconds": round(result.seconds, 4),
    }
    return orjson.dumps(answer, default=json_value)


def start_lake(
    app: App | None,
    client_url: str,
    where: str | Path | Mapping[str, str],
    port: int = 8181,
    bounds: Bounds | None = None,
    patience_s: float = 0.0,
) -> LakeProcess:
    """Start sinks, SQL and the port, in threads; `stop()` on what it gives ends them in order.

    `patience_s`: how long another process that writes the folder is waited for.
    """
    process = LakeProcess(app, client_url, where, port, patience_s=patience_s)
    lake = Lake(process.warehouse, bounds)
    process.add_routes(SqlRoutes(lake).routes())
    if app is not None and app.curated_tables:
        process.add_job(Curator(lake, list(app.curated_tables.values()), process.clock))
    folder = process.warehouse.folder
    if app is not None and app.deliveries and folder is not None:
        spool = Spool(folder, process.clock)
        deliveries = Deliveries(process.warehouse, app.deliveries, spool, process.clock)
        process.add_job(deliveries)
        process.add_routes(deliveries.routes())
    # Parsing makes millions of objects that die young and none that are cyclic: with the collector at its usual pace
    # it took 4.7 times as long.
    gc.freeze()
    gc.set_threshold(200_000, 20, 100)
    return process.start()
