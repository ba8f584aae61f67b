"""Stores that die: at every write and every sync, by power loss and by kill -9. What is left is a prefix (S1 to S3).

Three kinds: the faulty store, whose disk loses what it may; RocksDB on files from which a power loss has taken
what was never synced; and a real process under load that is killed with SIGKILL again and again.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from penstock.store import rocks
from penstock.store.check import check_store
from penstock.store.interface import Family, Store
from penstock.testing import Disk, Faults, FaultyStore, PowerLoss, replayable, seeds

Content = tuple[tuple[tuple[bytes, bytes], ...], ...]
Step = tuple[str, Family, bytes, bytes]


def content(store: Store) -> Content:
    return tuple(tuple(store.scan(family, b"", None)) for family in Family)


def random_steps(random: Random) -> list[Step]:
    steps: list[Step] = []
    for _ in range(random.randint(1, 6)):
        name = random.choice(["put", "put", "put", "delete", "delete_range"])
        first, second = b"%02d" % random.randrange(40), b"%02d" % random.randrange(40)
        value = second if name == "delete_range" else random.randbytes(random.choice([0, 10, 300, 9000]))
        steps.append((name, random.choice(list(Family)), first, value))
    return steps


def apply(store: Store, steps: list[Step]) -> None:
    batch = store.batch()
    for name, family, first, second in steps:
        if name == "put":
            batch.put(family, first, second)
        elif name == "delete":
            batch.delete(family, first)
        else:
            batch.delete_range(family, first, second)
    store.write(batch)


def states_after_each(batches: list[list[Step]]) -> list[Content]:
    """What a store holds after none, one, two … of the batches."""
    store = FaultyStore()
    states = [content(store)]
    for steps in batches:
        apply(store, steps)
        states.append(content(store))
    return states


# S1 to S3 for every place where a process can die: each write and each sync of each history.
@pytest.mark.parametrize("power", [True, False])
@pytest.mark.parametrize("seed", seeds(150))
def test_a_store_that_dies_at_any_operation_keeps_a_prefix_at_least_to_the_last_sync(
    seed: int, power: bool
) -> None:
    with replayable(seed) as random:
        history = [
            None if random.random() < 0.3 else random_steps(random) for _ in range(random.randint(1, 20))
        ]
        states = states_after_each([steps for steps in history if steps is not None])
        died = 0
        for die_at in range(1, len(history) + 1):
            disk = Disk()
            store = FaultyStore(disk, Faults(die_at, seed=seed * 1000 + die_at, power=power))
            written = synced = 0
            try:
                for steps in history:
                    if steps is None:
                        store.sync()
                        synced = written
                    else:
                        apply(store, steps)
                        written += 1
            except PowerLoss:
                died += 1
            with pytest.raises(PowerLoss):
                store.get(Family.DATA, b"00")
            again = FaultyStore(disk)
            least = synced if power else written
            assert least <= disk.kept <= written + 1
            assert content(again) == states[disk.kept]
        assert died == len(history)


# The simulation is worth something only if it does lose what it may lose.
def test_power_loss_takes_any_number_of_unsynced_batches() -> None:
    kept = set()
    for seed in range(100):
        disk = Disk()
        store = FaultyStore(disk, Faults(die_at=6, seed=seed))
        apply(store, [("put", Family.DATA, b"0", b"")])
        store.sync()
        for number in range(3):
            apply(store, [("put", Family.DATA, b"%d" % number, b"")])
        with pytest.raises(PowerLoss):
            apply(store, [("put", Family.DATA, b"3", b"")])
        kept.add(FaultyStore(disk).disk.kept)
    assert kept == {1, 2, 3, 4, 5}


def lose_power(random: Random, image: Path, log_name: str, synced_bytes: int) -> None:
    """Takes from the newest log what a power loss may take: any pages written since the last sync."""
    path = image / "rocks" / log_name
    data = bytearray(path.read_bytes())
    if random.random() < 0.5:
        del data[random.randint(synced_bytes, len(data)) :]
    for start in range(synced_bytes // 4096 * 4096, len(data), 4096):
        if random.random() < 0.2:
            first, stop = max(start, synced_bytes), min(start + 4096, len(data))
            lost = random.choice([bytes(stop - first), random.randbytes(stop - first)])
            data[first:stop] = lost
    path.write_bytes(data)


# DESIGN's group commit on a real disk: unsynced pages vanish in any order, and that is no damage.
@pytest.mark.parametrize("seed", seeds(60))
def test_rocksdb_after_power_loss_holds_a_prefix_at_least_to_the_last_sync(seed: int, tmp_path: Path) -> None:
    with replayable(seed) as random:
        batches = [random_steps(random) for _ in range(random.randint(1, 40))]
        states = states_after_each(batches)
        store = rocks.open_store(tmp_path / "live", cache_bytes=1 << 20)
        reopen_at, synced, synced_bytes, old_mark = random.randint(0, 40), 0, 0, b""
        for number, steps in enumerate(batches, 1):
            apply(store, steps)
            if random.random() < 0.2 or number == reopen_at:
                store.sync()
                synced = number
                synced_bytes = newest_log(tmp_path / "live").stat().st_size
            if number == reopen_at:
                store.close()
                store = rocks.open_store(tmp_path / "live", cache_bytes=1 << 20)
                synced_bytes, old_mark = 0, (tmp_path / "live" / "SYNCED").read_bytes()
        shutil.copytree(tmp_path / "live", tmp_path / "image")
        log_name = newest_log(tmp_path / "live").name
        store.close()
        lose_power(random, tmp_path / "image", log_name, synced_bytes)
        if old_mark and random.random() < 0.5:  # The mark's own sync may be a second behind.
            (tmp_path / "image" / "SYNCED").write_bytes(old_mark)
        after = rocks.open_store(tmp_path / "image", cache_bytes=1 << 20)
        assert content(after) in states[synced:]
        apply(after, [("put", Family.DATA, b"after", b"")])
        after.close()
        again = rocks.open_store(tmp_path / "image", cache_bytes=1 << 20)
        assert again.get(Family.DATA, b"after") == b""
        again.close()


def newest_log(folder: Path) -> Path:
    return max((folder / "rocks").glob("*.log"), key=lambda path: int(path.stem))


# Write buffers of 1 MB: dozens of flushes a second, so that kills fall between a flush and its log's deletion.
WRITER = """
import os, sys, threading
from pathlib import Path
from penstock.store import rocks
from penstock.store.interface import Family

