"""What a query answers: Arrow, and what people turn it into."""

from __future__ import annotations

import base64
import importlib
import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.csv
import pyarrow.ipc
import pyarrow.parquet

from penstock.errors import UsageError
from penstock.lake.cells import number_text


@dataclass(frozen=True)
class Result:
    """`truncated` says that there were more rows than were asked for."""

    table: pa.Table
    seconds: float = 0.0
    truncated: bool = False

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """Any library that speaks Arrow's stream interface takes a result as it is."""
        return self.table.__arrow_c_stream__(requested_schema)

    def to_arrow(self) -> pa.Table:
        return self.table

    def to_pandas(self) -> Any:
        _needed("pandas")
        return self.table.to_pandas()

    def to_polars(self) -> Any:
        return _needed("polars").from_arrow(self.table)

    def rows(self) -> list[dict[str, Any]]:
        with expressible(self.table):
            rows: list[dict[str, Any]] = self.table.to_pylist()
        return rows

    def write(self, format_: str) -> bytes:
        """`csv`, `json` (one object a line), `arrow` (a stream) or `parquet`."""
        if format_ not in WRITERS:
            raise UsageError(f"no format {format_!r}; there are {', '.join(sorted(WRITERS))}")
        with expressible(self.table):
            return WRITERS[format_](self.table)


@contextmanager
def expressible(table: pa.Table) -> Iterator[None]:
    """Values of DuckDB that Python or a format has no form for (a date in the year 5877642) are told by column."""
    try:
        yield
    except (OverflowError, pa.ArrowNotImplementedError, pa.ArrowInvalid) as error:
        named = next((name for name in table.column_names if not _fits_python(table[name])), None)
        column = "a column" if named is None else f"column {named}"
        raise UsageError(f"{column} has no form in this answer: CAST it AS VARCHAR ({error})") from error


def _fits_python(column: pa.ChunkedArray) -> bool:
    try:
        column.to_pylist()
    except OverflowError:
        return False
    return True


def _needed(library: str) -> Any:
    try:
        return importlib.import_module(library)
    except ModuleNotFoundError as error:
        raise UsageError(f"to_{library}() needs {library}: pip install {library}") from error


def json_value(value: object) -> object:
    """What JSON has no form for: numbers stay digit by digit, as text; bytes are base64."""
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return number_text(value) if isinstance(value, Decimal) else str(value)


def _json_lines(table: pa.Table) -> bytes:
    options = orjson.OPT_APPEND_NEWLINE
    return b"".join(
        orjson.dumps(row, default=json_value, option=options)
        for batch in table.to_batches(max_chunksize=10_000)
        for row in batch.to_pylist()
    )


def _csv(table: pa.Table) -> bytes:
    out = io.BytesIO()
    pyarrow.csv.write_csv(_flat(table), out)
    return out.getvalue()


def _flat(table: pa.Table) -> pa.Table:
    """CSV has no lists, bytes or decimals: they become JSON text, base64 and plain digits."""
    columns = []
    for name in table.column_names:
        column = table.column(name)
        type_ = column.type
        if pa.types.is_nested(type_):
            texts = [
                None if value is None else orjson.dumps(value, default=json_value).decode()
                for value in column.to_pylist()
            ]
            column = pa.chunked_array([pa.array(texts, pa.string())])
        elif pa.types.is_binary(type_) or pa.types.is_large_binary(type_):
            coded = [
                None if value is None else base64.b64encode(value).decode() for value in column.to_pylist()
            ]
            column = pa.chunked_array([pa.array(coded, pa.string())])
        elif pa.types.is_decimal(type_):
            # Arrow writes a zero of nine places as 0E-9.
            digits = [None if value is None else number_text(value) for value in column.to_pylist()]
            column = pa.chunked_array([pa.array(digits, pa.string())])
        columns.append(column)
    return pa.table(columns, names=table.column_names)


def _arrow(table: pa.Table) -> bytes:
    out = io.BytesIO()
    with pyarrow.ipc.new_stream(out, table.schema) as writer:
        writer.write_table(table)
    return out.getvalue()


def _parquet(table: pa.Table) -> bytes:
    out = io.BytesIO()
    pyarrow.parquet.write_table(table, out, compression="zstd")
    return out.getvalue()


WRITERS: dict[str, Callable[[pa.Table], bytes]] = {
    "arrow": _arrow, "csv": _csv, "json": _json_lines, "parquet": _parquet,
}  # fmt: skip
