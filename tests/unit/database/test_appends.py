"""Appends: many new items as one batch, there at once, synced with others soon enough, and never told to be kept when lost."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.tables import definitions, index, table_request

from penstock.database.actions import DYNAMODB
from penstock.database.appends import Appends
from penstock.database.check import check
from penstock.database.group_commit import LATE_S
from penstock.database.open import ServedDatabase
from penstock.errors import PenstockError
from penstock.limits import ITEM_BYTES_MAX
from penstock.model.values import Item
from penstock.store.interface import Family
from penstock.testing import FaultyStore, ManualClock
from penstock.testing.databases import memory_database

BOUND_S = 20.0
LOG = table_request(
    "log",
    "pk",
    AttributeDefinitions=definitions(pk="S", kind="S"),
    GlobalSecondaryIndexes=[index("by_kind", "kind", "pk")],
    StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
)
TIME_TO_LIVE = {"TimeToLiveSpecification": {"AttributeName": "until", "Enabled": True}}


def row(id_: str, **more: str) -> Item:
    return {"pk": {"S": id_}, **{name: {"S": text} for name, text in more.items()}}


class Loop:
    """A served database on a loop that turns by hand: what was posted to it, and what it was asked to do later."""

    def __init__(self, *, has_timers: bool = True) -> None:
        self.posted: list[Callable[[], None]] = []
        self.timers: list[tuple[float, Callable[[], None]]] = []
        self.lost: list[PenstockError] = []
        self.store, self.clock = FaultyStore(), ManualClock()
        self.database = ServedDatabase(
            self.store,
            self.clock,
            self.posted.append,
            "power",
            later=(lambda delay_s, call: self.timers.append((delay_s, call))) if has_timers else None,
        )
        assert self.database.appends is not None
        self.database.appends.on_lost = self.lost.append
        for action, request in (
            ("CreateTable", LOG),
            ("UpdateTimeToLive", {"TableName": "log", **TIME_TO_LIVE}),
        ):
            made = self.ask(action, **request)
            self.turn(lambda made=made: bool(made))  # type: ignore[misc]
        self.posted.clear()
        self.timers.clear()

    def ask(self, action: str, **request: object) -> list[tuple[int, Any]]:
        """Where status and answer will be."""
        answers: list[tuple[int, Any]] = []
        self.database.start(
            DYNAMODB + action,
            orjson.dumps(request),
            lambda status, body: answers.append((status, orjson.loads(body))),
        )
        return answers

    def append(self, *rows: Item) -> list[str | None]:
        assert self.database.appends is not None
        return codes(self.database.appends, *rows)

    def turn(self, until: Callable[[], bool]) -> None:
        """Until the sync thread has answered; what it posts is run here, on the loop's thread."""
        over_s = time.monotonic() + BOUND_S
        while not until():
            assert time.monotonic() < over_s
            while self.posted:
                self.posted.pop(0)()

    def turn_until_posted(self) -> None:
        over_s = time.monotonic() + BOUND_S
        while not self.posted:
            assert time.monotonic() < over_s

    @property
    def is_synced(self) -> bool:
        commit = self.database.database.commit
        return commit.syncing is None and not commit.open.prefixes


def codes(appends: Appends, *rows: Item) -> list[str | None]:
    told = appends.append("log", rows)
    return [None if error is None else error.code for error in told]


@pytest.fixture
def loop() -> Iterator[Loop]:
    loop = Loop()
    yield loop
    loop.database.close()


# Why: Q3. Its answer leaves when `append` has returned, and the process may be killed before anything else happens.
def test_what_was_appended_is_one_batch_of_the_store_when_it_returns(loop: Loop) -> None:
    before = len(loop.store.disk.batches)
    assert loop.append(row("a"), row("b")) == [None, None]
    assert len(loop.store.disk.batches) == before + 1
    assert sum(1 for _ in loop.store.scan(Family.CHANGES, b"", None)) == 2


