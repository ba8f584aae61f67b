"""Deleted rows are left out, by bits and by a join, whatever a delete file names."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from penstock.lake.iceberg.planning import FilePlan, PlannedColumn
from penstock.sql.selecting import BITS_FILES_MAX, BITS_ROWS_MAX, dead_of, select

ROWS = 5000
DEAD = {0: [0, 7, 2047, 2048, ROWS - 1], 1: list(range(1, ROWS, 3))}


@pytest.fixture
def plan(tmp_path: Path) -> FilePlan:
    """Two files with deleted rows, which two delete files name, some twice, and one without."""
    paths = [str(tmp_path / f"{place}.parquet") for place in range(3)]
    for place, path in enumerate(paths):
        field = pa.field("n", pa.int64(), metadata={"PARQUET:field_id": "4"})
        numbers = pa.array(range(place * ROWS, (place + 1) * ROWS), pa.int64())
        pq.write_table(pa.table([numbers], schema=pa.schema([field])), path)
    named = [(f"file://{paths[place]}", row) for place, rows in DEAD.items() for row in rows]
    # A row beyond the end of its file, and a file that the snapshot does not have.
    strange = [*named[:3], (f"file://{paths[0]}", ROWS), (f"file://{tmp_path}/gone.parquet", 1)]
    deletes = [str(tmp_path / f"deletes-{place}.parquet") for place in range(2)]
    for path, positions in zip(deletes, (named, strange), strict=True):
        files, rows = zip(*positions, strict=True)
        pq.write_table(pa.table({"file_path": files, "pos": pa.array(rows, pa.int64())}), path)
    columns = (PlannedColumn(4, "number", "BIGINT"),)
    return FilePlan(columns, (paths[2],), (paths[0], paths[1]), tuple(deletes), (), 1, (ROWS, ROWS), ROWS)


EXPECTED = [n for n in range(3 * ROWS) if n % ROWS not in DEAD.get(n // ROWS, [])]


# Why: each way of leaving rows out has to leave out the same ones.
@pytest.mark.parametrize("way", ["bits", "bits apart", "numbers", "texts"])
def test_deleted_rows_are_left_out(plan: FilePlan, way: str) -> None:
    longer = replace(plan, touched_rows=(ROWS, BITS_ROWS_MAX + 1))
    if way == "bits apart":
        plan = replace(plan, clean_rows=9 * ROWS)
    bits = dead_of(plan, "a.b")
    dead = {"bits": bits, "bits apart": bits, "numbers": dead_of(longer, "a.b"), "texts": None}[way]
    assert dead is None or dead.bits == way.startswith("bits")
    assert select(plan, dead).count("read_parquet") == (1 if way == "bits" else 2 if dead else 3)
    with duckdb.connect() as database:
        for statement in dead.made_by if dead else ():
            database.execute(statement)
        found = database.execute(f"SELECT number FROM ({select(plan, dead)}) ORDER BY 1").fetchall()
    assert [number for (number,) in found] == EXPECTED


# Why: a file is judged by going through the list of them, for each 2,048 rows.
def test_many_files_with_deleted_rows_are_joined(plan: FilePlan) -> None:
    many = BITS_FILES_MAX + 1
    dead = dead_of(replace(plan, touched=plan.touched * many, touched_rows=(1,) * 2 * many), "a.b")
    assert dead is not None
    assert not dead.bits


# Why: a table without deleted rows needs nothing made for it.
def test_nothing_is_made_where_no_row_is_deleted(plan: FilePlan) -> None:
    assert dead_of(replace(plan, touched=(), touched_rows=()), "a.b") is None
