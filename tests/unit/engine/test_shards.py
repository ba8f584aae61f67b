"""The layout of a stream: ranges that cover every hash once, splits, ids."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.engine import shards
from penstock.engine.changes import shard_of
from penstock.errors import UsageError
from penstock.model.keys import HASH_SPACE
from penstock.model.tables import KeyAttribute, KeySchema, Shard, Stream

KEYS = KeySchema((KeyAttribute("pk", "S"),))
CREATED_US = 1_773_000_000_000_000


def stream(count: int = 1, id_: int = 3) -> Stream:
    return Stream(id_, "label", "KEYS_ONLY", shards.layout(count, 50), CREATED_US, "things", KEYS)


def assert_covers_each_hash_once(layout: tuple[Shard, ...]) -> None:
    edge = 0
    for shard in sorted((shard for shard in layout if shard.closed is None), key=lambda shard: shard.low):
        assert shard.low == edge
        assert shard.high > shard.low
        edge = shard.high
    assert edge == HASH_SPACE


# Why: S1 for a new stream; a gap would lose the changes of its keys.
@pytest.mark.parametrize("count", [1, 2, 3, 4, 7, 64])
def test_a_new_stream_covers_every_hash_once(count: int) -> None:
    layout = shards.layout(count, 50)
    assert len(layout) == count
    assert {shard.opened for shard in layout} == {50}
    assert_covers_each_hash_once(layout)


# Why: S1, S2 and S4 for any history of splits.
@given(st.integers(1, 4), st.lists(st.integers(0, 1000), max_size=20))
def test_any_splits_keep_the_cover_and_the_lineage(count: int, choices: list[int]) -> None:
    divided = stream(count)
    for at, choice in enumerate(choices, start=100):
        open_ = [shard.number for shard in divided.shards if shard.closed is None]
        divided = shards.split(divided, open_[choice % len(open_)], shards.next_number(divided), at)
    assert_covers_each_hash_once(divided.shards)
    by_number = {shard.number: shard for shard in divided.shards}
    assert len(by_number) == len(divided.shards)
    for shard in divided.shards:
        if shard.parent is None:
            continue
        parent = by_number[shard.parent]
        assert parent.closed is not None
        assert parent.closed + 1 == shard.opened
        assert parent.number < shard.number
        assert parent.low <= shard.low < shard.high <= parent.high


# Why: what a split is for: later changes of each key go to one child.
@given(st.integers(0, HASH_SPACE - 1))
def test_after_a_split_each_hash_of_the_parent_has_one_child(hash_: int) -> None:
    divided = shards.split(stream(2), 0, 2, 99)
    chosen = shard_of(divided, hash_)
    assert chosen in (1, 2, 3)
    found = shards.find(divided, chosen)
    assert found is not None
    assert found.low <= hash_ < found.high


# Why: a shard that was opened and split before any write must not end before it begins.
def test_a_shard_split_before_its_first_change_ends_at_its_first_number() -> None:
    parent, one, other = shards.split(stream(), 0, 1, 7).shards
    assert (parent.opened, parent.closed) == (50, 50)
    assert one.opened == other.opened == 51


# Why: a wrong split would corrupt the layout for good, so it is refused.
def test_a_split_of_a_closed_or_narrow_shard_or_with_a_used_number_is_refused() -> None:
    divided = shards.split(stream(), 0, 1, 99)
    with pytest.raises(UsageError):
        shards.split(divided, 0, 5, 120)
    with pytest.raises(UsageError):
        shards.split(divided, 1, 2, 120)
    with pytest.raises(UsageError):
        shards.split(divided, 17, 20, 120)
    narrow = replace(stream(), shards=(Shard(0, 0, 1), Shard(1, 1, HASH_SPACE)))
    with pytest.raises(UsageError):
        shards.split(narrow, 0, 2, 120)


# Why: clients keep these ids, and some sort by them: AWS's shape, in the order of the shards' numbers.
def test_ids_have_aws_shape_sort_as_numbers_and_differ_between_streams() -> None:
    ids = [shards.shard_id(stream(), number) for number in range(200)]
    assert all(re.fullmatch(r"shardId-\d{20}-[0-9a-f]{8}", id_) for id_ in ids)
    assert ids == sorted(ids)
    assert ids[0].startswith("shardId-00000001773000000000-")
    assert not set(ids) & {shards.shard_id(stream(id_=4), number) for number in range(200)}
    assert shards.find_by_id(stream(3), ids[2]) == shards.find(stream(3), 2)
    assert shards.find_by_id(stream(3), ids[3]) is None


# Why: a consumer that comes late finds the shards that still hold something, and only those go that do not.
def test_pruning_takes_closed_shards_behind_the_horizon_only() -> None:
    divided = shards.split(shards.split(stream(), 0, 1, 99), 1, 3, 200)
    assert shards.prune(divided, 99) is divided
    assert [shard.number for shard in shards.prune(divided, 100).shards] == [1, 2, 3, 4]
    assert [shard.number for shard in shards.prune(divided, 10**30).shards] == [2, 3, 4]
    ended = replace(divided, enabled=False)
    assert shards.prune(ended, 10**30) is ended
