"""The worker process: everything that runs a user's Python, and tasks that run long."""

from __future__ import annotations

import logging
import os

from penstock.app.application import App
from penstock.app.tasks import TaskContext
from penstock.connect.client import Client
from penstock.connect.urls import connect
from penstock.errors import UsageError
from penstock.events.environment import aws_environment
from penstock.events.worker import Worker
from penstock.features import tile_backfill, tiles
from penstock.run.app_files import load_app
from penstock.run.process import keep_beating, stop_event
from penstock.run.reports import BEAT_S, Reporter
from penstock.run.settings import TOKEN_VARIABLE, Settings
from penstock.run.tasks import TaskRunner

_TASKS_END_S = 10.0

log = logging.getLogger("penstock.worker")


def main(settings: Settings, reporter: Reporter) -> None:
    stop = stop_event(reporter)
    begun = keep_beating(reporter)
    if settings.api_url.startswith("http"):
        os.environ.update(aws_environment(settings.api_url, "us-east-1", os.environ))
    app = load_app(settings.app_file)
    with connect(settings.api_url) as client:
        app.bind(client)
        keep_tiles(app, client)
        tasks = TaskRunner(app.tasks.values(), client, settings, reporter, stop)
        token = os.environ.pop(TOKEN_VARIABLE, None)
        worker = Worker(app, client, http_port=settings.handlers_port, http_token=token)
        worker.start()
        tasks.start()
        reporter.ready({})
        begun()
        try:
            while not stop.wait(BEAT_S):
                reporter.alive()
                _raise_failure(worker)
        finally:
            stop.set()
            if not worker.stop():
                log.warning(
                    "a handler did not come back in time: its batch is handled again at the next start"
                )
            for name in tasks.join(_TASKS_END_S):
                log.warning("task %s did not end in %.0f s and is cut off", name, _TASKS_END_S)


def keep_tiles(app: App, client: Client) -> None:
    """Day tiles are kept by consumers like any other: they are seen, stopped and taken up as the declared ones are."""
    call = tiles.calling(client)
    for consumer in tiles.consumers(app, call):
        if consumer.name in app.change_handlers:
            raise UsageError(f"{consumer.name!r} is the name of a handler and of the consumer of day tiles")
        app.change_handlers[consumer.name] = consumer
    if any(each.tiles is not None for each in app.feature_sets.values()):
        _add_backfill(app, call)


def _add_backfill(app: App, call: tiles.Call) -> None:
    """What the tables held before their tiles were declared, beside the consumers that fold what comes."""

    @app.task
    def tiles_of_before(ctx: TaskContext) -> None:
        for backfill in tile_backfill.backfills(app, call):
            for told in backfill.run(stopping=ctx.stopping):
                log.info(
                    "tiles of %s: %d entities of %s are folded", told.features, told.entities, told.table
                )


def _raise_failure(worker: Worker) -> None:
    """A consumer that ended by a fault of ours: the process ends with it and begins anew from the kept positions."""
    for name, failure in worker.failures().items():
        raise RuntimeError(f"the consumer {name} ended") from failure
