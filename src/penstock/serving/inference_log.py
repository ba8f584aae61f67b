"""Every prediction, in the table `InferenceMetadata`: what was asked, what the model saw, what it said, as of when.

    requestId       S  key. A caller's own X-Request-Id, or a fresh UUID; `ID/challenger` for what a challenger said.
    timestamp       S  when it was answered
    modelName       S
    inputData       S  JSON: feature → value, exactly what the model got
    prediction      S  the label or the number
    latencyMs       N
    modelVersion    S  the registry's number
    predictor       S
    entityType      S  `customer`; entity S its id. Both absent where features came with the request.
    asOf            S  the instant t of the windows
    streamPosition  S  the last change that the features can have seen; absent where the store cannot tell
    request         S  JSON: what the caller asked for. The same id with another request is refused.
    output          S  JSON: {"prediction": …, "probability": …}
    role            S  champion, challenger
    eventsRead      N
    inferenceId     S  what a SageMaker client called it, where it did; not a key, and may repeat
    expiresAt       N  epoch seconds, where the log has a retention

L1. A row is written once (attribute_not_exists): no record ever overwrites another.
L2. It is written before the answer leaves, and survives `kill -9` from then on. Its sync comes within 50 ms, or with the
    next one that anybody waits for (G5 in database/group_commit.py): a power cut may take that much.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import orjson

from penstock.app.tables import Table, declare
from penstock.errors import ServiceError
from penstock.features.instants import SECOND_US, text_of
from penstock.features.windows import Value
from penstock.models.prediction import Label, Prediction
from penstock.serving.problems import request_id_used
from penstock.serving.store import AsyncStore

TABLE = "InferenceMetadata"
REQUEST_ID_BYTES_MAX = 128
CHAMPION, CHALLENGER = "champion", "challenger"


def table() -> Table:
    return declare(TABLE, "requestId", None, {}, {}, True, time_to_live="expiresAt")


class Inference(msgspec.Struct, frozen=True, gc=False):
    """One row of the log."""

    request_id: str
    answered_us: int
    model: str
    version: int
    predictor: str
    inputs: dict[str, Value]
    prediction: Prediction
    latency_ms: float
    request: str
    as_of_us: int
    entity_type: str | None = None
    entity: str | None = None
    position: int | None = None
    events: int | None = None
    role: str = CHAMPION
    inference_id: str | None = None

    def item(self, retention_s: float | None) -> dict[str, Any]:
        output = {"prediction": self.prediction.label, "probability": self.prediction.probability}
        answered = as_of = text_of(self.answered_us)
        if self.as_of_us != self.answered_us:
            as_of = text_of(self.as_of_us)
        item: dict[str, Any] = {
            "requestId": {"S": self.request_id},
            "timestamp": {"S": answered},
            "modelName": {"S": self.model},
            "inputData": {"S": orjson.dumps(self.inputs).decode()},
            "prediction": {"S": label_text(self.prediction.label)},
            "latencyMs": {"N": _thousandths(self.latency_ms)},
            "modelVersion": {"S": str(self.version)},
            "predictor": {"S": self.predictor},
            "asOf": {"S": as_of},
            "request": {"S": self.request},
            "output": {"S": orjson.dumps(output).decode()},
            "role": {"S": self.role},
        }
        if self.entity is not None and self.entity_type is not None:
            item["entityType"], item["entity"] = {"S": self.entity_type}, {"S": self.entity}
        if self.position is not None:
            item["streamPosition"] = {"S": f"{self.position:021d}"}
        if self.events is not None:
            item["eventsRead"] = {"N": str(self.events)}
        if self.inference_id is not None:
            item["inferenceId"] = {"S": self.inference_id}
        if retention_s is not None:
            item["expiresAt"] = {"N": str(self.answered_us // SECOND_US + int(retention_s))}
        return item


def _thousandths(value: float) -> str:
    """As canonical text: 1.25, not 1.250."""
    return f"{value:.3f}".rstrip("0").rstrip(".")


def label_text(label: Label) -> str:
    return ("true" if label else "false") if isinstance(label, bool) else str(label)


class InferenceLog:
    """Writes rows through a store."""

    def __init__(self, store: AsyncStore, *, retention_s: float | None = None, name: str = TABLE) -> None:
        self._store, self._retention_s, self.name = store, retention_s, name

    @property
    def adds_together(self) -> bool:
        return self._store.append is not None

    def add_together(self, inferences: Sequence[Inference]) -> list[ServiceError | None]:
        """Write rows under fresh ids, all as one, without waiting; where `adds_together`. The error of each, or None."""
        assert self._store.append is not None
        return self._store.append(self.name, [each.item(self._retention_s) for each in inferences])

    async def add(self, inference: Inference, *, own_id: bool) -> dict[str, Any] | None:
        """Write a row; where the caller's own id was used before, the row that it made, which tells the first answer."""
        if not own_id and self.adds_together:
            [refusal] = self.add_together([inference])
            if refusal is not None:
                raise refusal
            return None
        request = {
            "TableName": self.name,
            "Item": inference.item(self._retention_s),
            "ConditionExpression": "attribute_not_exists(requestId)",
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }
        try:
            await self._store.call("PutItem", request)
        except ServiceError as error:
            if error.code != "ConditionalCheckFailedException" or not own_id:
                raise
            return await self._first(inference, error)
        return None

    async def _first(self, inference: Inference, error: ServiceError) -> dict[str, Any]:
        item: dict[str, Any] | None = error.extra.get("Item")
        if item is None:  # Some compatible stores do not return it.
            found = await self._store.call(
                "GetItem",
                {
                    "TableName": self.name,
                    "Key": {"requestId": {"S": inference.request_id}},
                    "ConsistentRead": True,
                },
            )
            item = found["Item"]
        # A caller's id may read like that of a challenger's row.
        if item["request"]["S"] != inference.request or item["role"]["S"] != inference.role:
            raise request_id_used(inference.request_id)
        return item


class RequestIds:
    """Random UUIDs, from randomness that is fetched for many at a time.

    Each `os.urandom` lets go of the interpreter, and a prediction then waits for whatever thread took it.
    """

    _AT_ONCE = 256

    def __init__(self, random: Callable[[int], bytes] = os.urandom) -> None:
        self._random, self._held, self._used = random, b"", 0

    def fresh(self) -> str:
        if self._used == len(self._held):
            self._held, self._used = self._random(16 * self._AT_ONCE), 0
        drawn = self._held[self._used : self._used + 16].hex()
        self._used += 16
        # Version 4 and RFC 4122's variant, as uuid.UUID writes them; by hand it is a third of the time.
        variant = "89ab"[int(drawn[16], 16) & 3]
        return f"{drawn[:8]}-{drawn[8:12]}-4{drawn[13:16]}-{variant}{drawn[17:20]}-{drawn[20:]}"
