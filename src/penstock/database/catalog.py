"""The catalogue: tables, streams, counters and the next free space, held in memory and written with each plan.

META keys
    table/NAME          a Table as JSON
    stream/ID (4)       a Stream as JSON, kept until its last record is trimmed
    counts/SPACE (4)    by a table's own space: space (4), items (8) and bytes (8) of the table and of each of its
                        indexes, signed big-endian; together, so that a write counts with one key
    next                the next free space or stream number (4)
    sequence            the last sequence number given (12)
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from typing import TypeVar

import msgspec

from penstock.errors import Corruption
from penstock.model.keys import after
from penstock.model.tables import Stream, Table
from penstock.store.interface import Batch, Family, Store

TABLE, STREAM, COUNTS, NEXT, SEQUENCE = b"table/", b"stream/", b"counts/", b"next", b"sequence"
_COUNTS = struct.Struct(">Iqq")
_U32 = struct.Struct(">I")
_T = TypeVar("_T")


class Catalog:
    """What META says of tables and streams. Changed only by `apply`, with a plan's batch."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.tables: dict[str, Table] = {}
        self.streams: dict[int, Stream] = {}
        self.counts: dict[int, tuple[int, int]] = {}
        self._tallies: dict[
            int, tuple[bytes, tuple[int, ...]]
        ] = {}  # Space -> key of its counts, all spaces under it.
        self.names: list[str] = []
        self.next_space = 1
        self.last_sequence = 0
        self.load()

    def load(self) -> None:
        """Everything from the store: when it is opened, and when a batch could not be written."""
        store = self._store
        for held in (self.tables, self.streams, self.counts, self._tallies):
            held.clear()
        for key, value in self._under(TABLE):
            self.tables[key.decode()] = _decode(value, Table)
        for key, value in self._under(STREAM):
            self.streams[_U32.unpack(key)[0]] = _decode(value, Stream)
        for _, value in self._under(COUNTS):
            for space, items, size in _COUNTS.iter_unpack(value):
                self.counts[space] = (items, size)
        for table in self.tables.values():
            self._tally(table)
        self.names = sorted(self.tables)
        self.next_space = int.from_bytes(store.get(Family.META, NEXT) or b"\1", "big")
        self.last_sequence = int.from_bytes(store.get(Family.META, SEQUENCE) or b"", "big")

    def reload(self) -> None:
        """As `load`, when batches are gone that were applied already: the numbers of their changes are not given again."""
        last_sequence = self.last_sequence
        self.load()
        self.last_sequence = max(last_sequence, self.last_sequence)

    def _under(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        for key, value in self._store.scan(Family.META, prefix, after(prefix)):
            yield key[len(prefix) :], value

    def put_table(self, batch: Batch, name: str, table: Table | None) -> None:
        if table is None:
            del self.tables[name]
            batch.delete(Family.META, TABLE + name.encode())
        else:
            self.tables[name] = table
            self._tally(table)
            batch.put(Family.META, TABLE + name.encode(), msgspec.json.encode(table))
            stream = table.stream.id if table.stream is not None else 0
            self._take(batch, max(*table.spaces, stream))
        self.names = sorted(self.tables)

    def put_stream(self, batch: Batch, stream: Stream) -> None:
        self.streams[stream.id] = stream
        batch.put(Family.META, STREAM + _U32.pack(stream.id), msgspec.json.encode(stream))
        self._take(batch, stream.id)
        # What a shard begins with was promised to its changes: none may get a smaller number if the clock steps back.
        first = max(shard.opened for shard in stream.shards)
        if first - 1 > self.last_sequence:
            self.put_sequence(batch, first - 1)

    def drop_stream(self, batch: Batch, id_: int) -> None:
        del self.streams[id_]
        batch.delete(Family.META, STREAM + _U32.pack(id_))

    def _take(self, batch: Batch, number: int) -> None:
        if number >= self.next_space:
            self.next_space = number + 1
            batch.put(Family.META, NEXT, _U32.pack(self.next_space))

    def _tally(self, table: Table) -> None:
        spaces = (table.space, *(index.space for index in table.indexes))
        for space in spaces:
            self._tallies[space] = (COUNTS + _U32.pack(table.space), spaces)

    def count(self, batch: Batch, changes: Iterable[tuple[int, int, int]]) -> None:
        """Add (space, items, bytes) to the counters, and write each table's once."""
        counts, touched = self.counts, {}
        for space, items, size in changes:
            if items or size:
                old_items, old_size = counts.get(space, (0, 0))
                counts[space] = (old_items + items, old_size + size)
                key, spaces = self._tallies[space]
                touched[key] = spaces
        for key, spaces in touched.items():
            packed = [_COUNTS.pack(space, *counts[space]) for space in spaces if space in counts]
            batch.put(Family.META, key, b"".join(packed))

    def drop_space(self, batch: Batch, space: int) -> None:
        lower, upper = _U32.pack(space), _U32.pack(space + 1)
        batch.delete_range(Family.DATA, lower, upper)
        self.counts.pop(space, None)
        key, _ = self._tallies.pop(space, (b"", ()))
        if key == COUNTS + lower:
            batch.delete(Family.META, key)

    def put_sequence(self, batch: Batch, sequence: int) -> None:
        self.last_sequence = sequence
        batch.put(Family.META, SEQUENCE, sequence.to_bytes(12, "big"))


def _decode(value: bytes, type_: type[_T]) -> _T:
    try:
        return msgspec.json.decode(value, type=type_)
    except msgspec.DecodeError as error:
        raise Corruption(f"the catalogue's {type_.__name__} record cannot be read: {error}") from error
