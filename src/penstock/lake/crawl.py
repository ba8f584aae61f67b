"""Files that did not come from a table: found in a folder, understood, and brought into Iceberg tables.

    DIR/orders/year=2026/month=11/a.parquet      → crawled.orders, with columns year and month
    DIR/visits.csv                               → crawled.visits

Z1. A table is a folder below DIR, or a file in DIR itself. CSV, JSON (one object a line, or one array) and Parquet, also
    gzipped, may be mixed.
Z2. A file is landed once: the table's properties say which file, in which version, became which data file. A file that
    has changed replaces its rows; all files of a table land in one commit.
Z3. Types are unified over the files (an integer here and a decimal there is a double). A file whose types do not fit the
    table is left out, and the report says why. Nothing is dropped, narrowed or renamed.
Z4. Files are read twice, for their types and then for their rows, one at a time: the largest file has to fit in memory, and
    not all of them.
"""

from __future__ import annotations

import gzip
import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote

import orjson
import pyarrow as pa
import pyarrow.csv
import pyarrow.json
import pyarrow.parquet

from penstock.errors import UsageError
from penstock.lake.iceberg.arrow_tables import aligned, open_for
from penstock.lake.iceberg.table import Commit
from penstock.lake.iceberg.warehouse import Warehouse

NAMESPACE, LANDED = "crawled", "penstock.landed"
_NO_PARTITION = "__HIVE_DEFAULT_PARTITION__"  # How Hive and Spark write a folder of nulls.
FILES_MAX = 10_000  # Of one table: the list stands in its metadata.
_KINDS = {
    ".csv": "csv",
    ".tsv": "csv",
    ".json": "json",
    ".jsonl": "json",
    ".ndjson": "json",
    ".parquet": "parquet",
}


@dataclass
class Found:
    """What became of one table's files."""

    table: str
    landed: list[str] = field(default_factory=list)
    unchanged: int = 0
    unreadable: dict[str, str] = field(default_factory=dict)
    columns: dict[str, str] = field(default_factory=dict)
    rows: int = 0


@dataclass(frozen=True)
class _File:
    path: Path
    name: str  # Relative to the crawled folder.
    partitions: dict[str, str]

    @property
    def version(self) -> str:
        status = self.path.stat()
        return f"{status.st_size}-{status.st_mtime_ns}"


def crawl(warehouse: Warehouse, folder: Path) -> tuple[list[Found], list[str]]:
    """Land what is new; a report for each table, and the files that are of no known kind."""
    if not folder.is_dir():
        raise UsageError(f"{folder} is not a folder")
    tables: dict[str, list[_File]] = {}
    unknown: list[str] = []
    for path in sorted(folder.rglob("*")):
        relative = path.relative_to(folder)
        if not path.is_file() or any(part.startswith((".", "_")) for part in relative.parts):
            continue
        if _kind(path) is None:
            unknown.append(str(relative))
            continue
        tables.setdefault(_table_name(relative), []).append(
            _File(path, str(relative), dict(_partitions(relative)))
        )
    return [_land(warehouse, name, files) for name, files in sorted(tables.items())], unknown


def _kind(path: Path) -> str | None:
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes[-1:] == [".gz"]:
        suffixes = suffixes[:-1]
    return _KINDS.get(suffixes[-1]) if suffixes else None


def _table_name(relative: Path) -> str:
    parts = [part for part in relative.parts[:-1] if "=" not in part]
    raw = parts[0] if parts else relative.name.split(".")[0]
    name = "".join(character if character.isalnum() else "_" for character in raw).strip("_").lower()
    return name or "files"


def _partitions(relative: Path) -> Iterator[tuple[str, str]]:
    for part in relative.parts[:-1]:
        name, equals, value = part.partition("=")
        if equals and name:
            yield name, unquote(value)


def _land(warehouse: Warehouse, name: str, files: list[_File]) -> Found:
    found = Found(f"{NAMESPACE}.{name}")
    if len(files) > FILES_MAX:
        raise UsageError(f"{found.table}: {len(files)} files; at most {FILES_MAX}")
    table = warehouse.find(NAMESPACE, name)
    landed: dict[str, list[str]] = orjson.loads(table.properties.get(LANDED, "{}")) if table else {}
    new = [file for file in files if landed.get(file.name, [""])[0] != file.version]
    found.unchanged = len(files) - len(new)
    readable: list[tuple[_File, str, pa.Schema]] = []
    for file in new:
        version = (
            file.version
        )  # Before it is read: what is written to it meanwhile is landed by the next crawl.
        rows = _rows(file, found)
        if rows is not None:
            readable.append((file, version, rows.schema))
    if not readable:
        return found
    table = open_for(warehouse, found.table, _unified([schema for _, _, schema in readable]))
    commit = Commit()
    for file, version, schema in readable:
        rows = _rows(file, found)
        if rows is None:
            continue
        try:
            if rows.schema != schema:
                raise UsageError("it changed while it was read")
            data = table.write(aligned(table, rows))
        except UsageError as error:
            found.unreadable[file.name] = str(error)
            continue
        previous = landed.get(file.name)
        if previous is not None and previous[1] in table.data:
            commit.remove.add(previous[1])
        landed[file.name] = [version, data.file_path]
        commit.add.append(data)
        found.landed.append(file.name)
        found.rows += rows.num_rows
    if commit.add:
        commit.properties = {LANDED: orjson.dumps(landed).decode()}
        table.commit(commit)
    found.columns = {field.name: str(field.type) for field in table.arrow_schema()}
    return found


