"""The change log in the lake, `raw.NAME`: append only, the first to be committed, and what everything else is made from.

W1. A commit appends rows with the ordinals `offset … offset + n - 1` and moves the position in the same commit.
W2. The rows of an interval of ordinals can be read back, so that `current` and the quarantine catch up without the stream.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from penstock.lake.iceberg.table import Commit, IcebergTable, day_partition, live_bounds
from penstock.lake.progress import POSITION, Position, decode
from penstock.lake.rows import Change, image_text

_DAY_US = 86_400_000_000
READ_ROWS = 50_000


class RawLog:
    """The writer of one raw table."""

    def __init__(self, table: IcebergTable) -> None:
        self.table = table
        self._schema = table.arrow_schema()

    @property
    def position(self) -> Position:
        return decode(self.table.properties.get(POSITION))

    def append(self, changes: Sequence[Change], position: Position) -> None:
        """Commit these rows with the position behind them (W1)."""
        first = position.offset - len(changes)
        by_day: dict[int, list[int]] = {}
        for place, change in enumerate(changes):
            by_day.setdefault(change.commit_us // _DAY_US, []).append(place)
        rows = _rows(changes, first, self._schema)
        files = [
            self.table.write(rows if len(by_day) == 1 else rows.take(places), partition=day_partition(day))
            for day, places in sorted(by_day.items())
        ]
        summary = {
            "penstock.from-ordinal": str(first),
            "penstock.to-ordinal": str(position.offset),
        }
        self.table.commit(Commit(add=files, properties={POSITION: position.encode()}, summary=summary))

    def read(self, from_ordinal: int, until_ordinal: int) -> Iterator[list[Change]]:
        """Changes of these ordinals in order (W2), as many in memory as few files hold."""
        chosen: list[tuple[int, str]] = []
        for path, entry in self.table.data.items():
            low, high = live_bounds(entry, 1)
            if low is None or high is None or (high >= from_ordinal and low < until_ordinal):
                chosen.append((low or 0, path))
        chosen.sort()
        wanted = (pc.field("ordinal") >= from_ordinal) & (pc.field("ordinal") < until_ordinal)
        schema = _plain(self._schema)
        held = schema.empty_table()
        for place, (_, path) in enumerate(chosen):
            held = pa.concat_tables([held, self.table.read(path, schema=schema, filters=wanted)])
            # Files overlap where a batch spanned two days or was compacted: what the next one may come before waits.
            begins = chosen[place + 1][0] if place + 1 < len(chosen) else until_ordinal
            ready = held.filter(pc.field("ordinal") < begins).sort_by("ordinal")
            held = held.filter(pc.field("ordinal") >= begins)
            for start in range(0, ready.num_rows, READ_ROWS):
                yield [_change(row) for row in ready.slice(start, READ_ROWS).to_pylist()]


def _plain(schema: pa.Schema) -> pa.Schema:
    return pa.schema([pa.field(field.name, field.type) for field in schema])


def _rows(changes: Sequence[Change], first: int, schema: pa.Schema) -> pa.Table:
    arrays = [
        pa.array(range(first, first + len(changes)), pa.int64()),
        pa.array([change.sequence for change in changes], pa.string()),
        pa.array([change.shard for change in changes], pa.string()),
        pa.array([change.operation for change in changes], pa.string()),
        pa.array([change.event_us for change in changes], pa.int64()).cast(schema.field("event_time").type),
        pa.array([change.commit_us for change in changes], pa.int64()).cast(schema.field("commit_time").type),
        pa.array([change.key for change in changes], pa.string()),
        pa.array([image_text(change.old) for change in changes], pa.string()),
        pa.array([image_text(change.new) for change in changes], pa.string()),
        pa.array([change.expired for change in changes], pa.bool_()),
        pa.array([change.refused for change in changes], pa.string()),
    ]
    return pa.Table.from_arrays(arrays, schema=schema)


def _change(row: dict[str, object]) -> Change:
    def image(text: object) -> object:
        return None if text is None else orjson.loads(str(text))

    return Change(
        str(row["sequence"]),
        str(row["shard"]),
        str(row["operation"]),
        _us(row["event_time"]),
        _us(row["commit_time"]),
        str(row["key"]),
        image(row["new_image"]),  # type: ignore[arg-type]
        image(row["old_image"]),  # type: ignore[arg-type]
        bool(row["expired"]),
        row["refused"],  # type: ignore[arg-type]
    )


def _us(moment: object) -> int:
    return round(moment.timestamp() * 1_000_000)  # type: ignore[attr-defined,no-any-return]
