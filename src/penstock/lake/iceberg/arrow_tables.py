"""Tables made of Arrow rows: curated, crawled. The schema comes from the rows and grows with them.

A1. A write is one commit: all rows or none, with the properties that say what they were made from.
A2. A column that is new is added. One whose type does not fit the table's is an error that names it.
"""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa
from pyiceberg.exceptions import ValidationError as SchemaError

from penstock.errors import UsageError
from penstock.lake.iceberg.rest_calls import SINK_NAMESPACES
from penstock.lake.iceberg.table import Commit, IcebergTable
from penstock.lake.iceberg.warehouse import Warehouse

ROWS_PER_FILE = 500_000


def split_name(name: str) -> tuple[str, str]:
    """`curated.daily_sales` as (namespace, name)."""
    namespace, dot, table = name.partition(".")
    if not dot or not namespace or not table or "." in table:
        raise UsageError(
            f"{name!r} is not a table's name; write namespace.table, such as curated.daily_sales"
        )
    if namespace in SINK_NAMESPACES:
        raise UsageError(f"{name}: the namespace {namespace} is written by the sinks alone")
    return namespace, table


def open_for(warehouse: Warehouse, name: str, schema: pa.Schema) -> IcebergTable:
    """The table, made or with columns added so that it takes rows of this schema."""
    namespace, table_name = split_name(name)
    table = warehouse.find(namespace, table_name)
    if table is None:
        return warehouse.ensure(namespace, table_name, schema)
    held = {field.name.lower() for field in table.arrow_schema()}
    new = [field for field in schema if field.name.lower() not in held]
    if new:
        try:
            with table.table.update_schema() as update:
                update.union_by_name(pa.schema(new))
        except (SchemaError, ValueError) as error:
            raise UsageError(f"{name}: {error}") from error
        table.reload()
    return table


def aligned(table: IcebergTable, rows: pa.Table) -> pa.Table:
    """The rows in the table's columns. A2."""
    fields = table.arrow_schema()
    by_name = {name.lower(): name for name in rows.column_names}
    columns = []
    for field in fields:
        name = by_name.get(field.name.lower())
        try:
            columns.append(
                pa.nulls(rows.num_rows, field.type) if name is None else rows.column(name).cast(field.type)
            )
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise UsageError(
                f"{table.name}: column {field.name} does not fit {field.type}: {error}"
            ) from error
    return pa.Table.from_arrays(columns, schema=fields)


def replace_rows(warehouse: Warehouse, name: str, rows: pa.Table, properties: Mapping[str, str]) -> None:
    """The table holds these rows and no others, from one commit on."""
    table = open_for(warehouse, name, rows.schema)
    fitted = aligned(table, rows)
    commit = Commit(remove={*table.data, *table.deletes}, properties=properties)
    for start in range(0, fitted.num_rows, ROWS_PER_FILE):
        commit.add.append(table.write(fitted.slice(start, ROWS_PER_FILE)))
    table.commit(commit)
