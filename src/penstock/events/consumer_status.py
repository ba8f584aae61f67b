"""What is known of each consumer from outside its workers: its shards, who reads them, how far behind they are.

Positions, leases and reports are read from `penstock_consumers`; the lag is measured in the stream itself, so it is right also
where no worker is alive.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import orjson

from penstock.connect.client import Client
from penstock.errors import ServiceError
from penstock.events.dead_letters import DeadLetters
from penstock.events.effects import Held, Read
from penstock.events.leases import Lease
from penstock.events.lineage import Known, StreamShape, listed
from penstock.events.positions import Positions, consumer_names
from penstock.events.records import entry_of, lambda_record, lane_of
from penstock.events.source import Source

COUNT_MAX = 10_000  # Records that are counted per shard before it is called "at least".
_PAGE = 1000
# A worker reports each second. One that was killed is forgotten by the others after minutes, and is none of the workers long
# before that; clocks of machines may differ by a few seconds.
LIVING_S = 15.0


@dataclass(frozen=True)
class ShardStatus:
    shard: str
    owner: str
    ended: bool
    lag_records: int
    lag_s: float
    at_least: bool  # There are more records than were counted.


@dataclass(frozen=True)
class ConsumerStatus:
    name: str
    table: str
    workers: int
    shards: tuple[ShardStatus, ...]
    lag_records: int
    lag_s: float
    at_least: bool
    retries: int
    dead_letters: int
    handled: int
    trouble: str

    def plain(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Observed:
    """A consumer, and what each of its workers said last."""

    status: ConsumerStatus
    reports: dict[str, dict[str, Any]]


def statuses(client: Client, now_s: float) -> list[ConsumerStatus]:
    """Every consumer, by name; none where none ever ran."""
    return [observed.status for observed in observe(client, now_s)]


def observe(client: Client, now_s: float) -> list[Observed]:
    try:
        names = consumer_names(client)
    except ServiceError as error:
        if error.code == "ResourceNotFoundException":
            return []
        raise
    return [_observe_one(client, name, table, now_s) for name, table in names.items()]


def _observe_one(client: Client, name: str, table: str, now_s: float) -> Observed:
    positions = Positions(client, name)
    _, leases, reports = positions.look()
    streams = _streams(client, table)
    known = listed(streams, set(leases))
    shards = [
        _shard_status(client, table, positions, leases.get(key), each, now_s) for key, each in known.items()
    ]
    handled, retries = positions.counted()
    told = {worker: orjson.loads(report) for worker, report in reports.items()}
    living = [each for each in told.values() if now_s - each["at_s"] < LIVING_S]
    status = ConsumerStatus(
        name=name,
        table=table,
        workers=len(living),
        shards=tuple(shards),
        lag_records=sum(shard.lag_records for shard in shards),
        lag_s=max((shard.lag_s for shard in shards), default=0.0),
        at_least=any(shard.at_least for shard in shards),
        retries=retries + sum(each["retries"] for each in told.values()),
        dead_letters=DeadLetters(client).count(name),
        handled=handled + sum(each["handled"] for each in told.values()),
        trouble=next((each["trouble"] for each in living if each["trouble"]), ""),
    )
    return Observed(status, told)


def _streams(client: Client, table: str) -> tuple[StreamShape, ...]:
    try:
        return Source(client, table).streams()
    except ServiceError as error:
        if error.code == "ResourceNotFoundException":
            return ()  # The table is gone; what is known of its consumer is still shown.
        raise


def _shard_status(
    client: Client, table: str, positions: Positions, lease: Lease | None, known: Known, now_s: float
) -> ShardStatus:
    if lease is not None and lease.ended:
        return ShardStatus(known.key, "", True, 0, 0.0, False)
    factor = lease.factor if lease is not None else 1
    lanes = positions.positions_of(known.key, factor)
    count, oldest_s, more = _count_behind(Source(client, table), known, lanes)
    lag_s = round(max(0.0, now_s - oldest_s), 1) if count else 0.0
    return ShardStatus(known.key, lease.owner if lease is not None else "", False, count, lag_s, more)


def _count_behind(source: Source, known: Known, lanes: tuple[int, ...]) -> tuple[int, float, bool]:
    """Records that their lane has not handled, the time of the oldest, and whether there are more than were counted."""
    held = Held(known.key, 0, 0)
    arn, shard_id = known.stream.arn, known.shard.id
    iterator: str | None = None
    after = min(lanes)
    count, oldest_s, empty = 0, 0.0, 0
    while count < COUNT_MAX:
        page = source.read(Read(held, arn, shard_id, iterator, after, 0.0, _PAGE, 0))
        if page.trimmed and after:
            after = 0
            continue
        for record in page.records:
            entry = entry_of(lambda_record(record, arn), 0.0)
            if entry.sequence > lanes[lane_of(record, known.stream.partition_key, len(lanes))]:
                oldest_s = entry.created_s if not count else oldest_s
                count += 1
        empty = 0 if page.records else empty + 1
        iterator = page.iterator
        if iterator is None or empty >= 2:
            return count, oldest_s, False
    return count, oldest_s, True
