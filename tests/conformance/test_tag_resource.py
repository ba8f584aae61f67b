"""TagResource over the wire."""

from __future__ import annotations

from typing import Any

import pytest
from tests.conformance.answers import refused
from tests.conformance.conftest import NewTable


def tags_of(db: Any, arn: str) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in db.list_tags_of_resource(ResourceArn=arn)["Tags"]}


@pytest.fixture
def arn(db: Any, new_table: NewTable) -> str:
    return str(db.describe_table(TableName=new_table())["Table"]["TableArn"])


# Why: [A] new keys are added and those that are there get their new value.
def test_tags_are_added_and_replaced(db: Any, arn: str) -> None:
    db.tag_resource(ResourceArn=arn, Tags=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": ""}])
    db.tag_resource(ResourceArn=arn, Tags=[{"Key": "a", "Value": "2"}])
    assert tags_of(db, arn) == {"a": "2", "b": ""}


# Why: [Q] 50 tags; [A] the names that tags may have.
@pytest.mark.parametrize(
    "tags",
    [
        [{"Key": str(number), "Value": ""} for number in range(51)],
        [{"Key": "a" * 129, "Value": ""}],
        [{"Key": "a", "Value": "v" * 257}],
        [{"Key": "aws:own", "Value": ""}],
        [{"Key": "", "Value": ""}],
    ],
)
def test_tags_beyond_what_is_allowed_are_refused(db: Any, arn: str, tags: list[dict[str, str]]) -> None:
    with refused("ValidationException"):
        db.tag_resource(ResourceArn=arn, Tags=tags)
    assert tags_of(db, arn) == {}


# Why: what is no ARN, and a table that is not there.
def test_a_wrong_arn_is_told(db: Any, arn: str) -> None:
    tags = [{"Key": "a", "Value": "1"}]
    with refused("ValidationException"):
        db.tag_resource(ResourceArn="not-an-arn", Tags=tags)
    with refused("ResourceNotFoundException"):
        db.tag_resource(ResourceArn=arn + "-not-there", Tags=tags)
