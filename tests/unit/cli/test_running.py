"""The commands around `penstock up`: status, down, destroy, init."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import penstock
from penstock.cli.application import find_application
from penstock.cli.main import main
from penstock.cli.output import print_table
from penstock.errors import UsageError
from penstock.run.state import Picture, ProcessState, TaskState, UpLock, write_picture


def call(*arguments: str) -> int:
    with pytest.raises(SystemExit) as end:
        main(arguments)
    assert isinstance(end.value.code, int)
    return end.value.code


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data directory with an item in it."""
    app = penstock.App("shop")
    orders = app.table("Orders", partition_key="id")
    with penstock.connect(f"file:{tmp_path / 'data'}") as client:
        client.create_table(**orders.definition())
        app.bind(client)
        orders.put({"id": "o1"})
    return tmp_path / "data"


def picture(state: str) -> Picture:
    processes = [ProcessState("table", state, pid=12, addresses={"api": "http://127.0.0.1:8000"})]
    return Picture("shop", "/a/app.py", "/a/data", 1, 0.0, processes, [TaskState("history", 5, 9, "rows")])


# Why: `up` names the application once; the commands after it, on the same data, need not be told again.
def test_the_application_that_ran_on_the_data_is_found_from_elsewhere(data: Path, tmp_path: Path) -> None:
    file, here = tmp_path / "far" / "away" / "app.py", tmp_path / "here"
    file.parent.mkdir(parents=True)
    here.mkdir()
    with pytest.raises(UsageError, match=r"no app\.py here"):
        find_application(None, data, here)
    file.write_text("import penstock\n")
    write_picture(data, Picture("shop", str(file), str(data), 1, 0.0, []))
    assert find_application(None, data, here) == file
    (here / "app.py").write_text("import penstock\n")
    assert find_application(None, data, here) == here / "app.py"


# Why: `penstock lake tables | grep` has to find names that are longer than a column of 80.
def test_tables_are_not_cut_for_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    long = "x" * 200
    print_table(("name", "more"), [(long, long)])
    assert f"{long}  {long}" in capsys.readouterr().out


# Why: a script asks this before it goes on.
def test_status_of_nothing_is_exit_code_1(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("status", "--data", str(data)) == 1
    assert "nothing runs" in capsys.readouterr().out
    assert call("status", "--data", str(data), "--json") == 1
    assert json.loads(capsys.readouterr().out)["running"] is False


# Why: where it listens and how far it is are what one asks for.
def test_status_shows_processes_addresses_and_tasks(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lock = UpLock(data)
    write_picture(data, picture("ready"))
    assert call("status", "--data", str(data)) == 0
    shown = capsys.readouterr().out
    for word in ("table", "ready", "http://127.0.0.1:8000", "history", "9 rows"):
        assert word in shown
    write_picture(data, picture("waiting"))
    assert call("status", "--data", str(data), "--json") == 1
    assert json.loads(capsys.readouterr().out)["well"] is False
    lock.release()


# Why: `penstock down` at the end of a script must not fail because there was nothing to stop.
def test_down_with_nothing_to_stop_is_no_error(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("down", "--data", str(data), "--json") == 0
    assert json.loads(capsys.readouterr().out)["stopped"] is False


# Why: one wrong word must not cost the data.
def test_destroy_asks_and_takes_only_the_name_for_yes(
    data: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("typer.prompt", lambda *_, **__: "y")
    assert call("destroy", "--data", str(data)) == 1
    shown = capsys.readouterr().out
    assert "tables, indexes, change streams" in shown
    assert "nothing was deleted" in shown
    assert data.exists()
    monkeypatch.setattr("typer.prompt", lambda *_, **__: data.name)
    assert call("destroy", "--data", str(data)) == 0
    assert not data.exists()


# Why: a listing for a program must not delete.
def test_destroy_as_json_lists_and_deletes_only_with_yes(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("destroy", "--data", str(data), "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["deleted"] is False
    assert "rocks" in [part["name"] for part in told["parts"]]
    assert data.exists()
    assert call("destroy", "--data", str(data), "--json", "--yes") == 0
    assert not data.exists()


# Why: `--data ~` is one slip of the hand away.
def test_destroy_leaves_alone_what_is_no_data_directory(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    assert call("destroy", "--data", str(tmp_path), "--yes") == 2
    assert "is no data directory" in capsys.readouterr().err
    assert (tmp_path / "thesis.txt").exists()


# Why: files under running processes must not vanish.
def test_destroy_refuses_what_is_running(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lock = UpLock(data)
    assert call("destroy", "--data", str(data), "--yes") == 2
    assert "penstock down" in capsys.readouterr().err
    lock.release()


# Why: a folder with somebody's work in it must not be written over.
def test_init_writes_into_a_new_folder_only(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert call("init", "shop") == 0
    assert 'penstock.App("shop")' in (tmp_path / "shop" / "app.py").read_text()
    assert (tmp_path / "shop" / ".gitignore").exists()
    capsys.readouterr()
    assert call("init", "shop") == 2
    assert "nothing was written" in capsys.readouterr().err
    assert call("init", "my-shop") == 2
    assert "such as my_shop" in capsys.readouterr().err


# Why: shells complete commands and their options, and each is loaded only for its own line.
def test_completion_knows_commands_and_options(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("_PENSTOCK_COMPLETE", "complete_zsh")
    monkeypatch.setenv("_TYPER_COMPLETE_ARGS", "penstock up --la")
    call()
    assert "--lake-port" in capsys.readouterr().out
    monkeypatch.setenv("_TYPER_COMPLETE_ARGS", "penstock dest")
    call()
    assert "destroy" in capsys.readouterr().out
