"""Appends: new items of Penstock's own tables, many as one batch, which `kill -9` can no longer take when this returns.

A put with `attribute_not_exists` for a caller in this process, without what a request from anywhere has to pass. The
inference log writes a row for each prediction before its answer leaves: by PutItem that was a quarter of a prediction.

Q1. An item is canonical, by its maker (V1 to V4 in model/values.py). It carries all consequences that an item has which is
    put (engine/writes.py).
Q2. An item whose key is there, or came before it in the same call, is refused as a failed condition is, and one that is too
    large, or that the table's keys or indexes do not take, as PutItem refuses it; others are written.
Q3. What was appended survives the death of this process when `append` returns. Its sync comes by G5 (group_commit.py); a
    sync that fails is told to `on_lost`, because everybody has gone on by then.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from penstock import errors
from penstock.database.database import Database
from penstock.engine.plans import Plan
from penstock.engine.writes import Old, plan_put, write_plan
from penstock.errors import PenstockError, ServiceError
from penstock.model.keys import base_key, check_index_keys, check_item_keys
from penstock.model.values import Item
from penstock.store.interface import Batch


class Appends:
    """`batch` makes one that the store writes at once."""

    def __init__(self, database: Database, batch: Callable[[], Batch]) -> None:
        self._database, self._batch = database, batch
        self.on_lost: Callable[[PenstockError], None] = lambda error: None

    def append(self, table_name: str, new: Sequence[Item]) -> list[ServiceError | None]:
        """The error of each item, or None."""
        try:
            plan, told = self._decide(table_name, new)
            if self._database.apply(plan, patient=True, batch=self._batch()):
                self._database.commit.open.waiters.append(self._synced)
        except PenstockError as error:
            return [self._database.refusal(error)] * len(new)
        return told

    def _decide(self, table_name: str, new: Sequence[Item]) -> tuple[Plan, list[ServiceError | None]]:
        context = self._database.context()
        table, get = context.view.table(table_name), context.view.get
        plan = write_plan()
        told: list[ServiceError | None] = []
        appended: set[bytes] = set()
        for item in new:
            try:
                check_item_keys(table.keys, item)
                for index in table.indexes:  # What refuses an item does so before any of it is in the plan.
                    check_index_keys(index, item)
                key = base_key(table, item)
                if key in appended or get(key) is not None:
                    raise errors.condition_failed()
                plan_put(plan, table, key, _NOTHING, item, None)
            except ServiceError as error:
                told.append(error)
                continue
            appended.add(key)
            told.append(None)
        return plan, told

    def _synced(self, error: PenstockError | None) -> None:
        if error is not None:
            self.on_lost(error)


_NOTHING = Old(None)
