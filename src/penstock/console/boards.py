"""The Dashboards pages: boards listed, shown, asked for their data, edited."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from penstock.app.plain import instant_text
from penstock.console.board_files import RANGES, Board, BoardFiles, board_of, fill, mark
from penstock.console.guard import PREFIX
from penstock.console.lake_client import LakeClient, LakeProblem
from penstock.console.rendering import Pages
from penstock.console.requests import form_of, go_to
from penstock.errors import UsageError

ROWS_MAX = 5000
CHOICES_MAX = 200
BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
NEW = """title = "My board"
range = "30d"
refresh = "30s"

[[charts]]
title = "Rows"
kind = "number"
width = 3
sql = "SELECT count(*) FROM current.Purchases"
"""


class BoardPages:
    def __init__(self, pages: Pages, lake: LakeClient) -> None:
        self._pages, self._lake = pages, lake
        self._files = BoardFiles(pages.context.boards)

    def routes(self) -> list[Route]:
        return [
            Route("/boards", self.all),
            Route("/boards/new", self.new),
            Route("/boards/save", self.save, methods=["POST"]),
            Route("/boards/delete", self.delete, methods=["POST"]),
            Route("/boards/{name}", self.show),
            Route("/boards/{name}/edit", self.edit),
            Route("/boards/{name}/data/{place:int}", self.data),
        ]

    async def all(self, request: Request) -> Response:
        listed = []
        for name in await run_in_threadpool(self._files.names):
            try:
                board = board_of(await run_in_threadpool(self._files.text, name))
                listed.append({"name": name, "board": board, "problem": None})
            except UsageError as error:
                listed.append({"name": name, "board": None, "problem": str(error)})
        return self._pages.show(request, "boards.html", boards=listed, folder=self._files.folder)

    async def show(self, request: Request) -> Response:
        name = request.path_params["name"]
        try:
            text = await run_in_threadpool(self._files.text, name)
        except UsageError as error:
            return self._pages.show(request, "missing.html", 404, what=str(error), back="/boards")
        try:
            board = board_of(text)
        except UsageError as error:
            return self._editor(request, name, text, mark(text), str(error))
        chosen = request.query_params.get("range", board.range)
        return self._pages.show(
            request,
            "board.html",
            name=name,
            board=board,
            ranges=list(RANGES),
            range=chosen if chosen in RANGES else board.range,
            choices=await asyncio.gather(*(self._choices(each.sql) for each in board.filters)),
            chosen={each.name: request.query_params.get(each.name, "") for each in board.filters},
            printed="print" in request.query_params,
        )

    async def _choices(self, sql: str) -> list[str]:
        try:
            answer = orjson.loads(await self._lake.ask(sql, rows_max=CHOICES_MAX))
        except LakeProblem:
            return []  # The charts themselves say what is wrong.
        return [str(row[0]) for row in answer["rows"] if row and row[0] is not None]

    async def data(self, request: Request) -> Response:
        """One chart's rows, or what is wrong, for the page to draw."""
        try:
            board = board_of(await run_in_threadpool(self._files.text, request.path_params["name"]))
            place = request.path_params["place"]
            if not 0 <= place < len(board.charts):
                raise UsageError("the board has no such chart any more; reload the page")
            values = self._values(request, board)
            sql = fill(board.charts[place].sql, values)
            answer = orjson.loads(await self._lake.ask(sql, rows_max=ROWS_MAX))
        except (UsageError, LakeProblem) as problem:
            return _json({"error": str(problem)})
        # The page marks the hour or day that the range cuts.
        return _json({**answer, "since": values["since"], "until": values["until"]})

    def _values(self, request: Request, board: Board) -> dict[str, str | None]:
        until = datetime.fromtimestamp(self._pages.context.now_us() / 1e6, UTC)
        length_s = RANGES.get(request.query_params.get("range", board.range))
        since = BEGINNING if length_s is None else until - timedelta(seconds=length_s)
        values: dict[str, str | None] = {"since": instant_text(since), "until": instant_text(until)}
        for each in board.filters:
            values[each.name] = request.query_params.get(each.name) or None
        return values

    async def new(self, request: Request) -> Response:
        return self._editor(request, "", NEW, "", None)

    async def edit(self, request: Request) -> Response:
        name = request.path_params["name"]
        try:
            text = await run_in_threadpool(self._files.text, name)
        except UsageError as error:
            return self._pages.show(request, "missing.html", 404, what=str(error), back="/boards")
        return self._editor(request, name, text, mark(text), None)

    def _editor(self, request: Request, name: str, text: str, seen: str, problem: str | None) -> Response:
        return self._pages.show(request, "board_edit.html", name=name, text=text, seen=seen, problem=problem)

    async def save(self, request: Request) -> Response:
        form = await form_of(request)
        name = form.get("name", "").strip()
        try:
            text = form.get("text", "").replace("\r\n", "\n")
            await run_in_threadpool(self._files.write, name, text, form.get("seen", ""))
        except UsageError as error:
            return self._pages.show(request, "board_problem.html", problem=str(error))
        return go_to(f"{PREFIX}/boards/{name}?done=saved")

    async def delete(self, request: Request) -> Response:
        form = await form_of(request)
        await run_in_threadpool(self._files.delete, form.get("name", ""))
        return go_to(f"{PREFIX}/boards?done=deleted")


def _json(held: Any) -> Response:
    return Response(orjson.dumps(held), media_type="application/json")
