"""The actions by the name that `X-Amz-Target` gives them; the one list of what is served."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import TypeAlias

from penstock.engine.plans import Context, Plan, Request, Slices

Action: TypeAlias = Callable[[Request, Context], Plan | Slices]

DYNAMODB = "DynamoDB_20120810."
STREAMS = "DynamoDBStreams_20120810."

# Action -> the module of the same name.
MODULES = {
    DYNAMODB: {
        "BatchExecuteStatement": "batch_execute_statement",
        "BatchGetItem": "batch_get_item",
        "BatchWriteItem": "batch_write_item",
        "CreateTable": "create_table",
        "DeleteItem": "delete_item",
        "DeleteTable": "delete_table",
        "DescribeEndpoints": "describe_endpoints",
        "DescribeLimits": "describe_limits",
        "DescribeTable": "describe_table",
        "DescribeTimeToLive": "describe_time_to_live",
        "ExecuteStatement": "execute_statement",
        "ExecuteTransaction": "execute_transaction",
        "GetItem": "get_item",
        "ListTables": "list_tables",
        "ListTagsOfResource": "list_tags_of_resource",
        "PutItem": "put_item",
        "Query": "query",
        "Scan": "scan",
        "TagResource": "tag_resource",
        "TransactGetItems": "transact_get_items",
        "TransactWriteItems": "transact_write_items",
        "UntagResource": "untag_resource",
        "UpdateItem": "update_item",
        "UpdateTable": "update_table",
        "UpdateTimeToLive": "update_time_to_live",
    },
    STREAMS: {
        "DescribeStream": "describe_stream",
        "GetRecords": "get_records",
        "GetShardIterator": "get_shard_iterator",
        "ListStreams": "list_streams",
    },
}
FOLDERS = {DYNAMODB: "penstock.operations.dynamodb", STREAMS: "penstock.operations.streams"}


def load() -> dict[str, Action]:
    """Every action's `run`, by target."""
    return {
        prefix + name: importlib.import_module(f"{FOLDERS[prefix]}.{module}").run
        for prefix, modules in MODULES.items()
        for name, module in modules.items()
    }
