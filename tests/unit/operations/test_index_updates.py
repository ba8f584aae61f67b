"""Global indexes of a table in use: they come and go while it is written to, and an index added later ends up the same
as one that was there from the start."""

from __future__ import annotations

import random
from typing import Any

import pytest
from tests.tables import definitions, index, table_request

from penstock.database.backfill import STEP_RECORDS, backfill
from penstock.database.check import check
from penstock.errors import ServiceError
from penstock.testing.databases import MemoryDatabase, memory_database

LIMIT = "Subscriber limit exceeded: Only 1 online index can be created or deleted simultaneously per table"


@pytest.fixture
def db() -> MemoryDatabase:
    made = memory_database()
    made.ask("CreateTable", **table_request())
    return made


def create(db: MemoryDatabase, name: str = "by_a", attribute: str = "a", **more: Any) -> dict[str, Any]:
    reply = db.ask(
        "UpdateTable",
        TableName="music",
        AttributeDefinitions=definitions(**{attribute: "S"}),
        GlobalSecondaryIndexUpdates=[{"Create": index(name, attribute, **more)}],
    )
    description: dict[str, Any] = reply["TableDescription"]
    return description


def delete(db: MemoryDatabase, name: str = "by_a") -> dict[str, Any]:
    reply = db.ask(
        "UpdateTable", TableName="music", GlobalSecondaryIndexUpdates=[{"Delete": {"IndexName": name}}]
    )
    description: dict[str, Any] = reply["TableDescription"]
    return description


def described(db: MemoryDatabase) -> dict[str, Any]:
    table: dict[str, Any] = db.ask("DescribeTable", TableName="music")["Table"]
    return table


def put(db: MemoryDatabase, number: int, a: dict[str, str] | None = None) -> None:
    item: dict[str, Any] = {"pk": {"S": str(number)}}
    db.ask("PutItem", TableName="music", Item=item if a is None else item | {"a": a})


def members(db: MemoryDatabase) -> set[str]:
    scanned = db.ask("Scan", TableName="music", IndexName="by_a")
    return {item["pk"]["S"] for item in scanned["Items"]}


def refused(db: MemoryDatabase, *updates: dict[str, Any], **more: Any) -> tuple[str, str]:
    with pytest.raises(ServiceError) as caught:
        db.ask("UpdateTable", TableName="music", GlobalSecondaryIndexUpdates=list(updates), **more)
    assert caught.value.message is not None
    return caught.value.code, caught.value.message.removeprefix("One or more parameter values were invalid: ")


# Why: "the transitions can be seen, and take no longer than they must": an empty table waits for one tick.
def test_a_new_index_is_creating_until_it_is_filled(db: MemoryDatabase) -> None:
    for shown in (create(db), described(db)):
        assert shown["TableStatus"] == "UPDATING"
        (by_a,) = shown["GlobalSecondaryIndexes"]
        assert (by_a["IndexStatus"], by_a["Backfilling"]) == ("CREATING", True)
    db.tick()
    table = described(db)
    assert table["TableStatus"] == "ACTIVE"
    (by_a,) = table["GlobalSecondaryIndexes"]
    assert by_a["IndexStatus"] == "ACTIVE"
    assert "Backfilling" not in by_a
    assert [d["AttributeName"] for d in table["AttributeDefinitions"]] == ["a", "pk"]


# Why: B3 in database/backfill.py; and such an item must still be written and deleted afterwards.
def test_items_not_fit_for_the_key_stay_out_and_can_be_mended(db: MemoryDatabase) -> None:
    put(db, 1, {"S": "x"})
    put(db, 2, {"N": "7"})
    put(db, 3, {"S": ""})
    put(db, 4, {"S": "x" * 2049})
    put(db, 5)
    create(db)
    db.tick()
    assert members(db) == {"1"}
    for number in (2, 3, 4):
        put(db, number, {"S": "mended"})
    assert members(db) == {"1", "2", "3", "4"}
    db.ask("DeleteItem", TableName="music", Key={"pk": {"S": "2"}})
    assert check(db.store).findings == []


# Why: entries that writes put, move and take away while the walk is somewhere else are the risky part.
@pytest.mark.parametrize("seed", range(12))
def test_an_index_filled_under_writes_is_complete_and_counted(db: MemoryDatabase, seed: int) -> None:
    chance = random.Random(seed)

    def write() -> None:
        number = chance.randrange(400)
        if chance.random() < 0.3:
            db.ask("DeleteItem", TableName="music", Key={"pk": {"S": str(number)}})
        else:
            put(db, number, chance.choice([None, {"S": "x"}, {"S": "y"}]))

    for _ in range(300):
        write()
    create(db)
    job = backfill(db.database)
    while described(db)["TableStatus"] == "UPDATING":
        for _ in range(chance.randrange(20)):
            write()
        next(job)
        if chance.random() < 0.05:
            job = backfill(db.database)  # As after a restart.
    for _ in range(50):
        write()
    assert check(db.store).findings == []
    (by_a,) = described(db)["GlobalSecondaryIndexes"]
    assert by_a["ItemCount"] == len(members(db))


# Why: a name given again while the first walk is on its way must not end half filled, nor leave entries behind.
def test_an_index_deleted_and_made_again_while_it_is_filled_is_complete(db: MemoryDatabase) -> None:
    for number in range(STEP_RECORDS * 3):
        put(db, number, {"S": "x"})
    create(db)
    job = backfill(db.database)
    next(job)
    delete(db)
    create(db)
    while described(db)["TableStatus"] == "UPDATING":
        next(job)
    assert len(members(db)) == STEP_RECORDS * 3
    assert check(db.store).findings == []


