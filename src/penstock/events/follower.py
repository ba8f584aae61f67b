"""One shard under a lease of ours: read, dealt to lanes, handled, and its positions kept.

    opening ──▶ running ──▶ finishing ──▶ gone        a closed shard whose every record is handled
       ▲  ╲        │ ╲
       │   ▶ draining  ▶ leaving ──▶ gone             another number of lanes · the lease is given up
       └───────┘   ▼
               reopening ──▶ gone, and opened anew    a commit found another position than ours

W1. One read at a time, and none while more waits than the handler takes in two rounds: memory is bounded.
W2. A record goes to the lane of its partition key. A lane whose position is beyond it has had it already.
W3. The number of lanes changes only when all lanes stand at the same position: the old lanes first handle everything up
    to the furthest of them, and nothing beyond.
W4. What is read again after a crash begins behind the least of the lanes' positions.
W5. A position that the stream no longer reaches back to is a gap: recorded among the dead letters before reading goes on
    at the horizon, unless within the retention the shard was at its tip and all of it handled, so that nothing can have
    been missed. A shard of which nothing has been read has no position that could tell: after a day without a reader it
    must be whole.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field
from enum import Enum

from penstock.events import effects
from penstock.events.effects import Effect, Held, Result
from penstock.events.lanes import Lane
from penstock.events.leases import Lease
from penstock.events.lineage import Known
from penstock.events.outcomes import Outcome
from penstock.events.records import entry_of, lambda_record, lane_of, written_s
from penstock.events.retries import STORE, Randomness
from penstock.events.settings import RETENTION_S, Settings
from penstock.metrics.registry import SECONDS

READ_RECORDS_MAX = 1000  # GetRecords' own limit.
HOLD_MS = 10_000  # How long an empty read may be held open.
POLL_S = 0.25  # Lambda polls each shard four times a second where reads are not held open …
POLL_S_MAX = 1.0  # … and once a second serves where nothing has happened for a while.
PENDING_BYTES_MAX = 32 * 1024 * 1024
TIP_READS = 3  # AWS gives empty pages in the middle of a shard; three in a row are taken for its tip.
NOTE_EVERY_S = 600.0


class Phase(Enum):
    OPENING = "opening"
    RUNNING = "running"
    DRAINING = "draining"
    LEAVING = "leaving"
    REOPENING = "reopening"
    FINISHING = "finishing"
    GONE = "gone"


# What a tally counts, and what people are told that it means.
TOTALS = {
    "read": "Records read from the stream.",
    "filtered": "Records that no filter pattern let in.",
    "handled": "Records that a handler took.",
    "batches": "Calls of a handler.",
    "retries": "Calls with a batch that had failed before.",
    "dead_letters": "Records that became dead letters.",
    "gaps": "Times that the stream was trimmed before it was read.",
    "troubles": "Requests to the store that failed.",
}


@dataclass(slots=True)
class Tally:
    """What a consumer has done, for its metrics."""

    read: int = 0
    filtered: int = 0
    handled: int = 0
    batches: int = 0
    retries: int = 0
    dead_letters: int = 0
    gaps: int = 0
    troubles: int = 0
    # From a change to the start of its handler: how often each of `SECONDS`, and their sum.
    delays: list[int] = field(default_factory=lambda: [0] * (len(SECONDS) + 1))
    delay_sum_s: float = 0.0

    def see_delay(self, delay_s: float) -> None:
        self.delays[bisect_left(SECONDS, delay_s)] += 1
        self.delay_sum_s += delay_s


@dataclass(slots=True)
class Reader:
    """How far the shard is read, and when to read on."""

    through: int = 0
    iterator: str | None = None
    from_horizon: bool = False  # The position was trimmed: go on with the oldest there is.
    busy: bool = False
    rest_until_s: float = float("-inf")
    failures: int = 0
    empty_reads: int = 0
    asked_at_s: float = 0.0
    closed: bool = False
    gap_after: int | None = None

    @property
    def at_tip(self) -> bool:
        return self.empty_reads > 0 or self.closed


@dataclass(slots=True)
class Follower:
    """Pure. `step` says what to do, `settle` takes what came of it."""

    held: Held
    lease: Lease
    known: Known
    settings: Settings
    random: Randomness
    tally: Tally
    since_s: float = 0.0  # LATEST: only what came since the consumer's first start is its business.
    whole_at_s: float = 0.0  # Wall time at which nothing of the shard that is our business had been trimmed.
    phase: Phase = Phase.OPENING
    factor: int = 1
    lanes: list[Lane] = field(default_factory=list)
    reader: Reader = field(default_factory=Reader)
    stop_at: int | None = None
    asked: bool = False  # A control effect is under way: open, switch, finish, release, note, gap.
    rest_until_s: float = float("-inf")
    failures: int = 0
    leave_wanted: bool = False
    tip_at_s: float = 0.0
    noted_at_s: float = 0.0

    def __post_init__(self) -> None:
        self.factor = self.lease.factor
        self.tip_at_s = self.noted_at_s = self.lease.tip_at_s

    # -- What is asked from outside --

    def leave(self) -> None:
        """Give the shard up once what is in the handler has come back."""
        self.leave_wanted = True
        if self.phase in (Phase.RUNNING, Phase.DRAINING):
            self.phase = Phase.LEAVING

    @property
    def pending(self) -> int:
        return sum(lane.pending for lane in self.lanes)

    def lag_s(self, wall_s: float) -> float:
        """The age of the oldest record that is read and not handled; 0 where there is none."""
        oldest = [entry.created_s for lane in self.lanes if (entry := lane.oldest()) is not None]
        return max(0.0, wall_s - min(oldest)) if oldest else 0.0

    def position(self) -> int:
        return min((lane.position for lane in self.lanes), default=0)

    # -- Step --

    def step(self, now_s: float, wall_s: float, may_invoke: bool) -> list[Effect]:
        wanted: list[Effect] = []
        if self.phase is Phase.OPENING:
            self._control(effects.Open(self.held, self.factor), now_s, wanted)
        elif self.phase in (Phase.RUNNING, Phase.DRAINING):
            self._work(now_s, wall_s, may_invoke, wanted)
        elif self.phase is Phase.REOPENING and not any(lane.busy for lane in self.lanes):
            self.phase = Phase.GONE
        elif self.phase is Phase.FINISHING:
            self._control(effects.Finish(self.held), now_s, wanted)
        elif self.phase is Phase.LEAVING:
            self._save_and_release(now_s, wanted)
        return wanted

    def due_s(self) -> float:
        """When something is to be done although nothing came back."""
        busy = any(lane.busy for lane in self.lanes)
        if self.phase in (Phase.RUNNING, Phase.DRAINING):
            times = [lane.due_s(self.settings) for lane in self.lanes]
            if self._may_read():
                times.append(self.reader.rest_until_s)
            if not self.asked and (self.reader.gap_after is not None or self._drained()):
                times.append(self.rest_until_s)
            return min(times, default=float("inf"))
        if self.asked or busy:
            return float("inf")
        resting = [lane.rest_until_s for lane in self.lanes] if self.phase is Phase.LEAVING else []
        return max([self.rest_until_s, *resting])

    def _control(self, effect: Effect, now_s: float, wanted: list[Effect]) -> None:
        if not self.asked and now_s >= self.rest_until_s:
            self.asked = True
            wanted.append(effect)

    def _work(self, now_s: float, wall_s: float, may_invoke: bool, wanted: list[Effect]) -> None:
        if self.reader.gap_after is not None:
            self._control(
                effects.RecordGap(self.held, self.known.stream.arn, self.reader.gap_after), now_s, wanted
            )
        elif self._may_read() and now_s >= self.reader.rest_until_s:
            wanted.append(self._read(now_s, wall_s))
        for lane in self.lanes:
            effect = self._lane_effect(lane, now_s, wall_s, may_invoke)
            if effect is not None:
                lane.busy = True
                wanted.append(effect)
        if self.phase is Phase.DRAINING:
            self._finish_draining(now_s, wanted)
        elif all(lane.idle for lane in self.lanes):  # What waits in a lane may be lost with this worker.
            self._finish_or_note(now_s, wanted)

    def _finish_or_note(self, now_s: float, wanted: list[Effect]) -> None:
        if self.reader.closed:
            self.phase = Phase.FINISHING
            self._control(effects.Finish(self.held), now_s, wanted)
        elif self.tip_at_s - self.noted_at_s >= NOTE_EVERY_S:
            # Not the time of this step: a process that slept for a day was at the tip before that.
            self._control(effects.Note(self.held, self.tip_at_s), now_s, wanted)

    def _lane_effect(self, lane: Lane, now_s: float, wall_s: float, may_invoke: bool) -> Effect | None:
        if lane.busy or now_s < lane.rest_until_s:
            return None
        if lane.wants_save(now_s):
            return effects.Save(self.held, lane.number, self.factor, lane.position)
        if not may_invoke:
            return None
        if self.reader.closed or self.phase is Phase.DRAINING:
            lane.flush(now_s, self.settings)
        burial = lane.burial(now_s, wall_s, self.settings)
        if burial is not None:
            arn = self.known.stream.arn
            return effects.Bury(self.held, arn, lane.number, self.factor, lane.saved, burial)
        run = lane.batch(now_s, self.settings)
        if run is None:
            return None
        if run.attempts:
            self.tally.retries += 1
        self.tally.batches += 1
        self.tally.see_delay(max(0.0, wall_s - written_s(run.entries[0])))
        records = tuple(entry.record for entry in run.entries)
        arn = self.known.stream.arn
        return effects.Invoke(self.held, arn, lane.number, self.factor, lane.saved, records, run.attempts + 1)

    # -- Reading --

    def _may_read(self) -> bool:
        reader = self.reader
        if reader.busy or reader.closed or reader.gap_after is not None or not self._has_room():
            return False
        return self.stop_at is None or reader.through < self.stop_at

    def _has_room(self) -> bool:
        records_max = max(2 * self.settings.batch_size * len(self.lanes), 2 * READ_RECORDS_MAX)
        return (
            self.pending < records_max and sum(lane.queued_bytes for lane in self.lanes) < PENDING_BYTES_MAX
        )

    def _may_have_missed_the_first(self, wall_s: float) -> bool:
        """W5: the horizon of a shard that nothing was read of says nothing about what was there before."""
        reader = self.reader
        if reader.through or reader.from_horizon:
            return False
        return wall_s - max(self.tip_at_s, self.whole_at_s) >= RETENTION_S

    def _read(self, now_s: float, wall_s: float) -> Effect:
        reader = self.reader
        whole = self._may_have_missed_the_first(wall_s)
        if whole:
            reader.iterator = None
        reader.busy, reader.asked_at_s = True, now_s
        after = 0 if reader.from_horizon else reader.through
        since_s = 0.0 if reader.from_horizon else self.since_s
        arn, shard_id = self.known.stream.arn, self.known.shard.id
        return effects.Read(
            self.held, arn, shard_id, reader.iterator, after, since_s, READ_RECORDS_MAX, HOLD_MS, whole
        )

    def _take_page(self, page: effects.Page, now_s: float, wall_s: float) -> None:
        reader, settings = self.reader, self.settings
        reader.failures = 0
        if page.trimmed:
            self._take_trim(wall_s)
            return
        reader.iterator = page.iterator
        reader.from_horizon = reader.from_horizon and not page.records
        reader.closed = page.iterator is None
        self.tally.read += len(page.records)
        since_s = float(int(self.since_s))  # Records tell whole seconds.
        for record in page.records:
            entry = entry_of(lambda_record(record, self.known.stream.arn), now_s)
            if self.stop_at is not None and entry.sequence > self.stop_at:
                reader.through = self.stop_at
                break
            reader.through = max(reader.through, entry.sequence)
            if entry.created_s < since_s or (settings.accept and not settings.accept(record)):
                self.tally.filtered += 1
                continue
            self.lanes[lane_of(record, self.known.stream.partition_key, len(self.lanes))].offer(entry)
        for lane in self.lanes:
            lane.passed(reader.through)
        self._pace(page, now_s, wall_s)

    def _pace(self, page: effects.Page, now_s: float, wall_s: float) -> None:
        reader = self.reader
        if page.records:
            reader.empty_reads = 0
            return
        reader.empty_reads += 1
        if reader.empty_reads >= TIP_READS:
            self.tip_at_s = wall_s
            if reader.from_horizon and self.stop_at is not None:
                reader.through = self.stop_at  # What was to be drained has left the stream.
        if now_s - reader.asked_at_s < HOLD_MS / 2000:
            # This endpoint does not hold reads open.
            pause_s = POLL_S * 2.0 ** min(reader.empty_reads // 8, 10)
            reader.rest_until_s = now_s + min(POLL_S_MAX, pause_s)

    def _take_trim(self, wall_s: float) -> None:
        """W5."""
        reader = self.reader
        reader.iterator = None
        if self._may_have_missed_the_first(wall_s):
            reader.gap_after = 0
        elif reader.from_horizon or reader.through == 0 or wall_s - self.tip_at_s < RETENTION_S:
            reader.from_horizon = True
        else:
            reader.gap_after = reader.through

    # -- Draining, leaving --

    def _drained(self) -> bool:
        if self.stop_at is None or self.reader.busy or not all(lane.idle for lane in self.lanes):
            return False
        return self.reader.closed or self.reader.through >= self.stop_at

    def _finish_draining(self, now_s: float, wanted: list[Effect]) -> None:
        if self._drained():
            assert self.stop_at is not None
            factor = self.settings.parallelization_factor
            self._control(effects.Switch(self.held, factor, self.stop_at), now_s, wanted)

    def _save_and_release(self, now_s: float, wanted: list[Effect]) -> None:
        if any(lane.busy for lane in self.lanes):
            return
        for lane in self.lanes:
            if lane.position > lane.saved and lane.failures < 3:
                if now_s >= lane.rest_until_s:
                    lane.busy = True
                    wanted.append(effects.Save(self.held, lane.number, self.factor, lane.position))
                else:
                    return
        if not wanted:
            self._control(effects.Release(self.held), now_s, wanted)

    # -- Results --

    def settle(self, effect: Effect, result: Result, now_s: float, wall_s: float) -> None:
        if isinstance(result, effects.Lost):
            self.phase = Phase.GONE
        elif isinstance(effect, effects.Read):
            self.reader.busy = False
            if isinstance(result, effects.Page):
                self._take_page(result, now_s, wall_s)
            else:
                self._read_troubled(result, now_s)
        elif isinstance(effect, effects.Invoke | effects.Save | effects.Bury):
            self._settle_lane(effect, result, now_s)
        else:
            self.asked = False
            if isinstance(result, effects.Trouble):
                self.tally.troubles += 1
                self.rest_until_s = now_s + STORE.pause_s(self.failures, self.random)
                self.failures += 1
            else:
                self.failures = 0
                self._settle_control(effect, result, wall_s)

    def _read_troubled(self, result: Result, now_s: float) -> None:
        assert isinstance(result, effects.Trouble), result
        self.tally.troubles += 1
        reader = self.reader
        # The iterator may be what is wrong with it; the position is not.
        reader.iterator = None
        reader.rest_until_s = now_s + STORE.pause_s(reader.failures, self.random)
        reader.failures += 1

    def _settle_lane(
        self, effect: effects.Invoke | effects.Save | effects.Bury, result: Result, now_s: float
    ) -> None:
        lane = self.lanes[effect.lane]
        if isinstance(result, effects.Trouble):
            self.tally.troubles += 1
            lane.troubled(now_s, STORE, self.random)
        elif isinstance(effect, effects.Save):
            lane.stored(effect.position, now_s)
        elif isinstance(effect, effects.Bury):
            self.tally.dead_letters += len(effect.burial.entries)
            lane.buried(effect.burial)
        else:
            assert isinstance(result, Outcome), result
            self.tally.handled += result.handled
            if result.fenced:
                lane.busy = False
                self.phase = Phase.REOPENING
                return
            lane.settle(result, now_s, self.settings, self.random)
        if lane.idle:
            lane.passed(self.reader.through)

    def _settle_control(self, effect: Effect, result: Result, wall_s: float) -> None:
        if isinstance(effect, effects.Open):
            assert isinstance(result, effects.Opened)
            self._opened(result.positions)
        elif isinstance(effect, effects.Switch):
            self.factor = effect.factor
            self.phase = Phase.OPENING
            self.stop_at = None
        elif isinstance(effect, effects.RecordGap):
            self.tally.gaps += 1
            self.reader.gap_after, self.reader.from_horizon = None, True
        elif isinstance(effect, effects.Note):
            self.noted_at_s = effect.tip_at_s
        else:
            assert isinstance(effect, effects.Finish | effects.Release), effect
            self.phase = Phase.GONE

    def _opened(self, positions: tuple[int, ...]) -> None:
        self.lanes = [Lane(number, position, position) for number, position in enumerate(positions)]
        self.reader = Reader(through=min(positions))
        self.phase = Phase.RUNNING
        if self.factor != self.settings.parallelization_factor:
            self.phase, self.stop_at = Phase.DRAINING, max(positions)
        if self.leave_wanted:
            self.phase = Phase.LEAVING
