"""One table's way into the lake: its stream and a first scan, into raw, then the quarantine, then current.

I1. raw commits first, with the position. The quarantine and current are made from raw and carry the same position, so
    after a crash between any two commits they go on from raw's rows, and nothing is lost or doubled.
I2. A scan is cut into chunks. A chunk is read, then the stream is read until it is past the chunk's end; items that the
    stream tells of are left out, because their change says more. So a scanned row is true at the moment that its number
    and time name, and no row of raw is dated back.
I3. Starting takes an epoch above that of all three tables and writes it into each by a commit of its own, raw first:
    whoever planned on the older snapshot is refused from then on, and stops (`Fenced`) when it finds an epoch that is
    not its own. Raw decides: of two sinks that start at once, the one with the lower epoch gets no other table, so that
    exactly one goes on.
    A sink also looks before each commit whether the metadata that it plans on still names its own epoch, because a
    reload, also one for maintenance, may have brought it to what a rival wrote.
I4. After a refusal or an unknown outcome the position says whether the commit took place. Nothing is tried twice blindly,
    and nothing more often than _TRIES times: what does not pass then ends this sink, and its follower makes another.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import orjson

from penstock.errors import Corruption, PenstockError
from penstock.lake.api import Api
from penstock.lake.current import CurrentState
from penstock.lake.iceberg.local_files import StorageRefused
from penstock.lake.iceberg.schemas import CURRENT_SCHEMA, RAW_SCHEMA, RAW_SPEC
from penstock.lake.iceberg.table import Commit, IcebergTable, Refused, Unknown
from penstock.lake.iceberg.warehouse import Warehouse
from penstock.lake.progress import (
    DECLARED,
    POSITION,
    WRITER,
    Position,
    SnapshotPlace,
    Writer,
    decode,
    decode_writer,
    encode_writer,
)
from penstock.lake.quarantine import Quarantine, Refusal
from penstock.lake.raw import RawLog
from penstock.lake.rows import REMOVE, SNAPSHOT, Change, Shaping, key_text, sequence_at
from penstock.lake.stream import StreamReader, Trimmed, scan_page
from penstock.ports import Clock

RAW, CURRENT = "raw", "current"
BATCH_ROWS = 20_000
CHUNK_ROWS = 10_000
_TRIES = 5
_log = logging.getLogger("penstock.lake")


class Fenced(PenstockError):
    """Another sink has taken this table over."""


class TableSink:
    """`open`, then `step` again and again, from one thread. After any error: make another one."""

    def __init__(
        self,
        warehouse: Warehouse,
        api: Api,
        table: str,
        clock: Clock,
        writer_id: str,
        shaping: Callable[[tuple[str, ...]], Shaping] = lambda keys: Shaping(keys),
        declared: dict[str, str] | None = None,
    ) -> None:
        self.name = table
        self._api, self._clock = api, clock
        self._warehouse = warehouse
        self._writer = Writer(0, writer_id)
        self._claims: dict[str, Writer] = {}
        self._declared = declared or {}
        self._reader = StreamReader(api, table, lambda: clock.now_us() / 1_000_000)
        self._shaping = shaping(self._reader.keys)
        self.raw = RawLog(warehouse.ensure(RAW, table, RAW_SCHEMA, RAW_SPEC))
        self.current = CurrentState(warehouse.ensure(CURRENT, table, CURRENT_SCHEMA), declared)
        self.quarantine = Quarantine(warehouse, table)
        self._since_saved_s = clock.monotonic_s()

    @property
    def position(self) -> Position:
        return self.raw.position

    # -- Starting --

    def open(self) -> None:
        """Become the writer, bring current up to raw, and take the stream up where raw ends."""
        self._claim_raw()
        for table in self._tables()[1:]:
            self._claim(table)
        # A claim may have met a rival's commits: columns and the index are those of what it was planned on.
        self.current.reload()
        self._catch_up()
        position = self.position
        if not position.stream:
            self._start_snapshot(position, "first snapshot")
            return
        try:
            self._reader.follow(position.shards, position.stream)
        except Trimmed as error:
            self._start_snapshot(position, str(error))

    def _claim_raw(self) -> None:
        """I3. The epoch is this sink's alone, because raw's commit is refused to whoever comes second."""
        for _ in range(_TRIES):
            epoch = 1 + max(decode_writer(table.properties.get(WRITER)).epoch for table in self._tables())
            claim = Writer(epoch, self._writer.id)
            told = {DECLARED: orjson.dumps(self._declared, option=orjson.OPT_SORT_KEYS).decode()}
            if self._write_claim(self.raw.table, claim, told):
                self._writer = claim
                return
        raise Refused(f"{self.raw.table.name}: other writers commit all the time")

    def _claim(self, table: IcebergTable) -> None:
        """I3, for the tables that are made from raw."""
        for _ in range(_TRIES):
            held = decode_writer(table.properties.get(WRITER))
            if held.epoch >= self._writer.epoch:
                raise Fenced(f"{table.name}: taken over by {held.id}")
            if self._write_claim(table, self._writer):
                return
        raise Refused(f"{table.name}: other writers commit all the time")

    def _write_claim(self, table: IcebergTable, claim: Writer, told: Mapping[str, str] | None = None) -> bool:
        try:
            table.commit(Commit(properties={WRITER: encode_writer(claim), **(told or {})}))
        except StorageRefused:
            table.discard()
            raise
        except (Refused, Unknown):
            table.reload()
            if decode_writer(table.properties.get(WRITER)) != claim:
                return False
        self._claims[table.name] = claim
        return True

    def _tables(self) -> list[IcebergTable]:
        made = [] if self.quarantine.table is None else [self.quarantine.table]
        return [self.raw.table, *made, self.current.table]

    def reload(self) -> None:
        """What others may have committed, or Fenced where one of them was another sink."""
        self.raw.table.reload()
        if self.quarantine.table is not None:
            self.quarantine.table.reload()
        self.current.reload()
        for table in self._tables():
            self.check_fence(table)

    def _start_snapshot(self, position: Position, why: str) -> None:
        """From here on the history is unknown until the scan has ended; the stream is followed from now."""
        # The first is how every table begins; another one means that changes were missed.
        _log.log(logging.WARNING if position.offset else logging.INFO, "%s: snapshot: %s", self.name, why)
        now_us = self._clock.now_us()
        known_until = sequence_at(position.last_us + 1) if position.offset else sequence_at(0)
        position.gaps.append((known_until, ""))
        position.stream = self._reader.arn
        position.shards = self._reader.beginning()
        position.snapshot = SnapshotPlace(sequence_at(now_us), began_us=now_us, from_offset=position.offset)
        self._reader.follow(position.shards, position.stream)
        self._pending = position

    _pending: Position | None = None  # A snapshot that is begun and not committed yet.

    # -- Going on --

    def step(self, wait_ms: int = 0) -> int:
        """One batch or one chunk of a scan; how many rows of raw it made."""
        position = self._pending or self.position.copy()
        try:
            if position.snapshot is not None and not position.snapshot.done:
                return self._scan_chunk(position)
            batch = self._reader.read(BATCH_ROWS, wait_ms)
        except Trimmed as error:
            self._start_snapshot(self.position.copy(), str(error))
            return 0
        position.shards.update(batch.places)
        if batch.changes or self._places_are_old():
            self._land(batch.changes, position)
        return len(batch.changes)

    def _places_are_old(self) -> bool:
        """A shard without changes has only a time for its place, which must not get as old as the stream's memory."""
        return self._clock.monotonic_s() - self._since_saved_s > 3600

    def _scan_chunk(self, position: Position) -> int:
        """I2."""
        place = position.snapshot
        assert place is not None
        if place.scanned:
            # The last sink ended between the last chunk and the end: nothing is scanned twice.
            self._end_scan()
            return 0
        behind = self._reader.read(BATCH_ROWS, 0)
        position.shards.update(behind.places)
        if not behind.caught_up:
            # A backlog of a scan that was interrupted for long: batch by batch, not all of it in memory.
            self._land(behind.changes, position)
            return len(behind.changes)
        chunk_us = self._clock.now_us()
        items: list[dict[str, Any]] = []
        start_key = place.start_key
        while len(items) < CHUNK_ROWS:
            page, start_key = scan_page(self._api, self.name, start_key)
            items += page
            if start_key is None:
                break
        changes = behind.changes
        while True:
            batch = self._reader.read(BATCH_ROWS, 0)
            changes += batch.changes
            position.shards.update(batch.places)
            if batch.caught_up:
                break
        told = {change.key for change in changes}
        # Before any change of that microsecond: whatever comes later has a higher number.
        label = sequence_at(chunk_us, -1)
        scanned = self._scanned(items, label, chunk_us, told)
        # An item that changed while the chunk was read is known from that change on.
        place.known_from = max([label, *(change.sequence for change in changes)])
        place.start_key, place.scanned = start_key, start_key is None
        place.rows += len(scanned)
        rows = scanned + changes
        self._land(rows, position)
        if place.scanned:
            self._end_scan()
        return len(rows)

    def _scanned(self, items: list[dict[str, Any]], label: str, us: int, told: set[str]) -> list[Change]:
        keyed = [(key_text(self._reader.keys, item), item) for item in items]
        return [
            Change(label, "", SNAPSHOT, us, us, key, item, None) for key, item in keyed if key not in told
        ]

    def _end_scan(self) -> None:
        """Items that were here before a gap and are not in the table any more are removed; then the scan is done."""
        position = self.position.copy()
        place = position.snapshot
        assert place is not None
        now_us = self._clock.now_us()
        gone: list[Change] = []
        if place.from_offset:
            seen = {
                change.key for part in self.raw.read(place.from_offset, position.offset) for change in part
            }
            gone = [
                Change(sequence_at(now_us), "", REMOVE, now_us, now_us, key, None, None)
                for key in self.current.live_keys()
                if key not in seen
            ]
        place.done = True
        # The stream was followed all the while: with the last chunk everything is known, but for what is gone.
        known_from = sequence_at(now_us) if place.from_offset else place.known_from
        position.gaps = [(begin, end or known_from or sequence_at(now_us)) for begin, end in position.gaps]
        self._land(gone, position)
        _log.info("%s: snapshot done, %d items", self.name, place.rows)

    # -- Landing --

    def _land(self, changes: Sequence[Change], position: Position) -> None:
        """I1. `position` is where the stream is after these changes; its offset is set here."""
        shaped = [self._shaping.apply(change) for change in changes]
        first = position.offset
        position.offset = first + len(shaped)
        if shaped:
            position.last_us = max(position.last_us, max(change.commit_us for change in shaped))
        self._commit(
            self.raw.table,
            first,
            position.offset,
            lambda: self.raw.append(shaped, position),
            self.raw.table.reload,
        )
        self._pending = None
        self._since_saved_s = self._clock.monotonic_s()
        self._derive(shaped, first, position)

    def _derive(self, changes: Sequence[Change], first: int, position: Position) -> None:
        """Quarantine and current from rows of raw that begin at this ordinal."""
        refused: list[Refusal] = []
        accepted: list[Change] = []
        for ordinal, change in enumerate(changes, first):
            reason = self.current.refusal(change)
            if reason is None:
                accepted.append(change)
            else:
                refused.append((ordinal, change, reason))
        if refused:
            self._quarantine(refused, position.offset)
        self._commit(
            self.current.table,
            first,
            position.offset,
            lambda: self.current.apply(accepted, position),
            self.current.reload,
        )

    def _quarantine(self, refused: list[Refusal], offset: int) -> None:
        """Those that are not there yet; under a claim, so that no other sink adds them too (I3)."""
        made = self.quarantine.table is None
        table = self.quarantine.make()
        if made:
            self._claim(table)
        held = self.quarantine.offset
        new = [entry for entry in refused if entry[0] >= held]
        if not new:
            return
        _log.warning("%s: %d changes quarantined: %s", self.name, len(new), new[0][2])
        self._commit(table, held, offset, lambda: self.quarantine.add(new, offset), table.reload)

    def _catch_up(self) -> None:
        """Bring current to where raw is, from raw's own rows."""
        target, held = self.raw.position, self.current.position
        if held.offset > target.offset:
            raise Corruption(
                f"current.{self.name} is ahead of raw.{self.name}: {held.offset} > {target.offset}"
            )
        if held == target:
            return
        for changes in self.raw.read(held.offset, target.offset):
            position = target.copy()
            position.offset = held.offset + len(changes)
            self._derive(changes, held.offset, position)
            held = position
        if self.current.position != target:
            self.current.apply((), target)

    def rebuild(self) -> int:
        """Empty current and make it from raw again; how many changes that took."""
        self.current.forget_all()
        self._catch_up()
        return self.raw.position.offset

    def _commit(
        self,
        table: IcebergTable,
        before: int,
        after: int,
        attempt: Callable[[], None],
        reload: Callable[[], None],
    ) -> None:
        """I4. `before` and `after` are the table's offsets without and with this commit."""
        for _ in range(_TRIES):
            self.check_fence(table)
            try:
                attempt()
                return
            except StorageRefused:
                table.discard()
                raise
            except (Refused, Unknown) as error:
                _log.warning("%s", error)
                if isinstance(error, Refused):
                    table.discard()
                trouble = error
            reload()
            self.check_fence(table)
            offset = self._offset_of(table)
            if offset == after and after != before:
                return
            if offset != before:
                raise Fenced(f"{table.name}: stands at {offset}, expected {before}") from trouble
        raise trouble

    def check_fence(self, table: IcebergTable) -> None:
        """Fenced where what is known of the table was written under another sink's epoch (I3)."""
        writer = decode_writer(table.properties.get(WRITER))
        if writer != self._claims.get(table.name):
            raise Fenced(f"{table.name}: taken over by {writer.id}")

    def _offset_of(self, table: IcebergTable) -> int:
        return decode(table.properties.get(POSITION)).offset
