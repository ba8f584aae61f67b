"""The Streams pages: consumers and how far behind they are, dead letters with retry and discard.

A retry calls the application's handler, which is a user's code: it runs in a process of its own, as `penstock dead-letters
retry` does, never in this one.
"""

from __future__ import annotations

import asyncio
import sys
import time
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from penstock.console.guard import PREFIX
from penstock.console.rendering import Pages
from penstock.console.requests import form_of, go_to, is_fragment
from penstock.console.shared import Shared
from penstock.errors import PenstockError, UsageError
from penstock.events.consumer_status import ConsumerStatus, statuses
from penstock.events.dead_letters import DeadLetter, DeadLetters

LETTERS_SHOWN = 100
FRESH_S = 2.0
RETRY_WITHIN_S = 120.0


class StreamPages:
    def __init__(self, pages: Pages) -> None:
        self._pages, self._context = pages, pages.context
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
        consumers = await self.consumers.get()
        if is_fragment(request, "consumers"):
            return self._pages.show(request, "consumers.html", consumers=consumers)
        chosen = request.query_params.get("consumer")
        listed = await run_in_threadpool(lambda: list(self._letters.list(chosen, limit=LETTERS_SHOWN)))
        return self._pages.show(
            request,
            "streams.html",
            consumers=consumers,
            streams=await self._streams(),
            letters=listed,
            chosen=chosen,
            shown_max=LETTERS_SHOWN,
            handlers=self._context.app.change_handlers,
        )

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
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "penstock", "dead-letters", "retry",
            "--url", self._context.api_url, "--app", str(self._context.app_file), "--", consumer, id_,
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        try:
            output, _ = await asyncio.wait_for(process.communicate(), RETRY_WITHIN_S)
        except TimeoutError:
            process.kill()
            await process.wait()
            return f"The handler took longer than {RETRY_WITHIN_S:.0f} s and was stopped; the letter is kept."
        if process.returncode == 0:
            return None
        return output.decode("utf-8", "replace").strip()[-2000:] or "The retry failed."

    async def discard(self, request: Request) -> Response:
        form = await form_of(request)
        try:
            await run_in_threadpool(self._letters.discard, form.get("consumer", ""), form.get("id", ""))
        except PenstockError as error:
            return self._pages.show(request, "review.html", problem=str(error))
        self.consumers.forget()
        return go_to(f"{PREFIX}/streams?done=discarded")
