"""Sinks that die at any point, with a rival beside them: nothing lost, nothing doubled, in raw and in current.

Two kinds of death. In the seeded runs a commit fails before or after the catalogue's pointer moves, in one process and in
thousands of steps; in the others a real process is killed while it works.
"""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import pytest
from pyiceberg.table import CommitTableResponse
from tests.lake_setup import TABLE, Shop, unordered

from penstock.connect.client import Client
from penstock.connect.urls import connect
from penstock.errors import PenstockError
from penstock.lake import upkeep
from penstock.lake.api import open_api
from penstock.lake.clock import SystemClock
from penstock.lake.iceberg.catalog import LocalCatalog, TableCommit
from penstock.lake.iceberg.warehouse import Warehouse, open_warehouse
from penstock.lake.sink import TableSink
from penstock.sql.lake import Lake
from penstock.testing.seeds import replayable, seeds

DECLARED = {"price": "number"}


class Died(BaseException):
    """The process is gone. No handler may catch it."""


class MortalCatalog(LocalCatalog):
    """Dies at one of its next commits when told to: before anything is written, or after the pointer has moved.

    Others may do something before a commit that is planned, and before its answer arrives: `meanwhile`.
    """

    dies: str | None = None
    spared = 0  # Commits that go well before that.
    answer_lost = False
    meanwhile: Callable[[], None] = staticmethod(lambda: None)

    def commit_tables(self, commits: Sequence[TableCommit]) -> list[CommitTableResponse]:
        self.spared -= 1
        dies = self.dies if self.spared < 0 else None
        self.meanwhile()
        if dies == "before":
            raise Died
        answers = super().commit_tables(commits)
        if dies == "after":
            raise Died
        self.meanwhile()
        if self.answer_lost:
            self.answer_lost = False
            raise OSError("the connection was lost after the commit")
        return answers


def _check_log(shop: Shop) -> None:
    told = shop.lake.sql(
        f"SELECT count(*) AS n, max(ordinal) + 1 AS top, count(DISTINCT ordinal) AS d, "
        f"count(DISTINCT sequence || key) AS changes FROM raw.{TABLE}"
    ).rows()[0]
    assert told["n"] == told["top"] == told["d"] == told["changes"], told


@pytest.fixture(autouse=True)
def eager_upkeep(monkeypatch: pytest.MonkeyPatch) -> None:
    """Maintenance at nearly every turn, so that it meets rivals and deaths."""
    monkeypatch.setattr(upkeep, "COMPACT_FILES", 2)
    monkeypatch.setattr(upkeep, "COMPACT_DELETES", 2)
    monkeypatch.setattr(upkeep, "SNAPSHOTS_MAX", 12)
    monkeypatch.setattr(upkeep, "SNAPSHOTS_KEPT", 6)


