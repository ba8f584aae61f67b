"""What a consumer wants done, and what comes back: the seam between its pure core and threads, clients, handlers.

`Consumer.step` gives effects, something performs each of them, in any order and at any speed, and hands its result to
`Consumer.settle`. A result of `Trouble` means that the store did not answer as it should: whether the effect took place is
then unknown, and every effect is made so that doing it again does no harm.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from penstock.events.lanes import Burial
from penstock.events.leases import Lease
from penstock.events.lineage import StreamShape
from penstock.events.outcomes import Outcome
from penstock.events.records import Record


@dataclass(frozen=True)
class Held:
    """A shard under a lease of ours. `turn` tells apart the times that it was opened by one worker."""

    shard: str  # Label and shard id: see `lineage.shard_key`.
    epoch: int
    turn: int


# -- Asked of the consumers' table and of the stream --


@dataclass(frozen=True)
class Enrol:
    """Make the consumer known, once; the answer is what is known of it."""


@dataclass(frozen=True)
class Beat:
    """Say that this worker lives, and look who else does and who holds what."""

    beat: int
    report: str  # JSON, for `penstock consumers`.
    gone: tuple[str, ...] = ()  # Workers that are dead for long: their items are dropped.


@dataclass(frozen=True)
class Describe:
    """The table's streams and their shards."""


@dataclass(frozen=True)
class Claim:
    """Take over a lease that was seen like this; None where there was none."""

    shard: str
    seen: Lease | None
    factor: int


@dataclass(frozen=True)
class Open:
    """Put our fence on each lane and read the positions."""

    held: Held
    factor: int


@dataclass(frozen=True)
class Switch:
    """Every lane stands at `position`: go on with another number of lanes."""

    held: Held
    factor: int
    position: int


@dataclass(frozen=True)
class Read:
    """`iterator` is the one that the last read gave. Without it: after `after`; where that is 0, from `since_s` on, or from
    the oldest record where that is 0 too."""

    held: Held
    stream_arn: str
    shard_id: str
    iterator: str | None
    after: int
    since_s: float
    limit: int
    wait_ms: int
    whole: bool = False  # From the shard's first record on, which must not have been trimmed.


@dataclass(frozen=True)
class Save:
    held: Held
    lane: int
    factor: int
    position: int


@dataclass(frozen=True)
class Bury:
    held: Held
    stream_arn: str
    lane: int
    factor: int
    before: int  # The saved position, which moves past the records in the same transaction.
    burial: Burial


@dataclass(frozen=True)
class RecordGap:
    """Records between a position and the stream's horizon are gone: say so where people look."""

    held: Held
    stream_arn: str
    after: int


@dataclass(frozen=True)
class Note:
    """Keep with the lease that its shard was read to its tip, and all of it handled, at this time."""

    held: Held
    tip_at_s: float


@dataclass(frozen=True)
class Finish:
    """The shard was read to its end and everything of it is handled."""

    held: Held


@dataclass(frozen=True)
class Release:
    """Give the shard up, for others to take at once."""

    held: Held


@dataclass(frozen=True)
class Leave:
    """This worker goes. What it has counted is added to the consumer's own numbers."""

    handled: int
    retries: int


@dataclass(frozen=True)
class Forget:
    """The shard has left the stream: drop what was kept of it. `gap`: it was not read to its end, which is recorded."""

    shard: str
    factor: int
    gap: bool


# -- Asked of the handler --


@dataclass(frozen=True)
class Invoke:
    held: Held
    stream_arn: str
    lane: int
    factor: int
    before: int  # The saved position, which a commit of the handler replaces.
    records: tuple[Record, ...]
    attempt: int


Effect: TypeAlias = (
    Enrol | Beat | Describe | Claim | Open | Switch | Read | Save | Bury | RecordGap | Note | Finish | Release
    | Leave | Forget | Invoke
)  # fmt: skip


# -- Results --


@dataclass(frozen=True)
class Trouble:
    """The store did not do it, or did not say so."""

    message: str


@dataclass(frozen=True)
class Lost:
    """A conditional write found another's fence: the shard is not ours any more."""


@dataclass(frozen=True)
class Enrolled:
    since_s: float  # Wall time of the consumer's first start.


@dataclass(frozen=True)
class Seen:
    """What the consumer's partition holds."""

    beats: dict[str, int]
    leases: dict[str, Lease]


@dataclass(frozen=True)
class Described:
    streams: tuple[StreamShape, ...]


@dataclass(frozen=True)
class Opened:
    positions: tuple[int, ...]


@dataclass(frozen=True)
class Page:
    """`iterator` is None at the end of a closed shard. `trimmed`: what `after` asks for is gone from the stream."""

    records: tuple[Record, ...] = ()
    iterator: str | None = None
    trimmed: bool = False


@dataclass(frozen=True)
class Done:
    """It took place."""


Result: TypeAlias = (
    Trouble | Lost | Enrolled | Seen | Described | Lease | Opened | Page | Done | Outcome | None
)
