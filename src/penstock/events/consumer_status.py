"""What is known of each consumer from outside its workers: its shards, who reads them, how far behind they are.

Positions, leases and reports are read from `penstock_consumers`; the lag is measured in the stream itself, so it is right also
where no worker is alive.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import orjson

from penstock.connect.client import Client
from penstock.errors import ServiceError
from penstock.events.dead_letters import DeadLetters
from penstock.events.effects import Held, Page, Read
from penstock.events.leases import Lease
from penstock.events.lineage import Known, StreamShape, began_at_s, listed
from penstock.events.positions import Positions, consumer_names
from penstock.events.records import Entry, entry_of, lambda_record, lane_of, written_s
from penstock.events.settings import RETENTION_S
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
    count, oldest_s = 0, 0.0
    for page in _pages(source, known, min(lanes)):
        for entry in _not_handled(page, known, lanes):
            oldest_s = oldest_s if count else entry.created_s
            count += 1
        if count >= COUNT_MAX:
            return count, oldest_s, True
    return count, oldest_s, False


def _pages(source: Source, known: Known, after: int) -> Iterator[Page]:
    """What the stream holds of a shard behind a position, up to its tip; where it begins later, a page that says so, and
    all that it holds."""
    held, arn, shard_id = Held(known.key, 0, 0), known.stream.arn, known.shard.id
    iterator: str | None = None
    empty, whole = 0, not after
    while True:
        page = source.read(Read(held, arn, shard_id, iterator, after, 0.0, _PAGE, 0, whole))
        yield page
        if page.trimmed and (after or whole):
            after, whole = 0, False
            continue
        empty = 0 if page.records else empty + 1
        iterator = page.iterator
        if iterator is None or empty >= 2:
            return


def _not_handled(page: Page, known: Known, lanes: tuple[int, ...]) -> Iterator[Entry]:
    for record in page.records:
        entry = entry_of(lambda_record(record, known.stream.arn), 0.0)
        if entry.sequence > lanes[lane_of(record, known.stream.partition_key, len(lanes))]:
            yield entry


def has_handled(client: Client, name: str, table: str, until_s: float) -> bool:
    """Whether this consumer has handled every change that was made to its table until then, and gave none up. `until_s` is
    now, or a moment ago. What was written more than a day before that, while the table had no stream, is not asked about."""
    positions = Positions(client, name)
    _, leases, _ = positions.look()
    known = listed(_streams(client, table), set(leases))
    return (
        _is_told_all(known, leases, positions.since_s(), until_s)
        and all(
            _reaches(Source(client, table), each, positions, leases.get(key), until_s)
            for key, each in known.items()
        )
        # Last: what is given up while this looks moves its position in the transaction that makes it a dead letter.
        and not DeadLetters(client).count(name)
    )


def _is_told_all(known: dict[str, Known], leases: dict[str, Lease], since_s: float, until_s: float) -> bool:
    """Whether no change went by the consumer: its stream is on and was so before it, or for a day; what no stream told, as
    of a table that was made anew, came before that. A shard that has left the stream unread becomes a dead letter, but only
    with the next worker."""
    if not any(each.shard.open for each in known.values()):
        return False
    began_s = began_at_s(max(each.stream.label for each in known.values()))
    return (began_s <= since_s or until_s - began_s >= RETENTION_S) and all(
        lease.ended or key in known for key, lease in leases.items()
    )


def _reaches(source: Source, known: Known, positions: Positions, lease: Lease | None, until_s: float) -> bool:
    if lease is None:
        return False  # Whoever opens it may find that its first changes are gone (W5 of follower.py).
    if lease.ended:
        return True
    lanes = positions.positions_of(known.key, lease.factor)
    for page in _pages(source, known, min(lanes)):
        if page.trimmed and until_s - lease.tip_at_s >= RETENTION_S:
            return False  # What was trimmed may not have been handled.
        oldest = next(_not_handled(page, known, lanes), None)
        if oldest is not None:
            return written_s(oldest) > until_s
    return True
