"""Index entries: which of a table's indexes an item shows up in, under which key, with which attributes.

X1. An item has an entry exactly when it has all key attributes of the index, in values fit for a key.
X2. An entry's record holds the projected attributes in the item's own order: a Query on an index reads no base record.
X3. An entry is written only if its key or its bytes change.
"""

from __future__ import annotations

from penstock.engine.plans import Plan
from penstock.model import items
from penstock.model.capacity import Consumed, write_units
from penstock.model.keys import PREFIX_BYTES, check_index_keys, index_key
from penstock.model.tables import Index, Table
from penstock.model.values import Item


def entry_record(index: Index, item: Item, record: bytes) -> bytes:
    if index.holds is None:
        return record
    chosen, size = items.select(item, index.holds)
    return items.encode(chosen, size)


def plan_entries(
    plan: Plan,
    table: Table,
    base: bytes,
    old: tuple[Item, bytes] | None,
    new: tuple[Item, bytes] | None,
    consumed: Consumed | None,
) -> None:
    """Add to the plan what moves each index from the old item to the new one. Each is (item, its base record);
    `base` is the key of both."""
    suffix = base[PREFIX_BYTES:]
    for index in table.indexes:
        before = index_key(index, old[0], suffix) if old else None
        after = index_key(index, new[0], suffix) if new else None
        if after is None:
            if new is not None:
                check_index_keys(
                    index, new[0]
                )  # No entry: the index is sparse, or the attribute cannot be a key.
            if before is None:
                continue
        before_record = entry_record(index, *old) if old and before else b""
        after_record = entry_record(index, *new) if new and after else b""
        if before == after and before_record == after_record:
            continue
        if before is not None and before != after:
            plan.deletes.append(before)
        if after is not None:
            plan.puts.append((after, after_record))
        before_size = items.size_of(before_record) if before else 0
        after_size = items.size_of(after_record) if after else 0
        # While an index is filled it is not known whether the old entry is there yet: the backfill counts at its end.
        if not index.backfilling:
            plan.counts.append((index.space, bool(after) - bool(before), after_size - before_size))
        if consumed is not None:
            units = write_units(max(before_size, after_size))
            if before and after and before != after:
                units = write_units(before_size) + write_units(after_size)
            consumed.add_index(index.name, units, index.is_global)