class Life:
    """Seeded: writes, steps of one of two sinks, deaths, lost answers, upkeep, restarts.

    A turn of one sink may fall into a turn of the other: between a plan and its commit, and between two commits.
    """

    def __init__(self, folder: Path, random: Random) -> None:
        self.random = random
        self.shop = Shop(folder)
        self.catalogs = [MortalCatalog(folder), MortalCatalog(folder)]
        for place, catalog in enumerate(self.catalogs):
            catalog.meanwhile = partial(self._meanwhile, place)
        self.sinks: list[TableSink | None] = [None, None]
        self.busy = [False, False]
        self.upkeep = upkeep.Upkeep()

    def _meanwhile(self, place: int) -> None:
        if self.random.random() < 0.15:
            self.write()
        if self.random.random() < 0.15:
            self.turn(1 - place)

    def write(self) -> None:
        customer, at = f"c{self.random.randrange(4)}", self.random.randrange(12)
        if self.random.random() < 0.25:
            self.shop.delete(customer, at)
        else:
            value: dict[str, Any] = self.random.choice(
                [{"N": str(self.random.randrange(1000))}, {"S": "text"}, {"NULL": True}, {"SS": ["a", "b"]}]
            )
            # What breaks the declared schema is quarantined.
            price: dict[str, Any] = self.random.choice([{"N": "1.5"}, {"N": "2"}, {"S": "dear"}])
            self.shop.put(customer, at, value=value, price=price)
        if self.random.random() < 0.1:
            self.shop.pass_time(1.0)

    def turn(self, place: int) -> None:
        if self.busy[place]:
            return
        self.busy[place] = True
        catalog = self.catalogs[place]
        catalog.dies = self.random.choice([None, None, None, "before", "after"])
        catalog.spared = self.random.randrange(3)
        catalog.answer_lost = self.random.random() < 0.1
        try:
            sink = self.sinks[place]
            if sink is None or self.random.random() < 0.1:
                sink = self.sinks[place] = self._new(catalog)
                sink.open()
            # Each by itself too: what a rival committed may first be met by either of them.
            if self.random.random() < 0.7:
                sink.step()
            if self.random.random() < 0.5:
                self.upkeep.tick(sink)
        except (Died, PenstockError, OSError):
            self.sinks[place] = None
        finally:
            self.busy[place] = False

    def _new(self, catalog: LocalCatalog) -> TableSink:
        name = f"writer-{self.random.random()}"
        return TableSink(
            Warehouse(catalog), self.shop.api, TABLE, self.shop.database.clock, name, declared=DECLARED
        )

    def run(self, turns: int) -> None:
        for _ in range(turns):
            for _ in range(self.random.randrange(6)):
                self.write()
            self.turn(self.random.randrange(2))
        self.shop.drain(self.shop.sink(declared=DECLARED))
        self.check()

    def check(self) -> None:
        """The lake against the table and against its own log, which holds every change that the stream had."""
        _check_log(self.shop)
        held, landed = unordered(self.shop.items()), unordered(self.shop.landed())
        good = {key for key, item in held.items() if "N" in item["price"]}
        assert {key: landed.get(key) for key in good} == {key: held[key] for key in good}
        # An item whose latest change is refused stays as it was before: it may be missing, and nothing else may be there.
        assert landed.keys() <= held.keys()
        assert all("N" in item["price"] for item in landed.values())
        refused = self.shop.lake.sql(
            f"SELECT ordinal FROM raw.{TABLE} WHERE json_exists(new_image, '$.price.S') ORDER BY 1"
        ).rows()
        if refused:
            rows = self.shop.lake.sql(f"SELECT ordinal FROM quarantine.{TABLE} ORDER BY 1").rows()
            assert rows == refused, "the quarantine does not hold what was refused, each once"


# Why: the promise of exactly once, at every line where a commit can be cut.
@pytest.mark.parametrize("seed", seeds(8))
def test_nothing_is_lost_or_doubled_whatever_commit_is_cut(tmp_path: Path, seed: int) -> None:
    with replayable(seed) as random:
        Life(tmp_path, random).run(25)


@pytest.mark.long
@pytest.mark.parametrize("seed", seeds(100))
def test_nothing_is_lost_or_doubled_in_many_lives(tmp_path: Path, seed: int) -> None:
    with replayable(seed + 1000) as random:
        Life(tmp_path, random).run(40)


# -- Real processes --

