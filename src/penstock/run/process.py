"""What the processes of `penstock up` have in common: how one begins, shows that it is alive, and ends.

A process' module has `main(settings, reporter)`; it is started as `python -m penstock.run.process NAME SETTINGS`. SIGTERM
and a supervisor that is gone mean the same: stop in good order. SIGINT is the supervisor's to hear, so that Ctrl-C in
a terminal stops the processes in their order and not all at once.
"""

from __future__ import annotations

import faulthandler
import importlib
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable

from penstock.errors import Corruption, PenstockError, UsageError
from penstock.run.reports import BEAT_S, Reporter
from penstock.run.restarts import HOPELESS
from penstock.run.settings import PASSWORD_VARIABLE, Settings, from_text

MODULES = {
    "table": "penstock.run.table_process",
    "worker": "penstock.run.worker_process",
    "lake": "penstock.run.lake_process",
}
# Predictions come first: the lake takes what is left.
NICE = {"lake": 10}


def main(arguments: list[str]) -> int:
    name, text = arguments
    os.nice(NICE.get(name, 0))  # Before the imports: they are the first work that a start does.
    if name != "table":
        os.environ.pop(PASSWORD_VARIABLE, None)  # Only who serves the pages compares it.
    settings = from_text(text)
    reporter = Reporter.inherited()
    begin()
    try:
        run: Callable[[Settings, Reporter], None] = importlib.import_module(MODULES[name]).main
        run(settings, reporter)
    except (UsageError, Corruption) as error:
        reporter.failed(str(error))
        return HOPELESS
    except PenstockError as error:
        logging.getLogger("penstock.run").error("%s", error)
        return 1
    return 0


def begin() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # The supervisor asks a hung process where it hangs before it kills it.
    faulthandler.enable()
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    logging.getLogger("penstock").setLevel(logging.INFO)


def wait_for_stop(reporter: Reporter) -> None:
    """For processes that do their work in threads: beat until it is time to stop."""
    stop = stop_event(reporter)
    while not stop.wait(BEAT_S):
        reporter.alive()


def stop_event(reporter: Reporter) -> threading.Event:
    stop = threading.Event()
    reporter.orphaned = stop.set
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    return stop


def keep_beating(reporter: Reporter) -> Callable[[], None]:
    """Beat from a thread while the process begins: large imports and opening files are not a hang. Returns its end."""
    done = threading.Event()

    def beat() -> None:
        while not done.wait(BEAT_S):
            reporter.alive()

    threading.Thread(target=beat, name="penstock-beat", daemon=True).start()
    return done.set


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
