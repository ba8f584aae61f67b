"""`penstock down`: stop a running `penstock up`, in good order, and wait until it has ended."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from penstock.cli.output import print_json
from penstock.run.state import stop_running


def run(
    data: Annotated[Path, typer.Option(help="The data directory of the application.")] = Path("data"),
    within: Annotated[float, typer.Option(help="Seconds to wait for the end.")] = 90.0,
    json: Annotated[bool, typer.Option("--json", help="Answer as JSON.")] = False,
) -> None:
    """Stop what `penstock up` runs on a data directory. Nothing to stop is no error.

    Example: `penstock down --data /srv/shop`
    """
    stopped = stop_running(data, within)
    if json:
        print_json({"stopped": stopped, "data": str(data)})
    else:
        print(f"stopped; the data are in {data}/" if stopped else f"nothing runs on {data}/")
