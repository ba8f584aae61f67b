"""The Streams pages: consumers and how far behind they are, dead letters with retry and discard.

A retry calls the application's handler, which is a user's code: it runs in a process of its own, as `penstock dead-letters
retry` does, never in this one.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from penstock.app.application import App
from penstock.console.command_runs import run_command
from penstock.console.guard import PREFIX
from penstock.console.lake_client import LakeClient, LakeProblem
from penstock.console.rendering import Pages
from penstock.console.requests import form_of, go_to, is_fragment
from penstock.console.shared import Shared
from penstock.errors import PenstockError, UsageError
from penstock.events.consumer_status import ConsumerStatus, statuses
from penstock.events.dead_letters import DeadLetter, DeadLetters
from penstock.features import tiles

LETTERS_SHOWN = 100
FRESH_S = 2.0
RETRY_WITHIN_S = 120.0
SAID_MAX = 2000


@dataclass(frozen=True)
class Kind:
    """What a consumer is, as the application declares it."""

    name: str
    table: str
    says: str


def kinds_of(app: App) -> dict[str, Kind]:
    """Each consumer that the worker runs for this application, whether it has begun or not."""
    handlers = {
        each.name: Kind(each.name, each.table.name, "handler") for each in app.change_handlers.values()
    }
    return handlers | {
        name: Kind(name, table, f"day tiles of {features}")
        for name, features, table in tiles.consumer_names(app)
    }


class StreamPages:
    def __init__(self, pages: Pages, lake: LakeClient) -> None:
        self._pages, self._context, self._lake = pages, pages.context, lake
        self._kinds = kinds_of(pages.context.app)
        self._letters = DeadLetters(pages.context.client)
        self.consumers: Shared[list[ConsumerStatus]] = Shared(self._look, FRESH_S, time.monotonic)

    def routes(self) -> list[Route]:
        return [
            Route("/streams", self.show),
            Route("/streams/letter", self.letter),
            Route("/streams/retry", self.retry, methods=["POST"]),
            Route("/streams/discard", self.discard, methods=["POST"]),
        ]

    async def _look(self) -> list[ConsumerStatus]:
        now_s = self._context.now_us() / 1e6
        return await run_in_threadpool(statuses, self._context.client, now_s)

    async def show(self, request: Request) -> Response:
        followers: dict[str, Any] = {
            "consumers": await self.consumers.get(),
            "kinds": self._kinds,
            "flows": await self._flows(),
        }
        known = {each.name for each in followers["consumers"]}
        followers["waiting"] = [each for name, each in self._kinds.items() if name not in known]
        if is_fragment(request, "consumers"):
            return self._pages.show(request, "consumers.html", **followers)
        chosen = request.query_params.get("consumer")
        listed = await run_in_threadpool(lambda: list(self._letters.list(chosen, limit=LETTERS_SHOWN)))
        return self._pages.show(
            request,
            "streams.html",
            **followers,
            streams=await self._streams(),
            letters=listed,
            chosen=chosen,
            shown_max=LETTERS_SHOWN,
        )

    async def _flows(self) -> list[dict[str, Any]]:
        """The lake's sink: it keeps its positions in the lake, beside the rows, and not with those of the others."""
        if self._context.lake_url is None:
            return []
        try:
            flows: list[dict[str, Any]] = (await self._lake.look("/status"))["tables"]
        except LakeProblem:
            return []  # The overview and the lake's own page say so.
        return flows

    async def _streams(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        asked: dict[str, Any] = {}
        while True:
            answer = await self._context.store.call("ListStreams", asked)
            for each in answer["Streams"]:
                told = await self._context.store.call("DescribeStream", {"StreamArn": each["StreamArn"]})
                found.append(told["StreamDescription"])
            if "LastEvaluatedStreamArn" not in answer:
                return sorted(found, key=lambda each: (each["TableName"], each["StreamLabel"]))
            asked = {"ExclusiveStartStreamArn": answer["LastEvaluatedStreamArn"]}

    async def letter(self, request: Request) -> Response:
        consumer, id_ = request.query_params.get("consumer", ""), request.query_params.get("id", "")
        try:
            letter: DeadLetter = await run_in_threadpool(self._letters.show, consumer, id_)
        except UsageError as error:
            return self._pages.show(request, "missing.html", 404, what=str(error), back="/streams")
        return self._pages.show(
            request,
            "letter.html",
            letter=letter,
            can_retry=self._context.app_file is not None and letter.kind == "record",
            command=f"penstock dead-letters retry {consumer} {id_} --url {self._context.api_url}",
        )

    async def retry(self, request: Request) -> Response:
        form = await form_of(request)
        consumer, id_ = form.get("consumer", ""), form.get("id", "")
        said = await self._run_retry(consumer, id_)
        if said is not None:
            return self._pages.show(request, "review.html", problem=said)
        self.consumers.forget()
        return go_to(f"{PREFIX}/streams?done=retried")

    async def _run_retry(self, consumer: str, id_: str) -> str | None:
        """None is success; otherwise what the handler raised."""
        if self._context.app_file is None:
            raise UsageError(
                "this console does not know the application's file; use penstock dead-letters retry"
            )
        arguments = [
            "dead-letters", "retry", "--url", self._context.api_url,
            "--app", str(self._context.app_file), "--", consumer, id_,
        ]  # fmt: skip
        ended = await run_command(arguments, RETRY_WITHIN_S)
        if ended.code is None:
            return f"The handler took longer than {RETRY_WITHIN_S:.0f} s and was stopped; the letter is kept."
        if ended.code == 0:
            return None
        told = f"{ended.output.decode('utf-8', 'replace')}{ended.said}".strip()
        return told[-SAID_MAX:] or "The retry failed."

    async def discard(self, request: Request) -> Response:
        form = await form_of(request)
        try:
            await run_in_threadpool(self._letters.discard, form.get("consumer", ""), form.get("id", ""))
        except PenstockError as error:
            return self._pages.show(request, "review.html", problem=str(error))
        self.consumers.forget()
        return go_to(f"{PREFIX}/streams?done=discarded")
