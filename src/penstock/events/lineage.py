"""Which shards of a table's streams may be read: parents before children, an older stream before a newer one.

N1. A shard is ready when none of its parents is known and unfinished. A parent that the stream no longer lists is as good
    as finished.
N2. A table has another stream when the last was disabled: every shard of an older stream that the consumer has begun comes
    before the newer stream's first shards. An older stream that it never read is not its business.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime


@dataclass(frozen=True)
class ShardShape:
    id: str
    parent: str | None = None
    open: bool = True


@dataclass(frozen=True)
class StreamShape:
    """One stream of the table, as DescribeStream tells."""

    arn: str
    label: str
    partition_key: str
    shards: tuple[ShardShape, ...]


def shard_key(label: str, shard_id: str) -> str:
    return f"{label}/{shard_id}"


def label_of(key: str) -> str:
    return key.rpartition("/")[0]


def began_at_s(label: str) -> float:
    """A stream's label is the time at which it was switched on, in ISO 8601, UTC."""
    return datetime.fromisoformat(label).replace(tzinfo=UTC).timestamp()


@dataclass(frozen=True)
class Known:
    """A shard that is listed, under its key."""

    key: str
    stream: StreamShape
    shard: ShardShape


def listed(streams: tuple[StreamShape, ...], begun: Collection[str]) -> dict[str, Known]:
    """Every shard that concerns the consumer, in order of streams. `begun`: keys of shards that it has a lease item of."""
    labels = {label_of(key) for key in begun}
    ordered = sorted(streams, key=lambda stream: stream.label)
    chosen = [stream for stream in ordered if stream.label in labels or stream is ordered[-1]]
    return {
        shard_key(stream.label, shard.id): Known(shard_key(stream.label, shard.id), stream, shard)
        for stream in chosen
        for shard in stream.shards
    }


def ready(known: dict[str, Known], ended: Collection[str], begun: Collection[str]) -> list[str]:
    """The keys of shards that may be read now (N1, N2), in the order listed."""
    unfinished_labels = [
        each.stream.label for key, each in known.items() if key not in ended and key in begun
    ]
    oldest = min(unfinished_labels, default="")
    found: list[str] = []
    for key, each in known.items():
        if key in ended:
            continue
        parent = each.shard.parent
        parent_key = shard_key(each.stream.label, parent) if parent is not None else None
        if parent_key is not None and parent_key in known and parent_key not in ended:
            continue
        if key not in begun and oldest and each.stream.label > oldest:
            continue
        found.append(key)
    return found
