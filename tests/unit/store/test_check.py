"""The walk over every byte, on stores that hold what it should notice."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from penstock.errors import Corruption
from penstock.store.check import check_store
from penstock.store.interface import Family
from penstock.store.memory import MemoryStore


class BentStore(MemoryStore):
    """Answers scans with what it is told to, as a store with a bug or on a bad disk would."""

    def __init__(self, forwards: list[bytes], backwards: list[bytes], damaged: bool = False) -> None:
        super().__init__()
        self.forwards, self.backwards, self.damaged = forwards, backwards, damaged

    def scan(
        self, family: Family, lower: bytes, upper: bytes | None, *, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        if family is Family.DATA:
            yield from ((key, b"v") for key in (self.backwards if reverse else self.forwards))
            if self.damaged:
                raise Corruption("a block")


# What a healthy store's report says, in pairs and bytes.
def test_a_whole_store_is_counted_and_has_no_damage() -> None:
    store = MemoryStore()
    batch = store.batch()
    for number in range(5):
        batch.put(Family.DATA, b"key%d" % number, b"value")
    batch.put(Family.META, b"m", b"")
    store.write(batch)
    findings = check_store(store)
    assert {family: (found.pairs, found.size) for family, found in findings.items()} == {
        Family.DATA: (5, 45),
        Family.CHANGES: (0, 0),
        Family.META: (1, 1),
    }
    assert not any(found.damage for found in findings.values())


# Binary search over keys that are out of order answers wrongly, without any checksum failing.
@pytest.mark.parametrize("keys", [[b"b", b"a"], [b"a", b"a"]])
def test_keys_out_of_order_or_twice_are_damage(keys: list[bytes]) -> None:
    found = check_store(BentStore(keys, keys[::-1]))[Family.DATA]
    assert "out of order" in found.damage[0]


# A key that only one direction finds is an index that disagrees with its blocks.
def test_directions_that_disagree_are_damage() -> None:
    found = check_store(BentStore([b"a", b"b"], [b"b"]))[Family.DATA]
    assert found.damage == ["DATA: 2 pairs forwards and 1 backwards are not the same"]
    found = check_store(BentStore([b"a", b"b"], [b"c", b"a"]))[Family.DATA]
    assert found.damage == ["DATA: 2 pairs forwards and 2 backwards are not the same"]


# K2: where the damage is, as far as it can be read from both ends, and once.
def test_damage_is_told_once_with_the_keys_on_either_side() -> None:
    found = check_store(BentStore([b"a", b"b"], [b"z", b"y"], damaged=True))[Family.DATA]
    assert (found.damage, found.reached, found.resumed) == (["a block"], b"b", b"y")
