"""The lake process whole: tables on disk, sinks in threads, HTTP, the commands beside it."""

from __future__ import annotations

import io
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pyarrow.ipc
import pytest
from tests.lake_setup import WAIT_S, until

import penstock
from penstock.app.application import App
from penstock.errors import UsageError
from penstock.lake.process import LakeProcess
from penstock.sql.service import start_lake


class House:
    """Tables and a lake in one folder, an application that declares a little of everything."""

    def __init__(self, folder: Path) -> None:
        self.url, self.lake = f"file:{folder / 'data'}", f"file:{folder / 'lake'}"
        self.client = penstock.connect(self.url)
        self.app = App("shop")
        purchases = self.app.table("purchases", partition_key="customer", sort_key="id", stream=True)
        self.client.create_table(**purchases.definition())
        self.app.lake(purchases, drop=["card"])
        self.app.lake_table("curated.totals", sql="SELECT count(*) AS n FROM current.purchases", every="1s")
        self.app.delivery("clicks", buffer_s=0.2, id_field="id")
        self.process: LakeProcess = start_lake(self.app, self.url, self.lake, 0)
        self.http = httpx.Client(base_url=f"http://127.0.0.1:{self.process.port}", timeout=60)

    def put(self, count: int) -> None:
        for number in range(count):
            item = {"customer": {"S": "c1"}, "id": {"S": f"p{number}"}, "amount": {"N": f"{number}.5"}}
            self.client.put_item(TableName="purchases", Item={**item, "card": {"S": "4111"}})

    def ask(self, sql: str, **more: Any) -> httpx.Response:
        return self.http.post("/sql", json={"sql": sql, **more})

    def count(self, table: str) -> int:
        answer = self.ask(f"SELECT count(*) FROM {table}")
        return answer.json()["rows"][0][0] if answer.status_code == 200 else -1

    def close(self) -> None:
        self.http.close()
        self.process.stop()
        self.client.close()


def running(house: House) -> list[str]:
    """The queries that the lake process is at."""
    for route in house.process._routes:
        lake = getattr(getattr(route.handler, "__self__", None), "_lake", None)
        if lake is not None:
            return list(lake.questions._running)
    raise AssertionError("no SQL is served")


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path)
    yield made
    made.close()


def command(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "penstock", *words], capture_output=True, text=True, timeout=60, check=False
    )


# Why: what a person sees from a declaration to an answer, in every form.
def test_a_write_is_an_answer_in_sql_within_seconds(house: House) -> None:
    house.put(20)
    until(lambda: house.count("current.purchases") == 20)
    until(lambda: house.count("curated.totals") == 1)
    told = house.ask("SELECT id, amount FROM current.purchases ORDER BY id LIMIT 1").json()
    assert (told["columns"][1], told["rows"], told["truncated"]) == (
        {"name": "amount", "type": "decimal128(38, 9)"}, [["p0", "0.5"]], False,
    )  # fmt: skip
    csv = house.ask("SELECT count(*) AS n FROM raw.purchases", format="csv")
    assert (csv.headers["content-type"], csv.text) == ("text/csv; charset=utf-8", '"n"\n20\n')
    stream = house.http.post(
        "/sql",
        content="SELECT id FROM current.purchases",
        headers={"accept": "application/vnd.apache.arrow.stream"},
    )
    assert pa.ipc.open_stream(io.BytesIO(stream.content)).read_all().num_rows == 20
    [flow] = house.http.get("/status").json()["tables"]
    assert (flow["table"], flow["state"], flow["offset"]) == ("purchases", "following", 20)


# Why: one query, however wrong, is its asker's trouble alone.
@pytest.mark.parametrize(
    ("asked", "status", "words"),
    [
        ({"sql": "SELEC 1"}, 400, "Parser Error"),
        ({"sql": "SELECT * FROM read_text('/etc/passwd')"}, 400, "may not be called"),
        ({"sql": "DROP TABLE current.purchases"}, 400, "not a query"),
        ({"sql": ""}, 400, "there is no query"),
        ({"sql": "SELECT 1", "format": "xml"}, 400, "no format"),
        ({"sql": "SELECT 1", "rows_max": "many"}, 400, "are numbers"),
        ({"sql": "SELECT count(*) FROM range(1000000000000)", "seconds_max": 0.2}, 408, "passed its time"),
    ],
)
def test_a_bad_query_is_answered_and_nothing_else_happens(
    house: House, asked: dict[str, Any], status: int, words: str
) -> None:
    answer = house.http.post("/sql", json=asked)
    assert (answer.status_code, words in answer.json()["error"]) == (status, True)
    assert house.ask("SELECT 1 AS one").json()["rows"] == [[1]]


