"""How the columns of a Parquet file are encoded: by what their values are like, measured on the rows that are written.

N1. A dictionary only where values repeat. Where nearly all differ, a dictionary holds them all and breaks their
    neighbourhood for zstd: ids and times of 20,000 rows took 2.3 bytes a row with one, and 0.3 without.
    Decimals lie in 16 bytes and are turned around one by one where they are plain: a dictionary pays from two on (of
    120,000 amounts, 50,000 of them different, a sum takes 2.3 ms with one and 3.6 without, in as many bytes).
N2. Sequence numbers, which ascend, as prefixes that they share; whole numbers and times as differences.
N3. What is in a dictionary is short already: snappy, which unpacks in a third of zstd's time, for 5 % more bytes (a group-by
    over a million rows: 11.8 ms in place of 13.3). So is a file as short as a commit's, which is read more often than it is
    long: each of its columns sets up zstd for two pages, a third of reading it. It is soon compacted.
N4. Nothing that DuckDB, Spark or Trino cannot read: byte stream split of decimals would save 5 % and DuckDB refuses it.
"""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

_REPEATED = 4  # A value stands in a file so often, on average, before a dictionary pays.
_REPEATED_DECIMAL = 2
_ASCENDING = frozenset({"_sequence", "sequence"})
_SHORT_ROWS = 4_000
_ZSTD_LEVEL = 3


def encodings(rows: pa.Table) -> tuple[list[str], dict[str, str]]:
    """The leaves that get a dictionary, and the encodings of others that are not plain."""
    dictionary: list[str] = []
    encoding: dict[str, str] = {}
    for field, column in zip(rows.schema, rows.columns, strict=True):
        if pa.types.is_nested(field.type):
            dictionary += _leaf_paths(field.name, field.type)
        elif field.name in _ASCENDING:
            encoding[field.name] = "DELTA_BYTE_ARRAY"
        elif _repeats(column):
            dictionary.append(field.name)
        elif pa.types.is_integer(field.type) or pa.types.is_timestamp(field.type):
            encoding[field.name] = "DELTA_BINARY_PACKED"
    return dictionary, encoding


def codecs(rows: pa.Table, dictionary: Sequence[str]) -> tuple[dict[str, str], dict[str, int]]:
    """N3: how each leaf is compressed, and the level of those that have one."""
    plain = set() if rows.num_rows < _SHORT_ROWS else set(_leaves(rows.schema)) - set(dictionary)
    chosen = {leaf: "zstd" if leaf in plain else "snappy" for leaf in _leaves(rows.schema)}
    return chosen, dict.fromkeys(plain, _ZSTD_LEVEL)


def _leaves(schema: pa.Schema) -> list[str]:
    return [leaf for field in schema for leaf in _leaf_paths(field.name, field.type)]


def _repeats(column: pa.ChunkedArray) -> bool:
    there = len(column) - column.null_count
    distinct: int = pc.count_distinct(column).as_py()
    repeated = _REPEATED_DECIMAL if pa.types.is_decimal(column.type) else _REPEATED
    return distinct * repeated <= there or not there


def _leaf_paths(path: str, type_: pa.DataType) -> list[str]:
    """A column's leaves as Parquet names them."""
    if pa.types.is_list(type_) or pa.types.is_large_list(type_):
        return _leaf_paths(f"{path}.list.element", type_.value_type)
    if pa.types.is_map(type_):
        return [
            *_leaf_paths(f"{path}.key_value.key", type_.key_type),
            *_leaf_paths(f"{path}.key_value.value", type_.item_type),
        ]
    if pa.types.is_struct(type_):
        return [leaf for field in type_ for leaf in _leaf_paths(f"{path}.{field.name}", field.type)]
    return [path]
