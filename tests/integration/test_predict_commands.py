"""The commands about predictions, as a person runs them: an application in a folder, a data directory beside it."""

from __future__ import annotations

import json
import pickle
import re
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pyarrow.parquet as pq
import pytest
from tests.integration.predicting import served
from tests.shop import trained
from tests.upping import until

import penstock
from penstock.cli.main import main
from penstock.connect.client import Client
from penstock.events.worker import Worker
from penstock.features.definition import assemble, compile_set
from penstock.features.instants import DAY_US, instant_of_text, text_of
from penstock.features.online import Reader, read
from penstock.features.tile_reach import reach
from penstock.features.tiles import TileReader, definition
from penstock.models.artifacts import ArtifactFolder
from penstock.models.prediction import decide
from penstock.models.registry import DEFINITION, Registry
from penstock.models.runtime import load_model
from penstock.run.app_files import load_app
from penstock.run.worker_process import keep_tiles
from penstock.serving.inference_log import table as log_table

APP = """
import penstock
from penstock import count, keys_only, share, since_last, total

app = penstock.App("shop")
purchases = app.table("Purchases", partition_key="customer_id", sort_key="purchase_id",
                      local_indexes={"by_time": "purchased_at"},
                      global_indexes={"by_category": ("category", "customer_id", keys_only())}, stream=True)
buyer = app.features("buyer", source=purchases, entity="customer_id", time="purchased_at", features={
    "total_purchase_volume_30d": total("amount", days=30),
    "purchases_7d": count(days=7),
    "days_since_last": since_last(),
    "jewelry_share_90d": share("amount", where={"category": "jewelry"}, days=90),
})
will_buy = app.predictor("will_buy", features=buyer, model="will_buy@champion", campaign_by="by_category")
"""

TILED = APP.replace('time="purchased_at", features', 'time="purchased_at", tiles="BuyerTiles", features')


