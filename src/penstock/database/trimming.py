"""Retention: changes leave a stream when they are older than it keeps them, and an ended stream leaves when it is empty.

R1. Each step takes one shard: one seek finds the last change that is too old, one range delete takes it and all before
    it. So a step costs the same for ten changes as for ten million.
R2. The same batch notes the last number that went (`trim_key`), which is what makes a position before it an error
    instead of a gap. Nothing else moves a trim horizon: what is not trimmed can be read, however old.
R3. A stream that was disabled, or whose table is gone, stays until its last change is past the retention.
R4. A shard that was split leaves its stream's layout when every number that it held is past the retention.
"""

from __future__ import annotations

import logging

from penstock.database.database import Database
from penstock.database.sweeps import Job
from penstock.engine import shards
from penstock.engine.changes import (
    SEQUENCE_BYTES,
    SEQUENCE_PER_US,
    change_key,
    sequence_in_key,
    shard_prefix,
    trim_key,
)
from penstock.engine.plans import Plan
from penstock.errors import StoreUnavailable
from penstock.model.keys import after
from penstock.store.interface import Family

log = logging.getLogger("penstock.database")

TRIM_EVERY_S = 60.0


def trim_changes(database: Database) -> Job:
    """Forever: look at every stream once a minute, one shard at a time."""
    while True:
        for id_ in [stream.id for stream in database.view.streams()]:
            try:
                yield from _trim_stream(database, id_)
            except StoreUnavailable as error:
                # Nothing was trimmed; a full disk is no reason to stop looking.
                log.warning("changes of stream %d could not be trimmed: %s", id_, error)
        yield TRIM_EVERY_S


def _trim_stream(database: Database, id_: int) -> Job:
    stream = database.view.stream(id_)
    if stream is None:
        return
    cut_us = database.context().now_us - stream.retention_s * 1_000_000
    cut = max(cut_us, 0) * SEQUENCE_PER_US
    for shard in stream.shards:
        if _trim_shard(database, id_, shard.number, cut):
            yield 0.0
    stream = database.view.stream(id_)
    if stream is None:
        return
    if not stream.enabled:
        if stream.disabled_us < cut_us:
            gone = {shard.number for shard in stream.shards}
            database.apply(_forget(id_, gone, Plan(ended=(id_,))))
        return
    pruned = shards.prune(stream, cut)
    if pruned is not stream:
        gone = {shard.number for shard in stream.shards} - {shard.number for shard in pruned.shards}
        database.apply(_forget(id_, gone, shards.redefine(pruned, database.view)))


def _trim_shard(database: Database, stream: int, number: int, cut: int) -> bool:
    key = trim_key(stream, number)
    first = int.from_bytes(database.view.get_meta(key) or b"", "big") + 1
    # A clock that jumped ahead must not take what is not even synced.
    end = min(cut, database.view.durable_sequence() + 1)
    lower, upper = change_key(stream, number, first), change_key(stream, number, max(first, end))
    newest = next(database.store.scan(Family.CHANGES, lower, upper, reverse=True), None)
    if newest is None:
        return False
    last = sequence_in_key(newest[0])
    through = change_key(stream, number, last + 1)
    plan = Plan(trimmed=((lower, through),), meta=[(key, last.to_bytes(SEQUENCE_BYTES, "big"))])
    return database.apply(plan)


def _forget(stream: int, numbers: set[int], plan: Plan) -> Plan:
    """The plan, with all that is kept of these shards gone."""
    prefixes = [shard_prefix(stream, number) for number in sorted(numbers)]
    plan.trimmed = tuple((prefix, after(prefix)) for prefix in prefixes)
    plan.meta = [(trim_key(stream, number), None) for number in sorted(numbers)]
    return plan
