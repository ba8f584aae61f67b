"""Queries over the lake: one SELECT, answered from the files of the tables that it names.

Q1. One statement, and it reads: anything but SELECT (with its FROM, WITH, VALUES, DESCRIBE, SUMMARIZE, SHOW) and EXPLAIN
    is refused before it is run, and so are functions that reach beyond the tables (see statements).
Q2. DuckDB may open the files of the tables that the query names, and its own spill folder (see databases, B1).
Q3. Memory, threads, spilled bytes, rows and seconds are bounded. What passes a bound ends with an error that says so.
Q4. The query sees each table at one snapshot, chosen before it runs.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from concurrent.futures import TimeoutError as FutureTimeout
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa

from penstock.sql.databases import Bounds, Databases, QueryError, Reader
from penstock.sql.names import rewrite
from penstock.sql.results import Result
from penstock.sql.sources import Sources
from penstock.sql.statements import forbidden, tables_in
from penstock.sql.watching import looking

# DuckDB goes on with guesses among its own tables ("Did you mean pg_class?"), and knows nothing of the lake's.
_MISSING_TABLE = re.compile(r'^Catalog Error: Table with name "?(.+?)"? does not exist')
_SPACE = r"(?:\s|--[^\n]*\n|/\*.*?\*/)*"
_PRAGMA = re.compile(_SPACE + r"PRAGMA\b", re.I | re.S)
_EXPLAIN = re.compile(_SPACE + r"EXPLAIN\s*(?:ANALYZE\s+)?(?:VERBOSE\s+)?(?:\([^()]*\))?", re.I | re.S)
# DuckDB lists those of its main schema, where nothing is.
_SHOW_TABLES = re.compile(r"\s*SHOW\s+TABLES\s*;?\s*", re.I)
_NO_ROOM = ("offload data block", "No space left", "temp_directory", "Failed to create directory")
_LOOK_S = 0.2
_AGAIN_S = 0.05
_KEPT_TEXTS_MAX, _KEPT_TEXT_MAX = 256, 4096
_READS = (duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN)


class QueryStopped(QueryError):
    """Cancelled, or over its time."""


class TableMissing(QueryError):
    """The lake has no table of that name."""


@dataclass(frozen=True)
class _Asked:
    """What a statement that may run asks for: tables by name, None for all of them."""

    tables: list[tuple[str, str]] | None
    explained: bool


class Questions:
    """Answers queries. Any thread may ask."""

    def __init__(
        self, sources: Sources, spill_folder: Path | None = None, bounds: Bounds | None = None
    ) -> None:
        self.sources = sources
        self.bounds = bounds or Bounds()
        self._databases = Databases(spill_folder)
        self._reader = Reader()
        self._running: dict[str, _Running] = {}
        self._asked: dict[str, _Asked] = {}
        self._asked_lock = threading.Lock()
        self._beside = ThreadPoolExecutor(1, thread_name_prefix="lake-query")  # The main thread's queries.

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
        rewritten = rewrite("SHOW ALL TABLES" if _SHOW_TABLES.fullmatch(sql) else sql)
        asked = self._read(rewritten.sql)
        views = self.sources.views(asked.tables, rewritten.travels, explained=asked.explained)
        try:
            with (
                self._databases.lend(limits, views) as database,
                self._run_as(id_, database, limits.seconds_max) as running,
                _watched(database, watch),
            ):
                table, truncated = self._interruptible(
                    running, lambda: _run(database, rewritten.sql, limits.rows_max, running)
                )
        except TableMissing as error:
            raise QueryError(f"{error}; {self.sources.listed()}") from error
        return Result(table, time.monotonic() - began, truncated)

    def tables_named(self, sql: str) -> list[tuple[str, str]]:
        """The tables that a query reads, also those at a moment."""
        rewritten = rewrite(sql)
        named = self._read(rewritten.sql).tables or []
        views = {(travel.namespace, travel.view) for travel in rewritten.travels}
        return [pair for pair in named if pair not in views] + [
            (travel.namespace, travel.name) for travel in rewritten.travels
        ]

    def cancel(self, id_: str) -> bool:
        running = self._running.get(id_)
        if running is None:
            return False
        running.stop("cancelled")
        return True

    def progress(self, id_: str) -> float | None:
        """How far a running query is, 0 to 100; None where none of that name runs."""
        running = self._running.get(id_)
        return None if running is None else running.progress()

    def close(self) -> None:
        self._beside.shutdown()
        self._databases.close()

    def _interruptible(
        self, running: _Running, run: Callable[[], tuple[pa.Table, bool]]
    ) -> tuple[pa.Table, bool]:
        """Run in another thread while the main one listens: Ctrl-C does not reach code that is inside DuckDB."""
        if threading.current_thread() is not threading.main_thread():
            return run()
        future = self._beside.submit(run)
        try:
            while True:
                try:
                    return future.result(timeout=0.1)
                except FutureTimeout:
                    if future.done():
                        raise
        except KeyboardInterrupt:
            running.stop("cancelled")
            wait([future])  # Only then may its database be given to somebody else.
            raise

    @contextmanager
    def _run_as(
        self, id_: str | None, database: duckdb.DuckDBPyConnection, seconds: float
    ) -> Iterator[_Running]:
        running = _Running(database)
        if id_ is not None:
            self._running[id_] = running
        alarm = threading.Timer(seconds, running.stop, ("it passed its time",))
        alarm.daemon = True
        alarm.start()
        try:
            yield running
        finally:
            alarm.cancel()
            running.end()
            if id_ is not None:
                self._running.pop(id_, None)

    def _read(self, sql: str) -> _Asked:
        """Q1. The same text is the same statement, so that what was learned of it is kept."""
        known = self._asked.get(sql)
        if known is None:
            known = self._judged(sql)
            if len(sql) <= _KEPT_TEXT_MAX:
                with self._asked_lock:
                    if len(self._asked) >= _KEPT_TEXTS_MAX:
                        self._asked.clear()
                    self._asked[sql] = known
        return known

    def _judged(self, sql: str) -> _Asked:
        try:
            statements = self._reader.statements(sql)
        except duckdb.Error as error:
            raise QueryError(_said(error)) from error
        if [each.type for each in statements] == [duckdb.StatementType.CREATE, duckdb.StatementType.SELECT]:
            raise QueryError("a PIVOT names its values here: PIVOT … ON column IN ('a', 'b') USING …")
        if len(statements) != 1:
            raise QueryError(f"one statement at a time; there are {len(statements)}")
        pragma = _PRAGMA.match(sql)  # DuckDB makes some of them into a SELECT.
        if statements[0].type not in _READS or pragma:
            kind = "PRAGMA" if pragma else statements[0].type.name.replace("_", " ")
            raise QueryError(
                f"{kind} is not a query: the lake is read here, its tables are written by their sinks"
            )
        asked = statements[0].query
        explained = _EXPLAIN.match(asked) if statements[0].type == duckdb.StatementType.EXPLAIN else None
        tree = self._reader.tree(asked[explained.end() :] if explained else asked)
        reason = forbidden(tree)
        if reason is not None:
            raise QueryError(reason)
        return _Asked(tables_in(tree), explained is not None)


class _Running:
    """A query that may be stopped from any thread. After `end` nothing reaches its database, which is another's then."""

    def __init__(self, database: duckdb.DuckDBPyConnection) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._stopped = False
        self.why = "cancelled"

    def stop(self, why: str) -> None:
        with self._lock:
            if self._stopped or self._ended.is_set():
                return
            self._stopped, self.why = True, why
        threading.Thread(target=self._interrupt, name="lake-query-stop", daemon=True).start()

    def _interrupt(self) -> None:
        """Until it ends: DuckDB forgets an interrupt that comes before a query has begun."""
        while True:
            with self._lock:
                if self._ended.is_set():
                    return
                self._database.interrupt()
            self._ended.wait(_AGAIN_S)

    def progress(self) -> float:
        with self._lock:
            return 100.0 if self._ended.is_set() else max(0.0, self._database.query_progress())

    def end(self) -> None:
        with self._lock:
            self._ended.set()


