"""`penstock boards`: list an application's boards, and export one as a picture or a document."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from penstock.cli.application import find_application
from penstock.cli.output import print_json, print_table
from penstock.console.board_files import RANGES, BoardFiles, board_of
from penstock.console.exporting import WIDTH, board_url, export
from penstock.errors import UsageError

app = typer.Typer(help="List dashboards, and export one as PNG or PDF.", no_args_is_help=True)


@app.command("list")
def list_boards(
    folder: Annotated[
        Path | None,
        typer.Option(help="Where the boards are; beside the application's file if it is not said."),
    ] = None,
    data: Annotated[Path, typer.Option(help="The data directory of the application.")] = Path("data"),
    json: Annotated[bool, typer.Option("--json", help="Answer as JSON.")] = False,
) -> None:
    """Boards by name, with what is wrong in a file that is no board.

    Example: `penstock boards list`
    """
    folder = folder or find_application(None, data, Path.cwd()).parent / "boards"
    files, rows = BoardFiles(folder), []
    for name in files.names():
        try:
            board = board_of(files.text(name))
            rows.append({"name": name, "title": board.title, "charts": len(board.charts), "problem": ""})
        except UsageError as error:
            rows.append({"name": name, "title": "", "charts": 0, "problem": str(error)})
    if json:
        print_json(rows)
    elif not rows:
        print(f"no boards in {folder}/; the console makes one, and so does a file there")
    else:
        print_table(
            ("name", "title", "charts", "problem"),
            [tuple(str(value) for value in row.values()) for row in rows],
        )


@app.command("export")
def export_board(
    name: Annotated[str, typer.Argument(help="The board: its file's name without .toml.")],
    out: Annotated[Path, typer.Option(help="Where to: a file that ends in .png or .pdf.")],
    url: Annotated[str, typer.Option(help="Where the application runs.")] = "http://127.0.0.1:8080",
    range: Annotated[str | None, typer.Option(help=f"The time range: {', '.join(RANGES)}.")] = None,
    filter: Annotated[
        list[str] | None, typer.Option(help="NAME=VALUE of a filter; any number of them.")
    ] = None,
    dark: Annotated[bool, typer.Option("--dark", help="In the dark theme.")] = False,
    width: Annotated[int, typer.Option(help="The page's width in pixels.", min=320, max=4000)] = WIDTH,
    json: Annotated[bool, typer.Option("--json", help="Answer as JSON.")] = False,
) -> None:
    """Print a board of the running application, with a Chromium, Chrome or Edge that is installed here.

    Example: `penstock boards export sales --out sales.pdf --range 30d --filter category=jewelry`
    """
    values = [] if range is None else [("range", range)]
    for each in filter or []:
        key, equals, value = each.partition("=")
        if not equals:
            raise UsageError(f"{each!r} is no filter; write NAME=VALUE")
        values.append((key, value))
    export(board_url(url, name, values), out, dark=dark, width=width)
    if json:
        print_json({"board": name, "file": str(out), "bytes": out.stat().st_size})
    else:
        print(out)
