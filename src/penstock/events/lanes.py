"""A lane: the records of some keys of one shard, handled in order, one batch at a time.

    queue    records read and not yet in a batch
    runs     batches that are to be tried: the one in the handler, and what retries and bisection left behind it
    position everything of this lane up to here is handled
    saved    the position that the store has

L1. A lane has one batch in the handler at a time; the next begins when it is settled. So keys keep their order.
L2. `position` only grows, and never passes a record that is neither handled nor buried as a dead letter.
L3. A batch that fails is tried again from its first unhandled record. Halves of a bisected batch keep its attempts (Lambda:
    splitting does not count); a batch whose front moved on begins to count anew, because another record stands first.
L4. What has too many attempts or is too old is buried in the transaction that moves the position past it.
L5. A position is saved when no batch is running and before the next one starts, so a handler's commit always finds it as
    the lane knows it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from penstock.events.outcomes import Failure, Outcome
from penstock.events.records import Entry
from penstock.events.retries import HANDLER, Backoff, Randomness
from penstock.events.settings import FOREVER, PAYLOAD_BYTES_MAX, Settings

SAVE_EVERY_S = 0.1
# A lane that only sees other lanes' and filtered records go by has nothing to lose: it saves to shorten a re-read.
PASS_EVERY_S = 5.0
# An event repeats what SizeBytes does not count: names of types, the record's envelope.
ENVELOPE_BYTES = 600

EXPIRED = "maximum record age exceeded"
EXHAUSTED = "maximum retry attempts exceeded"


@dataclass(slots=True)
class Run:
    """Records that are tried together."""

    entries: list[Entry]
    attempts: int = 0  # Calls that failed.
    retry_at_s: float = 0.0
    failure: Failure | None = None


@dataclass(frozen=True)
class Burial:
    """Records that go to the dead letters, in order."""

    entries: tuple[Entry, ...]
    reason: str
    failure: Failure | None
    attempts: int


@dataclass(slots=True)
class Lane:
    """Pure: it says what to do next and is told what became of it."""

    number: int
    position: int = 0
    saved: int = 0
    queue: deque[Entry] = field(default_factory=deque)
    queued_bytes: int = 0
    runs: deque[Run] = field(default_factory=deque)
    busy: bool = False  # A batch is in the handler, a burial or a save is under way.
    saved_at_s: float = float("-inf")
    progressed: bool = False  # Records were handled or buried since the last save.
    failures: int = 0  # Of the store, in a row.
    rest_until_s: float = float("-inf")

    @property
    def pending(self) -> int:
        return len(self.queue) + sum(len(run.entries) for run in self.runs)

    @property
    def idle(self) -> bool:
        return not self.busy and not self.queue and not self.runs

    def offer(self, entry: Entry) -> None:
        if entry.sequence > self.position:
            self.queue.append(entry)
            self.queued_bytes += entry.size + ENVELOPE_BYTES

    def outstanding(self) -> Iterator[Entry]:
        for run in self.runs:
            yield from run.entries
        yield from self.queue

    def oldest(self) -> Entry | None:
        return next(self.outstanding(), None)

    def passed(self, read_through: int) -> None:
        """The shard was read so far, and none of it waits here."""
        if self.idle:
            self.position = max(self.position, read_through)

    # -- What is next --

    def save_due_s(self) -> float:
        if self.busy or self.position <= self.saved:
            return float("inf")
        return self.saved_at_s + (SAVE_EVERY_S if self.progressed else PASS_EVERY_S)

    def wants_save(self, now_s: float) -> bool:
        return now_s >= self.save_due_s()

    def burial(self, now_s: float, wall_s: float, settings: Settings) -> Burial | None:
        """What must be buried before anything else happens on this lane: too old, or tried too often."""
        self._fill(now_s, settings, at_least_one=False)
        if self.busy or not self.runs:
            return None
        run = self.runs[0]
        old = 0
        for entry in run.entries:
            if wall_s - entry.created_s <= settings.age_s_max:
                break
            old += 1
        if old:
            return Burial(tuple(run.entries[:old]), EXPIRED, run.failure, run.attempts)
        limit = settings.maximum_retry_attempts
        if limit != FOREVER and run.attempts > limit:
            only_head = run.failure is not None and run.failure.type == "BatchItemFailure"
            entries = run.entries[:1] if only_head else run.entries
            return Burial(tuple(entries), EXHAUSTED, run.failure, run.attempts)
        return None

    def batch(self, now_s: float, settings: Settings) -> Run | None:
        """The batch to call the handler with now."""
        self._fill(now_s, settings, at_least_one=False)
        if self.busy or not self.runs or now_s < self.runs[0].retry_at_s:
            return None
        return self.runs[0]

    def due_s(self, settings: Settings) -> float:
        """When this lane has something to do, if nothing happens before."""
        if self.busy:
            return float("inf")
        times = [self.save_due_s()]
        if self.runs:
            times.append(self.runs[0].retry_at_s)
        elif self.queue:
            times.append(self.queue[0].arrived_s + settings.window_s if not self._full(settings) else 0.0)
        return max(min(times), self.rest_until_s)

    def _full(self, settings: Settings) -> bool:
        return len(self.queue) >= settings.batch_size or self.queued_bytes >= PAYLOAD_BYTES_MAX

    def _fill(self, now_s: float, settings: Settings, *, at_least_one: bool) -> None:
        """Cut the next batch from the queue when it is full or has waited for the window."""
        if self.busy or self.runs or not self.queue:
            return
        if not (at_least_one or self._full(settings) or now_s >= self.queue[0].arrived_s + settings.window_s):
            return
        entries: list[Entry] = []
        room = PAYLOAD_BYTES_MAX
        while self.queue and len(entries) < settings.batch_size:
            size = self.queue[0].size + ENVELOPE_BYTES
            if entries and size > room:
                break
            room -= size
            self.queued_bytes -= size
            entries.append(self.queue.popleft())
        self.runs.append(Run(entries))

    def flush(self, now_s: float, settings: Settings) -> None:
        """Nothing more will come: do not wait for a full batch."""
        self._fill(now_s, settings, at_least_one=True)

    # -- What became of it --

    def settle(self, outcome: Outcome, now_s: float, settings: Settings, random: Randomness) -> None:
        """The batch came back from the handler."""
        self.busy = False
        run = self.runs[0]
        if outcome.committed_through:
            self.saved = max(self.saved, outcome.committed_through)
            self.position = max(self.position, self.saved)
        self._drop_front(run, outcome.handled)
        if outcome.failure is None:
            assert not run.entries, "a call without a failure handles its batch"
            return
        if outcome.handled:
            run.attempts = 0
        run.failure = outcome.failure
        if settings.bisect_batch_on_function_error and len(run.entries) > 1 and not outcome.named:
            self._bisect(run, now_s, random)
            return
        run.attempts += 1
        run.retry_at_s = now_s + HANDLER.pause_s(run.attempts - 1, random)

    def buried(self, burial: Burial) -> None:
        self.busy = False
        run = self.runs[0]
        self._drop_front(run, len(burial.entries))
        self.saved = self.position
        run.attempts, run.retry_at_s, run.failure = 0, 0.0, None

    def stored(self, position: int, now_s: float) -> None:
        self.busy = False
        self.saved, self.saved_at_s = position, now_s
        self.progressed = False
        self.failures = 0

    def troubled(self, now_s: float, backoff: Backoff, random: Randomness) -> None:
        """The store did not take a save or a burial: wait, and try it again."""
        self.busy = False
        self.rest_until_s = now_s + backoff.pause_s(self.failures, random)
        self.failures += 1

    def _drop_front(self, run: Run, count: int) -> None:
        if count:
            self.position = max(self.position, run.entries[count - 1].sequence)
            self.progressed = True
            del run.entries[:count]
        if not run.entries:
            self.runs.popleft()

    def _bisect(self, run: Run, now_s: float, random: Randomness) -> None:
        middle = len(run.entries) // 2
        retry_at_s = now_s + HANDLER.pause_s(run.attempts, random)
        halves = (run.entries[:middle], run.entries[middle:])
        self.runs.popleft()
        for half in reversed(halves):
            self.runs.appendleft(Run(half, run.attempts, retry_at_s, run.failure))
