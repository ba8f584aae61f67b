"""SQL over `current` at one and ten million rows, each question in turns with DuckDB on plain Parquet of the same rows.

    python bench/lake_sql.py [--rows 1000000 10000000]

The rows are the storefront's purchases, made as Arrow and written by the lake's own writer in files of the size that
compaction leaves. They did not come through a table: `lake.py` measures that way. The plain copy is DuckDB's own, one
file of zstd. The table of one million rows is asked again after 60 commits that changed 1,000 items each: as
these leave it, which upkeep never lets happen, and after upkeep.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from penstock.lake.current import CurrentState
from penstock.lake.evolution import EXTRA, KEY, SEQUENCE, Columns
from penstock.lake.iceberg.schemas import CURRENT_SCHEMA, grown
from penstock.lake.iceberg.table import Commit, IcebergTable
from penstock.lake.iceberg.warehouse import open_warehouse
from penstock.lake.upkeep import compact_current
from penstock.sql.lake import Lake

ROWS_PER_FILE = 120_000  # What a turn of compaction leaves.
CHANGES, CHANGED = 60, 1000
CATEGORIES = np.array(["books", "garden", "jewelry", "music", "toys"])
QUESTIONS = (
    ("point", "SELECT amount FROM {} WHERE id = 'p{:08d}'", 100),
    ("group-by", "SELECT category, sum(amount) FROM {} GROUP BY 1", 400),
    ("top 10", "SELECT customer, sum(amount) AS s FROM {} GROUP BY 1 ORDER BY 2 DESC LIMIT 10", None),
)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rows", type=int, nargs="+", default=[1_000_000, 10_000_000])
    options.add_argument("--turns", type=int, default=15)
    chosen = options.parse_args()
    for place, rows in enumerate(chosen.rows):
        with tempfile.TemporaryDirectory(prefix="penstock-bench-") as folder:
            lake = Lake(open_warehouse(f"{folder}/lake"))
            table = _made(lake, rows)
            size = table.size()
            print(f"{rows:,} rows, {size.files} files, {size.bytes / size.rows:.1f} bytes a row")
            _compare(lake, Path(folder) / "plain.parquet", chosen.turns, None)
            if place == 0:
                _change(table, rows)
                size = table.size()
                print(f"after {CHANGES} commits: {size.files} files, {size.delete_files} of deletes")
                _compare(lake, Path(folder) / "plain-changed.parquet", chosen.turns, 250)
                current = CurrentState(table)
                while compact_current(current, force=False):
                    pass
                size = table.size()
                print(f"the same after upkeep: {size.files} files, {size.delete_files} of deletes")
                _compare(lake, Path(folder) / "plain-kept.parquet", chosen.turns, 250)


def _made(lake: Lake, rows: int) -> IcebergTable:
    table = lake.warehouse.ensure("current", "purchases", CURRENT_SCHEMA)
    columns = Columns([])
    for name in ("customer", "id", "category", "purchased_at"):
        columns.place(name, "S")
    for name in ("amount", "quantity"):
        columns.place(name, "N")
    last_id, schema_id = table.table.metadata.last_column_id, table.next_schema_id()
    table.commit(Commit(schema=grown(table.schema, last_id, schema_id, columns.added)))
    chance = np.random.default_rng(1)
    commit = Commit()
    for first in range(0, rows, ROWS_PER_FILE):
        numbers = np.arange(first, min(first + ROWS_PER_FILE, rows))
        commit.add.append(table.write(_purchases(numbers, chance, table.arrow_schema())))
    table.commit(commit)
    return table


def _purchases(numbers: np.ndarray, chance: np.random.Generator, schema: pa.Schema) -> pa.Table:
    count = len(numbers)
    customer = _digits("c", chance.integers(0, 20_000, count), 5)
    id_ = _digits("p", numbers, 8)
    seconds = pa.array(numbers + 1_763_596_800).cast(pa.timestamp("s"))
    at = pc.binary_join_element_wise(pc.strftime(seconds, format="%Y-%m-%dT%H:%M:%S"), ".000000Z", "")
    amount = pa.array(chance.integers(100, 50_000, count) / 100).cast(pa.decimal128(9, 2))
    columns = {
        KEY: pc.binary_join_element_wise('{"customer":{"S":"', customer, '"},"id":{"S":"', id_, '"}}', ""),
        SEQUENCE: _digits("", (numbers * 33 + 1_763_656_000_000_000) * 100_000 % 2**62, 21),
        EXTRA: pa.nulls(count, pa.string()),
        "customer": customer,
        "id": id_,
        "category": pa.array(CATEGORIES[chance.integers(0, len(CATEGORIES), count)]),
        "purchased_at": at,
        "amount": amount,
        "quantity": pa.array(chance.integers(1, 5, count)).cast(pa.decimal128(29, 0)),
    }
    return pa.Table.from_arrays([columns[field.name].cast(field.type) for field in schema], schema=schema)


def _digits(prefix: str, numbers: np.ndarray, width: int) -> pa.Array:
    return pa.array(np.char.add(prefix, np.char.zfill(numbers.astype(str), width)))


def _change(table: IcebergTable, rows: int) -> None:
    """Items of any age change, as in a shop; each commit leaves a small file and one of deletes."""
    chance = np.random.default_rng(2)
    paths = list(table.data)
    alive = chance.permutation(rows)
    for number in range(CHANGES):
        chosen = np.sort(alive[number * CHANGED : (number + 1) * CHANGED])
        dead: dict[str, list[int]] = {}
        for row in chosen.tolist():
            dead.setdefault(paths[row // ROWS_PER_FILE], []).append(row % ROWS_PER_FILE)
        changed = table.write(_purchases(chosen, chance, table.arrow_schema()))
        table.commit(Commit(add=[changed, table.write_deletes(dead)]))


def _compare(lake: Lake, copy: Path, turns: int, limit_ms: int | None) -> None:
    plain = duckdb.connect(config={"threads": lake.bounds.threads})
    plain.register("held", lake.sql("SELECT * FROM current.purchases", rows_max=1 << 40).table)
    plain.execute(f"COPY held TO '{copy}' (FORMAT parquet, COMPRESSION zstd)")
    plain.unregister("held")
    for name, query, own_limit_ms in QUESTIONS:
        ours: list[float] = []
        theirs: list[float] = []
        for turn in range(turns):
            # Another item each time: what the lake keeps of a query's text helps a person's next one little.
            asked, plainly = (
                query.format(table, 777 + 1000 * turn) for table in ("current.purchases", f"'{copy}'")
            )
            ours.append(_timed_ms(lambda q=asked: lake.sql(q)))  # type: ignore[misc]
            theirs.append(_timed_ms(lambda q=plainly: plain.execute(q).to_arrow_table()))  # type: ignore[misc]
        mine, other = statistics.median(ours), statistics.median(theirs)
        told = limit_ms or own_limit_ms
        goal = f"to reach: {f'{told} ms, ' if told else ''}ratio 1.5"
        print(f"  {name:8} {mine:7.1f} ms, plain {other:7.1f} ms, ratio {mine / other:.2f}   ({goal})")


def _timed_ms(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return (time.perf_counter() - began) * 1000


if __name__ == "__main__":
    main()
