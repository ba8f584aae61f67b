"""Damage on disk is reported as damage: never answered as data, never skipped (DESIGN, "Damage is reported").

Each seed takes one image of a killed process's directory, breaks one file in it, opens it and reads everything,
each key in each way. Allowed are: `Corruption` on opening, `Corruption` on reading, or the data, whole.
"""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest

from penstock.errors import Corruption, StoreUnavailable, UsageError
from penstock.store import rocks
from penstock.store.check import check_store
from penstock.store.interface import Family
from penstock.testing import replayable, seeds

Pairs = list[list[tuple[bytes, bytes]]]
# Written by RocksDB for people, or made anew from our settings on every opening: they hold no data.
NO_DATA = ("LOG", "LOCK", "IDENTITY", "OPTIONS", "rocksdict-config.json", "OWNER")


def fill(store: rocks.RocksStore, first: int, stop: int) -> None:
    for number in range(first, stop):
        batch = store.batch()
        batch.put(Family.DATA, b"k%05d" % number, (b"%d " % number) * 60)
        batch.put(Family.CHANGES, b"c%05d" % number, b"x" * 50)
        batch.put(Family.META, b"m%d" % (number % 7), b"%d" % number)
        store.write(batch)


def read_all(store: rocks.RocksStore) -> Pairs:
    return [list(store.scan(family, b"", None)) for family in Family]


# Ends itself, as kill -9 would, when RocksDB has begun a second log and still needs the first.
TWO_LOGS = """
import os, sys
from pathlib import Path
from penstock.store import rocks
from penstock.store.interface import Family

folder = Path(sys.argv[1])
store = rocks.open_store(folder, write_buffers_bytes=4 << 20)
number = 0
while len(list((folder / "rocks").glob("*.log"))) < 2:
    batch = store.batch()
    batch.put(Family.DATA, b"k%05d" % number, os.urandom(4000))
    batch.put(Family.CHANGES, b"c%05d" % number, b"x" * 50)
    store.write(batch)
    number += 1
store.sync()
os._exit(0)
"""


def with_two_logs(folder: Path) -> Path:
    for attempt in range(50):
        image = folder / f"image{attempt}"
        subprocess.run([sys.executable, "-c", TWO_LOGS, str(image)], check=True)
        if len([path for path in (image / "rocks").glob("*.log") if path.stat().st_size]) > 1:
            return image
    raise AssertionError("RocksDB was done with the first log each time")


@pytest.fixture(scope="module", params=["log", "two logs", "tables"])
def image(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Pairs]:
    """A directory as kill -9 leaves it, and what it holds. `tables`: most of it in two tables for each family."""
    folder = tmp_path_factory.mktemp("image")
    if request.param == "two logs":
        source = with_two_logs(folder)
        shutil.copytree(source, folder / "read")
        store = rocks.open_store(folder / "read")
        whole = read_all(store)
        store.close()
        return source, whole
    store = rocks.open_store(folder / "live")
    if request.param == "tables":
        for first in (0, 300):
            fill(store, first, first + 300)
            store.close()
            store = rocks.open_store(folder / "live")
    fill(store, 600, 1000)
    store.sync()
    shutil.copytree(folder / "live", folder / "image")
    whole = read_all(store)
    store.close()
    return folder / "image", whole


# Why: a machine whose disk is full is one that is started again, and the person there needs words, not a traceback.
def test_a_log_that_there_is_no_room_to_cut_says_so_and_loses_nothing(tmp_path: Path) -> None:
    store = rocks.open_store(tmp_path / "live")
    fill(store, 0, 100)
    store.sync()
    fill(store, 100, 1000)
    shutil.copytree(tmp_path / "live", tmp_path / "image")
    store.close()
    [log] = (tmp_path / "image" / "rocks").glob("*.log")
    os.truncate(log, log.stat().st_size - 10)
    before = log.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(
        resource.RLIMIT_FSIZE, (4096, hard)
    )  # Any file that grows further is refused, as on a full disk.
    try:
        with pytest.raises(StoreUnavailable, match="room"):
            rocks.open_store(tmp_path / "image")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert log.read_bytes() == before
    again = rocks.open_store(tmp_path / "image")
    assert len(read_all(again)[0]) == 999
    again.close()


def break_a_file(random: Random, folder: Path) -> str:
    """Breaks one file; returns its name and what was done to it."""
    files = [
        path for path in sorted(folder.rglob("*")) if path.is_file() and not path.name.startswith(NO_DATA)
    ]
    path = random.choice([path for path in files if path.stat().st_size])
    data = bytearray(path.read_bytes())
    at = random.randrange(len(data))
    how = random.choice(["flip", "flip", "truncate", "zero", "remove"])
    if how == "flip":
        data[at] ^= 1 << random.randrange(8)
    elif how == "truncate":
        del data[at:]
    elif how == "zero":
        stop = min(len(data), at + random.choice([8, 512, 4096, 40_000]))
        data[at:stop] = bytes(stop - at)
    path.unlink() if how == "remove" else path.write_bytes(data)
    return f"{path.name}: {how} at {at} of {len(data)}"