def _rows(file: _File, found: Found) -> pa.Table | None:
    """None, and the reason in the report, where it cannot be read."""
    try:
        return _with_partitions(_read(file.path), file)
    except (pa.ArrowException, OSError, EOFError, ValueError) as error:
        found.unreadable[file.name] = (str(error) or type(error).__name__).splitlines()[0]
        return None


def _read(path: Path) -> pa.Table:
    kind = _kind(path)
    if kind == "parquet":
        return pyarrow.parquet.ParquetFile(path).read()
    with gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb") as file:
        if kind == "json":
            return _read_json(file.read())
        tabs = ".tsv" in [suffix.lower() for suffix in path.suffixes]
        rows = pyarrow.csv.read_csv(
            file,
            parse_options=pyarrow.csv.ParseOptions(delimiter="\t" if tabs else ",", newlines_in_values=True),
        )
    # What is no UTF-8 is read as bytes, and would make bytes of the other files' text.
    coded = next((field.name for field in rows.schema if pa.types.is_binary(field.type)), None)
    if coded is not None:
        raise ValueError(f"column {coded} is not UTF-8 text")
    return rows


def _read_json(text: bytes) -> pa.Table:
    """One object a line, or one array of objects."""
    text = text.removeprefix(b"\xef\xbb\xbf").strip()
    if not text.startswith(b"["):
        return pyarrow.json.read_json(io.BytesIO(text))
    objects = orjson.loads(text)
    if not all(isinstance(each, dict) for each in objects):
        raise ValueError("the array holds other things than objects")
    return pa.Table.from_pylist(objects)


def _with_partitions(rows: pa.Table, file: _File) -> pa.Table:
    # SQL takes names in any case.
    names = [name.lower() for name in rows.column_names]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ValueError(f"column {twice} stands in it twice")
    rows = rows.select([name for name in rows.column_names if name not in file.partitions])
    for name, value in file.partitions.items():
        rows = rows.append_column(name, _repeated(value, rows.num_rows))
    return _stored_types(rows)


def _repeated(value: str, count: int) -> pa.Array:
    if value == _NO_PARTITION:
        return pa.nulls(count)
    whole = value.isascii() and value.isdigit()
    return pa.array([int(value) if whole else value] * count, pa.int64() if whole else pa.string())


def _stored_types(rows: pa.Table) -> pa.Table:
    """Types that Iceberg has. Nulls stay without a type: they say nothing about the other files' values."""
    fields = [pa.field(field.name, _stored(field.type)) for field in rows.schema]
    return rows.cast(pa.schema(fields))


def _stored(type_: pa.DataType) -> pa.DataType:
    if pa.types.is_timestamp(type_):
        return pa.timestamp("us", tz="UTC" if type_.tz else None)
    if pa.types.is_time(type_):
        return pa.time64("us")
    if pa.types.is_integer(type_):
        return pa.int64()
    if pa.types.is_floating(type_):
        return pa.float64()
    if pa.types.is_dictionary(type_):
        return _stored(type_.value_type)
    return type_


def _unified(schemas: list[pa.Schema]) -> pa.Schema:
    """Z3, column by column, so that one that does not unify is text and does not spoil the rest."""
    types: dict[str, pa.DataType] = {}
    for schema in schemas:
        for each in schema:
            held = types.get(each.name)
            types[each.name] = each.type if held is None else _wider(held, each.type)
    # Where no file has a value, text takes what will come.
    return pa.schema(
        [(name, pa.string() if pa.types.is_null(type_) else type_) for name, type_ in types.items()]
    )


def _wider(left: pa.DataType, right: pa.DataType) -> pa.DataType:
    if left == right:
        return left
    try:
        unified = pa.unify_schemas(
            [pa.schema([("x", left)]), pa.schema([("x", right)])], promote_options="permissive"
        )
        return unified.field("x").type
    except (pa.ArrowTypeError, pa.ArrowInvalid):
        return pa.string()
