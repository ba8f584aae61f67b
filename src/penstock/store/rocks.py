"""The store on RocksDB, and the only importer of rocksdict.

What a data directory holds is told in directory.py, the settings in options.py. Opening it goes in this
order, so that nothing is changed before it is known to be whole:

    lock OWNER → read FORMAT → read SYNCED → prove the log (log.py), cutting a tail that was never synced
    → open RocksDB, which checks MANIFEST, tables' footers and every checksum in the log → compare with SYNCED

Tables are checked block by block when they are read (`store/check.py` reads them all).

A full disk: RocksDB refuses writes, serves reads, and looks every few seconds whether there is room again
(measured: writes resumed 5 s after space was freed). Any other failed write to the log leaves the store
read-only until it is opened again, because what the kernel holds of the file is then unknown.
"""

from __future__ import annotations

import ctypes
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import rocksdict

from penstock.errors import Corruption, StoreLost, StoreUnavailable, UsageError
from penstock.store import directory, log
from penstock.store.interface import Batch, Family
from penstock.store.options import CACHE_BYTES, WRITE_BUFFERS_BYTES, Memory, options_text

NAMES = {Family.DATA: "default", Family.CHANGES: "changes", Family.META: "meta"}
NUMBERS = "numbers"  # A family of one key: the number of the last batch, for log.py.


def open_store(
    folder: Path,
    *,
    cache_bytes: int = CACHE_BYTES,
    write_buffers_bytes: int = WRITE_BUFFERS_BYTES,
    read_only: bool = False,
) -> RocksStore:
    """Opens the store in `folder`, making it where there is none. Many may read, or one may write."""
    if not read_only:
        folder.mkdir(parents=True, exist_ok=True)
    elif not folder.is_dir():
        raise UsageError(f"{folder} holds no Penstock data")
    owner = directory.claim(folder, shared=read_only)
    try:
        return RocksStore(folder, owner, Memory(cache_bytes, write_buffers_bytes), read_only)
    except BaseException:
        owner.release()
        raise


class RocksBatch:
    """Batch over RocksDB's own: what is put here is in the form of its log at once."""

    __slots__ = ("_handles", "raw")

    def __init__(self, handles: list[Any]) -> None:
        self.raw = rocksdict.WriteBatch(True)
        self._handles = handles

    def put(self, family: Family, key: bytes, value: bytes) -> None:
        self.raw.put(key, value, self._handles[family])

    def delete(self, family: Family, key: bytes) -> None:
        self.raw.delete(key, self._handles[family])

    def put_all(self, steps: Sequence[Mapping[bytes, bytes | None]]) -> None:
        put = self.raw.put
        for of_family, handle in zip(steps, self._handles, strict=False):
            for key, value in of_family.items():
                if value is None:
                    self.raw.delete(key, handle)
                else:
                    put(key, value, handle)

    def delete_range(self, family: Family, lower: bytes, upper: bytes) -> None:
        if lower < upper:  # RocksDB takes a range that ends before it begins for an invalid batch.
            self.raw.delete_range(lower, upper, self._handles[family])