# Why: a write does not know whether the entry that it takes away was there yet, so nobody may count it.
def test_the_count_of_an_index_being_filled_is_never_negative(db: MemoryDatabase) -> None:
    put(db, 1, {"S": "x"})
    create(db)
    db.ask("DeleteItem", TableName="music", Key={"pk": {"S": "1"}})
    (by_a,) = described(db)["GlobalSecondaryIndexes"]
    assert (by_a["ItemCount"], by_a["IndexSizeBytes"]) == (0, 0)


def test_a_table_deleted_after_its_index_leaves_nothing(db: MemoryDatabase) -> None:
    for number in range(STEP_RECORDS * 2):
        put(db, number, {"S": "x"})
    create(db)
    job = backfill(db.database)
    next(job)
    delete(db)
    db.ask("DeleteTable", TableName="music")
    next(job)
    assert check(db.store).findings == []


def test_a_deleted_index_is_gone_for_the_next_request(db: MemoryDatabase) -> None:
    create(db)
    db.tick()
    shown = delete(db)
    assert shown["TableStatus"] == "UPDATING"
    assert [i["IndexStatus"] for i in shown["GlobalSecondaryIndexes"]] == ["DELETING"]
    table = described(db)
    assert table["TableStatus"] == "ACTIVE"
    assert "GlobalSecondaryIndexes" not in table
    # Attributes that no key uses any more go with it.
    assert table["AttributeDefinitions"] == definitions(pk="S")


def test_one_index_comes_or_goes_at_a_time(db: MemoryDatabase) -> None:
    both = [{"Create": index("by_a", "a")}, {"Create": index("by_b", "b")}]
    types = {"AttributeDefinitions": definitions(a="S", b="S")}
    assert refused(db, *both, **types) == ("LimitExceededException", LIMIT)
    create(db)
    assert refused(db, both[1], **types) == ("LimitExceededException", LIMIT)


# Why: what waits for an index on AWS waits for it here.
def test_while_an_index_is_filled_other_changes_are_in_use(db: MemoryDatabase) -> None:
    create(db)
    use = "Attempt to change a resource which is still in use: "
    waiting: list[tuple[dict[str, Any], str]] = [
        (
            {
                "BillingMode": "PROVISIONED",
                "ProvisionedThroughput": {"ReadCapacityUnits": 1, "WriteCapacityUnits": 1},
            },
            "Can't change table IOPS when an index is being created. Table: music Indexes: [by_a]",
        ),
        (
            {"StreamSpecification": {"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"}},
            "Can't change stream status when an index is being created",
        ),
        ({"TableClass": "STANDARD"}, "Table is being updated: music"),
    ]
    for request, message in waiting:
        status, reply = db.call("UpdateTable", {"TableName": "music", **request})
        assert (status, reply["__type"].rpartition("#")[2]) == (400, "ResourceInUseException")
        assert reply["message"] == use + message
    status, reply = db.call("DeleteTable", {"TableName": "music"})
    assert (
        reply["message"] == use + "Cannot delete table while indexes are being created, updated, or deleted."
    )
    db.ask("UpdateTable", TableName="music", DeletionProtectionEnabled=False)


def test_wrong_updates_are_refused_in_aws_words(db: MemoryDatabase) -> None:
    create(db)
    db.tick()
    new = {"Create": index("by_b", "b")}
    gone = {"Delete": {"IndexName": "ghost"}}
    types = {"AttributeDefinitions": definitions(b="S")}
    for updates, more, code, message in [
        ([{"Create": index("by_a", "b")}], types, "ValidationException", "Attempting to create an index which already exists"),
        ([new], {}, "ValidationException", "AttributeDefinitions is not specified for index: by_b"),
        (
            [new],
            {"AttributeDefinitions": definitions(c="S")},
            "ValidationException",
            "Some index key attributes are not defined in AttributeDefinitions. "
            "Keys: [b], AttributeDefinitions: [c, pk, a]",
        ),
        ([gone], {}, "ResourceNotFoundException", "Requested resource not found: Index ghost for table music"),
        (
            [gone, {"Update": {"IndexName": "ghost"}}],
            {},
            "ValidationException",
            "Only one global secondary index update per index is allowed simultaneously. Index: ghost",
        ),
        (
            [{**gone, **new}],
            types,
            "ValidationException",
            "Only one global secondary index action is allowed per GlobalSecondaryIndexUpdate object",
        ),
        (
            [{"Update": {"IndexName": "by_a"}}],
            {},
            "ValidationException",
            "The only Updates for index: by_a when TableThroughputMode is PAY_PER_REQUEST can be to "
            "OnDemandThroughput, WarmThroughput",
        ),
    ]:  # fmt: skip
        assert refused(db, *updates, **more) == (code, message)


def test_a_twenty_first_index_is_over_the_limit(db: MemoryDatabase) -> None:
    for number in range(20):
        create(db, f"by_a{number}")
        db.pass_time(1)
    with pytest.raises(ServiceError) as caught:
        create(db, "by_a20")
    assert (caught.value.code, caught.value.message) == (
        "LimitExceededException",
        "Subscriber limit exceeded: Number of global secondary indexes exceeds per-table limit of 20",
    )


def test_a_local_index_is_no_business_of_updates(db: MemoryDatabase) -> None:
    db.ask(
        "CreateTable",
        **table_request(
            "other",
            "pk sk",
            AttributeDefinitions=definitions(pk="S", sk="S", l="S"),
            LocalSecondaryIndexes=[index("by_l", "pk", "l")],
        ),
    )
    with pytest.raises(ServiceError) as caught:
        db.ask(
            "UpdateTable", TableName="other", GlobalSecondaryIndexUpdates=[{"Delete": {"IndexName": "by_l"}}]
        )
    assert caught.value.message == "Cannot delete an index that is not a GlobalSecondaryIndex: by_l"
