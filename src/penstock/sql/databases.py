"""DuckDB databases that hold the tables of a query and nothing else, kept for the next query on the same tables.

B1. A database is made for some tables at some snapshots, and locked: it opens their files and its own spill folder. No
    other file, no network, no extension, no variable of this process; and its settings cannot be changed any more.
B2. One query at a time uses a database, so that a query's bound of memory is its own. What a query ends with an error is
    closed with it.
B3. A query on the same tables at the same snapshots takes a database that is kept: making one takes 10 ms, and its
    footers of Parquet files are read. KEPT_MAX are kept. Where tables change all the time an empty one is made ahead.
"""

from __future__ import annotations

import shutil
import tempfile
import threading
import uuid
import weakref
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import duckdb
import orjson

from penstock.errors import PenstockError
from penstock.sql.names import literal, quote
from penstock.sql.selecting import Dead
from penstock.sql.sources import View

KEPT_MAX = 4


class QueryError(PenstockError):
    """The query is wrong, or asks for what it may not have. The message is for the person who wrote it."""


@dataclass(frozen=True)
class Bounds:
    memory_mb: int = 512
    spill_mb: int = 8192
    threads: int = 2
    rows_max: int = 1_000_000
    seconds_max: float = 300.0


_Engine: TypeAlias = tuple[int, int, int]  # What of the bounds a database is made with.
_Key: TypeAlias = tuple[_Engine, tuple[tuple[str, str, str, Dead | None], ...]]


class _Database:
    """An empty one, with a folder to spill to that goes with it."""

    def __init__(self, limits: Bounds, spill: Path | None) -> None:
        if spill is not None:
            # A query that fits in memory is answered on a full disk too; one that spills is told then.
            with suppress(OSError):
                spill.mkdir(parents=True, exist_ok=True)
        # DuckDB makes it when a query spills.
        folder = str((spill or Path(tempfile.gettempdir())) / f"query-{uuid.uuid4().hex}")
        self._remove_folder = weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        self.engine = _engine(limits)
        self.connection = duckdb.connect(
            ":memory:",
            config={
                "threads": limits.threads,
                "memory_limit": f"{limits.memory_mb}MB",
                "temp_directory": folder,
                "max_temp_directory_size": f"{limits.spill_mb}MB",
                "autoinstall_known_extensions": False,
                "autoload_known_extensions": False,
                "python_enable_replacements": False,
                "preserve_insertion_order": True,
            },
        )
        self.connection.execute("SET TimeZone = 'UTC'")
        # The lake's files never change, so that a footer that was read is good for ever. Without the second setting each
        # file of a table is opened twice a query to ask whether it changed, and its path is resolved each time: 2.5 of
        # the 10 ms of a point query over 84 files. Of local files the cache holds footers, the system holds the rest.
        self.connection.execute("SET parquet_metadata_cache = true")
        self.connection.execute("SET validate_external_file_cache = 'NO_VALIDATION'")

    def hold(self, views: Sequence[View]) -> None:
        """B1."""
        for view in views:
            _create(self.connection, view)
        _lock(self.connection, {path for view in views for path in view.paths})

    def close(self) -> None:
        self.connection.close()
        self._remove_folder()


