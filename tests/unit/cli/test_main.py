"""The command line loads what is called and nothing else, and says what is wrong in one line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from penstock.cli.main import main
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
