"""`ctx.transact`: a handler's writes and the position of its lane in one TransactWriteItems.

X1. The position's update is the last item of the transaction, on condition that the fence is ours and the position is where
    this worker left it. So the writes of a record happen in the transaction that moves the position past it, and never in
    a second one.
X2. The token is new for each call and the same for each attempt of one: sent again after a lost answer, it is applied once.
X3. Where a call's fate stays unknown, the lane is opened anew, which reads the position from the store before any handler
    is called again.
X4. A call that took too long is left behind and may write no more (`abandon`). Where it is writing at that moment, its fate is
    unknown and X3 holds.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from penstock.connect.client import Client
from penstock.errors import PenstockError, ServiceError, UsageError
from penstock.events.records import sequence_text
from penstock.events.retries import STORE, Randomness
from penstock.events.system_tables import CONSUMERS
from penstock.limits import TRANSACTION_ITEMS_MAX

WRITES_MAX = TRANSACTION_ITEMS_MAX - 1
ATTEMPTS_MAX = 5
_AGAIN = frozenset(
    {
        "TransactionInProgressException",
        "TransactionConflictException",
        "ThrottlingException",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
    }
)
_AGAIN_REASONS = frozenset({"TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"})


class PositionMoved(PenstockError):
    """The lane is not this worker's any more, or stands elsewhere: nothing was written. Let it pass through the handler."""


class LaneCommit:
    """`context.Commit` of one call of a handler."""

    def __init__(
        self,
        client: Client,
        key: dict[str, Any],
        epoch: int,
        before: int,
        batch: Sequence[str],
        token: Callable[[], str],
        random: Randomness,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._client, self._key, self._epoch = client, key, epoch
        self._before = before
        self._batch = batch
        self._token, self._random, self._sleep = token, random, sleep
        self.committed = 0
        self.in_doubt = False  # Fenced off, or a call's fate is unknown.
        self._lock = threading.Lock()
        self._writing = self._abandoned = False

    def abandon(self) -> None:
        """Nobody waits for this call any more."""
        with self._lock:
            self._abandoned = True
            self.in_doubt |= self._writing

    def transact(self, items: Sequence[dict[str, Any]], through: str | None = None) -> None:
        if len(items) > WRITES_MAX:
            raise UsageError(
                f"a transaction takes {WRITES_MAX} writes and the position; got {len(items)} writes"
            )
        if self.in_doubt:
            raise PositionMoved("an earlier transaction of this call did not tell what became of it")
        if through is not None and through not in self._batch:
            raise UsageError(f"{through} is no SequenceNumber of this batch")
        target = int(through if through is not None else self._batch[-1])
        before = self.committed or self._before
        if target <= before:
            raise UsageError(f"this batch is committed through {sequence_text(before)} already")
        with self._lock:
            if self._abandoned:
                raise PositionMoved("this call took too long: its records are another's by now")
            self._writing = True
        try:
            self._write([*items, self._move(before, target)])
            self.committed = target
        finally:
            with self._lock:
                self._writing = False

    def _move(self, before: int, target: int) -> dict[str, Any]:
        values = {":to": {"S": sequence_text(target)}, ":e": {"N": str(self._epoch)}}
        condition = "fence = :e AND attribute_not_exists(#p)"
        if before:
            condition, values[":from"] = "fence = :e AND #p = :from", {"S": sequence_text(before)}
        return {
            "Update": {
                "TableName": CONSUMERS,
                "Key": self._key,
                "UpdateExpression": "SET #p = :to",
                "ConditionExpression": condition,
                "ExpressionAttributeNames": {"#p": "position"},
                "ExpressionAttributeValues": values,
            }
        }

    def _write(self, items: list[dict[str, Any]]) -> None:
        token = self._token()
        for attempt in range(ATTEMPTS_MAX):
            try:
                self._client.transact_write_items(TransactItems=items, ClientRequestToken=token)
                with self._lock:
                    self.in_doubt = self._abandoned
                return
            except ServiceError as error:
                if not self._may_try_again(error) or attempt == ATTEMPTS_MAX - 1:
                    raise
                self._sleep(STORE.pause_s(attempt, self._random))
            except PenstockError:
                self.in_doubt = True
                raise

    def _may_try_again(self, error: ServiceError) -> bool:
        if error.code == "TransactionCanceledException":
            codes = [reason.get("Code", "None") for reason in error.extra.get("CancellationReasons", [])]
            if codes and codes[-1] == "ConditionalCheckFailed":
                self.in_doubt = True
                raise PositionMoved("this worker has lost the lane") from error
            return bool(_AGAIN_REASONS & set(codes)) and "ConditionalCheckFailed" not in codes
        if error.status >= 500 or error.code == "TransactionInProgressException":
            self.in_doubt = True
        return error.code in _AGAIN
