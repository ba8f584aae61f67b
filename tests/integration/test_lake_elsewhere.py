"""The same sink in production's places: AWS's API through boto3, Glue, and a REST catalogue that wants signed requests."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws
from tests.edge import EdgeInThread
from tests.lake_setup import TABLE, Shop, until

from penstock.database.owner import open_owner
from penstock.errors import StoreUnavailable
from penstock.lake import upkeep
from penstock.lake.api import open_api
from penstock.lake.catalog_rest import CatalogRoutes
from penstock.lake.clock import SystemClock
from penstock.lake.following import Follower
from penstock.lake.iceberg import elsewhere, rest_calls
from penstock.lake.iceberg.catalog import LocalCatalog
from penstock.lake.iceberg.warehouse import Warehouse, open_warehouse
from penstock.lake.listener import HttpError, Listener, Request, Response, Route
from penstock.lake.sink import Fenced, TableSink


@pytest.fixture
def keys(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name, value in {
        "ACCESS_KEY_ID": "key",
        "SECRET_ACCESS_KEY": "secret",
        "DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    return monkeypatch


def _a_life_in(warehouse: Warehouse, folder: Path) -> None:
    """A scan, changes, a rival, a compaction; then the lake is the table."""
    shop = Shop(folder)
    shop.warehouse = warehouse
    for at in range(5):
        shop.put("c1", at, amount={"N": f"{at}.5"})
    shop.pass_time()
    first = shop.sink()
    shop.drain(first)
    shop.put("c1", 2, amount={"S": "changed"})
    shop.delete("c1", 1)
    shop.drain(first)
    second = shop.sink()
    shop.put("c2", 1)
    with pytest.raises(Fenced):
        first.step()
    shop.drain(second)
    upkeep.compact_now(second)
    upkeep.expire_now(second)
    shop.delete("c1", 3)
    shop.drain(second)
    current, raw = warehouse.find("current", TABLE), warehouse.find("raw", TABLE)
    assert current is not None
    assert raw is not None
    rows = current.table.scan(selected_fields=("_key",)).to_arrow()
    assert sorted(rows["_key"].to_pylist()) == sorted(shop.items())
    ordinals = raw.table.scan(selected_fields=("ordinal",)).to_arrow()["ordinal"].to_pylist()
    assert sorted(ordinals) == list(range(9))


# Why: Glue has no lock of ours; the epoch and the guarded commit are all that keep two sinks apart there.
def test_a_sink_writes_through_glue(tmp_path: Path, keys: pytest.MonkeyPatch) -> None:
    with mock_aws():
        _a_life_in(
            open_warehouse({"type": "glue", "warehouse": (tmp_path / "w").as_uri()}), tmp_path / "other"
        )


@dataclass
class Unwell:
    """How a catalogue answers its next requests."""

    status: int = 503
    answers: int = 0


@pytest.fixture
def unwell() -> Unwell:
    return Unwell()


@pytest.fixture
def signed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unwell: Unwell
) -> Iterator[tuple[str, list[str]]]:
    """A REST catalogue that anybody may write, and the signatures that it saw."""
    seen: list[str] = []

    def watched(route: Route) -> Route:
        def handler(request: Request) -> Response:
            seen.append(request.headers.get("authorization", ""))
            if unwell.answers and "/tables" in request.path:
                unwell.answers -= 1
                told = {"message": "not now", "type": "ServiceUnavailable", "code": unwell.status}
                raise HttpError(unwell.status, "not now", {"error": told})
            return route.handler(request)

        return replace(route, handler=handler)

    monkeypatch.setattr(rest_calls, "SINK_NAMESPACES", frozenset())
    routes = CatalogRoutes(LocalCatalog(tmp_path / "rest")).routes()
    listener = Listener([watched(route) for route in routes], 0)
    yield f"http://127.0.0.1:{listener.port}", seen
    listener.close()


# Why: S3 Tables is a REST catalogue whose requests are signed; these are the properties that its page gives.
def test_a_sink_writes_through_a_rest_catalogue_with_signed_requests(
    tmp_path: Path, keys: pytest.MonkeyPatch, signed: tuple[str, list[str]]
) -> None:
    url, seen = signed
    properties = {
        "type": "rest", "uri": url, "warehouse": "arn:aws:s3tables:us-east-1:123456789012:bucket/lake",
        "rest.sigv4-enabled": "true", "rest.signing-name": "s3tables", "rest.signing-region": "us-east-1",
    }  # fmt: skip
    _a_life_in(open_warehouse(properties), tmp_path / "other")
    assert open_warehouse(properties).is_kept
    assert not open_warehouse(tmp_path / "folder").is_kept
    assert seen
    assert all("/us-east-1/s3tables/aws4_request" in authorization for authorization in seen)


# Why: over boto3 binary is bytes and times are datetimes; an image in raw must stay the text that it was.
def test_a_sink_reads_through_boto3(tmp_path: Path, keys: pytest.MonkeyPatch) -> None:
    owner = open_owner(tmp_path / "data")
    try:
        with EdgeInThread(owner) as edge:  # type: ignore[arg-type]  # Any endpoint serves as well as a dict.
            keys.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{edge.port}")
            tables = boto3.client("dynamodb")
            tables.create_table(
                TableName="purchases",
                KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
                AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
                BillingMode="PAY_PER_REQUEST",
                StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
            )
            tables.put_item(
                TableName="purchases", Item={"id": {"S": "a"}, "b": {"B": b"\x00\xff"}, "n": {"N": "1.5"}}
            )
            warehouse = open_warehouse(tmp_path / "lake")
            sink = TableSink(warehouse, open_api("aws:us-east-1"), "purchases", SystemClock(), "w")
            sink.open()
            sink.step()
            tables.put_item(TableName="purchases", Item={"id": {"S": "b"}, "b": {"BS": [b"\x01"]}})
            tables.delete_item(TableName="purchases", Key={"id": {"S": "a"}})
            while sink.position.offset < 3:
                sink.step(500)
            rows = sink.raw.table.table.scan().to_arrow().sort_by("ordinal").to_pylist()
            assert [(row["old_image"], row["new_image"]) for row in rows] == [
                (None, '{"id":{"S":"a"},"b":{"B":"AP8="},"n":{"N":"1.5"}}'),
                (None, '{"id":{"S":"b"},"b":{"BS":["AQ=="]}}'),
                ('{"id":{"S":"a"},"b":{"B":"AP8="},"n":{"N":"1.5"}}', None),
            ]
    finally:
        owner.close()


# Why: a REST catalogue or Glue that is not there for a moment ended the table's flow, and nobody was told.
@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_catalogue_that_fails_for_a_moment_is_asked_again(
    tmp_path: Path, keys: pytest.MonkeyPatch, signed: tuple[str, list[str]], unwell: Unwell, status: int
) -> None:
    url, _ = signed
    shop = Shop(tmp_path / "other")
    shop.warehouse = open_warehouse({"type": "rest", "uri": url})
    for at in range(5):
        shop.put("c1", at)
    shop.pass_time()
    unwell.status, unwell.answers = status, 3
    follower = Follower(TABLE, shop.sink, shop.database.clock, lambda sink: None)
    follower.start()
    until(lambda: follower.flow.offset == 5)
    assert unwell.answers == 0
    follower.stop()
    follower.join()
    raw = shop.warehouse.find("raw", TABLE)
    assert raw is not None
    assert sorted(raw.table.scan().to_arrow()["ordinal"].to_pylist()) == list(range(5))


# Why: pyiceberg waits for ever for an answer; a table's flow would hang with it, and say that it follows.
def test_a_catalogue_that_never_answers_is_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(elsewhere, "ANSWER_S", 0.05)
    with (
        socket.create_server(("127.0.0.1", 0)) as listening,
        pytest.raises(OSError, match="timed out"),
    ):
        open_warehouse({"type": "rest", "uri": f"http://127.0.0.1:{listening.getsockname()[1]}"})


# Why: a throttled call of Glue is boto3's error and of no kind that the sink knew.
def test_what_glue_refuses_is_an_error_that_passes(tmp_path: Path, keys: pytest.MonkeyPatch) -> None:
    with mock_aws():
        warehouse = open_warehouse({"type": "glue", "warehouse": (tmp_path / "w").as_uri()})
        keys.setattr(warehouse.catalog.glue, "get_table", _throttled)  # type: ignore[attr-defined]
        with pytest.raises(StoreUnavailable, match="ThrottlingException"):
            warehouse.find("raw", TABLE)


def _throttled(**_: object) -> None:
    raise ClientError({"Error": {"Code": "ThrottlingException", "Message": "Rate exceeded"}}, "GetTable")
