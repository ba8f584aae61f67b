"""What a page's handlers read of a request: which part of the page is asked for, and the fields of a form."""

from __future__ import annotations

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response

from penstock.errors import UsageError

FORM_BYTES_MAX = 4 * 1024 * 1024  # An item has 400 KB; its JSON as a form's text a few times that.


def is_fragment(request: Request, element: str) -> bool:
    """htmx asks for one element; a reload or a link asks for the whole page."""
    return request.headers.get("hx-target") == element and "hx-history-restore-request" not in request.headers


async def form_of(request: Request) -> QueryParams:
    """The fields of an urlencoded form."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > FORM_BYTES_MAX:
            raise UsageError("this is more than an item can hold")
    return QueryParams(body.decode("utf-8", "replace"))


def go_to(address: str) -> Response:
    """The page behind a write that succeeded. htmx follows it as a browser follows a redirect."""
    return Response(status_code=200, headers={"HX-Redirect": address})
