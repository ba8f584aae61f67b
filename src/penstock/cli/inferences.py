"""`penstock inferences`: a row of the log, and the same inference computed again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import orjson
import typer

from penstock.app.plain import from_item
from penstock.cli.application import AppFile, AsJson, Data, Store, open_application
from penstock.cli.output import print_json, print_table
from penstock.serving.replay import Inferences

app = typer.Typer(help="The log of every prediction.", no_args_is_help=True)

DIFFERS = 1
RequestId = Annotated[str, typer.Argument(help="The requestId of an answer.")]


@app.command()
def show(
    request_id: RequestId,
    app: AppFile = None,
    data: Data = Path("data"),
    store: Store = None,
    json: AsJson = False,
) -> None:
    """Show what was asked, what the model saw and what it said.

    Example: `penstock inferences show 7f0c…`
    """
    with open_application(app, data, store) as opened:
        row = from_item(Inferences(opened.app, opened.client, opened.registry).row(request_id))
    if json:
        print_json({name: str(value) for name, value in row.items()})
        return
    inputs = orjson.loads(row.pop("inputData"))
    print_table(("member", "value"), [(name, str(value)) for name, value in sorted(row.items())])
    print()
    print_table(("feature", "value"), [(name, str(value)) for name, value in inputs.items()])


@app.command()
def replay(
    request_id: RequestId,
    app: AppFile = None,
    data: Data = Path("data"),
    store: Store = None,
    json: AsJson = False,
) -> None:
    """Compute an inference again from the history. Exit code 1 where anything differs, with what and why.

    Example: `penstock inferences replay 7f0c…`
    """
    with open_application(app, data, store) as opened:
        inferences = Inferences(opened.app, opened.client, opened.registry, opened.lake(), run_python=True)
        found = inferences.replay(request_id)
    if json:
        print_json(found.__dict__)
    elif found.differences:
        print(f"{request_id} comes out otherwise:")
        for difference in found.differences:
            print(f"  {difference}")
    else:
        print(f"{request_id}: the same features, the same prediction, bit for bit")
        print(f"  features: {found.as_of}")
    if not json:
        for note in found.notes:
            print(f"  note: {note}")
    if found.differences:
        raise typer.Exit(DIFFERS)