# Why: Q3 and A5: a row may tell of what was gathered before it, so that is written before it.
def test_what_was_written_before_is_there_before_it(loop: Loop) -> None:
    put = loop.ask("PutItem", TableName="log", Item=row("gathered"))
    before = len(loop.store.disk.batches)
    assert loop.append(row("a")) == [None]
    assert len(loop.store.disk.batches) == before + 2
    loop.turn(lambda: bool(put))
    assert put == [(200, {})]
    assert check(loop.store).findings == []


# Why: Q2. No record ever overwrites another, and one that is refused must not keep the others from being written.
def test_a_key_that_is_taken_is_refused_and_the_others_are_written(loop: Loop) -> None:
    assert loop.append(row("a", kind="first")) == [None]
    refused = "ConditionalCheckFailedException"
    assert loop.append(row("a", kind="second"), row("b"), row("b", kind="second")) == [refused, None, refused]
    read = loop.ask("Scan", TableName="log")
    loop.turn(lambda: bool(read))
    [(_, answer)] = read
    assert sorted(answer["Items"], key=str) == sorted([row("a", kind="first"), row("b")], key=str)


# Why: Q2. An entity may be too long for an index that somebody put on the log, and a value for an item: that prediction is
# refused as PutItem refuses it, and the others of its turn are on record.
@pytest.mark.parametrize(
    "refused",
    [row("b", kind=""), row("b", kind="x" * 2049), row("b", note="x" * ITEM_BYTES_MAX), row("x" * 2049)],
    ids=["empty index key", "long index key", "large item", "long key"],
)
def test_a_row_that_the_table_does_not_take_is_refused_alone(loop: Loop, refused: Item) -> None:
    assert loop.append(row("a"), refused, row("c")) == [None, "ValidationException", None]
    put = loop.ask("PutItem", TableName="log", Item=refused)
    read = loop.ask("Scan", TableName="log")
    loop.turn(lambda: bool(put and read))
    assert put[0][1]["__type"].endswith("ValidationException")
    assert sorted(read[0][1]["Items"], key=str) == [row("a"), row("c")]
    assert check(loop.store).findings == []


# Why: a table of that name that somebody made with another key refuses rows in words, and holds up nobody.
def test_rows_without_the_key_of_the_table_are_refused(loop: Loop) -> None:
    made = loop.ask("CreateTable", **table_request("other", "id"))
    loop.turn(lambda: bool(made))
    appends = loop.database.appends
    assert appends is not None
    told = appends.append("other", [row("a"), {"id": {"N": "1"}}, {"id": {"S": "b"}}])
    assert [error and error.code for error in told] == ["ValidationException", "ValidationException", None]


# Why: a row whose table is gone is told so, as PutItem tells it.
def test_rows_of_a_table_that_is_not_there_are_refused(loop: Loop) -> None:
    appends = loop.database.appends
    assert appends is not None
    told = appends.append("none", [row("a"), row("b")])
    assert [error and error.code for error in told] == ["ResourceNotFoundException"] * 2


# Why: G5. Each prediction is on record before its answer; a sync for each would take a third of the process.
def test_appends_share_one_late_sync(loop: Loop) -> None:
    for number in range(5):
        loop.append(row(f"i{number}"))
    assert loop.posted == []
    [(delay_s, late)] = loop.timers
    assert delay_s == LATE_S
    late()
    loop.turn(lambda: loop.is_synced)


# Why: the timer of one group must not keep the next from having one.
def test_the_next_group_has_a_timer_of_its_own(loop: Loop) -> None:
    for id_ in ("i1", "i2"):
        loop.append(row(id_))
        loop.timers.pop()[1]()
        loop.turn(lambda: loop.is_synced)


# Why: a write that is waited for is answered as soon as the disk lets it, and takes along what is in its group.
def test_a_write_that_is_waited_for_takes_them_along(loop: Loop) -> None:
    loop.append(row("i1"))
    put = loop.ask("PutItem", TableName="log", Item=row("i2"))
    loop.turn(lambda: bool(put))
    assert loop.is_synced


# Why: G2 with G5: who reads such a row at once waits for one sync, not for the timer.
def test_a_read_of_it_begins_the_sync(loop: Loop) -> None:
    loop.append(row("i1"))
    read = loop.ask("GetItem", TableName="log", Key={"pk": {"S": "i1"}})
    assert read == []
    loop.turn(lambda: bool(read))
    assert read == [(200, {"Item": row("i1")})]


