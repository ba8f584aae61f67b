"""`penstock check`: read everything in a data directory and compare it with everything else that follows from it.

    every item        its record decodes, its size is what AWS counts, its key is the key of its attributes
    every index       each item that belongs has its entry with the right bytes, and nothing else is there
    every expiry      each item with a time to live has its entry in that order, and nothing else is there
    every counter     items and bytes of each table and index, against what was counted on the way
    every change      belongs to a shard that is known and covers its key and its sequence number, parses, was given
                      its number, and is not from before what retention took
    every stream      stands in the catalogue as it stands in its table
    every space       belongs to a table or index: nothing is left of what was deleted, no counter either
    every number      that the next table or stream would get is free

It only reads. A finding says where and what; `check` raises nothing but what the store raises when it cannot go on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import orjson

from penstock.database.catalog import COUNTS, Catalog
from penstock.engine.changes import sequence_in_key, trim_key
from penstock.engine.expiry import base_key_in_entry, entry_key, second_in_entry, second_of
from penstock.engine.indexes import entry_record
from penstock.engine.shards import find
from penstock.errors import Corruption
from penstock.model import items
from penstock.model.keys import (
    after,
    base_key,
    base_suffix,
    encode_partition,
    hash_of,
    index_key,
    space_bounds,
)
from penstock.model.tables import Index, Shard, Stream, Table, TableStatus
from penstock.model.values import Item, item_size
from penstock.store.interface import Family, Store

FINDINGS_MAX = 1000  # Enough to see the pattern; a torn index would otherwise fill the screen.
PROGRESS_EVERY = 10_000


@dataclass
class Report:
    """What was read and what is wrong with it."""

    tables: int = 0
    items: int = 0
    entries: int = 0
    changes: int = 0
    findings: list[str] = field(default_factory=list)
    left_out: int = 0

    def add(self, finding: str) -> None:
        if len(self.findings) < FINDINGS_MAX:
            self.findings.append(finding)
        else:
            self.left_out += 1

    @property
    def sound(self) -> bool:
        return not self.findings

    @property
    def read(self) -> int:
        return self.items + self.entries + self.changes


def check(store: Store, progress: Callable[[Report], None] = lambda report: None) -> Report:
    """Read and compare everything. `progress` is called every few thousand records."""
    report = Report()
    catalog = Catalog(store)
    checker = _Checker(store, catalog, report, progress)
    for name in catalog.names:
        report.tables += 1
        checker.table(catalog.tables[name])
    checker.changes()
    checker.streams()
    checker.orphans()
    checker.numbers()
    progress(report)
    return report


class _Checker:
    def __init__(
        self, store: Store, catalog: Catalog, report: Report, progress: Callable[[Report], None]
    ) -> None:
        self._store, self._catalog, self._report, self._progress = store, catalog, report, progress

    def _scan(self, family: Family, lower: bytes, upper: bytes) -> Iterator[tuple[bytes, bytes]]:
        for count, pair in enumerate(self._store.scan(family, lower, upper)):
            if count % PROGRESS_EVERY == 0:
                self._progress(self._report)
            yield pair

    def table(self, table: Table) -> None:
        counted = {space: [0, 0] for space in (table.space, *(index.space for index in table.indexes))}
        for key, record in self._scan(Family.DATA, *space_bounds(table.space)):
            self._report.items += 1
            item = self._item(f"table {table.name}, key {key.hex()}", record)
            if item is None:
                continue
            counted[table.space][0] += 1
            counted[table.space][1] += items.size_of(record)
            try:
                misplaced = base_key(table, item) != key
            except (KeyError, ValueError):
                misplaced = True
            if misplaced:
                self._report.add(
                    f"table {table.name}: the item under key {key.hex()} has other key attributes"
                )
                continue
            for index in table.indexes:
                self._entry(table, index, item, record)
            self._expiry(table, key, item)
        for index in table.indexes:
            self._index(table, index, counted[index.space])
            if index.status is TableStatus.CREATING:
                del counted[index.space]  # Its entries are counted when it becomes ACTIVE.
        self._expiries(table)
        for space, (count, size) in counted.items():
            held = self._catalog.counts.get(space, (0, 0))
            if held != (count, size):
                self._report.add(
                    f"table {table.name}, space {space}: counters say {held[0]} items and {held[1]} bytes, "
                    f"there are {count} and {size}"
                )

    def _item(self, where: str, record: bytes) -> Item | None:
        try:
            item = items.decode(record)
            size = item_size(item)
        except (Corruption, LookupError, ValueError, TypeError, AttributeError) as error:
            self._report.add(f"{where}: the record cannot be read: {error}")
            return None
        if size != items.size_of(record):
            self._report.add(f"{where}: the record says {items.size_of(record)} bytes, the item has {size}")
        return item

    def _entry(self, table: Table, index: Index, item: Item, record: bytes) -> None:
        """The entry that an item should have in an index is there, byte for byte."""
        key = _entry_key(table, index, item)
        if key is None or index.backfilling:
            return
        found = self._store.get(Family.DATA, key)
        if found is None:
            self._report.add(f"index {table.name}/{index.name}: no entry for the item under {key.hex()}")
        elif found != entry_record(index, item, record):
            self._report.add(f"index {table.name}/{index.name}: the entry {key.hex()} differs from its item")

    def _index(self, table: Table, index: Index, counted: list[int]) -> None:
        """Every entry belongs to an item that is there and has this very key."""
        for key, record in self._scan(Family.DATA, *space_bounds(index.space)):
            self._report.entries += 1
            where = f"index {table.name}/{index.name}, entry {key.hex()}"
            entry = self._item(where, record)
            if entry is None:
                continue
            counted[0] += 1
            counted[1] += items.size_of(record)
            try:
                base = self._store.get(Family.DATA, base_key(table, entry))
            except (KeyError, ValueError):
                base = None
            if base is None:
                self._report.add(f"{where}: its item is not there")
            elif (item := _decoded(base)) is not None and _entry_key(table, index, item) != key:
                self._report.add(f"{where}: its item belongs under another key")

    def _expiry(self, table: Table, key: bytes, item: Item) -> None:
        time_to_live = table.time_to_live
        if time_to_live is None or time_to_live.status != "ENABLED":
            return
        second = second_of(time_to_live, item)
        if second is not None and self._store.get(Family.DATA, entry_key(time_to_live, second, key)) is None:
            self._report.add(f"table {table.name}: no expiry entry for the item under {key.hex()}")

    def _expiries(self, table: Table) -> None:
        """Every expiry entry belongs to an item that expires at its second."""
        time_to_live = table.time_to_live
        if time_to_live is None:
            return
        for entry, _ in self._scan(Family.DATA, *space_bounds(time_to_live.space)):
            self._report.entries += 1
            where = f"table {table.name}, expiry entry {entry.hex()}"
            record = self._store.get(Family.DATA, base_key_in_entry(table, entry))
            item = self._item(where, record) if record is not None else {}
            if item is not None and second_of(time_to_live, item) != second_in_entry(entry):
                self._report.add(f"{where}: no item expires at this second")

    def changes(self) -> None:
        trimmed: dict[bytes, int] = {}
        for key, value in self._scan(Family.CHANGES, b"", b"\xff" * 8):
            self._report.changes += 1
            id_, number = int.from_bytes(key[:4], "big"), int.from_bytes(key[4:8], "big")
            sequence = sequence_in_key(key)
            if sequence > self._catalog.last_sequence:
                self._report.add(f"change {key.hex()}: sequence number {sequence} was never given")
            if key[:8] not in trimmed:
                mark = self._store.get(Family.META, trim_key(id_, number))
                trimmed[key[:8]] = int.from_bytes(mark or b"", "big")
            if sequence <= trimmed[key[:8]]:
                self._report.add(f"change {key.hex()}: retention has taken it, and it is there")
            stream = self._catalog.streams.get(id_)
            if stream is None:
                self._report.add(f"change {key.hex()}: no stream has the number {id_}")
                continue
            fault = _change_fault(stream, find(stream, number), sequence, value)
            if fault is not None:
                self._report.add(f"change {key.hex()}: {fault}")

    def streams(self) -> None:
        for table in self._catalog.tables.values():
            stream = table.stream
            if stream is not None and stream.enabled and self._catalog.streams.get(stream.id) != stream:
                self._report.add(f"table {table.name}: its stream {stream.id} differs from the catalogue's")

    def orphans(self) -> None:
        """Spaces that no table and no index has. Each costs one seek, however much is in it."""
        known = {space for table in self._catalog.tables.values() for space in table.spaces}
        lower = b""
        while True:
            pair = next(self._store.scan(Family.DATA, lower, b"\xff" * 5), None)
            if pair is None:
                return
            space = int.from_bytes(pair[0][:4], "big")
            if space not in known:
                self._report.add(f"space {space} belongs to no table: key {pair[0].hex()} and what follows")
            lower = space_bounds(space)[1]

    def numbers(self) -> None:
        tables, streams = self._catalog.tables.values(), self._catalog.streams
        spaces = {space for table in tables for space in table.spaces}
        # By the table that they are written with: those of a deleted index go with that table's next write.
        for key, _ in self._scan(Family.META, COUNTS, after(COUNTS)):
            space = int.from_bytes(key[len(COUNTS) :], "big")
            if space not in spaces:
                self._report.add(f"space {space} has counters and belongs to no table")
        taken = max(spaces | streams.keys(), default=0)
        if self._catalog.next_space <= taken:
            self._report.add(f"the next number is {self._catalog.next_space}, and {taken} is taken")


def _change_fault(stream: Stream, shard: Shard | None, sequence: int, value: bytes) -> str | None:
    """What is wrong with a change, of its own or as one of this shard."""
    if shard is None:
        return f"stream {stream.id} has no such shard"
    if sequence < shard.opened or (shard.closed is not None and sequence > shard.closed):
        return f"sequence number {sequence} is not one of its shard"
    if value[:1] not in (b"I", b"M", b"R") or value[1:2] not in (b"\0", b"\1"):
        return f"cannot be read: it begins with {value[:2]!r}"
    try:
        keys = orjson.loads(b"{" + value[2:] + b"}")["Keys"]
        hash_ = hash_of(encode_partition(stream.keys.partition, keys))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        return f"cannot be read: {error}"
    return None if shard.low <= hash_ < shard.high else "its key belongs into another shard"


def _decoded(record: bytes) -> Item | None:
    """None where it cannot be read, which is told once, where the table is walked."""
    try:
        return items.decode(record)
    except (Corruption, ValueError):
        return None


def _entry_key(table: Table, index: Index, item: Item) -> bytes | None:
    """None also where an attribute has the wrong type: items older than the index may have that, and no entry."""
    for attribute in index.keys.partition + index.keys.sort:
        if attribute.name in item and attribute.type not in item[attribute.name]:
            return None
    return index_key(index, item, base_suffix(table.keys, item))
