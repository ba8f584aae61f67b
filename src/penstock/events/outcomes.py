"""What a handler's call came to: how many records from the front of its batch are handled, and what failed behind them.

O1. A handler that returns handled the whole batch. One that raises handled nothing, except what it committed.
O2. With report_batch_item_failures, `{"batchItemFailures": [{"itemIdentifier": SequenceNumber}, …]}` says where to go on:
    everything before the lowest of the numbers is handled, from it on all is tried again. An empty list, None or no such
    member: all is handled. An identifier that is empty, missing or not of this batch: nothing is.
O3. What `ctx.transact` committed is handled, whatever the handler does afterwards.
"""

from __future__ import annotations

import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from penstock.events.records import Entry

TRACE_CHARACTERS_MAX = 4000


@dataclass(frozen=True)
class Failure:
    """Why records were not handled."""

    type: str
    message: str
    trace: str = ""


@dataclass(frozen=True)
class Outcome:
    """`handled` records from the front are done; `failure` is about the one behind them, None where there is none.

    `named` is true where the handler itself named the failing record. `fenced` is true where a commit found that the
    position is no longer this worker's to move. `committed_through` is the position that commits have reached.
    """

    handled: int
    failure: Failure | None = None
    named: bool = False
    fenced: bool = False
    committed_through: int = 0


def failure_of(error: BaseException) -> Failure:
    trace = "".join(traceback.format_exception(error))
    return Failure(type(error).__name__, str(error), trace[-TRACE_CHARACTERS_MAX:])


def returned(answer: Any, entries: Sequence[Entry], reports: bool, committed: int) -> Outcome:
    """The outcome of a call that returned."""
    if not reports:
        return Outcome(len(entries), committed_through=committed)
    failing = failing_index(answer, entries)
    if failing is None:
        return Outcome(len(entries), committed_through=committed)
    done = committed_count(entries, committed)
    if failing < 0:
        wrong = Failure(
            "InvalidBatchResponse", f"batchItemFailures names no record of the batch: {answer!r:.500}"
        )
        return _behind(done, entries, wrong, False, committed)
    number = entries[failing].record["dynamodb"]["SequenceNumber"]
    failed = Failure("BatchItemFailure", f"the handler reported {number} as failed")
    return _behind(max(done, failing), entries, failed, True, committed)


def raised(error: BaseException, entries: Sequence[Entry], committed: int, fenced: bool) -> Outcome:
    """The outcome of a call that raised."""
    if fenced:
        return Outcome(0, failure_of(error), fenced=True, committed_through=committed)
    return _behind(committed_count(entries, committed), entries, failure_of(error), False, committed)


def _behind(done: int, entries: Sequence[Entry], failure: Failure, named: bool, committed: int) -> Outcome:
    if done >= len(entries):
        return Outcome(len(entries), committed_through=committed)
    return Outcome(done, failure, named, committed_through=committed)


def committed_count(entries: Sequence[Entry], committed: int) -> int:
    return sum(1 for entry in entries if entry.sequence <= committed)


def failing_index(answer: Any, entries: Sequence[Entry]) -> int | None:
    """The place of the first record to try again; None where there is none; -1 where the answer makes no sense."""
    failures = answer.get("batchItemFailures") if isinstance(answer, Mapping) else None
    if not failures:
        # Anything but an object with the member is a success, as Lambda has it.
        return None
    if not isinstance(failures, list | tuple):
        return -1
    places = {entry.record["dynamodb"]["SequenceNumber"]: place for place, entry in enumerate(entries)}
    found: list[int] = []
    for failure in failures:
        named = failure.get("itemIdentifier") if isinstance(failure, Mapping) else None
        if not isinstance(named, str) or named not in places:
            return -1
        found.append(places[named])
    return min(found)
