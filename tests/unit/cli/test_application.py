"""Which tables a command means that takes a URL."""

from __future__ import annotations

from pathlib import Path

from penstock.cli.application import USUAL, endpoint
from penstock.run.state import Picture, ProcessState, UpLock, write_picture


# Why: `up` takes other ports where the usual ones are taken, and then `penstock consumers` beside it has to find them.
def test_the_tables_of_the_running_application_are_found(tmp_path: Path) -> None:
    table = ProcessState("table", "ready", addresses={"api": "http://127.0.0.1:4711"})
    assert endpoint(None, tmp_path) == USUAL
    lock = UpLock(tmp_path)
    write_picture(tmp_path, Picture("shop", "app.py", str(tmp_path), 1, 0.0, [table]))
    assert endpoint(None, tmp_path) == "http://127.0.0.1:4711"
    assert endpoint("aws:eu-west-1", tmp_path) == "aws:eu-west-1"
    lock.release()
    # Why: what was stopped left its picture behind, and its port may be somebody else's by now.
    assert endpoint(None, tmp_path) == USUAL
