"""The JSON door: a request's body becomes a dict here, and an error becomes an answer's body. Nowhere else.

J1. A body that passed is one JSON object in valid UTF-8, nested at most `JSON_DEPTH_MAX` deep, with at most
    `JSON_CONTAINERS_MAX` objects and arrays, without a repeated key and without half of a surrogate pair.
    Everything else is a SerializationException.
J2. A repeated key is refused, not resolved: two readers of `{"Item": A, "Item": B}` may believe in different
    items, and a check made on one of them would guard the other.
J3. A well-formed request pays for J1 with a few scans in C. Only a suspicious one is parsed again in Python.
J4. Too many objects and arrays are counted before they are made.

How repeated keys are found cheaply. Every key brings one colon outside strings; the rest of the colons are
inside strings. Written again by orjson, a body keeps both kinds, except those of entries that a later one
replaced. So the numbers of colons are equal exactly when no key was repeated, as long as no string spells its
colon as `\\u003a`.

AWS answers malformed JSON with a bare SerializationException. The messages here are Penstock's, because a
person who wrote the request by hand needs to know what is wrong with it.
"""

from __future__ import annotations

import json
import re
from typing import Any

import orjson

from penstock.errors import ServiceError, serialization
from penstock.limits import JSON_CONTAINERS_MAX, JSON_DEPTH_MAX

_TOO_DEEP = f"The body is nested deeper than {JSON_DEPTH_MAX} levels"
_STRING = rb'"(?:[^"\\]++|\\.?)*+"?'  # One without an end is one, too.
_TOO_MANY = re.compile(rb'(?:(?:[^"{\[]++|%b)*+[{\[]){%d}+' % (_STRING, JSON_CONTAINERS_MAX + 1), re.DOTALL)
# The coral framework writes "Message" where the service itself writes "message"; SDKs read either.
_CAPITAL_MESSAGE = frozenset(
    {"SerializationException", "TransactionCanceledException", "AccessDeniedException"}
)


def parse_body(body: bytes) -> dict[str, Any]:
    """The request as a dict, or a SerializationException that says what is wrong with it (J1)."""
    if len(body) > JSON_CONTAINERS_MAX:
        _refuse_many_containers(body)
    try:
        request = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise serialization(_explain(body, error)) from None
    if type(request) is not dict:
        if type(request) is list:
            raise serialization("Start of list found where not expected")
        raise serialization("The body of a request is a JSON object")
    try:
        again = orjson.dumps(request)
    except TypeError:
        raise serialization(_TOO_DEEP) from None  # Nothing else that was read cannot be written.
    # Of the escapes only the colon's: some writers escape each < and >, \u003c and \u003e, and would be read twice.
    escaped = b"\\u003" in body and (b"\\u003a" in body or b"\\u003A" in body)
    if escaped or body.count(b":") != again.count(b":"):
        _refuse_repeated_keys(body)
    return request


def error_body(error: ServiceError) -> bytes:
    """An error as AWS writes it: its type with the namespace, its message and its further members."""
    answer: dict[str, Any] = {"__type": error.namespace + error.code}
    if error.message is not None:
        answer["Message" if error.code in _CAPITAL_MESSAGE else "message"] = error.message
    answer.update(error.extra)
    return orjson.dumps(answer)


def _explain(body: bytes, error: orjson.JSONDecodeError) -> str:
    if not body:
        return "The body is empty where a JSON object was expected"
    try:
        body.decode()
    except UnicodeDecodeError as bad_text:
        return f"The body is not UTF-8: byte {bad_text.start}"
    if "depth limit" in error.msg:
        return _TOO_DEEP
    return f"The body is not JSON: {error}"


def _refuse_many_containers(body: bytes) -> None:
    many = body.count(b"{") + body.count(b"[") > JSON_CONTAINERS_MAX
    if many and _TOO_MANY.match(body):  # Else they are in strings.
        raise serialization(f"The body has more than {JSON_CONTAINERS_MAX} objects and arrays")


def _refuse_repeated_keys(body: bytes) -> None:
    def check(pairs: list[tuple[str, Any]]) -> None:
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise serialization(f"The key {json.dumps(key[:100])} is given twice in one JSON object")
            seen.add(key)

    json.loads(body, object_pairs_hook=check)
