"""Following a page of the documentation as its reader does: files are written, commands run, answers looked at.

F1. A `python` block that begins with `# NAME.py` is that file; with `# NAME.py, below` it goes to the file's end, and with
    `# NAME.py, in place of X` it replaces the assignment of X. A file other than app.py is run once the page goes on to
    something else. `penstock up` is started before anything runs, and again after app.py changed.
F2. A `python` block of lines that app.py has already only shows them again. Any other is run as a script beside app.py.
F3. An `sh` block is run by bash. A reader who is told to wait a moment tries again, and so does this one, within bounds.
F4. A `json` block after a command shows what it answers: the members are compared, the values are the reader's own.
F5. A block without a language is a terminal: what follows `$ ` is run, and the heads of tables must be those shown.
F6. An `sql` block is run statement by statement.

Only ports are changed, and what stands on a page for something that only a run knows (`filled`): an id, a moment.
"""

from __future__ import annotations

import ast
import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from tests.upping import Upping, upping

PATIENCE_S = 30.0
PAUSE_S = 0.3
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_FILE = re.compile(r"# (\w+\.py)(?:, (below|in place of (\w+)))?\n")
_HEAD = re.compile(r"\w[\w -]*(?:  +\w[\w -]*)+")
PORTS = {"8000": "--api-port", "8080": "--app-port", "8181": "--lake-port"}


def blocks(page: Path) -> list[tuple[str, str]]:
    return _BLOCK.findall(page.read_text())


class Reader:
    """Somebody in a folder of their own, with one `penstock up` at a time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.filled: dict[str, Callable[[], str]] = {}
        self.output = ""
        self.up: Upping | None = None
        self._ports = {port: str(_free_port()) for port in PORTS}
        self._files: dict[str, str] = {}
        self._to_run: str | None = None
        self._stale = False
        self._ending = ExitStack()

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.close()

    def follow(self, page: Path) -> None:
        for kind, text in blocks(page):
            try:
                self._read(kind, text)
            except AssertionError as error:
                raise AssertionError(f"{page.name}, at\n{text}\n{error}") from error
        self._run_file()

    def _read(self, kind: str, text: str) -> None:
        named = _FILE.match(text) if kind == "python" else None
        if named is not None:
            self.write(named[1], text[named.end() :], named[2], named[3])
            return
        self._run_file()
        match kind:
            case "python":
                if text.strip().rstrip(",") not in _quotable(self._files.get("app.py", "")):
                    ast.parse(text)
                    self.output = self._until_done([sys.executable, "-c", self._mine(text)])
            case "sh":
                self.run(text)
            case "json":
                self._compare_members(text)
            case "sql":
                for statement in filter(str.strip, text.split(";")):
                    self._until_done(["penstock", "sql", self._mine(statement)])
            case "":
                self._follow_terminal(text)

    def write(self, name: str, text: str, where: str | None = None, replaced: str | None = None) -> None:
        if name != self._to_run:
            self._run_file()
        if replaced is not None:
            text = _with_assignment(self._files[name], replaced, text)
        elif where is not None:
            text = f"{self._files[name]}\n\n{text}"
        self._files[name] = text
        (self.folder / name).write_text(self._mine(text))
        if name == "app.py":
            self._stale = True
        else:
            self._to_run = name

    def run(self, commands: str) -> str:
        self.output = self._until_done(["bash", "-ec", self._mine(commands)], commands)
        return self.output

    def _run_file(self) -> None:
        name, self._to_run = self._to_run, None
        if name is not None:
            self.output = self._until_done([sys.executable, name])

    def _compare_members(self, text: str) -> None:
        shown = json.loads(text.replace("…", ""))
        answered = json.loads(self.output.strip().splitlines()[0])
        assert set(shown) - {""} <= set(answered), f"it answers {sorted(answered)}"

    def _follow_terminal(self, text: str) -> None:
        for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
            command, _, shown = part.partition("\n")
            said = self._until_done(["bash", "-ec", self._mine(command)], command)
            head = shown.partition("\n")[0]
            if _HEAD.fullmatch(head):
                assert said.split("\n")[0].split() == head.split(), f"it says {said!r}"

    def visit(self, up: Upping) -> None:
        """Somebody else's: its ports, and nothing to start."""
        self.up = None
        kinds = {"8000": "api", "8080": "app", "8181": "lake"}
        self._ports = {port: up.url(kind).rpartition(":")[2] for port, kind in kinds.items()}

    def start(self) -> None:
        """`penstock up`, again if it is on."""
        if self.up is not None:
            self.up.stop()
        self._ending.close()
        options = [word for port, option in PORTS.items() for word in (option, self._ports[port])]
        app = self._mine(self._files["app.py"])
        self.up = self._ending.enter_context(upping(self.folder, *options, app=app))
        self.up.wait_until_ready()
        self._stale = False

    def _until_done(self, command: list[str], text: str = "") -> str:
        """F3. An exit code of 1 is an answer where the page is about something that is wrong."""
        if self._stale:
            self.start()
        fine = (0, 1) if "penstock monitor" in text or "retry" in text else (0,)
        deadline_s = time.monotonic() + PATIENCE_S
        environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
        while True:
            done = subprocess.run(
                command, cwd=self.folder, env=environment, capture_output=True, text=True, timeout=120
            )
            if done.returncode in fine:
                return done.stdout
            assert time.monotonic() < deadline_s, f"exit code {done.returncode}\n{done.stdout}{done.stderr}"
            time.sleep(PAUSE_S)

    def _mine(self, text: str) -> str:
        for port, taken in self._ports.items():
            text = re.sub(rf"\b(localhost|127\.0\.0\.1):{port}\b", rf"127.0.0.1:{taken}", text)
        for shown, real in self.filled.items():
            if shown in text:
                text = text.replace(shown, real())
        text = re.sub(
            r"^(penstock (?:dead-letters \w+|consumers|load)\b)",
            rf"\1 --url http://127.0.0.1:{self._ports['8000']}",
            text,
            flags=re.MULTILINE,
        )
        return re.sub(r"^curl ", "curl -sS --fail-with-body ", text, flags=re.MULTILINE)


def _with_assignment(text: str, name: str, new: str) -> str:
    """F1. The file with another assignment of the name, where the old one was."""
    found = [
        node
        for node in ast.parse(text).body
        if isinstance(node, ast.Assign) and any(ast.unparse(target) == name for target in node.targets)
    ]
    assert len(found) == 1, f"{name} is assigned {len(found)} times"
    lines = text.splitlines()
    lines[found[0].lineno - 1 : found[0].end_lineno] = new.splitlines()
    return "\n".join(lines) + "\n"


def _quotable(text: str) -> str:
    return "\n".join(line.strip() for line in text.splitlines())


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
