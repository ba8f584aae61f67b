"""The `penstock` command: finds the sub-command, loads only that one, and says what went wrong in one line."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

import typer

from penstock.cli.registry import COMMANDS, Command
from penstock.errors import PenstockError

_ABOUT = "Penstock: ML engineering on DynamoDB, whole, from one command on one machine."


def main(arguments: Sequence[str] | None = None) -> None:
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        build(given)(args=given, prog_name="penstock")
    except PenstockError as error:
        print(f"penstock: {error}", file=sys.stderr)
        raise SystemExit(2) from None


def build(given: Sequence[str]) -> typer.Typer:
    """An application in which the command that is called is real and the others are their names and summaries."""
    app = typer.Typer(help=_ABOUT, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
    app.callback()(_nothing)
    called = next((word for word in given if not word.startswith("-")), None)
    for command in COMMANDS:
        function = command.load() if command.name == called else _placeholder(command)
        app.command(command.name, help=None if command.name == called else command.summary)(function)
    return app


def _nothing() -> None:
    """With a callback typer keeps sub-commands even where there is only one."""


def _placeholder(command: Command) -> Callable[[], None]:
    def run() -> None:
        raise AssertionError(f"{command.name} was called without being loaded")

    return run
