"""HTTP in API Gateway's proxy shape: a request to the event that a Lambda handler gets, and its result to a response.

The event has payload format 1.0, which REST APIs send, and beside it the members of 2.0 that do not clash with it
(`rawPath`, `rawQueryString`, `routeKey`, `cookies`, `requestContext.http`), so handlers of either find what they read.

A result with `statusCode` is the response: `headers`, `multiValueHeaders`, `cookies`, `body` (text) and `isBase64Encoded`. A
result without it is JSON and means 200, as format 2.0 has it. Anything else is a bad gateway, as at API Gateway.

Pure: bytes and text in, bytes and text out.
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, unquote

import orjson

from penstock.app.handlers import HttpHandler
from penstock.errors import UsageError

BODY_BYTES_MAX = 10 * 1024 * 1024  # API Gateway's payload quota.
_PARAMETER = re.compile(r"\{([A-Za-z0-9._:-]+)(\+?)\}")
BAD_GATEWAY = b'{"message": "Internal server error"}'


@dataclass(frozen=True)
class Request:
    method: str
    path: str  # As sent, before percent-decoding.
    query: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    source_ip: str = "127.0.0.1"


@dataclass(frozen=True)
class Response:
    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


@dataclass(frozen=True)
class Match:
    handler: HttpHandler
    parameters: dict[str, str]


class Routes:
    """The declared routes, most exact first: words before `{name}`, those before `{name+}`, a method before ANY."""

    def __init__(self, handlers: Iterable[HttpHandler]) -> None:
        self._routes = sorted(
            ((_precision(handler), _expression(handler.path), handler) for handler in handlers),
            key=lambda route: route[0],
        )

    def match(self, method: str, path: str) -> Match | None:
        for _, expression, handler in self._routes:
            found = expression.fullmatch(path)
            if found is not None and handler.method in (method, "ANY"):
                named = zip(_names(handler.path), found.groups(), strict=True)
                return Match(handler, {name: unquote(value) for name, value in named})
        return None


def _names(path: str) -> list[str]:
    return [name for name, _ in _PARAMETER.findall(path)]


def _precision(handler: HttpHandler) -> tuple[tuple[int, ...], bool]:
    kinds: list[int] = []
    for part in handler.path.strip("/").split("/"):
        parameter = _PARAMETER.fullmatch(part)
        kinds.append(0 if parameter is None else 2 if parameter.group(2) else 1)
    return tuple(kinds), handler.method == "ANY"


def _expression(path: str) -> re.Pattern[str]:
    parts: list[str] = []
    end = 0
    for found in _PARAMETER.finditer(path):
        parts += [re.escape(path[end : found.start()]), "(.+)" if found.group(2) else "([^/]+)"]
        end = found.end()
    if "{" in path[end:] or len(set(_names(path))) != len(_names(path)):
        raise UsageError(f"{path!r} is no path; write /orders/{{id}} or /files/{{path+}}")
    return re.compile("".join([*parts, re.escape(path[end:])]))


def event_of(request: Request, match: Match, request_id: str, now_s: float) -> dict[str, Any]:
    multi_headers = _gathered(request.headers)
    multi_query = _gathered(parse_qsl(request.query, keep_blank_values=True))
    lower = {name.lower(): values[-1] for name, values in multi_headers.items()}
    body, is_base64 = _text_of(request.body)
    cookies = [cookie.strip() for cookie in lower.get("cookie", "").split(";") if cookie.strip()]
    return {
        "version": "1.0",
        "resource": match.handler.path,
        "path": unquote(request.path),
        "httpMethod": request.method,
        "headers": {name: values[-1] for name, values in multi_headers.items()},
        "multiValueHeaders": multi_headers,
        "queryStringParameters": {name: values[-1] for name, values in multi_query.items()} or None,
        "multiValueQueryStringParameters": multi_query or None,
        "pathParameters": match.parameters or None,
        "stageVariables": None,
        "requestContext": _request_context(request, match, lower, request_id, now_s),
        "body": body,
        "isBase64Encoded": is_base64,
        "routeKey": f"{match.handler.method} {match.handler.path}",
        "rawPath": request.path,
        "rawQueryString": request.query,
        "cookies": cookies,
    }


def _request_context(
    request: Request, match: Match, lower: Mapping[str, str], request_id: str, now_s: float
) -> dict[str, Any]:
    moment = datetime.fromtimestamp(now_s, UTC)
    agent = lower.get("user-agent")
    return {
        "accountId": "000000000000",
        "apiId": "penstock",
        "domainName": lower.get("host", ""),
        "domainPrefix": lower.get("host", "").partition(".")[0],
        "extendedRequestId": request_id,
        "httpMethod": request.method,
        "http": {
            "method": request.method,
            "path": request.path,
            "protocol": "HTTP/1.1",
            "sourceIp": request.source_ip,
            "userAgent": agent,
        },
        "identity": {"sourceIp": request.source_ip, "userAgent": agent},
        "path": request.path,
        "protocol": "HTTP/1.1",
        "requestId": request_id,
        "requestTime": moment.strftime("%d/%b/%Y:%H:%M:%S +0000"),
        "requestTimeEpoch": int(now_s * 1000),
        "resourceId": "",
        "resourcePath": match.handler.path,
        "routeKey": f"{match.handler.method} {match.handler.path}",
        "stage": "$default",
        "authorizer": None,
        "time": moment.strftime("%d/%b/%Y:%H:%M:%S +0000"),
        "timeEpoch": int(now_s * 1000),
    }


def _gathered(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    gathered: dict[str, list[str]] = {}
    for name, value in pairs:
        gathered.setdefault(name, []).append(value)
    return gathered


def _text_of(body: bytes) -> tuple[str | None, bool]:
    if not body:
        return None, False
    try:
        return body.decode(), False
    except UnicodeDecodeError:
        return b64encode(body).decode(), True


class Malformed(Exception):
    """A handler's result that is no response."""


