"""Whether the tiles of a feature set hold all that its tables held at a moment: then the rows of today need not be read (X3).

They do where their backfill is through, their consumers have handled every change made until then, and gave none up. That is
asked once for very many entities, in a few reads of positions and of the stream's end. The store has to show a change in its
stream at once, as Penstock's does: AWS's may take seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from penstock.connect.client import Client
from penstock.errors import PenstockError
from penstock.events.consumer_status import has_handled
from penstock.features.definition import Plan
from penstock.features.tile_backfill import TileBackfill
from penstock.features.tiles import calling, consumer_name

TilesReach: TypeAlias = Callable[[Plan, float], bool]  # `reach` or `soon_reach`, of a client.

# A consumer is milliseconds behind, or far. The first pause is for a change that was acknowledged before its sync (durability
# `process`): the stream shows it a twentieth of a second later.
PAUSES_S = (0.25, 0.25, 0.25, 0.25)


def reach(client: Client, plan: Plan, until_s: float) -> bool:
    try:
        return TileBackfill(plan, calling(client)).is_done() and all(
            has_handled(client, consumer_name(plan.name, table), table, until_s)
            for table in dict.fromkeys(source.table.name for source in plan.sources)
        )
    except PenstockError:
        return (
            False  # No worker ever ran here, or the store does not answer: who reads rows will hear of that.
        )


def soon_reach(
    client: Client,
    plan: Plan,
    until_s: float,
    sleep: Callable[[float], None],
    pauses_s: Sequence[float] = PAUSES_S,
) -> bool:
    """The same, for who can wait a moment for a consumer that is about to get there."""
    for pause_s in pauses_s:
        sleep(pause_s)
        if reach(client, plan, until_s):
            return True
    return False
