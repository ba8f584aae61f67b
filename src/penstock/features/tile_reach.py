"""Whether the tiles of a feature set hold all that its tables held at a moment: then the rows of today need not be read (X3).

They do where their backfill is through, their consumers have handled every change made until then, and gave none up. That is
asked once for very many entities, in a few reads of positions and of the stream's end. A store has to show a change in its
stream as soon as it is acknowledged, as Penstock's does and AWS's does not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from penstock.connect.client import Client
from penstock.errors import ServiceError
from penstock.events.consumer_status import has_handled
from penstock.features.definition import Plan
from penstock.features.tile_backfill import TileBackfill
from penstock.features.tiles import consumer_name

_POLL_S = 0.1
_POLLS_MAX = 20  # A consumer is milliseconds behind, or far.


def reach(client: Client, plan: Plan, until_s: float) -> bool:
    def call(method: str, request: Mapping[str, Any]) -> dict[str, Any]:
        answer: dict[str, Any] = getattr(client, method)(**request)
        return answer

    try:
        return TileBackfill(plan, call).is_done() and all(
            has_handled(client, consumer_name(plan.name, table), table, until_s)
            for table in dict.fromkeys(source.table.name for source in plan.sources)
        )
    except ServiceError as error:
        if error.code == "ResourceNotFoundException":
            return False  # No worker ever ran here.
        raise


def soon_reach(client: Client, plan: Plan, until_s: float, sleep: Callable[[float], None]) -> bool:
    """The same, for who can wait a moment for a consumer that is about to get there."""
    for _ in range(_POLLS_MAX):
        if reach(client, plan, until_s):
            return True
        sleep(_POLL_S)
    return False
