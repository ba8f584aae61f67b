"""GetShardIterator: each type begins where it says, and what cannot be read is refused."""

from __future__ import annotations

import pytest
from tests.reading_streams import (
    HOUR_S,
    id_of,
    iterator,
    make_table,
    put,
    read_shard,
    sequences,
    split,
    values,
)

from penstock.errors import ServiceError
from penstock.testing.databases import MemoryDatabase


def written(count: int = 5) -> tuple[MemoryDatabase, str, str, list[int]]:
    """A table with `count` changes, a second apart: database, stream, shard and the sequence numbers."""
    db = MemoryDatabase()
    arn = make_table(db)
    for value in range(count):
        db.clock.advance(1)
        put(db, "a", value)
    shard = id_of(db, 0)
    return db, arn, shard, sequences(read_shard(db, iterator(db, arn, shard, "TRIM_HORIZON")))


def text(number: int) -> str:
    return f"{number:021d}"


# Why: API_streams_GetShardIterator, ShardIteratorType, sentence by sentence.
def test_each_type_begins_where_it_says() -> None:
    db, arn, shard, numbers = written()

    def read(type_: str, **more: object) -> list[str]:
        return values(read_shard(db, iterator(db, arn, shard, type_, **more)))

    assert read("TRIM_HORIZON") == ["0", "1", "2", "3", "4"]
    assert read("AT_SEQUENCE_NUMBER", SequenceNumber=text(numbers[2])) == ["2", "3", "4"]
    assert read("AFTER_SEQUENCE_NUMBER", SequenceNumber=text(numbers[2])) == ["3", "4"]
    assert read("AFTER_SEQUENCE_NUMBER", SequenceNumber=text(numbers[4])) == []
    assert read("LATEST") == []
    assert read("AT_TIMESTAMP", Timestamp=1767225600 + 3) == ["2", "3", "4"]
    assert read("AT_TIMESTAMP", Timestamp=1767225600 + 3.5) == ["3", "4"]
    assert read("AT_TIMESTAMP", Timestamp=5) == ["0", "1", "2", "3", "4"]


# Why: a LATEST iterator must not miss what is written between two empty pages.
def test_latest_sees_everything_that_is_written_after_it() -> None:
    db, arn, shard, _ = written()
    at = iterator(db, arn, shard, "LATEST")
    page = db.ask("GetRecords", ShardIterator=at)
    assert page["Records"] == []
    put(db, "b", 10)
    put(db, "c", 11)
    assert values(read_shard(db, page["NextShardIterator"])) == ["10", "11"]
    assert values(read_shard(db, at)) == ["10", "11"]


# Why: the clock may step back; what is written next is still after "now".
def test_an_iterator_at_the_present_misses_nothing_when_the_clock_steps_back() -> None:
    db, arn, shard, _ = written()
    db.clock.advance(10)
    at = iterator(db, arn, shard, "AT_TIMESTAMP", Timestamp=db.clock.now_us() / 1_000_000)
    db.clock.set_wall_us(db.clock.now_us() - 9_000_000)
    put(db, "b", 10)
    assert values(read_shard(db, at)) == ["10"]


# Why: StartingSequenceNumber and a parent's position are numbers that clients start from.
def test_a_number_before_the_shard_reads_it_from_its_beginning() -> None:
    db, arn, _, numbers = written()
    split(db, 0)
    put(db, "a", 5)
    for child in (id_of(db, 1), id_of(db, 2)):
        whole = values(read_shard(db, iterator(db, arn, child, "TRIM_HORIZON")))
        for type_ in ("AT_SEQUENCE_NUMBER", "AFTER_SEQUENCE_NUMBER"):
            at = iterator(db, arn, child, type_, SequenceNumber=text(numbers[1]))
            assert values(read_shard(db, at)) == whole
    parent = id_of(db, 0)
    start = db.ask("DescribeStream", StreamArn=arn)["StreamDescription"]["Shards"][0]["SequenceNumberRange"]
    at = iterator(db, arn, parent, "AT_SEQUENCE_NUMBER", SequenceNumber=start["StartingSequenceNumber"])
    assert len(read_shard(db, at)) == 5


