"""Backfill: a new global index is filled from the items that were there before it, while writes go on.

B1. From the moment that the index is in the catalogue every write keeps its own entry (engine/indexes.py).
B2. The backfill walks the base table once and puts the entries that are missing; an entry that is there is current.
B3. An item whose attribute is not fit for the key (another type, empty, too long) gets no entry, as on AWS.
B4. While it is filled (`Index.backfilling`) nobody counts its entries, because a write cannot tell whether the entry
    that it moves is there already. Then writes count, and the entries of that moment's snapshot are counted and added
    when the index becomes ACTIVE.
B5. A restart begins the walk, or the count, again: by B2 and B4 that costs time, never correctness.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from itertools import islice

from penstock.database.database import Database
from penstock.database.sweeps import IDLE_S, Job
from penstock.engine.indexes import entry_record
from penstock.engine.plans import Plan
from penstock.errors import StoreUnavailable
from penstock.model import items
from penstock.model.keys import base_suffix, index_key, space_bounds
from penstock.model.tables import Index, Table, TableStatus

log = logging.getLogger("penstock.database")

STEP_RECORDS = 64


def backfill(database: Database) -> Job:
    """Forever: find an index that waits to be filled, fill it, count it, make it active."""
    while True:
        found = _waiting(database)
        if found is None:
            yield IDLE_S
            continue
        table, index = found
        try:
            if index.backfilling:
                yield from _fill(database, table, index)
            yield from _count(database, table, index)
        except StoreUnavailable as error:
            log.warning("index %s of table %s could not be filled: %s", index.name, table.name, error)
            yield IDLE_S  # Then from the start: B5.


def _waiting(database: Database) -> tuple[Table, Index] | None:
    for name in database.view.table_names():
        table = database.view.table(name)
        for index in table.global_indexes:
            if index.status is TableStatus.CREATING:
                return table, index
    return None


def _still(database: Database, table: Table, index: Index) -> tuple[Table, Index] | None:
    """Both as they are now, or None where the table or the index went meanwhile. A space's number is never reused."""
    current = database.view.find_table(table.name)
    found = current.index(index.name) if current is not None else None
    if current is None or found is None or found.space != index.space:
        return None
    return current, found


def _fill(database: Database, table: Table, index: Index) -> Job:
    lower, upper = space_bounds(table.space)
    while (still := _still(database, table, index)) is not None:
        page = list(islice(database.view.scan(lower, upper, False), STEP_RECORDS))
        database.context()
        if not page:
            database.apply(_changed(*still, lambda filled: replace(filled, backfilling=False)))
            return
        database.apply(_entries(database, *still, [record for _, record in page]))
        lower = page[-1][0] + b"\0"
        yield 0.0


def _entries(database: Database, table: Table, index: Index, records: list[bytes]) -> Plan:
    plan = Plan(puts=[])
    for record in records:
        item = items.decode(record)
        key = index_key(index, item, base_suffix(table.keys, item))
        if key is not None and database.view.get(key) is None:
            plan.puts.append((key, entry_record(index, item, record)))
    return plan


def _count(database: Database, table: Table, index: Index) -> Job:
    """From here on writes count what they change; what is there now is counted from one snapshot."""
    still = _still(database, table, index)
    if still is None:
        return
    entries = database.view.scan(*space_bounds(index.space), False)
    counted, size = database.view.counts(index.space)
    # After a restart: what writes counted since a count that was never finished.
    reset = _changed(*still, lambda filled: filled)
    reset.counts = [(index.space, -counted, -size)]
    database.context()
    database.apply(reset)
    counted = size = 0
    while page := list(islice(entries, STEP_RECORDS)):
        counted += len(page)
        size += sum(items.size_of(entry) for _, entry in page)
        yield 0.0
    still = _still(database, table, index)
    if still is None:
        return
    plan = _changed(*still, lambda filled: replace(filled, status=TableStatus.ACTIVE))
    plan.counts = [(index.space, counted, size)]
    database.context()
    database.apply(plan)


def _changed(table: Table, index: Index, change: Callable[[Index], Index]) -> Plan:
    """The table with the index changed, and ACTIVE again once none of its indexes is on its way."""
    indexes = tuple(change(other) if other.name == index.name else other for other in table.global_indexes)
    waiting = any(other.status is not TableStatus.ACTIVE for other in indexes)
    status = table.status if waiting else TableStatus.ACTIVE
    return Plan(tables=[(table.name, replace(table, global_indexes=indexes, status=status))])
