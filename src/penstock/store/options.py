"""RocksDB's settings, in RocksDB's own text: rocksdict has no setter for some of those that keep data safe.

Memory is bounded by two numbers: the cache (blocks, indexes and filters of all families together) and the
write buffers (of all families together). Nothing else grows with the data. Measured with 1 million items of
1 KB read at random: 235 MB resident, opened in 0.03 s; a get takes 4 µs of CPU, of which 3 are a block read
and checked, against 1.2 µs with 10 thousand items, which all fit the cache.
"""

from __future__ import annotations

from dataclasses import dataclass

CACHE_BYTES = 192 << 20
WRITE_BUFFERS_BYTES = 64 << 20
LOG_BYTES_MAX = 64 << 20  # Also bounds what opening after a crash has to replay: about half a second.


@dataclass(frozen=True, slots=True)
class Memory:
    """What a store may hold in memory."""

    cache_bytes: int = CACHE_BYTES
    write_buffers_bytes: int = WRITE_BUFFERS_BYTES


# tolerate-corrupted-tail: a checksum that fails inside the log refuses to open. The default (point in time)
#   stops there without a word. What it tolerates, and what it would skip, is settled before by store/log.py.
# track_and_verify_wals: a log file that was closed and synced, and is gone or shorter, refuses to open.
# atomic_flush: tables of all families hold the same batches, so that one number says what they cover.
# max_open_files: within the usual 1,024 descriptors of a process, beside its sockets (measured: a get costs
# the same). bytes_per_sync: background writes reach the disk as they go, not in one burst that a commit's
# sync waits behind.
_DATABASE = """
[Version]
  rocksdb_version=9.8.4
  options_file_version=1.1
[DBOptions]
  create_if_missing=true
  create_missing_column_families=true
  paranoid_checks=true
  wal_recovery_mode=kTolerateCorruptedTailRecords
  track_and_verify_wals_in_manifest={verify_logs}
  atomic_flush=true
  max_total_wal_size={log_bytes_max}
  db_write_buffer_size={write_buffers_bytes}
  bytes_per_sync=1048576
  max_background_jobs=2
  max_open_files=500
  stats_dump_period_sec=0
  stats_persist_period_sec=0
  keep_log_file_num=4
  max_log_file_size=4194304
"""

# Reading ahead from the ninth block of a scan on, not from the third: a short query is over by then, and telling the system
# of blocks that are in the cache costs it a call (5 % of a query of 50).
# Bloom filter and hash index in blocks: 252k gets/s against 87k with defaults. Blocks of 4 KB: with 2 KB a
# query of 20 costs a third more, and a get the same. LZ4 leaves alone what does not shrink by an eighth.
_FAMILY = """
[CFOptions "{name}"]
  write_buffer_size={write_buffer_bytes}
  compression=kLZ4Compression
[TableOptions/BlockBasedTable "{name}"]
  filter_policy=bloomfilter:10:false
  data_block_index_type=kDataBlockBinaryAndHash
  data_block_hash_table_util_ratio=0.75
  block_size=4096
  format_version=6
  checksum=kXXH3
  cache_index_and_filter_blocks=true
  pin_l0_filter_and_index_blocks_in_cache=true
  num_file_reads_for_auto_readahead=8
"""


def options_text(families: list[str], memory: Memory, *, verify_logs: bool = True) -> str:
    """The text of an OPTIONS file. Without `verify_logs`, tables can be opened apart from their logs."""
    database = _DATABASE.lstrip().format(
        log_bytes_max=LOG_BYTES_MAX,
        write_buffers_bytes=memory.write_buffers_bytes,
        verify_logs=str(verify_logs).lower(),
    )
    return database + "".join(
        _FAMILY.format(name=name, write_buffer_bytes=memory.write_buffers_bytes // 2) for name in families
    )
