"""What a table is: its keys, its indexes and its settings, as values that never change in place.

A *space* is one ordered run of keys in the store: the base table and each index have one, numbered from a counter
that never goes back, so a table deleted and made again shares no key with its past.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

from penstock.limits import STREAM_RETENTION_S


class TableStatus(StrEnum):
    CREATING = "CREATING"
    ACTIVE = "ACTIVE"
    UPDATING = "UPDATING"
    DELETING = "DELETING"


class Projected(StrEnum):
    ALL = "ALL"
    KEYS_ONLY = "KEYS_ONLY"
    INCLUDE = "INCLUDE"


@dataclass(frozen=True)
class KeyAttribute:
    name: str
    type: str  # "S", "N" or "B"


@dataclass(frozen=True)
class KeySchema:
    """Composite since 2025: a global index may have up to four attributes in each part; a table has one."""

    partition: tuple[KeyAttribute, ...]
    sort: tuple[KeyAttribute, ...] = ()

    @cached_property
    def attributes(self) -> tuple[KeyAttribute, ...]:
        return self.partition + self.sort

    @cached_property
    def names(self) -> tuple[str, ...]:
        return tuple(attribute.name for attribute in self.attributes)


@dataclass(frozen=True)
class Throughput:
    """Provisioned units, and what DescribeTable tells of their last changes."""

    read_units: int = 0
    write_units: int = 0
    increased_us: int = 0
    decreased_us: int = 0
    decreases: int = 0  # On the day (UTC) of `decreased_us`.


@dataclass(frozen=True)
class Index:
    name: str
    space: int
    keys: KeySchema
    projected: Projected
    included: tuple[str, ...] = ()  # Non-key attributes of INCLUDE, in the order given.
    holds: frozenset[str] | None = (
        None  # Every attribute of an entry, the table's keys among them; None: all.
    )
    is_global: bool = False
    status: TableStatus = TableStatus.ACTIVE
    backfilling: bool = False
    throughput: Throughput = Throughput()
    on_demand: tuple[int, int] | None = (
        None  # (MaxReadRequestUnits, MaxWriteRequestUnits), -1 where not given.
    )
    warm: tuple[int, int] | None = None  # (ReadUnitsPerSecond, WriteUnitsPerSecond) where asked for.


@dataclass(frozen=True)
class Shard:
    """A range of partition-key hashes of a stream, low <= hash < high, from its first sequence number to its last."""

    number: int
    low: int
    high: int
    parent: int | None = None
    opened: int = 0
    closed: int | None = None


@dataclass(frozen=True)
class Stream:
    """A change stream of a table. Its label is its birth time; a table may have had others before."""

    id: int
    label: str
    view: str  # KEYS_ONLY | NEW_IMAGE | OLD_IMAGE | NEW_AND_OLD_IMAGES
    shards: tuple[Shard, ...]
    created_us: int
    table_name: str
    keys: KeySchema
    enabled: bool = True
    disabled_us: int = 0
    retention_s: int = STREAM_RETENTION_S


@dataclass(frozen=True)
class TimeToLive:
    """The attribute that says when an item expires, and the space of the entries in order of that time."""

    attribute: str
    space: int
    status: str = "ENABLED"  # ENABLING until every item that was there before has its entry, then ENABLED


@dataclass(frozen=True)
class Table:
    name: str
    id: str  # The UUID that DescribeTable shows.
    space: int
    keys: KeySchema
    created_us: int
    status: TableStatus = TableStatus.ACTIVE
    attribute_types: tuple[KeyAttribute, ...] = ()  # AttributeDefinitions, in the order given.
    local_indexes: tuple[Index, ...] = ()
    global_indexes: tuple[Index, ...] = ()
    billing_mode: str = "PROVISIONED"
    throughput: Throughput = Throughput()
    on_demand: tuple[int, int] | None = None
    warm: tuple[int, int] | None = None
    stream: Stream | None = None
    time_to_live: TimeToLive | None = None
    tags: tuple[tuple[str, str], ...] = ()
    deletion_protection: bool = False
    table_class: str = ""  # Where it was never set, which means STANDARD, DescribeTable does not tell it.
    table_class_changed_us: int = 0
    encryption: tuple[tuple[str, str], ...] = ()
    billing_changed_us: int = 0
    stream_shards: int = 1  # Penstock's own settings: how many shards the next stream opens with,
    stream_retention_s: int = STREAM_RETENTION_S  # and how long its records are kept.

    @cached_property
    def indexes(self) -> tuple[Index, ...]:
        return self.local_indexes + self.global_indexes

    @property
    def spaces(self) -> tuple[int, ...]:
        """Every run of keys that goes when the table goes."""
        expiry = (self.time_to_live.space,) if self.time_to_live is not None else ()
        return (self.space, *(index.space for index in self.indexes), *expiry)

    def index(self, name: str) -> Index | None:
        return next((index for index in self.indexes if index.name == name), None)