# Why: a number that was never given would skip everything until the clock gets there.
def test_a_number_from_the_future_is_refused() -> None:
    db, arn, shard, numbers = written()
    for type_ in ("AT_SEQUENCE_NUMBER", "AFTER_SEQUENCE_NUMBER"):
        for wrong in (
            text(numbers[-1] + 1),
            "9" * 40,
            "not-a-number-at-all-no",
            "-00000000000000000000000001",
        ):
            with pytest.raises(ServiceError, match="Invalid SequenceNumber") as raised:
                iterator(db, arn, shard, type_, SequenceNumber=wrong)
            assert raised.value.code == "ValidationException"


# Why: API_streams_GetShardIterator: "If the timestamp is in the future, the request returns a ValidationException".
def test_a_time_in_the_future_is_refused() -> None:
    db, arn, shard, _ = written()
    with pytest.raises(ServiceError) as raised:
        iterator(db, arn, shard, "AT_TIMESTAMP", Timestamp=1767225600 + 60)
    assert raised.value.code == "ValidationException"


# Why: a type without its position, or a position that the type ignores, is a mistake of the caller.
@pytest.mark.parametrize(
    ("type_", "more"),
    [
        ("AT_SEQUENCE_NUMBER", {}),
        ("AFTER_SEQUENCE_NUMBER", {}),
        ("AT_TIMESTAMP", {}),
        ("LATEST", {"SequenceNumber": "0" * 21}),
        ("TRIM_HORIZON", {"Timestamp": 5}),
    ],
)
def test_a_type_asks_for_its_own_position_only(type_: str, more: dict[str, object]) -> None:
    db, arn, shard, _ = written()
    with pytest.raises(ServiceError) as raised:
        iterator(db, arn, shard, type_, **more)
    assert raised.value.code == "ValidationException"


# Why: recorded from AWS in public issues: "Requested resource not found: Shard does not exist".
def test_an_unknown_shard_is_not_found() -> None:
    db, arn, shard, _ = written()
    with pytest.raises(ServiceError) as raised:
        iterator(db, arn, shard[:-1] + "x", "LATEST")
    assert raised.value.code == "ResourceNotFoundException"
    assert raised.value.message == "Requested resource not found: Shard does not exist"


# Why: TrimmedDataAccessException: "You request a shard iterator with a sequence number older than the trim point".
def test_a_number_behind_the_trim_horizon_is_refused_and_the_last_trimmed_one_can_be_passed() -> None:
    db, arn, shard, numbers = written(3)
    db.pass_time(20 * HOUR_S)
    put(db, "a", 9)
    db.pass_time(5 * HOUR_S)
    for type_, number in (
        ("AT_SEQUENCE_NUMBER", numbers[0]),
        ("AT_SEQUENCE_NUMBER", numbers[2]),
        ("AFTER_SEQUENCE_NUMBER", numbers[1]),
    ):
        with pytest.raises(ServiceError) as raised:
            iterator(db, arn, shard, type_, SequenceNumber=text(number))
        assert raised.value.code == "TrimmedDataAccessException"
        assert raised.value.message == (
            "The operation attempted to read past the oldest stream record in a shard."
        )
    # Whoever has read the last trimmed record has missed nothing.
    at = iterator(db, arn, shard, "AFTER_SEQUENCE_NUMBER", SequenceNumber=text(numbers[2]))
    assert values(read_shard(db, at)) == ["9"]
    assert values(read_shard(db, iterator(db, arn, shard, "TRIM_HORIZON"))) == ["9"]
    assert values(read_shard(db, iterator(db, arn, shard, "AT_TIMESTAMP", Timestamp=5))) == ["9"]
