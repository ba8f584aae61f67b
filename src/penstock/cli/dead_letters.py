"""`penstock dead-letters`: list, show, retry and discard the records that could not be handled."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from penstock.cli.application import AsJson, Data, Endpoint, data_folder, endpoint, find_application
from penstock.cli.output import print_json, print_table
from penstock.connect.client import Client
from penstock.connect.urls import connect
from penstock.errors import UsageError
from penstock.events.dead_letters import DeadLetter, DeadLetters
from penstock.events.environment import aws_environment
from penstock.events.settings import Settings, settings_of
from penstock.run.app_files import load_app

app = typer.Typer(
    help="List, show, retry and discard records that could not be handled.", no_args_is_help=True
)

Consumer = Annotated[str, typer.Argument(help="The handler's name.")]
Id = Annotated[str | None, typer.Argument(help="A letter's id, or as much of its end as is its alone.")]
All = Annotated[bool, typer.Option("--all", help="Every letter of the consumer.")]
_ERROR_SHOWN = 120


@app.command("list")
def list_letters(
    consumer: Annotated[str | None, typer.Argument(help="The handler's name; all without it.")] = None,
    url: Endpoint = None,
    data: Data = Path("data"),
    limit: Annotated[int, typer.Option(help="At most so many.", min=1)] = 100,
    json: Annotated[bool, typer.Option("--json", help="Answer as JSON.")] = False,
) -> None:
    """Records that could not be handled, in order of their positions.

    Example: `penstock dead-letters list send_receipt`
    """
    with connect(endpoint(url, data)) as client:
        found = list(DeadLetters(client).list(consumer, limit=limit))
    if json:
        print_json([letter.plain() for letter in found])
    elif not found:
        print("no dead letters")
    else:
        columns = ("consumer", "id", "failed at", "attempts", "error")
        print_table(columns, [_row(letter) for letter in found])


def _row(letter: DeadLetter) -> tuple[str, ...]:
    error = letter.reason if letter.kind == "gap" else f"{letter.error_type}: {letter.error_message}"
    # The number is a letter's alone within a consumer; the whole id is in `show` and in --json.
    short_id = letter.id.split("/", 2)[-1]
    return letter.consumer, short_id, letter.failed_at, str(letter.attempts), error[:_ERROR_SHOWN]


@app.command("show")
def show_letter(
    consumer: Consumer,
    id: Annotated[str, typer.Argument(help="A letter's id.")],
    url: Endpoint = None,
    data: Data = Path("data"),
) -> None:
    """One letter with its error, its trace and the record, as JSON.

    Example: `penstock dead-letters show send_receipt 300003`
    """
    with connect(endpoint(url, data)) as client:
        print_json(_found(DeadLetters(client), consumer, id).plain())


@app.command("retry")
def retry_letters(
    consumer: Consumer,
    id: Id = None,
    all: All = False,
    url: Endpoint = None,
    data: Data = Path("data"),
    application: Annotated[
        Path | None, typer.Option("--app", help="The application; found as `up` finds it.")
    ] = None,
    json: AsJson = False,
) -> None:
    """Call the handler with the record once more, here. Exit code 1 where one failed again.

    Example: `penstock dead-letters retry send_receipt --all`
    """
    done, failures = 0, []
    with connect(place := endpoint(url, data)) as client:
        letters = DeadLetters(client)
        settings = _settings(application, consumer, client, place, data)
        for letter in _chosen(letters, consumer, id, all):
            failure = letters.retry(settings, letter.id)
            if failure is None:
                done += 1
                continue
            failures.append({"id": letter.id, "type": failure.type, "message": failure.message})
            if not json:
                print(f"{letter.id}: {failure.type}: {failure.message}")
    if json:
        print_json({"handled": done, "failed": failures})
    else:
        print(f"{done} handled, {len(failures)} failed")
    if failures:
        raise typer.Exit(1)


@app.command("discard")
def discard_letters(
    consumer: Consumer,
    id: Id = None,
    all: All = False,
    url: Endpoint = None,
    data: Data = Path("data"),
    json: AsJson = False,
) -> None:
    """Drop letters for good.

    Example: `penstock dead-letters discard send_receipt 300003`
    """
    with connect(endpoint(url, data)) as client:
        letters = DeadLetters(client)
        chosen = _chosen(letters, consumer, id, all, gaps=True)
        for letter in chosen:
            letters.discard(consumer, letter.id)
    if json:
        print_json({"discarded": [letter.id for letter in chosen]})
    else:
        print(f"{len(chosen)} discarded")


def _found(letters: DeadLetters, consumer: str, id: str) -> DeadLetter:
    ids = [letter.id for letter in letters.list(consumer) if letter.id.endswith(id)]
    if len(ids) != 1:
        raise UsageError(f"{consumer} has {len(ids) or 'no'} dead letters whose id ends in {id}")
    return letters.show(consumer, ids[0])


def _chosen(
    letters: DeadLetters, consumer: str, id: str | None, all: bool, *, gaps: bool = False
) -> list[DeadLetter]:
    if (id is None) is not all:
        raise UsageError("give one letter's id, or --all")
    if id is not None:
        return [_found(letters, consumer, id)]
    return [letter for letter in letters.list(consumer) if gaps or letter.kind == "record"]


def _settings(path: Path | None, consumer: str, client: Client, url: str, data: Path) -> Settings:
    if url.startswith("http"):
        os.environ.update(aws_environment(url, "us-east-1", os.environ))
    declared = load_app(find_application(path, data_folder(url, data), Path.cwd()))
    declared.bind(client)
    if consumer not in declared.change_handlers:
        known = ", ".join(declared.change_handlers) or "none"
        raise UsageError(f"the application has no handler {consumer!r}; it has {known}")
    return settings_of(declared.change_handlers[consumer])
