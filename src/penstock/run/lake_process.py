"""The lake process: the sink, SQL and the Iceberg catalogue."""

from __future__ import annotations

import errno
import os
import signal
import threading

from penstock.app.application import App
from penstock.errors import UsageError
from penstock.run.app_files import load_app
from penstock.run.process import keep_beating, wait_for_stop
from penstock.run.reports import Reporter
from penstock.run.settings import HOST, Settings
from penstock.serving import inference_log
from penstock.sql.service import start_lake

# The lake of a `penstock up` that was killed ends by itself, after the commit that it is in.
LAST_LIFE_S = 60.0


def main(settings: Settings, reporter: Reporter) -> None:
    begun = keep_beating(reporter)
    faults = _stop_on_a_fault()
    app = load_app(settings.app_file)
    _add_inferences(app)
    try:
        process = start_lake(
            app,
            settings.api_url,
            settings.lake_location,
            settings.lake_port,
            patience_s=LAST_LIFE_S,
        )
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise UsageError(
                f"port {settings.lake_port} is taken by another program; choose another with --lake-port"
            ) from error
        raise
    try:
        reporter.ready({"lake": f"http://{HOST}:{process.port}"})
        begun()
        wait_for_stop(reporter)
    finally:
        process.stop()
    if faults:
        raise RuntimeError("a thread of the lake ended by a fault") from faults[0]


def _stop_on_a_fault() -> list[BaseException]:
    """A follower that ends by an error that nobody expects would leave its table behind in silence: the process stops and is
    started again, and goes on from the positions in the tables."""
    faults: list[BaseException] = []

    def stop(fault: threading.ExceptHookArgs) -> None:
        threading.__excepthook__(fault)
        faults.append(fault.exc_value or RuntimeError("unknown"))
        os.kill(os.getpid(), signal.SIGTERM)

    threading.excepthook = stop
    return faults


def _add_inferences(app: App) -> None:
    """What a model answered belongs beside what happened; without a choice of tables the lake follows all of them anyway."""
    if app.predictors and app.lake_tables and inference_log.TABLE not in app.lake_tables:
        app.lake(inference_log.table())
