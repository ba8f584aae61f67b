"""`current` as it was at a sequence number, made again from `raw`: the last change of each item up to there.

P1. The same conversion as the sink's makes the columns, so that a replay up to now equals `current`.
P2. Changes that were quarantined when they came are left out here too.
"""

from __future__ import annotations

from collections.abc import Sequence

import duckdb
import orjson
import pyarrow as pa

from penstock.errors import UsageError
from penstock.lake.cells import arrow_type, build
from penstock.lake.evolution import EXTRA, KEY, KINDS, SEQUENCE, Column, Columns
from penstock.sql.names import literal

ROWS_MAX = 5_000_000  # Held in memory: what is larger is asked of raw itself.
_BATCH = 20_000


def replayed(
    raw: str,
    quarantine: str | None,
    attributes: Sequence[Column],
    sequence: str,
    connect: duckdb.DuckDBPyConnection,
) -> pa.Table:
    """`raw` and `quarantine` are SELECTs."""
    refused = "" if quarantine is None else f" AND ordinal NOT IN (SELECT ordinal FROM ({quarantine}))"
    last = (
        "SELECT key, arg_max(sequence, ordinal) AS sequence, arg_max(operation, ordinal) AS operation, "
        f"arg_max(new_image, ordinal) AS image FROM ({raw}) "
        f"WHERE sequence <= {literal(sequence)} AND refused IS NULL{refused} GROUP BY key"
    )
    reader = connect.execute(
        f"SELECT key, sequence, image FROM ({last}) WHERE operation <> 'REMOVE' ORDER BY key"
    ).to_arrow_reader(_BATCH)
    declared = {column.attribute: column.kind for column in attributes if column.kind not in KINDS}
    columns = Columns(attributes, declared)
    parts: list[tuple[dict[str, pa.Array], int]] = []
    count = 0
    for batch in reader:
        rows = batch.num_rows
        count += rows
        if count > ROWS_MAX:
            raise UsageError(f"the table held more than {ROWS_MAX} items then; ask raw instead")
        items = [orjson.loads(text) for text in batch.column(2).to_pylist()]
        arrays, extras = build(items, columns)
        arrays[KEY], arrays[SEQUENCE] = batch.column(0), batch.column(1)
        arrays[EXTRA] = pa.array(extras, pa.string())
        parts.append((arrays, rows))
    schema = pa.schema(
        [(KEY, pa.string()), (SEQUENCE, pa.string()), (EXTRA, pa.string())]
        + [(column.name, arrow_type(column.kind)) for column in columns.all]
    )
    tables = [_table(arrays, rows, schema) for arrays, rows in parts]
    return pa.concat_tables(tables) if tables else schema.empty_table()


def _table(arrays: dict[str, pa.Array], rows: int, schema: pa.Schema) -> pa.Table:
    return pa.Table.from_arrays(
        [
            arrays[field.name].cast(field.type) if field.name in arrays else pa.nulls(rows, field.type)
            for field in schema
        ],
        schema=schema,
    )
