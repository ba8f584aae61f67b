"""`penstock crash-test`: a server under load is killed with SIGKILL again and again, and after each kill everything is
checked: each acknowledged write is there, what was under way is there whole or not at all, the change stream tells
the same story, and the files are sound (`penstock check`).

People trust what they can run. The load is crash_workload.py's; the server is `penstock serve` in a process of its own.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Annotated

import typer
from rich.console import Console

from penstock.cli.application import AsJson
from penstock.cli.check import ask_for_checkpoint, check_files
from penstock.cli.crash_workload import Replay, Writer, create_table, patient_client
from penstock.cli.output import print_json
from penstock.errors import PenstockError, UsageError

_OPEN_S = 60.0
_KILL_AFTER = (20, 600)  # Acknowledged writes, from the seed.
_URL = re.compile(r"http://127\.0\.0\.1:[0-9]+")


def run(
    seed: Annotated[
        int, typer.Option(help="What is written follows from it, and how much before each kill.")
    ] = 1,
    kills: Annotated[int, typer.Option(help="How many times the server is killed.", min=1)] = 10,
    writers: Annotated[int, typer.Option(help="Connections that write at once.", min=1, max=64)] = 8,
    data: Annotated[
        Path | None, typer.Option(help="A new directory for the data; a temporary one if not given.")
    ] = None,
    json: AsJson = False,
) -> None:
    """Kill a server under load again and again; show each kill and the check after it.

    Example: `penstock crash-test --kills 100 --seed 7`
    """
    # With --json what moves goes to standard error, so that standard output is the answer alone.
    console = Console(highlight=False, stderr=json)
    if data is not None and data.exists() and any(data.iterdir()):
        raise UsageError(f"{data} is not empty: crash-test wants a directory of its own")
    temporary = Path(tempfile.mkdtemp(prefix="penstock-crash-test-")) if data is None else None
    folder = data or Path(temporary or "", "data")
    console.print(f"seed {seed} · {writers} writers · data in {folder}")
    total, wrong = 0, False
    for kill in rounds(folder, seed, kills, writers):
        show(kill, console)
        total, wrong = total + kill.acknowledged, bool(kill.wrong)
        if wrong:
            break
    if json:
        print_json(
            {
                "seed": seed,
                "kills": kill.number,
                "acknowledged": total,
                "wrong": kill.wrong,
                "data": str(folder),
            }
        )
    if wrong:
        console.print(f"[red]wrong[/]: the data is kept in {folder}; replay with --seed {seed}")
        raise typer.Exit(1)
    console.print(f"[green]{kills} kills, {total:,} acknowledged writes, none lost[/]")
    if temporary is not None:
        shutil.rmtree(temporary)


@dataclass
class Kill:
    """One kill and what the check after it found."""

    number: int
    acknowledged: int = 0
    under_way: int = 0
    carried_out: int = 0
    reopened_s: float = 0.0
    pairs: int = 0
    wrong: list[str] = field(default_factory=list)


def show(kill: Kill, console: Console) -> None:
    verdict = f"[red]{len(kill.wrong)} wrong[/]" if kill.wrong else "[green]all there[/]"
    console.print(
        f"kill {kill.number:>3} after {kill.acknowledged:>4} acknowledged writes, {kill.under_way:>2} under way"
        f" → open again in {kill.reopened_s:.2f} s · {verdict}, {kill.carried_out} of those under way"
        f" · {kill.pairs:,} pairs checked",
        soft_wrap=True,
    )
    for finding in kill.wrong[:20]:
        console.print(f"    {finding}", soft_wrap=True)


class Child:
    """`penstock serve` in a process of its own, on any free port."""

    def __init__(self, folder: Path) -> None:
        started = time.monotonic()
        self._log = (folder.parent / f"{folder.name}.log").open("ab")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "penstock", "serve", "--data", str(folder), "--port", "0"],
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )
        timer = threading.Timer(_OPEN_S, self._process.kill)
        timer.start()
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        timer.cancel()
        found = _URL.search(line)
        if found is None:
            self.kill()
            raise PenstockError(f"the server did not come up; its words are in {self._log.name}")
        self.url = found[0]
        self.opened_s = time.monotonic() - started

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()
        self._log.close()


class Load:
    """Writers, each in a thread, until the server dies under them."""

    def __init__(self, url: str, writers: list[Writer], kill_after: int) -> None:
        self._url, self._left = url, kill_after
        self._lock = threading.Lock()
        self._enough = threading.Event()
        self.errors: list[str] = []
        self._threads = [threading.Thread(target=self._write, args=(writer,)) for writer in writers]
        for thread in self._threads:
            thread.start()

    def _write(self, writer: Writer) -> None:
        with patient_client(self._url) as client:
            try:
                while writer.write(client):
                    with self._lock:
                        self._left -= 1
                        if self._left <= 0:
                            self._enough.set()
            except PenstockError as error:
                self.errors.append(f"{writer.name}: {error}")
                self._enough.set()

    def wait(self) -> None:
        if not self._enough.wait(_OPEN_S):
            self.errors.append(f"the writers did not get on within {_OPEN_S:.0f} s")

    def join(self) -> None:
        for thread in self._threads:
            thread.join()


def rounds(folder: Path, seed: int, kills: int, writer_count: int) -> Iterator[Kill]:
    """Load, kill, open again, check; each round goes on with the data of the one before. Ends at what is wrong."""
    random = Random(seed)
    writers = [Writer(f"w{number:02d}", Random(f"{seed}/{number}")) for number in range(writer_count)]
    replay = Replay()
    child = Child(folder)
    try:
        with patient_client(child.url) as client:
            create_table(client)
        for number in range(1, kills + 1):
            kill = Kill(number)
            before = sum(writer.acknowledged for writer in writers)
            load = Load(child.url, writers, random.randint(*_KILL_AFTER))
            load.wait()
            child.kill()
            load.join()
            kill.acknowledged = sum(writer.acknowledged for writer in writers) - before
            kill.under_way = sum(writer.under_way is not None for writer in writers)
            child = Child(folder)
            kill.reopened_s = child.opened_s
            kill.wrong += load.errors
            _check(kill, child.url, folder, writers, replay)
            yield kill
            if kill.wrong:
                return
    finally:
        child.kill()


def _check(kill: Kill, url: str, folder: Path, writers: list[Writer], replay: Replay) -> None:
    with patient_client(url) as client:
        for writer in writers:
            carried_out, wrong = writer.look_up(client)
            kill.carried_out += carried_out
            kill.wrong += wrong
        kill.wrong += replay.follow(client)
        kill.wrong += replay.compare(writers)
    place = ask_for_checkpoint(folder)
    verdict = check_files(place)
    kill.pairs = verdict.pairs
    kill.wrong += verdict.findings
    shutil.rmtree(place)
