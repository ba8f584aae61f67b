"""Signing in and out, for a console that is reached from other machines."""

from __future__ import annotations

import asyncio

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from penstock.console.guard import COOKIE, PREFIX, SESSION_S, is_password, new_session
from penstock.console.rendering import Pages
from penstock.console.requests import form_of, go_to

WRONG_PAUSE_S = 1.0  # Guesses are made one after another, a second each.


class SignIn:
    def __init__(self, pages: Pages) -> None:
        self._pages, self._context = pages, pages.context
        self._one_at_a_time = asyncio.Lock()

    def routes(self) -> list[Route]:
        return [
            Route("/sign-in", self.form, methods=["GET"]),
            Route("/sign-in", self.enter, methods=["POST"]),
            Route("/sign-out", self.leave, methods=["POST"]),
        ]

    async def form(self, request: Request) -> Response:
        return self._pages.show(
            request, "sign_in.html", wrong=False, next=_inside(request.query_params.get("next", ""))
        )

    async def enter(self, request: Request) -> Response:
        form = await form_of(request)
        after = _inside(form.get("next", ""))
        if not is_password(self._context, form.get("password", "")):
            async with self._one_at_a_time:
                await asyncio.sleep(WRONG_PAUSE_S)
            return self._pages.show(request, "sign_in.html", 403, wrong=True, next=after)
        answer = RedirectResponse(after, 303)
        answer.set_cookie(
            COOKIE,
            new_session(self._context),
            max_age=SESSION_S,
            path="/",  # A campaign is asked for beside the console.
            httponly=True,
            samesite="strict",
            secure=request.url.scheme == "https",
        )
        return answer

    async def leave(self, request: Request) -> Response:
        answer = go_to(f"{PREFIX}/sign-in")
        answer.delete_cookie(COOKIE, path="/")
        return answer


def _inside(path: str) -> str:
    """Only a page of the console: a link must not carry anybody elsewhere after they signed in."""
    return path if path.startswith(f"{PREFIX}/") and "\\" not in path and "//" not in path else f"{PREFIX}/"
