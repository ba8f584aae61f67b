"""A client over a database in memory, driven by the test alone; and one whose calls fail as a seed says."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

from penstock.connect.client import Client
from penstock.connect.http import NoAnswer
from penstock.connect.json_caller import JsonCaller
from penstock.testing import ManualClock, PowerLoss
from penstock.testing.databases import MemoryDatabase


class Direct:
    """`json_caller.Transport` into whatever database there is at the moment of the call."""

    def __init__(self, database: Callable[[], MemoryDatabase]) -> None:
        self._database = database

    def send(self, target: str, body: bytes, wait_ms: int) -> tuple[int, bytes]:
        return self._database().call_bytes(target.rpartition(".")[2], body)

    def close(self) -> None:
        """Nothing is open."""


class Unreliable:
    """A transport that loses requests before they arrive, answers on their way back, and the database in between."""

    def __init__(self, inner: Direct, random: Random, crashed: Callable[[], None]) -> None:
        self._inner, self._random, self._crashed = inner, random, crashed
        self.loss = 0.0

    def send(self, target: str, body: bytes, wait_ms: int) -> tuple[int, bytes]:
        if self._random.random() < self.loss:
            raise NoAnswer("the request was lost")
        try:
            answer = self._inner.send(target, body, wait_ms)
        except PowerLoss:
            self._crashed()
            raise NoAnswer("the database died") from None
        if self._random.random() < self.loss:
            raise NoAnswer("the answer was lost")
        return answer

    def close(self) -> None:
        """Nothing is open."""


def memory_client(database: MemoryDatabase) -> Client:
    return Client(JsonCaller(Direct(lambda: database)))


def create_table(
    client: Client, name: str, *, stream: bool = True, shards: int = 1, sort: bool = False
) -> None:
    attributes = ["k", "s"] if sort else ["k"]
    request: dict[str, Any] = {
        "TableName": name,
        "AttributeDefinitions": [{"AttributeName": each, "AttributeType": "S"} for each in attributes],
        "KeySchema": [
            {"AttributeName": each, "KeyType": kind}
            for each, kind in zip(attributes, ("HASH", "RANGE"), strict=False)
        ],
        "BillingMode": "PAY_PER_REQUEST",
    }
    if stream:
        request["StreamSpecification"] = {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}
    if shards > 1:
        request["Tags"] = [{"Key": "penstock:stream-shards", "Value": str(shards)}]
    client.create_table(**request)


def settle_tables(database: MemoryDatabase) -> None:
    """Tables that are being made are active after this."""
    database.pass_time(1.0)


def fresh_ids(prefix: str) -> Callable[[], str]:
    given = iter(range(1, 1_000_000_000))
    return lambda: f"{prefix}-{next(given):09d}"


__all__ = ["ManualClock", "create_table", "fresh_ids", "memory_client", "settle_tables"]
