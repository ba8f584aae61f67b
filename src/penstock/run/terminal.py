"""What `penstock up` shows at the terminal: a line per process as it becomes ready, its warnings, progress, what to try.

Each process has one prefix and one colour. Its own lines are shown from WARNING up, or all of them with `--logs`; the
files in `log/` have everything. Without a terminal (a pipe, CI) progress is a line at each tenth.
"""

from __future__ import annotations

import shlex
import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from time import monotonic

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.text import Text

from penstock.run.settings import Settings
from penstock.run.state import ProcessState

_COLOURS = {"table": "cyan", "worker": "magenta", "lake": "green", "up": "bold"}
# Late turns of the loop are counted as a metric; while an application starts there are always some.
_QUIET = ("DEBUG ", "INFO ", "WARNING penstock.server.pulse")
_WIDTH = 6  # Of the longest prefix.
_REDRAWS_PER_S = 4


class Terminal:
    def __init__(
        self, console: Console, settings: Callable[[], Settings], *, all_lines: bool = False
    ) -> None:
        self._console, self._settings, self._all_lines = console, settings, all_lines
        self._began_s = monotonic()
        self._states: dict[str, str] = {}
        self._shown: dict[str, int] = {}
        self._bars: dict[str, TaskID] = {}
        self._finished: set[str] = set()
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            TextColumn("{task.completed:,.0f} of {task.total:,.0f}"),
            TextColumn("{task.fields[unit]}"),
            TimeRemainingColumn(),
            console=console,
            refresh_per_second=_REDRAWS_PER_S,
            transient=True,
        )

    def begin(self, version: str, settings: Settings) -> None:
        self._console.print(
            f"[bold]Penstock {version}[/] · {settings.app_file} · data in {settings.data}/ · Ctrl-C stops everything",
            soft_wrap=True,
        )

    def end(self) -> None:
        if self._progress.live.is_started:
            self._progress.stop()

    # -- Watcher --

    def line(self, name: str, text: str) -> None:
        """What a handler prints has no level and is meant to be seen."""
        if self._all_lines or not text.startswith(_QUIET):
            self._print(name, text)

    def changed(self, process: ProcessState) -> None:
        name, before = process.name, self._states.get(process.name)
        self._states[name] = process.state
        if process.state == before:
            return
        if process.state == "ready":
            again = " again" if process.restarts else f" after {monotonic() - self._began_s:.1f} s"
            where = " · ".join(_address(kind, url) for kind, url in process.addresses.items())
            self._print(name, f"ready{again}" + (f" · {where}" if where else ""))
        elif process.state == "waiting" and process.detail:
            self._print(name, process.detail, "yellow")
        elif process.state == "failed":
            self._print(name, process.detail, "bold red")
        elif process.state in ("stopping", "stopped"):
            self.end()
            if process.state == "stopped" and before not in (None, "waiting"):
                self._print(name, "stopped")

    def said(self, name: str, text: str) -> None:
        self._print(name, text)

    def progress(self, task: str, done: int, total: int, unit: str) -> None:
        if task in self._finished:
            return
        if not self._console.is_terminal:
            self._print_tenth(task, done, total, unit)
            return
        if task not in self._bars:
            self._bars[task] = self._progress.add_task(task, total=total, unit=unit)
            self._progress.start()
        self._progress.update(self._bars[task], completed=done, total=total)
        if done >= total:
            self._finish(task, total, unit)

    def announce(self, facts: Mapping[str, str]) -> None:
        settings = self._settings()
        self._console.print()
        self._console.print(
            Text(f"{facts.get('name', 'The application')} is up. Try, in another terminal:", "bold")
        )
        for command in to_try(facts, settings, program_name()):
            self._console.print(Text(f"  {command}", "cyan"), soft_wrap=True)
        self._console.print(
            f"Browser: [link]{settings.app_url}/console[/link] · API docs: {settings.app_url}/docs"
        )
        if settings.outside_url is not None:
            self._console.print(f"From other machines: {settings.outside_url}/console, with the password")
        self._console.print()

    # -- Drawing --

    def _print(self, name: str, text: str, style: str = "") -> None:
        prefix = Text(f"{name:<{_WIDTH}} │ ", _COLOURS.get(name, ""))
        self._console.print(prefix + Text(text, style or _style_of(text)), soft_wrap=True)

    def _print_tenth(self, task: str, done: int, total: int, unit: str) -> None:
        tenth = 10 * done // max(1, total)
        if tenth != self._shown.get(task):
            self._shown[task] = tenth
            self._print("worker", f"{task} {done:,}/{total:,} {unit}")
        if done >= total:
            self._finished.add(task)

    def _finish(self, task: str, total: int, unit: str) -> None:
        self._finished.add(task)
        self._progress.remove_task(self._bars.pop(task))
        self._print("worker", f"{task}: {total:,} {unit}")
        if not self._bars:
            self._progress.stop()


def to_try(facts: Mapping[str, str], settings: Settings, program: str) -> list[str]:
    """Three commands that answer something about this very application. `program` is how `penstock` is called here."""
    commands = []
    if "example" in facts:
        commands.append(f"curl {shlex.quote(settings.app_url + facts['example'])}")
    elsewhere = str(settings.data) != "data"
    if "lake_table" in facts:
        option = f" --lake {settings.lake_location}" if elsewhere or settings.lake else ""
        commands.append(f'{program} sql "SELECT count(*) FROM current.{facts["lake_table"].lower()}"{option}')
    commands.append(f"{program} status" + (f" --data {settings.data}" if elsewhere else ""))
    return commands


def program_name() -> str:
    """`penstock` where the shell finds it; otherwise the path by which this very process was called."""
    found = shutil.which("penstock")
    here = Path(sys.argv[0])
    if found is not None and here.exists() and Path(found).resolve() == here.resolve():
        return "penstock"
    if found is not None and Path(found).parent == Path(sys.executable).parent:
        return "penstock"
    if here.name != "penstock":
        return f"{sys.executable} -m penstock"
    return str(here)


def _address(kind: str, url: str) -> str:
    words = {"api": "DynamoDB API", "app": "predictions, events, console", "lake": "SQL, Iceberg catalog"}
    return f"{words.get(kind, kind)} {url}"


def _style_of(text: str) -> str:
    if text.startswith("WARNING "):
        return "yellow"
    return "red" if text.startswith(("ERROR ", "CRITICAL ", "Fatal ")) else ""