# Why: appended during another's sync, it finds that sync over and no timer set, unless one is set then.
def test_what_was_appended_during_a_sync_is_not_forgotten(loop: Loop) -> None:
    put = loop.ask("PutItem", TableName="log", Item=row("i1"))
    for posted in loop.posted:
        posted()  # The sync is under way.
    loop.posted.clear()
    loop.append(row("i2"))
    loop.turn(lambda: bool(put))
    loop.timers.pop()[1]()
    loop.turn(lambda: loop.is_synced)


# Why: G1. The sync thread posts the end of a sync at any moment, also between two calls that one kick posted: a group that began
# then had its sync without its batches being written out, and its callers were told that they are kept.
def test_a_sync_that_ends_while_another_is_asked_for_leaves_nothing_unwritten(loop: Loop) -> None:
    first = loop.ask("PutItem", TableName="log", Item=row("i1"))
    while loop.posted:
        loop.posted.pop(0)()  # Its sync is under way.
    loop.turn_until_posted()
    [end] = loop.posted
    loop.posted.clear()
    second = loop.ask("PutItem", TableName="log", Item=row("i2"))
    loop.posted.insert(1, end)
    loop.turn(lambda: bool(first and second))
    assert second == [(200, {})]
    assert sum(1 for _ in loop.store.scan(Family.CHANGES, b"", None)) == 2


# Why: who has no timer must not keep a row from the disk for ever.
def test_without_a_timer_every_append_begins_its_sync() -> None:
    loop = Loop(has_timers=False)
    loop.append(row("i1"))
    loop.turn(lambda: loop.is_synced)
    loop.database.close()


# Why: an answer that is not on record must not be given: a full disk is told, and nothing of the row is there.
def test_a_store_that_refuses_is_told_and_keeps_nothing(loop: Loop) -> None:
    loop.store.full = True
    assert loop.append(row("a"), row("b")) == ["InternalServerError"] * 2
    loop.store.full = False
    assert loop.append(row("a")) == [None]
    assert check(loop.store).findings == []


# Why: Q3. Everybody has gone on when a sync fails; somebody has to hear of it.
def test_a_sync_that_fails_is_told(loop: Loop) -> None:
    loop.append(row("a"))
    loop.store.full = True
    loop.timers.pop()[1]()
    loop.turn(lambda: bool(loop.lost))
    loop.store.full = False


_TEXTS = st.sampled_from(["", "a", "é", 'q"\\', "\n", "\u0001", "x" * 300, '":{"S":"', "\U0001f600"])
_VALUES: st.SearchStrategy[Any] = st.one_of(
    st.builds(lambda text: {"S": text}, _TEXTS),
    st.sampled_from([{"N": "0"}, {"N": "1.25"}, {"N": "-130"}, {"BOOL": True}, {"M": {"k": {"S": "v"}}}]),
)
_MORE = st.dictionaries(st.sampled_from(["kind", "until", "note", "é"]), _VALUES, max_size=4).filter(
    lambda more: "S" in more.get("kind", {"S": ""}) and more.get("kind") != {"S": ""}
)


# Why: Q1. An append is a put without the door: the same records, index entries, changes, counters and expiry.
@given(more=_MORE)
def test_an_append_leaves_what_a_put_leaves(more: dict[str, Any]) -> None:
    left: list[list[tuple[bytes, bytes]]] = []
    for way in ("append", "put"):
        db = memory_database()
        db.ask("CreateTable", **LOG)
        db.ask("UpdateTimeToLive", TableName="log", **TIME_TO_LIVE)
        item: Item = {"pk": {"S": "a"}, **more}
        if way == "append":
            assert codes(Appends(db.database, db.store.batch), item) == [None]
        else:
            db.ask("PutItem", TableName="log", Item=item, ConditionExpression="attribute_not_exists(pk)")
        db.settle()
        left.append([pair for family in Family for pair in db.store.scan(family, b"", None)])
    assert left[0] == left[1]