DEFINITION: dict[str, Any] = {
    "TableName": TABLE,
    "KeySchema": [
        {"AttributeName": "customer", "KeyType": "HASH"}, {"AttributeName": "at", "KeyType": "RANGE"},
    ],
    "AttributeDefinitions": [
        {"AttributeName": "customer", "AttributeType": "S"}, {"AttributeName": "at", "AttributeType": "N"},
    ],
    "BillingMode": "PAY_PER_REQUEST",
    "StreamSpecification": {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
}  # fmt: skip


def run_sink(data: str, lake: str) -> None:
    """A sink without the folder's lock, so that two may run: what they do to each other is the test."""
    api, warehouse, clock = open_api(f"file:{data}"), open_warehouse(lake), SystemClock()
    care = upkeep.Upkeep()
    turn = 0
    while True:
        try:
            sink = TableSink(warehouse, api, TABLE, clock, f"{multiprocessing.current_process().pid}-{turn}")
            sink.open()
            while True:
                turn += 1
                sink.step(50)
                care.tick(sink)
                if turn % 7 == 0:
                    upkeep.compact_current(sink.current, force=True)
                    upkeep.compact_raw(sink.raw, force=True)
        except PenstockError:
            turn += 1  # Fenced: become the writer again, as a zombie that does not know better would.


def _kills(folder: Path, count: int, random: Random) -> None:
    data, lake = str(folder / "data"), str(folder / "lake")
    # Forked from a server that has imported everything, so that a life begins in milliseconds.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__, "penstock.lake.sink"])
    with connect(f"file:{data}") as client:
        client.create_table(**DEFINITION)
        living: list[Any] = []
        turn = 0
        for _ in range(count):
            living.append(context.Process(target=run_sink, args=(data, lake), daemon=True))
            living[-1].start()
            for _ in range(random.randrange(20, 120)):
                turn += 1
                key = {"customer": {"S": f"c{random.randrange(5)}"}, "at": {"N": str(random.randrange(60))}}
                if random.random() < 0.2:
                    client.delete_item(TableName=TABLE, Key=key)
                else:
                    client.put_item(TableName=TABLE, Item={**key, "turn": {"N": str(turn)}})
            # Two live beside each other for a while; the older one dies at a random moment.
            living[0].join(random.random() * 0.6)
            if len(living) > 1 or random.random() < 0.5:
                _kill(living.pop(0))
        for process in living:
            _kill(process)
        _settle_and_check(client, data, lake)


def _kill(process: Any) -> None:
    process.kill()
    process.join(10)
    assert process.exitcode == -signal.SIGKILL, f"the sink ended by itself: {process.exitcode}"


def _settle_and_check(client: Client, data: str, lake: str) -> None:
    api, warehouse = open_api(f"file:{data}"), open_warehouse(lake)
    sink = TableSink(warehouse, api, TABLE, SystemClock(), "the last one")
    sink.open()
    steps = 0
    while sink.step() or sink.position.snapshot is None or not sink.position.snapshot.done:
        steps += 1
        assert steps < 1000
    items: list[dict[str, Any]] = client.scan(TableName=TABLE, ConsistentRead=True)["Items"]
    questions = Lake(warehouse)
    rows = questions.sql(f'SELECT customer, "at", turn FROM current.{TABLE}').rows()
    landed = sorted((row["customer"], int(row["at"]), int(row["turn"])) for row in rows)
    assert landed == sorted(
        (item["customer"]["S"], int(item["at"]["N"]), int(item["turn"]["N"])) for item in items
    )
    told = questions.sql(
        f"SELECT count(*) AS n, max(ordinal) + 1 AS top, count(DISTINCT ordinal) AS d, "
        f"count(DISTINCT sequence || key) AS changes FROM raw.{TABLE}"
    ).rows()[0]
    assert told["n"] == told["top"] == told["d"] == told["changes"], told
    api.close()


# Why: what a process that is killed leaves on the disk is not what a test in one process can imagine.
def test_killed_sinks_with_a_rival_beside_them_lose_and_double_nothing(tmp_path: Path) -> None:
    with replayable(1) as random:
        _kills(tmp_path, 6, random)


# Why: the same a hundred times, in pieces of which each has a lake of its own:
# `pytest -m long tests/simulation/test_lake_crashes.py -k hundred`.
@pytest.mark.long
@pytest.mark.parametrize("seed", seeds(5))
def test_a_hundred_killed_sinks_lose_and_double_nothing(tmp_path: Path, seed: int) -> None:
    with replayable(seed + 2000) as random:
        _kills(tmp_path, 20, random)
