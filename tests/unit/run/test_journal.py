"""What a running `penstock up` writes down."""

from __future__ import annotations

from pathlib import Path

import pytest

from penstock.run import journal
from penstock.run.journal import Journal
from penstock.run.state import PICTURE, Picture, ProcessState, TaskState, read_picture


def opened(folder: Path) -> Journal:
    return Journal(folder, Picture("a", "/a/app.py", str(folder), 1, 0.0, []))


# Why: `penstock status` in another terminal sees each change at once.
def test_the_picture_follows_every_change(tmp_path: Path) -> None:
    written = opened(tmp_path)
    written.changed(ProcessState("table", "starting"))
    written.changed(ProcessState("table", "ready", pid=7))
    written.progress("history", 5, 5, "rows")
    written.announce({"name": "shop"})
    picture = read_picture(tmp_path)
    assert picture is not None
    assert picture.processes == [ProcessState("table", "ready", pid=7)]
    assert picture.tasks == [TaskState("history", 5, 5, "rows")]
    assert picture.app == "shop"
    written.close()


# Why: the terminal shows warnings; whoever looks for the rest finds it in the files, and they do not fill the disk.
def test_lines_go_to_a_file_of_each_process_that_is_begun_anew_when_it_is_large(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "_LOG_BYTES_MAX", 100)
    written = opened(tmp_path)
    written.line("lake", "x" * 100)
    written.line("lake", "fresh")
    written.line("table", "other")
    written.close()
    assert (tmp_path / "log" / "lake.log.1").read_text().endswith("x\n")
    assert (tmp_path / "log" / "lake.log").read_text().endswith("Z fresh\n")
    assert (tmp_path / "log" / "table.log").read_text().endswith("Z other\n")


# Why: a process killed on a full disk is started again; the line that says so, and its picture, took `penstock up` down.
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="NOT TESTED HERE: it takes Linux's /dev/full")
def test_a_disk_that_is_full_costs_lines_and_stops_nothing(tmp_path: Path) -> None:
    written = opened(tmp_path)
    full = [tmp_path / "log" / "table.log", tmp_path / f"{PICTURE}.new"]
    for path in full:
        path.symlink_to("/dev/full")
    written.changed(ProcessState("table", "waiting"))
    written.line("table", "lost")
    for path in full:
        path.unlink(missing_ok=True)
    written.changed(ProcessState("table", "ready"))
    written.close()
    missing, ready = (tmp_path / "log" / "table.log").read_text().splitlines()
    assert missing.endswith("which the disk did not take: 2]")
    assert ready.endswith("[ready]")
    picture = read_picture(tmp_path)
    assert picture is not None
    assert picture.processes == [ProcessState("table", "ready")]
