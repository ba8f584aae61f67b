"""`penstock sql`: ask the lake a question in SQL."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from penstock.cli.output import PIPED_WIDTH, wide_console
from penstock.errors import UsageError
from penstock.lake.address import folder_of
from penstock.sql.asked import ask_process
from penstock.sql.results import Result

SHOWN_ROWS = 100
ROWS_MAX, SECONDS_MAX = 1_000_000, 300.0  # What the process of a lake gives without being asked for more.
UPRIGHT_ROWS_MAX = 5
FORMATS = ("table", "csv", "json", "parquet")


def run(
    query: Annotated[str, typer.Argument(help="One SELECT; - reads it from standard input.")],
    lake: Annotated[
        str, typer.Option(envvar="PENSTOCK_LAKE", help="The lake's folder.")
    ] = "file:./data/lake",
    format: Annotated[str, typer.Option(help="table, csv, json (an object a line) or parquet.")] = "table",
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="A file in place of the screen.")
    ] = None,
    rows: Annotated[int, typer.Option(help="At most so many rows.", min=1)] = ROWS_MAX,
    into: Annotated[
        str | None, typer.Option(help="Make this table of the rows, such as curated.daily, in one commit.")
    ] = None,
    seconds: Annotated[float, typer.Option(help="At most so long.", min=0.01)] = SECONDS_MAX,
) -> None:
    """Ask the lake in SQL: raw.TABLE is every change, current.TABLE each item's latest state.

    Example: `penstock sql "SELECT count(*) FROM current.orders" --format csv`
    """
    if format not in FORMATS:
        raise UsageError(f"--format is {', '.join(FORMATS)}, not {format}")
    if format == "parquet" and output is None and sys.stdout.isatty():
        raise UsageError("parquet is not for the screen: add --output FILE, or redirect")
    text = sys.stdin.read() if query == "-" else query
    if into is not None:
        _lakes().open_lake(lake).into(into, text)
        print(f"{into} is made")
        return
    result = _ask(lake, text, rows, seconds)
    if format == "table":
        _show(result, output)
    elif output is not None:
        output.write_bytes(result.write(format))
    else:
        sys.stdout.buffer.write(result.write(format))
        sys.stdout.buffer.flush()
    if result.truncated:
        print(f"penstock: there are more than {len(result)} rows; --rows takes more", file=sys.stderr)


def _ask(lake: str, text: str, rows: int, seconds: float) -> Result:
    """DuckDB hears Ctrl-C while it runs, so the query ends and not only the wait for it."""
    console = Console(stderr=True)
    if not console.is_terminal:
        return _answer(lake, text, rows, seconds, None)
    columns = (TextColumn("query"), BarColumn(), TextColumn("{task.percentage:>3.0f}%"), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("query", total=100.0, visible=False)
        return _answer(
            lake, text, rows, seconds, lambda done: progress.update(task, completed=done, visible=True)
        )


def _answer(lake: str, text: str, rows: int, seconds: float, watch: Callable[[float], None] | None) -> Result:
    """Of the process that writes the lake, where there is one: its tables are known and its engine is warm."""
    if rows <= ROWS_MAX and seconds <= SECONDS_MAX:
        asked = ask_process(folder_of(lake), text, rows, seconds, watch)
        if asked is not None:
            return asked
    opened = _lakes().open_lake(lake, make=False)
    result: Result = opened.sql(text, rows_max=rows, seconds_max=seconds, watch=watch)
    return result


def _lakes() -> ModuleType:
    """Loaded when it is needed: with pyiceberg it takes a second."""
    return importlib.import_module("penstock.sql.lake")


def _show(result: Result, output: Path | None) -> None:
    table = Table()
    for field in result.table.schema:
        table.add_column(field.name, justify="right" if _is_number(str(field.type)) else "left")
    for row in result.table.slice(0, SHOWN_ROWS).to_pylist():
        table.add_row(*(_cell(value) for value in row.values()))
    if output is not None:
        with output.open("w") as file:
            Console(file=file, width=PIPED_WIDTH).print(table)
    elif len(result) <= UPRIGHT_ROWS_MAX and _too_wide(table):
        _show_upright(result)
    else:
        wide_console().print(table)
    shown = min(len(result), SHOWN_ROWS)
    more = "" if shown == len(result) else f", {shown} shown; --format csv gives all"
    print(
        f"{len(result)} row{'' if len(result) == 1 else 's'} in {result.seconds:.2f} s{more}", file=sys.stderr
    )


def _too_wide(table: Table) -> bool:
    console = wide_console()
    natural = console.measure(table, options=console.options.update(max_width=PIPED_WIDTH)).maximum
    return natural > console.width


def _show_upright(result: Result) -> None:
    """A value a line: a few rows of many columns would be cut to nothing side by side."""
    width = max(len(name) for name in result.table.column_names)
    for row in result.table.to_pylist():
        table = Table.grid(padding=(0, 2))
        table.add_column(style="bold", min_width=width)
        table.add_column(overflow="fold")
        for name, value in row.items():
            table.add_row(name, _cell(value))
        wide_console().print(table, end="\n\n" if len(result) > 1 else "\n")


def _is_number(type_: str) -> bool:
    return type_.startswith(("int", "uint", "decimal", "double", "float"))


def _cell(value: object) -> str:
    if value is None:
        return ""
    text = str(value)
    # decimal(38, 9) has nine places, whatever the number has.
    if type(value).__name__ == "Decimal" and "." in text:
        text = text.rstrip("0").rstrip(".")
    return text.replace("[", "\\[")
