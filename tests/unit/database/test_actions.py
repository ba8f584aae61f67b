"""The list of actions is AWS's own: each is built, or answers that it is not and where that is written."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.botocore_model import model

from penstock.database.actions import DYNAMODB, MODULES, NOT_BUILT, STREAMS
from penstock.testing.databases import MemoryDatabase

COMPATIBILITY = Path(__file__).parents[3] / "docs" / "compatibility.md"


# Why: botocore's service model is the list of every action; a new one must be noticed, and decided on.
def test_every_action_of_the_service_model_is_built_or_listed_as_not_built() -> None:
    assert set(model("dynamodb")["operations"]) == set(MODULES[DYNAMODB]) | set(NOT_BUILT)
    assert set(model("dynamodbstreams")["operations"]) == set(MODULES[STREAMS])
    assert not set(MODULES[DYNAMODB]) & set(NOT_BUILT)


# Why: an action that is not built says so, in a code that no client sends again, and names the page.
@pytest.mark.parametrize("action", NOT_BUILT)
def test_an_action_that_is_not_built_answers_so_and_is_in_the_compatibility_page(action: str) -> None:
    status, reply = MemoryDatabase().call(action, {})
    assert (status, reply["__type"]) == (400, "com.amazon.coral.service#UnknownOperationException")
    assert reply["message"] == f"{action} is not built in Penstock; docs/compatibility.md lists what is"
    assert f"`{action}`" in COMPATIBILITY.read_text()


# Why: D1 of the wire: what AWS does not know is answered as AWS answers it, with no message at all.
@pytest.mark.parametrize(
    "target", ["DynamoDB_20120810.Nothing", "Penstock.Nothing", "DynamoDBStreams_20120810.GetItem"]
)
def test_an_unknown_action_is_answered_without_a_message(target: str) -> None:
    status, reply = MemoryDatabase().call(target, {})
    assert (status, reply) == (400, {"__type": "com.amazon.coral.service#UnknownOperationException"})
