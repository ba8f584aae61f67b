"""The files of a running `penstock up`: each process' lines in `log/NAME.log`, and the picture that `penstock status` reads."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import TextIO

from penstock.run.state import Picture, ProcessState, TaskState, write_picture

LOG_FOLDER = "log"
_LOG_BYTES_MAX = 10 << 20  # Then the file is kept once as NAME.log.1 and begun anew.
_PROGRESS_EVERY_S = 0.5


class Journal:
    def __init__(self, data: Path, picture: Picture) -> None:
        self._data, self._picture = data, picture
        self._folder = data / LOG_FOLDER
        self._folder.mkdir(parents=True, exist_ok=True)
        self._files: dict[str, TextIO] = {}
        self._written_s = 0.0

    def close(self) -> None:
        self._write()
        for file in self._files.values():
            file.close()

    def line(self, name: str, text: str) -> None:
        file = self._files.get(name) or self._open(name)
        moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        file.write(f"{moment} {text}\n")
        file.flush()
        if file.tell() > _LOG_BYTES_MAX:
            file.close()
            (self._folder / f"{name}.log").replace(self._folder / f"{name}.log.1")
            self._open(name)

    def _open(self, name: str) -> TextIO:
        file = self._files[name] = (self._folder / f"{name}.log").open("a")
        return file

    def changed(self, process: ProcessState) -> None:
        kept = [each for each in self._picture.processes if each.name != process.name]
        self._picture.processes = [*kept, process]
        self.line(process.name, f"[{process.state}] {process.detail}".rstrip())
        self._write()

    def said(self, name: str, text: str) -> None:
        self.line(name, text)

    def progress(self, task: str, done: int, total: int, unit: str) -> None:
        kept = [each for each in self._picture.tasks if each.name != task]
        self._picture.tasks = [*kept, TaskState(task, done, total, unit)]
        if done >= total or time.monotonic() - self._written_s > _PROGRESS_EVERY_S:
            self._write()

    def announce(self, facts: Mapping[str, str]) -> None:
        self._picture.facts = dict(facts)
        self._picture.app = facts.get("name", self._picture.app)
        self._write()

    def _write(self) -> None:
        write_picture(self._data, self._picture)
        self._written_s = time.monotonic()
