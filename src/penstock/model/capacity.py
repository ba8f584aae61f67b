"""Capacity units: what AWS charges for the bytes that a request touches, and how the reply shows it.

C1. Reads: half a unit per started 4 KB eventually consistent, one unit consistent, two in a transaction.
C2. Writes: one unit per started 1 KB of the larger of the old and the new item, two in a transaction.
C3. Query and Scan add up sizes first and round once per request.
C4. A write costs each index that it changes: one write for an entry added, removed or changed in place, two where the
    entry moves (the old one is deleted, the new one put).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

READ_UNIT_BYTES = 4096
WRITE_UNIT_BYTES = 1024


def read_units(size: int, consistent: bool) -> float:
    units = max(1, -(-size // READ_UNIT_BYTES))
    return float(units) if consistent else units / 2


def read_units_of(sizes: Sequence[int], consistent: bool) -> float:
    """Of items that are read each for itself (C1), without a call for each."""
    units = sum([-(-size // READ_UNIT_BYTES) or 1 for size in sizes])
    return float(units) if consistent else units / 2


def write_units(size: int) -> float:
    return float(max(1, -(-size // WRITE_UNIT_BYTES)))


class Consumed:
    """The units of one request for one table, split by table and index."""

    __slots__ = ("by_index", "global_names", "table", "table_name")

    def __init__(self, table_name: str, table: float = 0.0) -> None:
        self.table_name = table_name
        self.table = table
        self.by_index: dict[str, float] = {}
        self.global_names: set[str] = set()

    def add_index(self, name: str, units: float, is_global: bool) -> None:
        self.by_index[name] = self.by_index.get(name, 0.0) + units
        if is_global:
            self.global_names.add(name)

    def add(self, other: Consumed) -> None:
        self.table += other.table
        for name, units in other.by_index.items():
            self.add_index(name, units, name in other.global_names)

    def double(self) -> None:
        """What a transaction pays: each unit twice, to prepare and to commit."""
        self.table *= 2
        for name in self.by_index:
            self.by_index[name] *= 2

    @property
    def total(self) -> float:
        return self.table + sum(self.by_index.values())

    def to_json(self, mode: str, split: str | None = None) -> dict[str, Any]:
        """`mode` is ReturnConsumedCapacity; `split` names the units' kind where a transaction shows it."""
        reply: dict[str, Any] = {"TableName": self.table_name, "CapacityUnits": self.total}
        if split:
            reply[split] = self.total
        if mode != "INDEXES":
            return reply
        reply["Table"] = _units(self.table, split)
        local = {n: _units(u, split) for n, u in self.by_index.items() if n not in self.global_names}
        global_ = {n: _units(u, split) for n, u in self.by_index.items() if n in self.global_names}
        if local:
            reply["LocalSecondaryIndexes"] = local
        if global_:
            reply["GlobalSecondaryIndexes"] = global_
        return reply


def _units(units: float, split: str | None) -> dict[str, float]:
    return {"CapacityUnits": units, split: units} if split else {"CapacityUnits": units}
