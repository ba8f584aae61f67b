"""The store on RocksDB, and the only importer of rocksdict.

A data directory holds:

    FORMAT        the format number of everything else; a newer one is refused
    OWNER         locked by the process that has the store open, with its id inside
    SYNCED        the high-water mark: the last batch that a sync covered
    rocks/        RocksDB's own files: one column family per `Family`
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import rocksdict

from penstock.errors import Corruption, PenstockError, StoreUnavailable
from penstock.store.interface import Batch, Family

CACHE_BYTES = 128 << 20
NAMES = {Family.DATA: "default", Family.CHANGES: "changes", Family.META: "meta"}


def open_store(folder: Path, *, cache_bytes: int = CACHE_BYTES, read_only: bool = False) -> RocksStore:
    """Opens the store in `folder`, making it where there is none."""
    folder.mkdir(parents=True, exist_ok=True)
    return RocksStore(folder, cache_bytes, read_only)


class RocksBatch:
    """Batch over RocksDB's own: what is put here is in its write-ahead form at once."""

    __slots__ = ("_handles", "raw")

    def __init__(self, handles: list[Any]) -> None:
        self.raw = rocksdict.WriteBatch(raw_mode=True)
        self._handles = handles

    def put(self, family: Family, key: bytes, value: bytes) -> None:
        self.raw.put(key, value, self._handles[family])

    def delete(self, family: Family, key: bytes) -> None:
        self.raw.delete(key, self._handles[family])

    def delete_range(self, family: Family, lower: bytes, upper: bytes) -> None:
        self.raw.delete_range(lower, upper, self._handles[family])


class RocksStore:
    """Store over RocksDB. Made by `open_store`."""

    def __init__(self, folder: Path, cache_bytes: int, read_only: bool) -> None:
        self.folder = folder
        self._read_only = read_only
        self._sync_lock = threading.Lock()
        cache = rocksdict.Cache(cache_bytes)
        access = rocksdict.AccessType
        try:
            self._db = rocksdict.Rdict(
                str(folder / "rocks"),
                _options(cache),
                {name: _options(cache) for name in NAMES.values()},
                access.read_only(False) if read_only else access.read_write(),
            )
        except Exception as error:
            raise translated(error) from error
        self._families = [self._db.get_column_family(NAMES[family]) for family in Family]
        self._handles = [self._db.get_column_family_handle(NAMES[family]) for family in Family]
        self._gets: list[Callable[..., Any]] = [family.get for family in self._families]
        self._write = self._db.write

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
        self, family: Family, lower: bytes, upper: bytes, *, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        if lower >= upper:
            return iter(())
        # Only the upper bound: in rocksdict 0.3.29 set_iterate_lower_bound sets the upper one.
        bounds = rocksdict.ReadOptions()
        bounds.set_iterate_upper_bound(upper)
        # Not Rdict.items(): it ends without a word where a block is damaged. Here `status` is asked.
        cursor = self._families[family].iter(bounds)
        if reverse:
            cursor.seek_to_last()
            return _pairs_backwards(cursor, lower)
        cursor.seek(lower)
        return _pairs(cursor)

    def batch(self) -> Batch:
        return RocksBatch(self._handles)

    def write(self, batch: Batch) -> None:
        assert isinstance(batch, RocksBatch)
        try:
            self._write(batch.raw)
        except Exception as error:
            raise translated(error) from error

    def sync(self) -> None:
        with self._sync_lock:
            try:
                self._db.flush_wal(True)
            except Exception as error:
                raise translated(error) from error

    def checkpoint(self, folder: Path) -> None:
        partial = folder.with_name(folder.name + ".partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        try:
            rocksdict.Checkpoint(self._db).create_checkpoint(str(partial / "rocks"))
        except Exception as error:
            raise translated(error) from error
        partial.rename(folder)

    def close(self) -> None:
        self._db.close()


def _pairs(cursor: Any) -> Iterator[tuple[bytes, bytes]]:
    key, value, step = cursor.key, cursor.value, cursor.next
    while (at := key()) is not None:
        yield at, value()
        step()
    _raise_if_damaged(cursor)


def _pairs_backwards(cursor: Any, lower: bytes) -> Iterator[tuple[bytes, bytes]]:
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


def _options(cache: Any) -> Any:
    blocks = rocksdict.BlockBasedOptions()
    blocks.set_block_cache(cache)
    blocks.set_bloom_filter(10, False)
    blocks.set_data_block_index_type(rocksdict.DataBlockIndexType.binary_and_hash())
    blocks.set_data_block_hash_ratio(0.75)
    options = rocksdict.Options(raw_mode=True)
    options.create_if_missing(True)
    options.create_missing_column_families(True)
    options.set_block_based_table_factory(blocks)
    options.set_wal_recovery_mode(rocksdict.DBRecoveryMode.tolerate_corrupted_tail_records())
    options.set_paranoid_checks(True)
    options.set_max_total_wal_size(64 << 20)
    options.set_write_buffer_size(32 << 20)
    options.set_db_write_buffer_size(96 << 20)
    options.set_keep_log_file_num(2)
    return options


def translated(error: Exception) -> PenstockError:
    """RocksDB's words as our errors: rocksdict raises bare `Exception` with RocksDB's status as text."""
    text = str(error)
    if text.startswith("Corruption") or "checksum mismatch" in text:
        return Corruption(text)
    return StoreUnavailable(text)
