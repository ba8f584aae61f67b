"""The commands by name, with the line that `--help` shows. A command's module is imported when it is called.

That keeps `penstock --help` fast: the engine, the event loop and the model runtimes load for those who need
them. Each module has a function `run`, whose parameters are the command's options.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Command:
    name: str
    module: str
    summary: str

    def load(self) -> Callable[..., None]:
        run: Callable[..., None] = importlib.import_module(self.module).run
        return run


COMMANDS = (
    Command("serve", "penstock.cli.serve", "Serve a data directory to any DynamoDB client over HTTP."),
    Command(
        "check", "penstock.cli.check", "Verify every record, index entry and counter of a data directory."
    ),
    Command(
        "crash-test", "penstock.cli.crash_test", "Kill a server under load again and again, and check it."
    ),
    Command("explain", "penstock.cli.explain", "Tell what a request reads, consumes and costs on AWS."),
)
