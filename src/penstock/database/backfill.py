"""Backfill: a new global index is filled from the items that were there before it, while writes go on.

B1. From the moment that the index is in the catalogue every write keeps its own entry (engine/indexes.py).
B2. The backfill walks the base table once and puts the entries that are missing; an entry that is there is current.
B3. An item whose attribute has the wrong type for the key gets no entry, as on AWS.
B4. A restart begins the walk again: by B2 that costs time, never correctness.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import islice

from penstock.database.database import Database
from penstock.database.sweeps import IDLE_S, Job
from penstock.engine.indexes import entry_record
from penstock.engine.plans import Plan
from penstock.model import items
from penstock.model.keys import base_suffix, index_key, space_bounds
from penstock.model.tables import Index, Table, TableStatus

STEP_RECORDS = 64


def backfill(database: Database) -> Job:
    """Forever: find an index that waits to be filled, fill it, make it active."""
    while True:
        found = _waiting(database)
        if found is None:
            yield IDLE_S
            continue
        table, index = found
        lower, upper = space_bounds(table.space)
        while True:
            page = list(islice(database.view.scan(lower, upper, False), STEP_RECORDS))
            current = database.view.find_table(table.name)
            if current is None or current.id != table.id or current.index(index.name) is None:
                break  # The table or the index went while it was filled.
            if not page:
                _activate(database, current, index.name)
                break
            database.context()
            database.apply(_entries(database, current, index, [record for _, record in page]))
            lower = page[-1][0] + b"\0"
            yield 0.0


def _waiting(database: Database) -> tuple[Table, Index] | None:
    for name in database.view.table_names():
        table = database.view.table(name)
        for index in table.global_indexes:
            if index.backfilling:
                return table, index
    return None


def _entries(database: Database, table: Table, index: Index, records: list[bytes]) -> Plan:
    plan = Plan(puts=[], counts=[])
    for record in records:
        item = items.decode(record)
        attributes = index.keys.partition + index.keys.sort
        if any(
            attribute.name in item and attribute.type not in item[attribute.name] for attribute in attributes
        ):
            continue
        key = index_key(index, item, base_suffix(table.keys, item))
        if key is None or database.view.get(key) is not None:
            continue
        entry = entry_record(index, item, record)
        plan.puts.append((key, entry))
        plan.counts.append((index.space, 1, items.size_of(entry)))
    return plan


def _activate(database: Database, table: Table, name: str) -> None:
    indexes = tuple(
        replace(index, status=TableStatus.ACTIVE, backfilling=False) if index.name == name else index
        for index in table.global_indexes
    )
    waiting = any(index.status is not TableStatus.ACTIVE for index in indexes)
    status = table.status if waiting else TableStatus.ACTIVE
    database.context()
    database.apply(Plan(tables=[(table.name, replace(table, global_indexes=indexes, status=status))]))
