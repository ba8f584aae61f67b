"""`penstock up` as its user runs it: everything answers, whatever dies comes back, Ctrl-C ends it, the data stay."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.upping import Upping, is_alive, until, upping

import penstock
from penstock.app.plain import to_item
from penstock.run.state import stop_running


def order(number: int) -> dict[str, Any]:
    return {
        "customer_id": "c1",
        "order_id": f"o{number}",
        "ordered_at": datetime.now(UTC),
        "category": "toys",
        "amount": number,
    }


def put(up: Upping, number: int) -> None:
    with penstock.connect(up.url("api")) as client:
        client.put_item(TableName="Orders", Item=to_item(order(number)))


def in_lake(up: Upping) -> int:
    answer = up.sql("SELECT count(*) FROM current.orders")
    return int(answer["rows"][0][0]) if isinstance(answer, dict) and "rows" in answer else 0


def handled(up: Upping, number: int) -> bool:
    with penstock.connect(up.url("api")) as client:
        return "Item" in client.get_item(TableName="Seen", Key={"order_id": {"S": f"o{number}"}})


def predicted(up: Upping) -> Any:
    return up.ask(up.url("app") + "/predict/will_order/customer/c1")


# Why: this is the product: an event in, a prediction out, both in SQL, a handler called, and all of it again after a stop.
def test_an_order_goes_all_the_way_and_is_there_after_a_restart(tmp_path: Path) -> None:
    with upping(tmp_path) as up:
        up.wait_until_ready()
        put(up, 1)
        status, answer = predicted(up)
        assert status == 200
        assert answer["features"] == {"orders_30d": 1, "volume_30d": 1.0}
        event = json.dumps(
            order(2) | {"order_id": "over HTTP", "ordered_at": "2020-11-20T10:00:00Z"}
        ).encode()
        assert up.ask(up.url("app") + "/events/Orders", event)[1]["stored"] == 1
        click = b'{"page": "/jewelry"}'
        until(lambda: up.ask(up.url("app") + "/deliveries/clicks", click)[0] == 200)
        assert up.ask(up.url("app") + "/console/")[0] == 200
        assert up.ask(up.url("app") + "/hello/ann", b"!") == (201, "hello ann!")
        until(lambda: handled(up, 1))
        until(lambda: in_lake(up) == 2)
        until(lambda: "rows" in up.sql("SELECT 1 FROM current.inferencemetadata"))
        pids = [up.pid_of(name) for name in ("table", "worker", "lake")]
        code, output = up.stop()
        assert code == 0, output
        assert not [pid for pid in pids if is_alive(pid)]
        assert [line.split("│")[0].strip() for line in output.splitlines() if line.endswith("│ stopped")][
            -1
        ] == "table"
        for said in (
            "the model is there",
            "counting 10/10 steps",
            "/predict/will_order/customer/",
            "/console",
        ):
            assert said in output
    with upping(tmp_path) as up:
        up.wait_until_ready()
        put(up, 2)
        assert predicted(up)[1]["features"] == {"orders_30d": 2, "volume_30d": 3.0}
        until(lambda: in_lake(up) == 3)
        assert stop_running(tmp_path / "data", 60.0)
        assert up.process.wait() == 0


# Why: whatever dies, by whatever, comes back by itself, and nothing acknowledged is lost or doubled.
def test_each_process_comes_back_after_a_kill(tmp_path: Path) -> None:
    with upping(tmp_path) as up:
        up.wait_until_ready()
        put(up, 1)
        urls = [up.url(kind) for kind in ("api", "app", "lake")]
        for number, name in enumerate(("worker", "lake", "table"), 2):
            pid = up.pid_of(name)
            os.kill(pid, signal.SIGKILL)
            until(lambda pid=pid, name=name: up.pid_of(name) not in (0, pid), up)  # type: ignore[misc]
            up.wait_until_ready()
            put(up, number)
        assert [up.url(kind) for kind in ("api", "app", "lake")] == urls
        until(lambda: handled(up, 4))
        until(lambda: in_lake(up) == 4)
        assert predicted(up)[1]["features"]["orders_30d"] == 4
        code, output = up.stop()
        assert code == 0, output
        assert output.count("was killed by signal 9") == 3


# Why: a supervisor that is killed must not leave processes that hold the ports and the data.
def test_nothing_outlives_a_killed_supervisor(tmp_path: Path) -> None:
    with upping(tmp_path) as up:
        up.wait_until_ready()
        pids = [up.pid_of(name) for name in ("table", "worker", "lake")]
        up.process.kill()
        up.process.wait()
        until(lambda: not [pid for pid in pids if is_alive(pid)])


# Why: the most common reason for not starting; a restart loop would hide it.
@pytest.mark.parametrize("option", ["--api-port", "--app-port"])
def test_a_taken_port_ends_it_with_the_option_that_helps(tmp_path: Path, option: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with upping(tmp_path, option, str(port)) as up:
            output = up.ended()
    assert up.process.returncode == 2
    assert f"port {port} is taken" in output
    assert option in output


# Why: a mistake in app.py is the user's to see at once, in one piece, and not again and again.
@pytest.mark.parametrize("app", ["import penstock\n", "app = \n", "import nothing_of_this_name\n"])
def test_an_application_that_does_not_load_ends_it(tmp_path: Path, app: str) -> None:
    with upping(tmp_path, app=app) as up:
        output = up.ended()
    assert up.process.returncode == 2
    assert "app.py" in output


# Why: an address that others reach, without a password, is everybody's; nothing is begun then.
@pytest.mark.parametrize(("password", "said"), [(None, "set PENSTOCK_PASSWORD"), ("short", "too short")])
def test_an_open_address_needs_a_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, password: str | None, said: str
) -> None:
    monkeypatch.delenv("PENSTOCK_PASSWORD", raising=False)
    if password is not None:
        monkeypatch.setenv("PENSTOCK_PASSWORD", password)
    with upping(tmp_path, "--host", "0.0.0.0") as up:
        assert said in up.ended()
    assert up.process.returncode == 2
    assert not (tmp_path / "data").exists()


# Why: a program that starts an application must not read sentences to learn when and where it is up.
def test_up_tells_programs_what_happens(tmp_path: Path) -> None:
    with upping(tmp_path, "--json") as up:
        up.wait_until_ready()
        code, output = up.stop()
    told = [json.loads(line) for line in output.splitlines()]
    assert code == 0
    ready = {each["name"] for each in told if each["event"] == "process" and each["state"] == "ready"}
    assert ready == {"table", "worker", "lake"}
    [up_at_last] = [each for each in told if each["event"] == "up"]
    assert up_at_last["facts"]["predictor"] == "will_order"


# Why: an application on a machine of its own runs without a terminal; whoever starts it has to learn where it is.
def test_in_the_background_it_tells_where_it_is_and_is_stopped(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text('import penstock\n\napp = penstock.App("small")\n')

    def penstock_command(*words: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "penstock", *words],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    ports = ("--api-port", "0", "--app-port", "0", "--lake-port", "0")
    told = penstock_command("up", "--detach", "--data", "elsewhere", *ports)
    try:
        assert "`penstock down --data elsewhere`" in told
        [url] = re.findall(r"^console (http://\S+)$", told, re.MULTILINE)
        with urllib.request.urlopen(url) as answer:
            assert b"Overview" in answer.read()
    finally:
        penstock_command("down", "--data", "elsewhere")