def read_each_way(store: rocks.RocksStore, whole: Pairs) -> int:
    """Every read gives what was written or raises Corruption; returns how many raised."""
    raised = 0
    for family, pairs in zip(Family, whole, strict=True):
        values = dict(pairs)
        for key, value in pairs:
            try:
                assert store.get(family, key) == value
            except Corruption:
                raised += 1
        try:
            assert store.get_many(family, list(values)) == list(values.values())
        except Corruption:
            raised += 1
        for reverse in (False, True):
            expected = pairs[::-1] if reverse else pairs
            read: list[tuple[bytes, bytes]] = []
            try:
                for pair in store.scan(family, b"", None, reverse=reverse):
                    read.append(pair)
                assert read == expected
            except Corruption:
                raised += 1
                assert read == expected[: len(read)]
            try:
                page = store.page(family, b"", None, reverse=reverse, count_max=10_000, bytes_max=1 << 30)
                assert page == ([value for _, value in expected], False)
            except Corruption:
                raised += 1
    return raised


# What the seeds break is whole before, for a writer and for a reader, which `penstock check` is.
@pytest.mark.parametrize("read_only", [True, False])
def test_what_kill_9_leaves_is_read_whole(read_only: bool, image: tuple[Path, Pairs], tmp_path: Path) -> None:
    source, whole = image
    shutil.copytree(source, tmp_path / "data")
    store = rocks.open_store(tmp_path / "data", read_only=read_only)
    assert read_each_way(store, whole) == 0
    store.close()


# The rule itself, over every file that holds data and every kind of damage.
@pytest.mark.parametrize("seed", seeds(120))
def test_a_broken_file_is_reported_or_harmless(seed: int, image: tuple[Path, Pairs], tmp_path: Path) -> None:
    source, whole = image
    with replayable(seed) as random:
        shutil.copytree(source, tmp_path / "data")
        damage = break_a_file(random, tmp_path / "data")
        before = {path: path.read_bytes() for path in (tmp_path / "data").rglob("*.log")}
        try:
            store = rocks.open_store(tmp_path / "data", cache_bytes=1 << 20)
        except Corruption:
            # Nothing that could tell more, or be mended, was changed.
            assert all(path.read_bytes() == content for path, content in before.items())
            return
        except UsageError:
            assert damage.startswith("FORMAT")  # One flipped bit of "1" is another format's number.
            return
        raised = read_each_way(store, whole)
        findings = check_store(store)
        store.close()
        damaged = [words for found in findings.values() for words in found.damage]
        assert bool(raised) == bool(damaged), damage
        if not damaged:
            assert [found.pairs for found in findings.values()] == [len(pairs) for pairs in whole]


# Reading a damaged block must not be the only way to find it: the words name the file.
def test_a_flipped_byte_in_a_table_is_named_with_its_file_and_spares_other_keys(tmp_path: Path) -> None:
    store = rocks.open_store(tmp_path)
    fill(store, 0, 1000)
    store.close()
    table = max((tmp_path / "rocks").glob("*.sst"), key=lambda path: path.stat().st_size)
    data = bytearray(table.read_bytes())
    data[len(data) // 3] ^= 1
    table.write_bytes(data)
    store = rocks.open_store(tmp_path, cache_bytes=1 << 20)
    good, bad = 0, []
    for number in range(1000):
        try:
            assert store.get(Family.DATA, b"k%05d" % number) == (b"%d " % number) * 60
            good += 1
        except Corruption as error:
            bad.append(str(error))
    assert 900 < good < 1000
    assert all(table.name in words for words in bad)
    found = check_store(store)[Family.DATA]
    assert len(found.damage) == 1
    assert table.name in found.damage[0]
    assert found.reached is not None
    assert found.resumed is not None
    assert found.reached < found.resumed
    assert store.get(Family.DATA, found.reached) is not None
    store.close()


# The commonest silent loss: RocksDB opens a log that lost its end, and says nothing.
def test_a_lost_synced_tail_is_named_and_stays_reported(tmp_path: Path) -> None:
    store = rocks.open_store(tmp_path / "live")
    fill(store, 0, 100)
    store.sync()
    shutil.copytree(tmp_path / "live", tmp_path / "image")
    store.close()
    (path,) = (tmp_path / "image" / "rocks").glob("*.log")
    os.truncate(path, path.stat().st_size // 2)
    for _ in range(2):
        with pytest.raises(
            Corruption, match=rf"{path.name}: lost synced tail: ends with batch \d+, and batch 100"
        ):
            rocks.open_store(tmp_path / "image")
    path.unlink()
    held = []  # An error that somebody keeps must not keep the directory locked.
    for _ in range(2):
        with pytest.raises(Corruption, match="lost synced tail: the last batch is 0, and 100") as caught:
            rocks.open_store(tmp_path / "image")
        held.append(caught)


# A flipped byte in the log: RocksDB's words name no file, ours do.
def test_a_flipped_byte_in_the_log_is_named_with_its_file(tmp_path: Path) -> None:
    store = rocks.open_store(tmp_path / "live")
    fill(store, 0, 100)
    store.sync()
    shutil.copytree(tmp_path / "live", tmp_path / "image")
    store.close()
    (path,) = (tmp_path / "image" / "rocks").glob("*.log")
    data = bytearray(path.read_bytes())
    data[5000] ^= 4
    path.write_bytes(data)
    for _ in range(2):
        with pytest.raises(Corruption, match=rf"{path.name}, byte \d+: .*checksum mismatch"):
            rocks.open_store(tmp_path / "image")


# A checkpoint has a mark of its own: what is lost in it is noticed as well.
def test_a_checkpoint_that_lost_a_table_is_damage(tmp_path: Path) -> None:
    store = rocks.open_store(tmp_path / "live")
    fill(store, 0, 100)
    store.checkpoint(tmp_path / "copy")
    store.close()
    next(iter(sorted((tmp_path / "copy" / "rocks").glob("*.sst")))).unlink()
    with pytest.raises(Corruption, match=r"\.sst"):
        rocks.open_store(tmp_path / "copy")
