"""The files beside RocksDB's: who owns a directory, which format it has, how far it was synced."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from penstock.errors import Corruption, UsageError
from penstock.store import directory, rocks
from penstock.store.interface import Family


# Two processes on one directory would destroy it; the second learns who has it.
def test_a_second_opener_is_told_which_process_has_the_directory(tmp_path: Path) -> None:
    store = rocks.open_store(tmp_path)
    for read_only in (False, True):
        with pytest.raises(UsageError, match=f"is in use by process {os.getpid()}"):
            rocks.open_store(tmp_path, read_only=read_only)
    program = "import sys; from pathlib import Path; from penstock.store import rocks; rocks.open_store(Path(sys.argv[1]))"
    other = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert f"is in use by process {os.getpid()}" in other.stderr
    store.close()
    rocks.open_store(tmp_path).close()


# A directory's outer lock invites the next owner; its store's must be free by then.
def test_a_forked_child_gives_up_last_what_was_taken_first() -> None:
    program = """
import os
from penstock.store.directory import in_forked_child

class Taken:
    def __init__(self, name):
        self.name = name
        in_forked_child(self.give_up)

    def give_up(self):
        os.write(1, self.name)

outer, dropped, inner = (Taken(name) for name in (b"outer", b"dropped", b"inner"))
del dropped
if os.fork() == 0:
    os._exit(0)
os.wait()
"""
    forked = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)
    assert (forked.stdout, forked.stderr) == (b"innerouter", b"")


# The lock goes with the process, however it ends: no lock file to remove by hand.
def test_a_killed_owner_leaves_the_directory_free(tmp_path: Path) -> None:
    program = (
        "import os, sys; from pathlib import Path; from penstock.store import rocks\n"
        "store = rocks.open_store(Path(sys.argv[1])); os.kill(os.getpid(), 9)"
    )
    killed = subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=False)
    assert killed.returncode == -9
    rocks.open_store(tmp_path).close()


# A read-only opening must not make a store where there is none, and must not change one that is.
def test_read_only_reads_and_neither_makes_nor_writes(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="holds no Penstock data"):
        rocks.open_store(tmp_path / "none", read_only=True)
    store = rocks.open_store(tmp_path / "some")
    batch = store.batch()
    batch.put(Family.DATA, b"a", b"1")
    store.write(batch)
    store.close()
    readers = [rocks.open_store(tmp_path / "some", read_only=True) for _ in range(2)]
    assert [reader.get(Family.DATA, b"a") for reader in readers] == [b"1", b"1"]
    with pytest.raises(UsageError, match="in use by"):
        rocks.open_store(tmp_path / "some")
    with pytest.raises(UsageError, match="read only"):
        readers[0].write(readers[0].batch())
    for reader in readers:
        reader.close()
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="holds no Penstock data"):
        rocks.open_store(tmp_path / "empty", read_only=True)


# A directory written by a later version must not be "repaired" by an earlier one.
def test_another_format_is_refused_with_its_number(tmp_path: Path) -> None:
    rocks.open_store(tmp_path).close()
    (tmp_path / "FORMAT").write_text("penstock 7\n")
    with pytest.raises(UsageError, match="has format 7; this version of Penstock reads format 1"):
        rocks.open_store(tmp_path)


# A crash while a directory is made: each step that came before is what the next opening finds.
def test_a_directory_half_made_is_made_again(tmp_path: Path) -> None:
    directory.write_format(tmp_path)
    (tmp_path / "rocks").mkdir()
    (tmp_path / "rocks" / "MANIFEST-000001").write_bytes(b"half")
    (tmp_path / "SYNCED").touch()
    store = rocks.open_store(tmp_path)
    store.close()
    rocks.open_store(tmp_path).close()


# RocksDB would make a new, empty database here and call it success.
def test_a_missing_current_format_or_mark_is_damage(tmp_path: Path) -> None:
    for number, name in enumerate(["rocks/CURRENT", "FORMAT", "SYNCED"]):
        folder = tmp_path / str(number)
        store = rocks.open_store(folder)
        batch = store.batch()
        batch.put(Family.DATA, b"a", b"1")
        store.write(batch)
        store.close()
        (folder / name).unlink()
        with pytest.raises(Corruption, match=f"{name.rpartition('/')[2]} is missing"):
            rocks.open_store(folder)


# D1 and the layout of SYNCED.
def test_the_mark_is_a_number_with_its_checksum_and_any_change_is_damage(tmp_path: Path) -> None:
    mark = directory.Mark(tmp_path)
    assert mark.read() is None
    mark.write(41)
    mark.write(42, durable=True)
    mark.close()
    path = tmp_path / "SYNCED"
    text = path.read_bytes()
    assert text == b"00000000000000000042 4ee7e60b\n"
    assert directory.Mark(tmp_path).read() == 42
    for at in range(29):
        path.write_bytes(text[:at] + bytes([text[at] ^ 1]) + text[at + 1 :])
        with pytest.raises(Corruption, match="SYNCED does not hold a batch number"):
            directory.Mark(tmp_path).read()
