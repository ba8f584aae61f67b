"""BatchWriteItem until everything is written: in groups of 25, what comes back unprocessed sent again with growing pauses."""

from __future__ import annotations

import random as randomness
import time
from collections.abc import Callable, Sequence
from typing import Any

from penstock.connect.client import Client
from penstock.errors import ServiceError
from penstock.events.retries import STORE, Randomness
from penstock.limits import BATCH_WRITE_ITEMS_MAX

ATTEMPTS_MAX = 12

Write = dict[str, Any]  # {"PutRequest": …} or {"DeleteRequest": …}


def write_all(
    client: Client,
    table: str,
    writes: Sequence[Write],
    *,
    sleep: Callable[[float], None] = time.sleep,
    random: Randomness | None = None,
) -> None:
    """Every write is durable when this returns. Raises ServiceError where the table takes no more for long."""
    for start in range(0, len(writes), BATCH_WRITE_ITEMS_MAX):
        _write_group(client, table, list(writes[start : start + BATCH_WRITE_ITEMS_MAX]), sleep, random)


def _write_group(
    client: Client,
    table: str,
    group: list[Write],
    sleep: Callable[[float], None],
    random: Randomness | None,
) -> None:
    random = random or randomness.Random()
    for attempt in range(ATTEMPTS_MAX):
        answer = client.batch_write_item(RequestItems={table: group})
        group = answer.get("UnprocessedItems", {}).get(table, [])
        if not group:
            return
        sleep(STORE.pause_s(attempt, random))
    raise ServiceError(
        "ProvisionedThroughputExceededException", f"{len(group)} writes to {table} were not taken"
    )
