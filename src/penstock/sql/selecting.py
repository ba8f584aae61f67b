"""A plan's files as SQL: what a view of a table selects, and which of its rows are deleted.

J1. Columns are found by field id, so that files of older schemas read rightly.
J2. Deleted rows are looked up in strings of bits, one for each touched file, which are made once for a database and lie in
    variables of it: a view names them by `getvariable`, which a query may not call itself (see statements). At a million
    rows and 60 delete files that takes 10 ns a row where a join took 28 (see docs/decisions/0009).
J3. DuckDB copies a constant for each 2,048 rows, and judges a file by going through the list of them. So where touched files
    are very long or very many, deleted rows are joined by two whole numbers, from a temporary table.
J4. Where most rows lie in touched files, the clean ones are read along with them, and judged alive: one read binds the schema
    once (23.4 ms in place of 24.9). Where most are clean, judging them would cost more than that.
"""

from __future__ import annotations

from dataclasses import dataclass

from penstock.lake.iceberg.planning import FilePlan
from penstock.sql.names import literal, quote

BITS_FILES_MAX = 64
BITS_ROWS_MAX = 262_144  # Of one file. Ours are half as long.


@dataclass(frozen=True)
class Dead:
    """What a view of a table with deleted rows needs in its database: statements that make it, in order."""

    name: str
    made_by: tuple[str, ...]
    bits: bool


def dead_of(plan: FilePlan, name: str) -> Dead | None:
    """`name` is the table's; what is made for it is named after it."""
    if not plan.touched:
        return None
    named = f"deleted from {name}"
    joined = f"CREATE OR REPLACE TEMP TABLE {quote(named)} AS {_dead_rows(plan)}"
    if len(plan.touched) > BITS_FILES_MAX or max(plan.touched_rows) > BITS_ROWS_MAX:
        return Dead(named, (joined,), bits=False)
    variables = tuple(
        f"SET VARIABLE {quote(_variable(named, place))} = {_bits(quote(named), place, rows)}"
        for place, rows in enumerate(plan.touched_rows)
    )
    return Dead(named, (joined, *variables, f"DROP TABLE {quote(named)}"), bits=True)


def select(plan: FilePlan, dead: Dead | None = None) -> str:
    """A SELECT of a table's rows from its files: columns by field id, deleted rows left out.

    Without `dead` the delete files are read and joined by their texts.
    """
    names = ", ".join(quote(column.name) for column in plan.columns)
    if not plan.clean and not plan.touched:
        empty = ", ".join(f"CAST(NULL AS {column.type}) AS {quote(column.name)}" for column in plan.columns)
        return f"SELECT {empty} WHERE false"
    schema = ", ".join(
        f"{column.id}: {{name: {literal(column.name)}, type: {literal(column.type)}, default_value: NULL}}"
        for column in plan.columns
    )
    if dead is not None and dead.bits and plan.clean and plan.clean_rows <= sum(plan.touched_rows):
        # J4
        return (
            f"SELECT {names} FROM read_parquet([{_paths(plan.touched + plan.clean)}], schema = MAP {{{schema}}}, "
            f"file_row_number = true) AS rows {_alive(plan, dead)}"
        )
    parts = []
    if plan.clean:
        parts.append(f"SELECT {names} FROM read_parquet([{_paths(plan.clean)}], schema = MAP {{{schema}}})")
    if plan.touched:
        named = "filename = true, " if dead is None else ""
        parts.append(
            f"SELECT {names} FROM read_parquet([{_paths(plan.touched)}], schema = MAP {{{schema}}}, "
            f"{named}file_row_number = true) AS rows {_alive(plan, dead)}"
        )
    return " UNION ALL ".join(parts)


def _alive(plan: FilePlan, dead: Dead | None) -> str:
    """What leaves the deleted rows out of `rows`."""
    if dead is None:
        return (
            f"ANTI JOIN ({_positions(plan)}) AS dead "
            "ON rows.filename = dead.path AND rows.file_row_number = dead.pos"
        )
    if not dead.bits:
        return (
            f"ANTI JOIN {quote(dead.name)} AS dead "
            "ON rows.file_index = dead.file AND rows.file_row_number = dead.pos"
        )
    cases = " ".join(
        f"WHEN {place} THEN get_bit(getvariable({literal(_variable(dead.name, place))}), "
        "rows.file_row_number::INTEGER) = 0"
        for place in range(len(plan.touched))
    )
    return f"WHERE CASE rows.file_index {cases} ELSE true END"


def _variable(name: str, place: int) -> str:
    return f"{name}, file {place}"


def _bits(dead: str, place: int, rows: int) -> str:
    """A bit for each row of a file, set where it is deleted."""
    within = f"file = {place} AND pos BETWEEN 0 AND {max(rows - 1, 0)}"
    return (
        f"(SELECT coalesce(bitstring_agg(pos::INTEGER, 0, {max(rows - 1, 0)}), "
        f"bitstring('0', {max(rows, 1)})) FROM {dead} WHERE {within})"
    )


def _dead_rows(plan: FilePlan) -> str:
    """The deleted rows by two numbers: the file's place among the plan's touched files, the row in it."""
    places = ", ".join(f"({literal(path)}, {place}::UBIGINT)" for place, path in enumerate(plan.touched))
    return (
        f"SELECT file, pos FROM ({_positions(plan)}) JOIN (VALUES {places}) AS files(path, file) USING (path)"
    )


def _positions(plan: FilePlan) -> str:
    return (
        "SELECT regexp_replace(file_path, '^file:/*', '/') AS path, pos "
        f"FROM read_parquet([{_paths(plan.deletes)}])"
    )


def _paths(paths: tuple[str, ...]) -> str:
    return ", ".join(literal(path) for path in paths)
