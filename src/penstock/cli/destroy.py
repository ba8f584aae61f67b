"""`penstock destroy`: delete an application's data, after listing what goes and asking."""

from __future__ import annotations

import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.filesize import decimal

from penstock.cli.output import print_json, print_table
from penstock.errors import UsageError
from penstock.run.state import running_pid

# What makes a folder a data directory of ours; anything else is not deleted, whatever --data says.
_MARKS = ("FORMAT", "OWNER", "up.lock")
_MEANINGS = {
    "rocks": "tables, indexes, change streams",
    "lake": "the lake: every change, current state, SQL's tables",
    "models": "model files",
    "log": "logs",
    "checkpoint": "the last checkpoint",
    "boards": "dashboards",
}


@dataclass(frozen=True)
class Part:
    name: str
    meaning: str
    files: int
    bytes: int


def run(
    data: Annotated[Path, typer.Option(help="The data directory of the application.")] = Path("data"),
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    json: Annotated[bool, typer.Option("--json", help="List as JSON; deletes only with --yes.")] = False,
) -> None:
    """Delete a data directory: tables, lake, models, logs. Lists what goes, and asks first.

    Tables in another store (`up --store`) and a lake elsewhere are not touched.

    Example: `penstock destroy --data /srv/shop`
    """
    if not data.is_dir() or not any((data / mark).exists() for mark in _MARKS):
        raise UsageError(f"{data}/ is no data directory of Penstock; nothing was deleted")
    pid = running_pid(data)
    if pid is not None:
        raise UsageError(f"{data}/ is in use by process {pid}; `penstock down --data {data}` stops it first")
    parts = [_measure(path) for path in sorted(data.iterdir())]
    if json:
        print_json({"data": str(data), "parts": [asdict(part) for part in parts], "deleted": yes})
    else:
        _show(data, parts)
        question = f"Type {data.name} to delete all of it"
        if not yes and typer.prompt(question, default="", show_default=False) != data.name:
            print("nothing was deleted")
            raise typer.Exit(1)
    if yes or not json:
        shutil.rmtree(data)
    if not json:
        print(f"{data}/ is gone")


def _measure(path: Path) -> Part:
    files = [path] if path.is_file() else [each for each in path.rglob("*") if each.is_file()]
    meaning = _MEANINGS.get(path.name, "")
    return Part(path.name, meaning, len(files), sum(each.stat().st_size for each in files))


def _show(data: Path, parts: list[Part]) -> None:
    print(f"These go for good, from {data.resolve()}:\n")
    print_table(
        ("", "what", "files", "size"),
        [(part.name, part.meaning, f"{part.files:,}", decimal(part.bytes)) for part in parts],
    )
    print()
