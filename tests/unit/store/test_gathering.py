"""Many batches as one: what is gathered is read, written once, and never told to be durable when it was lost."""

from __future__ import annotations

import threading
from queue import SimpleQueue
from typing import Any

import orjson
import pytest
from tests.tables import table_request

from penstock.database.actions import DYNAMODB
from penstock.database.check import check
from penstock.database.open import ServedDatabase
from penstock.errors import StoreUnavailable
from penstock.store import gathering
from penstock.store.gathering import GatheringStore
from penstock.store.interface import Family
from penstock.testing import FaultyStore, ManualClock

DATA, META = Family.DATA, Family.META
PATIENCE_S = 20.0  # Only a failure waits for so long.


@pytest.fixture
def below() -> FaultyStore:
    return FaultyStore()


@pytest.fixture
def store(below: FaultyStore) -> GatheringStore:
    return GatheringStore(below)


def write(store: GatheringStore, *pairs: tuple[bytes, bytes | None]) -> None:
    batch = store.batch()
    for key, value in pairs:
        if value is None:
            batch.delete(DATA, key)
        else:
            batch.put(DATA, key, value)
    store.write(batch)


# Why: A1. A read that may meet what is gathered has to see it, and one of another table must not cost a write.
def test_a_read_writes_out_what_lies_in_its_space_and_nothing_else(
    store: GatheringStore, below: FaultyStore
) -> None:
    write(store, (b"logs1", b"v"))
    assert store.page(DATA, b"shop0", b"shop9", count_max=9, bytes_max=99) == ([], False)
    assert list(store.scan(DATA, b"shop0", b"shop9")) == []
    assert below.disk.batches == []
    assert store.page(DATA, b"logs0", b"logs9", count_max=9, bytes_max=99) == ([b"v"], False)
    assert len(below.disk.batches) == 1


# Why: A1, at its edges: a range over several spaces, one without an end, another family, and a space after it was written out.
@pytest.mark.parametrize(
    ("family", "lower", "upper"),
    [(DATA, b"a", b"z"), (DATA, b"logs0", None), (DATA, b"logr", b"logt"), (META, b"shop0", b"shop9")],
)
def test_a_read_that_may_meet_what_is_gathered_has_it_written_out(
    family: Family, lower: bytes, upper: bytes | None, store: GatheringStore, below: FaultyStore
) -> None:
    write(store, (b"logs1", b"v"))
    list(store.scan(family, lower, upper))
    assert len(below.disk.batches) == 1
    write(store, (b"next1", b"v"))
    list(store.scan(DATA, b"logs0", b"logs9"))
    assert len(below.disk.batches) == 1


def sync_elsewhere(store: GatheringStore) -> None:
    thread = threading.Thread(target=store.sync)
    thread.start()
    thread.join(PATIENCE_S)


# Why: it is the whole gain, and one batch is what makes a crash take or leave them together (A2).
def test_what_is_written_between_two_syncs_is_one_batch_below(
    store: GatheringStore, below: FaultyStore
) -> None:
    for number in range(10):
        write(store, (b"k%d" % number, b"v"))
    store.sync()
    assert len(below.disk.batches) == 1
    assert below.get(DATA, b"k9") == b"v"


# Why: A1. The next request is decided against what the last one left.
def test_a_gathered_put_and_a_gathered_delete_are_read_at_once(
    store: GatheringStore, below: FaultyStore
) -> None:
    write(store, (b"a", b"1"), (b"b", b"1"))
    store.sync()
    write(store, (b"a", None), (b"b", b"2"))
    assert (store.get(DATA, b"a"), store.get(DATA, b"b")) == (None, b"2")
    assert below.get(DATA, b"a") == b"1"
    assert list(store.scan(DATA, b"", None)) == [(b"b", b"2")]


# Why: A5. An answer tells of what was gathered before it, and leaves when `write` has returned.
def test_a_batch_at_once_is_written_at_once_and_after_what_is_gathered(
    store: GatheringStore, below: FaultyStore
) -> None:
    write(store, (b"a", b"1"), (b"b", b"1"))
    batch = store.batch_at_once()
    batch.put(DATA, b"a", b"2")
    store.write(batch)
    assert len(below.disk.batches) == 2
    assert (below.get(DATA, b"a"), below.get(DATA, b"b"), store.get(DATA, b"a")) == (b"2", b"1", b"2")


