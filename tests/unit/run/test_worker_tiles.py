"""Day tiles in the worker: their tables are made, and their consumers run, because the application says `tiles=`."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.upping import until

import penstock
from penstock.connect.client import Client
from penstock.console.streams import kinds_of
from penstock.errors import UsageError
from penstock.events.worker import Worker
from penstock.features import tiles
from penstock.features.definition import compile_set
from penstock.features.tile_backfill import backfills
from penstock.features.tile_reach import reach, soon_reach
from penstock.run.declared_tables import ensure_tables, tables_of
from penstock.run.worker_process import keep_tiles


def clicks_app(*, stream: bool = True) -> penstock.App:
    app = penstock.App("clicks")
    clicks = app.table(
        "Clicks", partition_key="who", sort_key="id", local_indexes={"by_time": "at"}, stream=stream
    )
    counted = {"clicks_7d": penstock.count(days=7)}
    app.features("clicker", source=clicks, entity="who", time="at", tiles="ClickTiles", features=counted)
    return app


@contextmanager
def working(app: penstock.App, client: Client) -> Iterator[None]:
    """A worker that has made the tile of a write."""
    keep_tiles(app, client)
    worker = Worker(app, client)
    worker.start()
    try:
        app.tables["Clicks"].put({"who": "w", "id": "1", "at": "2026-11-20T10:00:00.000000Z"})
        until(lambda: client.scan(TableName="ClickTiles")["Count"] == 1)
        yield
    finally:
        assert worker.stop()
        assert worker.failures() == {}


# Why: an application says `tiles="ClickTiles"` and nothing more; a write must come to stand in a tile all the same.
def test_a_write_comes_to_stand_in_a_tile(tmp_path: Path) -> None:
    app = clicks_app()
    with penstock.connect(f"file:{tmp_path}") as client:
        app.bind(client)
        assert ensure_tables(client, tables_of(app)) == ["Clicks", "ClickTiles"]
        with working(app, client):
            """The write, and its tile."""


# Why: a campaign that is told so reads no rows of today: every change until then has to stand in a tile.
def test_tiles_reach_what_their_consumer_has_handled_once_the_past_is_brought_in(tmp_path: Path) -> None:
    app = clicks_app()
    plan = compile_set(app.feature_sets["clicker"])
    with penstock.connect(f"file:{tmp_path}") as client:
        app.bind(client)
        ensure_tables(client, tables_of(app))
        assert not reach(client, plan, time.time()), "no worker ever ran"
        with working(app, client):
            assert not reach(client, plan, time.time()), "what was there before is not brought in"
            [backfill] = backfills(app, tiles.calling(client))
            assert [progress.done for progress in backfill.run()] == [True]
            until(lambda: reach(client, plan, time.time()))
        written_s = time.time()
        app.tables["Clicks"].put({"who": "w", "id": "2", "at": "2026-11-20T11:00:00.000000Z"})
        assert reach(client, plan, written_s)
        pauses: list[float] = []
        assert not soon_reach(client, plan, time.time(), pauses.append), "nobody folds it"
        assert pauses


# Why: without a stream the tiles would stay empty, and an empty tile means "no events": a wrong answer in place of an error.
def test_tiles_of_a_table_without_a_stream_are_refused() -> None:
    with pytest.raises(UsageError, match="stream=True"):
        tiles.consumers(clicks_app(stream=False), lambda method, request: {})


# Why: two consumers of one name would share their positions, and each would miss what the other took.
def test_a_handler_of_a_consumer_s_name_is_refused(tmp_path: Path) -> None:
    app = clicks_app()

    @app.on_change(app.tables["Clicks"], name="tiles-clicker-Clicks")
    def mine(event: object) -> None: ...

    with penstock.connect(f"file:{tmp_path}") as client, pytest.raises(UsageError, match="name of a handler"):
        keep_tiles(app, client)


# Why: the console lists these consumers beside the handlers without making them; a name that differs would be a stranger there.
def test_the_names_of_the_consumers_are_known_without_making_them() -> None:
    app = clicks_app()
    made = tiles.consumers(app, lambda method, request: {})
    assert tiles.consumer_names(app) == [(each.name, "clicker", each.table.name) for each in made]
    assert kinds_of(app)["tiles-clicker-Clicks"].says == "day tiles of clicker"