def _watched(
    database: duckdb.DuckDBPyConnection, watch: Callable[[float], None] | None
) -> AbstractContextManager[None]:
    if watch is None:
        return nullcontext()
    return looking(lambda: watch(max(0.0, database.query_progress())), _LOOK_S)


def _run(
    database: duckdb.DuckDBPyConnection, sql: str, rows_max: int, running: _Running
) -> tuple[pa.Table, bool]:
    try:
        reader = database.execute(sql).to_arrow_reader(100_000)
        batches, count = [], 0
        for batch in reader:
            batches.append(batch)
            count += batch.num_rows
            if count > rows_max:
                break
        reader.close()  # What was not read of it would wait in the database.
        table = pa.Table.from_batches(batches, schema=reader.schema)
    except (duckdb.Error, pa.ArrowException, RuntimeError) as error:
        if missing := _MISSING_TABLE.search(str(error)):
            raise TableMissing(f"there is no table {missing[1]}") from error
        if "INTERRUPT" in str(error).upper():
            raise QueryStopped(f"the query was stopped: {running.why}") from error
        raise QueryError(_said(error)) from error
    return table.slice(0, rows_max), count > rows_max


def _said(error: BaseException) -> str:
    """DuckDB's own words, without what only its maintainers need."""
    text = str(error)
    if any(said in text for said in _NO_ROOM):
        return (
            "the query needs more memory than it may use, and there is no room to spill to: the disk is full, or the "
            f"bound on spilled bytes is reached: {text.splitlines()[0]}"
        )
    if "Out of Memory" in text or "max_temp_directory_size" in text:
        return f"the query needs more memory than it may use: {text.splitlines()[0]}"
    return text
