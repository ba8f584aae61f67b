"""The predictor over the embedded engine, over a running `penstock serve`, and over moto's DynamoDB: the same answers."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from typing import Any

import boto3
import botocore.config
import httpx
import moto
import pytest
from tests.integration.predicting import served
from tests.integration.test_serve_command import serving
from tests.shop import storefront, trained
from tests.upping import until

import penstock
from penstock.app.tables import Table
from penstock.errors import ServiceError
from penstock.models.register import register
from penstock.models.registry import DEFINITION, Registry
from penstock.serving.inference_log import table as log_table

NOW = "2026-11-20T12:00:00Z"
PURCHASES = [
    ("c1", "p1", "2026-11-19T12:00:00.000000Z", "19.99", "jewelry"),
    ("c1", "p2", "2026-11-10T12:00:00Z", "80.01", "books"),
    ("c1", "p3", "2026-10-21T12:00:00.000001Z", "500", "jewelry"),
    ("c1", "p4", "2026-10-21T12:00:00.000000Z", "1", "jewelry"),
    ("c2", "p1", "2026-11-13T12:00:00Z", "7", "jewelry"),
    ("c2", "p2", "2026-11-13T12:00:00.000001Z", "7.7", "jewelry"),
]


@pytest.fixture(params=["embedded", "serve", "moto"])
def client(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    if request.param == "embedded":
        with penstock.connect(f"file:{tmp_path / 'data'}", durability="process") as opened:
            yield opened
    elif request.param == "moto":
        with moto.mock_aws():
            yield penstock.connect("aws:us-east-1", access_key="k", secret_key="s")
    else:
        yield from _running(tmp_path)


def _running(tmp_path: Path) -> Iterator[Any]:
    with serving(tmp_path / "data") as server:
        with penstock.connect(server.url) as opened:
            yield opened
        server.stop()


def fill(client: Any) -> penstock.App:
    app = storefront()
    app.bind(client)
    tables: list[Table] = [*app.tables.values(), log_table()]
    for definition in (*(table.definition() for table in tables), DEFINITION):
        client.create_table(**definition)
    for customer, purchase, at, amount, category in PURCHASES:
        app.tables["Purchases"].put(
            {
                "customer_id": customer,
                "purchase_id": purchase,
                "purchased_at": at,
                "amount": Decimal(amount),
                "category": category,
            }
        )
    registry = Registry(client, user=lambda: "ann")
    register(registry, "will_buy", *trained())
    registry.promote("will_buy", 1)
    return app


# Why: everything above the store speaks DynamoDB's API, so the answers have to be the same whatever is under it: the features
# at the edge of a window, the campaign, the log, the retry.
def test_the_predictor_answers_alike_over_every_store(client: Any) -> None:
    app = fill(client)
    with served(app, client) as url, httpx.Client(base_url=url) as http:
        one = http.get("/predict/will_buy/customer/c1", params={"at": NOW}, headers={"X-Request-Id": "r1"})
        assert one.status_code == 200, one.text
        body = one.json()
        assert body["features"] == {
            "total_purchase_volume_30d": 600.0,
            "purchases_7d": 1,
            "days_since_last": 1.0,
            "jewelry_share_90d": 520.99 / 601.0,
        }
        two = http.get("/predict/will_buy/customer/c2", params={"at": NOW}).json()
        assert two["features"]["purchases_7d"] == 1
        assert (
            http.get(
                "/predict/will_buy/customer/c1", params={"at": NOW}, headers={"X-Request-Id": "r1"}
            ).json()
            == body
        )
        again = http.get("/predict/will_buy/customer/c2", params={"at": NOW}, headers={"X-Request-Id": "r1"})
        assert again.status_code == 409
        lines = http.post("/predict/will_buy/category/jewelry").text.splitlines()
        assert len(lines) == 3
        row = client.get_item(TableName="InferenceMetadata", Key={"requestId": {"S": "r1"}})["Item"]
        assert row["prediction"] == {"S": str(body["prediction"])}


# Why: code that is written against a SageMaker endpoint has to run unchanged: the SDK's own client says whether it does.
def test_boto3s_sagemaker_client_invokes_a_predictor(tmp_path: Path) -> None:
    with penstock.connect(f"file:{tmp_path / 'data'}", durability="process") as client:
        app = fill(client)
        with served(app, client) as url:
            runtime = boto3.client(
                "sagemaker-runtime",
                endpoint_url=url,
                region_name="us-east-1",
                aws_access_key_id="k",
                aws_secret_access_key="s",
            )
            answer = runtime.invoke_endpoint(
                EndpointName="will_buy", ContentType="application/json", Body=b'{"customer_id": "c1"}'
            )
            assert answer["InvokedProductionVariant"] == "will_buy@champion:1"
            assert answer["ContentType"] == "application/json"
            assert b'"prediction"' in answer["Body"].read()
            text = runtime.invoke_endpoint(
                EndpointName="will_buy",
                ContentType="text/csv",
                Accept="text/csv",
                Body=b"100,2,1.5,0.5\n0,0,,0\n",
            )
            lines = text["Body"].read().decode().split()
            assert len(lines) == 2
            assert all(0 < float(line.split(",")[1]) < 1 for line in lines)
            named = runtime.invoke_endpoint(
                EndpointName="will-buy",
                ContentType="application/json",
                Body=b'{"customer_id": "c1"}',
                InferenceId="order 17",
                TargetVariant=answer["InvokedProductionVariant"],
            )
            row = client.get_item(
                TableName="InferenceMetadata",
                Key={"requestId": {"S": named["ResponseMetadata"]["RequestId"]}},
            )
            assert row["Item"]["inferenceId"] == {"S": "order 17"}


# Why: programs tell SageMaker's errors apart by their class, and read a model's own words from a ModelError.
def test_errors_are_the_ones_that_botocore_knows_of_sagemaker(tmp_path: Path) -> None:
    with penstock.connect(f"file:{tmp_path / 'data'}", durability="process") as client:
        app = fill(client)
        with served(app, client) as url:
            runtime = boto3.client(
                "sagemaker-runtime",
                endpoint_url=url,
                region_name="us-east-1",
                aws_access_key_id="k",
                aws_secret_access_key="s",
                config=botocore.config.Config(retries={"max_attempts": 1}),
            )

            def refused(**asked: Any) -> dict[str, Any]:
                known = runtime.exceptions
                with pytest.raises(
                    (known.ValidationError, known.ModelError, known.ServiceUnavailable)
                ) as caught:
                    runtime.invoke_endpoint(**{"EndpointName": "will_buy", "Body": b"{}"} | asked)
                answer: dict[str, Any] = caught.value.response
                assert answer["ResponseMetadata"]["RequestId"]
                return answer

            unknown = refused(EndpointName="nope")
            assert unknown["Error"]["Code"] == "ValidationError"
            assert unknown["Error"]["Message"] == "Endpoint nope of account 000000000000 not found."
            for other in (
                {"TargetModel": "m.tar.gz"},
                {"TargetVariant": "blue"},
                {"InferenceComponentName": "c"},
            ):
                assert refused(**other)["Error"]["Code"] == "ValidationError"
            for asked, status in (
                ({"ContentType": "text/csv", "Body": b"1,2\n"}, 400),
                ({"ContentType": "application/json", "Body": b"{"}, 400),
                ({"ContentType": "image/png"}, 415),
                ({"ContentType": "application/json", "Accept": "image/png"}, 406),
                ({"ContentType": "application/json", "Body": b'{"features": {}}'}, 422),
            ):
                told = refused(**asked)
                assert told["Error"]["Code"] == "ModelError"
                assert told["OriginalStatusCode"] == status
                assert told["OriginalMessage"] in told["Error"]["Message"]
            client.delete_table(TableName="InferenceMetadata")
            asked = {"ContentType": "application/json", "Body": b'{"customer_id": "c1"}'}
            assert refused(**asked)["Error"]["Code"] == "ServiceUnavailable"


_CHILD = """
import asyncio, sys, threading
import uvicorn, uvloop
from penstock.database.open import open_database
from penstock.serving.http import build_app
from penstock.serving.prediction_protocol import PredictionProtocol
from penstock.serving.store import EndpointStore
from tests.shop import storefront
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

