"""The seams between the parts, as Protocols: what the core asks of the outside and what the edges ask of the core.

`Endpoint` is the one that most things stand on: an action's name and a JSON body in, a JSON body out. The embedded
client, the HTTP server, the socket in a data directory, PartiQL's batches and the tests all call it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol


class Clock(Protocol):
    """Time from outside. The core never asks the machine; `penstock.testing.ManualClock` is the fake."""

    def now_us(self) -> int:
        """Wall time, microseconds since 1970 UTC."""

    def monotonic_s(self) -> float: ...


class Endpoint(Protocol):
    """The database as a function. `target` is X-Amz-Target's value, such as `DynamoDB_20120810.PutItem`.

    `start` must be called on the owner's thread (the event loop, or under the embedded owner's lock). It decides and
    applies at once, and calls `done(status, body)` exactly once: immediately where nothing has to be waited for, and
    otherwise from the same thread when the sync that covers the answer has finished, or when a long read's last
    slice is done. Errors arrive through `done` too, as AWS writes them. `start` never raises for a bad request.
    """

    def start(
        self, target: str, body: bytes, done: Callable[[int, bytes], None], wait_ms: int = 0
    ) -> None: ...
