"""Penstock's own actions: explanations that write nothing, and checkpoints that open as databases."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest
from tests.tables import definitions, index, table_request

from penstock.database.check import check
from penstock.database.owner import open_owner
from penstock.errors import ServiceError
from penstock.store.rocks import open_store
from penstock.testing.databases import MemoryDatabase

PUT = b'{"TableName":"music","Item":{"pk":{"S":"a"}}}'


def music(items: int) -> MemoryDatabase:
    db = MemoryDatabase()
    indexes = [index("by_year", "year", "sk")]
    db.ask(
        "CreateTable",
        **table_request(
            keys="pk sk",
            AttributeDefinitions=definitions(pk="S", sk="S", year="N"),
            GlobalSecondaryIndexes=indexes,
        ),
    )
    for number in range(items):
        item = {"pk": {"S": "a"}, "sk": {"S": f"{number:04d}"}, "year": {"N": "2001"}, "x": {"S": "x" * 990}}
        db.ask("PutItem", TableName="music", Item=item)
    return db


def explained(db: MemoryDatabase, action: str, per_second: float = 1, **request: Any) -> dict[str, Any]:
    return db.ask("Explain", Action=action, Request=request, PerSecond=per_second)


# Why: the figures are the request's own: what it reads is what is billed, 1 KB items two to a unit's 4 KB half.
def test_a_query_is_explained_by_what_it_reads() -> None:
    db = music(20)
    told = explained(
        db,
        "Query",
        TableName="music",
        KeyConditionExpression="pk = :pk",
        ExpressionAttributeValues={":pk": {"S": "a"}},
    )
    consumed = db.ask(
        "Query",
        TableName="music",
        KeyConditionExpression="pk = :pk",
        ExpressionAttributeValues={":pk": {"S": "a"}},
        ReturnConsumedCapacity="TOTAL",
    )["ConsumedCapacity"]["CapacityUnits"]
    assert (told["Access"], told["ItemsRead"], told["ItemsReturned"]) == (
        "one partition of the table",
        20,
        20,
    )
    assert told["ReadUnits"] == consumed
    assert told["MonthlyDollars"] == pytest.approx(consumed * 0.125e-6 * 730 * 3600)
    assert told["Warnings"] == []


# Why: issue text: a Scan, a filter that throws most away and a hot key are each told.
def test_a_scan_that_throws_its_items_away_is_warned_of() -> None:
    told = explained(
        music(20),
        "Scan",
        TableName="music",
        FilterExpression="sk = :sk",
        ExpressionAttributeValues={":sk": {"S": "0001"}},
    )
    assert told["ItemsReturned"] == 1
    assert any("Scan reads, and bills" in warning for warning in told["Warnings"])
    assert any("throws away 19 of the 20 items" in warning for warning in told["Warnings"])


# Why: as above; 1,000 write units a second is what AWS serves of one key.
def test_a_hot_key_is_warned_of() -> None:
    request = {"TableName": "music", "Item": {"pk": {"S": "a"}, "sk": {"S": "b"}}}
    assert not any("hot key" in text for text in explained(music(0), "PutItem", 900, **request)["Warnings"])
    assert any("hot key" in text for text in explained(music(0), "PutItem", 1100, **request)["Warnings"])


# Why: whoever asks what a write costs does not want it done.
@pytest.mark.parametrize(
    ("action", "request_"),
    [
        ("PutItem", {"TableName": "music", "Item": {"pk": {"S": "a"}, "sk": {"S": "new"}}}),
        ("DeleteItem", {"TableName": "music", "Key": {"pk": {"S": "a"}, "sk": {"S": "0000"}}}),
        ("ExecuteStatement", {"Statement": "INSERT INTO music VALUE {'pk': 'a', 'sk': 'new'}"}),
    ],
)
def test_an_explained_write_counts_write_units_and_writes_nothing(
    action: str, request_: dict[str, Any]
) -> None:
    db = music(3)
    before = db.ask("Scan", TableName="music")
    told = explained(db, action, **request_)
    assert told["WriteUnits"] >= 1
    assert told["ReadUnits"] == 0
    assert told["RecordsWritten"] >= 1
    assert db.ask("Scan", TableName="music") == before


# Why: a request that AWS would refuse has no cost, and the reason is AWS's own.
def test_a_request_that_is_refused_is_answered_as_ever() -> None:
    with pytest.raises(ServiceError, match="Requested resource not found"):
        explained(music(0), "GetItem", TableName="other", Key={"pk": {"S": "a"}})


# Why: AWS ignores members that an action does not have, whatever they hold; so does what is told of the request.
def test_members_of_other_actions_are_ignored() -> None:
    request: dict[str, Any] = {
        "Statement": "SELECT * FROM music WHERE pk = 'a'",
        "Statements": [{"Statement": []}],
    }
    told = explained(music(3), "ExecuteStatement", **request)
    assert told["ReadUnits"] > 0
    assert told["WriteUnits"] == 0


# Why: mistakes in the question are the caller's, not a fault of the server.
@pytest.mark.parametrize(
    "wrong",
    [
        {"Action": "CreateTable"},
        {"Action": ["GetItem"]},
        {"Request": []},
        {"PerSecond": -1},
        {"PerSecond": True},
        {"PerSecond": "many"},
    ],
)
def test_a_wrong_question_is_a_validation_error(wrong: dict[str, Any]) -> None:
    question = {"Action": "GetItem", "Request": {"TableName": "music"}, "PerSecond": 1} | wrong
    status, reply = music(0).call("Explain", question)
    assert (status, reply["__type"].rpartition("#")[2]) == (400, "ValidationException")


# Why: what is explained was read from what is durable, like any answer.
def test_an_explanation_waits_for_the_writes_that_it_read() -> None:
    db = music(0)
    db.start("PutItem", TableName="music", Item={"pk": {"S": "a"}, "sk": {"S": "b"}})
    key = {"pk": {"S": "a"}, "sk": {"S": "b"}}
    answers = db.start("Explain", Action="GetItem", Request={"TableName": "music", "Key": key})
    assert answers == []
    db.settle()
    assert answers[0][1]["ItemsRead"] == 1


# Why: the checkpoint is what `penstock check` reads of a served directory: whole, sound, and not the live files.
def test_a_checkpoint_opens_as_a_sound_store_and_replaces_the_one_before(tmp_path: Path) -> None:
    owner = open_owner(tmp_path / "data")
    create = orjson.dumps(table_request("music", "pk"))
    assert owner.call("DynamoDB_20120810.CreateTable", create)[0] == 200
    counts = []
    for number in range(2):
        owner.call("DynamoDB_20120810.PutItem", PUT.replace(b'"a"', b'"%d"' % number))
        status, answer = owner.call("Penstock.Checkpoint", b"{}")
        assert (status, orjson.loads(answer)) == (200, {"Path": str(tmp_path / "data" / "checkpoint")})
        store = open_store(tmp_path / "data" / "checkpoint", read_only=True)
        report = check(store)
        store.close()
        assert report.sound
        counts.append(report.items)
    owner.close()
    assert counts == [1, 2]
    again = open_owner(tmp_path / "data")
    assert orjson.loads(again.call("DynamoDB_20120810.Scan", b'{"TableName":"music"}')[1])["Count"] == 2
    again.close()


# Why: a database in memory has no files, and says so instead of failing.
def test_a_checkpoint_of_a_database_in_memory_is_refused() -> None:
    with pytest.raises(ServiceError, match="no files"):
        music(0).ask("Checkpoint")
