"""The lake process: the sink, SQL and the Iceberg catalogue, at a lower priority than the predictions."""

from __future__ import annotations

import os

from penstock.app.application import App
from penstock.errors import UsageError
from penstock.run.app_files import load_app
from penstock.run.process import keep_beating, wait_for_stop
from penstock.run.reports import Reporter
from penstock.run.settings import HOST, Settings
from penstock.serving import inference_log
from penstock.sql.service import start_lake

_NICE = 10


def main(settings: Settings, reporter: Reporter) -> None:
    begun = keep_beating(reporter)
    os.nice(_NICE)
    app = load_app(settings.app_file)
    _add_inferences(app)
    try:
        process = start_lake(app, settings.api_url, settings.lake_location, settings.lake_port)
    except OSError as error:
        raise UsageError(
            f"port {settings.lake_port}: {error.strerror}; choose another with --lake-port"
        ) from error
    try:
        reporter.ready({"lake": f"http://{HOST}:{process.port}"})
        begun()
        wait_for_stop(reporter)
    finally:
        process.stop()


def _add_inferences(app: App) -> None:
    """What a model answered belongs beside what happened; without a choice of tables the lake follows all of them anyway."""
    if app.predictors and app.lake_tables and inference_log.TABLE not in app.lake_tables:
        app.lake(inference_log.table())
