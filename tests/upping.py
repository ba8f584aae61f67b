"""`penstock up` in tests: an application of a few lines, started as its user starts it, and asked over HTTP."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from penstock.run.state import Picture, read_picture, running_pid

PATIENCE_S = 60.0
_PR_SET_PDEATHSIG = 1
_T = TypeVar("_T")

APP = """
import numpy, penstock
from penstock import count, keys_only, total
from penstock.models.linear import LinearModel
from penstock.models.register import TrainingRows, register
from penstock.models.registry import Registry
from sklearn.linear_model import LogisticRegression

app = penstock.App("shop")
orders = app.table(
    "Orders", partition_key="customer_id", sort_key="order_id", local_indexes={"by_time": "ordered_at"},
    global_indexes={"by_category": ("category", "customer_id", keys_only())}, stream=True,
)
seen = app.table("Seen", partition_key="order_id")
buyer = app.features("buyer", source=orders, entity="customer_id", time="ordered_at", features={
    "orders_30d": count(days=30), "volume_30d": total("amount", days=30),
})
app.predictor("will_order", features=buyer, model="will_order@champion", campaign_by="by_category")
app.lake(orders)
app.delivery("clicks")

@app.setup
def model(ctx):
    if ctx.recall("model") is None:
        rows = [{"orders_30d": n, "volume_30d": 10.0 * n} for n in range(20)]
        training = TrainingRows(rows, [int(n > 5) for n in range(20)])
        estimator = LogisticRegression().fit(training.matrix(), training.labels)
        Registry(ctx.client).promote("will_order", register(Registry(ctx.client), "will_order", estimator, training).number)
        ctx.remember("model", "made")
    ctx.say("the model is there")

@app.task
def counting(ctx):
    ctx.progress(10, 10, "steps")

@app.on_change(orders, window_s=0)
def note(event, context):
    for record in event["Records"]:
        order = record["dynamodb"]["Keys"]["order_id"]["S"]
        orders.client.put_item(TableName="Seen", Item={"order_id": {"S": order}})

def hello(event, context):
    return {"statusCode": 201, "body": "hello " + event["pathParameters"]["name"] + event["body"]}

app.http("POST /hello/{name}", hello)
"""


class Upping:
    """A running `penstock up` on ports of its own."""

    def __init__(self, folder: Path, *options: str, app: str = APP) -> None:
        self.folder, self.data = folder, folder / "data"
        (folder / "app.py").write_text(app)
        ports = ["--api-port", "0", "--app-port", "0", "--lake-port", "0"]
        # Into a file: a pipe that nobody reads fills up, and then `up` stands still.
        self._output = folder / "up.out"
        with self._output.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "penstock", "up", *ports, *options],
                cwd=folder,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=_end_with_parent if sys.platform == "linux" else None,
            )

    def output(self) -> str:
        """What it has printed so far."""
        return self._output.read_text()

    def ended(self) -> str:
        """What it printed, once it has ended."""
        self.process.wait(timeout=PATIENCE_S)
        return self.output()

    def picture(self) -> Picture | None:
        found = read_picture(self.data)
        return found if found is not None and found.pid == self.process.pid else None

    def wait_until_ready(self) -> None:
        """Announced, and every process well: also after one was killed."""
        until(lambda: (p := self.picture()) is not None and p.facts and self.states() == {"ready"}, self)

    def states(self) -> set[str]:
        picture = self.picture()
        return {each.state for each in picture.processes} if picture is not None else set()

    def pid_of(self, name: str) -> int:
        picture = self.picture()
        assert picture is not None
        return next(each.pid for each in picture.processes if each.name == name)

    def url(self, kind: str) -> str:
        picture = self.picture()
        assert picture is not None
        return next(each.addresses[kind] for each in picture.processes if kind in each.addresses)

    def ask(self, url: str, body: bytes | None = None, kind: str = "application/json") -> tuple[int, Any]:
        request = urllib.request.Request(url, data=body, headers={"content-type": kind})
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
                status, told = answer.status, answer.read()
        except urllib.error.HTTPError as error:
            status, told = error.code, error.read()
        try:
            return status, json.loads(told)
        except ValueError:
            return status, told.decode()

    def sql(self, query: str) -> Any:
        return self.ask(self.url("lake") + "/sql", query.encode(), "text/plain")[1]

    def stop(self, number: int = signal.SIGINT) -> tuple[int, str]:
        self.process.send_signal(number)
        output = self.ended()
        return self.process.returncode, output


def _end_with_parent() -> None:
    """A test run that is killed must not leave an `up` behind, which would go on for ever."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


@contextmanager
def upping(folder: Path, *options: str, app: str = APP) -> Iterator[Upping]:
    started = Upping(folder, *options, app=app)
    try:
        yield started
    finally:
        if started.process.poll() is None:
            # In order: nobody writes into the folder behind its back then.
            started.process.send_signal(signal.SIGINT)
            try:
                started.process.wait(timeout=PATIENCE_S)
            except subprocess.TimeoutExpired:
                started.process.kill()
                started.process.wait()
        until(lambda: running_pid(started.data) is None)


def until(holds: Callable[[], _T], started: Upping | None = None) -> _T:
    """Wait on a condition, with a bound; a `penstock up` that ended meanwhile says why."""
    deadline_s = time.monotonic() + PATIENCE_S
    while not (result := holds()):
        if started is not None and started.process.poll() is not None:
            raise AssertionError(started.output())
        assert time.monotonic() < deadline_s, "it did not come true in time"
        os.sched_yield()
        time.sleep(0.02)
    return result


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z" if Path("/proc").is_dir() else True
