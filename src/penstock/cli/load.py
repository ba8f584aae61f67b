"""`penstock load TABLE FILE…`: CSV, JSON lines and Parquet into a table, with a progress bar, resumable."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
)
from rich.text import Text

from penstock.app.application import App
from penstock.cli.application import AsJson, Data, Endpoint, data_folder, endpoint, find_application
from penstock.cli.output import duration, print_json
from penstock.connect.client import Client
from penstock.connect.urls import connect
from penstock.errors import ServiceError, UsageError
from penstock.events import loading
from penstock.events.event_items import CHECKS, EventShape, shape_described, shape_of
from penstock.events.row_files import count_hint, format_of
from penstock.run.app_files import declares, load_app


def run(
    table: Annotated[str, typer.Argument(help="The table to load into.")],
    files: Annotated[list[Path], typer.Argument(help="CSV, JSON lines or Parquet; .gz is welcome.")],
    url: Endpoint = None,
    data: Data = Path("data"),
    app: Annotated[
        Path | None,
        typer.Option(
            help="The application whose schema is checked and whose times are normalised; found as `up` finds it."
        ),
    ] = None,
    type: Annotated[list[str] | None, typer.Option(help="Of a CSV column: amount=number. Repeat it.")] = None,
    restart: Annotated[bool, typer.Option(help="Begin anew where a load was interrupted.")] = False,
    json: AsJson = False,
) -> None:
    """Load files into a table; an interrupted load goes on where it stopped. Exit code 1 where rows were refused.

    Example: `penstock load Orders orders.csv --type amount=number`
    """
    types = _types(type or [])
    for path in files:
        if not path.is_file():
            raise UsageError(f"{path} is not there")
        format_of(path)
    loaded: list[dict[str, Any]] = []
    with connect(place := endpoint(url, data)) as client:
        shape = _shape(client, table, app, data_folder(place, data))
        for path in files:
            done = _load(client, shape, path, types, resume=not restart)
            loaded.append({"file": str(path), "stored": done.stored, "refused": done.refused})
            if not json:
                refusals = f", {done.refused:,} refused: {path.name}.refused.jsonl" if done.refused else ""
                print(f"{path}: {done.stored:,} stored{refusals}")
    if json:
        print_json(loaded)
    if any(each["refused"] for each in loaded):
        raise typer.Exit(1)


def _types(given: Sequence[str]) -> dict[str, str]:
    types: dict[str, str] = {}
    for each in given:
        name, equals, kind = each.partition("=")
        if not equals or kind not in CHECKS:
            raise UsageError(f"--type is COLUMN=TYPE with one of {', '.join(CHECKS)}, not {each!r}")
        types[name] = kind
    return types


def _shape(client: Client, table: str, app: Path | None, data: Path) -> EventShape:
    """As the application declares the table, or as the store describes it where no application does."""
    if app is not None:
        declared = load_app(find_application(app, data, Path.cwd()))
        if table not in declared.tables:
            raise UsageError(f"the application has no table {table!r}; it has {', '.join(declared.tables)}")
        return shape_of(declared, declared.tables[table])
    found = _application_here(data)
    if found is not None and table in found.tables:
        return shape_of(found, found.tables[table])
    try:
        return shape_described(client.describe_table(TableName=table)["Table"])
    except ServiceError as error:
        raise UsageError(f"table {table}: {error.message}") from error


def _application_here(data: Path) -> App | None:
    """The application that `up` would run here; None where there is none, or a file of another tool."""
    try:
        path = find_application(None, data, Path.cwd())
    except UsageError:
        return None
    return load_app(path) if declares(path) else None


class _Clock(ProgressColumn):
    """One clock: what is left as soon as that can be told, and how long it took in the end."""

    def render(self, task: Task) -> Text:
        if task.finished:
            return Text(f"in {duration(task.finished_time or 0.0)}")
        if task.time_remaining is None:
            return Text(duration(task.elapsed or 0.0))
        return Text(f"{duration(task.time_remaining)} left")


def _load(
    client: Client, shape: EventShape, path: Path, types: dict[str, str], *, resume: bool
) -> loading.Progress:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[note]}"),
        _Clock(),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(path.name, total=count_hint(path), note="")

        def tell(progress: loading.Progress) -> None:
            note = f"{progress.refused:,} refused" if progress.refused else ""
            bar.update(task, completed=progress.rows, note=note)

        done = loading.load_file(client, shape, path, types=types, resume=resume, tell=tell)
        bar.update(task, total=done.rows, completed=done.rows)
    return done
