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

EVERYTHING = b""  # In `Plan.reads`: the answer waits for whatever is not durable yet.

# The JSON edge: a request's members as they came, after its shape was checked.
Request: TypeAlias = dict[str, Any]


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
    # Streams that begin, change or end. A stream outlives its table by its retention.
    streams: list[Stream] = []
    dropped: list[int] = []  # Spaces whose keys all go, in one range each.
    meta: list[tuple[bytes, bytes | None]] = []  # META family; None deletes.
    # Prefixes that the reply depends on: an unsynced write under one delays the answer.
    reads: list[bytes] = []
    # Both come with `meta` that says so. CHANGES family: lower <= key < upper goes; streams that leave the catalogue.
    trimmed: tuple[tuple[bytes, bytes], ...] = ()
    ended: tuple[int, ...] = ()
    # (stream, shard): the reply is an empty page, and a caller that can wait is answered after this shard's next
    # durable change instead; see database/changefeed.py.
    awaits: tuple[int, int] | None = None


class View(Protocol):
    """What a decision may read: one consistent state."""

    def get(self, key: bytes) -> bytes | None: ...
    def get_many(self, keys: list[bytes]) -> list[bytes | None]: ...
    def scan(self, lower: bytes, upper: bytes, reverse: bool) -> Iterator[tuple[bytes, bytes]]: ...
    def page(
        self, lower: bytes, upper: bytes, reverse: bool, count_max: int, bytes_max: int
    ) -> tuple[list[bytes], bool]:
        """The first records of `scan` without their keys, and whether there are more: see store/interface.py."""

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

    def stream(self, id_: int) -> Stream | None: ...
    def last_sequence(self) -> int: ...
    def durable_sequence(self) -> int:
        """Every change up to this number is synced."""

    def get_meta(self, key: bytes) -> bytes | None: ...
    def scan_changes(self, stream: int, shard: int, first: int) -> Iterator[tuple[bytes, bytes]]:
        """A shard's changes from the sequence number `first` to `durable_sequence()`: what could still be lost is
        seen by no consumer."""


@dataclass(slots=True)
class Context:
    """What a decision is given from outside: the view, the time, fresh random UUIDs, and where we claim to be."""

    view: View
    now_us: int
    fresh_id: Callable[[], str]
    region: str = "us-east-1"
    account: str = "000000000000"


Slices: TypeAlias = Generator[None, None, Plan]
