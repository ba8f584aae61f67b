"""Time to live: expired items go within seconds, at a bounded rate, as deletions by the service.

T1. What is deleted is decided against the item as it stands when it is deleted: an entry whose item has got another
    time meanwhile deletes nothing.
T2. A time more than five years in the past is left alone, as on AWS.
T3. A table's time to live is ENABLING until each item that was there before has its entry (engine/expiry.py);
    nothing is deleted until then. A restart begins that walk again: an entry put twice is one entry.
T4. `_Floors` keeps, for each table, the second below which it has no entry, so that no look passes over the
    leftovers of what was deleted before. It sees every plan that is applied, so it is exact.
"""

from __future__ import annotations

import logging
import struct
from collections.abc import Collection
from dataclasses import replace
from itertools import islice

from penstock.database.database import Database
from penstock.database.sweeps import IDLE_S, Job
from penstock.engine.expiry import base_key_in_entry, entry_key, second_in_entry, second_of
from penstock.engine.plans import Plan
from penstock.engine.writes import Old, plan_delete, write_plan
from penstock.errors import StoreUnavailable
from penstock.limits import EXPIRED_PER_S_MAX, EXPIRY_PAST_S
from penstock.model import items
from penstock.model.keys import space_bounds
from penstock.model.tables import Table

log = logging.getLogger("penstock.database")

STEP_ITEMS = 16  # About 1 ms of deletions with two indexes and a stream.
STEP_RECORDS = 64
_PACK_SPACE = struct.Struct(">I").pack
_PACK_SECOND = struct.Struct(">Q").pack


class _Floors:
    """By an expiry space's prefix: no entry of it is below this second."""

    __slots__ = ("_seconds",)

    def __init__(self) -> None:
        self._seconds: dict[bytes, bytes] = {}

    def applied(self, plan: Plan) -> None:
        if not self._seconds:
            return
        for key, _ in plan.puts:
            floor = self._seconds.get(key[:4])
            if floor is not None and key[4:12] < floor:
                self._seconds[key[:4]] = key[4:12]

    def get(self, prefix: bytes) -> bytes:
        return self._seconds.get(prefix, bytes(8))

    def raise_to(self, prefix: bytes, second: bytes) -> None:
        self._seconds[prefix] = max(second, self.get(prefix))

    def keep_only(self, prefixes: Collection[bytes]) -> None:
        self._seconds = {prefix: second for prefix, second in self._seconds.items() if prefix in prefixes}


def expire(database: Database, delay_s: int = 0) -> Job:
    """Forever: fill what was enabled, delete what has expired `delay_s` ago."""
    floors = _Floors()
    database.on_applied.append(floors.applied)
    while True:
        prefixes = set()
        for name in list(database.view.table_names()):
            table = database.view.find_table(name)
            if table is None or table.time_to_live is None:
                continue
            prefixes.add(_PACK_SPACE(table.time_to_live.space))
            try:
                if table.time_to_live.status == "ENABLING":
                    yield from _fill(database, table)
                yield from _sweep(database, name, floors, delay_s)
            except StoreUnavailable as error:
                # Nothing was deleted; the next look tries again.
                log.warning("expired items of table %s could not be deleted: %s", name, error)
        floors.keep_only(prefixes)
        yield IDLE_S


def _fill(database: Database, table: Table) -> Job:
    """Entries for the items that were there before; then the table's time to live is ENABLED."""
    lower, upper = space_bounds(table.space)
    while True:
        current = database.view.find_table(table.name)
        if current is None or current.time_to_live != table.time_to_live or current.id != table.id:
            return  # The table went, or its time to live was disabled meanwhile.
        time_to_live = current.time_to_live
        assert time_to_live is not None
        page = list(islice(database.view.scan(lower, upper, False), STEP_RECORDS))
        database.context()
        if not page:
            enabled = replace(current, time_to_live=replace(time_to_live, status="ENABLED"))
            database.apply(Plan(tables=[(current.name, enabled)]))
            return
        plan = Plan(puts=[])
        for key, record in page:
            second = second_of(time_to_live, items.decode(record))
            if second is not None:
                plan.puts.append((entry_key(time_to_live, second, key), b""))
        database.apply(plan)
        lower = page[-1][0] + b"\0"
        yield 0.0


def _sweep(database: Database, name: str, floors: _Floors, delay_s: int) -> Job:
    """Delete what has expired by now, less the delay, a step at a time."""
    while True:
        table = database.view.find_table(name)
        if table is None or table.time_to_live is None or table.time_to_live.status != "ENABLED":
            return
        now_s = database.context().now_us // 1_000_000 - delay_s
        prefix, now = _PACK_SPACE(table.time_to_live.space), _PACK_SECOND(now_s)
        oldest = _PACK_SECOND(max(0, now_s - EXPIRY_PAST_S))
        low = max(floors.get(prefix), oldest)
        found = islice(database.view.scan(prefix + low, prefix + now, False), STEP_ITEMS) if low < now else ()
        entries = [entry for entry, _ in found]
        if entries:
            database.apply(_deletions(database, table, entries))
        if len(entries) < STEP_ITEMS:
            floors.raise_to(prefix, now)
            return
        yield STEP_ITEMS / EXPIRED_PER_S_MAX


def _deletions(database: Database, table: Table, entries: list[bytes]) -> Plan:
    time_to_live = table.time_to_live
    assert time_to_live is not None
    plan = write_plan()
    for entry in entries:
        key = base_key_in_entry(table, entry)
        old = Old(database.view.get(key))
        if old.record is not None and second_of(time_to_live, old.item) == second_in_entry(entry):
            plan_delete(plan, table, key, old, None, expired=True)
        else:
            plan.deletes.append(entry)
    return plan
