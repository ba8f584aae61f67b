"""What `penstock up --json` writes: one JSON object a line as it happens, for programs that start an application.

{"event": "process", "name": "table", "state": "ready", "pid": 1, "restarts": 0, "addresses": {…}, "detail": ""}
{"event": "log", "name": "worker", "text": "…"}            a process' own line
{"event": "said", "name": "worker", "text": "…"}
{"event": "progress", "task": "history", "done": 10, "total": 20, "unit": "purchases"}
{"event": "up", "facts": {…}}                              everything is ready
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import orjson

from penstock.run.state import ProcessState


class JsonLines:
    """A `Watcher`. `write` takes one line without its end."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write

    def line(self, name: str, text: str) -> None:
        self._put("log", name=name, text=text)

    def changed(self, process: ProcessState) -> None:
        self._put(
            "process",
            name=process.name,
            state=process.state,
            pid=process.pid,
            restarts=process.restarts,
            addresses=process.addresses,
            detail=process.detail,
        )

    def said(self, name: str, text: str) -> None:
        self._put("said", name=name, text=text)

    def progress(self, task: str, done: int, total: int, unit: str) -> None:
        self._put("progress", task=task, done=done, total=total, unit=unit)

    def announce(self, facts: Mapping[str, str]) -> None:
        self._put("up", facts=dict(facts))

    def _put(self, event: str, **told: Any) -> None:
        self._write(orjson.dumps({"event": event, **told}).decode())
