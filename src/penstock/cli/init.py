"""`penstock init NAME`: a small application of one's own, complete: one Python file, a test, a README."""

from __future__ import annotations

import keyword
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from penstock.cli.output import print_json
from penstock.errors import UsageError

_FILES = ("app.py", "test_app.py", "README.md", ".gitignore")


def run(
    name: Annotated[str, typer.Argument(help="The application's name; its folder is made here.")],
    json: Annotated[bool, typer.Option("--json", help="Answer as JSON.")] = False,
) -> None:
    """Write a small application into a new folder: `app.py`, a test of it, and a README.

    Example: `penstock init shop && penstock up shop`
    """
    if not name.isidentifier() or keyword.iskeyword(name):
        raise UsageError(
            f"{name!r} is no name for an application: use letters, digits and _, such as my_shop"
        )
    folder = Path(name)
    if folder.exists() and any(folder.iterdir()):
        raise UsageError(f"{folder}/ is there already and not empty; nothing was written")
    folder.mkdir(exist_ok=True)
    templates = files("penstock.cli") / "templates"
    for file in _FILES:
        text = (templates / f"{file.lstrip('.')}.txt").read_text(encoding="utf-8")
        (folder / file).write_text(text.replace("{name}", name), encoding="utf-8")
    if json:
        print_json({"folder": str(folder), "files": list(_FILES)})
        return
    test = f"pytest {name}" if find_spec("pytest") else f"pip install pytest && pytest {name}"
    commands = {f"penstock up {name}": "run it", test: "test it"}
    wide = max(map(len, commands)) + 4
    print(f"{folder}/: {', '.join(_FILES)}\n")
    for command, meaning in commands.items():
        print(f"  {command:<{wide}}{meaning}")
