"""`penstock up`: run an application's processes until Ctrl-C."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from penstock.cli.main import WRONG_CALL
from penstock.errors import UsageError
from penstock.run.app_files import find_app_file
from penstock.run.extras import missing
from penstock.run.json_lines import JsonLines
from penstock.run.settings import HOST, PASSWORD_VARIABLE, Settings, refuse_open_host
from penstock.run.state import read_picture, running_pid
from penstock.run.terminal import Terminal
from penstock.run.up import Up

_DETACHED_WITHIN_S = 60.0
_POLL_S = 0.1


def run(
    application: Annotated[
        Path | None, typer.Argument(help="The application's file or folder; found by itself if it is here.")
    ] = None,
    data: Annotated[Path, typer.Option(help="The data directory; made if it is not there.")] = Path("data"),
    api_port: Annotated[int, typer.Option(help="DynamoDB's API.", min=0, max=65535)] = 8000,
    app_port: Annotated[int, typer.Option(help="Predictions, events, console.", min=0, max=65535)] = 8080,
    lake_port: Annotated[int, typer.Option(help="SQL and the Iceberg catalog.", min=0, max=65535)] = 8181,
    store: Annotated[
        str | None, typer.Option(help="Tables elsewhere: aws:REGION or http://HOST:PORT.")
    ] = None,
    lake: Annotated[
        str | None, typer.Option(help="The lake elsewhere; by default in the data directory.")
    ] = None,
    host: Annotated[
        str, typer.Option(help="Where else predictions, events and console listen; needs PENSTOCK_PASSWORD.")
    ] = HOST,
    logs: Annotated[bool, typer.Option("--logs", help="Show every line of every process.")] = False,
    detach: Annotated[bool, typer.Option("--detach", "-d", help="Run in the background.")] = False,
    json: Annotated[
        bool, typer.Option("--json", help="Tell what happens as JSON, one object a line.")
    ] = False,
) -> None:
    """Run an application: tables, predictions, worker, lake and console, until Ctrl-C.

    Port 0 takes any free port. A process that dies is started again. The data stay where they are.

    With `--host` other machines reach predictions, events and the console: they give the password that is in the environment
    variable PENSTOCK_PASSWORD. DynamoDB's API and the lake stay on this machine (`penstock serve` has --access-keys).

    Examples:

    - `penstock up`: the app.py of this folder
    - `penstock up shop --data /srv/shop`: another folder's, with its data elsewhere
    - `penstock up --store aws:eu-west-1`: the same application on DynamoDB
    """
    refuse_open_host(host, os.environ.get(PASSWORD_VARIABLE))
    found = find_app_file(application, Path())
    settings = Settings(found, data, api_port, app_port, lake_port, store, lake, host=host)
    if detach:
        _detach(settings)
        return
    reason = _run_told(settings) if json else _run_shown(settings, logs)
    if reason is not None:
        raise typer.Exit(WRONG_CALL)  # It has been shown.


def _run_told(settings: Settings) -> str | None:
    return Up(settings, [JsonLines(lambda line: print(line, flush=True))]).run()


def _run_shown(settings: Settings, logs: bool) -> str | None:
    console = Console(highlight=False)
    up: list[Up] = []
    terminal = Terminal(console, lambda: up[0].settings, all_lines=logs)
    up.append(Up(settings, [terminal]))
    terminal.begin(version("penstock"), settings)
    for sentence in missing():
        console.print(f"up     │ {sentence}", style="yellow")
    try:
        reason = up[0].run()
    finally:
        terminal.end()
    if reason is None:
        text = f"Everything is stopped; the data are in {settings.data}/. `penstock up` carries on with them."
        console.print(text, soft_wrap=True)
    return reason


def _detach(settings: Settings) -> None:
    """The same command in a session of its own, until it is ready or has failed."""
    pid = running_pid(settings.data)
    if pid is not None:
        raise UsageError(
            f"{settings.data} is up already, in process {pid}: `penstock status`, `penstock down`"
        )
    log = settings.data / "log" / "up.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    arguments = [word for word in sys.argv[1:] if word not in ("--detach", "-d")]
    with log.open("wb") as output:
        started = subprocess.Popen(
            [sys.executable, "-m", "penstock", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env=os.environ,
        )
    deadline_s = time.monotonic() + _DETACHED_WITHIN_S
    while time.monotonic() < deadline_s:
        if started.poll() is not None:
            raise UsageError(f"it ended with exit code {started.returncode}:\n{log.read_text()[-2000:]}")
        picture = read_picture(settings.data)
        if picture is not None and picture.pid == started.pid and picture.facts:
            break
        time.sleep(_POLL_S)
    picture = read_picture(settings.data)
    pages = (
        [each.addresses["app"] for each in picture.processes if "app" in each.addresses] if picture else []
    )
    for url in pages:
        print(f"console {url}/console")
    option = "" if str(settings.data) == "data" else f" --data {settings.data}"
    print(f"process {started.pid}, log in {log}: `penstock status{option}`, `penstock down{option}`")
