"""Items as rows of one Iceberg table, in its columns' order, with the schema that it needs for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pyarrow as pa

from penstock.lake.cells import build
from penstock.lake.evolution import EXTRA, Columns
from penstock.lake.iceberg.schemas import Schema, grown
from penstock.lake.iceberg.table import IcebergTable
from penstock.model.values import Item


def typed_rows(
    table: IcebergTable, columns: Columns, items: Sequence[Item], own: Mapping[str, pa.Array]
) -> tuple[pa.Table, Schema | None]:
    """The rows, and the grown schema where an item brought a new column. `own` are the columns that no item has."""
    arrays, extras = build(items, columns)
    arrays |= own
    arrays[EXTRA] = pa.array(extras, pa.string())
    schema = None
    if columns.added:
        metadata = table.table.metadata
        schema = grown(table.schema, metadata.last_column_id, table.next_schema_id(), columns.added)
    fields = table.arrow_schema(schema)
    ordered = [
        arrays[field.name].cast(field.type) if field.name in arrays else pa.nulls(len(items), field.type)
        for field in fields
    ]
    return pa.Table.from_arrays(ordered, schema=fields), schema
