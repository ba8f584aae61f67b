"""What a running `penstock up` leaves for other commands."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from penstock.errors import UsageError
from penstock.run.state import (
    Picture,
    ProcessState,
    UpLock,
    read_picture,
    running_pid,
    stop_running,
    write_picture,
)


# Why: two supervisors on one directory would start the same processes twice.
def test_a_directory_is_up_once(tmp_path: Path) -> None:
    lock = UpLock(tmp_path)
    assert running_pid(tmp_path) == os.getpid()
    with pytest.raises(UsageError, match="is up already"):
        UpLock(tmp_path)
    lock.release()
    assert running_pid(tmp_path) is None
    UpLock(tmp_path).release()


# Why: to ask about a directory that was never up is no error, and to stop it neither.
def test_nothing_runs_where_nothing_was_started(tmp_path: Path) -> None:
    assert running_pid(tmp_path / "missing") is None
    assert stop_running(tmp_path, 0.0) is False
    assert read_picture(tmp_path) is None


# Why: `penstock status` reads what the supervisor wrote, in another process.
def test_a_picture_is_read_as_it_was_written(tmp_path: Path) -> None:
    picture = Picture("shop", "/a/app.py", "/a/data", 1, 2.0, [ProcessState("table", "ready", pid=3)])
    write_picture(tmp_path, picture)
    assert read_picture(tmp_path) == picture
