"""The DynamoDB API as the lake calls it: JSON in, JSON out, so that an image stays the exact text that it was.

`connect.Client` gives boto3's shapes, where binary is bytes and times are datetimes. The lake writes images as DynamoDB
JSON, and parsing them once, into nothing but JSON, is most of its speed.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

import orjson

from penstock.connect.client import Client
from penstock.connect.embedded import FileTransport
from penstock.connect.http import Address, HttpTransport, address_of
from penstock.connect.json_caller import Transport
from penstock.connect.retries import Retries
from penstock.connect.urls import connect
from penstock.wire.codec import decode_error, target_of

# A client waits a minute for each of ten answers. A follower tries again by itself and tells what the trouble is, so that
# tables that are silent are named after half a minute.
ANSWER_S, ATTEMPTS_MAX = 15.0, 2


class Api(Protocol):
    """One action's request and answer. Raises `ServiceError`. Any thread may call."""

    def call(self, action: str, request: Mapping[str, Any], wait_ms: int = 0) -> dict[str, Any]: ...

    def close(self) -> None: ...


class TransportApi:
    """Over bytes to an endpoint: a server, or the engine in this process."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def call(self, action: str, request: Mapping[str, Any], wait_ms: int = 0) -> dict[str, Any]:
        status, body = self._transport.send(target_of(action), orjson.dumps(request), wait_ms)
        if status != 200:
            raise decode_error(status, body)
        answer: dict[str, Any] = orjson.loads(body)
        return answer

    def close(self) -> None:
        self._transport.close()


class ClientApi:
    """Over any client, AWS's among them: what boto3 made of the answer is made JSON again."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._methods = {
            "Scan": client.scan,
            "DescribeTable": client.describe_table,
            "ListStreams": client.list_streams,
            "DescribeStream": client.describe_stream,
            "GetShardIterator": client.get_shard_iterator,
        }

    def call(self, action: str, request: Mapping[str, Any], wait_ms: int = 0) -> dict[str, Any]:
        answer = (
            self._client.get_records(wait_ms, **dict(request))
            if action == "GetRecords"
            else self._methods[action](**request)  # type: ignore[operator]
        )
        plain: dict[str, Any] = orjson.loads(
            orjson.dumps(answer, default=_plain, option=orjson.OPT_PASSTHROUGH_DATETIME)
        )
        return plain

    def close(self) -> None:
        self._client.close()


def open_api(url: str) -> Api:
    """`http://…` and `file:…` without a detour, `aws:…` through boto3."""
    scheme, _, rest = url.partition(":")
    if scheme in ("http", "https"):
        return TransportApi(_bounded(address_of(url)))
    if scheme == "file":
        path = rest.removeprefix("//") if rest.startswith("///") else rest
        return TransportApi(FileTransport(Path(path).expanduser(), over=_bounded))
    return ClientApi(connect(url))


def _bounded(address: Address) -> HttpTransport:
    return HttpTransport(address, read_timeout_s=ANSWER_S, retries=Retries(ATTEMPTS_MAX))


def _plain(value: object) -> object:
    if isinstance(value, bytes | bytearray):
        return b64encode(value).decode()
    if isinstance(value, datetime):
        return value.timestamp()
    raise TypeError(type(value).__name__)
