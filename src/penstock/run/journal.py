"""The files of a running `penstock up`: each process' lines in `log/NAME.log`, and the picture that `penstock status` reads.

A disk that is full takes neither, and that stops nothing: processes are restarted on a full disk as on any other. The file
says how many lines it lacks once there is room, and the picture is right again with the next change.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
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
        self._missed: Counter[str] = Counter()  # Lines that found no room.
        self._written_s = 0.0

    def close(self) -> None:
        self._write()
        for name in list(self._files):
            self._drop(name)

    def line(self, name: str, text: str) -> None:
        try:
            if missed := self._missed[name]:
                self._append(name, f"[lines missing here, which the disk did not take: {missed}]")
                self._missed[name] = 0
            self._append(name, text)
        except OSError:
            self._missed[name] += 1
            self._drop(name)

    def _append(self, name: str, text: str) -> None:
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

    def _drop(self, name: str) -> None:
        file = self._files.pop(name, None)
        if file is not None:
            with suppress(OSError):  # What it still holds was counted as missed.
                file.close()

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
        with suppress(OSError):
            write_picture(self._data, self._picture)
        self._written_s = time.monotonic()
