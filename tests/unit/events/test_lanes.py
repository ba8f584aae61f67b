"""Lanes: batches, retries, bisection, partial responses, ages and positions, as values only."""

from __future__ import annotations

from datetime import UTC, datetime
from random import Random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from penstock.events.lanes import EXHAUSTED, EXPIRED, PASS_EVERY_S, SAVE_EVERY_S, Lane
from penstock.events.outcomes import Failure, Outcome, failing_index, raised, returned
from penstock.events.records import Entry, lambda_record, lane_of
from penstock.events.retries import Backoff
from penstock.events.settings import PAYLOAD_BYTES_MAX, Settings

FAILURE = Failure("ValueError", "no")


def handler(event: Any) -> None:
    """Never called here."""


def settings(**given: Any) -> Settings:
    return Settings("name", "table", handler, **given)


def entry(sequence: int, *, created_s: float = 1000.0, arrived_s: float = 0.0, size: int = 10) -> Entry:
    record = {"dynamodb": {"SequenceNumber": str(sequence), "Keys": {"k": {"S": "a"}}}}
    return Entry(sequence, created_s, arrived_s, size, record)


def lane(*sequences: int, **more: Any) -> Lane:
    filled = Lane(0)
    for sequence in sequences:
        filled.offer(entry(sequence, **more))
    return filled


def numbers(run: Any) -> list[int]:
    return [each.sequence for each in run.entries] if run is not None else []


class Half:
    """Randomness that is always one half."""

    def random(self) -> float:
        return 0.5


# Why: batch_size and window_s are Lambda's BatchSize and MaximumBatchingWindowInSeconds.
def test_a_batch_goes_when_it_is_full_or_has_waited_for_the_window() -> None:
    told = settings(batch_size=3, window_s=2.0)
    waiting = lane(1, 2)
    assert waiting.batch(1.9, told) is None
    assert waiting.due_s(told) == 2.0
    assert numbers(waiting.batch(2.0, told)) == [1, 2]
    assert numbers(lane(1, 2, 3, 4).batch(0.0, told)) == [1, 2, 3]
    assert numbers(lane(1).batch(0.0, settings())) == [1], "no window: whatever is there"


