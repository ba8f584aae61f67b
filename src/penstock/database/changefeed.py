"""Consumers that wait: an empty GetRecords held open until its shard has a durable change, or its time is over.

    waiting   (stream, shard) -> the callers that hold a page open there
    parked    a caller moves from `waiting` to the group commit that covers the change it waits for

F1. A caller waits only while its shard holds no change behind its page, synced or not: a change that is applied but
    not synced is found when the caller parks, so none can slip in between.
F2. A woken caller's request runs again, from its own iterator, on the state that is durable then. What it is answered
    is decided by GetRecords alone; being woken for nothing costs one more look, never a wrong answer.
F3. A caller that waits costs one entry here: no thread, no timer. Writes look at `waiting` only when it holds anybody;
    a sweep (`time_out_waits`) ends the waits whose time is over.
F4. Woken requests run after the writers that woke them are answered.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Protocol

from penstock.database.group_commit import Group, GroupCommit
from penstock.engine.changes import change_key, shard_prefix
from penstock.engine.plans import Plan
from penstock.limits import WAIT_MS_MAX
from penstock.model.keys import after
from penstock.ports import Clock
from penstock.store.interface import Family, Store

LOOK_S = 0.1  # How late the end of a wait may be noticed that began while nobody waited.

Done = Callable[[int, bytes], None]
ShardKey = tuple[int, int]


class Start(Protocol):
    def __call__(self, target: str, body: bytes, done: Done, wait_ms: int = 0) -> None: ...


class Held:
    """A caller that is willing to wait. Called as any `done` is, it answers at once."""

    __slots__ = ("body", "deadline_s", "done", "target")

    def __init__(self, target: str, body: bytes, done: Done, deadline_s: float) -> None:
        self.target, self.body, self.done, self.deadline_s = target, body, done, deadline_s

    def __call__(self, status: int, body: bytes) -> None:
        self.done(status, body)


class ChangeFeed:
    """Who waits for which shard. Called where the database is called: on its thread, or under its lock."""

    def __init__(
        self,
        store: Store,
        commit: GroupCommit,
        clock: Clock,
        defer: Callable[[Callable[[], None]], None],
        start: Start,
    ) -> None:
        self._store, self._commit, self._clock = store, commit, clock
        self._defer, self._start = defer, start
        self.waiting: dict[ShardKey, list[Held]] = {}
        self._closing = False

    def held(self, target: str, body: bytes, done: Done, wait_ms: int) -> Held:
        return Held(target, body, done, self._clock.monotonic_s() + min(wait_ms, WAIT_MS_MAX) / 1000)

    def park(self, shard: ShardKey, held: Held) -> bool:
        """Let the caller wait for the shard's next change; False where it is to be answered now."""
        if self._closing or self._clock.monotonic_s() >= held.deadline_s:
            return False
        group = self._commit.last_group() if self._has_unsynced(shard) else None
        if group is not None:
            self._wake_with(group, [held])
        else:
            self.waiting.setdefault(shard, []).append(held)
        return True

    def _has_unsynced(self, shard: ShardKey) -> bool:
        lower = change_key(*shard, self._commit.synced_sequence + 1)
        return next(self._store.scan(Family.CHANGES, lower, after(shard_prefix(*shard))), None) is not None

    def applied(self, plan: Plan, group: Group) -> None:
        """A plan was applied, and `group` covers it: who waited for one of its changes waits for that sync now, and
        so does who waits on a stream that changed: its shard may have been closed."""
        for change in plan.changes:
            held = self.waiting.pop((change.stream, change.shard), None)
            if held is not None:
                self._wake_with(group, held)
        if plan.streams or plan.ended:
            changed = {stream.id for stream in plan.streams}.union(plan.ended)
            for shard in [shard for shard in self.waiting if shard[0] in changed]:
                self._wake_with(group, self.waiting.pop(shard))

    def _wake_with(self, group: Group, held: list[Held]) -> None:
        group.waiters.append(lambda _: self._resume(held))

    def _resume(self, held: list[Held]) -> None:
        for one in held:
            self._defer(lambda one=one: self._run_again(one))  # type: ignore[misc]

    def _run_again(self, held: Held) -> None:
        left_s = 0.0 if self._closing else held.deadline_s - self._clock.monotonic_s()
        self._start(held.target, held.body, held.done, max(0, int(left_s * 1000)))

    def time_out(self) -> float:
        """Answer whose time is over. Returns the seconds until somebody's will be, at most `LOOK_S`."""
        if not self.waiting:
            return LOOK_S
        now = self._clock.monotonic_s()
        soonest = now + LOOK_S
        for shard, held in list(self.waiting.items()):
            over = [one for one in held if one.deadline_s <= now]
            if over:
                left = [one for one in held if one.deadline_s > now]
                if left:
                    self.waiting[shard] = left
                else:
                    del self.waiting[shard]
                self._resume(over)
            soonest = min([soonest, *(one.deadline_s for one in held if one.deadline_s > now)])
        return soonest - now

    def close(self) -> None:
        """Answer everybody who waits, and let nobody wait again: the database is about to close."""
        self._closing = True
        self.wake_all()

    def wake_all(self) -> None:
        """Everybody looks once more."""
        waiting, self.waiting = self.waiting, {}
        for held in waiting.values():
            self._resume(held)


class FeedOwner(Protocol):
    """A database, as far as this module knows one."""

    feed: ChangeFeed


def time_out_waits(database: FeedOwner) -> Generator[float, None, None]:
    """The background job that ends waits whose time is over; see `Job` in sweeps.py."""
    while True:
        yield database.feed.time_out()
