"""Supervision over small Python programs in place of the real processes."""

from __future__ import annotations

import asyncio
import os
import signal
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from penstock.run import supervisor
from penstock.run.settings import PortSetting, Settings
from penstock.run.state import ProcessState
from penstock.run.supervisor import Role, Supervisor

WITHIN_S = 20.0
# What every program begins with: the reporter, and an end on SIGTERM that it tells of.
BEGIN = """
import os, signal, sys, threading
from penstock.run.reports import Reporter
reporter = Reporter.inherited()
stop = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: stop.set())
def wait():
    while not stop.wait(0.05):
        reporter.alive()
    print("INFO ended", flush=True)
"""
STEADY = BEGIN + "reporter.ready({})\nwait()\n"


@dataclass
class Witness:
    """`Watcher` that keeps what it is told, and wakes whoever waits for it."""

    events: list[tuple[str, ...]] = field(default_factory=list)
    told: asyncio.Event = field(default_factory=asyncio.Event)

    def line(self, name: str, text: str) -> None:
        self._keep("line", name, text)

    def changed(self, process: ProcessState) -> None:
        self._keep("changed", process.name, process.state, process.detail)

    def said(self, name: str, text: str) -> None:
        self._keep("said", name, text)

    def progress(self, task: str, done: int, total: int, unit: str) -> None:
        self._keep("progress", task, f"{done}/{total} {unit}")

    def announce(self, facts: Mapping[str, str]) -> None:
        self._keep("announced", *facts.values())

    def _keep(self, *event: str) -> None:
        self.events.append(event)
        self.told.set()

    async def wait_for(self, *event: str, times: int = 1) -> None:
        async with asyncio.timeout(WITHIN_S):
            while self.count(*event) < times:
                self.told.clear()
                await self.told.wait()

    def count(self, *event: str) -> int:
        return sum(each[: len(event)] == event for each in self.events)

    def place(self, *event: str) -> int:
        return next(place for place, each in enumerate(self.events) if each[: len(event)] == event)


