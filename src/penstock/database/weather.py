"""Weather: what AWS on a bad day does to requests, as settings and as draws that a seed decides.

W1. What goes wrong follows from the seed and from the requests alone. A draw is a hash of (seed, kind, action, table,
    which request of this action on this table it is), so the same sequence of requests meets the same weather, and a
    poller in another thread changes nothing for the requests of the others.
W2. Age is counted in writes, not in seconds: a replica that lags by three lacks the last three writes to its table
    or index. Seconds only end things, so that nothing lingers where no more requests come: `lag_s`, `slow_s`.
W3. A chance of 0 switches a kind off, and so does a limit of 0.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from hashlib import blake2b
from math import ceil
from typing import Any

from penstock.errors import UsageError

_UNIT = 1 << 64
_LARGEST = 1_000_000_000


@dataclass(frozen=True)
class Weather:
    """The default is a bad day that every well-made client gets through."""

    seed: int = 0

    # Chances, each from 0 to 1.
    stale_reads: float = (
        0.25  # An eventually consistent read of one partition is served by a replica that lags.
    )
    index_lag: float = (
        0.5  # The same for a partition of a global index, which is always eventually consistent.
    )
    throttling: float = 0.03  # A request is throttled.
    unprocessed: float = 0.2  # A batch is done in part.
    conflicts: float = (
        0.05  # A transaction, or a single write to a table that has transactions, meets another one.
    )
    expired_iterators: float = 0.02  # GetRecords finds its iterator expired.
    shard_splits: float = (
        0.01  # A write to a table with a stream is followed by a split of the shard that it went to.
    )
    short_pages: float = 0.25  # Query and Scan end their page early.
    slow_tables: float = 1.0  # Creating, changing and deleting a table can be seen to take a while.

    # Bounds.
    lag_writes: int = 32  # The oldest state that a stale read shows, in writes to the table or the index.
    lag_s: float = 10.0  # Every replica has caught up by then.
    slow_looks: int = 3  # For how many looks at most a table stays CREATING, UPDATING or DELETING,
    slow_s: float = 5.0  # and for how long.
    ttl_delay_s: int = 60  # How long items outlive their time; AWS promises "within a few days".
    stream_shards: int = 8  # No split takes a stream beyond so many open shards.
    # developerguide/bp-partition-key-design: what one partition serves in a second; 0 is no limit.
    partition_read_units: int = 3000
    partition_write_units: int = 1000


CHANCES = frozenset(
    field.name for field in fields(Weather) if field.type == "float" and not field.name.endswith("_s")
)


def with_settings(weather: Weather, settings: Iterable[str]) -> Weather:
    """The weather with settings of the form `kind=value`, as the command line gives them; `all` is every chance."""
    changed: dict[str, Any] = {}
    for setting in settings:
        name, _, text = setting.partition("=")
        name = name.strip().replace("-", "_")
        if name == "all":
            changed |= dict.fromkeys(CHANCES, _value("stale_reads", text, setting))
        else:
            changed[name] = _value(name, text, setting)
    return replace(weather, **changed)


def _value(name: str, text: str, setting: str) -> float:
    types = {field.name: field.type for field in fields(Weather)}
    if name not in types:
        raise UsageError(f"{setting}: weather is KIND=VALUE, and KIND one of all, {', '.join(types)}")
    try:
        value = int(text) if types[name] == "int" else float(text)
    except ValueError:
        raise UsageError(f"{setting}: {text!r} is not a number") from None
    if not 0 <= value <= (1 if name in CHANCES else _LARGEST):
        raise UsageError(f"{setting}: {'a chance is from 0 to 1' if name in CHANCES else 'out of range'}")
    return value


class Draws:
    """The draws of one request. `salt` tells draws of one kind apart, such as two partitions of one Scan."""

    __slots__ = ("_prefix", "_weather")

    def __init__(self, weather: Weather, action: str, table: str, number: int) -> None:
        self._weather = weather
        self._prefix = f"{weather.seed}/{action}/{table}/{number}/".encode()

    def part(self, kind: str, salt: bytes = b"") -> float:
        """A number from 0 up to, but not including, 1."""
        drawn = blake2b(self._prefix + kind.encode() + b"/" + salt, digest_size=8).digest()
        return int.from_bytes(drawn, "big") / _UNIT

    def strikes(self, kind: str, salt: bytes = b"") -> bool:
        """Whether this kind of trouble happens, by its chance."""
        chance: float = getattr(self._weather, kind)
        return chance > 0 and self.part(kind, salt) < chance

    def whole(self, kind: str, low: int, high: int, salt: bytes = b"") -> int:
        """A whole number, low <= n <= high, each as likely."""
        return low + int(self.part(kind, salt) * (high - low + 1))

    def age(self, salt: bytes) -> int:
        """How many writes a replica lags by: one as often as two or three, those as often as four to seven."""
        most = self._weather.lag_writes
        return min(most, ceil((most + 1) ** self.part("age", salt) - 1) or 1) if most else 0
