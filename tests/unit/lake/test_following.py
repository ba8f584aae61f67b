"""What keeps one table flowing: trouble that passes, faults that do not, and how long anything is waited for."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.lake_setup import TABLE, Shop

from penstock.connect.http import NoAnswer
from penstock.lake import api
from penstock.lake.following import COMMIT_S, POLL_S, Follower, rest_s
from penstock.lake.sink import BATCH_ROWS, TableSink


# Why: a flow that ended by a fault said "following" for ever, and /healthz that all was well.
def test_a_fault_of_the_sink_is_told_and_raised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    faults: list[threading.ExceptHookArgs] = []
    monkeypatch.setattr(threading, "excepthook", faults.append)
    shop = Shop(tmp_path)

    def make() -> TableSink:
        raise ZeroDivisionError("a bug")

    follower = Follower(TABLE, make, shop.database.clock, lambda sink: None)
    follower.start()
    follower.join()
    assert (follower.flow.state, follower.flow.message) == (
        "failed", "a fault of the sink, ZeroDivisionError: a bug",
    )  # fmt: skip
    assert [fault.exc_type for fault in faults] == [ZeroDivisionError]


# Why: who asked for a compaction is told what happened to it, and not that a list was empty.
def test_a_fault_within_what_was_asked_for_is_its_askers_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(threading, "excepthook", lambda _: None)
    shop = Shop(tmp_path)
    shop.put("c1", 1)
    follower = Follower(TABLE, shop.sink, shop.database.clock, lambda sink: None)
    follower.start()

    def job(_: TableSink) -> None:
        raise ZeroDivisionError("a bug")

    with pytest.raises(ZeroDivisionError):
        follower.ask(job)
    follower.join()
    assert follower.flow.state == "failed"


# Why: AWS answers an empty page at once and takes five reads of a shard a second; a quiet table was read without a pause.
@pytest.mark.parametrize(
    ("rows", "took_s", "rest"),
    [
        (0, 0.01, POLL_S - 0.01),
        (0, 1.0, 0.0),
        (10, 0.1, COMMIT_S - 0.1),
        (10, 1.0, 0.0),
        (BATCH_ROWS, 0.1, 0.0),
    ],
)
def test_a_step_is_followed_by_a_rest_of_what_is_left(rows: int, took_s: float, rest: float) -> None:
    assert rest_s(rows, took_s) == pytest.approx(rest)


@pytest.fixture
def silent() -> Iterator[str]:
    """A server that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


# Why: tables that hang held a flow for ten minutes, ten answers of a minute each, and nobody was told.
def test_tables_that_never_answer_are_given_up_within_the_lakes_own_bound(
    silent: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api, "ANSWER_S", 0.05)
    opened = api.open_api(silent)
    with pytest.raises(NoAnswer, match="timed out"):
        opened.call("ListStreams", {})
    opened.close()