class Programs:
    """Roles whose processes are these programs."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def role(self, name: str, program: str, **ports: PortSetting) -> Role:
        path = self._folder / f"{name}.py"
        path.write_text(textwrap.dedent(program))
        return Role(name, lambda settings: [str(path), str(settings.api_port)], ports)


async def no_pause(seconds: float) -> None:
    await asyncio.sleep(0)


def run(
    folder: Path,
    base: Role,
    others: tuple[Role, ...],
    story: Callable[[Supervisor, Witness], object],
) -> tuple[Witness, str | None]:
    """Supervise while the story is told, then stop."""

    async def told() -> tuple[Witness, str | None]:
        witness = Witness()
        supervised = Supervisor(
            Settings(folder / "app.py", folder, api_port=0), witness, base=base, others=others, sleep=no_pause
        )
        running = asyncio.create_task(supervised.run())
        async with asyncio.timeout(WITHIN_S):
            await story(supervised, witness)  # type: ignore[misc]
            supervised.stop()
            return witness, await running

    return asyncio.run(told())


# Why (S1): the worker and the lake stand on the table process: it is there before them and after them.
def test_the_base_is_ready_before_the_others_start_and_ends_after_them(tmp_path: Path) -> None:
    programs = Programs(tmp_path)

    async def story(_: Supervisor, witness: Witness) -> None:
        await witness.wait_for("announced")

    witness, reason = run(
        tmp_path,
        programs.role("table", STEADY),
        (programs.role("worker", STEADY), programs.role("lake", STEADY)),
        story,
    )
    assert reason is None
    assert witness.place("changed", "table", "ready") < witness.place("changed", "worker", "starting")
    for other in ("worker", "lake"):
        assert witness.place("changed", other, "stopped") < witness.place("changed", "table", "stopping")
        assert witness.place("line", other, "INFO ended") < witness.place("line", "table", "INFO ended")


# Why (S2): a process that dies is started again, and the others do not notice.
def test_a_process_that_dies_is_started_again(tmp_path: Path) -> None:
    programs = Programs(tmp_path)
    dies_twice = STEADY.replace(
        "reporter.ready", f"lives = open({str(tmp_path / 'lives')!r}, 'ab'); lives.write(b'.'); lives.flush()\n"
        "if lives.tell() < 3: print('ERROR no', flush=True); sys.exit(7)\nreporter.ready"
    )  # fmt: skip

    async def story(_: Supervisor, witness: Witness) -> None:
        await witness.wait_for("changed", "worker", "ready")

    witness, _ = run(tmp_path, programs.role("table", STEADY), (programs.role("worker", dies_twice),), story)
    assert witness.count("changed", "worker", "waiting", "ended with exit code 7; starts again in 0.2 s") == 1
    assert witness.count("changed", "worker", "waiting", "ended with exit code 7; starts again in 0.4 s") == 1
    assert witness.count("line", "worker", "ERROR no") == 2
    assert witness.count("changed", "table", "starting") == 1


# Why (S2): a process that was killed leaves those that it had started, such as the one that runs a user's Python, and they hold
# its output open. It was taken for alive as long as they lived.
def test_a_killed_process_is_started_again_whoever_outlives_it(tmp_path: Path) -> None:
    programs = Programs(tmp_path)
    leaves_another = STEADY.replace(
        "reporter.ready", f"lives = open({str(tmp_path / 'lives')!r}, 'ab'); lives.write(b'.'); lives.flush()\n"
        "import subprocess\n"
        "if lives.tell() < 2:\n"
        "    other = subprocess.Popen(['sleep', '60'])\n"
        f"    open({str(tmp_path / 'other')!r}, 'w').write(str(other.pid))\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "reporter.ready"
    )  # fmt: skip

    async def story(_: Supervisor, witness: Witness) -> None:
        await witness.wait_for("changed", "worker", "ready")

    try:
        witness, _ = run(
            tmp_path, programs.role("table", STEADY), (programs.role("worker", leaves_another),), story
        )
    finally:
        os.kill(int((tmp_path / "other").read_text()), signal.SIGKILL)
    assert witness.count("changed", "worker", "starting") == 2


# Why (S2): a taken port stays taken; to try again for ever would hide the reason.
def test_a_hopeless_base_stops_everything_and_says_why(tmp_path: Path) -> None:
    programs = Programs(tmp_path)
    hopeless = BEGIN + "reporter.failed('port 8000 is taken'); sys.exit(64)\n"

    async def story(_: Supervisor, witness: Witness) -> None:
        await witness.wait_for("changed", "table", "failed")

    witness, reason = run(
        tmp_path, programs.role("table", hopeless), (programs.role("worker", STEADY),), story
    )
    assert reason == "port 8000 is taken"
    assert witness.count("changed", "worker", "starting") == 0
    assert witness.count("announced") == 0


# Why (S2): without the lake there are still predictions.
def test_a_hopeless_other_leaves_the_rest_running(tmp_path: Path) -> None:
    programs = Programs(tmp_path)
    hopeless = BEGIN + "reporter.failed('no disk'); sys.exit(64)\n"

    async def story(_: Supervisor, witness: Witness) -> None:
        await witness.wait_for("announced")
        await witness.wait_for("changed", "lake", "failed", "no disk")

    witness, reason = run(tmp_path, programs.role("table", STEADY), (programs.role("lake", hopeless),), story)
    assert reason is None
    assert witness.place("changed", "lake", "failed") < witness.place("changed", "table", "stopping")


# Why (S3): a process that hangs is as useless as a dead one, and its stacks say why it hung.
def test_a_silent_process_is_cut_off_with_its_stacks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "UNHEARD_S", 1.0)
    monkeypatch.setattr(supervisor, "_WATCH_S", 0.1)
    programs = Programs(tmp_path)
    hangs = (
        BEGIN + "import faulthandler; faulthandler.enable()\nreporter.ready({})\nthreading.Event().wait()\n"
    )

    async def story(_: Supervisor, witness: Witness) -> None:
        await witness.wait_for("changed", "worker", "starting", times=2)

    witness, _ = run(tmp_path, programs.role("table", STEADY), (programs.role("worker", hangs),), story)
    assert witness.count("line", "worker", "Fatal Python error: Aborted") >= 1
    assert any("threading.py" in each[-1] for each in witness.events if each[0] == "line")


# Why (S4): the others were told this address; a table process with another one would be a stranger to them.
def test_a_port_that_was_taken_is_kept_through_restarts_and_told_to_the_others(tmp_path: Path) -> None:
    programs = Programs(tmp_path)
    takes = BEGIN + (
        "port = int(sys.argv[1]) or 4711\nprint('INFO given', sys.argv[1], flush=True)\n"
        "reporter.ready({'api': f'http://127.0.0.1:{port}'})\nif sys.argv[1] == '0': sys.exit(1)\nwait()\n"
    )
    told = STEADY.replace("reporter.ready", "print('INFO told', sys.argv[1], flush=True)\nreporter.ready")

    async def story(_: Supervisor, witness: Witness) -> None:
        await witness.wait_for("line", "table", "INFO given 4711")
        await witness.wait_for("line", "worker", "INFO told 4711")

    run(tmp_path, programs.role("table", takes, api="api_port"), (programs.role("worker", told),), story)


# Why: somebody who presses Ctrl-C twice does not want to wait for good order.
def test_a_second_stop_kills(tmp_path: Path) -> None:
    programs = Programs(tmp_path)
    deaf = BEGIN + "signal.signal(signal.SIGTERM, signal.SIG_IGN)\nreporter.ready({})\nwait()\n"

    async def story(supervised: Supervisor, witness: Witness) -> None:
        await witness.wait_for("announced")
        supervised.stop()
        await witness.wait_for("changed", "worker", "stopping")

    witness, _ = run(tmp_path, programs.role("table", STEADY), (programs.role("worker", deaf),), story)
    assert witness.count("changed", "worker", "stopped") == 1


# Why: what a process tells reaches whoever watches: the person, the status file.
def test_words_progress_and_long_lines_arrive(tmp_path: Path) -> None:
    programs = Programs(tmp_path)
    tells = BEGIN + (
        "reporter.said('hello'); reporter.progress('history', 1, 2, 'rows')\nprint('x' * 100000, flush=True)\n"
        "os.write(reporter._descriptor, b'no json\\n')\nreporter.ready({}, {'name': 'shop'})\nwait()\n"
    )

    async def story(_: Supervisor, witness: Witness) -> None:
        await witness.wait_for("announced", "shop")

    witness, _ = run(tmp_path, programs.role("table", tells), (), story)
    assert witness.count("said", "table", "hello") == 1
    assert witness.count("progress", "history", "1/2 rows") == 1
    assert witness.count("line", "table", "WARNING penstock.run: a report that is none") == 0
    assert any("a report that is none" in each[-1] for each in witness.events if each[0] == "line")
    assert sum(len(each[2]) for each in witness.events if each[0] == "line" and each[2].startswith("xxx")) > 0
