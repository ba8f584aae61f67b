"""SQL over the lake: one DuckDB for each query, which sees the tables that the query names and nothing else.

Q1. One statement, and it reads: anything but SELECT (with its FROM, WITH, VALUES, DESCRIBE, SUMMARIZE, SHOW) and EXPLAIN
    is refused before it is run.
Q2. DuckDB may open the files of the tables that the query names, and its own spill folder. No other file, no network,
    no extension, no variable of this process; and the settings are locked before the query is run.
Q3. Memory, threads, spilled bytes, rows and seconds are bounded. What passes a bound ends with an error that says so.
Q4. The query sees each table at one snapshot, chosen before it runs.
"""

from __future__ import annotations

import re
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeout
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa

from penstock.errors import PenstockError
from penstock.lake.iceberg.planning import FilePlan
from penstock.sql.names import literal, name_parts, quote, rewrite
from penstock.sql.results import Result
from penstock.sql.sources import Sources, View

# DuckDB goes on with guesses among its own tables ("Did you mean pg_class?"), and knows nothing of the lake's.
_MISSING_TABLE = re.compile(r'^Catalog Error: Table with name "?(.+?)"? does not exist')
_READS = (duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN)


class QueryError(PenstockError):
    """The query is wrong, or asks for what it may not have. The message is for the person who wrote it."""


class QueryStopped(QueryError):
    """Cancelled, or over its time."""


class TableMissing(QueryError):
    """The lake has no table of that name."""


@dataclass(frozen=True)
class Bounds:
    memory_mb: int = 512
    spill_mb: int = 8192
    threads: int = 2
    rows_max: int = 1_000_000
    seconds_max: float = 300.0


class Questions:
    """Answers queries. Any thread may ask; each query has a database of its own."""

    def __init__(
        self, sources: Sources, spill_folder: Path | None = None, bounds: Bounds | None = None
    ) -> None:
        self.sources = sources
        self.bounds = bounds or Bounds()
        self._spill = spill_folder
        self._running: dict[str, duckdb.DuckDBPyConnection] = {}

    def ask(
        self,
        sql: str,
        *,
        bounds: Bounds | None = None,
        id_: str | None = None,
        watch: Callable[[float], None] | None = None,
    ) -> Result:
        """`watch` is told how far the query is, 0 to 100, from another thread. `cancel(id_)` ends it."""
        limits = bounds or self.bounds
        began = time.monotonic()
        rewritten = rewrite(sql)
        with _spill_folder(self._spill) as spill, _database(limits, spill) as database:
            _only_statement(database, rewritten.sql)
            views = self.sources.views(_tables_in(database, rewritten.sql), rewritten.travels)
            for view in views:
                _create(database, view)
            _lock(database, {path for view in views for path in view.paths})
            if id_ is not None:
                self._running[id_] = database
            try:
                with _alarm(database, limits.seconds_max) as alarm, _watched(database, watch):
                    table, truncated = _interruptible(
                        database, lambda: _run(database, rewritten.sql, limits.rows_max, alarm)
                    )
            except TableMissing as error:
                raise QueryError(f"{error}; {self.sources.listed()}") from error
            finally:
                self._running.pop(id_ or "", None)
        return Result(table, time.monotonic() - began, truncated)

    def tables_named(self, sql: str) -> list[tuple[str, str]]:
        """The tables that a query reads, also those at a moment."""
        rewritten = rewrite(sql)
        with duckdb.connect(":memory:") as database:
            _only_statement(database, rewritten.sql)
            named = _tables_in(database, rewritten.sql) or []
        views = {(travel.namespace, travel.view) for travel in rewritten.travels}
        return [pair for pair in named if pair not in views] + [
            (travel.namespace, travel.name) for travel in rewritten.travels
        ]

    def cancel(self, id_: str) -> bool:
        database = self._running.get(id_)
        if database is None:
            return False
        database.interrupt()
        return True


def _only_statement(database: duckdb.DuckDBPyConnection, sql: str) -> None:
    """Q1."""
    try:
        statements = database.extract_statements(sql)
    except duckdb.Error as error:
        raise QueryError(_said(error)) from error
    if len(statements) != 1:
        raise QueryError(f"one statement at a time; there are {len(statements)}")
    if statements[0].type not in _READS:
        kind = statements[0].type.name.replace("_", " ")
        raise QueryError(
            f"{kind} is not a query: the lake is read here, its tables are written by their sinks"
        )


def _tables_in(database: duckdb.DuckDBPyConnection, sql: str) -> list[tuple[str, str]] | None:
    """The (namespace, name) pairs that a statement names; None where it may mean any of them."""
    try:
        names = database.get_table_names(sql, qualified=True)
    except duckdb.Error:
        return None
    pairs = [_pair(name) for name in names]
    first = sql.lstrip().split(None, 1)[0].upper() if sql.strip() else ""
    if first in ("SHOW", "DESCRIBE", "DESC", "SUMMARIZE", "EXPLAIN", "PRAGMA") and not pairs:
        return None
    return [pair for pair in pairs if pair is not None]


def _pair(name: str) -> tuple[str, str] | None:
    """DuckDB tells names quoted where they need it, and with their alias."""
    parts = name_parts(name)
    return (parts[-2], parts[-1]) if len(parts) >= 2 else None


