"""Rows of files to load: CSV, JSON lines and Parquet, one after another, from a given row on.

    .csv .tsv                    the first line names the columns; values are text unless `types` says number, integer, boolean
    .jsonl .ndjson .json .jsonl.gz …   one object on each line, numbers exact
    .parquet                     typed; needs pyarrow

R1. A row is a dict of plain values, or Refused with the reason. Rows count from 0, bad ones too, so that a load goes on where
    it stopped.
R2. Parquet's binary floats become the shortest decimal that reads back as the same float: 0.1 is 0.1.
R3. An empty CSV field is no attribute: DynamoDB has no empty numbers, and an empty key is refused.
"""

from __future__ import annotations

import csv
import gzip
import importlib
import math
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from itertools import islice
from pathlib import Path
from typing import Any, TypeAlias

from penstock.errors import UsageError
from penstock.events.event_bodies import Refused, read_events

Row: TypeAlias = dict[str, Any]

PARQUET_ROWS = 4096
_FORMATS = {
    ".csv": "csv",
    ".tsv": "csv",
    ".jsonl": "lines",
    ".ndjson": "lines",
    ".json": "lines",
    ".parquet": "parquet",
}

_COUNTED_BYTES = 1024 * 1024


def format_of(path: Path) -> str:
    suffixes = [suffix.lower() for suffix in path.suffixes if suffix.lower() != ".gz"]
    kind = _FORMATS.get(suffixes[-1]) if suffixes else None
    if kind is None:
        raise UsageError(f"{path.name}: the name of a file to load ends in {', '.join(_FORMATS)} (and .gz)")
    return kind


def read_rows(path: Path, types: Mapping[str, str], start: int = 0) -> Iterator[Row | Refused]:
    """Rows from number `start` on. `types` are of CSV columns."""
    match format_of(path):
        case "csv":
            return islice(_csv(path, types), start, None)
        case "lines":
            return islice(_lines(path), start, None)
        case _:
            return islice(_parquet(path), start, None)


def count_hint(path: Path) -> int | None:
    """About how many rows, for a progress bar: what Parquet says, or the lines of a file that is not packed. A line of CSV in
    quotes may be part of a row, so it is a hint and no more."""
    kind = format_of(path)
    if kind == "parquet":
        return int(_pyarrow().ParquetFile(path).metadata.num_rows)
    if path.suffix.lower() == ".gz":
        return None  # Unpacking it twice costs more than a bar is worth.
    lines, last = 0, b"\n"
    with path.open("rb") as file:
        while chunk := file.read(_COUNTED_BYTES):
            lines, last = lines + chunk.count(b"\n"), chunk[-1:]
    lines += last != b"\n"
    return max(0, lines - (kind == "csv"))  # Their first line names the columns.


@contextmanager
def _opened(path: Path) -> Iterator[Iterable[bytes]]:
    if path.suffix.lower() == ".gz":
        with gzip.open(path, "rb") as packed:
            yield packed
    else:
        with path.open("rb") as file:
            yield file


def _lines(path: Path) -> Iterator[Row | Refused]:
    with _opened(path) as file:
        for line in file:
            if line.strip():
                yield read_events(line, "application/x-ndjson")[0]


def _csv(path: Path, types: Mapping[str, str]) -> Iterator[Row | Refused]:
    delimiter = "\t" if ".tsv" in path.suffixes else ","
    with _opened(path) as file:
        text = (line.decode("utf-8-sig" if number == 0 else "utf-8") for number, line in enumerate(file))
        rows = csv.reader(text, delimiter=delimiter)
        columns = next(rows, None)
        if columns is None:
            return
        if len(set(columns)) != len(columns) or "" in columns:
            raise UsageError(f"{path.name}: the first line names each column once")
        for fields in rows:
            if not fields:
                continue
            if len(fields) != len(columns):
                yield Refused(f"{len(fields)} fields where the first line names {len(columns)}")
            else:
                yield _typed(dict(zip(columns, fields, strict=True)), types)


def _typed(fields: dict[str, str], types: Mapping[str, str]) -> Row | Refused:
    row: Row = {}
    for name, text in fields.items():
        if text == "":
            continue
        kind = types.get(name, "string")
        try:
            row[name] = _from_text(text, kind)
        except (ValueError, InvalidOperation):
            return Refused(f"{name} is of type {kind}, not {text!r:.60}")
    return row


def _from_text(text: str, kind: str) -> Any:
    match kind:
        case "number":
            return Decimal(text.strip())
        case "integer":
            return int(text.strip())
        case "boolean":
            folded = text.strip().lower()
            if folded not in ("true", "false", "1", "0"):
                raise ValueError(text)
            return folded in ("true", "1")
        case _:
            return text


def _pyarrow() -> Any:
    try:
        return importlib.import_module("pyarrow.parquet")
    except ModuleNotFoundError as error:
        raise UsageError("Parquet needs pyarrow: pip install 'penstock[lake]'") from error


def _parquet(path: Path) -> Iterator[Row | Refused]:
    for batch in _pyarrow().ParquetFile(path).iter_batches(batch_size=PARQUET_ROWS):
        for row in batch.to_pylist():
            yield _plain_row(row)


def _plain_row(row: Row) -> Row | Refused:
    try:
        return {name: _plain(value) for name, value in row.items() if value is not None}
    except ValueError as error:
        return Refused(str(error))


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"{value} is no number that DynamoDB keeps")
        return Decimal(repr(value))
    if isinstance(value, datetime):
        return (value if value.tzinfo is not None else value.replace(tzinfo=UTC)).isoformat()
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, list):
        return [_plain(each) for each in value]
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    return value