# Why: A3 and A5. What it was decided against is gone: written, it would tell of what no sync will ever cover.
def test_a_batch_at_once_is_refused_with_what_was_gathered_before_it(
    store: GatheringStore, below: FaultyStore
) -> None:
    write(store, (b"a", b"1"))
    batch = store.batch_at_once()
    batch.put(DATA, b"b", b"1")
    below.full = True
    for _ in range(2):
        with pytest.raises(StoreUnavailable):
            store.write(batch)
        below.full = False
    assert below.get(DATA, b"b") is None


# Why: a bound: a bulk load between two syncs must not pile up in memory.
def test_more_batches_than_the_bound_are_written_out_without_a_sync(
    store: GatheringStore, below: FaultyStore
) -> None:
    for number in range(gathering.BATCHES_MAX):
        write(store, (b"k%05d" % number, b"v"))
    assert below.get(DATA, b"k00000") == b"v"


# Why: A4. What a group's sync did not cover is not written by another thread beside the one that writes.
def test_a_sync_on_another_thread_leaves_what_was_not_sealed(
    store: GatheringStore, below: FaultyStore
) -> None:
    write(store, (b"a", b"1"))
    store.seal()
    write(store, (b"b", b"1"))
    sync_elsewhere(store)
    assert (below.get(DATA, b"a"), below.get(DATA, b"b")) == (b"1", None)


# Why: A3. Who wrote them has to be told, and nobody may read them.
def test_gathered_batches_that_the_disk_refused_are_gone_and_the_next_sync_says_so(
    store: GatheringStore, below: FaultyStore
) -> None:
    lost: list[bool] = []
    store.on_lost = lambda: lost.append(True)
    write(store, (b"a", b"1"))
    below.full = True
    store.seal()
    with pytest.raises(StoreUnavailable):
        store.sync()
    assert lost == [True]
    assert store.get(DATA, b"a") is None
    below.full = False
    write(store, (b"b", b"1"))
    store.sync()
    assert [key for key, _ in below.scan(DATA, b"", None)] == [b"b"]


# Why: A3. A read wrote out in vain in the middle of a decision: its write may rest on what is gone.
def test_a_write_after_a_loss_is_refused_until_the_loss_was_told(
    store: GatheringStore, below: FaultyStore
) -> None:
    write(store, (b"a", b"1"))
    below.full = True
    assert list(store.scan(DATA, b"", None)) == []
    below.full = False
    with pytest.raises(StoreUnavailable):
        write(store, (b"b", b"1"))
    with pytest.raises(StoreUnavailable):
        store.sync()
    write(store, (b"c", b"1"))
    store.sync()
    assert [key for key, _ in below.scan(DATA, b"", None)] == [b"c"]


class Served:
    """A database as a server has it; its loop is a queue that the test empties."""

    def __init__(self, store: FaultyStore) -> None:
        self.posted: SimpleQueue[Any] = SimpleQueue()
        self.database = ServedDatabase(store, ManualClock(), self.posted.put, "power")

    def ask_all(self, *asked: tuple[str, dict[str, Any]]) -> list[int]:
        """The requests come together; their statuses, in order."""
        answers: dict[int, int] = {}
        for number, (action, request) in enumerate(asked):

            def done(status: int, body: bytes, number: int = number) -> None:
                answers[number] = status

            self.database.start(DYNAMODB + action, orjson.dumps(request), done)
        while len(answers) < len(asked):
            self.posted.get(timeout=PATIENCE_S)()
        return [answers[number] for number in range(len(asked))]


def put_request(key: str) -> tuple[str, dict[str, Any]]:
    return "PutItem", {"TableName": "notes", "Item": {"pk": {"S": key}}}


# Why: on a full disk every caller of the group is told, and counters in memory go back to what the disk says.
def test_a_server_on_a_full_disk_refuses_the_whole_group_and_counts_none_of_it() -> None:
    below = FaultyStore()
    served = Served(below)
    assert served.ask_all(("CreateTable", table_request("notes", "pk"))) == [200]
    assert served.ask_all(put_request("a"), put_request("b")) == [200, 200]
    below.full = True
    assert served.ask_all(put_request("c"), put_request("d")) == [500, 500]
    below.full = False
    assert served.ask_all(put_request("e")) == [200]
    table = served.database.database.view.table("notes")
    assert served.database.database.view.counts(table.space)[0] == 3
    assert served.ask_all(("GetItem", {"TableName": "notes", "Key": {"pk": {"S": "c"}}})) == [200]
    assert check(served.database.store).findings == []
    served.database.close()
