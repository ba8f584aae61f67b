"""The command line loads what is called and nothing else, and says what is wrong in one line."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from penstock.cli.main import main
from penstock.cli.reference import told_by
from penstock.cli.registry import COMMANDS

# What takes long to load: the engine, the event loop, model runtimes, SQL. `--help` needs none of it.
HEAVY = (
    "rocksdict",
    "uvloop",
    "httptools",
    "asyncio",
    "boto3",
    "duckdb",
    "onnxruntime",
    "fastapi",
    "pyiceberg",
)


# Why: --help has to answer at once; a figure would be a timed test, so this pins what decides it.
def test_help_loads_none_of_the_heavy_modules() -> None:
    program = (
        "import sys\n"
        "from penstock.cli.main import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit as end:\n    assert not end.code\n"
        f"print('LOADED', [name for name in {HEAVY!r} if name in sys.modules])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    assert "LOADED []" in done.stdout
    for command in COMMANDS:
        assert command.name in done.stdout


# Why: the table of commands is text; a wrong module name in it would show only when somebody calls it.
@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_every_command_loads_and_has_help(command: object, capsys: pytest.CaptureFixture[str]) -> None:
    name = getattr(command, "name")  # noqa: B009
    with pytest.raises(SystemExit) as end:
        main([name, "--help"])
    assert not end.value.code
    assert f"penstock {name}" in capsys.readouterr().out


# Why: a user's mistake is one line on standard error and a status, not a trace.
def test_a_usage_error_is_one_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as end:
        main(["serve", "--host", "0.0.0.0", "--data", str(tmp_path / "never-made")])
    assert end.value.code == 2
    assert capsys.readouterr().err == (
        "penstock: 0.0.0.0 can be reached from other machines: give --access-keys FILE, or listen on 127.0.0.1\n"
    )
    assert not (tmp_path / "never-made").exists()


# Why: each of these is a slip of the hand before anything is opened.
@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["serve", "--durability", "none"], "--durability is power or process"),
        (["serve", "--access-keys", "/nowhere/keys"], "--access-keys /nowhere/keys"),
    ],
)
def test_wrong_options_are_explained(
    arguments: list[str], says: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    with pytest.raises(SystemExit) as end:
        main([*arguments, "--data", str(tmp_path / "never-made")])
    assert end.value.code == 2
    assert says in capsys.readouterr().err


# Why: an unknown command must not be taken for a loaded one.
def test_an_unknown_command_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["sever"])
    assert end.value.code == 2
    assert "No such command" in capsys.readouterr().err


def _every_command() -> Iterator[tuple[str, Any]]:
    for command in COMMANDS:
        told = told_by(command)
        children = getattr(told, "commands", None)
        if children is None:
            yield command.name, told
        else:
            yield from ((f"{command.name} {name}", child) for name, child in children.items())


# Why: a line to copy says more than a list of options. Each begins with the command that it is an example of.
@pytest.mark.parametrize(("name", "told"), list(_every_command()))
def test_every_command_shows_an_example_of_itself(name: str, told: Any) -> None:
    assert "Example" in told.help
    assert f"`penstock {name}" in told.help


# What answers in a machine's form whatever is asked for: `sql` has --format, and a dead letter is JSON already.
_ALWAYS = ("sql", "dead-letters show")


# Why: a script must not have to read what was laid out for people.
@pytest.mark.parametrize(("name", "told"), list(_every_command()))
def test_every_command_answers_in_json(name: str, told: Any) -> None:
    options = {option for each in told.params for option in each.opts}
    assert "--json" in options or name in _ALWAYS


# Why: found by asking before anything had run: the question made an empty database, and answered from that.
@pytest.mark.parametrize(
    "arguments",
    [["why", "7f0c"], ["models", "list"], ["inferences", "show", "7f0c"]],
    ids=lambda each: each[0],
)
def test_a_question_where_nothing_ever_ran_makes_no_data_directory(
    arguments: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit):
        main(["init", "shop"])
    told = capsys.readouterr().out
    assert "penstock up shop   " in told  # The command and what it does are apart.
    monkeypatch.chdir(tmp_path / "shop")
    with pytest.raises(SystemExit) as end:
        main(arguments)
    assert end.value.code == 2
    assert "there are no tables in data/; `penstock up` makes them" in capsys.readouterr().err
    assert not (tmp_path / "shop" / "data").exists()
