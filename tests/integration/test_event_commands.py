"""`penstock load`, `penstock consumers` and `penstock dead-letters`, as a person types them, over a data directory."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from penstock.cli.main import main
from penstock.connect.urls import connect
from penstock.events.worker import Worker
from penstock.run.app_files import load_app
from penstock.run.state import Picture, write_picture

APP = """
import penstock
from pathlib import Path

app = penstock.App("shop")
purchases = app.table(
    "purchases", partition_key="customer", sort_key="id", stream=True, schema={"amount": "number", "at": "time?"}
)
repaired = Path(__file__).with_name("repaired")


@app.on_change(purchases, batch_size=1, maximum_retry_attempts=0)
def collect(event):
    if event["Records"][0]["dynamodb"]["NewImage"]["id"]["S"] == "p3" and not repaired.exists():
        raise ValueError("three is too much")
"""


@pytest.fixture
def shop(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    """An application in a folder with its table made; calls `penstock` there and gives (exit code, what it printed)."""
    (tmp_path / "app.py").write_text(APP)
    with connect(f"file:{tmp_path}/data") as client:
        client.create_table(**load_app(tmp_path / "app.py").tables["purchases"].definition())

    def penstock(*words: str, app: bool = False) -> tuple[int, str]:
        given = [*words, "--url", f"file:{tmp_path}/data", *(["--app", str(tmp_path)] if app else [])]
        code = 0
        try:
            main(given)
        except SystemExit as ended:
            code = int(ended.code or 0)
        return code, capsys.readouterr().out

    return penstock


def run_worker(tmp_path: Path, until: Callable[[Worker], bool]) -> None:
    never = threading.Event()
    with connect(f"file:{tmp_path}/data") as client:
        app = load_app(tmp_path / "app.py")
        app.bind(client)
        worker = Worker(app, client)
        worker.start()
        for _ in range(1000):
            if until(worker):
                break
            never.wait(0.02)
        assert worker.stop()
        assert until(worker)


# Why: the whole path of a person: load, run, look, repair, retry.
def test_a_load_its_consumer_and_a_dead_letter_from_the_command_line(
    tmp_path: Path, shop: Callable[..., tuple[int, str]]
) -> None:
    rows = tmp_path / "rows.csv"
    lines = [f"c,p{n},{n}.10,2026-11-20T10:00:00+01:00" for n in range(8)] + ["c,,1,"]
    rows.write_text("customer,id,amount,at\n" + "\n".join(lines) + "\n")
    assert shop("consumers") == (0, "no consumer has run here yet\n")
    assert shop("dead-letters", "list") == (0, "no dead letters\n")

    code, printed = shop("load", "purchases", str(rows), app=True)
    assert code == 1, "a row was refused"
    assert "8 stored, 1 refused" in printed

    run_worker(tmp_path, lambda worker: worker.consumers["collect"].consumer.tally.handled == 7)

    code, printed = shop("consumers", "--json")
    [status] = json.loads(printed)
    assert (status["name"], status["table"], status["dead_letters"]) == ("collect", "purchases", 1)
    assert (status["lag_records"], status["handled"], status["workers"]) == (0, 7, 0)
    assert "collect" in shop("consumers", "--shards")[1]

    [letter] = json.loads(shop("dead-letters", "list", "--json")[1])
    assert (letter["error_type"], letter["attempts"]) == ("ValueError", 1)
    number = letter["sequence"]
    shown: dict[str, Any] = json.loads(shop("dead-letters", "show", "collect", number)[1])
    assert shown["record"]["dynamodb"]["NewImage"]["id"] == {"S": "p3"}

    code, printed = shop("dead-letters", "retry", "collect", number, app=True)
    assert (code, "0 handled, 1 failed" in printed) == (1, True)
    (tmp_path / "repaired").touch()
    assert shop("dead-letters", "retry", "collect", "--all", app=True) == (0, "1 handled, 0 failed\n")
    assert shop("dead-letters", "discard", "collect", "--all") == (0, "0 discarded\n")


# Why: who runs `penstock up elsewhere` types the next command in the same folder, and means the same application.
def test_the_application_is_found_as_up_finds_it(
    tmp_path: Path, shop: Callable[..., tuple[int, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = tmp_path / "rows.jsonl"
    rows.write_text(
        '{"customer": "c", "id": "p3", "amount": 3}\n{"customer": "c", "id": "p4", "amount": "no"}\n'
    )
    elsewhere = tmp_path / "far" / "away"
    elsewhere.mkdir(parents=True)
    monkeypatch.chdir(elsewhere)
    assert "2 stored" in shop("load", "purchases", str(rows))[1], "without an application only keys are known"
    assert shop("dead-letters", "retry", "collect", "--all")[0] == 2

    picture = Picture("shop", str(tmp_path / "app.py"), str(tmp_path / "data"), 0, 0.0, [])
    write_picture(tmp_path / "data", picture)
    code, printed = shop("load", "purchases", str(rows), "--restart")
    assert (code, "1 stored, 1 refused" in printed) == (1, True)
    run_worker(tmp_path, lambda worker: worker.consumers["collect"].consumer.tally.dead_letters == 1)
    (tmp_path / "repaired").touch()
    assert shop("dead-letters", "retry", "collect", "--all") == (0, "1 handled, 0 failed\n")


# Why: a mistake is told in one line with the way out, and nothing is done.
def test_mistakes_are_told(shop: Callable[..., tuple[int, str]], tmp_path: Path) -> None:
    rows = tmp_path / "rows.xls"
    rows.write_text("x")
    assert shop("load", "purchases", str(rows))[0] == 2
    assert shop("load", "nowhere", str(tmp_path / "app.py"))[0] == 2
    assert shop("dead-letters", "discard", "collect")[0] == 2
    assert shop("dead-letters", "show", "collect", "1")[0] == 2
