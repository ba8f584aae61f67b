"""Between boto3's shapes and the JSON on the wire: bytes for B, datetimes for times, a ServiceError for an error.

K1. A request becomes JSON in one pass in C; bytes become base64 on the way. What JSON or DynamoDB cannot
    hold (a float or Decimal as a number, a set) is a TypeError that names the place and what to write
    instead.
K2. Text given for B is sent as its UTF-8 bytes, as boto3 does.
K3. An answer is walked only if it can hold something to convert: B or BS anywhere, times in the answers that
    have them. An attribute may be called "B" or "CreationDateTime": its value is an object, never bare text
    or a number.
"""

from __future__ import annotations

from binascii import a2b_base64, b2a_base64
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any

import orjson

from penstock.errors import (
    CORAL_NAMESPACE,
    CORAL_VALIDATE_NAMESPACE,
    DYNAMODB_NAMESPACE,
    ServiceError,
)

# Members that are epoch seconds on the wire, and the actions whose answers have any. A test holds both to
# botocore.
TIMES = frozenset(
    {
        "ApproximateCreationDateTime",
        "ArchivalDateTime",
        "BackupCreationDateTime",
        "BackupExpiryDateTime",
        "CreationDateTime",
        "CreationRequestDateTime",
        "EarliestRestorableDateTime",
        "EndTime",
        "ExportFromTime",
        "ExportTime",
        "ExportToTime",
        "InaccessibleEncryptionDateTime",
        "LastDecreaseDateTime",
        "LastIncreaseDateTime",
        "LastUpdateDateTime",
        "LastUpdateToPayPerRequestDateTime",
        "LatestRestorableDateTime",
        "ReplicaInaccessibleDateTime",
        "RestoreDateTime",
        "StartTime",
        "TableCreationDateTime",
    }
)
WITHOUT_TIMES = frozenset(
    {
        "BatchExecuteStatement",
        "BatchGetItem",
        "BatchWriteItem",
        "DeleteItem",
        "ExecuteStatement",
        "ExecuteTransaction",
        "GetItem",
        "PutItem",
        "Query",
        "Scan",
        "SearchVectors",
        "TransactGetItems",
        "TransactWriteItems",
        "UpdateItem",
    }
)

_TYPES = frozenset({"S", "N", "B", "BOOL", "NULL", "SS", "NS", "BS", "L", "M"})


@lru_cache(256)
def target_of(action: str) -> str:
    return _STREAM_TARGETS.get(action) or "DynamoDB_20120810." + action


def encode_request(params: Mapping[str, object]) -> bytes:
    """The body of a request, or a TypeError (K1)."""
    try:
        body = orjson.dumps(params, _encode_value, orjson.OPT_PASSTHROUGH_DATETIME)
    except TypeError as error:
        raise TypeError(find_wrong_type(params) or str(error)) from None
    if b'"B":' in body or b'"BS":' in body:
        converted, changed = _text_to_bytes(params)
        if changed:
            body = orjson.dumps(converted, _encode_value, orjson.OPT_PASSTHROUGH_DATETIME)
    return body


def decode_answer(action: str, body: bytes) -> dict[str, Any]:
    answer: dict[str, Any] = orjson.loads(body)
    if b'"B":' in body or b'"BS":' in body or (action not in WITHOUT_TIMES and b'Time":' in body):
        _convert(answer)
    return answer


def decode_error(status: int, body: bytes) -> ServiceError:
    """The error of an answer other than 200. What is no AWS error, such as a proxy's page, keeps its status."""
    try:
        members = orjson.loads(body)
    except orjson.JSONDecodeError:
        members = None
    if not isinstance(members, dict):
        text = body[:200].decode("utf-8", "replace").strip()
        return ServiceError(str(status), text or "no body", status=status)
    namespace, _, code = str(members.pop("__type", status)).rpartition("#")
    capital, message = members.pop("Message", None), members.pop("message", None)
    _convert(members)
    return ServiceError(
        code,
        message if message is not None else capital,
        status=status,
        namespace=_NAMESPACES.get(namespace, DYNAMODB_NAMESPACE),
        extra=members,
    )


def find_wrong_type(params: Mapping[str, object]) -> str | None:
    """What is wrong with the first value that no JSON or no attribute can hold, and where it stands."""
    return next(_wrong_types(params, ""), None)