def response_of(result: Any) -> Response:
    """The response that a result means, or Malformed."""
    if not isinstance(result, Mapping) or "statusCode" not in result:
        return Response(200, (("content-type", "application/json"),), _json(result))
    status = result["statusCode"]
    if isinstance(status, str) and status.isdigit():
        status = int(status)
    if isinstance(status, bool) or not isinstance(status, int) or not 100 <= status <= 599:
        raise Malformed(f"statusCode is {status!r}")
    headers = _headers(result)
    if "content-type" not in {name.lower() for name, _ in headers}:
        headers.append(("content-type", "application/json"))
    return Response(status, tuple(headers), _body(result))


def _headers(result: Mapping[str, Any]) -> list[tuple[str, str]]:
    headers: list[tuple[str, str]] = []
    single, multi = result.get("headers") or {}, result.get("multiValueHeaders") or {}
    if not isinstance(single, Mapping) or not isinstance(multi, Mapping):
        raise Malformed("headers are an object")
    many = {str(name).lower() for name in multi}
    for name, value in single.items():
        # A name that is in both keeps its many values, as API Gateway merges them.
        if str(name).lower() not in many:
            headers.append((str(name), _header_text(value)))
    for name, values in multi.items():
        if not isinstance(values, Sequence) or isinstance(values, str):
            raise Malformed(f"multiValueHeaders[{name!r}] is a list")
        headers += [(str(name), _header_text(value)) for value in values]
    headers += [("set-cookie", str(cookie)) for cookie in result.get("cookies") or []]
    for name, value in headers:
        if re.search(r"[\r\n\0]", name + value):
            raise Malformed(f"header {name!r} holds a line break")
    return headers


def _header_text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _body(result: Mapping[str, Any]) -> bytes:
    body = result.get("body")
    if body is None:
        return b""
    if not isinstance(body, str):
        raise Malformed(f"body is text; json.dumps it: {type(body).__name__}")
    if not result.get("isBase64Encoded"):
        return body.encode()
    try:
        return b64decode(body, validate=True)
    except ValueError as error:
        raise Malformed("body is not base64") from error


def _json(result: Any) -> bytes:
    try:
        return orjson.dumps(result)
    except TypeError as error:
        raise Malformed(f"the result is no JSON: {error}") from error