class Databases:
    """Any thread may borrow."""

    def __init__(self, spill: Path | None = None) -> None:
        self._spill = spill
        self._lock = threading.Lock()
        self._kept: OrderedDict[_Key, list[_Database]] = OrderedDict()
        self._spare: _Database | None = None
        self._made = 0
        self._behind = ThreadPoolExecutor(1, thread_name_prefix="lake-databases")

    @contextmanager
    def lend(self, limits: Bounds, views: Sequence[View]) -> Iterator[duckdb.DuckDBPyConnection]:
        """A database in which these views are, and no others."""
        key = _key(limits, views)
        database = self._take(key) or self._make(limits, views)
        try:
            yield database.connection
        except BaseException:
            database.close()
            raise
        self._give_back(key, database)

    def close(self) -> None:
        """Those that are lent are closed when they come back, or with the process."""
        self._behind.shutdown()
        with self._lock:
            held = [database for kept in self._kept.values() for database in kept]
            self._kept.clear()
            spare, self._spare = self._spare, None
        for database in held if spare is None else [*held, spare]:
            database.close()

    def _take(self, key: _Key | None) -> _Database | None:
        if key is None:
            return None
        with self._lock:
            kept = self._kept.get(key)
            if not kept:
                return None
            self._kept.move_to_end(key)
            return kept.pop()

    def _make(self, limits: Bounds, views: Sequence[View]) -> _Database:
        with self._lock:
            spare, self._spare = self._spare, None
            self._made += 1
            again = self._made > 1
        if spare is not None and spare.engine != _engine(limits):
            spare.close()
            spare = None
        database = spare or _Database(limits, self._spill)
        try:
            database.hold(views)
        except BaseException:
            database.close()
            raise
        # The first query of a process is often its only one.
        if again:
            self._do_behind(lambda: self._make_spare(limits))
        return database

    def _make_spare(self, limits: Bounds) -> None:
        with self._lock:
            wanted = self._spare is None
        if wanted:
            made = _Database(limits, self._spill)
            with self._lock:
                self._spare = made

    def _give_back(self, key: _Key | None, database: _Database) -> None:
        gone = [database]
        if key is not None:
            with self._lock:
                self._kept.setdefault(key, []).append(database)
                self._kept.move_to_end(key)
                gone = []
                while sum(len(kept) for kept in self._kept.values()) > KEPT_MAX:
                    oldest, kept = next(iter(self._kept.items()))
                    if kept:
                        gone.append(kept.pop())
                    if not kept:
                        del self._kept[oldest]
        for each in gone:
            self._do_behind(each.close)

    def _do_behind(self, work: Callable[[], None]) -> None:
        try:
            self._behind.submit(work)
        except RuntimeError:
            work()  # The process ends.


def _engine(limits: Bounds) -> _Engine:
    return limits.memory_mb, limits.spill_mb, limits.threads


def _key(limits: Bounds, views: Sequence[View]) -> _Key | None:
    """None where rows were made for this query alone."""
    if any(view.rows is not None for view in views):
        return None
    return _engine(limits), tuple((view.namespace, view.name, view.sql, view.dead) for view in views)


def _create(connection: duckdb.DuckDBPyConnection, view: View) -> None:
    connection.execute(f"CREATE SCHEMA IF NOT EXISTS {quote(view.namespace)}")
    target = f"{quote(view.namespace)}.{quote(view.name)}"
    if view.rows is not None:
        registered = f"rows of {view.namespace} {view.name}"
        connection.register(registered, view.rows)
        connection.execute(f"CREATE VIEW {target} AS SELECT * FROM {quote(registered)}")
        return
    try:
        if view.dead is not None:
            for statement in view.dead.made_by:
                connection.execute(statement)
        connection.execute(f"CREATE VIEW {target} AS {view.sql}")
    except duckdb.Error as error:
        raise QueryError(f"{view.namespace}.{view.name}: {error}") from error


def _lock(connection: duckdb.DuckDBPyConnection, paths: set[str]) -> None:
    listed = ", ".join(literal(path) for path in sorted(paths))
    connection.execute(f"SET allowed_paths = [{listed}]")
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")


class Reader:
    """Statements looked at before they are run. Its database holds no table, and opens no file."""

    def __init__(self) -> None:
        self._connection: duckdb.DuckDBPyConnection | None = None
        self._lock = threading.Lock()

    def statements(self, sql: str) -> list[duckdb.Statement]:
        with self._lock:
            return self._opened().extract_statements(sql)

    def tree(self, sql: str) -> object:
        """The syntax tree of one SELECT, or QueryError where it has none."""
        with self._lock:
            [told] = self._opened().execute("SELECT json_serialize_sql($1::VARCHAR)", [sql]).fetchall()
        tree = orjson.loads(told[0])
        if tree["error"]:
            raise QueryError(f"this is not a query: {tree['error_message']}")
        return tree

    def _opened(self) -> duckdb.DuckDBPyConnection:
        if self._connection is None:
            self._connection = duckdb.connect(
                ":memory:", config={"threads": 1, "python_enable_replacements": False}
            )
            _lock(self._connection, set())
        return self._connection
