"""The proof of the log, on files made by hand: each rule L1 to L3 with the smallest log that shows it."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.errors import Corruption
from penstock.store import log


def record(number: int, synced: int, filler: int = 20) -> bytes:
    """A batch's payload: header, some entry, and the number as the last one."""
    return bytes(12) + b"x" * filler + b"\x01n\x10" + log.number_value(number, synced)


def written(payloads: list[bytes]) -> bytes:
    """A log file, fragmented as RocksDB's writer does it."""
    out = bytearray()
    for payload in payloads:
        first = True
        while True:
            left = log.BLOCK - len(out) % log.BLOCK
            if left < log.HEADER:
                out += bytes(left)
                left = log.BLOCK
            part, payload = payload[: left - log.HEADER], payload[left - log.HEADER :]
            kind = (log.FULL if first else log.LAST) if not payload else log.FIRST if first else log.MIDDLE
            crc = log.crc32c(bytes([kind]) + part)
            masked = ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
            out += masked.to_bytes(4, "little") + len(part).to_bytes(2, "little") + bytes([kind]) + part
            first = False
            if not payload:
                break
    return bytes(out)


def logs(folder: Path, *contents: bytes) -> list[Path]:
    for index, content in enumerate(contents):
        (folder / f"{index + 1:06}.log").write_bytes(content)
    return log.log_files(folder)


# The checksum that everything hangs on, against the value in RFC 3720.
def test_crc32c_of_the_check_string_is_the_published_one() -> None:
    assert log.crc32c(b"123456789") == 0xE3069283


# RocksDB numbers files past 999999 with more digits: order is that of numbers, and other files are none.
def test_log_files_are_ordered_by_number(tmp_path: Path) -> None:
    for name in ("1000000.log", "000009.log", "999999.log", "LOG", "x.log", "000010.sst"):
        (tmp_path / name).touch()
    assert [path.name for path in log.log_files(tmp_path)] == ["000009.log", "999999.log", "1000000.log"]


# Records of every size around a block's end are found again, also those of several blocks.
@given(sizes=st.lists(st.integers(0, 80_000), max_size=6), start=st.integers(log.BLOCK - 100, log.BLOCK))
def test_every_record_is_found_whatever_fragments_it_has(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], start: int
) -> None:
    sizes = [start - 2 * log.HEADER - 40, *sizes]
    payloads = [record(number + 1, number, size) for number, size in enumerate(sizes)]
    files = logs(tmp_path_factory.mktemp("log"), written(payloads))
    assert log.prove(files, len(sizes), 0, sum_all=True) is None
    with pytest.raises(Corruption, match="lost synced tail"):
        log.prove(files, len(sizes) + 1, 0)


# L1: a file of the log that is gone, or whose beginning is not where the tables end.
def test_a_gap_before_or_between_files_is_damage_where_it_was_synced(tmp_path: Path) -> None:
    files = logs(tmp_path, written([record(5, 4), record(6, 5)]), written([record(8, 7)]))
    with pytest.raises(Corruption, match=r"000001\.log: batch 4 is damaged or missing at byte 0"):
        log.prove(files, 0, 3)
    with pytest.raises(
        Corruption, match=r"000002\.log: batch 7 is damaged or missing at byte 0, and batch 7 was"
    ):
        log.prove(files, 0, 4)
    # Tables that hold 7 do not need the log's gap.
    assert log.prove(files, 8, 7) is None


# L2: RocksDB takes a log that was cut at the end of a record for a whole one.
def test_a_log_that_ends_before_the_mark_is_damage(tmp_path: Path) -> None:
    files = logs(tmp_path, written([record(1, 0), record(2, 1)]))
    assert log.prove(files, 2, 0) is None
    with pytest.raises(Corruption, match="ends with batch 2, and batch 3 was synced"):
        log.prove(files, 3, 0)
    with pytest.raises(Corruption, match="the log: lost synced tail"):
        log.prove([], 1, 0)


# S3: power lost in the middle of a write is no damage.
@pytest.mark.parametrize("lost", [1, 30, 59])
def test_a_torn_tail_that_was_never_synced_is_cut(tmp_path: Path, lost: int) -> None:
    whole, torn = written([record(1, 0)]), written([record(1, 0), record(2, 1)])
    files = logs(tmp_path, torn[: len(torn) - lost] if lost < len(torn) - len(whole) else whole + b"\x01")
    cut = log.prove(files, 1, 0)
    assert cut == log.Cut(files[0], len(whole), ())
    cut.apply(tmp_path / "cut")
    assert files[0].read_bytes() == whole
    assert log.prove(files, 1, 0) is None
    log.restore(tmp_path / "cut", tmp_path)
    assert len(files[0].read_bytes()) > len(whole)
    assert not (tmp_path / "cut").exists()