async def main():
    loop = asyncio.get_running_loop()
    folder, post = __import__("pathlib").Path(sys.argv[1]), lambda call: loop.call_soon_threadsafe(call)
    database = open_database(folder, post=post, later=loop.call_later)
    store = EndpointStore(database, database.database.view.last_sequence, database.appends)
    protocol = PredictionProtocol if sys.argv[2] == "at once" else HttpToolsProtocol
    config = uvicorn.Config(build_app(storefront(), store), port=0, log_level="error", http=protocol)
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    print(server.servers[0].sockets[0].getsockname()[1], flush=True)
    await task

uvloop.run(main())
"""


# Why: "durable against kill -9 before the answer leaves", on either way to it. The process is killed while eight callers ask
# it; whatever was answered is on record.
@pytest.mark.parametrize("way", ["at once", "by uvicorn"])
def test_a_killed_process_loses_no_answered_inference(tmp_path: Path, way: str) -> None:
    data = tmp_path / "data"
    with penstock.connect(f"file:{data}") as client:
        fill(client)
    environment = {**os.environ, "PYTHONPATH": os.getcwd()}
    process = subprocess.Popen(
        [sys.executable, "-c", _CHILD, str(data), way], stdout=subprocess.PIPE, text=True, env=environment
    )
    answered: list[dict[str, Any]] = []
    try:
        assert process.stdout is not None
        url = f"http://127.0.0.1:{int(process.stdout.readline())}"

        def ask(caller: int) -> None:
            with httpx.Client(base_url=url) as http, suppress(httpx.TransportError):
                while True:
                    answered.append(http.get(f"/predict/will_buy/customer/c{caller % 3}").json())

        callers = [threading.Thread(target=ask, args=(caller,)) for caller in range(8)]
        for each in callers:
            each.start()
        until(lambda: len(answered) > 400)
    finally:
        process.kill()
        process.wait()
    for each in callers:
        each.join()
    with penstock.connect(f"file:{data}") as client:
        for body in answered:
            row = client.get_item(TableName="InferenceMetadata", Key={"requestId": {"S": body["requestId"]}})
            assert row["Item"]["prediction"]["S"] == str(body["prediction"])


# Why: an answer that is not on record must not be given.
def test_an_answer_that_cannot_be_logged_is_not_given(tmp_path: Path) -> None:
    with penstock.connect(f"file:{tmp_path / 'data'}", durability="process") as client:
        app = fill(client)
        client.delete_table(TableName="InferenceMetadata")
        with served(app, client) as url:
            answer = httpx.get(f"{url}/predict/will_buy/customer/c1")
            assert answer.status_code == 503
            assert "log" in answer.json()["message"]
        with pytest.raises(ServiceError):
            client.scan(TableName="InferenceMetadata")