@contextmanager
def _spill_folder(parent: Path | None) -> Iterator[Path]:
    if parent is not None:
        parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="query-", dir=parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _database(limits: Bounds, spill: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    database = duckdb.connect(
        ":memory:",
        config={
            "threads": limits.threads,
            "memory_limit": f"{limits.memory_mb}MB",
            "temp_directory": str(spill),
            "max_temp_directory_size": f"{limits.spill_mb}MB",
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "python_enable_replacements": False,
            "preserve_insertion_order": True,
        },
    )
    try:
        database.execute("SET TimeZone = 'UTC'")
        yield database
    finally:
        database.close()


def _create(database: duckdb.DuckDBPyConnection, view: View) -> None:
    database.execute(f"CREATE SCHEMA IF NOT EXISTS {quote(view.namespace)}")
    target = f"{quote(view.namespace)}.{quote(view.name)}"
    if view.rows is not None:
        registered = f"rows of {view.namespace} {view.name}"
        database.register(registered, view.rows)
        database.execute(f"CREATE VIEW {target} AS SELECT * FROM {quote(registered)}")
        return
    try:
        database.execute(f"CREATE VIEW {target} AS {view.sql}")
    except duckdb.Error as error:
        raise QueryError(f"{view.namespace}.{view.name}: {_said(error)}") from error


def _lock(database: duckdb.DuckDBPyConnection, paths: set[str]) -> None:
    """Q2."""
    listed = ", ".join(literal(path) for path in sorted(paths))
    database.execute(f"SET allowed_paths = [{listed}]")
    database.execute("SET enable_external_access = false")
    database.execute("SET lock_configuration = true")


class _Alarm:
    rang = False


@contextmanager
def _alarm(database: duckdb.DuckDBPyConnection, seconds: float) -> Iterator[_Alarm]:
    alarm = _Alarm()

    def ring() -> None:
        alarm.rang = True
        database.interrupt()

    timer = threading.Timer(seconds, ring)
    timer.daemon = True
    timer.start()
    try:
        yield alarm
    finally:
        timer.cancel()


@contextmanager
def _watched(database: duckdb.DuckDBPyConnection, watch: Callable[[float], None] | None) -> Iterator[None]:
    if watch is None:
        yield
        return
    ended = threading.Event()

    def look() -> None:
        while not ended.wait(0.2):
            watch(max(0.0, database.query_progress()))

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _interruptible(
    database: duckdb.DuckDBPyConnection, run: Callable[[], tuple[pa.Table, bool]]
) -> tuple[pa.Table, bool]:
    """Run in another thread while the main one listens: Ctrl-C does not reach code that is inside DuckDB."""
    if threading.current_thread() is not threading.main_thread():
        return run()
    with ThreadPoolExecutor(1, thread_name_prefix="lake-query") as pool:
        future = pool.submit(run)
        try:
            while True:
                try:
                    return future.result(timeout=0.1)
                except FutureTimeout:
                    if future.done():
                        raise
        except KeyboardInterrupt:
            database.interrupt()
            raise


def _run(
    database: duckdb.DuckDBPyConnection, sql: str, rows_max: int, alarm: _Alarm
) -> tuple[pa.Table, bool]:
    try:
        reader = database.execute(sql).to_arrow_reader(100_000)
        batches, count = [], 0
        for batch in reader:
            batches.append(batch)
            count += batch.num_rows
            if count > rows_max:
                break
        table = pa.Table.from_batches(batches, schema=reader.schema)
    except (duckdb.Error, pa.ArrowException, RuntimeError) as error:
        if missing := _MISSING_TABLE.search(str(error)):
            raise TableMissing(f"there is no table {missing[1]}") from error
        if "INTERRUPT" in str(error).upper():
            why = "it passed its time" if alarm.rang else "cancelled"
            raise QueryStopped(f"the query was stopped: {why}") from error
        raise QueryError(_said(error)) from error
    return table.slice(0, rows_max), count > rows_max


def _said(error: BaseException) -> str:
    """DuckDB's own words, without what only its maintainers need."""
    text = str(error)
    if "Out of Memory" in text or "max_temp_directory_size" in text:
        return f"the query needs more memory than it may use: {text.splitlines()[0]}"
    return text


def select(plan: FilePlan) -> str:
    """A SELECT of a table's rows from its files: columns by field id, deleted rows left out."""
    names = ", ".join(quote(column.name) for column in plan.columns)
    if not plan.clean and not plan.touched:
        empty = ", ".join(f"CAST(NULL AS {column.type}) AS {quote(column.name)}" for column in plan.columns)
        return f"SELECT {empty} WHERE false"
    schema = ", ".join(
        f"{column.id}: {{name: {literal(column.name)}, type: {literal(column.type)}, default_value: NULL}}"
        for column in plan.columns
    )
    parts = []
    if plan.clean:
        parts.append(f"SELECT {names} FROM read_parquet([{_paths(plan.clean)}], schema = MAP {{{schema}}})")
    if plan.touched:
        parts.append(
            f"SELECT {names} FROM read_parquet([{_paths(plan.touched)}], schema = MAP {{{schema}}}, "
            "filename = true, file_row_number = true) AS rows ANTI JOIN "
            "(SELECT regexp_replace(file_path, '^file:/*', '/') AS path, pos "
            f"FROM read_parquet([{_paths(plan.deletes)}])) AS dead "
            "ON rows.filename = dead.path AND rows.file_row_number = dead.pos"
        )
    return " UNION ALL ".join(parts)


def _paths(paths: tuple[str, ...]) -> str:
    return ", ".join(literal(path) for path in paths)
