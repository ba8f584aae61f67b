"""A view with a plan's writes on top: how one request decides several steps that see each other.

O1. `get` and `get_many` answer from the writes first. Nothing else is covered: steps on single items ask for
    no more.
O2. `plan()` has each key once, as the last step left it, and every change record and count in the order of the steps.
"""

from __future__ import annotations

from collections.abc import Iterator

from penstock.engine.plans import Change, Plan, View
from penstock.model.tables import Stream, Table


class Overlay:
    def __init__(self, view: View) -> None:
        self._view = view
        self._written: dict[bytes, bytes | None] = {}
        self._changes: list[Change] = []
        self._counts: list[tuple[int, int, int]] = []
        self._meta: list[tuple[bytes, bytes | None]] = []
        self._reads: list[bytes] = []

    def apply(self, plan: Plan) -> None:
        for key in plan.deletes:
            self._written[key] = None
        self._written.update(plan.puts)
        self._changes += plan.changes
        self._counts += plan.counts
        self._meta += plan.meta
        self._reads += plan.reads

    def plan(self) -> Plan:
        return Plan(
            puts=[(key, record) for key, record in self._written.items() if record is not None],
            deletes=[key for key, record in self._written.items() if record is None],
            changes=self._changes,
            counts=self._counts,
            meta=self._meta,
            reads=self._reads,
        )

    def get(self, key: bytes) -> bytes | None:
        return self._written[key] if key in self._written else self._view.get(key)

    def get_many(self, keys: list[bytes]) -> list[bytes | None]:
        found = self._view.get_many(keys)
        return [self._written.get(key, own) for key, own in zip(keys, found, strict=True)]

    def scan(self, lower: bytes, upper: bytes, reverse: bool) -> Iterator[tuple[bytes, bytes]]:
        return self._view.scan(lower, upper, reverse)

    def page(
        self, lower: bytes, upper: bytes, reverse: bool, count_max: int, bytes_max: int
    ) -> tuple[list[bytes], bool]:
        return self._view.page(lower, upper, reverse, count_max, bytes_max)

    def table(self, name: str) -> Table:
        return self._view.table(name)

    def find_table(self, name: str) -> Table | None:
        return self._view.find_table(name)

    def table_names(self) -> list[str]:
        return self._view.table_names()

    def counts(self, space: int) -> tuple[int, int]:
        return self._view.counts(space)

    def next_space(self) -> int:
        return self._view.next_space()

    def streams(self) -> list[Stream]:
        return self._view.streams()

    def stream(self, id_: int) -> Stream | None:
        return self._view.stream(id_)

    def last_sequence(self) -> int:
        return self._view.last_sequence()

    def durable_sequence(self) -> int:
        return self._view.durable_sequence()

    def get_meta(self, key: bytes) -> bytes | None:
        return self._view.get_meta(key)

    def scan_changes(self, stream: int, shard: int, first: int) -> Iterator[tuple[bytes, bytes]]:
        return self._view.scan_changes(stream, shard, first)
