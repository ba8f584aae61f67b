"""Effects made real: each of a consumer's effects against the client and the handler, and its result.

Thread-safe: any number of effects of one consumer may be performed at once. What the store refuses, or does not answer,
becomes `Trouble`, and the consumer decides when to ask again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from penstock.connect.client import Client
from penstock.errors import PenstockError
from penstock.events import effects
from penstock.events.context import Context
from penstock.events.dead_letters import DeadLetters
from penstock.events.destinations import destination_of, message_of, tell
from penstock.events.effects import Effect, Result, Trouble
from penstock.events.exactly_once import LaneCommit, PositionMoved
from penstock.events.handlers import call_with_batch
from penstock.events.lineage import label_of
from penstock.events.positions import NotOurs, Positions
from penstock.events.records import Record
from penstock.events.retries import Randomness
from penstock.events.settings import Settings
from penstock.events.source import Source
from penstock.events.time_limits import InTime, at_leisure
from penstock.ports import Clock

Sleep: TypeAlias = Callable[[float], None]


class Performer:
    """One consumer's hands."""

    def __init__(
        self,
        client: Client,
        settings: Settings,
        worker: str,
        clock: Clock,
        random: Randomness,
        fresh_id: Callable[[], str],
        sleep: Sleep,
        in_time: InTime = at_leisure,
    ) -> None:
        self._client, self._settings, self._worker = client, settings, worker
        self._clock, self._random, self._fresh_id, self._sleep = clock, random, fresh_id, sleep
        self._in_time = in_time
        self._positions = Positions(client, settings.name)
        self._source = Source(client, settings.table)
        self._letters = DeadLetters(client)
        self._destination = destination_of(settings.on_failure)

    def perform(self, effect: Effect) -> Result:
        try:
            return self._perform(effect)
        except NotOurs:
            return effects.Lost()
        except PenstockError as error:
            # Throttling among them: what is refused now is asked again later, with growing pauses.
            return Trouble(str(error))
        except OSError as error:
            return Trouble(f"{type(error).__name__}: {error}")

    def _perform(self, effect: Effect) -> Result:
        match effect:
            case effects.Invoke():
                return self._invoke(effect)
            case effects.Read():
                return self._source.read(effect)
            case effects.Save():
                held = effect.held
                self._positions.save(held.shard, held.epoch, effect.factor, effect.lane, effect.position)
                return effects.Done()
            case effects.Bury() | effects.RecordGap():
                return self._bury(effect)
            case effects.Enrol():
                return effects.Enrolled(self._positions.enrol(self._settings.table, self._wall_s()))
            case effects.Beat():
                return self._beat(effect)
            case effects.Describe():
                return effects.Described(self._source.streams())
            case effects.Claim():
                return self._positions.claim(effect.shard, effect.seen, self._worker, effect.factor)
            case _:
                return self._keep(effect)

    def _keep(self, effect: Effect) -> Result:
        """What changes a shard's own item."""
        positions = self._positions
        match effect:
            case effects.Open(held, factor):
                return effects.Opened(positions.open_lanes(held.shard, held.epoch, factor))
            case effects.Switch(held, factor, position):
                positions.switch(held.shard, held.epoch, factor, position)
            case effects.Note(held, tip_at_s):
                positions.note_tip(held.shard, held.epoch, tip_at_s)
            case effects.Finish(held):
                positions.finish(held.shard, held.epoch)
            case effects.Release(held):
                positions.release(held.shard, held.epoch)
            case effects.Leave(handled, retries):
                positions.leave(self._worker, handled, retries)
            case effects.Forget():
                self._forget(effect)
            case _:
                raise AssertionError(f"nobody performs {effect}")
        return effects.Done()

    def _wall_s(self) -> float:
        return self._clock.now_us() / 1_000_000

    def _beat(self, effect: effects.Beat) -> Result:
        self._positions.beat(self._worker, effect.beat, effect.report)
        for worker in effect.gone:
            self._positions.drop_worker(worker)
        beats, leases, _ = self._positions.look()
        return effects.Seen(beats, leases)

    def _invoke(self, effect: effects.Invoke) -> Result:
        settings = self._settings
        commit = self._commit(effect, effect.records)
        region = effect.records[0].get("awsRegion", "us-east-1")
        context = Context(
            settings.name,
            self._fresh_id(),
            self._clock.monotonic_s,
            region=region,
            commit=commit,
            timeout_s=settings.timeout_s,
        )
        return call_with_batch(settings, effect.records, context, commit, self._in_time)

    def _commit(self, effect: effects.Invoke | effects.Bury, records: Sequence[Record]) -> LaneCommit:
        held = effect.held
        return LaneCommit(
            self._client,
            self._positions.lane_key(held.shard, effect.factor, effect.lane),
            held.epoch,
            effect.before,
            [record["dynamodb"]["SequenceNumber"] for record in records],
            self._fresh_id,
            self._random,
            self._sleep,
        )

    def _bury(self, effect: effects.Bury | effects.RecordGap) -> Result:
        name, table, shard, wall_s = (
            self._settings.name,
            self._settings.table,
            effect.held.shard,
            self._wall_s(),
        )
        if isinstance(effect, effects.RecordGap):
            self._letters.record_gap(name, table, shard, effect.stream_arn, effect.after, wall_s)
            return effects.Done()
        commit = self._commit(effect, [entry.record for entry in effect.burial.entries])
        try:
            self._letters.bury(name, table, shard, effect.stream_arn, effect.burial, wall_s, commit)
        except PositionMoved:
            return effects.Lost()
        if self._destination is not None:
            shard_id = shard[len(label_of(shard)) + 1 :]
            message = message_of(name, shard_id, effect.stream_arn, effect.burial, self._fresh_id(), wall_s)
            message["payload"] = {"Records": [entry.record for entry in effect.burial.entries]}
            tell(self._destination, message)
        return effects.Done()

    def _forget(self, effect: effects.Forget) -> None:
        if effect.gap:
            after = min(self._positions.positions_of(effect.shard, effect.factor))
            name, table = self._settings.name, self._settings.table
            self._letters.record_gap(name, table, effect.shard, "", after, self._wall_s())
        self._positions.forget(effect.shard, effect.factor)
