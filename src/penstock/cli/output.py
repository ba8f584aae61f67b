"""How commands answer: rich tables for people, one JSON document for programs (`--json`)."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence

import orjson
from rich.console import Console
from rich.table import Table

PIPED_WIDTH = 10_000


def print_json(answer: object) -> None:
    sys.stdout.write(orjson.dumps(answer, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE).decode())


def wide_console(*, highlight: bool = True) -> Console:
    """As wide as the terminal. Into a pipe or a file nothing is cut: 80 columns are only what rich assumes there."""
    return Console(highlight=highlight, width=None if sys.stdout.isatty() else PIPED_WIDTH, soft_wrap=False)


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")  # Never cut: the end of an id is what people copy.
    for row in rows:
        table.add_row(*row)
    wide_console(highlight=False).print(table)


def duration(seconds: float) -> str:
    """`3 s`, `4 min`, `2 h 5 min`, `3 d 4 h`: the two largest units are enough for a person."""
    whole = int(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min"
    if whole < 86_400:
        return f"{whole // 3600} h {whole % 3600 // 60} min"
    return f"{whole // 86_400} d {whole % 86_400 // 3600} h"