# Why: Lambda sends at most 6 MB in one event.
def test_a_batch_ends_before_it_is_larger_than_an_event_may_be() -> None:
    big = lane(1, 2, 3, size=PAYLOAD_BYTES_MAX // 2)
    assert numbers(big.batch(0.0, settings())) == [1]


# Why: L5, a commit of the handler finds the position as the lane knows it.
def test_progress_is_saved_between_batches_and_not_more_often_than_needed() -> None:
    told = settings(batch_size=1)
    one = lane(5, 6)
    assert one.batch(0.0, told) is not None
    one.busy = True
    assert not one.wants_save(0.0)
    one.settle(Outcome(1), 0.0, told, Random(1))
    assert one.position == 5
    assert one.wants_save(0.0)
    one.stored(5, 0.0)
    assert one.batch(0.0, told) is not None
    one.settle(Outcome(1), 0.01, told, Random(1))
    assert not one.wants_save(0.05)
    assert one.wants_save(SAVE_EVERY_S)


# Why: a lane that sees only other lanes' records go by must not write ten times a second.
def test_a_lane_that_handles_nothing_saves_rarely() -> None:
    passing = Lane(0, saved_at_s=0.0)
    passing.passed(9)
    assert passing.position == 9
    assert not passing.wants_save(SAVE_EVERY_S)
    assert passing.wants_save(PASS_EVERY_S)


# Why: L2; the position may follow the reader only where nothing waits.
def test_the_position_never_passes_a_record_that_waits() -> None:
    waiting = lane(5)
    waiting.passed(9)
    assert waiting.position == 0


# Why: what is read again after a restart has been handled up to the position.
def test_records_up_to_the_position_are_not_taken_again() -> None:
    again = Lane(0, position=5, saved=5)
    for sequence in (4, 5, 6):
        again.offer(entry(sequence))
    assert [each.sequence for each in again.queue] == [6]


# Why: retries wait, longer each time, and the batch stays whole.
def test_a_failed_batch_is_tried_again_after_a_pause() -> None:
    told = settings(batch_size=10)
    failing = lane(1, 2, 3)
    failing.batch(0.0, told)
    failing.settle(Outcome(0, FAILURE), 0.0, told, Half())
    assert failing.batch(0.0, told) is None
    assert failing.due_s(told) == 0.05
    assert numbers(failing.batch(0.05, told)) == [1, 2, 3]
    failing.settle(Outcome(0, FAILURE), 1.0, told, Half())
    assert failing.due_s(told) == 1.0 + 0.1


# Why: Lambda's BisectBatchOnFunctionError; splitting does not count towards the attempts.
def test_a_batch_is_halved_until_the_record_that_fails_stands_alone() -> None:
    told = settings(batch_size=4, bisect_batch_on_function_error=True, maximum_retry_attempts=1)
    failing = lane(1, 2, 3, 4)
    tried: list[list[int]] = []
    buried: list[int] = []
    now_s = 0.0
    while failing.pending:
        now_s += 100.0
        burial = failing.burial(now_s, 1000.0, told)
        if burial is not None:
            buried += [each.sequence for each in burial.entries]
            assert (burial.reason, burial.attempts) == (EXHAUSTED, 2)
            failing.buried(burial)
            continue
        run = failing.batch(now_s, told)
        tried.append(numbers(run))
        outcome = Outcome(0, FAILURE) if 3 in numbers(run) else Outcome(len(numbers(run)))
        failing.settle(outcome, now_s, told, Half())
    assert tried == [[1, 2, 3, 4], [1, 2], [3, 4], [3], [3], [4]]
    assert buried == [3]
    assert failing.position == 4


# Why: without bisection Lambda gives the whole batch to the destination.
def test_a_batch_that_fails_too_often_is_buried_whole() -> None:
    told = settings(batch_size=10, maximum_retry_attempts=0)
    failing = lane(1, 2)
    failing.batch(0.0, told)
    failing.settle(Outcome(0, FAILURE), 0.0, told, Half())
    burial = failing.burial(0.0, 1000.0, told)
    assert burial is not None
    assert [each.sequence for each in burial.entries] == [1, 2]
    failing.buried(burial)
    assert (failing.position, failing.saved) == (2, 2), "the burial moves the stored position itself"


# Why: ReportBatchItemFailures; what stands before the lowest failing number is done, and a new head counts anew.
def test_a_reported_failure_keeps_what_came_before_it_and_is_buried_alone() -> None:
    told = settings(batch_size=10, maximum_retry_attempts=1, report_batch_item_failures=True)
    failing = lane(1, 2, 3)
    for _ in range(2):
        run = failing.batch(100.0, told)
        assert run is not None
        answer = {"batchItemFailures": [{"itemIdentifier": "3"}, {"itemIdentifier": "2"}]}
        failing.settle(returned(answer, run.entries, True, 0), 0.0, told, Half())
        assert failing.position == 1
    burial = failing.burial(100.0, 1000.0, told)
    assert burial is not None
    assert [each.sequence for each in burial.entries] == [2]
    failing.buried(burial)
    assert numbers(failing.batch(100.0, told)) == [3]


# Why: Lambda's MaximumRecordAgeInSeconds, and without it the stream's own retention: never dropped in silence.
def test_records_that_are_too_old_are_buried_before_the_handler_sees_them() -> None:
    ageing = lane(1, created_s=900.0)
    ageing.offer(entry(2, created_s=1000.0))
    burial = ageing.burial(0.0, 1000.0, settings(maximum_record_age_s=60))
    assert burial is not None
    assert ([each.sequence for each in burial.entries], burial.reason) == ([1], EXPIRED)
    day_old = lane(1, created_s=0.0).burial(0.0, 24 * 3600 + 1.0, settings())
    assert day_old is not None, "no limit means until it leaves the stream"


# Why: O3; what is committed must not be handed to the handler again.
def test_what_a_call_committed_is_done_although_it_raised() -> None:
    told = settings(batch_size=10)
    partly = lane(1, 2, 3)
    run = partly.batch(0.0, told)
    assert run is not None
    partly.settle(raised(ValueError("x"), run.entries, 2, False), 0.0, told, Half())
    assert (partly.position, partly.saved) == (2, 2)
    assert numbers(partly.batch(100.0, told)) == [3]
    partly.settle(raised(ValueError("x"), run.entries, 3, False), 0.0, told, Half())
    assert partly.idle


# Why: Lambda's list of what counts as success and as failure of the whole batch.
def test_batch_responses_are_read_as_lambda_reads_them() -> None:
    entries = [entry(1), entry(2), entry(3)]
    successes: list[Any] = [
        None,
        {},
        "text",
        {"batchItemFailures": None},
        {"batchItemFailures": []},
        {"other": 1},
    ]
    for success in successes:
        assert failing_index(success, entries) is None
    for nonsense in (
        [{"itemIdentifier": ""}],
        [{"itemIdentifier": None}],
        [{"id": "2"}],
        [{"itemIdentifier": "9"}],
    ):
        assert failing_index({"batchItemFailures": nonsense}, entries) == -1
    assert (
        failing_index({"batchItemFailures": [{"itemIdentifier": "3"}, {"itemIdentifier": "2"}]}, entries) == 1
    )
    assert returned({"batchItemFailures": [{"itemIdentifier": "2"}]}, entries, False, 0).failure is None


# Why: full jitter between nothing and the doubled pause, bounded.
def test_pauses_double_up_to_the_longest() -> None:
    pauses = [Backoff(1.0, 10.0).pause_s(failures, Half()) for failures in range(6)]
    assert pauses == [0.5, 1.0, 2.0, 4.0, 5.0, 5.0]
    assert Backoff(1.0, 10.0).pause_s(5000, Half()) == 5.0


# Why: order per key needs one lane per key, for every key and every number of lanes, in every process.
@given(st.text(), st.integers(1, 10))
def test_a_key_always_takes_the_same_lane(key: str, lanes: int) -> None:
    record = {"dynamodb": {"Keys": {"k": {"S": key}}}}
    other = {"dynamodb": {"Keys": {"k": {"S": key}, "s": {"N": "7"}}}}
    assert lane_of(record, "k", lanes) == lane_of(other, "k", lanes) < lanes


# Why: whatever fails, in whatever order, every record is handled or buried exactly once and in order.
@given(st.lists(st.integers(0, 3), min_size=1, max_size=60), st.booleans(), st.integers(1, 7))
def test_whatever_fails_every_record_ends_once_and_in_order(
    fates: list[int], bisect: bool, batch_size: int
) -> None:
    told = settings(batch_size=batch_size, bisect_batch_on_function_error=bisect, maximum_retry_attempts=2)
    worked = lane(*range(1, 31))
    ended: list[int] = []
    fate = iter(fates)
    now_s = 0.0
    while worked.pending:
        now_s += 1000.0
        burial = worked.burial(now_s, 1000.0, told)
        if burial is not None:
            ended += [each.sequence for each in burial.entries]
            worked.buried(burial)
            continue
        run = worked.batch(now_s, told)
        assert run is not None
        done = min(next(fate, len(run.entries)), len(run.entries))
        ended += numbers(run)[:done]
        failure = None if done == len(run.entries) else FAILURE
        worked.settle(Outcome(done, failure, named=done > 0), now_s, told, Half())
        assert worked.position == (ended[-1] if ended else 0)
    assert ended == list(range(1, 31))


# Why: an event is JSON: what boto3 gives as bytes and datetimes must be text and numbers in it.
def test_a_record_becomes_lambdas_shape() -> None:
    record = {
        "eventID": "1",
        "userIdentity": {"PrincipalId": "dynamodb.amazonaws.com", "Type": "Service"},
        "dynamodb": {
            "ApproximateCreationDateTime": datetime(2026, 1, 1, tzinfo=UTC),
            "Keys": {"k": {"B": b"\x00"}},
            "NewImage": {"m": {"M": {"l": {"L": [{"BS": [b"a"]}]}}}, "s": {"S": "x"}},
        },
    }
    shaped = lambda_record(record, "arn")
    assert shaped["dynamodb"]["ApproximateCreationDateTime"] == 1767225600
    assert shaped["dynamodb"]["Keys"] == {"k": {"B": "AA=="}}
    assert shaped["dynamodb"]["NewImage"]["m"] == {"M": {"l": {"L": [{"BS": ["YQ=="]}]}}}
    assert shaped["userIdentity"] == {"principalId": "dynamodb.amazonaws.com", "type": "Service"}
    assert shaped["eventSourceARN"] == "arn"
