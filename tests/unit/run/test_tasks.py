"""Tasks: run, run again after an error, remembered, ended."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest

import penstock
from penstock.connect.client import Client
from penstock.run import tasks
from penstock.run.reports import Reporter, decode
from penstock.run.settings import Settings
from penstock.run.tasks import TaskRunner

WITHIN_S = 20.0


@pytest.fixture
def client(tmp_path: Path) -> Client:
    return penstock.connect(f"file:{tmp_path / 'data'}")


def runner(app: penstock.App, client: Client, folder: Path, stop: threading.Event) -> TaskRunner:
    settings = Settings(folder / "app.py", folder / "data")
    return TaskRunner(app.tasks.values(), client, settings, Reporter(None), stop)


# Why (T1): what others build on is there before anything is announced.
def test_setup_runs_in_order_before_start_returns(client: Client, tmp_path: Path) -> None:
    app, ran, stop = penstock.App("a"), [], threading.Event()

    @app.task
    def beside(ctx: Any) -> None:
        ctx.wait(WITHIN_S)

    @app.setup
    def first(ctx: Any) -> None:
        ran.append("first")

    @app.setup
    def second(ctx: Any) -> None:
        ran.append("second")

    running = runner(app, client, tmp_path, stop)
    running.start()
    assert ran == ["first", "second"]
    stop.set()
    assert running.join(WITHIN_S) == []


# Why (T2): a shop that is not reachable for a moment must not end the task that watches it.
def test_a_task_that_raises_is_run_again(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "PAUSE_S", 0.0)
    app, done, attempts = penstock.App("a"), threading.Event(), []

    @app.task
    def stumbles(ctx: Any) -> None:
        attempts.append(1)
        if len(attempts) < 3:
            raise RuntimeError("not yet")
        done.set()

    running = runner(app, client, tmp_path, threading.Event())
    running.start()
    assert done.wait(WITHIN_S)
    assert running.join(WITHIN_S) == []
    assert len(attempts) == 3


# Why (T2): one failing setup must not keep the predictions from being served.
def test_a_setup_that_raises_is_tried_again_beside_the_rest(client: Client, tmp_path: Path) -> None:
    app, tried, stop = penstock.App("a"), [], threading.Event()

    @app.setup
    def fails_once(ctx: Any) -> None:
        tried.append(1)
        if len(tried) == 1:
            raise SystemExit("no")

    running = runner(app, client, tmp_path, stop)
    running.start()
    assert running.join(WITHIN_S) == []
    assert len(tried) == 2


# Why (T3): a history of an hour must not begin anew after a restart.
def test_what_a_task_remembers_is_there_at_the_next_start(client: Client, tmp_path: Path) -> None:
    found: list[str | None] = []

    def start_with(function: Callable[[Any], None]) -> None:
        app = penstock.App("a")
        app.setup(function)
        runner(app, client, tmp_path, threading.Event()).start()

    def note(ctx: Any) -> None:
        found.append(ctx.recall("place"))
        ctx.remember("place", "12")

    start_with(note)
    start_with(note)
    assert found == [None, "12"]


# Why: a newcomer's first model is three lines; it must serve as any other, and a second start must find it.
def test_a_task_learns_a_model_and_makes_it_the_champion(client: Client, tmp_path: Path) -> None:
    linear = pytest.importorskip("sklearn.linear_model")
    app, seen = penstock.App("a"), []

    @app.setup
    def learn(ctx: Any) -> None:
        seen.append(ctx.has_model("m"))
        rows = [{"x": float(n)} for n in range(20)]
        seen.append(ctx.learn("m", linear.LogisticRegression(), rows, [int(n > 5) for n in range(20)]))
        seen.append(ctx.has_model("m"))

    runner(app, client, tmp_path, threading.Event()).start()
    assert seen == [False, "m@1", True]


# Why: a setup task runs at each start; a model that was promoted since must not give way to the first one again.
def test_what_is_learned_once_leaves_a_champion_alone(client: Client, tmp_path: Path) -> None:
    linear = pytest.importorskip("sklearn.linear_model")
    app, names = penstock.App("a"), []

    @app.setup
    def learn(ctx: Any) -> None:
        rows = [{"x": float(n)} for n in range(20)]
        for once in (True, False, True):
            labels = [int(n > 5) for n in range(20)]
            names.append(ctx.learn("m", linear.LogisticRegression(), rows, labels, once=once))

    runner(app, client, tmp_path, threading.Event()).start()
    assert names == ["m@1", "m@2", "m@2"]


# Why (P1): lines of several threads must not mix, so none may be longer than a pipe takes at once.
def test_a_long_text_is_cut_to_what_a_pipe_takes_at_once() -> None:
    reading, writing = os.pipe()
    reporter = Reporter(writing)
    reporter.said("ü" * 100_000)
    line = os.read(reading, 1 << 16)
    assert len(line) <= 4000
    assert decode(line).text.startswith("üüü")
    assert orjson.loads(line)["kind"] == "said"


# Why (P2): nothing of `penstock up` outlives it.
def test_a_pipe_that_nobody_reads_means_to_stop() -> None:
    reading, writing = os.pipe()
    orphaned = threading.Event()
    reporter = Reporter(writing, orphaned.set)
    reporter.alive()
    os.close(reading)
    reporter.alive()
    assert orphaned.is_set()
    reporter.alive()
