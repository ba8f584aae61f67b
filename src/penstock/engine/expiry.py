"""Expiry entries: the items of a table with time to live, in order of the second at which they expire.

    key    space (4) | second (8) | the item's base key without its space         DATA family, big-endian
    value  empty

E1. An item has an entry exactly when the attribute is a number (N) from 0 up to 2**63 - 1; a fraction is cut off.
E2. An entry comes, moves and goes in the batch that writes its item, like an index entry.
E3. So what has expired is one range of keys, and finding it costs what has expired, not what is stored.
"""

from __future__ import annotations

import struct
from decimal import Decimal

from penstock.engine.plans import Plan
from penstock.model.tables import Table, TimeToLive
from penstock.model.values import Item

SECOND_MAX = 2**63 - 1
_PACK_ENTRY = struct.Struct(">IQ").pack
_PACK_SPACE = struct.Struct(">I").pack
_SECOND = struct.Struct(">Q")


def second_of(time_to_live: TimeToLive, item: Item) -> int | None:
    """When the item expires, or None where it never does."""
    value = item.get(time_to_live.attribute)
    if value is None:
        return None
    text = value.get("N")
    if text is None:
        return None
    second = int(text) if text.isdigit() else int(Decimal(text))
    return second if 0 <= second <= SECOND_MAX and text[0] != "-" else None


def entry_key(time_to_live: TimeToLive, second: int, key: bytes) -> bytes:
    return _PACK_ENTRY(time_to_live.space, second) + key[4:]


def second_in_entry(entry: bytes) -> int:
    second: int = _SECOND.unpack_from(entry, 4)[0]
    return second


def base_key_in_entry(table: Table, entry: bytes) -> bytes:
    return _PACK_SPACE(table.space) + entry[12:]


def plan_expiry(plan: Plan, time_to_live: TimeToLive, key: bytes, old: Item, new: Item) -> None:
    """Move the entry of the item under `key` from the old item to the new one; a missing item is empty."""
    before, after = second_of(time_to_live, old), second_of(time_to_live, new)
    if before == after:
        return
    if before is not None:
        plan.deletes.append(entry_key(time_to_live, before, key))
    if after is not None:
        plan.puts.append((entry_key(time_to_live, after, key), b""))
