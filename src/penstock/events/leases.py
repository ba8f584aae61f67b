"""Who reads which shard: leases that change hands only by a conditional write, shared evenly among living workers.

E1. Each change of hands raises the lease's epoch, on condition that it is as it was seen. Every write that moves a position
    carries the epoch as its fence, so who lost a lease cannot move anything.
E2. A worker lives while its beat changes. Clocks of machines are not compared: each worker watches the others' beats with
    its own monotonic clock, and takes one for dead that has stood still for LEASE_S.
E3. With n ready shards and w living workers each holds at most ceil(n / w): who has more gives the surplus back, who has
    less takes what is free. Nobody takes from the living, so a batch in a handler is never pulled away.
"""

from __future__ import annotations

from dataclasses import dataclass, field

BEAT_S = 1.0
LEASE_S = (
    4.0  # Four beats: one late answer of the store costs nobody a shard, and a dead worker's wait is short.
)

FORGET_S = 300.0


@dataclass(frozen=True)
class Lease:
    """A shard's item in the consumers' table. `owner` is empty where nobody holds it."""

    shard: str
    owner: str = ""
    epoch: int = 0
    factor: int = 1
    ended: bool = False
    tip_at_s: float = 0.0  # Wall time at which the shard was last at its tip, with all of it handled.


@dataclass(slots=True)
class _Pulse:
    beat: int
    seen_s: float


@dataclass(slots=True)
class Roster:
    """What one worker knows of the others."""

    me: str
    pulses: dict[str, _Pulse] = field(default_factory=dict)

    def observe(self, beats: dict[str, int], now_s: float) -> None:
        for worker, beat in beats.items():
            pulse = self.pulses.get(worker)
            if pulse is None or pulse.beat != beat:
                self.pulses[worker] = _Pulse(beat, now_s)
        for gone in self.pulses.keys() - beats.keys():
            del self.pulses[gone]

    def living(self, now_s: float) -> set[str]:
        alive = {worker for worker, pulse in self.pulses.items() if now_s - pulse.seen_s < LEASE_S}
        return alive | {self.me}

    def gone(self, now_s: float) -> tuple[str, ...]:
        """Dead for so long that their item tells nobody anything."""
        still = [w for w, pulse in self.pulses.items() if now_s - pulse.seen_s >= FORGET_S and w != self.me]
        return tuple(sorted(still))


@dataclass(frozen=True)
class Share:
    """What a worker should do about leases now."""

    take: tuple[str, ...]
    give: tuple[str, ...]


def share_out(ready: list[str], leases: dict[str, Lease], mine: set[str], living: set[str], me: str) -> Share:
    """E3. `mine` are the shards that this worker holds or is about to."""
    fair = -(-len(ready) // len(living)) if ready else 0
    held = [shard for shard in ready if shard in mine]
    if len(held) > fair:
        return Share((), tuple(held[fair:]))
    free = [
        shard
        for shard in ready
        if shard not in mine and (shard not in leases or leases[shard].owner not in living - {me})
    ]
    # What still names this worker nobody else can take: it takes that up again, and gives it back if it has too much then.
    ours = [shard for shard in free if shard in leases and leases[shard].owner == me]
    free = [shard for shard in free if shard not in ours]
    # Workers begin at different places, so that they rarely reach for the same shard.
    turn = sorted(living).index(me) * fair % len(free) if free else 0
    room = max(0, fair - len(held) - len(ours))
    return Share((*ours, *(free[turn:] + free[:turn])[:room]), ())
