"""Where a lake is: its folder, and the address of the process that writes it. Light, for commands that only ask."""

from __future__ import annotations

from pathlib import Path

from penstock.errors import UsageError

ADDRESS = "lake.url"  # A file in the folder: where its process listens, as long as there is one.


def folder_of(where: str) -> Path:
    """`file:./data/lake`, `file:///srv/lake` or a path."""
    if "://" in where and not where.startswith("file:"):
        raise UsageError(
            f"{where} is not a folder; for another catalogue give its properties: type, uri, warehouse"
        )
    path = where.removeprefix("file:")
    return Path("/" + path.lstrip("/") if path.startswith("//") else path).expanduser()
