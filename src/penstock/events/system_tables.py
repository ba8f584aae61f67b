"""The tables that consumers keep their own state in, and how each is made where it is missing: here and on AWS alike."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from penstock.connect.client import Client
from penstock.errors import ServiceError, UsageError

CONSUMERS = "penstock_consumers"
DEAD_LETTERS = "penstock_dead_letters"
REQUESTS = "penstock_requests"

ACTIVE_WITHIN_S = 120.0
_POLL_S = 0.2


def consumers_table() -> dict[str, Any]:
    return _definition(CONSUMERS, "consumer", "part")


def dead_letters_table() -> dict[str, Any]:
    return _definition(DEAD_LETTERS, "consumer", "id")


def requests_table() -> dict[str, Any]:
    return _definition(REQUESTS, "key", None)


def _definition(name: str, partition: str, sort: str | None) -> dict[str, Any]:
    keys = [(partition, "HASH")] + ([(sort, "RANGE")] if sort else [])
    return {
        "TableName": name,
        "AttributeDefinitions": [{"AttributeName": key, "AttributeType": "S"} for key, _ in keys],
        "KeySchema": [{"AttributeName": key, "KeyType": type_} for key, type_ in keys],
        "BillingMode": "PAY_PER_REQUEST",
    }


def ensure_table(
    client: Client,
    definition: dict[str, Any],
    *,
    expires_by: str | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """The table is there and takes writes when this returns. Several workers may call it at once."""
    name = definition["TableName"]
    made = False
    if _status(client, name) is None:
        try:
            client.create_table(**definition)
            made = True
        except ServiceError as error:
            if error.code != "ResourceInUseException":
                raise
    waited_s = 0.0
    while _status(client, name) not in ("ACTIVE", "UPDATING"):
        if waited_s >= ACTIVE_WITHIN_S:
            raise UsageError(f"table {name} is still not active after {ACTIVE_WITHIN_S:.0f} s")
        sleep(_POLL_S)
        waited_s += _POLL_S
    if made and expires_by is not None:
        wanted = {"Enabled": True, "AttributeName": expires_by}
        client.update_time_to_live(TableName=name, TimeToLiveSpecification=wanted)


def _status(client: Client, name: str) -> str | None:
    try:
        return str(client.describe_table(TableName=name)["Table"]["TableStatus"])
    except ServiceError as error:
        if error.code != "ResourceNotFoundException":
            raise
        return None
