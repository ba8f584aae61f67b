"""The faults of FaultyStore, F1 to F6; what it keeps of a crash is tested in tests/simulation."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from penstock.errors import StoreUnavailable, UsageError
from penstock.store.interface import Family
from penstock.testing import Disk, Faults, FaultyStore, PowerLoss


def put(store: FaultyStore, key: bytes) -> None:
    batch = store.batch()
    batch.put(Family.DATA, key, b"v")
    store.write(batch)


# F1: a handler for errors must not be able to go on in a process that is gone.
def test_death_is_no_exception_and_lasts() -> None:
    store = FaultyStore(faults=Faults(die_at=2))
    put(store, b"a")
    assert not issubclass(PowerLoss, Exception)
    with pytest.raises(PowerLoss, match="at operation 2"):
        store.sync()
    calls: list[Callable[[], object]] = [
        lambda: put(store, b"b"),
        store.sync,
        lambda: store.get(Family.DATA, b"a"),
    ]
    for call in calls:
        with pytest.raises(PowerLoss):
            call()
    store.close()


# F2: the seed alone decides.
def test_the_same_seed_loses_the_same() -> None:
    kept = []
    for seed in (3, 3, 5, 5, 8, 8):
        disk = Disk()
        store = FaultyStore(disk, Faults(seed=seed))
        for number in range(50):
            put(store, b"%d" % number)
        store.power_off()
        kept.append(FaultyStore(disk).disk.kept)
    assert kept[0::2] == kept[1::2]
    assert len(set(kept)) == 3


# F4.
def test_a_full_disk_refuses_writes_and_syncs_and_serves_reads() -> None:
    store = FaultyStore()
    put(store, b"a")
    store.full = True
    calls: list[Callable[[], None]] = [lambda: put(store, b"b"), store.sync]
    for call in calls:
        with pytest.raises(StoreUnavailable):
            call()
    assert [key for key, _ in store.scan(Family.DATA, b"", None)] == [b"a"]
    store.full = False
    put(store, b"b")
    store.sync()
    assert store.disk.synced == 2


# F4: a failed sync promises nothing; the next one that returns promises it all.
def test_failed_syncs_leave_batches_unsynced() -> None:
    store = FaultyStore()
    put(store, b"a")
    store.fail_syncs(2)
    for _ in range(2):
        with pytest.raises(StoreUnavailable):
            store.sync()
        assert store.disk.synced == 0
    store.sync()
    assert store.disk.synced == 1


# F5: group commit must not answer a write with a sync that began before it.
def test_a_held_sync_covers_what_was_written_when_it_was_called() -> None:
    store = FaultyStore()
    put(store, b"a")
    store.hold_syncs()
    thread = threading.Thread(target=store.sync)
    thread.start()
    for _ in range(10_000):
        if store.operations == 2:
            break
        thread.join(0.001)
    put(store, b"b")
    assert store.disk.synced == 0
    store.release_syncs()
    thread.join()
    assert store.disk.synced == 1


# F6: two stores on one disk would each overwrite the other's batches.
def test_a_disk_has_one_store_at_a_time() -> None:
    disk = Disk()
    store = FaultyStore(disk)
    with pytest.raises(UsageError):
        FaultyStore(disk)
    store.close()
    FaultyStore(disk).close()
