"""Tiles of what a table held before: the same answer as raw rows, whatever is written meanwhile and wherever a run dies."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from random import Random
from typing import Any

import pytest
from tests.shop import MemoryClient

from penstock import App, count, last, total
from penstock.features.definition import compile_set
from penstock.features.instants import DAY_US, text_of
from penstock.features.online import Reader, read
from penstock.features.tile_backfill import TileBackfill
from penstock.features.tiles import TileMaker, TileReader, definition
from penstock.testing.clock import START_US
from penstock.testing.databases import MemoryDatabase
from penstock.testing.seeds import replayable, seeds

app = App("backfilled")
clicks = app.table("Clicks", partition_key="who", sort_key="id", local_indexes={"by_time": "at"}, stream=True)
PLAN = compile_set(
    app.features(
        "clicker",
        source=clicks,
        entity="who",
        time="at",
        tiles="ClickTiles",
        features={"n_3": count(days=3), "sum_30": total("n", days=30), "last_9": last("colour", days=9)},
    )
)
PEOPLE = "abcd"


class Killed(Exception):
    """The process that brings tiles in is gone."""


class World:
    """A table with a past that no consumer saw, a consumer whose records wait in a queue, and a run that may die at any call."""

    def __init__(self, random: Random) -> None:
        self.random, self.killing = random, 0.0
        self.client = MemoryClient(MemoryDatabase())
        app.bind(self.client)
        self.client.create_table(**clicks.definition())
        self.client.create_table(**definition("ClickTiles"))
        self.consumer = TileMaker(PLAN, self.plain)
        self.waiting: list[dict[str, Any]] = []
        for _ in range(random.randrange(40)):
            self.write()
        self.waiting.clear()  # Longer ago than a stream keeps.

    def plain(self, action: str, request: Mapping[str, Any]) -> dict[str, Any]:
        answer: dict[str, Any] = getattr(self.client, action)(**request)
        return answer

    def call(self, action: str, request: Mapping[str, Any]) -> dict[str, Any]:
        """A call of the run: others write and fold around it, pages are small, and it may be the last."""
        while self.random.random() < 0.3:
            self.write()
        while self.waiting and self.random.random() < 0.3:
            self.consumer.handle({"Records": [self.waiting.pop(0)]})
        if self.random.random() < self.killing:
            raise Killed
        return self.plain(action, {**request, "Limit": 3} if action == "scan" else request)

    def write(self) -> None:
        key = {"who": {"S": self.random.choice(PEOPLE)}, "id": {"S": str(self.random.randrange(9))}}
        old = self.client.get_item(TableName="Clicks", Key=key).get("Item")
        if old is not None and self.random.random() < 0.3:
            self.client.delete_item(TableName="Clicks", Key=key)
        else:
            at = text_of(START_US - self.random.randrange(35 * DAY_US))
            number, colour = Decimal(self.random.randrange(99)) / 10, self.random.choice(["red", "blue"])
            clicks.put(
                {"who": key["who"]["S"], "id": key["id"]["S"], "at": at, "n": number, "colour": colour}
            )
        new = self.client.get_item(TableName="Clicks", Key=key).get("Item")
        images = {name: held for name, held in (("OldImage", old), ("NewImage", new)) if held is not None}
        self.waiting.append({"dynamodb": images})


# Why: tiles that are declared on a table that has a past. Writers and the consumer go on beside the run, it dies at any call and
# is started again, and in the end raw rows and tiles say the same of everybody, at any moment.
@pytest.mark.parametrize("seed", seeds(40))
def test_a_backfill_beside_writers_and_kills_gives_the_bits_of_raw_rows(seed: int) -> None:
    with replayable(seed) as random:
        world = World(random)
        world.killing = random.choice([0.0, 0.05, 0.2])
        done, begun = False, 0
        while not done:
            begun += 1
            try:
                for progress in TileBackfill(PLAN, world.call, at_once=1).run():
                    done = progress.done
            except Killed:
                world.killing *= 0.9
        assert begun < 200
        world.consumer.handle({"Records": world.waiting})
        for who in PEOPLE:
            for _ in range(3):
                at_us = START_US - random.randrange(5 * DAY_US)
                raw = read(world.client.query, Reader(PLAN), {"S": who}, at_us).measured
                assert TileReader(PLAN).read(world.plain, who, at_us) == raw


# Why: a table that is deleted tells its stream nothing of it. What is made anew under its name had its predecessor's events in
# every window.
def test_tiles_of_a_table_that_was_made_anew_are_its_own() -> None:
    world = World(Random(3))
    list(TileBackfill(PLAN, world.plain, at_once=1).run())
    assert TileBackfill(PLAN, world.plain).is_done()
    world.client.delete_table(TableName="Clicks")
    world.client.create_table(**clicks.definition())
    world.write()
    world.consumer.handle({"Records": world.waiting})
    assert not TileBackfill(PLAN, world.plain).is_done()
    list(TileBackfill(PLAN, world.plain, at_once=1).run())
    for who in PEOPLE:
        raw = read(world.client.query, Reader(PLAN), {"S": who}, START_US).measured
        assert TileReader(PLAN).read(world.plain, who, START_US) == raw
    assert TileBackfill(PLAN, world.plain).is_done()


# Why: a start of the worker must not scan a large table again; who wants it anew says so.
def test_what_is_done_is_not_done_again_unless_asked() -> None:
    world = World(Random(1))
    asked: list[str] = []

    def call(action: str, request: Mapping[str, Any]) -> dict[str, Any]:
        asked.append(action)
        return world.plain(action, request)

    backfill = TileBackfill(PLAN, call, at_once=1)
    [told] = backfill.run()
    assert told.done
    asked.clear()
    assert [progress.done for progress in backfill.run()] == [True]
    assert asked == ["describe_table", "get_item"]
    assert [progress.done for progress in backfill.run(again=True)] == [True]
    assert "scan" in asked
