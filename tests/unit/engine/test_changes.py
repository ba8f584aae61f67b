"""Change records: their numbers, their order as keys, and what GetRecords makes of their bytes."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.engine import changes
from penstock.errors import Corruption
from penstock.model import items
from penstock.model.tables import KeyAttribute, KeySchema, Shard, Stream
from penstock.model.values import Item, item_size

KEYS = KeySchema((KeyAttribute("pk", "S"),), (KeyAttribute("sk", "N"),))
WHOLE = (Shard(0, 0, 1 << 32),)
OLD: Item = {"pk": {"S": "a"}, "sk": {"N": "1"}, "x": {"S": "before"}}
NEW: Item = {"pk": {"S": "a"}, "sk": {"N": "1"}, "x": {"S": "after"}}


def stream(view: str = "NEW_AND_OLD_IMAGES", shards: tuple[Shard, ...] = WHOLE) -> Stream:
    return Stream(7, "2026-01-01T00:00:00.000", view, shards, 0, "things", KEYS)


def image(item: Item) -> changes.Image:
    return item, items.encode_measured(item)


def record(view: str, old: Item | None, new: Item | None, expired: bool = False) -> dict[str, object]:
    described = changes.describe(
        stream(view), 5, image(old) if old else None, image(new) if new else None, expired
    )
    key = changes.change_key(described.stream, described.shard, 176722560012345600007)
    written = changes.record_writer(view, "us-east-1")(key, described.body)
    return orjson.loads(written)  # type: ignore[no-any-return]


# Why: consumers order and remember changes by this number, so no clock may make it stand still or go back.
@given(st.lists(st.integers(0, 2**50), min_size=1))
def test_sequence_numbers_rise_whatever_the_clock_does(times_us: list[int]) -> None:
    last = 0
    for now_us in times_us:
        number = changes.next_sequence(last, now_us)
        assert number > last
        assert number >= now_us * changes.SEQUENCE_PER_US
        last = number


# Why: a shard is read by a scan, so the order of keys has to be the order of commits.
@given(st.integers(0, 2**90), st.integers(0, 2**90))
def test_keys_of_a_shard_sort_by_sequence_number(one: int, other: int) -> None:
    first, second = changes.change_key(7, 1, one), changes.change_key(7, 1, other)
    assert (first < second) == (one < other)
    assert changes.sequence_in_key(first) == one


# Why: the service model gives a sequence number at least 21 characters.
def test_a_sequence_number_has_21_digits() -> None:
    assert changes.sequence_text(changes.next_sequence(0, 1_767_225_600_000_000)) == "176722560000000000000"


# Why: the four views are the contract of StreamViewType.
@pytest.mark.parametrize(
    ("view", "images"),
    [
        ("KEYS_ONLY", set()),
        ("NEW_IMAGE", {"NewImage"}),
        ("OLD_IMAGE", {"OldImage"}),
        ("NEW_AND_OLD_IMAGES", {"NewImage", "OldImage"}),
    ],
)
def test_each_view_holds_its_images_and_always_the_keys(view: str, images: set[str]) -> None:
    body = record(view, OLD, NEW)["dynamodb"]
    assert isinstance(body, dict)
    assert {name for name in body if name.endswith("Image")} == images
    assert body["Keys"] == {"pk": {"S": "a"}, "sk": {"N": "1"}}
    assert body["StreamViewType"] == view
    assert body.get("NewImage", NEW) == NEW
    assert body.get("OldImage", OLD) == OLD


# Why: API_streams_StreamRecord: SizeBytes is the size of the record, keys and images, as AWS counts items.
def test_size_counts_keys_and_images() -> None:
    keys = {name: OLD[name] for name in ("pk", "sk")}
    both = record("NEW_AND_OLD_IMAGES", OLD, NEW)["dynamodb"]
    only = record("KEYS_ONLY", OLD, NEW)["dynamodb"]
    assert isinstance(both, dict)
    assert isinstance(only, dict)
    assert both["SizeBytes"] == item_size(keys) + item_size(OLD) + item_size(NEW)
    assert only["SizeBytes"] == item_size(keys)


# Why: API_streams_Record: eventName says what happened to the item.
@pytest.mark.parametrize(
    ("old", "new", "name"), [(None, NEW, "INSERT"), (OLD, NEW, "MODIFY"), (OLD, None, "REMOVE")]
)
def test_the_event_is_named_after_what_was_there_and_is_there(
    old: Item | None, new: Item | None, name: str
) -> None:
    assert record("KEYS_ONLY", old, new)["eventName"] == name


# Why: API_streams_StreamRecord: "rounded down to the closest second".
def test_the_time_of_a_record_is_in_whole_seconds() -> None:
    body = record("KEYS_ONLY", None, NEW)["dynamodb"]
    assert isinstance(body, dict)
    assert body["ApproximateCreationDateTime"] == 1_767_225_600
    assert body["SequenceNumber"] == "176722560012345600007"


# Why: API_streams_Identity: SDKs read the capitalised members; a user's deletion has none.
def test_only_an_expired_item_names_the_service_as_its_deleter() -> None:
    expired = record("OLD_IMAGE", OLD, None, expired=True)
    assert expired["userIdentity"] == {"PrincipalId": "dynamodb.amazonaws.com", "Type": "Service"}
    assert "userIdentity" not in record("OLD_IMAGE", OLD, None)


# Why: consumers remember events by their id to find a record that they were given twice.
def test_an_event_id_is_the_same_at_each_reading_and_differs_between_records() -> None:
    write = changes.record_writer("KEYS_ONLY", "us-east-1")
    body = changes.describe(stream("KEYS_ONLY"), 5, None, image(NEW)).body

    def event_id(shard: int, sequence: int) -> str:
        return str(orjson.loads(write(changes.change_key(7, shard, sequence), body))["eventID"])

    assert event_id(0, 10**20) == event_id(0, 10**20)
    assert len({event_id(shard, 10**20 + n) for shard in range(4) for n in range(50)}) == 200
    assert len(event_id(0, 10**20)) == 32


# Why: damage is reported, never answered as data.
def test_a_record_of_an_unknown_kind_is_damage() -> None:
    with pytest.raises(Corruption):
        changes.record_writer("KEYS_ONLY", "us-east-1")(changes.change_key(7, 0, 1), b"X\0{}")


# Why: a change in no shard would be read by nobody.
def test_a_change_goes_to_the_open_shard_of_its_hash() -> None:
    halves = (Shard(0, 0, 1 << 32, closed=9), Shard(1, 0, 1 << 31, 0, 10), Shard(2, 1 << 31, 1 << 32, 0, 10))
    divided = stream(shards=halves)
    assert changes.shard_of(divided, 0) == 1
    assert changes.shard_of(divided, (1 << 31) - 1) == 1
    assert changes.shard_of(divided, 1 << 31) == 2
    assert changes.shard_of(divided, (1 << 32) - 1) == 2
