"""Black-box tests of each action with boto3: `pytest tests/conformance --endpoint URL` points them at any endpoint.

Without the option they start `penstock serve` in a process of its own. Every answer of whichever endpoint is held to
botocore's service model: a member that it does not know, lacks or types differently fails the test that asked for it.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, Protocol

import boto3
import orjson
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from tests.botocore_model import model, response_faults
from tests.tables import table_request

from penstock.cli.crash_test import Child

# Errors that any action may answer with and that the model lists for none.
GENERAL_ERRORS = frozenset(
    {
        "AccessDeniedException",
        "IncompleteSignatureException",
        "SerializationException",
        "UnknownOperationException",
        "ValidationException",
    }
)
_names = itertools.count()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--endpoint", help="URL of the endpoint to test instead of our own")


@pytest.fixture(scope="session")
def endpoint(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    given = request.config.getoption("--endpoint", default=None)
    if given:
        yield given
        return
    child = Child(tmp_path_factory.mktemp("conformance") / "data")
    yield child.url
    child.kill()


def connected(service: str, url: str) -> Any:
    """boto3's client without its own checks, so that what is wrong reaches the endpoint."""
    config = Config(parameter_validation=False, retries={"total_max_attempts": 3, "mode": "standard"})
    client = boto3.client(
        service,
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id="x",
        aws_secret_access_key="x",
        config=config,
    )

    def hold_to_the_model(operation_model: Any, response_dict: Any, **more: Any) -> None:
        body = orjson.loads(response_dict["body"])
        action = operation_model.name
        if response_dict["status_code"] == 200:
            assert response_faults(service, action, body) == []
        else:
            code = body["__type"].rpartition("#")[2]
            named = {error["shape"] for error in model(service)["operations"][action].get("errors", [])}
            assert code in named | GENERAL_ERRORS, f"{action} does not answer with {code}"

    client.meta.events.register(f"before-parse.{service}", hold_to_the_model)
    return client


@pytest.fixture(scope="session")
def db(endpoint: str) -> Any:
    return connected("dynamodb", endpoint)


@pytest.fixture(scope="session")
def streams(endpoint: str) -> Any:
    return connected("dynamodbstreams", endpoint)


class NewTable(Protocol):
    def __call__(self, keys: str = "pk", **more: Any) -> str: ...


@pytest.fixture
def new_table(db: Any) -> Iterator[NewTable]:
    """Makes tables that are ACTIVE, and deletes them after the test; see tests/tables.py for what it takes."""
    made: list[str] = []

    def make(keys: str = "pk", **more: Any) -> str:
        name = new_name()
        made.append(name)
        db.create_table(**table_request(name, keys, **more))
        wait_until_active(db, name)
        return name

    yield make
    for name in made:
        with suppress(ClientError):
            db.delete_table(TableName=name)


def new_name() -> str:
    return f"conformance-{os.getpid()}-{next(_names)}"


def wait_until_active(db: Any, name: str) -> None:
    db.get_waiter("table_exists").wait(TableName=name)


@pytest.fixture
def is_penstock(request: pytest.FixtureRequest) -> bool:
    """For what AWS leaves open, or takes days for."""
    return not request.config.getoption("--endpoint", default=None)
