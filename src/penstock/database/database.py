"""The database: requests in, decisions applied, answers out once they are durable. The only writer of its store.

One thread, or one lock, stands around everything here: a request is decided against the state that the last one left
and applied before the next one is looked at. That is the whole of its concurrency control, and why histories replay.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial

from penstock import errors
from penstock.database.actions import GLANCES, Action
from penstock.database.catalog import Catalog
from penstock.database.changefeed import ChangeFeed, Held
from penstock.database.fault_log import FaultLog
from penstock.database.group_commit import Group, GroupCommit
from penstock.engine.changes import change_key, next_sequence
from penstock.engine.plans import Context, Plan, Slices
from penstock.errors import ServiceError, StoreUnavailable
from penstock.model.tables import Stream, Table
from penstock.operations.json_door import error_body, parse_body
from penstock.ports import Clock
from penstock.store.interface import Batch, Family, Store

_PACK_SPACE = struct.Struct(">I").pack
_DOUBT = StoreUnavailable(
    "the sync of a write that this would tell of failed: it is not known whether it is kept"
)
SLICE_S = 0.001  # How long one read may hold the database before others get their turn.
Done = Callable[[int, bytes], None]


class StoreView:
    """`engine.plans.View` over the store as it stands."""

    __slots__ = ("_catalog", "_commit", "_get", "_store", "get")

    def __init__(self, store: Store, catalog: Catalog, commit: GroupCommit) -> None:
        self._store, self._catalog, self._commit = store, catalog, commit
        self.get: Callable[[bytes], bytes | None] = partial(store.get, Family.DATA)

    def get_many(self, keys: list[bytes]) -> list[bytes | None]:
        return self._store.get_many(Family.DATA, keys)

    def scan(self, lower: bytes, upper: bytes, reverse: bool) -> Iterator[tuple[bytes, bytes]]:
        return self._store.scan(Family.DATA, lower, upper, reverse=reverse)

    def page(
        self, lower: bytes, upper: bytes, reverse: bool, count_max: int, bytes_max: int
    ) -> tuple[list[bytes], bool]:
        return self._store.page(
            Family.DATA, lower, upper, reverse=reverse, count_max=count_max, bytes_max=bytes_max
        )

    def table(self, name: str) -> Table:
        table = self._catalog.tables.get(name)
        if table is None:
            table = self.find_table(name)
            if table is None:
                raise errors.table_not_found()
        return table

    def find_table(self, name: str) -> Table | None:
        table = self._catalog.tables.get(name)
        if table is None and name.startswith("arn:"):
            table = self._catalog.tables.get(name.rpartition(":table/")[2])
        return table

    def table_names(self) -> list[str]:
        return self._catalog.names

    def counts(self, space: int) -> tuple[int, int]:
        return self._catalog.counts.get(space, (0, 0))

    def next_space(self) -> int:
        return self._catalog.next_space

    def streams(self) -> list[Stream]:
        return [self._catalog.streams[id_] for id_ in sorted(self._catalog.streams)]

    def stream(self, id_: int) -> Stream | None:
        return self._catalog.streams.get(id_)

    def last_sequence(self) -> int:
        return self._catalog.last_sequence

    def durable_sequence(self) -> int:
        return self._commit.synced_sequence

    def get_meta(self, key: bytes) -> bytes | None:
        return self._store.get(Family.META, key)

    def scan_changes(self, stream: int, shard: int, first: int) -> Iterator[tuple[bytes, bytes]]:
        upper = change_key(stream, shard, self._commit.synced_sequence + 1)
        return self._store.scan(Family.CHANGES, change_key(stream, shard, first), upper)


class Database:
    """`ports.Endpoint` over a store. `defer` runs a call soon, after others had their turn."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        actions: dict[str, Action],
        kick: Callable[[], None],
        defer: Callable[[Callable[[], None]], None],
        fresh_id: Callable[[], str],
        *,
        waits_for_sync: bool = True,
        kick_late: Callable[[], None] | None = None,
    ) -> None:
        self.store, self.clock = store, clock
        self.catalog = Catalog(store)
        self.commit = GroupCommit(store, kick, self.catalog.last_sequence, kick_late)
        self.view = StoreView(store, self.catalog, self.commit)
        self._actions = actions
        # By the action itself: one that was wrapped, by a bad day's weather for one, is never passed by.
        self._glances = {target: GLANCES[action] for target, action in actions.items() if action in GLANCES}
        self._defer = defer
        self._waits = waits_for_sync
        self._faults = FaultLog(clock)
        self._context = Context(self.view, 0, fresh_id)
        self.feed = ChangeFeed(store, self.commit, clock, defer, self.start)
        self.commit.on_certain = self.feed.wake_all
        self.changes = 0  # Written to streams since the start.
        # Listeners to every plan that changes something: before it is written, and after.
        self.on_applying: deque[Callable[[Plan], None]] = deque()
        self.on_applied: deque[Callable[[Plan], None]] = deque()

    def serves(self, target: str) -> bool:
        return target in self._actions

    def context(self) -> Context:
        """For decisions that no request asked for: time to live, backfill."""
        self._context.now_us = self.clock.now_us()
        return self._context

    def start(self, target: str, body: bytes, done: Done, wait_ms: int = 0) -> None:
        if wait_ms > 0:
            done = self.feed.held(target, body, done, wait_ms)
        try:
            action = self._actions.get(target)
            if action is None:
                raise errors.unknown_operation()
            glance = self._glances.get(target)
            if glance is not None:
                seen = glance(body, self._context)
                if seen is not None:
                    self._tell(seen, done)
                    return
            request = parse_body(body)
            self._context.now_us = self.clock.now_us()
            outcome = action(request, self._context)
            if type(outcome) is Plan:
                self._settle(outcome, done)
            else:
                self._step(outcome, done)  # type: ignore[arg-type]
        except errors.PenstockError as error:
            self._fail(error, done)

    def _step(self, slices: Slices, done: Done) -> None:
        """Run a read until its slice is used up; the rest comes after others had their turn."""
        monotonic_s = self.clock.monotonic_s
        until = monotonic_s() + SLICE_S
        try:
            while monotonic_s() < until:
                next(slices)
        except StopIteration as finished:
            self._settle(finished.value, done)
        except errors.PenstockError as error:
            self._fail(error, done)
        else:
            self._defer(lambda: self._step(slices, done))

    def _settle(self, plan: Plan, done: Done) -> None:
        """Apply the plan and answer when everything that the answer says is durable."""
        if plan.awaits is not None and type(done) is Held and self.feed.park(plan.awaits, done):
            return
        if self.apply(plan, patient=not self._waits):
            self._promise(self.commit.open, plan.reply, done)
        else:
            self._tell(plan, done)

    def _tell(self, plan: Plan, done: Done) -> None:
        """Answer what changes nothing, when what it was read from is durable."""
        commit = self.commit
        group = commit.group_of(plan.reads) if plan.reads else None
        if group is not None:
            self._promise(group, plan.reply, done)
        elif commit.doubtful is not None and self._waits and commit.is_doubtful(plan.reads):
            self._fail(_DOUBT, done)
        else:
            done(200, plan.reply)

    def _promise(self, group: Group, reply: bytes, done: Done) -> None:
        if not self._waits:
            done(200, reply)
            return

        def waiter(error: errors.PenstockError | None) -> None:
            if error is None:
                done(200, reply)
            else:
                self._fail(error, done)

        self.commit.wait(group, waiter)

    def refusal(self, error: errors.PenstockError) -> ServiceError:
        """As a caller is told it."""
        if isinstance(error, ServiceError):
            return error
        self._faults.tell(error)
        return errors.internal(str(error))

    def _fail(self, error: errors.PenstockError, done: Done) -> None:
        if not isinstance(error, ServiceError):
            error = self.refusal(error)
            done(error.status, error_body(error))
            return
        status, body = error.status, error_body(error)
        group = self.commit.last_group()
        # A refusal may tell what a write did, a ValidationException too (an update of a path that is not there).
        if group is not None and self._waits:
            self.commit.wait(
                group, lambda lost: done(status, body) if lost is None else self._fail(lost, done)
            )
        elif self.commit.doubtful is not None and self._waits:
            self._fail(_DOUBT, done)
        else:
            done(status, body)

    def apply(self, plan: Plan, *, patient: bool = False, batch: Batch | None = None) -> bool:
        """Write the plan as one batch; False where it changes nothing. `patient`: by G5 its sync may be late. `batch`: one
        of the store's that is empty, where its own will not do."""
        if not (plan.puts or plan.deletes or plan.meta or plan.tables or plan.streams or plan.dropped):
            return False
        for listener in self.on_applying:
            listener(plan)
        batch, data, catalog = batch or self.store.batch(), Family.DATA, self.catalog
        put = batch.put
        for key in plan.deletes:
            batch.delete(data, key)
        for key, value in plan.puts:
            put(data, key, value)
        sequence = catalog.last_sequence
        for change in plan.changes:
            sequence = next_sequence(sequence, self._context.now_us)
            put(Family.CHANGES, change_key(change.stream, change.shard, sequence), change.body)
        if plan.changes:
            catalog.put_sequence(batch, sequence)
        if plan.counts:
            catalog.count(batch, plan.counts)
        if plan.tables or plan.streams or plan.dropped or plan.meta:
            self._define(plan, batch)
        try:
            self.store.write(batch)
        except errors.PenstockError as error:
            self.commit.refused(error)
            # Nothing was written: what is held in memory goes back to what the disk says.
            catalog.reload()
            raise
        keys = [key for key, _ in plan.puts] + plan.deletes
        if plan.tables or plan.streams or plan.ended:
            spaces = [space for _, table in plan.tables if table for space in table.spaces]
            self.commit.applied(keys, catalog.last_sequence, [b"", *map(_PACK_SPACE, spaces)])
        else:
            self.commit.applied(keys, catalog.last_sequence, patient=patient)
        self.changes += len(plan.changes)
        if self.feed.waiting:
            self.feed.applied(plan, self.commit.open)
        for listener in self.on_applied:
            listener(plan)
        return True

    def _define(self, plan: Plan, batch: Batch) -> None:
        for name, table in plan.tables:
            self.catalog.put_table(batch, name, table)
        for stream in plan.streams:
            self.catalog.put_stream(batch, stream)
        for space in plan.dropped:
            self.catalog.drop_space(batch, space)
        for key, meta in plan.meta:
            if meta is None:
                batch.delete(Family.META, key)
            else:
                batch.put(Family.META, key, meta)
        for lower, upper in plan.trimmed:
            batch.delete_range(Family.CHANGES, lower, upper)
        for id_ in plan.ended:
            self.catalog.drop_stream(batch, id_)
