"""How columns of Parquet files are encoded, and that other readers read them."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import polars
import pyarrow as pa
import pyarrow.parquet as pq

from penstock.lake.iceberg.encodings import codecs, encodings

ROWS = 4000
TABLE = pa.table(
    {
        "_sequence": [f"{1763656000000000 + n:021d}" for n in range(ROWS)],
        "_extra": pa.nulls(ROWS, pa.string()),
        "id": [f"p{n:08d}" for n in range(ROWS)],
        "category": [f"c{n % 5}" for n in range(ROWS)],
        "amount": pa.array([Decimal(n) / 100 for n in range(ROWS)], pa.decimal128(38, 9)),
        "at": pa.array([n * 1_000_003 for n in range(ROWS)], pa.timestamp("us", tz="UTC")),
        "count": pa.array(range(ROWS), pa.int64()),
        "flag": [n % 2 == 0 for n in range(ROWS)],
        "tags": [[f"t{n}", "x"] for n in range(ROWS)],
        "where": [{"city": f"x{n}", "at": {"lat": n}} for n in range(ROWS)],
        "by_name": pa.array([[(f"k{n}", n)] for n in range(ROWS)], pa.map_(pa.string(), pa.int64())),
    }
)


def _written(folder: Path) -> str:
    path = str(folder / "x.parquet")
    dictionary, encoding = encodings(TABLE)
    codec, level = codecs(TABLE, dictionary)
    pq.write_table(
        TABLE,
        path,
        use_dictionary=dictionary,
        column_encoding=encoding,
        compression=codec,
        compression_level=level or None,
    )
    return path


# Why: a dictionary of values that all differ is a second copy of the column.
def test_only_what_repeats_gets_a_dictionary(tmp_path: Path) -> None:
    group = pq.read_metadata(_written(tmp_path)).row_group(0)
    told: dict[str, tuple[Any, ...]] = {}
    for place in range(group.num_columns):
        column = group.column(place)
        told[column.path_in_schema] = column.encodings
    assert "RLE_DICTIONARY" in told["category"]
    assert all("RLE_DICTIONARY" not in told[name] for name in ("id", "amount", "_sequence", "at", "count"))
    assert "DELTA_BYTE_ARRAY" in told["_sequence"]
    assert "DELTA_BINARY_PACKED" in told["at"]
    assert "DELTA_BINARY_PACKED" in told["count"]


# Why: a plain decimal is turned around byte by byte for each row, so that a dictionary of half as many is quicker to sum.
def test_decimals_get_a_dictionary_from_the_second_use_on() -> None:
    twice = pa.array([Decimal(n // 2) for n in range(ROWS)], pa.decimal128(38, 9))
    texts = pa.array([str(n // 2) for n in range(ROWS)])
    assert encodings(pa.table({"amount": twice, "text": texts}))[0] == ["amount"]


# Why: N3. A column that is left out of the codecs would be written as it is, without a word.
def test_every_column_is_compressed_by_what_it_holds(tmp_path: Path) -> None:
    group = pq.read_metadata(_written(tmp_path)).row_group(0)
    columns = [group.column(place) for place in range(group.num_columns)]
    told = {column.path_in_schema: column.compression for column in columns}
    assert set(told.values()) == {"SNAPPY", "ZSTD"}
    assert (told["category"], told["id"]) == ("SNAPPY", "ZSTD")
    short = TABLE.slice(0, 100)
    assert set(codecs(short, encodings(short)[0])[0].values()) == {"snappy"}


# Why: an encoding that one of them cannot read makes the lake ours alone.
def test_other_readers_read_every_encoding(tmp_path: Path) -> None:
    path = _written(tmp_path)
    assert pq.read_table(path).equals(TABLE)
    told = duckdb.sql(
        f"SELECT sum(amount), max(id), max(_sequence), epoch_us(max(rows.at)), sum(rows.count) FROM '{path}' AS rows"
    )
    assert told.fetchall() == [
        (Decimal("79980"), "p00003999", "000001763656000003999", 3999 * 1_000_003, 7998000)
    ]
    frame = polars.read_parquet(path)
    assert frame.select("id", "_sequence", "count", "amount").to_arrow().to_pylist() == (
        TABLE.select(["id", "_sequence", "count", "amount"]).to_pylist()
    )