store = rocks.open_store(Path(sys.argv[1]), cache_bytes=1 << 20, write_buffers_bytes=1 << 20)
held = store.get(Family.META, b"number")
number, done = int(held or 0), threading.Event()
os.write(1, b"opened %d\\n" % number)

def syncs():
    while not done.is_set():
        upto = number
        store.sync()
        os.write(1, b"synced %d\\n" % upto)

threading.Thread(target=syncs, daemon=True).start()
while True:
    batch = store.batch()
    batch.put(Family.DATA, b"%020d" % (number + 1), b"%d" % (number + 1) * 150)
    batch.put(Family.CHANGES, b"%020d" % (number + 1), b"c")
    batch.put(Family.META, b"number", b"%d" % (number + 1))
    store.write(batch)
    number += 1
"""


def run_until_killed(folder: Path, lines_max: int) -> tuple[int, int]:
    """Starts the writer, kills it after some lines; returns what it opened with, and the last number it synced."""
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(folder)], stdout=subprocess.PIPE, text=True)
    assert writer.stdout is not None
    opened = synced = -1
    for count, line in enumerate(writer.stdout):
        word, number = line.split()
        if word == "opened":
            opened = synced = int(number)
        else:
            synced = int(number)
        if count == lines_max:
            os.kill(writer.pid, signal.SIGKILL)
        # What it printed before it died was acknowledged too: read to the end.
    assert writer.wait() == -signal.SIGKILL
    return opened, synced


def kill_again_and_again(random: Random, folder: Path, kills: int, check: Callable[[int], None]) -> None:
    acknowledged = 0
    for _ in range(kills):
        opened, synced = run_until_killed(folder, random.randint(1, 120))
        assert opened >= acknowledged, f"opened with {opened}, and {acknowledged} had been acknowledged"
        acknowledged = synced
    check(acknowledged)


def check_each(folder: Path) -> Callable[[int], None]:
    def check(acknowledged: int) -> None:
        store = rocks.open_store(folder, cache_bytes=1 << 20)
        number = int(store.get(Family.META, b"number") or 0)
        assert number >= acknowledged > 0
        for count, (key, value) in enumerate(store.scan(Family.DATA, b"", None), 1):
            assert (key, value) == (b"%020d" % count, b"%d" % count * 150)
        assert count == number == sum(1 for _ in store.scan(Family.CHANGES, b"", None))
        assert not any(found.damage for found in check_store(store).values())
        store.close()

    return check


# A real process, real files: each number that was printed after its sync is there after every kill.
@pytest.mark.parametrize("seed", seeds(1))
def test_a_process_killed_under_load_keeps_each_acknowledged_batch(seed: int, tmp_path: Path) -> None:
    with replayable(seed) as random:
        kill_again_and_again(random, tmp_path, 6, check_each(tmp_path))


# The same, often enough to meet the rare moments.
@pytest.mark.long
@pytest.mark.parametrize("seed", seeds(10))
def test_a_process_killed_hundreds_of_times_keeps_each_acknowledged_batch(seed: int, tmp_path: Path) -> None:
    with replayable(seed + 1000) as random:
        kill_again_and_again(random, tmp_path, 40, check_each(tmp_path))
