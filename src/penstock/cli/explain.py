"""`penstock explain`: what a request reads, writes and consumes on the data as it is, and what it costs on AWS."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
from rich.console import Console
from rich.table import Table

from penstock.connect.urls import connect
from penstock.errors import UsageError


def run(
    action: Annotated[str, typer.Argument(help="AWS's name, such as Query or PutItem.")],
    request: Annotated[str, typer.Argument(help="The request as JSON, or - to read it from standard input.")],
    data: Annotated[Path, typer.Option(help="The data directory, served or not.")] = Path("data"),
    url: Annotated[
        str | None, typer.Option(help="A running server instead, as http://127.0.0.1:8000.")
    ] = None,
    per_second: Annotated[float, typer.Option(help="How many such requests a second the month has.")] = 1.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the answer as it came.")] = False,
) -> None:
    """Tell which index a request uses, what it reads and consumes, what to beware of, and a month's cost on AWS.

    Example: `penstock explain Scan '{"TableName": "Orders"}' --per-second 10`
    """
    if url is None and not data.is_dir():
        raise UsageError(f"{data} is no data directory: give --data or --url")
    with connect(url or f"file:{data}") as client:
        told = client.explain(action, parse(request), per_second)
    if as_json:
        sys.stdout.buffer.write(orjson.dumps(told, option=orjson.OPT_INDENT_2) + b"\n")
    else:
        show(told, Console(highlight=False))


def parse(text: str) -> dict[str, Any]:
    try:
        request = orjson.loads(sys.stdin.buffer.read() if text == "-" else text)
    except orjson.JSONDecodeError as error:
        raise UsageError(f"the request is not JSON: {error}") from None
    if not isinstance(request, dict):
        raise UsageError("the request is a JSON object, as the AWS CLI takes with --cli-input-json")
    return request


def show(told: dict[str, Any], console: Console) -> None:
    place = told["Table"] or "-"
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_row(
        "reads through", f"{told['Access']} · {place}" + (f" · {told['Index']}" if told["Index"] else "")
    )
    table.add_row("reads", f"{_items(told['ItemsRead'])}, {told['BytesRead']:,} bytes")
    if told["ItemsReturned"] is not None:
        more = ", and there is more on the next page" if told["MorePages"] else ""
        table.add_row("returns", f"{_items(told['ItemsReturned'])}{more}")
    if told["RecordsWritten"]:
        table.add_row("writes", f"{told['RecordsWritten']:,} records, index entries among them")
    table.add_row("consumes", f"{told['ReadUnits']:g} read units, {told['WriteUnits']:g} write units")
    table.add_row(
        "a month on AWS", f"${told['MonthlyDollars']:,.2f} on demand at {told['PerSecond']:g} a second"
    )
    console.print(table)
    for warning in told["Warnings"]:
        console.print(f"[yellow]beware[/] {warning}")


def _items(count: int) -> str:
    return f"{count:,} item{'' if count == 1 else 's'}"