# Why: a page that is closed must be able to end the query that it asked.
def test_a_running_query_is_cancelled_by_its_id(house: House) -> None:
    answers: list[httpx.Response] = []
    asked = {"sql": "SELECT count(*) FROM range(1000000000000)", "id": "slow"}
    thread = threading.Thread(target=lambda: answers.append(house.http.post("/sql", json=asked)))
    thread.start()
    until(lambda: house.http.delete("/sql/slow").status_code == 200)
    thread.join(WAIT_S)
    assert (answers[0].status_code, answers[0].json()) == (408, {"error": "the query was stopped: cancelled"})


# Why: records without a table, once for each id, over HTTP.
def test_delivered_records_are_in_sql_once(house: House) -> None:
    for _ in range(2):
        answer = house.http.post("/deliveries/clicks", content=b'{"id": "k1", "n": 1.10}\n{"id": "k2"}\n')
        assert answer.status_code == 200
    assert answer.json() == {"accepted": 2, "new": 0}
    until(lambda: house.count("deliveries.clicks") == 2)
    assert house.ask("SELECT n FROM deliveries.clicks WHERE id = 'k1'").json()["rows"] == [["1.1"]]
    assert house.http.post("/deliveries/nothing", content=b"{}").status_code == 404


# Why: two writers of one folder would fence each other forever.
def test_a_second_process_on_the_folder_is_refused(house: House) -> None:
    with pytest.raises(UsageError, match="writes the lake"):
        start_lake(None, house.url, house.lake, 0)


# Why: the commands are how a person meets all of this, with and without the process.
def test_commands_work_beside_the_process_and_without_it(house: House) -> None:
    house.put(5)
    until(lambda: house.count("current.purchases") == 5)
    where = ("--lake", house.lake)
    asked = command("sql", "SELECT sum(amount) AS total FROM current.purchases", *where, "--format", "csv")
    assert (asked.returncode, asked.stdout) == (0, '"total"\n"12.5"\n')
    assert '"state": "following"' in command("lake", "status", *where, "--json").stdout
    assert command("lake", "rebuild", "purchases", *where).stdout == (
        "current.purchases: rebuilt from 5 changes\n"
    )
    assert command("lake", "compact", "nothing", *where).returncode != 0
    house.process.stop()
    assert '"state": "not running"' in command("lake", "status", *where, "--json").stdout
    assert command("lake", "rebuild", "purchases", *where).returncode == 0
    assert command("lake", "compact", "purchases", *where).returncode == 0
    told = command("sql", "SELECT count(*) AS n FROM current.purchases", *where, "--format", "csv")
    assert told.stdout == '"n"\n5\n'
    assert command("sql", "DROP TABLE x", *where).returncode == 2


# Why: Ctrl-C must end the query and not only the wish for its answer.
def test_ctrl_c_ends_a_query(house: House) -> None:
    words = ["sql", "SELECT count(*) FROM range(1000000000000)", "--lake", house.lake]
    asking = subprocess.Popen([sys.executable, "-m", "penstock", *words], stderr=subprocess.DEVNULL)
    until(lambda: bool(running(house)))
    asking.send_signal(signal.SIGINT)
    assert asking.wait(WAIT_S) != 0
    until(lambda: not running(house))


# Why: after a kill of `penstock up` the next one met the last lake at its end, and went without a lake for good.
def test_a_lake_waits_for_the_last_one_to_end(house: House, caplog: pytest.LogCaptureFixture) -> None:
    started: list[LakeProcess] = []
    starting = threading.Thread(
        target=lambda: started.append(start_lake(None, house.url, house.lake, 0, patience_s=WAIT_S))
    )
    starting.start()
    until(lambda: "it is waited for" in caplog.text)
    house.process.stop()
    starting.join(WAIT_S)
    [second] = started
    second.stop()
