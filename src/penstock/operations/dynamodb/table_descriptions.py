"""TableDescription: what CreateTable, DescribeTable, UpdateTable and DeleteTable tell of a table, as AWS writes it.

A member that does not apply is left out, never null: no StreamSpecification where the stream is off, no
BillingModeSummary on a provisioned table that never was anything else, no SSEDescription under default encryption.
AttributeDefinitions and NonKeyAttributes come in order of their names, indexes and keys in the order given.
"""

from __future__ import annotations

from typing import Any

import orjson

from penstock.engine.plans import Context
from penstock.model.tables import Index, KeySchema, Projected, Table, TableStatus, Throughput
from penstock.operations.dynamodb.arns import index_arn, stream_arn, table_arn

US_PER_DAY = 86_400_000_000
ON_DEMAND_WARM = (12_000, 4_000)  # developerguide/warm-throughput: a new on-demand table.


def description_reply(member: str, table: Table, context: Context) -> bytes:
    return orjson.dumps({member: describe(table, context)})


def describe(table: Table, context: Context) -> dict[str, Any]:
    items, size = context.view.counts(table.space)
    reply: dict[str, Any] = {
        "AttributeDefinitions": [
            {"AttributeName": attribute.name, "AttributeType": attribute.type}
            for attribute in sorted(table.attribute_types, key=lambda attribute: attribute.name)
        ],
        "TableName": table.name,
        "KeySchema": describe_keys(table.keys),
        "TableStatus": table.status.value,
        "CreationDateTime": epoch_s(table.created_us),
        "ProvisionedThroughput": describe_throughput(table.throughput, context.now_us),
        "TableSizeBytes": size,
        "ItemCount": items,
        "TableArn": table_arn(context, table.name),
        "TableId": table.id,
    }
    if table.billing_mode == "PAY_PER_REQUEST" or table.billing_changed_us:
        reply["BillingModeSummary"] = _billing(table)
    if table.local_indexes:
        reply["LocalSecondaryIndexes"] = [_index(table, index, context) for index in table.local_indexes]
    if table.global_indexes:
        reply["GlobalSecondaryIndexes"] = [
            describe_global_index(table, index, context) for index in table.global_indexes
        ]
    if table.stream is not None:
        if table.stream.enabled:
            reply["StreamSpecification"] = {"StreamEnabled": True, "StreamViewType": table.stream.view}
        reply["LatestStreamLabel"] = table.stream.label
        reply["LatestStreamArn"] = stream_arn(context, table.stream)
    if table.encryption:
        reply["SSEDescription"] = {
            "Status": "ENABLED",
            "SSEType": "KMS",
            "KMSMasterKeyArn": _key_arn(table, context),
        }
    if table.table_class:
        reply["TableClassSummary"] = _table_class(table)
    reply["DeletionProtectionEnabled"] = table.deletion_protection
    if table.on_demand is not None:
        reply["OnDemandThroughput"] = _on_demand(table.on_demand)
    if table.status is not TableStatus.CREATING:
        reply["WarmThroughput"] = _warm(table.warm, table.throughput)
    return reply


def describe_keys(keys: KeySchema) -> list[dict[str, str]]:
    return [{"AttributeName": attribute.name, "KeyType": "HASH"} for attribute in keys.partition] + [
        {"AttributeName": attribute.name, "KeyType": "RANGE"} for attribute in keys.sort
    ]


def describe_throughput(throughput: Throughput, now_us: int) -> dict[str, Any]:
    reply: dict[str, Any] = {}
    if throughput.increased_us:
        reply["LastIncreaseDateTime"] = epoch_s(throughput.increased_us)
    if throughput.decreased_us:
        reply["LastDecreaseDateTime"] = epoch_s(throughput.decreased_us)
    today = throughput.decreased_us // US_PER_DAY == now_us // US_PER_DAY
    reply["NumberOfDecreasesToday"] = throughput.decreases if today else 0
    reply["ReadCapacityUnits"] = throughput.read_units
    reply["WriteCapacityUnits"] = throughput.write_units
    return reply


def describe_global_index(table: Table, index: Index, context: Context) -> dict[str, Any]:
    reply = _index(table, index, context)
    reply["IndexStatus"] = index.status.value
    if index.status is TableStatus.CREATING and table.status is not TableStatus.CREATING:
        reply["Backfilling"] = True  # Left out, not false, for every other index.
    reply["ProvisionedThroughput"] = describe_throughput(index.throughput, context.now_us)
    if index.on_demand is not None:
        reply["OnDemandThroughput"] = _on_demand(index.on_demand)
    if table.status is not TableStatus.CREATING:
        reply["WarmThroughput"] = _warm(index.warm, index.throughput)
    return reply


def _index(table: Table, index: Index, context: Context) -> dict[str, Any]:
    items, size = context.view.counts(index.space)
    projection: dict[str, Any] = {"ProjectionType": index.projected.value}
    if index.projected is Projected.INCLUDE:
        projection["NonKeyAttributes"] = sorted(index.included)
    return {
        "IndexName": index.name,
        "KeySchema": describe_keys(index.keys),
        "Projection": projection,
        "IndexSizeBytes": size,
        "ItemCount": items,
        "IndexArn": index_arn(context, table.name, index.name),
    }


def _key_arn(table: Table, context: Context) -> str:
    """As it was given, where that was an ARN; else the ARN of what was given, an alias or a key's id."""
    given = dict(table.encryption)["KMSMasterKeyId"]
    if given.startswith("arn:"):
        return given
    name = given if given.startswith("alias/") else f"key/{given}"
    return f"arn:aws:kms:{context.region}:{context.account}:{name}"


def _billing(table: Table) -> dict[str, Any]:
    reply: dict[str, Any] = {"BillingMode": table.billing_mode}
    if table.billing_changed_us:
        reply["LastUpdateToPayPerRequestDateTime"] = epoch_s(table.billing_changed_us)
    return reply


def _table_class(table: Table) -> dict[str, Any]:
    reply: dict[str, Any] = {"TableClass": table.table_class}
    if table.table_class_changed_us:
        reply["LastUpdateDateTime"] = epoch_s(table.table_class_changed_us)
    return reply


def _on_demand(units: tuple[int, int]) -> dict[str, int]:
    """-1 is a member that has no limit."""
    names = ("MaxReadRequestUnits", "MaxWriteRequestUnits")
    return {name: value for name, value in zip(names, units, strict=True) if value != -1}


def warm_units(asked: tuple[int, int] | None, throughput: Throughput) -> tuple[int, int]:
    """(reads, writes) a second that are there at once: what is provisioned, or on demand 12,000 and 4,000; more where
    more was asked for or provisioned before, because it never shrinks."""
    floor = (throughput.read_units, throughput.write_units) if throughput.read_units else ON_DEMAND_WARM
    return floor if asked is None else (max(floor[0], asked[0]), max(floor[1], asked[1]))


def _warm(asked: tuple[int, int] | None, throughput: Throughput) -> dict[str, Any]:
    read, write = warm_units(asked, throughput)
    return {"ReadUnitsPerSecond": read, "WriteUnitsPerSecond": write, "Status": "ACTIVE"}


def epoch_s(us: int) -> float:
    """AWS's timestamps: seconds with a fraction of three digits."""
    return round(us / 1_000_000, 3)
