"""One consumer of one table's stream in one worker: which shards are its to read, and everything it does with them.

Pure and deterministic: time and randomness come in, effects go out, and results come back in any order (see effects.py).
worker.py runs it with threads, the simulation with a seed.

C1. A consumer is known by its name: its positions, leases and beats are the items of one partition of the consumers' table.
C2. Without a successful beat within the lease's time no handler is called: others may have taken the shards over.
C3. Whatever is asked of the store and fails is asked again, later; nothing is given up but to the dead letters.
"""

from __future__ import annotations

from dataclasses import replace

import orjson

from penstock.events import effects
from penstock.events.effects import Effect, Held, Result
from penstock.events.follower import TOTALS, Follower, Phase, Tally
from penstock.events.leases import BEAT_S, LEASE_S, Lease, Roster, share_out
from penstock.events.lineage import Known, listed, ready
from penstock.events.records import sequence_text
from penstock.events.retries import Randomness
from penstock.events.settings import RETENTION_S, Settings

DESCRIBE_EVERY_S = 30.0  # A shard that ends asks at once; this is for streams that are switched on, or again.
DESCRIBE_AGAIN_S = 2.0  # Where there is no stream yet, or an error.
ASK_AGAIN_S = 1.0


class Consumer:
    """Call `step` when something came back or `due_s` is reached; perform what it gives; `settle` each."""

    def __init__(self, settings: Settings, worker: str, random: Randomness) -> None:
        self.settings, self.worker = settings, worker
        self.tally = Tally()
        self.followers: dict[str, Follower] = {}
        self.stopped = False
        self.trouble = ""  # What the store said last, while it is troubled.
        self._random = random
        self._roster = Roster(worker)
        self._known: dict[str, Known] = {}
        self._leases: dict[str, Lease] = {}
        self._doubted: set[str] = (
            set()
        )  # Shards with a lease that were not listed when the last listing was asked for.
        self._lost_shards: set[str] = set()  # Not listed then either: they have left the stream.
        self._claiming: set[str] = set()
        self._asked: set[type[Effect]] = set()
        self._not_before_s: dict[type[Effect], float] = {}
        self._enrolled: effects.Enrolled | None = None
        self._beat = 0
        self._beat_asked_s = 0.0
        self._beat_told_s = float("-inf")
        self._looked = False  # The partition was read since the last sharing out.
        self._stopping = False
        self._turns = 0

    def stop(self) -> None:
        """Let handlers come back, keep the positions, give the shards up. `stopped` says when that is done."""
        self._stopping = True

    def step(self, now_s: float, wall_s: float) -> list[Effect]:
        wanted: list[Effect] = []
        if self.stopped:
            return wanted
        if self._enrolled is None:
            if self._stopping:
                self.stopped = True
            else:
                self._ask(effects.Enrol(), now_s, wanted)
            return wanted
        if self._stopping:
            self._wind_down(now_s, wanted)
        else:
            self._look_around(now_s, wall_s, wanted)
        may_invoke = now_s - self._beat_told_s < LEASE_S
        for follower in list(self.followers.values()):
            wanted += follower.step(now_s, wall_s, may_invoke)
            if follower.phase is Phase.GONE:
                self._sweep(follower)
                self._hasten(effects.Beat, now_s)
                if not self._stopping:
                    self._look_around(now_s, wall_s, wanted)
        return wanted

    def due_s(self, now_s: float) -> float:
        """The monotonic time at which `step` is to be called although nothing came back."""
        if self.stopped:
            return float("inf")
        # Without a beat there is nothing to do but to get one (C2).
        alive = self._stopping or now_s - self._beat_told_s < LEASE_S
        times = [follower.due_s() for follower in self.followers.values()] if alive else []
        for kind in (effects.Enrol, effects.Beat, effects.Describe, effects.Leave):
            if kind not in self._asked and self._applies(kind):
                times.append(self._not_before_s.get(kind, 0.0))
        return min(times, default=float("inf"))

    def _applies(self, kind: type[Effect]) -> bool:
        if self._enrolled is None:
            return kind is effects.Enrol
        if self._stopping:
            return kind is effects.Leave and not self.followers
        return kind in (effects.Beat, effects.Describe)

    def lag_s(self, wall_s: float) -> float:
        return max((follower.lag_s(wall_s) for follower in self.followers.values()), default=0.0)

    @property
    def pending(self) -> int:
        return sum(follower.pending for follower in self.followers.values())

    # -- Control --

    def _ask(self, effect: Effect, now_s: float, wanted: list[Effect]) -> bool:
        """One of each kind at a time, and not before its rest is over."""
        kind = type(effect)
        if kind in self._asked or now_s < self._not_before_s.get(kind, float("-inf")):
            return False
        self._asked.add(kind)
        wanted.append(effect)
        return True

    def _look_around(self, now_s: float, wall_s: float, wanted: list[Effect]) -> None:
        beat = effects.Beat(self._beat + 1, self.report(wall_s), self._roster.gone(now_s))
        if self._ask(beat, now_s, wanted):
            self._beat += 1
            self._beat_asked_s = now_s
        if self._looked:
            self._looked = False
            self._share_out(now_s, wanted)
            self._forget(now_s, wall_s, wanted)
        # Last, because forgetting may want it at once.
        if self._ask(effects.Describe(), now_s, wanted):
            self._doubted = set(self._leases) - set(self._known)

    def _wind_down(self, now_s: float, wanted: list[Effect]) -> None:
        for follower in self.followers.values():
            follower.leave()
        if not self.followers and not self._claiming:
            self._ask(effects.Leave(self.tally.handled, self.tally.retries), now_s, wanted)

    def _share_out(self, now_s: float, wanted: list[Effect]) -> None:
        ended = {key for key, lease in self._leases.items() if lease.ended}
        readable = ready(self._known, ended, set(self._leases))
        leaving = {key for key, f in self.followers.items() if f.phase is Phase.LEAVING or f.leave_wanted}
        mine = (set(self.followers) | self._claiming) - leaving
        share = share_out(readable, self._leases, mine, self._roster.living(now_s), self.worker)
        for key in share.give:
            if key in self.followers:
                self.followers[key].leave()
        for key in share.take:
            if key not in leaving:
                self._claiming.add(key)
                factor = self.settings.parallelization_factor
                wanted.append(effects.Claim(key, self._leases.get(key), factor))

    def _forget(self, now_s: float, wall_s: float, wanted: list[Effect]) -> None:
        """Drop what is kept of shards that are gone from the stream. A lease that is new to this worker may be of a shard
        that another has seen before us, so only two listings in a row count."""
        if self._known and set(self._leases) - set(self._known) - self._doubted:
            self._hasten(effects.Describe, now_s)
        others = self._roster.living(now_s) - {self.worker}
        for key in self._lost_shards & set(self._leases):
            lease = self._leases[key]
            if lease.owner in others and not lease.ended:
                continue
            self.followers.pop(key, None)
            gap = not lease.ended and wall_s - lease.tip_at_s >= RETENTION_S
            wanted.append(effects.Forget(key, lease.factor, gap))
        self._lost_shards = set()

    def _hasten(self, kind: type[Effect], now_s: float) -> None:
        self._not_before_s[kind] = min(self._not_before_s.get(kind, now_s), now_s)

    def _sweep(self, follower: Follower) -> None:
        """A shard that is not followed any more: finished, given up, lost, or to be opened again. That is a claim like any
        other: the lease still names this worker, so the next sharing out takes it under a new epoch."""
        if follower.phase is Phase.GONE and self.followers.get(follower.held.shard) is follower:
            del self.followers[follower.held.shard]

    def report(self, wall_s: float) -> str:
        """What `penstock consumers` shows of this worker."""
        tally = self.tally
        shards = {
            key: {
                "position": sequence_text(follower.position()),
                "pending": follower.pending,
                "lag_s": round(follower.lag_s(wall_s), 1),
                "phase": follower.phase.value,
            }
            for key, follower in self.followers.items()
        }
        return orjson.dumps(
            {
                "at_s": round(wall_s, 3),
                "shards": shards,
                **{name: getattr(tally, name) for name in TOTALS},
                "delays": tally.delays,
                "delay_sum_s": round(tally.delay_sum_s, 6),
                "trouble": self.trouble,
            }
        ).decode()

    # -- Results --

    def settle(self, effect: Effect, result: Result, now_s: float, wall_s: float) -> None:
        self.trouble = result.message if isinstance(result, effects.Trouble) else ""
        held = getattr(effect, "held", None)
        if isinstance(held, Held):
            follower = self.followers.get(held.shard)
            # Another turn's result is about what is not there any more.
            if follower is not None and follower.held == held:
                follower.settle(effect, result, now_s, wall_s)
                self._after(follower, effect, result, now_s)
            return
        self._asked.discard(type(effect))
        if isinstance(effect, effects.Claim):
            self._claim_told(effect, result, wall_s)
        elif isinstance(result, effects.Trouble):
            self.tally.troubles += 1
            self._not_before_s[type(effect)] = now_s + ASK_AGAIN_S
        elif isinstance(effect, effects.Enrol):
            assert isinstance(result, effects.Enrolled)
            self._enrolled = result
        elif isinstance(effect, effects.Beat):
            self._beat_told(result, now_s)
        elif isinstance(effect, effects.Describe):
            self._describe_told(result, now_s)
        elif isinstance(effect, effects.Leave):
            self.stopped = True
        elif isinstance(effect, effects.Forget):
            self._leases.pop(effect.shard, None)

    def _after(self, follower: Follower, effect: Effect, result: Result, now_s: float) -> None:
        """What a follower's end means for the rest."""
        key = follower.held.shard
        if follower.phase is not Phase.GONE:
            return
        self._sweep(follower)
        if isinstance(effect, effects.Finish) and not isinstance(result, effects.Lost):
            self._leases[key] = replace(follower.lease, ended=True)
            self._hasten(effects.Describe, now_s)
            self._hasten(effects.Beat, now_s)
        elif isinstance(effect, effects.Release):
            self._leases[key] = replace(follower.lease, owner="")
            self._hasten(effects.Beat, now_s)

    def _claim_told(self, effect: effects.Claim, result: Result, wall_s: float) -> None:
        self._claiming.discard(effect.shard)
        if not isinstance(result, Lease):
            return
        self._leases[effect.shard] = result
        known = self._known.get(effect.shard)
        # Another worker may have finished the shard after this one had looked; the epoch does not tell.
        if known is None or result.ended:
            return
        self._follow(result, known, wall_s)

    def _follow(self, lease: Lease, known: Known, wall_s: float) -> None:
        assert self._enrolled is not None
        self._turns += 1
        latest = self.settings.starting_position == "LATEST"
        self.followers[lease.shard] = Follower(
            held=Held(lease.shard, lease.epoch, self._turns),
            lease=lease,
            known=known,
            settings=self.settings,
            random=self._random,
            tally=self.tally,
            since_s=self._enrolled.since_s if latest else 0.0,
            whole_at_s=wall_s if lease.epoch == 1 else self._enrolled.since_s,
        )

    def _beat_told(self, result: Result, now_s: float) -> None:
        assert isinstance(result, effects.Seen)
        self._beat_told_s = self._beat_asked_s
        self._not_before_s[effects.Beat] = self._beat_asked_s + BEAT_S
        self._roster.observe(result.beats, now_s)
        for key, follower in list(self.followers.items()):
            lease = result.leases.get(key)
            if lease is not None and lease.epoch > follower.held.epoch:
                del self.followers[key]
        for key, lease in result.leases.items():
            ours = self._leases.get(key)
            # What was read may be older than what this worker has written since.
            if (
                ours is None
                or (lease.epoch, lease.ended) >= (ours.epoch, ours.ended)
                or ours.owner != self.worker
            ):
                self._leases[key] = lease
        for key in self._leases.keys() - result.leases.keys() - self.followers.keys():
            del self._leases[key]
        self._looked = True

    def _describe_told(self, result: Result, now_s: float) -> None:
        assert isinstance(result, effects.Described)
        self._known = listed(result.streams, set(self._leases))
        self._lost_shards = self._doubted - set(self._known) if result.streams else set()
        self._not_before_s[effects.Describe] = now_s + (DESCRIBE_EVERY_S if self._known else DESCRIBE_AGAIN_S)
        self._looked = True
