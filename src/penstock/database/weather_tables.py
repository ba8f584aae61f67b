"""Slow tables: a table that the engine has ready at once is seen to be made, changed or deleted for a while.

    CREATING    item actions do not find the table; DescribeTable shows it
    UPDATING    items are served; a new index cannot be queried and is shown CREATING, one that went is shown DELETING
    DELETING    item actions do not find the table; DescribeTable and ListTables still show it
    ENABLING    DescribeTimeToLive shows it

T1. Only what is seen is slow: what is written is the engine's own, so a restart ends every transition.
T2. A transition ends after a few looks (a look is an answer that told of it) or after `Weather.slow_s`, so that a
    waiter that sleeps for long between two looks finds the table ready at the second.
T3. What AWS refuses while a table is on its way is refused: UpdateTable, DeleteTable and UpdateTimeToLive, and
    CreateTable under the name of a table that is still being deleted.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from penstock import errors
from penstock.database.weather import Draws, Weather
from penstock.engine.plans import View
from penstock.model.tables import Index, Table, TableStatus
from penstock.operations.dynamodb.arns import table_name
from penstock.operations.dynamodb.table_changes import in_use

_US_PER_S = 1_000_000
_WORDS = {
    TableStatus.CREATING: "created",
    TableStatus.UPDATING: "updated",
    TableStatus.DELETING: "deleted",
}


@dataclass(slots=True)
class Transition:
    """What is still seen of a table, until it has been looked at often enough or the time is over."""

    status: TableStatus
    looks: int
    until_us: int
    ghost: Table | None = None  # The table, where the engine has deleted it already.
    added: frozenset[str] = frozenset()  # Indexes that are being made,
    removed: tuple[Index, ...] = ()  # and those that are being deleted.

    def seen(self, table: Table) -> Table:
        """The table as it looks on the way."""
        indexes = tuple(
            replace(index, status=TableStatus.CREATING, backfilling=self.status is TableStatus.UPDATING)
            if self.status is TableStatus.CREATING or index.name in self.added
            else index
            for index in table.global_indexes
        )
        return replace(table, status=self.status, global_indexes=indexes + self.removed)


class Transitions:
    """The tables that are on their way, and the time-to-live settings, by table name."""

    def __init__(self, weather: Weather) -> None:
        self._weather = weather
        self._tables: dict[str, Transition] = {}
        self._enabling: dict[str, Transition] = {}

    def began(
        self, action: str, before: Table | None, after: Table | None, draws: Draws, now_us: int
    ) -> None:
        """An action changed a table: from `before` to `after`, either None where there is none."""
        if not draws.strikes("slow_tables"):
            return
        looks = draws.whole("looks", 1, max(1, self._weather.slow_looks))
        until_us = now_us + int(self._weather.slow_s * _US_PER_S)
        if action == "UpdateTimeToLive":
            if after is not None and after.time_to_live is not None:
                self._enabling[after.name] = Transition(TableStatus.UPDATING, looks, until_us)
        elif after is None:
            assert before is not None
            self._tables[before.name] = Transition(TableStatus.DELETING, looks, until_us, ghost=before)
        elif before is None:
            self._tables[after.name] = Transition(TableStatus.CREATING, looks, until_us)
        else:
            old = {index.name: index for index in before.global_indexes}
            new = {index.name for index in after.global_indexes}
            self._tables[after.name] = Transition(
                TableStatus.UPDATING,
                looks,
                until_us,
                added=frozenset(new - old.keys()),
                removed=tuple(
                    replace(index, status=TableStatus.DELETING)
                    for name, index in old.items()
                    if name not in new
                ),
            )

    def of(self, name: str, now_us: int) -> Transition | None:
        return _still(self._tables, name, now_us)

    def ghosts(self, now_us: int) -> list[str]:
        """Names of tables that are deleted and still seen."""
        names = [name for name, transition in self._tables.items() if transition.ghost is not None]
        return [name for name in names if self.of(name, now_us) is not None]

    def enabling(self, name: str, now_us: int) -> Transition | None:
        return _still(self._enabling, name, now_us)

    def refuse_change(self, name: str, now_us: int) -> None:
        """See T3."""
        transition = self.of(name, now_us)
        if transition is not None:
            transition.looks -= 1
            raise in_use(f"Table is being {_WORDS[transition.status]}: {name}")


def _still(held: dict[str, Transition], name: str, now_us: int) -> Transition | None:
    transition = held.get(name)
    if transition is not None and (transition.looks <= 0 or now_us >= transition.until_us):
        del held[name]
        return None
    return transition


class ItemsView:
    """A view for actions on items: it does not find a table that is being made, nor read an index that is."""

    def __init__(self, view: View, transitions: Transitions, now_us: int, *, reads: bool) -> None:
        self._view, self._transitions, self._now_us, self._reads = view, transitions, now_us, reads

    def __getattr__(self, name: str) -> Any:
        return getattr(self._view, name)

    def table(self, name: str) -> Table:
        table = self.find_table(name)
        if table is None:
            raise errors.table_not_found()
        return table

    def find_table(self, name: str) -> Table | None:
        table = self._view.find_table(name)
        transition = self._transitions.of(table.name, self._now_us) if table is not None else None
        if table is None or transition is None:
            return table
        if transition.status is TableStatus.CREATING:
            transition.looks -= 1
            return None
        # A write needs the table as the engine has it; see T1.
        return transition.seen(table) if self._reads and transition.added else table


class ChangesView:
    """A view for actions that change tables: it finds a table that is being deleted too, so that the change is refused
    with the reason (T3)."""

    def __init__(self, view: View, transitions: Transitions, now_us: int) -> None:
        self._view, self._transitions, self._now_us = view, transitions, now_us

    def __getattr__(self, name: str) -> Any:
        return getattr(self._view, name)

    def find_table(self, name: str) -> Table | None:
        table = self._view.find_table(name)
        if table is None:
            transition = self._transitions.of(table_name(name), self._now_us)
            table = transition.ghost if transition is not None else None
        return table


class TablesView:
    """A view for DescribeTable, ListTables and DescribeTimeToLive: it shows what is on its way."""

    def __init__(self, view: View, transitions: Transitions, now_us: int, *, of_time_to_live: bool) -> None:
        self._view, self._transitions, self._now_us = view, transitions, now_us
        self._of_time_to_live = of_time_to_live

    def __getattr__(self, name: str) -> Any:
        return getattr(self._view, name)

    def find_table(self, name: str) -> Table | None:
        name = table_name(name)
        table = self._view.find_table(name)
        if self._of_time_to_live:
            enabling = self._transitions.enabling(name, self._now_us)
            if table is None or table.time_to_live is None or enabling is None:
                return table
            enabling.looks -= 1
            return replace(table, time_to_live=replace(table.time_to_live, status="ENABLING"))
        transition = self._transitions.of(name, self._now_us)
        if transition is None:
            return table
        transition.looks -= 1
        if table is None:
            table = transition.ghost
        return transition.seen(table) if table is not None else None

    def table_names(self) -> list[str]:
        return sorted({*self._view.table_names(), *self._transitions.ghosts(self._now_us)})
