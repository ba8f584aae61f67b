"""A table's stream begins and ends here: its label, its shards and their first and last sequence numbers.

A label is the stream's birth time, as in `2026-11-20T10:00:00.123`, and a part of its ARN. Two streams of one table
never share one: a stream opened within the same millisecond takes the next that is free.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from penstock.engine.changes import next_sequence
from penstock.engine.plans import Context
from penstock.engine.shards import layout
from penstock.model.tables import Stream, Table


def open_stream(table: Table, view: str, id_: int, context: Context) -> Stream:
    """A new stream of the table, with shards that cover the hashes in equal parts."""
    opened = next_sequence(context.view.last_sequence(), context.now_us)
    return Stream(
        id=id_,
        label=_free_label(table.name, context),
        view=view,
        shards=layout(table.stream_shards, opened),
        created_us=context.now_us,
        table_name=table.name,
        keys=table.keys,
        retention_s=table.stream_retention_s,
    )


def close_stream(stream: Stream, context: Context) -> Stream:
    """The stream takes no more changes; it can be read until its retention is over."""
    last = context.view.last_sequence()
    shards = tuple(
        shard if shard.closed is not None else replace(shard, closed=max(last, shard.opened))
        for shard in stream.shards
    )
    return replace(stream, enabled=False, disabled_us=context.now_us, shards=shards)


def _free_label(table_name: str, context: Context) -> str:
    taken = {stream.label for stream in context.view.streams() if stream.table_name == table_name}
    now_ms = context.now_us // 1000
    while (label := _label(now_ms)) in taken:
        now_ms += 1
    return label


def _label(now_ms: int) -> str:
    seconds, ms = divmod(now_ms, 1000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{ms:03d}"