# Zeros are what a file system leaves of a page that was never written. RocksDB skips them to the block's end and
# replays what follows: batches would be missing in the middle.
def test_a_hole_of_zeros_is_cut_where_nothing_after_it_claims_a_later_sync(tmp_path: Path) -> None:
    payloads = [record(number, 2, 5000) for number in range(1, 30)]
    content = bytearray(written(payloads))
    content[4 * 8192 : 5 * 8192] = bytes(8192)
    files = logs(tmp_path, bytes(content), written([record(30, 2)]))
    cut = log.prove(files, 2, 0)
    assert cut is not None
    assert (cut.path, cut.later) == (files[0], (files[1],))
    cut.apply(tmp_path / "cut")
    assert log.log_files(tmp_path) == [files[0]]
    assert log.prove(log.log_files(tmp_path), 6, 0) is None


# L3: the same hole, but a batch after it was written when what is in the hole had been synced.
def test_a_hole_of_zeros_is_damage_where_a_later_record_claims_a_later_sync(tmp_path: Path) -> None:
    payloads = [record(number, number - 1, 5000) for number in range(1, 30)]
    content = bytearray(written(payloads))
    content[4 * 8192 : 5 * 8192] = bytes(8192)
    before = bytes(content)
    files = logs(tmp_path, before)
    # The mark is older: after a power loss it may be.
    with pytest.raises(
        Corruption, match=r"batch 7 is damaged or missing at byte \d+, and batch \d+ was synced"
    ):
        log.prove(files, 2, 0)
    assert files[0].read_bytes() == before


# A process that dies while it cuts: the next one finds every byte again, and cuts at the same place.
@pytest.mark.parametrize("step", ["a later file moved", "half copied", "copied"])
def test_a_cut_that_was_interrupted_is_undone(tmp_path: Path, step: str) -> None:
    torn = written([record(1, 0), record(2, 1)])[:-3]
    files = logs(tmp_path, torn, written([record(4, 1)]))
    cut = log.prove(files, 1, 0)
    assert cut is not None
    aside = tmp_path / "cut"
    aside.mkdir()
    files[1].rename(aside / files[1].name)
    if step == "half copied":
        (aside / (files[0].name + ".partial")).write_bytes(torn[:5])
    elif step == "copied":
        (aside / files[0].name).write_bytes(torn)
    log.restore(aside, tmp_path)
    assert [path.read_bytes() for path in files] == [torn, written([record(4, 1)])]
    assert log.prove(log.log_files(tmp_path), 1, 0) == cut


# A checksum beyond the mark is a torn write; one that fails up to it is RocksDB's to find.
def test_a_checksum_that_fails_beyond_the_mark_is_cut_when_sums_are_asked_for(tmp_path: Path) -> None:
    content = bytearray(written([record(1, 0), record(2, 1), record(3, 1)]))
    second = len(written([record(1, 0)]))
    content[second + log.HEADER + 15] ^= 1
    files = logs(tmp_path, bytes(content))
    assert log.prove(files, 1, 0) is None
    assert log.prove(files, 1, 0, sum_all=True) == log.Cut(files[0], second, ())
    assert log.first_bad_sum(files) == f"{files[0]}, byte {second}"
    assert log.prove(files, 2, 0, sum_all=True) is None


# A full disk leaves a torn record; when there is room again, the next batch has its number, in a new file.
def test_a_torn_record_whose_number_comes_again_is_no_gap(tmp_path: Path) -> None:
    torn = written([record(1, 1), record(2, 1)])[:-5]
    files = logs(tmp_path, torn, written([record(2, 1), record(3, 2), record(4, 3)]))
    assert log.prove(files, 4, 0) is None


# Whatever bytes are there, the proof ends with an answer: no other error, and no cut below the mark.
@pytest.mark.parametrize("seed", range(150))
def test_any_damage_is_either_damage_or_a_cut_above_the_mark(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    payloads = [record(n, max(0, n - chance.randint(1, 5)), chance.randint(0, 9000)) for n in range(1, 20)]
    mark = chance.randint(0, 19)
    clean = written(payloads)
    content = bytearray(clean)
    for _ in range(chance.randint(1, 3)):
        at = chance.randrange(len(content))
        size = chance.choice([1, 7, 600, 40_000])
        content[at : at + size] = chance.choice(
            [b"", bytes(size), chance.randbytes(min(size, len(content) - at))]
        )
        if not content:
            break
    files = logs(tmp_path, bytes(content))
    synced_end = len(written(payloads[:mark]))
    try:
        cut = log.prove(files, mark, 0, sum_all=True)
    except Corruption:
        return
    if cut is not None:
        assert cut.offset >= synced_end
        cut.apply(tmp_path / "cut")
        assert log.prove(files, mark, 0, sum_all=True) is None
