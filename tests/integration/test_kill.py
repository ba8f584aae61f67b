"""A real `penstock serve` under load, killed with SIGKILL again and again; each acknowledged write is looked up after."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

import pytest

import penstock
from penstock.cli.crash_test import rounds
from penstock.cli.crash_workload import ITEMS, TABLE, Replay, UnderWay, Writer, create_table
from penstock.connect.client import Client
from penstock.testing import seeds

Item = dict[str, dict[str, Any]]


# Why: issue text: a write answered with success survives kill -9; one not answered is there whole or not at all, with
# its index entries and its change record. The same check as `penstock crash-test`.
@pytest.mark.parametrize("seed", seeds(1))
def test_a_killed_server_has_each_acknowledged_write_when_it_is_opened_again(
    seed: int, tmp_path: Path
) -> None:
    kills = list(rounds(tmp_path / "data", seed, kills=5, writer_count=6))
    assert [kill.wrong for kill in kills] == [[]] * 5
    assert all(kill.acknowledged >= 20 for kill in kills)
    assert sum(kill.under_way for kill in kills) > 0


# Why: the rare moments, such as a kill between a flush and its log's deletion, take many kills to meet.
@pytest.mark.long
@pytest.mark.parametrize("seed", seeds(4))
def test_a_server_killed_fifty_times_has_each_acknowledged_write(seed: int, tmp_path: Path) -> None:
    kills = list(rounds(tmp_path / "data", seed + 100, kills=50, writer_count=12))
    assert [kill.wrong for kill in kills] == [[]] * 50


@pytest.fixture
def client(tmp_path: Path) -> Client:
    client = penstock.connect(f"file:{tmp_path}")
    create_table(client)
    return client


def written(client: Client, count: int = 120) -> Writer:
    writer = Writer("w", Random(7))
    for _ in range(count):
        assert writer.write(client)
    return writer


def key(place: int) -> Item:
    return {"writer": {"S": "w"}, "place": {"N": str(place)}}


# Why: a check that cannot fail proves nothing. Here nothing was lost, and nothing is found.
def test_the_check_finds_nothing_where_nothing_was_lost(client: Client) -> None:
    with client:
        writer, replay = written(client), Replay()
        assert writer.look_up(client) == (False, [])
        assert replay.follow(client) == []
        assert replay.compare([writer]) == []
        assert len(replay.items) > 5


# Why: as above: an acknowledged item that went, came back or changed behind the writer's back is told.
@pytest.mark.parametrize("lost", ["went", "came", "changed"])
def test_the_check_tells_a_lost_write(client: Client, lost: str) -> None:
    with client:
        writer = written(client)
        there, gone = min(writer.items), min(set(range(ITEMS)) - writer.items.keys())
        if lost == "went":
            client.delete_item(TableName=TABLE, Key=key(there))
        elif lost == "changed":
            client.put_item(TableName=TABLE, Item={**key(there), "score": {"N": "-1"}})
        else:
            client.put_item(TableName=TABLE, Item=key(gone))
        _, [wrong] = writer.look_up(client)
        assert wrong.startswith(f"w/{gone if lost == 'came' else there}: acknowledged")


# Why: W2: a transaction that is there in part is torn, a batch that is there in part is not.
@pytest.mark.parametrize("together", [True, False])
def test_the_check_tells_a_torn_transaction_from_a_batch_under_way(client: Client, together: bool) -> None:
    with client:
        writer = Writer("w", Random(7))
        becomes: dict[int, Item | None] = {place: key(place) for place in (1, 2, 3)}
        client.put_item(TableName=TABLE, Item=key(2))
        writer.under_way = UnderWay(becomes, together)
        carried_out, wrong = writer.look_up(client)
        assert not carried_out
        assert bool(wrong) == together


# Why: a change that is missing from the stream breaks the chain of old and new images.
def test_the_replay_tells_a_missing_record(client: Client) -> None:
    with client:
        client.put_item(TableName=TABLE, Item=key(1))
        replay = Replay()
        replay.follow(client)
        replay.items.clear()
        client.delete_item(TableName=TABLE, Key=key(1))
        [wrong] = replay.follow(client)
        assert "the old image is not the last new one" in wrong
