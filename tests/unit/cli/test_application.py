"""Which tables a command means that takes a URL."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

import penstock
from penstock.cli import application
from penstock.cli.application import endpoint
from penstock.errors import UsageError
from penstock.run.state import Picture, ProcessState, UpLock, write_picture


# Why: `up` takes other ports where the usual ones are taken, and then `penstock consumers` beside it has to find them.
def test_the_tables_of_the_running_application_are_found(tmp_path: Path) -> None:
    table = ProcessState("table", "ready", addresses={"api": "http://127.0.0.1:4711"})
    lock = UpLock(tmp_path)
    write_picture(tmp_path, Picture("shop", "app.py", str(tmp_path), 1, 0.0, [table]))
    assert endpoint(None, tmp_path) == "http://127.0.0.1:4711"
    assert endpoint("aws:eu-west-1", tmp_path) == "aws:eu-west-1"
    lock.release()


# Why: what was stopped left its picture behind, and its port may be somebody else's by now; its data can be looked at all the same.
def test_a_stopped_application_s_data_are_opened_where_they_are(tmp_path: Path) -> None:
    table = ProcessState("table", "ready", addresses={"api": "http://127.0.0.1:4711"})
    write_picture(tmp_path, Picture("shop", "app.py", str(tmp_path), 1, 0.0, [table]))
    with penstock.connect(f"file:{tmp_path}"):
        pass
    assert endpoint(None, tmp_path) == f"file:{tmp_path}"


# Why: ten seconds of silence and a refused connection tell nobody what to do.
def test_where_nothing_runs_the_ways_out_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # Bound and not listening: nobody answers there.
        monkeypatch.setattr(application, "USUAL", f"http://127.0.0.1:{taken.getsockname()[1]}")
        with pytest.raises(UsageError, match="penstock up"):
            endpoint(None, tmp_path)
        taken.listen()
        assert endpoint(None, tmp_path) == application.USUAL
