"""A plan: everything that one request changes, decided before anything is written.

P1. A decision is a pure function of (request, what it reads through View, Context). Run twice, it gives the same plan.
P2. A plan is applied as one atomic batch: base records, index entries, change records, counters, together.
P3. The reply is part of the plan: what is answered was decided against the same state that is written.
P4. Sequence numbers and counters are added when the plan is applied; nothing else is.

An action is `run(request, context) -> Plan`, or a generator that yields `None` between slices of a long read and
returns its Plan. The database drives both the same way; see database/execute.py.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import msgspec

from penstock.model.tables import Stream, Table

Request: TypeAlias = dict[str, Any]  # The JSON edge: a request's members as they came, after its shape was checked.


class Change(msgspec.Struct):
    """A change before it has a sequence number. `body` is JSON without braces, ready to join: see engine/changes.py."""

    stream: int
    shard: int
    body: bytes


class Plan(msgspec.Struct):
    """One request's outcome. Empty lists are left at their shared defaults, so a read costs one allocation."""

    reply: bytes = b"{}"
    puts: list[tuple[bytes, bytes]] = []  # DATA family.
    deletes: list[bytes] = []
    changes: list[Change] = []
    counts: list[tuple[int, int, int]] = []  # (space, items added, bytes added), either may be negative.
    tables: list[tuple[str, Table | None]] = []  # Definitions that change; None where a table goes.
    streams: list[Stream] = []  # Streams that begin, change or end. A stream outlives its table by its retention.
    dropped: list[int] = []  # Spaces whose keys all go, in one range each.
    meta: list[tuple[bytes, bytes | None]] = []  # META family; None deletes.
    reads: list[bytes] = []  # Prefixes that the reply depends on: an unsynced write under one delays the answer.


class View(Protocol):
    """What a decision may read: one consistent state."""

    def get(self, key: bytes) -> bytes | None: ...
    def get_many(self, keys: list[bytes]) -> list[bytes | None]: ...
    def scan(self, lower: bytes, upper: bytes, reverse: bool) -> Iterator[tuple[bytes, bytes]]: ...
    def table(self, name: str) -> Table:
        """The table, or ResourceNotFoundException. `name` may be an ARN."""

    def find_table(self, name: str) -> Table | None: ...
    def table_names(self) -> list[str]:
        """All names, sorted."""

    def counts(self, space: int) -> tuple[int, int]:
        """(items, bytes) of a table or an index."""

    def next_space(self) -> int:
        """The first number that no space or stream has had. A plan takes as many as it needs from there on;
        applying it moves the counter past them."""

    def streams(self) -> list[Stream]:
        """Every stream whose records are kept, ended ones among them, in order of their ids."""

    def last_sequence(self) -> int: ...
    def get_meta(self, key: bytes) -> bytes | None: ...
    def scan_changes(self, lower: bytes, upper: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Durable changes only: what could still be lost is seen by no consumer."""


@dataclass(slots=True)
class Context:
    """What a decision is given from outside: the view, the time, fresh random UUIDs, and where we claim to be."""

    view: View
    now_us: int
    fresh_id: Callable[[], str]
    region: str = "us-east-1"
    account: str = "000000000000"


Slices: TypeAlias = Generator[None, None, Plan]