class Person:
    """Runs commands in the application's folder and reads what they say."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def run(self, *words: str, code: int = 0) -> str:
        with pytest.raises(SystemExit) as ended:
            main(list(words))
        said = self._capsys.readouterr()
        assert (ended.value.code or 0) == code, said.out + said.err
        return said.out


@pytest.fixture
def person(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Person:
    (tmp_path / "app.py").write_text(APP)
    monkeypatch.chdir(tmp_path)
    app = load_app(tmp_path / "app.py")
    now_us = time.time_ns() // 1000
    with penstock.connect("file:data", durability="process") as client:
        app.bind(client)
        for definition in (
            *(t.definition() for t in app.tables.values()),
            log_table().definition(),
            DEFINITION,
        ):
            client.create_table(**definition)
        for number in range(30):
            app.tables["Purchases"].put(
                {
                    "customer_id": f"c{number:02}",
                    "purchase_id": "p1",
                    "purchased_at": text_of(now_us - number * DAY_US),
                    "amount": Decimal(10 * number) + Decimal("0.99"),
                    "category": "jewelry" if number % 3 else "books",
                }
            )
    estimator, training = trained()
    (tmp_path / "model.pickle").write_bytes(pickle.dumps(estimator))
    rows = [
        json.dumps({**row, "label": label}) for row, label in zip(training.rows, training.labels, strict=True)
    ]
    (tmp_path / "rows.jsonl").write_text("\n".join(rows))
    return Person(capsys)


# Why: the tutorial's path, from a model file to a promoted version and back.
def test_a_model_is_registered_promoted_and_rolled_back(person: Person) -> None:
    register = ("models", "register", "will_buy", "model.pickle", "--rows", "rows.jsonl", "--label", "label")
    assert "will_buy@1 registered (linear)" in person.run(*register)
    person.run("models", "promote", "will_buy@1")
    person.run(*register, "--promote")
    listed = json.loads(person.run("models", "list", "--json"))
    assert listed["will_buy"]["aliases"] == {"champion": 2}
    assert [version["number"] for version in listed["will_buy"]["versions"]] == [1, 2]
    assert "PSI" in person.run("models", "compare", "will_buy@1", "will_buy@2")
    assert "will_buy@champion is 1 again" in person.run("models", "rollback", "will_buy")
    assert "champion" in person.run("models", "list")
    person.run("models", "list", "nothing", code=2)
    with pytest.raises(SystemExit) as ended:
        main(["models", "promote", "will_buy@9"])
    assert ended.value.code == 2


# Why: what `predict` shows at the terminal and writes to a file is what the API answers.
def test_one_and_a_campaign_from_the_terminal(person: Person) -> None:
    person.run(
        "models",
        "register",
        "will_buy",
        "model.pickle",
        "--rows",
        "rows.jsonl",
        "--label",
        "label",
        "--promote",
    )
    one = json.loads(person.run("predict", "will_buy", "c01", "--json"))
    assert one["features"]["purchases_7d"] == 1
    assert "no events were found" in person.run("predict", "will_buy", "nobody")
    for asked in (
        ["c01"],
        ["--category", "jewelry", "--out", "j.parquet"],
    ):  # A slip, which a default would hide.
        person.run("predict", "will_buy", *asked, "--value", "basket=3", code=2)
    told = json.loads(
        person.run("predict", "will_buy", "--category", "jewelry", "--out", "j.parquet", "--json")
    )
    assert told["rows"] == 20
    assert pq.read_table("j.parquet").column("customer").to_pylist() == [
        f"c{n:02}" for n in range(30) if n % 3
    ]
    with pytest.raises(SystemExit) as ended:
        main(["predict", "will_buy", "--by", "colour=red", "--out", "x.parquet"])
    assert ended.value.code == 2


# Why: a report of last month, and day tiles at full speed, ask as of the end of a day: the last microsecond of it counts.
def test_a_day_that_is_asked_about_is_the_day_as_it_ended(person: Person) -> None:
    register = ("models", "register", "will_buy", "model.pickle", "--rows", "rows.jsonl", "--label", "label")
    person.run(*register, "--promote")
    ask = ("predict", "will_buy", "--category", "jewelry", "--out", "j.parquet")
    person.run(*ask, "--as-of", "2001-02-03")
    assert set(pq.read_table("j.parquet").column("asOf").to_pylist()) == {"2001-02-03T23:59:59.999999Z"}
    one = json.loads(person.run("predict", "will_buy", "c01", "--as-of", "2001-02-03T10:00:00Z", "--json"))
    assert one["eventsRead"] == 0
    person.run(*ask, "--as-of", "yesterday", code=2)


# Why: an answer from the API is found again: shown, recomputed to the bit, explained, and watched.
def test_an_inference_is_shown_replayed_explained_and_monitored(person: Person, tmp_path: Path) -> None:
    person.run(
        "models",
        "register",
        "will_buy",
        "model.pickle",
        "--rows",
        "rows.jsonl",
        "--label",
        "label",
        "--promote",
    )
    app = load_app(tmp_path / "app.py")
    bodies: list[dict[str, Any]] = []
    with penstock.connect("file:data", durability="process") as client, served(app, client) as url:
        for number in range(30):
            bodies.append(httpx.get(f"{url}/predict/will_buy/customer/c{number:02}").json())
    request_id = bodies[3]["requestId"]
    assert "purchases_7d" in person.run("inferences", "show", request_id)
    assert "bit for bit" in person.run("inferences", "replay", request_id)
    why = person.run("why", request_id)
    assert "1 · 1 event of customer c03" in why
    assert "will_buy@1 (linear)" in why
    labels = [json.dumps({"requestId": body["requestId"], "label": body["prediction"]}) for body in bodies]
    Path("labels.jsonl").write_text("\n".join(labels))
    report = json.loads(person.run("monitor", "will_buy", "--labels", "labels.jsonl", "--json", code=1))
    assert report["rows"] == 30
    assert report["skew"] == {"rows": 30, "gone": 0, "differing": 0, "requestIds": [], "examples": []}
    assert report["live"]["accuracy"] == 1.0
    # Buyers of the tutorial are nothing like those of the training set, and the report has to say so.
    assert any(alert["measure"] == "ks/jewelry_share_90d" for alert in report["alerts"])
    said = person.run("monitor", "will_buy", "--labels", "labels.jsonl", code=1)
    assert "ALERT the drift (KS) of jewelry_share_90d is" in said
    assert re.search(r"^  skew: 0 of 30 recomputed differ$", said, re.MULTILINE)
    assert re.search(r"^  live: rows 30, accuracy 1, brier 0\.\d{1,6}, ", said, re.MULTILINE)
    assert re.search(r"^predicted +came true +rows *$", said, re.MULTILINE)
    assert "{" not in said


# Why: tiles that are declared on a table that holds data already say nothing of it until they are brought in.
def test_tiles_of_what_was_there_before_are_brought_in(person: Person, tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(TILED.replace('    "days_since_last": since_last(),\n', ""))
    told = json.loads(person.run("tiles", "backfill", "--json"))
    assert told == [{"features": "buyer", "table": "Purchases", "entities": 30, "done": True}]
    assert "30 entities of Purchases have their tiles" in person.run("tiles", "backfill", "buyer", "--again")
    person.run("tiles", "backfill", "nobody", code=2)
    plan = compile_set(load_app(tmp_path / "app.py").feature_sets["buyer"])
    with penstock.connect("file:data", durability="process") as client:
        asked_us = time.time_ns() // 1000
        for number in range(30):
            found = TileReader(plan).read(
                lambda method, request: getattr(client, method)(**request), f"c{number:02}", asked_us
            )
            assert found == read(client.query, Reader(plan), {"S": f"c{number:02}"}, asked_us).measured


# Why: a campaign that trusts the tiles of today must not miss a purchase that no consumer has folded, and is right where it trusts.
def test_a_campaign_from_tiles_says_what_raw_rows_say_with_and_without_a_worker(
    person: Person, tmp_path: Path
) -> None:
    (tmp_path / "app.py").write_text(TILED.replace("since_last()", "since_last(days=90)"))
    register = ("models", "register", "will_buy", "model.pickle", "--rows", "rows.jsonl", "--label", "label")
    person.run(*register, "--promote")
    app = load_app(tmp_path / "app.py")
    with penstock.connect("file:data", durability="process") as client:
        app.bind(client)
        plan = compile_set(app.feature_sets["buyer"])
        keep_tiles(app, client)
        client.create_table(**definition("BuyerTiles"))
        worker = Worker(app, client)
        worker.start()
        try:
            person.run("tiles", "backfill")
            buy(app, "c01", "p2")
            until(lambda: reach(client, plan, time.time()))
            assert campaign(person, client, app) == 20
        finally:
            assert worker.stop()
        buy(app, "c01", "p3")
        buy(app, "c31", "p1")
        assert campaign(person, client, app) == 21


def buy(app: penstock.App, customer: str, purchase: str) -> None:
    app.tables["Purchases"].put(
        {
            "customer_id": customer,
            "purchase_id": purchase,
            "purchased_at": text_of(time.time_ns() // 1000),
            "amount": Decimal("700.25"),
            "category": "jewelry",
        }
    )


def campaign(person: Person, client: Client, app: penstock.App) -> int:
    """How many answers there are; each is what the raw rows of its moment say."""
    out = Path("tiled.parquet")
    person.run("predict", "will_buy", "--category", "jewelry", "--out", str(out))
    registry = Registry(client, ArtifactFolder(Path("data/models")))
    version = registry.get("will_buy", "champion")
    model = load_model(version, registry.content(version))
    plan = compile_set(app.feature_sets["buyer"])
    rows = pq.read_table(out).to_pylist()
    for row in rows:
        at_us = instant_of_text(row["asOf"])
        assert at_us is not None
        measured = read(client.query, Reader(plan), {"S": row["customer"]}, at_us).measured
        values = model.signature.vector(assemble(plan, measured, {}))
        assert row["probability"] == pytest.approx(
            decide(model.score_one(values), model.classes, version.threshold).probability
        )
    return len(rows)
