"""Idempotency-Key: a request that is sent again is answered again, not carried out again.

    key                        attributes                                        of table penstock_requests
    <table>/<the key given>    fingerprint, state, started_s, expires_s, status, answer

    absent ──claim──▶ started ──finish──▶ done            started ──abandon──▶ absent

I1. Claiming is a conditional write: of two requests with one key one goes on, the other is told to come back.
I2. The fingerprint is of the content. The same key with another is a conflict, whatever became of the first.
I3. A claim whose request never finished (its process died) is taken over after CLAIM_S by a retry. It writes the same items
    under the same keys, so what the first had stored already stays as it is.
I4. An answer that asks for another try is not kept.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from penstock.connect.client import Client
from penstock.errors import ServiceError
from penstock.events.system_tables import REQUESTS, ensure_table, requests_table

CLAIM_S = 60.0
KEPT_S = 24 * 3600.0
KEY_CHARACTERS_MAX = 255
ANSWER_BYTES_MAX = 256 * 1024


@dataclass(frozen=True)
class Replay:
    """The answer that was given before."""

    status: int
    body: bytes


@dataclass(frozen=True)
class Conflict:
    """The key was used for other content."""


@dataclass(frozen=True)
class Underway:
    """The same request is being carried out."""


@dataclass(frozen=True)
class Claimed:
    """Go on, and tell how it ended."""


def fingerprint(table: str, body: bytes) -> str:
    return hashlib.sha256(table.encode() + b"\0" + body).hexdigest()


class Requests:
    """The table `penstock_requests`."""

    def __init__(self, client: Client, *, sleep: Callable[[float], None] = time.sleep) -> None:
        self._client, self._sleep = client, sleep

    def claim(self, key: str, print_: str, now_s: float) -> Claimed | Replay | Conflict | Underway:
        for _ in range(3):
            try:
                if self._put_claim(key, print_, now_s):
                    return Claimed()
                found = self._get(key)
            except ServiceError as error:
                if error.code != "ResourceNotFoundException":
                    raise
                ensure_table(self._client, requests_table(), expires_by="expires_s", sleep=self._sleep)
                continue
            if found is None:
                continue  # It was abandoned or has expired in between.
            if found["fingerprint"]["S"] != print_:
                return Conflict()
            if "status" in found:
                return Replay(int(found["status"]["N"]), found["answer"]["S"].encode())
            return Underway()
        return Underway()

    def finish(self, key: str, print_: str, status: int, body: bytes, now_s: float) -> None:
        item = {
            "key": {"S": key},
            "fingerprint": {"S": print_},
            "expires_s": {"N": str(int(now_s + KEPT_S))},
            "status": {"N": str(status)},
            "answer": {"S": body.decode()},
        }
        self._client.put_item(TableName=REQUESTS, Item=item)

    def abandon(self, key: str) -> None:
        self._client.delete_item(TableName=REQUESTS, Key={"key": {"S": key}})

    def _put_claim(self, key: str, print_: str, now_s: float) -> bool:
        item = {
            "key": {"S": key},
            "fingerprint": {"S": print_},
            "started_s": {"N": f"{now_s:.3f}"},
            "expires_s": {"N": str(int(now_s + KEPT_S))},
        }
        # What has expired may still be there: the sweep that drops it takes its time.
        free = (
            "attribute_not_exists(#k) OR expires_s < :now"
            " OR (attribute_not_exists(#s) AND fingerprint = :f AND started_s < :old)"
        )
        try:
            self._client.put_item(
                TableName=REQUESTS,
                Item=item,
                ConditionExpression=free,
                ExpressionAttributeNames={"#k": "key", "#s": "status"},
                ExpressionAttributeValues={
                    ":f": {"S": print_},
                    ":old": {"N": f"{now_s - CLAIM_S:.3f}"},
                    ":now": {"N": str(int(now_s))},
                },
            )
        except ServiceError as error:
            if error.code == "ConditionalCheckFailedException":
                return False
            raise
        return True

    def _get(self, key: str) -> dict[str, Any] | None:
        answer = self._client.get_item(TableName=REQUESTS, Key={"key": {"S": key}}, ConsistentRead=True)
        return answer.get("Item")
