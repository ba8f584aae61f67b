"""Predictions of a running `penstock up` while models move, requests are repeated, and the process that answers is killed."""

from __future__ import annotations

import http.client
import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from tests.upping import APP, Upping, until, upping

import penstock
from penstock.app.features import FeatureSet
from penstock.app.predictors import Predictor
from penstock.app.tables import declare
from penstock.models.registry import Registry
from penstock.serving.predict import is_canary

CONNECTIONS = 8
CANARY = APP.replace(
    'model="will_order@champion", campaign_by',
    'model="will_order@champion", challenger="will_order@challenger", challenger_share=0.3, campaign_by',
)
# Who is asked about in a canary is told by the predictor's name and share alone.
FEATURES = FeatureSet("none", declare("None", "id", None, {}, {}, False), "id", "at", {})


@dataclass
class Answer:
    asked_s: float
    customer: str
    request_id: str | None
    status: int  # 0: the connection broke.
    body: dict[str, Any]


class Load:
    """Connections that ask about customers until they are told to stop, and keep every answer."""

    def __init__(self, up: Upping, *, own_ids: bool = False) -> None:
        self.answers: list[Answer] = []
        self._place, self._own_ids = urlsplit(up.url("app")), own_ids
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=(n,)) for n in range(CONNECTIONS)]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def wait_for(self, more: int) -> None:
        """Until so many more requests were answered."""
        seen = len(self.answers)
        until(lambda: sum(each.status == 200 for each in self.answers[seen:]) > more)

    def _ask(self, connection: int) -> None:
        number = 0
        while not self._stop.is_set():
            link = http.client.HTTPConnection(self._place.hostname or "", self._place.port, timeout=10)
            try:
                while not self._stop.is_set():
                    number += 1
                    request_id = f"load-{connection}-{number}" if self._own_ids else None
                    self.answers.append(ask(link, f"c{number % 40}", request_id))
            except (OSError, http.client.HTTPException):
                self.answers.append(Answer(time.monotonic(), f"c{number % 40}", request_id, 0, {}))
                self._stop.wait(0.05)
            finally:
                link.close()


def ask(link: http.client.HTTPConnection, customer: str, request_id: str | None) -> Answer:
    asked_s = time.monotonic()
    headers = {} if request_id is None else {"X-Request-Id": request_id}
    link.request("GET", f"/predict/will_order/customer/{customer}", headers=headers)
    answer = link.getresponse()
    return Answer(asked_s, customer, request_id, answer.status, json.loads(answer.read()))


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Upping]:
    with upping(tmp_path, app=CANARY) as started:
        started.wait_until_ready()
        yield started


def registry_of(up: Upping) -> Registry:
    return Registry(penstock.connect(up.url("api")))


def wait_for_another(up: Upping, pid: int) -> None:
    until(lambda: up.pid_of("table") != pid)


def second_version(registry: Registry) -> None:
    first = registry.get("will_order", "1")
    registry.add(first, registry.content(first))


def rows_of(client: Any, answers: list[Answer]) -> None:
    """Each answer is on record as it was given."""
    for answer in answers:
        key = {"requestId": {"S": answer.body["requestId"]}}
        row = client.get_item(TableName="InferenceMetadata", Key=key)["Item"]
        assert row["prediction"]["S"] == str(answer.body["prediction"])
        assert json.loads(row["inputData"]["S"]) == answer.body["features"]


# Why: "promotion and rollback take effect within a second without a restart or a lost request", in the process that serves.
def test_a_promotion_and_a_rollback_under_load_lose_no_request_and_take_a_second(up: Upping) -> None:
    registry = registry_of(up)
    second_version(registry)
    with Load(up) as load:
        moved_s = [time.monotonic()]
        moves: list[Callable[[], object]] = [
            partial(registry.promote, "will_order", 2),
            partial(registry.rollback, "will_order"),
        ]
        for move in moves:
            load.wait_for(200)
            move()
            moved_s.append(time.monotonic())
            until(lambda: time.monotonic() > moved_s[-1] + 1.5)
    assert {answer.status for answer in load.answers} == {200}
    for answer in load.answers:
        due = "2" if moved_s[1] + 1 < answer.asked_s < moved_s[2] - 0.1 else None
        due = "1" if answer.asked_s < moved_s[1] - 0.5 or answer.asked_s > moved_s[2] + 1 else due
        assert due is None or answer.body["modelVersion"] == due
    assert {answer.body["modelVersion"] for answer in load.answers} == {"1", "2"}
    rows_of(registry.client, load.answers[::20])


# Why: a canary that is promoted under load gets its share of customers, always the same ones, and goes as it came.
def test_a_canary_under_load_gets_the_same_customers_each_time(up: Upping) -> None:
    registry = registry_of(up)
    second_version(registry)
    declared = Predictor(
        "will_order",
        FEATURES,
        "will_order@champion",
        challenger="will_order@challenger",
        challenger_share=0.3,
    )
    with Load(up) as load:
        registry.promote("will_order", 2, "challenger")
        since_s = time.monotonic() + 1
        until(lambda: time.monotonic() > since_s + 1)
    assert {answer.status for answer in load.answers} == {200}
    for answer in load.answers:
        if answer.asked_s > since_s:
            assert answer.body["modelVersion"] == ("2" if is_canary(declared, answer.customer) else "1")


# Why: a retry meets its first attempt still under way: one row, one answer for all, and a refusal for who asks something else.
def test_the_same_request_id_at_once_has_one_answer(up: Upping) -> None:
    place = urlsplit(up.url("app"))
    barrier = threading.Barrier(6)

    def attempt(number: int, turn: int) -> Answer:
        link = http.client.HTTPConnection(place.hostname or "", place.port, timeout=10)
        barrier.wait(20)
        try:
            return ask(link, "c1" if number < 4 else "c2", f"same-{turn}")
        finally:
            link.close()

    with ThreadPoolExecutor(6) as pool:
        for turn in range(25):
            answers = list(pool.map(attempt, range(6), [turn] * 6))
            taken = {answer.customer for answer in answers if answer.status == 200}
            assert len(taken) == 1
            first, *others = [answer for answer in answers if answer.status == 200]
            assert all(other.body == first.body for other in others)
            assert {a.status for a in answers if a.customer not in taken} == {409}


# Why: "kill -9 under load loses no acknowledged inference", and a retry after it finds the answer that was given, or gets the
# first: the process may die between the row and the answer, and `up` starts it again.
def test_kills_under_load_lose_no_answer_and_a_retry_finds_it(up: Upping) -> None:
    with Load(up, own_ids=True) as named, Load(up) as load:
        for _ in range(3):
            load.wait_for(150)
            pid = up.pid_of("table")
            os.kill(pid, signal.SIGKILL)
            wait_for_another(up, pid)
            up.wait_until_ready()
    client = registry_of(up).client
    rows_of(client, [answer for answer in load.answers if answer.status == 200])
    answered = [answer for answer in named.answers if answer.status == 200]
    broken = [answer for answer in named.answers if answer.status == 0]
    assert broken
    rows_of(client, answered)
    place = urlsplit(up.url("app"))
    link = http.client.HTTPConnection(place.hostname or "", place.port, timeout=10)
    for before in [*answered[-100:], *broken]:
        again = ask(link, before.customer, before.request_id)
        assert again.status == 200
        assert before.status == 0 or again.body == before.body
        assert ask(link, before.customer, before.request_id).body == again.body
    link.close()
