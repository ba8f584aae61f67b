"""`penstock sql` beside a running lake: it asks that process, and no other."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.integration.test_lake_process import House, running
from tests.lake_setup import until

from penstock.lake.address import ADDRESS, folder_of
from penstock.sql import asked as asked_module
from penstock.sql.asked import Refused, ask_process
from penstock.sql.lake import open_lake

COUNT = "SELECT count(*) AS n, sum(amount) AS s FROM current.purchases"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    made = House(tmp_path_factory.mktemp("house"))
    made.put(5)
    until(lambda: made.count("current.purchases") == 5)
    yield made
    made.close()


# Why: the answer must be the one that the lake opened here gives, types included.
def test_the_process_answers_as_the_lake_does(house: House) -> None:
    folder = folder_of(house.lake)
    asked = ask_process(folder, COUNT, 100, 10.0)
    assert asked is not None
    here = open_lake(house.lake, make=False).sql(COUNT)
    assert asked.table.to_pylist() == here.table.to_pylist() == [{"n": 5, "s": here.rows()[0]["s"]}]
    assert asked.table.schema.types == here.table.schema.types
    cut = ask_process(folder, "FROM current.purchases", 2, 10.0)
    assert cut is not None
    assert (len(cut), cut.truncated) == (2, True)


# Why: what is wrong with a query is said in the same words, wherever it runs.
def test_a_wrong_query_is_refused_in_the_process_own_words(house: House) -> None:
    with pytest.raises(Refused, match=r"there is no table current\.nope; .*current\.purchases"):
        ask_process(folder_of(house.lake), "FROM current.nope", 100, 10.0)
    with pytest.raises(Refused, match="passed its time"):
        ask_process(folder_of(house.lake), "SELECT count(*) FROM range(1000000000000)", 100, 0.2)


# Why: a file left by a process that is gone may name a port where another lake listens now.
def test_a_left_over_address_never_gives_the_rows_of_another_lake(house: House, tmp_path: Path) -> None:
    (tmp_path / ADDRESS).write_text(f"http://127.0.0.1:{house.process.port}\n")
    assert ask_process(tmp_path, COUNT, 100, 10.0) is None
    (tmp_path / ADDRESS).write_text("http://127.0.0.1:1\n")
    assert ask_process(tmp_path, COUNT, 100, 10.0) is None
    assert ask_process(tmp_path / "nowhere", COUNT, 100, 10.0) is None


# Why: importing pyiceberg and DuckDB took most of a second of each question.
def test_a_command_that_asks_loads_no_engine(house: House) -> None:
    script = (
        "import sys; from penstock.cli.main import main\n"
        f"try: main(['sql', {COUNT!r}, '--lake', {house.lake!r}, '--format', 'csv'])\n"
        "except SystemExit: pass\n"
        "print(sorted({'duckdb', 'pyiceberg', 'sqlalchemy'} & sys.modules.keys()))"
    )
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert told.stdout.splitlines() == ['"n","s"', '5,"12.5"', "[]"], told.stderr


# Why: who waits wants to see how far it is, and to end it.
def test_a_running_query_tells_its_progress_and_is_cancelled(house: House) -> None:
    ended: list[str] = []

    def ask() -> None:
        try:
            ask_process(
                folder_of(house.lake), "SELECT count(*) FROM range(1000000000000)", 1, 60.0, seen.append
            )
        except Refused as error:
            ended.append(str(error))

    seen: list[float] = []
    thread = threading.Thread(target=ask)
    thread.start()
    until(lambda: bool(seen))
    assert 0 <= seen[0] <= 100
    questions = house.http.get("/sql/nobody")
    assert questions.status_code == 404
    [id_] = running(house)
    assert house.http.delete(f"/sql/{id_}").status_code == 200
    thread.join(30)
    assert ended == ["the query was stopped: cancelled"]


# Why: "timed out" alone does not tell who did not answer.
def test_a_process_that_hangs_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asked_module, "_MARGIN_S", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        (tmp_path / ADDRESS).write_text(f"http://127.0.0.1:{silent.getsockname()[1]}\n")
        with pytest.raises(Refused, match="did not answer within"):
            ask_process(tmp_path, "SELECT 1", 10, 0.0)
