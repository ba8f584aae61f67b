"""What a process tells its supervisor: JSON lines on a pipe that it inherits.

    {"kind": "alive"}                                      once a second; silence is a hang
    {"kind": "ready", "addresses": {"api": "http://…"}}    it does its work now; the addresses are those it took
    {"kind": "said", "text": "…"}                          for the person at the terminal
    {"kind": "progress", "task": "history", "done": 1, "total": 2, "unit": "purchases"}
    {"kind": "failed", "text": "port 8000 is taken"}       why it ends; a restart will not help

P1. A line is shorter than PIPE_BUF, so lines of several threads never mix.
P2. A pipe that nobody reads any more means that the supervisor is gone. The process then stops in good order, as if it
    had been told to: nothing of `penstock up` outlives it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Literal

import msgspec

BEAT_S = 1.0
UNHEARD_S = 20.0  # A beat is missed this long before a process counts as hung: a full disk or a large import is not a hang.
FD_VARIABLE = "PENSTOCK_REPORT_FD"
_LINE_BYTES_MAX = 4000
_TEXT_MAX = 1500

Kind = Literal["alive", "ready", "said", "progress", "failed"]


class Report(msgspec.Struct, omit_defaults=True):
    kind: Kind
    text: str = ""
    addresses: dict[str, str] = {}
    facts: dict[str, str] = {}
    task: str = ""
    done: int = 0
    total: int = 0
    unit: str = ""


_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(Report)


def decode(line: bytes) -> Report:
    return _DECODER.decode(line)


class Reporter:
    """The writing end. Without a pipe (a process started by hand) it tells nobody and nothing is wrong."""

    def __init__(self, descriptor: int | None, orphaned: Callable[[], object] = lambda: None) -> None:
        self._descriptor = descriptor
        self.orphaned = orphaned

    @classmethod
    def inherited(cls) -> Reporter:
        given = os.environ.pop(FD_VARIABLE, None)
        if given is None:
            return cls(None)
        # A process that this one starts must not keep the pipe open.
        os.set_inheritable(int(given), False)
        return cls(int(given))

    def alive(self) -> None:
        self._send(Report("alive"))

    def ready(self, addresses: dict[str, str], facts: dict[str, str] | None = None) -> None:
        self._send(Report("ready", addresses=addresses, facts=facts or {}))

    def said(self, text: str) -> None:
        self._send(Report("said", text=text[:_TEXT_MAX]))

    def failed(self, text: str) -> None:
        self._send(Report("failed", text=text[:_TEXT_MAX]))

    def progress(self, task: str, done: int, total: int, unit: str) -> None:
        self._send(Report("progress", task=task, done=done, total=total, unit=unit))

    def _send(self, report: Report) -> None:
        if self._descriptor is None:
            return
        line = _ENCODER.encode(report) + b"\n"
        assert len(line) <= _LINE_BYTES_MAX, report.kind
        try:
            os.write(self._descriptor, line)
        except BrokenPipeError:
            self._descriptor = None
            self.orphaned()
