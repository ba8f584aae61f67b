"""docs/reference/cli.md, made from the commands themselves: `python -m penstock.cli.reference > docs/reference/cli.md`.

A test holds the file to what this prints, so that the reference cannot fall behind an option.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import typer
import typer.main

from penstock.cli.registry import COMMANDS, Command

_OPENING = """# The `penstock` command

This page is made from the commands themselves (`make reference`), and a test holds it to them.

`penstock --help` lists the commands, `penstock COMMAND --help` explains one. `--json`, where a command has it, answers one JSON
document on standard output and nothing else there. `penstock --install-completion` teaches your shell to complete commands and
options; `--version` tells the version.

## Exit codes

| code | meaning |
|---|---|
| 0 | done |
| 1 | it did not succeed: a check found damage, the store answered an error, `status` found something not well |
| 2 | the call was wrong, or cannot be met here; the line on standard error says what to do |
| 130 | stopped by Ctrl-C |

`penstock up` stopped by Ctrl-C ends in good order, which is 0.
"""


def text() -> str:
    parts = [_OPENING]
    for group in dict.fromkeys(command.group for command in COMMANDS):
        parts.append(f"# {group}\n")
        for command in COMMANDS:
            if command.group == group:
                parts.extend(_sections(command))
    return "\n".join(parts)


def told_by(command: Command) -> Any:
    """The command as click has it: its parameters, its help, and its children where it has some."""
    loaded = command.load()
    if not isinstance(loaded, typer.Typer):
        single = typer.Typer(add_completion=False)
        single.command(command.name)(loaded)
        loaded = single
    return typer.main.get_command(loaded)


def _sections(command: Command) -> Iterator[str]:
    told = told_by(command)
    children = getattr(told, "commands", None)
    if children is None:
        yield _section(f"penstock {command.name}", told, 2)
        return
    yield f"## penstock {command.name}\n\n{(told.help or command.summary).strip()}\n"
    for name, child in children.items():
        yield _section(f"penstock {command.name} {name}", child, 3)


def _section(path: str, told: Any, level: int) -> str:
    arguments = [each for each in told.params if each.param_type_name == "argument"]
    options = [each for each in told.params if each.param_type_name == "option" and each.name != "help"]
    usage = " ".join([path, *(_argument(each) for each in arguments), *(["[OPTIONS]"] if options else [])])
    lines = [f"{'#' * level} {path}", "", f"    {usage}", "", _paragraphs(told.help or ""), ""]
    rows = [(f"`{str(each.name).upper()}`", each) for each in arguments]
    rows += [
        (", ".join(f"`{name}`" for name in [*each.opts, *each.secondary_opts]), each) for each in options
    ]
    if rows:
        lines += ["| | default | |", "|---|---|---|"]
        lines += [f"| {name} | {_default(each)} | {_one_line(each.help or '')} |" for name, each in rows]
        lines.append("")
    return "\n".join(lines)


def _argument(argument: Any) -> str:
    name = str(argument.name).upper()
    if getattr(argument, "nargs", 1) != 1:
        name += "…"
    return name if argument.required else f"[{name}]"


def _default(parameter: Any) -> str:
    if (
        parameter.required
        or parameter.default is None
        or parameter.default is False
        or parameter.default == ()
    ):
        return ""
    return f"`{parameter.default}`"


def _paragraphs(help_: str) -> str:
    return "\n".join(line.strip() for line in help_.strip().splitlines())


def _one_line(help_: str) -> str:
    return " ".join(help_.split()).replace("|", "\\|")


if __name__ == "__main__":
    print(text(), end="")
