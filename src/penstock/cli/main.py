"""The `penstock` command: finds the sub-command, loads only that one, and says what went wrong in one line.

Exit codes, the same for every command: 0 done; 1 it did not succeed (a check found damage, an answer was an error); 2 the
call was wrong or cannot be met here (the line says what to do); 130 stopped by Ctrl-C. docs/reference/cli.md lists them.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import version

import typer

from penstock.cli.registry import COMMANDS, Command
from penstock.errors import PenstockError, ServiceError

_ABOUT = """ML engineering on DynamoDB, whole, from one command on one machine.

Begin with `penstock init shop` and `penstock up shop`, or look into one command with `penstock COMMAND --help`.
"""
# What shells hand over while they complete a line: the words so far, in zsh and fish, and in bash.
_COMPLETION_WORDS = ("_TYPER_COMPLETE_ARGS", "COMP_WORDS")

DONE, UNSUCCESSFUL, WRONG_CALL, INTERRUPTED = 0, 1, 2, 130


def main(arguments: Sequence[str] | None = None) -> None:
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        build(given)(args=given, prog_name="penstock")
    except ServiceError as error:
        print(f"penstock: {error}", file=sys.stderr)
        raise SystemExit(UNSUCCESSFUL) from None
    except PenstockError as error:
        print(f"penstock: {error}", file=sys.stderr)
        raise SystemExit(WRONG_CALL) from None
    except KeyboardInterrupt:
        raise SystemExit(INTERRUPTED) from None
    except BrokenPipeError:
        # `penstock sql … | head`: the reader has enough. Python's own flush at exit would complain again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def build(given: Sequence[str]) -> typer.Typer:
    """An application in which the command that is called is real and the others are their names and summaries."""
    app = typer.Typer(
        help=_ABOUT,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode="markdown",
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_root)
    called = next((word for word in _words(given) if not word.startswith("-") and word != "penstock"), None)
    for command in COMMANDS:
        if command.name != called:
            app.command(command.name, help=command.summary, rich_help_panel=command.group)(
                _placeholder(command)
            )
            continue
        loaded = command.load()
        if isinstance(loaded, typer.Typer):
            app.add_typer(loaded, name=command.name, rich_help_panel=command.group)
        else:
            app.command(command.name, rich_help_panel=command.group)(loaded)
    return app


def _words(given: Sequence[str]) -> Sequence[str]:
    """The words of this call, or of the line that a shell is completing."""
    for variable in _COMPLETION_WORDS:
        if os.environ.get(variable):
            return os.environ[variable].split()
    return given


def _show_version(wanted: bool) -> None:
    if wanted:
        print(version("penstock"))
        raise typer.Exit


def _root(
    version: bool = typer.Option(
        False, "--version", callback=_show_version, is_eager=True, help="Show the version."
    ),
) -> None:
    """With a callback typer keeps sub-commands even where there is only one."""


def _placeholder(command: Command) -> Callable[[], None]:
    def run() -> None:
        raise AssertionError(f"{command.name} was called without being loaded")

    return run
