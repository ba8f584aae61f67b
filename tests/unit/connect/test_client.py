"""One client interface, held to botocore's model, over a server and over boto3."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from tests.edge import EdgeInThread

from penstock.connect.aws import AwsCaller
from penstock.connect.client import Client
from penstock.connect.http import address_of
from penstock.connect.json_caller import JsonCaller
from penstock.connect.requests import REQUESTS
from penstock.connect.urls import connect
from penstock.errors import ServiceError, UsageError
from penstock.wire.signing import AccessKey

MODELS = [botocore.session.get_session().get_service_model(n) for n in ("dynamodb", "dynamodbstreams")]
OPERATIONS = {name: model.operation_model(name) for model in MODELS for name in model.operation_names}


@pytest.fixture
def edge() -> Iterator[EdgeInThread]:
    with EdgeInThread() as running:
        yield running


@pytest.fixture(params=["http", "aws"])
def client(request: pytest.FixtureRequest, edge: EdgeInThread) -> Iterator[Client]:
    """The same calls through our own HTTP and through boto3, to the same server."""
    over_boto3 = Client(AwsCaller("us-east-1", AccessKey("any", "thing"), edge.url))
    with over_boto3, connect(edge.url) as over_http:
        yield over_http if request.param == "http" else over_boto3


# Why: the list of actions and arguments is botocore's; a new member there must show up here.
def test_every_action_takes_what_botocores_model_says() -> None:
    assert REQUESTS.keys() == OPERATIONS.keys()
    for name, operation in OPERATIONS.items():
        shape = operation.input_shape
        assert set(REQUESTS[name].__annotations__) == set(shape.members if shape else {}), name
        assert set(REQUESTS[name].__required_keys__) == set(shape.required_members if shape else []), name


# Why: every action is a method under boto3's name, and nothing else is.
def test_every_action_is_a_method_in_snake_case() -> None:
    actions = {botocore.xform_name(name) for name in OPERATIONS}
    methods = {name for name, _ in inspect.getmembers(Client, inspect.isfunction) if not name.startswith("_")}
    assert methods - actions == {"answer_body", "close", "explain", "checkpoint"}
    assert actions <= methods


# Why: K1 and K3 end to end: bytes go in and come out, answers have boto3's shape and nothing more.
def test_an_item_comes_back_as_it_was_put(client: Client) -> None:
    item: dict[str, dict[str, Any]] = {
        "id": {"S": "1"},
        "b": {"B": b"\x00\xff"},
        "n": {"N": "1.50"},
        "bs": {"BS": [b"x"]},
    }
    assert client.put_item(TableName="table", Item=item) == {}
    assert client.get_item(TableName="table", Key={"id": {"S": "1"}}) == {"Item": item}
    assert client.get_item(TableName="table", Key={"id": {"S": "2"}}) == {}


# Why: code written for ClientError reads err.response["Error"]["Code"].
def test_an_error_answer_is_a_service_error(client: Client) -> None:
    with pytest.raises(ServiceError) as caught:
        client.get_item(TableName="missing", Key={"id": {"S": "1"}})
    assert caught.value.response["Error"] == {
        "Code": "ResourceNotFoundException",
        "Message": "Requested resource not found",
    }
    assert caught.value.status == 400


# Why: a misspelt argument that is silently ignored is a query that reads the wrong thing.
def test_unknown_and_missing_arguments_are_type_errors(client: Client) -> None:
    with pytest.raises(TypeError, match="GetItem has no ConsistentReads"):
        client.get_item(TableName="t", Key={}, ConsistentReads=True)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="GetItem needs Key"):
        client.get_item(TableName="t")  # type: ignore[call-arg]


# Why: floats are the classic mistake; the client says what to write, before or after the server's refusal.
@pytest.mark.parametrize("number", [1.5, 5, Decimal("1.5")])
def test_a_number_that_is_not_text_is_a_type_error(number: Any) -> None:
    refusal = b'{"__type":"com.amazon.coral.service#SerializationException","Message":"NUMBER_VALUE"}'

    class Refuses:
        def send(self, target: str, body: bytes, wait_ms: int) -> tuple[int, bytes]:
            return 400, refusal

        def close(self) -> None:
            raise AssertionError("not closed by a call")

    with pytest.raises(TypeError, match=r'Item\.price\.N: a number is text, write {"N": "1?5?'):
        JsonCaller(Refuses()).call("PutItem", {"TableName": "t", "Item": {"price": {"N": number}}})
    with pytest.raises(ServiceError, match="Serialization"):
        JsonCaller(Refuses()).call("PutItem", {"TableName": "t", "Item": {"price": {"N": "1.5"}}})


# Why: sent again without its token, a transaction whose answer was lost would be applied twice.
def test_transactions_carry_a_token_of_their_own(edge: EdgeInThread) -> None:
    with connect(edge.url) as client:
        for _ in range(2):
            with pytest.raises(ServiceError):
                client.transact_write_items(TransactItems=[])
        with pytest.raises(ServiceError):
            client.transact_write_items(TransactItems=[], ClientRequestToken="mine")
    bodies = [body for _, body, _ in edge.endpoint.starts]
    assert all(b'"ClientRequestToken":"' in body for body in bodies)
    assert len(set(bodies)) == 3
    assert b'"mine"' in bodies[2]


# Why: in process a campaign's threads and the engine share one interpreter, elsewhere they wait for it: one asks otherwise than many.
def test_a_client_tells_whether_the_engine_runs_here(edge: EdgeInThread, tmp_path: Path) -> None:
    with connect(f"file:{tmp_path}/data") as here, connect(edge.url) as elsewhere:
        over_boto3 = Client(AwsCaller("us-east-1", AccessKey("any", "thing"), edge.url))
        assert [each.runs_engine for each in (here, elsewhere, over_boto3)] == [True, False, False]


# Why: Penstock's own actions go where Penstock is, and say so where it is not.
def test_own_actions_are_not_awss(edge: EdgeInThread) -> None:
    with connect(edge.url) as client, pytest.raises(ServiceError):
        client.explain("GetItem", {"TableName": "t"})
    assert edge.endpoint.starts[0][0] == "Penstock.Explain"
    with Client(AwsCaller("us-east-1", AccessKey("a", "b"), edge.url)) as aws, pytest.raises(UsageError):
        aws.explain("GetItem", {"TableName": "t"})


# Why: a URL is typed by hand; every mistake in it gets words.
@pytest.mark.parametrize(
    ("url", "options", "says"),
    [
        ("data", {}, "is not one of"),
        ("ftp://x", {}, "is not one of"),
        ("file:", {}, "names no directory"),
        ("file://host/data", {}, "names no directory"),
        ("file:./x", {"access_key": "a", "secret_key": "b"}, "needs no region and no keys"),
        ("http://127.0.0.1:1", {"access_key": "a"}, "belong together"),
        ("http://127.0.0.1:1", {"durability": "process"}, "durability belongs"),
        ("aws:", {}, "write the region once"),
        ("aws:us-east-1", {"region": "eu-west-1"}, "write the region once"),
    ],
)
def test_a_wrong_url_is_explained(url: str, options: dict[str, str], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        connect(url, **options)


# Why: the address of a server may have a path, and https has its own port.
def test_addresses_are_read_from_urls() -> None:
    assert address_of("http://127.0.0.1:8000").path == "/"
    assert address_of("https://db.example/api").path == "/api"
    assert address_of("http://[::1]:8000").host == "[::1]:8000"
