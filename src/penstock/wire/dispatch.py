"""What an HTTP request asks for: a call of the API, or one of the few plain answers that need no database.

D1. An API call is a POST with an AWS JSON media type and X-Amz-Target `<service>_<version>.<Action>`, or
    `Penstock.<Action>` for our own. The path does not matter. Whether the action exists is the endpoint's
    answer, because it knows what is built.
D2. GET answers `healthy: dynamodb.<region>.amazonaws.com `, as load balancers and the curious expect.
D3. Anything else gets what the coral framework answers: 404 with an XML element, or 400
    UnknownOperationException.
D4. Browsers: OPTIONS and Origin are answered as DynamoDB does, which lets every page call. That is safe only
    where requests must be signed. Without access keys only pages served from this machine may call, or any
    web page that a developer happens to visit could read and delete the tables on this port.
D5. What touches the machine's files is answered on the data directory's own socket only: who can open that
    has the files already.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from penstock.errors import access_denied, unknown_operation
from penstock.limits import WAIT_MS_MAX
from penstock.operations.json_door import error_body
from penstock.wire.replies import JSON_10

MEDIA_TYPES = frozenset({JSON_10, b"application/x-amz-json-1.1", b"application/json"})

_TARGET = re.compile(rb"DynamoDB(?:Streams)?_20120810\.[A-Za-z]{1,64}|Penstock\.[A-Za-z]{1,64}")
# Told apart here and not where they are carried out, because only the edge knows where a request came from.
_ON_THE_SOCKET_ONLY = frozenset({b"Penstock.Checkpoint"})
_LOCAL_ORIGIN = re.compile(rb"https?://(?:localhost|127\.0\.0\.1|\[::1\])(?::[0-9]{1,5})?")
_EXPOSED = b"x-amzn-RequestId,x-amzn-ErrorType,x-amz-request-id,x-amz-id-2,x-amzn-ErrorMessage,Date"


@dataclass(frozen=True, slots=True)
class PlainAnswer:
    """An answer that needs no endpoint."""

    status: int
    content_type: bytes
    body: bytes
    more_headers: bytes = b""
    closes: bool = False


@dataclass(frozen=True, slots=True)
class Call:
    """A call of the API, and what its answer's head must carry back."""

    target: str
    content_type: bytes = JSON_10
    more_headers: bytes = b""
    wait_ms: int = 0


def read_request(
    method: bytes, headers: dict[bytes, bytes], *, region: str, any_origin: bool, on_socket: bool = False
) -> Call | PlainAnswer:
    """`headers` has lower-case names. `any_origin` is true where every request must be signed (D4), `on_socket` on a data
    directory's own socket (D5)."""
    origin = headers.get(b"origin")
    shared = b""
    if origin is not None:
        if not any_origin and _LOCAL_ORIGIN.fullmatch(origin) is None:
            return PlainAnswer(403, b"text/plain", b"Pages from elsewhere may not call without access keys\n")
        shared = b"Access-Control-Allow-Origin: *\r\nAccess-Control-Expose-Headers: " + _EXPOSED + b"\r\n"
    if method == b"POST":
        return _read_call(headers, shared, on_socket)
    if method == b"GET" or method == b"HEAD":
        text = b"healthy: dynamodb.%b.amazonaws.com " % region.encode()
        return PlainAnswer(200, b"text/plain", text, shared)
    if method == b"OPTIONS" and origin is not None:
        return PlainAnswer(200, b"text/plain", b"", _preflight(headers))
    return PlainAnswer(404, b"text/plain", b"<UnknownOperationException/>\n", shared)


def _read_call(headers: dict[bytes, bytes], shared: bytes, on_socket: bool) -> Call | PlainAnswer:
    content_type = headers.get(b"content-type", b"").split(b";")[0].strip().lower()
    if content_type not in MEDIA_TYPES:
        return PlainAnswer(404, b"text/plain", b"<UnknownOperationException/>\n", shared)
    target = headers.get(b"x-amz-target", b"")
    if _TARGET.fullmatch(target) is None:
        return PlainAnswer(400, content_type, error_body(unknown_operation()), shared)
    if target in _ON_THE_SOCKET_ONLY and not on_socket:
        refusal = access_denied(f"{target.decode()} is answered on the socket in the data directory only")
        return PlainAnswer(400, content_type, error_body(refusal), shared)
    # One object for the common type, so that an answer's head is chosen by identity.
    echoed = JSON_10 if content_type == JSON_10 else content_type
    return Call(target.decode(), echoed, shared, _wait_ms(headers))


def _wait_ms(headers: dict[bytes, bytes]) -> int:
    """How long an empty GetRecords may be held open. What is not a number is no wish to wait."""
    text = headers.get(b"x-penstock-wait-ms", b"")
    return min(int(text), WAIT_MS_MAX) if text.isdigit() and len(text) < 10 else 0


def _preflight(headers: dict[bytes, bytes]) -> bytes:
    lines = [b"Access-Control-Allow-Origin: *\r\nAccess-Control-Max-Age: 172800\r\n"]
    for asked, granted in (
        (b"access-control-request-headers", b"Access-Control-Allow-Headers"),
        (b"access-control-request-method", b"Access-Control-Allow-Methods"),
    ):
        if asked in headers:
            lines.append(b"%b: %b\r\n" % (granted, headers[asked]))
    return b"".join(lines)
