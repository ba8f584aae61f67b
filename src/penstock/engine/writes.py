"""One item's step from old to new: base record, index entries, change record and counters, added to a plan together.

Everything that writes items ends here: the four item actions, batches, transactions, PartiQL and time to live. So the
rule that a write carries all its consequences (P2 in plans.py) has one home.
"""

from __future__ import annotations

from penstock import errors
from penstock.engine import changes
from penstock.engine.expiry import plan_expiry
from penstock.engine.indexes import plan_entries
from penstock.engine.plans import Plan
from penstock.limits import ITEM_BYTES_MAX
from penstock.model import items
from penstock.model.capacity import Consumed, write_units
from penstock.model.keys import check_index_keys, hash_in_key
from penstock.model.tables import Table
from penstock.model.values import Item, item_size, same_item


class Old:
    """The item as it stands: its record, and its attributes once somebody asks."""

    __slots__ = ("_item", "record")

    def __init__(self, record: bytes | None) -> None:
        self.record = record
        self._item: Item | None = None

    @property
    def item(self) -> Item:
        """Empty where there is none: conditions and updates read a missing item so."""
        if self._item is None:
            self._item = items.decode(self.record) if self.record is not None else {}
        return self._item

    @property
    def size(self) -> int:
        return items.size_of(self.record) if self.record is not None else 0


def write_plan() -> Plan:
    return Plan(puts=[], deletes=[], changes=[], counts=[])


def plan_put(
    plan: Plan,
    table: Table,
    key: bytes,
    old: Old,
    new: Item,
    consumed: Consumed | None,
    verb: str = "",
    size: int = 0,
) -> None:
    """The item becomes `new`, of `size` where that is known. Raises where it is too large or an index key has the wrong
    type."""
    size = size or item_size(new)
    if size > ITEM_BYTES_MAX:
        raise errors.validation(f"Item size {verb}has exceeded the maximum allowed size")
    if consumed is not None:
        consumed.table += write_units(max(size, old.size))
    record = items.encode(new, size)
    if old.record is not None and (record == old.record or same_item(new, old.item)):
        for index in table.indexes:
            check_index_keys(index, new)
        return  # Nothing changes: no index entry, no change record.
    plan.puts.append((key, record))
    plan.counts.append((table.space, int(old.record is None), size - old.size))
    _consequences(plan, table, key, old, (new, record), consumed)


def plan_delete(
    plan: Plan, table: Table, key: bytes, old: Old, consumed: Consumed | None, expired: bool = False
) -> None:
    """The item goes, if it is there. `expired` marks a deletion by time to live."""
    if consumed is not None:
        consumed.table += write_units(old.size)
    if old.record is None:
        return
    plan.deletes.append(key)
    plan.counts.append((table.space, -1, -old.size))
    _consequences(plan, table, key, old, None, consumed, expired)


def _consequences(
    plan: Plan,
    table: Table,
    key: bytes,
    old: Old,
    new: tuple[Item, bytes] | None,
    consumed: Consumed | None,
    expired: bool = False,
) -> None:
    stream = table.stream
    streams = stream is not None and stream.enabled
    before = None
    if old.record is not None and (streams or table.indexes):
        before = (old.item, old.record)
    if table.indexes:
        plan_entries(plan, table, key, before, new, consumed)
    if table.time_to_live is not None:
        plan_expiry(plan, table.time_to_live, key, old.item, new[0] if new is not None else {})
    if stream is not None and streams:
        plan.changes.append(changes.describe(stream, hash_in_key(key), before, new, expired))
