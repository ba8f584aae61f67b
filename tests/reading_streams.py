"""A table with a stream, and its records read as a consumer reads them: what the tests of streams share."""

from __future__ import annotations

from typing import Any

from penstock.engine.shards import plan_split, shard_id
from penstock.model.tables import Stream
from penstock.testing.databases import MemoryDatabase

Record = dict[str, Any]
HOUR_S = 3600


def make_table(
    db: MemoryDatabase,
    name: str = "things",
    *,
    view: str = "NEW_AND_OLD_IMAGES",
    shards: int = 1,
    retention_hours: int = 24,
) -> str:
    """A table of partition key `pk` with a stream; its ARN."""
    table = db.ask(
        "CreateTable",
        TableName=name,
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        BillingMode="PAY_PER_REQUEST",
        StreamSpecification={"StreamEnabled": True, "StreamViewType": view},
        Tags=[
            {"Key": "penstock:stream-shards", "Value": str(shards)},
            {"Key": "penstock:stream-retention-hours", "Value": str(retention_hours)},
        ],
    )["TableDescription"]
    return str(table["LatestStreamArn"])


def put(db: MemoryDatabase, key: str, value: int, table: str = "things") -> None:
    db.ask("PutItem", TableName=table, Item={"pk": {"S": key}, "v": {"N": str(value)}})


def stream_of(db: MemoryDatabase, table: str = "things") -> Stream:
    """The newest stream of a table, there or gone."""
    return [stream for stream in db.database.view.streams() if stream.table_name == table][-1]


def shards_of(db: MemoryDatabase, arn: str) -> list[dict[str, Any]]:
    shards = db.ask("DescribeStream", StreamArn=arn)["StreamDescription"]["Shards"]
    assert isinstance(shards, list)
    return shards


def id_of(db: MemoryDatabase, number: int, table: str = "things") -> str:
    return shard_id(stream_of(db, table), number)


def split(db: MemoryDatabase, number: int, table: str = "things") -> None:
    db.database.context()
    db.database.apply(plan_split(db.database.view, stream_of(db, table).id, number))


def iterator(db: MemoryDatabase, arn: str, shard: str, type_: str, **more: Any) -> str:
    reply = db.ask("GetShardIterator", StreamArn=arn, ShardId=shard, ShardIteratorType=type_, **more)
    return str(reply["ShardIterator"])


def read_shard(db: MemoryDatabase, at: str | None, limit: int = 1000) -> list[Record]:
    """Every record from an iterator on, until a page is empty or the shard ends."""
    records: list[Record] = []
    while at is not None:
        page = db.ask("GetRecords", ShardIterator=at, Limit=limit)
        records += page["Records"]
        at = page.get("NextShardIterator")
        if not page["Records"]:
            break
    return records


def sequences(records: list[Record]) -> list[int]:
    return [int(record["dynamodb"]["SequenceNumber"]) for record in records]


def values(records: list[Record]) -> list[str]:
    """`v` of each new image, "" where the item went."""
    return [record["dynamodb"].get("NewImage", {}).get("v", {"N": ""})["N"] for record in records]
