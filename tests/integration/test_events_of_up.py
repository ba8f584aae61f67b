"""Events over a running `penstock up`: ingestion as senders meet it, and the handler's figures on the page of metrics."""

from __future__ import annotations

import http.client
import json
from pathlib import Path
from typing import Any

from tests.upping import Upping, until, upping

APP = """
import penstock

app = penstock.App("shop")
purchases = app.table(
    "purchases", partition_key="customer", sort_key="id", stream=True, schema={"amount": "number", "at": "time?"}
)
refunds = app.table("refunds", partition_key="id")


@app.on_change(purchases, maximum_retry_attempts=0, batch_size=1)
def note(event):
    if event["Records"][0]["dynamodb"]["NewImage"]["amount"]["N"] == "3":
        raise ValueError("three is too much")
"""


def send(up: Upping, table: str, body: bytes, **headers: str) -> tuple[int, dict[str, str], Any]:
    connection = http.client.HTTPConnection(up.url("app").removeprefix("http://"), timeout=60)
    try:
        connection.request("POST", f"/events/{table}", body, headers)
        answer = connection.getresponse()
        headers = {name.lower(): value for name, value in answer.getheaders()}
        return answer.status, headers, json.loads(answer.read())
    finally:
        connection.close()


def figures(up: Upping) -> dict[str, float]:
    """The page of metrics without the names of workers."""
    status, page = up.ask(up.url("app") + "/metrics")
    assert status == 200
    found: dict[str, float] = {}
    for line in page.splitlines():
        if not line.startswith("#"):
            name, _, value = line.rpartition(" ")
            found[name.partition(",worker=")[0]] = float(value)
    return found


# Why: each part is tested alone; this is what a sender and a Prometheus see of all of them together.
def test_events_are_taken_handled_and_counted(tmp_path: Path) -> None:
    with upping(tmp_path, app=APP) as up:
        up.wait_until_ready()
        lines = [
            json.dumps({"customer": "c", "id": f"p{n}", "amount": n, "at": "2026-11-20T11:00:00+01:00"})
            for n in range(8)
        ]
        body = "\n".join([*lines, "garbage", '{"customer": "c"}']).encode()
        key = {"Idempotency-Key": "k1", "Content-Type": "application/x-ndjson"}
        status, _, told = send(up, "purchases", body, **key)
        assert (status, told["received"], told["stored"]) == (200, 10, 8)
        assert [each["index"] for each in told["refused"]] == [8, 9]
        status, headers, again = send(up, "purchases", body, **key)
        assert (status, again, headers["idempotent-replayed"]) == (200, told, "true")
        assert send(up, "purchases", body + b" ", **key)[0] == 409
        assert figures(up)["penstock_changes_total"] >= 8

        status, _, told = send(up, "Nope", b"{}")
        assert (status, told["message"]) == (
            404,
            "no table 'Nope' is declared; the application's tables: purchases, refunds",
        )
        assert send(up, "purchases", b"\x00\xff{", **{"Content-Type": "application/json"})[0] == 400
        assert send(up, "purchases", b"[" + b" " * 9_000_000 + b"]")[0] == 413

        until(lambda: figures(up).get('penstock_consumer_handled_total{consumer="note"') == 7, up)
        seen = until(
            lambda: (
                (page := figures(up)).get('penstock_consumer_dead_letters{consumer="note"}') == 1 and page
            ),
            up,
        )
        assert isinstance(seen, dict)
        assert seen['penstock_consumer_workers{consumer="note"}'] == 1
        assert seen['penstock_consumer_lag_records{consumer="note"}'] == 0
        assert seen['penstock_change_to_handler_seconds_count{consumer="note"'] == 8
        assert seen['penstock_events_stored_total{table="purchases"}'] == 8
        assert up.stop()[0] == 0
