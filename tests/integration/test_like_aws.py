"""`penstock serve --like-aws` under boto3 as people use it: default retries, waiters, paginators, batch writers."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import boto3
import botocore.config
import pytest
from tests.integration.test_serve_command import serving

from penstock.cli.main import main

ORDERS: dict[str, Any] = {
    "TableName": "orders",
    "KeySchema": [
        {"AttributeName": "customer", "KeyType": "HASH"},
        {"AttributeName": "at", "KeyType": "RANGE"},
    ],
    "AttributeDefinitions": [
        {"AttributeName": name, "AttributeType": "S"} for name in ("customer", "at", "status")
    ],
    "GlobalSecondaryIndexes": [
        {
            "IndexName": "by_status",
            "KeySchema": [
                {"AttributeName": "status", "KeyType": "HASH"},
                {"AttributeName": "at", "KeyType": "RANGE"},
            ],
            "Projection": {"ProjectionType": "ALL"},
        }
    ],
    "BillingMode": "PAY_PER_REQUEST",
    "StreamSpecification": {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
}


def boto(kind: str, url: str, **config: Any) -> Any:
    """With boto3's own defaults but for what the test counts."""
    make = boto3.resource if kind == "resource" else boto3.client
    return make(
        "dynamodb" if kind == "resource" else kind,
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id="any",
        aws_secret_access_key="thing",
        config=botocore.config.Config(**config) if config else None,
    )


def follow(streams: Any, arn: str) -> list[dict[str, Any]]:
    """Every record of a stream as a careful consumer reads it: parents first, iterators fetched again."""
    records: list[dict[str, Any]] = []
    for shard in streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]:
        own: list[dict[str, Any]] = []
        at = None
        while True:
            if at is None:
                where: dict[str, Any] = {"ShardIteratorType": "TRIM_HORIZON"}
                if own:
                    where = {
                        "ShardIteratorType": "AFTER_SEQUENCE_NUMBER",
                        "SequenceNumber": own[-1]["dynamodb"]["SequenceNumber"],
                    }
                at = streams.get_shard_iterator(StreamArn=arn, ShardId=shard["ShardId"], **where)[
                    "ShardIterator"
                ]
            try:
                page = streams.get_records(ShardIterator=at, Limit=20)
            except streams.exceptions.ExpiredIteratorException:
                at = None
                continue
            own += page["Records"]
            at = page.get("NextShardIterator")
            if at is None or not page["Records"]:
                break
        records += own
    return records


# Why: what an application needs for AWS is all that it needs here: boto3's own retries, waiters, paginators and batch
# writer get an ordinary workload through a bad day, with nothing lost and nothing doubled.
def test_boto3_with_its_defaults_gets_an_ordinary_workload_through_a_bad_day(tmp_path: Path) -> None:
    with serving(tmp_path / "data", "--like-aws", "--seed", "11", "--weather", "slow_s=0.5") as server:
        assert "like AWS on a bad day, seed 11" in server.line
        client = boto("dynamodb", server.url)
        client.create_table(**ORDERS)
        client.get_waiter("table_exists").wait(
            TableName="orders", WaiterConfig={"Delay": 1, "MaxAttempts": 20}
        )
        table = boto("resource", server.url).Table("orders")
        with table.batch_writer() as batch:
            for number in range(100):
                at = f"2026-01-01T00:00:{number:02d}"
                batch.put_item(
                    Item={"customer": f"c{number % 5}", "at": at, "status": "new", "total": number}
                )
        for number in range(60):
            place = {"customer": f"c{number % 5}", "at": f"2026-01-01T00:00:{number:02d}"}
            table.update_item(
                Key=place,
                UpdateExpression="SET #s = :paid",
                ConditionExpression="#s = :new",
                ExpressionAttributeNames={"#s": "status"},
                ExpressionAttributeValues={":paid": "paid", ":new": "new"},
            )
            found = table.get_item(Key=place, ConsistentRead=True)["Item"]
            assert (found["status"], found["total"]) == ("paid", Decimal(number))
        pages = client.get_paginator("query").paginate(
            TableName="orders",
            KeyConditionExpression="customer = :c",
            ExpressionAttributeValues={":c": {"S": "c1"}},
            ConsistentRead=True,
        )
        assert [item["total"]["N"] for page in pages for item in page["Items"]] == [
            str(number) for number in range(1, 100, 5)
        ]
        scanned = client.get_paginator("scan").paginate(TableName="orders", ConsistentRead=True)
        assert sum(page["Count"] for page in scanned) == 100
        arn = client.describe_table(TableName="orders")["Table"]["LatestStreamArn"]
        records = follow(boto("dynamodbstreams", server.url), arn)
        events = [record["eventName"] for record in records]
        assert (events.count("INSERT"), events.count("MODIFY"), len(events)) == (100, 60, 160)
        client.delete_table(TableName="orders")
        client.get_waiter("table_not_exists").wait(
            TableName="orders", WaiterConfig={"Delay": 1, "MaxAttempts": 20}
        )
        status, _ = server.stop()
        assert status == 0


# Why: a seed is worth something only if another process with the same seed meets the same day.
def test_two_servers_with_one_seed_give_one_history(tmp_path: Path) -> None:
    def history(name: str, seed: int) -> list[Any]:
        heard: list[Any] = []
        options = (
            "--like-aws",
            "--seed",
            str(seed),
            "--weather",
            "slow_tables=0",
            "--weather",
            "throttling=0.2",
        )
        with serving(tmp_path / name, *options) as server:
            client = boto("dynamodb", server.url, retries={"max_attempts": 0})

            def hear(call: Any, **request: Any) -> None:
                try:
                    reply = call(**request)
                    reply.pop("ResponseMetadata")
                    heard.append(reply)
                except client.exceptions.ClientError as error:
                    heard.append(error.response["Error"])

            while not heard or "Code" in heard[-1]:
                hear(client.create_table, **{**ORDERS, "StreamSpecification": {"StreamEnabled": False}})
            heard.clear()  # The description has the table's random id and its time.
            for number in range(60):
                place = {"customer": {"S": "c"}, "at": {"S": str(number % 3)}}
                hear(client.put_item, TableName="orders", Item=place | {"n": {"N": str(number)}})
                hear(client.get_item, TableName="orders", Key=place)
                hear(client.scan, TableName="orders")
        return heard

    first = history("first", 5)
    assert history("second", 5) == first
    assert history("third", 6) != first


# Why: a seed without its day would be ignored in silence, and a mistyped kind would be no trouble at all.
@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--seed", "1"], "--seed and --weather are settings of --like-aws"),
        (["--weather", "throttling=1"], "--seed and --weather are settings of --like-aws"),
        (
            ["--like-aws", "--weather", "rain=1"],
            "rain=1: weather is KIND=VALUE, and KIND one of all, seed, stale_reads",
        ),
    ],
)
def test_settings_that_make_no_sense_are_refused_before_the_directory_is_opened(
    options: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(["serve", "--data", str(tmp_path / "never-made"), *options])
    assert message in capsys.readouterr().err
    assert not (tmp_path / "never-made").exists()
