"""Tags: put, replaced, taken away, listed, and the two that Penstock reads itself."""

from __future__ import annotations

from typing import Any

import pytest
from tests.tables import table_request

from penstock.errors import ServiceError
from penstock.testing.databases import MemoryDatabase, memory_database

ARN = "arn:aws:dynamodb:us-east-1:000000000000:table/music"
ENABLE: dict[str, Any] = {"StreamSpecification": {"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"}}


@pytest.fixture
def db() -> MemoryDatabase:
    made = memory_database()
    made.ask("CreateTable", **table_request())
    return made


def tag(db: MemoryDatabase, **tags: str) -> None:
    pairs = [{"Key": key.replace("__", ":").replace("_", "-"), "Value": value} for key, value in tags.items()]
    assert db.ask("TagResource", ResourceArn=ARN, Tags=pairs) == {}


def listed(db: MemoryDatabase) -> dict[str, str]:
    reply = db.ask("ListTagsOfResource", ResourceArn=ARN)
    return {tag["Key"]: tag["Value"] for tag in reply["Tags"]}


def refused(db: MemoryDatabase, action: str, **request: Any) -> tuple[str, str]:
    with pytest.raises(ServiceError) as caught:
        db.ask(action, **{"ResourceArn": ARN} | request)
    assert caught.value.message is not None
    return caught.value.code, caught.value.message.removeprefix("One or more parameter values were invalid: ")


def test_tags_are_added_replaced_and_taken_away(db: MemoryDatabase) -> None:
    tag(db, env="test", team="data")
    tag(db, env="production")
    assert listed(db) == {"env": "production", "team": "data"}
    db.ask("UntagResource", ResourceArn=ARN, TagKeys=["team", "never-there"])
    assert listed(db) == {"env": "production"}


# Why: AWS checks the number of tags after the merge, and takes all of a request or nothing.
def test_a_table_has_at_most_fifty_tags(db: MemoryDatabase) -> None:
    tag(db, **{f"k{number}": "v" for number in range(50)})
    tag(db, k7="other")
    limit = ("ValidationException", "Number of Tags exceed the current limit for the provided ResourceArn")
    assert refused(db, "TagResource", Tags=[{"Key": "k7", "Value": ""}, {"Key": "k50", "Value": ""}]) == limit
    assert len(listed(db)) == 50
    assert listed(db)["k7"] == "other"


@pytest.mark.parametrize(
    ("tags", "message"),
    [
        ([], "Atleast one Tag needs to be provided as Input."),
        ([{"Value": "b"}], "The Tag Key provided is invalid, Key: null"),
        ([{"Key": "a"}], "The Tag Value provided is invalid, Value: null"),
        ([{"Key": "", "Value": ""}], "The Tag Key provided is invalid, Key: "),
        ([{"Key": "k" * 129, "Value": ""}], "The Tag Key provided is invalid, Key: " + "k" * 129),
        ([{"Key": "100%", "Value": ""}], "The Tag Key provided is invalid, Key: 100%"),
        ([{"Key": "a", "Value": "x,y"}], "The Tag Value provided is invalid, Value: x,y"),
        ([{"Key": "aws:a", "Value": ""}], "Tag Key cannot be prefixed with aws:, Key: aws:a"),
        (
            [{"Key": "a", "Value": "1"}, {"Key": "a", "Value": "2"}],
            "Duplicate Tag Keys provided as input: Duplicate Tag Key found a",
        ),
    ],
)
def test_wrong_tags_are_refused_in_aws_words(
    db: MemoryDatabase, tags: list[dict[str, str]], message: str
) -> None:
    assert refused(db, "TagResource", Tags=tags) == ("ValidationException", message)


def test_letters_of_any_script_make_a_tag(db: MemoryDatabase) -> None:
    tag(db, ключ="a+b-c=d.e_f:g/h@i 表")
    assert listed(db) == {"ключ": "a+b-c=d.e_f:g/h@i 表"}


# Why: what each action answers for a table that is not there differs, and programs tell by it.
def test_an_arn_that_names_no_table_is_refused(db: MemoryDatabase) -> None:
    tags = [{"Key": "a", "Value": ""}]
    assert refused(db, "TagResource", ResourceArn="music", Tags=tags) == (
        "ValidationException",
        "ARNs must start with 'arn:': music",
    )
    for elsewhere in (ARN + "2", ARN.replace("000000000000", "123456789012")):
        assert refused(db, "TagResource", ResourceArn=elsewhere, Tags=tags) == (
            "ResourceNotFoundException",
            f"Requested resource not found: ResourceArn: {elsewhere} not found",
        )
        assert refused(db, "ListTagsOfResource", ResourceArn=elsewhere)[0] == "AccessDeniedException"
    assert refused(db, "ListTagsOfResource", ResourceArn=ARN + "/index/by_a")[1].startswith(
        "Invalid resource arn provided, only table or stream is accepted."
    )


# Why: the retention holds at once, the number of shards with the next stream.
def test_penstocks_own_tags_set_a_tables_streams(db: MemoryDatabase) -> None:
    db.ask("UpdateTable", TableName="music", **ENABLE)
    tag(db, penstock__stream_shards="4", penstock__stream_retention_hours="8760")
    (stream,) = db.database.view.streams()
    assert (len(stream.shards), stream.retention_s) == (1, 365 * 24 * 3600)
    assert db.database.view.table("music").stream == stream
    db.ask("UpdateTable", TableName="music", StreamSpecification={"StreamEnabled": False})
    db.clock.advance(1)
    db.ask("UpdateTable", TableName="music", **ENABLE)
    assert len(db.database.view.streams()[-1].shards) == 4
    db.ask("UntagResource", ResourceArn=ARN, TagKeys=["penstock:stream-retention-hours"])
    assert db.database.view.streams()[-1].retention_s == 24 * 3600


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("penstock:stream-shards", "0"),
        ("penstock:stream-shards", "many"),
        ("penstock:stream-retention-hours", "23"),
        ("penstock:stream-retention-hours", "8761"),
    ],
)
def test_a_setting_out_of_its_range_is_refused(db: MemoryDatabase, key: str, value: str) -> None:
    code, message = refused(db, "TagResource", Tags=[{"Key": key, "Value": value}])
    assert code == "ValidationException"
    assert message.startswith(f"The tag {key} takes a whole number from ")