def _encode_value(value: object) -> object:
    if isinstance(value, (bytes, bytearray, memoryview)):
        return b2a_base64(value, newline=False).decode()
    if isinstance(value, datetime):
        # A time without a zone is taken as the machine's own, as boto3 does.
        return value.timestamp()
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(type(value).__name__)


def _text_to_bytes(value: Any) -> tuple[Any, bool]:
    """The value with text under B and BS as bytes, and whether there was any (K2)."""
    if isinstance(value, Mapping):
        changed = False
        copy: dict[Any, Any] = {}
        for key, member in value.items():
            if key == "B" and isinstance(member, str):
                copy[key], different = member.encode(), True
            elif key == "BS" and isinstance(member, (list, tuple)):
                copy[key] = [part.encode() if isinstance(part, str) else part for part in member]
                different = any(isinstance(part, str) for part in member)
            else:
                copy[key], different = _text_to_bytes(member)
            changed |= different
        return copy, changed
    if isinstance(value, (list, tuple)):
        members = [_text_to_bytes(member) for member in value]
        return [member for member, _ in members], any(different for _, different in members)
    return value, False


def _convert(value: Any) -> None:
    """In place: base64 to bytes and epoch seconds to datetimes, at any depth, without recursion (K3)."""
    left = [value]
    while left:
        container = left.pop()
        if type(container) is list:
            left.extend(member for member in container if type(member) in (dict, list))
            continue
        for key, member in container.items():
            kind = type(member)
            if kind is dict:
                left.append(member)
            elif kind is list:
                if key == "BS" and member and type(member[0]) is str:
                    container[key] = [a2b_base64(part) for part in member]
                else:
                    left.append(member)
            elif key == "B" and kind is str:
                container[key] = a2b_base64(member)
            elif key in TIMES and kind in (int, float):
                container[key] = datetime.fromtimestamp(member, UTC)


def _wrong_types(value: object, path: str) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, member in value.items():
            here = f"{path}.{key}" if path else str(key)
            if not isinstance(key, str):
                yield f"{here}: a name is a str, not {type(key).__name__}"
            elif len(value) == 1 and key in _TYPES:
                yield from _wrong_payload(key, member, here)
            yield from _wrong_types(member, here)
    elif isinstance(value, (list, tuple)):
        for place, member in enumerate(value):
            yield from _wrong_types(member, f"{path}[{place}]")
    elif isinstance(value, (set, frozenset, Decimal)):
        advice = 'a number is text: {"N": "1.5"}' if isinstance(value, Decimal) else "use a list"
        yield f"{path}: {type(value).__name__} has no place in a request; {advice}"


def _wrong_payload(kind: str, payload: object, here: str) -> Iterator[str]:
    number = (int, float, Decimal)
    if kind == "N" and isinstance(payload, number):
        yield f'{here}: a number is text, write {{"N": "{payload}"}}; got {type(payload).__name__}'
    elif kind == "NS" and isinstance(payload, (list, tuple)):
        for part in payload:
            if isinstance(part, number):
                yield f'{here}: numbers are text, write "{part}"; got {type(part).__name__}'
    elif kind == "S" and isinstance(payload, (*number, bytes, type(None))):
        yield f"{here}: S holds a str, not {type(payload).__name__}"
    elif kind in ("BOOL", "NULL") and isinstance(payload, (str, *number)) and not isinstance(payload, bool):
        yield f"{here}: {kind} holds True or False, not {type(payload).__name__}"
    elif kind == "B" and isinstance(payload, number):
        yield f"{here}: B holds bytes, not {type(payload).__name__}"
    elif kind in ("SS", "NS", "BS", "L") and isinstance(payload, (set, frozenset)):
        yield f"{here}: {kind} holds a list, not {type(payload).__name__}"


_STREAM_TARGETS = {
    action: "DynamoDBStreams_20120810." + action
    for action in ("DescribeStream", "GetRecords", "GetShardIterator", "ListStreams")
}
_NAMESPACES = {
    namespace.rstrip("#"): namespace
    for namespace in (CORAL_NAMESPACE, CORAL_VALIDATE_NAMESPACE, DYNAMODB_NAMESPACE)
}
