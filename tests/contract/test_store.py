"""Every store keeps the lines of penstock/store/interface.py, S1 to S7."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from penstock.errors import UsageError
from penstock.store import rocks
from penstock.store.gathering import GatheringStore
from penstock.store.interface import Family, Store
from penstock.store.memory import MemoryStore
from penstock.testing import Disk, FaultyStore

DATA, CHANGES, META = Family.DATA, Family.CHANGES, Family.META
Opener = Callable[[], Store]


@pytest.fixture(params=["memory", "rocks", "faulty", "gathered", "gathered rocks"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def disk() -> Disk:
    return Disk()


@pytest.fixture
def opener(kind: str, disk: Disk, tmp_path: Path) -> Opener:
    """Opens the same data each time; a store in memory has none to open again."""

    def opened() -> Store:
        if kind == "memory":
            return MemoryStore()
        on_rocks = kind.endswith("rocks")
        store: Store = (
            rocks.open_store(tmp_path / "data", cache_bytes=1 << 20) if on_rocks else FaultyStore(disk)
        )
        return GatheringStore(store) if kind.startswith("gathered") else store

    return opened


@pytest.fixture
def store(opener: Opener) -> Iterator[Store]:
    store = opener()
    yield store
    store.close()


def put(store: Store, *pairs: tuple[bytes, bytes], family: Family = DATA) -> None:
    batch = store.batch()
    for key, value in pairs:
        batch.put(family, key, value)
    store.write(batch)


def keys(
    store: Store, lower: bytes = b"", upper: bytes | None = None, *, reverse: bool = False
) -> list[bytes]:
    return [key for key, _ in store.scan(DATA, lower, upper, reverse=reverse)]


# S1: once `write` returned, every read sees it.
def test_what_was_written_is_read_by_get_get_many_scan_and_page(store: Store) -> None:
    put(store, (b"a", b"1"), (b"b", b"2"))
    assert store.get(DATA, b"a") == b"1"
    assert store.get_many(DATA, [b"b", b"x", b"a"]) == [b"2", None, b"1"]
    assert list(store.scan(DATA, b"", None)) == [(b"a", b"1"), (b"b", b"2")]
    assert store.page(DATA, b"", None, count_max=9, bytes_max=99) == ([b"1", b"2"], False)


# S1: steps given together are the steps given one by one.
def test_put_all_puts_and_deletes_in_every_family(store: Store) -> None:
    put(store, (b"a", b"1"), (b"b", b"1"))
    put(store, (b"m", b"1"), family=META)
    batch = store.batch()
    batch.put(DATA, b"c", b"1")
    batch.put_all([{b"a": b"2", b"b": None, b"none": None}, {b"x": b"1"}, {b"m": None}])
    batch.delete(DATA, b"c")
    store.write(batch)
    assert list(store.scan(DATA, b"", None)) == [(b"a", b"2")]
    assert list(store.scan(CHANGES, b"", None)) == [(b"x", b"1")]
    assert list(store.scan(META, b"", None)) == []


# S1: a batch that was made but never written is nothing.
def test_a_batch_that_is_not_written_changes_nothing(store: Store) -> None:
    store.batch().put(DATA, b"a", b"1")
    assert store.get(DATA, b"a") is None


# Steps of a batch have an order: an index entry deleted and put again in one request must be there.
def test_steps_of_a_batch_apply_in_order(store: Store) -> None:
    batch = store.batch()
    batch.put(DATA, b"a", b"1")
    batch.delete(DATA, b"a")
    batch.put(DATA, b"b", b"1")
    batch.delete_range(DATA, b"a", b"c")
    batch.put(DATA, b"b", b"2")
    store.write(batch)
    assert list(store.scan(DATA, b"", None)) == [(b"b", b"2")]


# A plan writes base records, changes and counters in one batch.
def test_families_hold_the_same_key_apart(store: Store) -> None:
    batch = store.batch()
    for family in Family:
        batch.put(family, b"k", family.name.encode())
    store.write(batch)
    assert [store.get(family, b"k") for family in Family] == [b"DATA", b"CHANGES", b"META"]
    batch = store.batch()
    batch.delete(CHANGES, b"k")
    store.write(batch)
    assert [store.get(family, b"k") for family in Family] == [b"DATA", None, b"META"]


# The empty value is a value, and so is the empty key's.
def test_empty_values_and_keys_are_kept(store: Store) -> None:
    put(store, (b"", b"x"), (b"a", b""))
    assert store.get(DATA, b"a") == b""
    assert store.get(DATA, b"") == b"x"
    assert store.get_many(DATA, [b"", b"a"]) == [b"x", b""]
    assert keys(store) == [b"", b"a"]


# S5: bytes order as unsigned; a bound is included below and excluded above.
def test_scan_gives_lower_included_upper_excluded_in_unsigned_order(store: Store) -> None:
    put(store, *[(key, b"") for key in (b"\x00", b"\x7f", b"\x80", b"\xff", b"\xff\xff", b"\x80\x00")])
    assert keys(store) == [b"\x00", b"\x7f", b"\x80", b"\x80\x00", b"\xff", b"\xff\xff"]
    assert keys(store, b"\x7f", b"\xff") == [b"\x7f", b"\x80", b"\x80\x00"]
    assert keys(store, b"\x7f", b"\xff", reverse=True) == [b"\x80\x00", b"\x80", b"\x7f"]


# The ends of a table's run of keys: nothing before it, after it, or in a range that is empty or backwards.
@pytest.mark.parametrize("reverse", [False, True])
def test_scan_of_a_range_without_keys_is_empty(store: Store, reverse: bool) -> None:
    put(store, (b"m", b""))
    for lower, upper in ((b"a", b"m"), (b"n", b"z"), (b"m", b"m"), (b"z", b"a"), (b"n", None)):
        assert keys(store, lower, upper, reverse=reverse) == []
        assert store.page(DATA, lower, upper, reverse=reverse, count_max=9, bytes_max=9) == ([], False)


# S4: a filtered Scan is consumed in slices while writes go on.
@pytest.mark.parametrize("reverse", [False, True])
def test_a_scan_reads_the_state_of_the_moment_when_it_was_called(store: Store, reverse: bool) -> None:
    put(store, *[(b"%d" % n, b"old") for n in range(6)])
    unstarted, started = (
        store.scan(DATA, b"", None, reverse=reverse),
        store.scan(DATA, b"", None, reverse=reverse),
    )
    first = next(started)
    batch = store.batch()
    batch.delete_range(DATA, b"1", b"4")
    batch.put(DATA, b"4", b"new")
    batch.put(DATA, b"45", b"new")
    store.write(batch)
    order = range(6)[::-1] if reverse else range(6)
    before = [(b"%d" % n, b"old") for n in order]
    assert [first, *started] == before
    assert list(unstarted) == before
    now = [(b"0", b"old"), (b"4", b"new"), (b"45", b"new"), (b"5", b"old")]
    assert list(store.scan(DATA, b"", None, reverse=reverse)) == (now[::-1] if reverse else now)


# Paging at 1 MB: the pair that reaches the bound is the last one, and `more` is exact.
@pytest.mark.parametrize("reverse", [False, True])
def test_a_page_ends_with_the_pair_that_reaches_a_bound(store: Store, reverse: bool) -> None:
    pairs = [(b"%d" % n, b"%d" % n * 10) for n in range(5)]
    put(store, *pairs)
    expected = [value for _, value in (pairs[::-1] if reverse else pairs)]

    def page(count: int, size: int) -> tuple[list[bytes], bool]:
        return store.page(DATA, b"0", b"9", reverse=reverse, count_max=count, bytes_max=size)

    assert page(2, 1000) == (expected[:2], True)
    assert page(9, 20) == (expected[:2], True)
    assert page(9, 21) == (expected[:3], True)
    assert page(5, 1000) == (expected, False)
    assert page(9, 50) == (expected, False)


# S5 with delete_range: trimming changes must not touch the first record that is kept.
def test_delete_range_excludes_its_upper_bound_and_may_be_empty(store: Store) -> None:
    put(store, *[(b"%d" % n, b"") for n in range(5)])
    batch = store.batch()
    batch.delete_range(DATA, b"1", b"3")
    batch.delete_range(DATA, b"4", b"4")
    batch.delete_range(DATA, b"9", b"0")
    batch.delete(DATA, b"not there")
    store.write(batch)
    assert keys(store) == [b"0", b"3", b"4"]


# S2: group commit syncs from a helper thread while the core writes.
def test_sync_may_be_called_from_another_thread_while_writes_go_on(store: Store) -> None:
    stop, failures = threading.Event(), []

    def syncs() -> None:
        while not stop.is_set():
            try:
                store.sync()
            except BaseException as error:
                failures.append(error)
                raise

    thread = threading.Thread(target=syncs)
    thread.start()
    for number in range(2000):
        put(store, (b"%06d" % number, b"v"))
    stop.set()
    thread.join()
    assert failures == []
    assert len(keys(store)) == 2000


# A table with one write after a clean stop is the commonest case of all.
@pytest.mark.parametrize("synced", [False, True])
def test_closed_and_opened_again_a_store_holds_what_it_held(kind: str, opener: Opener, synced: bool) -> None:
    if kind == "memory":
        pytest.skip("a store in memory ends with its process")
    store = opener()
    put(store, (b"a", b"1"))
    put(store, (b"m", b"2"), family=META)
    if synced:
        store.sync()
    store.close()
    for _ in range(2):  # Twice: what opening leaves behind must open too.
        store = opener()
        assert (store.get(DATA, b"a"), store.get(META, b"m")) == (b"1", b"2")
        store.close()


# A checkpoint is what `penstock check` reads of a served directory.
def test_a_checkpoint_opens_as_a_store_of_its_own(
    kind: str, opener: Opener, disk: Disk, tmp_path: Path
) -> None:
    if kind == "memory":
        pytest.skip("a store in memory has no files to link")
    store = opener()
    put(store, (b"a", b"1"))
    store.checkpoint(tmp_path / "copy")
    put(store, (b"a", b"2"), (b"b", b"2"))
    store.sync()
    copied = disk.checkpoints.get(tmp_path / "copy")
    copy: Store = FaultyStore(copied) if copied is not None else rocks.open_store(tmp_path / "copy")
    assert list(copy.scan(DATA, b"", None)) == [(b"a", b"1")]
    put(copy, (b"c", b"3"))
    copy.close()
    assert list(store.scan(DATA, b"", None)) == [(b"a", b"2"), (b"b", b"2")]
    with pytest.raises(UsageError):
        store.checkpoint(tmp_path / "copy")
    store.close()


# S7: a late caller gets a word, not a crash of the process.
def test_after_close_every_call_is_refused(store: Store) -> None:
    put(store, (b"a", b"1"))
    batch = store.batch()
    batch.put(DATA, b"b", b"2")
    store.close()
    store.close()
    for call in (
        lambda: store.get(DATA, b"a"),
        lambda: store.get_many(DATA, [b"a"]),
        lambda: store.scan(DATA, b"", None),
        lambda: store.page(DATA, b"", None, count_max=1, bytes_max=1),
        lambda: store.write(batch),
        lambda: store.sync(),
        lambda: store.checkpoint(Path("never made")),
    ):
        with pytest.raises(UsageError):
            call()


KEYS = st.binary(max_size=3)
STEPS = st.one_of(
    st.tuples(st.just("put"), KEYS, st.binary(max_size=4)),
    st.tuples(st.just("delete"), KEYS, st.just(b"")),
    st.tuples(st.just("delete_range"), KEYS, KEYS),
)


# The whole contract of reading at once: any batches, any bounds, against a sorted dict.
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    batches=st.lists(st.lists(STEPS, max_size=8), max_size=6),
    lower=KEYS,
    upper=st.none() | KEYS,
    reverse=st.booleans(),
    count=st.integers(1, 5),
)
def test_any_batches_read_as_a_sorted_dict_would(
    store: Store,
    batches: list[list[tuple[str, bytes, bytes]]],
    lower: bytes,
    upper: bytes | None,
    reverse: bool,
    count: int,
) -> None:
    model: dict[bytes, bytes] = {}
    clear = store.batch()
    clear.delete_range(DATA, b"", b"\xff" * 9)
    store.write(clear)
    for steps in batches:
        batch = store.batch()
        for name, first, second in steps:
            if name == "put":
                batch.put(DATA, first, second)
                model[first] = second
            elif name == "delete":
                batch.delete(DATA, first)
                model.pop(first, None)
            else:
                batch.delete_range(DATA, first, second)
                model = {k: v for k, v in model.items() if not first <= k < second}
        store.write(batch)
    inside = [
        pair for pair in sorted(model.items()) if lower <= pair[0] and (upper is None or pair[0] < upper)
    ]
    expected = inside[::-1] if reverse else inside
    assert list(store.scan(DATA, lower, upper, reverse=reverse)) == expected
    page = store.page(DATA, lower, upper, reverse=reverse, count_max=count, bytes_max=1000)
    assert page == ([value for _, value in expected[:count]], len(expected) > count)
    asked = [key for key, _ in expected] + [b"none", lower]
    assert store.get_many(DATA, asked) == [model.get(key) for key in asked]


# Why: rocksdict frees an iterator's upper bound with the options that carried it; scans then ended early, in silence.
def test_a_scan_keeps_its_bounds_while_memory_is_used_again(store: Store) -> None:
    put(store, *((b"k%09d" % i, b"v") for i in range(100)))
    for _ in range(200):
        found: list[bytes] = []
        reused: list[bytes] = []
        for key, _value in store.scan(DATA, b"k", b"k%09d" % 90):
            found.append(key)
            reused.append(b"\1%d" % len(found) * 3)
        assert len(found) == 90
