"""Calls as JSON: arguments checked by name, sent over some transport, answers and errors in boto3's shapes."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any, Protocol

from penstock.connect.requests import REQUESTS
from penstock.wire.codec import decode_answer, decode_error, encode_request, find_wrong_type, target_of

# Members that botocore fills in, so that a call sent again is not applied twice.
_TOKENS = {
    "ExecuteTransaction": "ClientRequestToken",
    "ExportTableToPointInTime": "ClientToken",
    "ImportTable": "ClientToken",
    "StartBulkPutItems": "ClientToken",
    "TransactWriteItems": "ClientRequestToken",
}


class Transport(Protocol):
    """Bytes to an endpoint and back, from any thread."""

    def send(self, target: str, body: bytes, wait_ms: int) -> tuple[int, bytes]: ...

    def close(self) -> None: ...


class JsonCaller:
    """`Caller` over a transport."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._send = transport.send
        self._names = {
            action: (target_of(action), request.__required_keys__, frozenset(request.__annotations__))
            for action, request in REQUESTS.items()
        }

    def call(self, action: str, params: Mapping[str, object], wait_ms: int = 0) -> dict[str, Any]:
        return decode_answer(action, self.call_body(action, params, wait_ms))

    def call_body(self, action: str, params: Mapping[str, object], wait_ms: int = 0) -> bytes:
        target, required, known = self._names[action]
        names = params.keys()
        if not (required <= names <= known):
            raise TypeError(wrong_names(action, params))
        if action in _TOKENS and _TOKENS[action] not in params:
            params = {**params, _TOKENS[action]: str(uuid.uuid4())}
        status, answer = self._send(target, encode_request(params), wait_ms)
        if status == 200:
            return answer
        error = decode_error(status, answer)
        if error.code == "SerializationException":
            # Found out here and not before, so that good calls do not pay for the search.
            wrong = find_wrong_type(params)
            if wrong is not None:
                raise TypeError(wrong) from error
        raise error

    def call_own(self, action: str, params: Mapping[str, object]) -> dict[str, Any]:
        status, answer = self._send("Penstock." + action, encode_request(params), 0)
        if status != 200:
            raise decode_error(status, answer)
        return decode_answer(action, answer)

    @property
    def runs_engine(self) -> bool:
        return bool(getattr(self._transport, "owns", False))

    def close(self) -> None:
        self._transport.close()


def wrong_names(action: str, params: Mapping[str, object]) -> str:
    request = REQUESTS[action]
    unknown = sorted(map(str, params.keys() - request.__annotations__.keys()))
    if unknown:
        return f"{action} has no {', '.join(unknown)}; it takes {', '.join(request.__annotations__) or 'nothing'}"
    return f"{action} needs {', '.join(sorted(request.__required_keys__ - params.keys()))}"
