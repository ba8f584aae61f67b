"""`penstock tiles`: day tiles of events that were there before the tiles were declared."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from penstock.cli.application import AppFile, AsJson, Data, Store, open_application
from penstock.cli.output import print_json
from penstock.errors import ServiceError, UsageError
from penstock.features.tile_backfill import backfills
from penstock.features.tiles import calling, tables

app = typer.Typer(help="Day tiles: windows folded beforehand.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Keeps `backfill` a command of its own."""


@app.command()
def backfill(
    features: Annotated[
        str | None, typer.Argument(help="One feature set; all that have tiles where it is not said.")
    ] = None,
    again: Annotated[bool, typer.Option("--again", help="Fold everything anew, also what is done.")] = False,
    app: AppFile = None,
    data: Data = Path("data"),
    store: Store = None,
    json: AsJson = False,
) -> None:
    """Fold the days of all events that the source tables hold. A stopped run goes on where it was.

    The worker of `penstock up` does so by itself; this is for other stores, and to see how far it is.

    Example: `penstock tiles backfill buyer`
    """
    with open_application(app, data, store) as opened:
        found = backfills(opened.app, calling(opened.client))
        chosen = [each for each in found if features in (None, each.plan.name)]
        if not chosen:
            raise UsageError(f"no feature set{'' if features is None else f' {features!r}'} has tiles")
        for table in tables(opened.app):
            try:
                opened.client.create_table(**table.definition())
            except ServiceError as error:
                if error.code != "ResourceInUseException":
                    raise
        told: dict[str, dict[str, Any]] = {}
        for each in chosen:
            for progress in each.run(again=again):
                told[f"{progress.features} {progress.table}"] = progress.__dict__
                if not json and progress.done:
                    print(
                        f"{progress.features}: {progress.entities:,} entities of {progress.table} have their tiles"
                    )
    if json:
        print_json(list(told.values()))
