"""The commands by name, with the line that `--help` shows. A command's module is imported when it is called.

That keeps `penstock --help` fast: the engine, the event loop and the model runtimes load for those who need
them. Each module has a function `run`, whose parameters are the command's options, or a `typer.Typer` called `app` where
it has sub-commands.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass

import typer

RUN = "Run an application"
TABLES = "Tables"
EVENTS = "Events"
LAKE = "Lake and SQL"
PREDICT = "Predictions and models"


@dataclass(frozen=True, slots=True)
class Command:
    name: str
    module: str
    summary: str
    group: str

    def load(self) -> Callable[..., None] | typer.Typer:
        module = importlib.import_module(self.module)
        found: Callable[..., None] | typer.Typer = module.app if hasattr(module, "app") else module.run
        return found


COMMANDS = (
    Command("up", "penstock.cli.up", "Run an application: tables, worker, lake, predictions, console.", RUN),
    Command("status", "penstock.cli.status", "Show what is running, where, and how it is.", RUN),
    Command("down", "penstock.cli.down", "Stop what `up` started, in good order.", RUN),
    Command("init", "penstock.cli.init", "Write a small application of your own into a new folder.", RUN),
    Command("destroy", "penstock.cli.destroy", "Delete an application's data, after asking.", RUN),
    Command(
        "serve", "penstock.cli.serve", "Serve a data directory to any DynamoDB client over HTTP.", TABLES
    ),
    Command(
        "explain", "penstock.cli.explain", "Tell what a request reads, consumes and costs on AWS.", TABLES
    ),
    Command("check", "penstock.cli.check", "Verify every record, index entry and counter on disk.", TABLES),
    Command(
        "crash-test", "penstock.cli.crash_test", "Kill a server under load again and again; check it.", TABLES
    ),
    Command(
        "consumers", "penstock.cli.consumers", "Show how far each consumer of changes is behind.", EVENTS
    ),
    Command(
        "dead-letters",
        "penstock.cli.dead_letters",
        "List, show, retry, discard what was not handled.",
        EVENTS,
    ),
    Command("load", "penstock.cli.load", "Load CSV, JSON lines or Parquet into a table; resumable.", EVENTS),
    Command("sql", "penstock.cli.sql", "Ask the lake a question in SQL.", LAKE),
    Command("predict", "penstock.cli.predict", "Predict one, or a campaign into a file.", PREDICT),
    Command("models", "penstock.cli.models", "Register, list, promote, roll back, compare models.", PREDICT),
    Command("tiles", "penstock.cli.tiles", "Fold the days of events that were there before.", PREDICT),
    Command(
        "inferences", "penstock.cli.inferences", "Show a prediction on record; compute it again.", PREDICT
    ),
    Command("why", "penstock.cli.why", "Show the chain behind an answer: events to prediction.", PREDICT),
    Command(
        "monitor", "penstock.cli.monitor", "Hold predictions against training, history, labels.", PREDICT
    ),
    Command("boards", "penstock.cli.boards", "List dashboards; export one as PNG or PDF.", LAKE),
    Command("lake", "penstock.cli.lake", "Show what is in the lake; compact, expire, rebuild, crawl.", LAKE),
)
