"""The Lake and SQL pages: ask, look at what is there, and choose a moment of it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from penstock.console.kept_queries import KeptQueries
from penstock.console.lake_client import LakeClient, LakeProblem
from penstock.console.lake_tables import summary
from penstock.console.rendering import Pages
from penstock.console.requests import form_of
from penstock.errors import UsageError

SHOWN_ROWS = 1000
DOWNLOAD_ROWS = 1_000_000
_TIME = re.compile(r"\d{4}-\d\d(-\d\d)?")
_DOWNLOADS = {
    "csv": ("text/csv", "csv"),
    "parquet": ("application/vnd.apache.parquet", "parquet"),
    "lines": ("application/x-ndjson", "jsonl"),
}


def chart_of(rows: Sequence[Sequence[Any]]) -> str:
    """A line says that what lies between its points is meant too: so it is along time, and bars along all else."""
    return "line" if rows and _TIME.match(str(rows[0][0])) else "bar"


class LakePages:
    def __init__(self, pages: Pages, lake: LakeClient) -> None:
        self._pages, self._lake = pages, lake
        self._queries = KeptQueries(pages.context.store)

    def routes(self) -> list[Route]:
        return [
            Route("/lake", self.show),
            Route("/lake/run", self.run, methods=["POST"]),
            Route("/lake/cancel", self.cancel, methods=["POST"]),
            Route("/lake/download", self.download, methods=["POST"]),
            Route("/lake/queries", self.keep, methods=["POST"]),
            Route("/lake/queries/drop", self.drop, methods=["POST"]),
            Route("/lake/tables/{namespace}/{name}", self.table),
        ]

    async def show(self, request: Request) -> Response:
        tables, flows, problem = await self._contents()
        # The application's own tables before the log of its answers, which the alphabet may put first.
        declared = [f"current.{name}" for name in self._pages.context.app.followed()]
        named = {each["full"]: each["select"] for each in tables if each["namespace"] == "current"}
        first = next((named[name] for name in [*declared, *named] if name in named), None)
        sql = request.query_params.get("sql") or first or "SELECT 1 AS one"
        return self._pages.show(
            request,
            "lake.html",
            tables=tables,
            flows=flows,
            problem=problem,
            sql=sql,
            names={each["full"]: [column["name"] for column in each["columns"]] for each in tables},
            queries=await self._queries.all(),
        )

    async def _contents(self) -> tuple[list[dict[str, Any]], dict[str, dict[str, Any]], str | None]:
        try:
            names = await self._lake.tables()
            loaded = await asyncio.gather(*(self._lake.table(*each) for each in names))
            status = await self._lake.look("/status")
        except LakeProblem as problem:
            return [], {}, str(problem)
        tables = [summary(*name, metadata) for name, metadata in zip(names, loaded, strict=True)]
        return tables, {each["table"]: each for each in status["tables"]}, None

    async def run(self, request: Request) -> Response:
        form = await form_of(request)
        try:
            answer = orjson.loads(
                await self._lake.ask(form.get("sql", ""), id_=form.get("id") or None, rows_max=SHOWN_ROWS)
            )
        except LakeProblem as problem:
            return self._pages.show(request, "lake_answer.html", problem=str(problem), answer=None)
        return self._pages.show(
            request, "lake_answer.html", problem=None, answer=answer, chart=chart_of(answer["rows"])
        )

    async def cancel(self, request: Request) -> Response:
        form = await form_of(request)
        try:
            await self._lake.cancel(form.get("id", ""))
        except LakeProblem as problem:
            if problem.status != 404:  # It ended in the same moment.
                raise
        return Response(status_code=204)

    async def download(self, request: Request) -> Response:
        form = await form_of(request)
        format_ = form.get("format", "csv")
        type_, ending = _DOWNLOADS.get(format_, _DOWNLOADS["csv"])
        body = await self._lake.ask(form.get("sql", ""), rows_max=DOWNLOAD_ROWS, format_=format_)
        named = {"Content-Disposition": f'attachment; filename="query.{ending}"'}
        return Response(body, media_type=type_, headers=named)

    async def keep(self, request: Request) -> Response:
        form = await form_of(request)
        problem = None
        try:
            await self._queries.keep(form.get("name", ""), form.get("sql", ""))
        except UsageError as error:
            problem = str(error)
        return await self._kept(request, problem)

    async def drop(self, request: Request) -> Response:
        form = await form_of(request)
        await self._queries.drop(form.get("name", ""))
        return await self._kept(request, None)

    async def _kept(self, request: Request, problem: str | None) -> Response:
        return self._pages.show(
            request, "lake_queries.html", queries=await self._queries.all(), problem=problem
        )

    async def table(self, request: Request) -> Response:
        namespace, name = request.path_params["namespace"], request.path_params["name"]
        try:
            metadata = await self._lake.table(namespace, name)
        except LakeProblem as problem:
            return self._pages.show(
                request, "missing.html", problem.status or 502, what=str(problem), back="/lake"
            )
        told = summary(namespace, name, metadata)
        return self._pages.show(
            request, "lake_table.html", table=told, files=await self._files(namespace, name, told["location"])
        )

    async def _files(self, namespace: str, name: str, location: str) -> dict[str, Any] | None:
        """None where they cannot be told: a damaged manifest must not hide the table's columns and snapshots."""
        try:
            held = await self._lake.files(namespace, name)
        except LakeProblem:
            return None
        return held | {
            "files": [each | {"name": each["path"].removeprefix(f"{location}/")} for each in held["files"]]
        }