class RocksStore:
    """Store over RocksDB. Made by `open_store`, which holds the directory's lock."""

    def __init__(self, folder: Path, owner: directory.Lock, memory: Memory, read_only: bool) -> None:
        self.folder = folder
        self._read_only = read_only
        self._owner = owner
        self._sync_lock = threading.Lock()
        # Why the log must not be synced until a write succeeds.
        self._refusal: StoreUnavailable | None = None
        directory.check_format(folder, create=not read_only)
        self._mark = directory.Mark(folder)
        try:
            self._open(memory)
            directory.in_forked_child(self._abandon)
        except BaseException:
            self._mark.close()
            vars(self).clear()  # Lets go of RocksDB: the error's traceback would hold it, and its lock, open.
            raise

    def _open(self, memory: Memory) -> None:
        files = self.folder / "rocks"
        mark = self._mark.read()
        has_log = any(path.stat().st_size for path in log.log_files(files))
        _check_present(files, mark, has_log)
        if has_log:
            self._db = self._opened_with_log(files, mark or 0, memory)
        else:
            self._db = _database(files, memory, self._read_only)
        names = [NAMES[family] for family in Family] + [NUMBERS]
        self._families = [self._db.get_column_family(name) for name in names]
        self._handles = [self._db.get_column_family_handle(name) for name in names]
        self._numbers = self._handles[-1]
        self._gets: list[Callable[..., Any]] = [family.get for family in self._families]
        self._write = self._db.write
        self._written = self._synced = _last_number(self._families[-1])
        if mark is None and self._written:
            raise Corruption(f"{self._mark.path} is missing")
        if mark is not None and self._written < mark:
            raise Corruption(
                f"{self.folder}: lost synced tail: the last batch is {self._written}, and {mark} was synced"
            )
        if not self._read_only:
            self._mark.write(self._written, durable=True)  # Replay has put what it found into synced tables.
            directory.sync_folder(self.folder)

    def _opened_with_log(self, files: Path, mark: int, memory: Memory) -> Any:
        """RocksDB, after its log was proved."""
        aside = self.folder / "cut"
        if not self._read_only:
            log.restore(aside, files)
        in_tables = _number_in_tables(files)
        try:
            self._settle(log.prove(log.log_files(files), mark, in_tables), aside)
            try:
                db = _database(files, memory, self._read_only)
            except Corruption as damage:
                # A failing checksum may be a torn write that was never synced: then there is a cut.
                cut = log.prove(log.log_files(files), mark, in_tables, sum_all=True)
                if cut is None:
                    place = log.first_bad_sum(log.log_files(files))
                    raise Corruption(f"{place}: {damage}" if place else str(damage)) from damage
                self._settle(cut, aside)
                db = _database(files, memory, self._read_only)
        except BaseException:
            if not self._read_only:
                log.restore(aside, files)
            raise
        if aside.exists() and not self._read_only:
            shutil.rmtree(aside)
        return db

    def _settle(self, cut: log.Cut | None, aside: Path) -> None:
        if cut is None and not aside.exists():
            return
        if self._read_only:
            raise UsageError(f"{self.folder} was not closed properly: open it for writing once, then read it")
        if cut is not None:
            try:
                cut.apply(aside)
            except OSError as error:
                raise StoreUnavailable(
                    f"the log ends in a write that was never finished; setting that aside takes as much room as "
                    f"{cut.path} has: {error}"
                ) from error

    def get(self, family: Family, key: bytes) -> bytes | None:
        try:
            return self._gets[family](key)  # type: ignore[no-any-return]
        except Exception as error:
            raise translated(error) from error

    def get_many(self, family: Family, keys: Sequence[bytes]) -> list[bytes | None]:
        try:
            return self._gets[family](list(keys))  # type: ignore[no-any-return]
        except Exception as error:
            raise translated(error) from error

    def scan(
        self, family: Family, lower: bytes, upper: bytes | None, *, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        cursor = self._cursor(family, lower, upper, reverse)
        return _pairs_backwards(cursor, upper, lower) if reverse else _pairs(cursor, upper)

    def page(
        self,
        family: Family,
        lower: bytes,
        upper: bytes | None,
        *,
        reverse: bool = False,
        count_max: int,
        bytes_max: int,
    ) -> tuple[list[bytes], bool]:
        cursor = self._cursor(family, lower, upper, reverse)
        value, step = cursor.value, cursor.prev if reverse else cursor.next
        values: list[bytes] = []
        add, room = values.append, bytes_max
        for _ in range(count_max):
            held = value()
            if held is None or room <= 0 or (reverse and cursor.key() < lower):
                break
            add(held)
            room -= len(held)
            step()
        at = cursor.key()
        if at is None:
            _raise_if_damaged(cursor)
        return values, at is not None and (not reverse or at >= lower)

    def _cursor(self, family: Family, lower: bytes, upper: bytes | None, reverse: bool) -> Any:
        """A cursor at its first pair. The caller holds `upper` as long: RocksDB keeps a pointer into those bytes,
        which rocksdict does not keep alive; a scan without them ends early, or late, without a word.

        Not Rdict.items(): it ends without a word where a block is damaged; a cursor has a status to ask for. Not
        set_iterate_lower_bound: in rocksdict 0.3.29 it sets the upper bound.
        """
        bounds = rocksdict.ReadOptions()
        if upper is not None:
            bounds.set_iterate_upper_bound(upper)
        try:
            cursor = self._families[family].iter(bounds)
        except Exception as error:
            raise translated(error) from error
        if reverse:
            cursor.seek_to_last()
        else:
            cursor.seek(lower)
        return cursor

    def batch(self) -> Batch:
        return RocksBatch(self._handles)

    def write(self, batch: Batch) -> None:
        assert isinstance(batch, RocksBatch)
        number, raw, refusal = self._written + 1, batch.raw, self._refusal
        try:
            raw.put(log.NUMBER_KEY, log.number_value(number, self._synced), self._numbers)
            self._write(raw)
        except Exception as error:
            raise self._refused(error, of_log=".log" in str(error)) from error
        self._written = number
        if refusal is not None:
            self._refusal = None  # RocksDB has put everything into synced tables and begun another log.

    def sync(self) -> None:
        with self._sync_lock:
            self._check_open()
            if self._written > self._synced:
                self._flush_log()

    def _flush_log(self) -> None:
        if self._refusal is not None:
            raise type(self._refusal)(str(self._refusal))
        number = self._written
        try:
            self._db.flush_wal(True)
        except Exception as error:
            raise self._refused(error, of_log=True) from error
        self._synced = number
        self._mark.write(number)

    def _refused(self, error: Exception, *, of_log: bool) -> Exception:
        """The error of a write or sync. RocksDB comes back from a full disk by itself, but never from a second sync of
        a log that it could not write to, nor from any other I/O error."""
        told = translated(error)
        if not isinstance(told, StoreUnavailable):
            return told
        if not _says_full(str(error)):
            told = StoreLost(f"the data directory must be opened again: {told}")
        if of_log:
            self._refusal = told
        return told

    def checkpoint(self, folder: Path) -> None:
        self._check_open()
        if folder.exists():
            raise UsageError(f"{folder} exists already")
        partial = folder.with_name(folder.name + ".partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        number = self._written
        try:
            rocksdict.Checkpoint(self._db).create_checkpoint(str(partial / "rocks"))
        except Exception as error:
            raise translated(error) from error
        mark = directory.Mark(partial)
        mark.write(number, durable=True)
        mark.close()
        directory.write_format(partial)
        partial.rename(folder)
        directory.sync_folder(folder.parent)

    def compact(self) -> None:
        """Writes out what is in memory and merges each family's files into one level; for measurements and upkeep."""
        self._check_open()
        for family in self._families[:-1]:
            family.flush()
            family.compact_range(None, None)

    def _check_open(self) -> None:
        if not self._owner.held:
            raise UsageError("the store is closed")

    def close(self) -> None:
        """Syncs, then writes out what is in memory, so that the next opening has nothing to replay."""
        if not self._owner.held:
            return
        with ExitStack() as steps:  # Last pushed, first done; each is done whatever the others raise.
            steps.callback(self._release)
            steps.callback(self._handles.clear)  # A handle keeps RocksDB open.
            for part in (self._db, *self._families):
                steps.callback(_close, part)
            steps.enter_context(self._sync_lock)
            if not self._read_only and self._written > self._synced:
                self._flush_log()
            if not self._read_only:
                self._mark.write(self._synced, durable=True)

    def _abandon(self) -> None:
        """In a forked child: RocksDB is never taken down, not even with the interpreter. It would wait for threads that
        only the parent has."""
        for part in (self._db, *self._families):
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(part))
        _end_without_joining()

    def _release(self) -> None:
        self._numbers = None
        self._mark.close()
        self._owner.release()


def _end_without_joining() -> None:
    """At its exit a process joins RocksDB's threads, which ends a forked child with a segmentation fault. What is
    registered last is called first, with the exit's status: here `_exit`, when Python has ended already."""
    of_c = ctypes.CDLL(None)
    if hasattr(of_c, "on_exit"):  # glibc's own; elsewhere such a child ends with a signal, after its work.
        of_c.on_exit(of_c._exit, None)


# `upper` is an argument of these two so that their frames hold it; see _cursor.
def _pairs(cursor: Any, upper: bytes | None) -> Iterator[tuple[bytes, bytes]]:
    key, value, step = cursor.key, cursor.value, cursor.next
    while (at := key()) is not None:
        yield at, value()
        step()
    _raise_if_damaged(cursor)


def _pairs_backwards(cursor: Any, upper: bytes | None, lower: bytes) -> Iterator[tuple[bytes, bytes]]:
    key, value, step = cursor.key, cursor.value, cursor.prev
    while (at := key()) is not None:
        if at < lower:
            return
        yield at, value()
        step()
    _raise_if_damaged(cursor)


def _raise_if_damaged(cursor: Any) -> None:
    try:
        cursor.status()
    except Exception as error:
        raise translated(error) from error


def _check_present(files: Path, mark: int | None, has_log: bool) -> None:
    """RocksDB makes a new, empty database where CURRENT is missing, whatever lies beside it."""
    if not (files / "CURRENT").exists() and (mark is not None or has_log or any(files.glob("*.sst"))):
        raise Corruption(f"{files / 'CURRENT'} is missing")
    if mark is None and has_log:  # The first mark is older than the first batch.
        raise Corruption(f"{files.parent / 'SYNCED'} is missing")


def _number_in_tables(files: Path) -> int:
    """The number of the last batch that the tables hold without the log."""
    # As a secondary, which looks for the log in a folder that is empty. Not read-only: without verify_logs
    # that ends in a null pointer where MANIFEST knows of logs, and with it the logs are missed (RocksDB
    # 9.8.4).
    with tempfile.TemporaryDirectory() as empty:
        options, of_families = _settings(Memory(1 << 20, 1 << 20), verify_logs=False)
        options.set_wal_dir(empty)
        db = _rdict(files, options, of_families, rocksdict.AccessType.secondary(empty))
        numbers = db.get_column_family(NUMBERS)
        try:
            return _last_number(numbers)
        finally:
            numbers.close()
            db.close()


def _last_number(numbers: Any) -> int:
    try:
        value = numbers.get(log.NUMBER_KEY)
    except Exception as error:
        raise translated(error) from error
    return 0 if value is None else log.number_of(value)


def _database(files: Path, memory: Memory, read_only: bool) -> Any:
    access = rocksdict.AccessType
    return _rdict(files, *_settings(memory), access.read_only(False) if read_only else access.read_write())


def _settings(memory: Memory, *, verify_logs: bool = True) -> tuple[Any, Any]:
    """options.py's text as rocksdict's objects; it reads such text only from a file."""
    # The clock cache wants to know how big its entries are. Against LRU it takes a third less CPU per miss.
    cache = rocksdict.Cache.new_hyper_clock_cache(memory.cache_bytes, 4096)
    with tempfile.TemporaryDirectory() as folder:
        text = options_text([*NAMES.values(), NUMBERS], memory, verify_logs=verify_logs)
        Path(folder, "OPTIONS-000001").write_text(text)
        options, of_families = rocksdict.Options.load_latest(folder, rocksdict.Env(), False, cache)
    return options, of_families


def _rdict(files: Path, options: Any, of_families: Any, access: Any) -> Any:
    try:
        return rocksdict.Rdict(str(files), options, of_families, access)
    except Exception as error:
        raise _opening(error) from error


def _close(part: Any) -> None:
    try:
        part.close()
    except rocksdict.DbClosedError:
        return
    except Exception as error:
        raise translated(error) from error


def translated(error: Exception) -> Exception:
    """RocksDB's words as our errors: rocksdict raises bare `Exception` with RocksDB's status as its text."""
    text = str(error)
    if isinstance(error, rocksdict.DbClosedError):
        return UsageError("the store is closed")
    if type(error) is not Exception:
        return error  # A caller's mistake, such as a str for a key.
    if text.startswith("Not implemented"):
        return UsageError(f"the store was opened to be read only: {text}")
    if text.startswith("IO error: No such file") or "No such file or directory" in text:
        return Corruption(text)
    if _says_full(text):
        return StoreUnavailable(f"the disk is full: {text}")
    if text.startswith("IO error"):
        return StoreUnavailable(text)
    return Corruption(text)


def _says_full(text: str) -> bool:
    return text.startswith("IO error: No space left")


def _opening(error: Exception) -> Exception:
    """On opening, RocksDB's lock is the one refusal that is somebody's doing."""
    text = str(error)
    if "lock hold by current process" in text or "While lock file" in text:
        return UsageError(f"the store is still open, in this process or another: {text}")
    return translated(error)
