"""A table on its way through UpdateTable: as it will be, and as the reply shows it.

AWS's reply shows the work as begun: the old throughput and class with a passing status. The next request sees it
done, but for an index that has to be filled.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from penstock import errors
from penstock.engine.plans import Context, Plan
from penstock.model.tables import Index, Table, TableStatus, Throughput
from penstock.operations.dynamodb.table_descriptions import US_PER_DAY, warm_units


@dataclass(slots=True)
class Changes:
    """`table` is written, `shown` is answered; `plan` collects what else goes with them."""

    table: Table
    shown: Table
    plan: Plan
    context: Context

    def change(self, **members: Any) -> None:
        """Both as it is written and as it is shown."""
        self.table = replace(self.table, **members)
        self.shown = replace(self.shown, **members)

    def in_progress(self) -> None:
        self.shown = replace(self.shown, status=TableStatus.UPDATING)


def with_index(table: Table, name: str, change: Callable[[Index], Index]) -> Table:
    """The table with one of its global indexes changed."""
    indexes = tuple(change(index) if index.name == name else index for index in table.global_indexes)
    return replace(table, global_indexes=indexes)


def building(table: Table) -> list[str]:
    """The indexes that are not ready: while one is built, some changes have to wait."""
    return [index.name for index in table.global_indexes if index.status is not TableStatus.ACTIVE]


def in_use(detail: str) -> errors.ServiceError:
    return errors.resource_in_use(f"Attempt to change a resource which is still in use: {detail}")


def changed_throughput(old: Throughput, given: dict[str, int], now_us: int) -> Throughput:
    """The new units, with the times and the day's count that DescribeTable shows."""
    read, write = given["ReadCapacityUnits"], given["WriteCapacityUnits"]
    increased = read > old.read_units or write > old.write_units
    # From on demand (no units at all) every number is new, and none is a decrease.
    decreased = read < old.read_units or write < old.write_units
    today = old.decreases if old.decreased_us // US_PER_DAY == now_us // US_PER_DAY else 0
    return Throughput(
        read_units=read,
        write_units=write,
        increased_us=now_us if increased else old.increased_us,
        decreased_us=now_us if decreased else old.decreased_us,
        decreases=today + 1 if decreased else old.decreases,
    )


def warm_afterwards(
    asked: tuple[int, int] | None, old: Throughput, new: Throughput
) -> tuple[int, int] | None:
    """Warm throughput never shrinks: what was warm before is kept where the new throughput alone gives less."""
    before, after = warm_units(asked, old), warm_units(asked, new)
    kept = (max(before[0], after[0]), max(before[1], after[1]))
    return asked if kept == after else kept


def merged_on_demand(
    old: tuple[int, int] | None, new: tuple[int, int] | None, given: dict[str, int]
) -> tuple[int, int] | None:
    """Member by member: one that is not given stays, -1 takes the limit away."""
    before, after = old or (-1, -1), new or (-1, -1)
    read = after[0] if "MaxReadRequestUnits" in given else before[0]
    write = after[1] if "MaxWriteRequestUnits" in given else before[1]
    return None if (read, write) == (-1, -1) else (read, write)


def warmer(
    asked: tuple[int, int] | None, owner: Table | Index, given: tuple[int, int] | None, target: str
) -> tuple[int, int]:
    """Warm throughput may grow, never shrink; a member that is not given stays."""
    current = warm_units(asked, owner.throughput)
    wanted = [value if value != -1 else now for value, now in zip(given or (-1, -1), current, strict=True)]
    for member, value, now in zip(
        ("ReadUnitsPerSecond", "WriteUnitsPerSecond"), wanted, current, strict=True
    ):
        if value < now:
            raise errors.invalid_parameter(
                f"Requested {member} for WarmThroughput for {target} is lower than current WarmThroughput, "
                "decreasing WarmThroughput is not supported"
            )
    return wanted[0], wanted[1]
