"""The context that a handler gets: Lambda's attributes, and `transact` for effects that happen exactly once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from penstock.errors import UsageError

TIMEOUT_S = 900.0  # Lambda's longest.


class Commit(Protocol):
    """Where a handler's writes go together with what says that they happened."""

    def transact(self, items: Sequence[dict[str, Any]], through: str | None = None) -> None: ...


class Identity:
    """No caller's identity, as for every event source."""

    cognito_identity_id: str | None = None
    cognito_identity_pool_id: str | None = None


class Context:
    """`context` of `handler(event, context)`. The names are those of Lambda's Python runtime."""

    function_version = "$LATEST"
    memory_limit_in_mb = "0"  # None here.
    client_context: Any = None

    def __init__(
        self,
        function_name: str,
        request_id: str,
        now_s: Callable[[], float],
        *,
        region: str = "us-east-1",
        commit: Commit | None = None,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        self.function_name = function_name
        self.aws_request_id = request_id
        self.invoked_function_arn = function_arn(function_name, region)
        self.log_group_name = f"/aws/lambda/{function_name}"
        self.log_stream_name = f"[$LATEST]{request_id.replace('-', '')}"
        self.identity = Identity()
        self._now_s = now_s
        self._until_s = now_s() + timeout_s
        self._commit = commit

    def get_remaining_time_in_millis(self) -> int:
        return max(0, int((self._until_s - self._now_s()) * 1000))

    def transact(self, items: Sequence[dict[str, Any]], *, through: str | None = None) -> None:
        """Write these TransactItems and this lane's position in one transaction: both happen, once, or neither.

        `through` is the SequenceNumber of the last record that the writes are about; left out, they are about the whole
        batch. At most 99 items, because the position is one too.
        """
        if self._commit is None:
            raise UsageError("transact is for handlers of changes; an HTTP handler has no position")
        self._commit.transact(items, through)


def function_arn(name: str, region: str = "us-east-1") -> str:
    return f"arn:aws:lambda:{region}:000000000000:function:{name}"
