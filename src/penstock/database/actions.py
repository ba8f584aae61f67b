"""The actions by the name that `X-Amz-Target` gives them; the one list of what is served, and of what is not."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import TypeAlias

from penstock import errors
from penstock.engine.plans import Context, Plan, Request, Slices
from penstock.operations.dynamodb import get_item

Action: TypeAlias = Callable[[Request, Context], Plan | Slices]
Glance: TypeAlias = Callable[[bytes, Context], Plan | None]

# An action's plan for the bodies that most of its requests have; None leaves the body to the action.
GLANCES: dict[Action, Glance] = {get_item.run: get_item.glance}

DYNAMODB = "DynamoDB_20120810."
STREAMS = "DynamoDBStreams_20120810."
OWN = "Penstock."  # See own_actions.py.

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
# What AWS has and Penstock does not build: each answers with an error that says so; see docs/compatibility.md.
NOT_BUILT = (
    "CancelBulkOperation",
    "CreateBackup",
    "CreateGlobalTable",
    "DeleteBackup",
    "DeleteResourcePolicy",
    "DescribeBackup",
    "DescribeBulkOperation",
    "DescribeContinuousBackups",
    "DescribeContributorInsights",
    "DescribeExport",
    "DescribeGlobalTable",
    "DescribeGlobalTableSettings",
    "DescribeImport",
    "DescribeKinesisStreamingDestination",
    "DescribeTableReplicaAutoScaling",
    "DisableKinesisStreamingDestination",
    "EnableKinesisStreamingDestination",
    "ExportTableToPointInTime",
    "GetResourcePolicy",
    "ImportTable",
    "ListBackups",
    "ListBulkOperations",
    "ListContributorInsights",
    "ListExports",
    "ListGlobalTables",
    "ListImports",
    "PutResourcePolicy",
    "RestoreTableFromBackup",
    "RestoreTableToPointInTime",
    "SearchVectors",
    "StartBulkPutItems",
    "UpdateContinuousBackups",
    "UpdateContributorInsights",
    "UpdateGlobalTable",
    "UpdateGlobalTableSettings",
    "UpdateKinesisStreamingDestination",
    "UpdateTableReplicaAutoScaling",
)
# By what they do with items.
READS = frozenset({"GetItem", "BatchGetItem", "TransactGetItems", "Query", "Scan"})
WRITES = frozenset({"PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem", "TransactWriteItems"})
STATEMENTS = frozenset({"ExecuteStatement", "BatchExecuteStatement", "ExecuteTransaction"})
ITEM_ACTIONS = READS | WRITES | STATEMENTS
FOLDERS = {DYNAMODB: "penstock.operations.dynamodb", STREAMS: "penstock.operations.streams"}


def load() -> dict[str, Action]:
    """Every action's `run`, by target."""
    built: dict[str, Action] = {
        prefix + name: importlib.import_module(f"{FOLDERS[prefix]}.{module}").run
        for prefix, modules in MODULES.items()
        for name, module in modules.items()
    }
    return {DYNAMODB + name: _refusing(name) for name in NOT_BUILT} | built


def only_reads(action: str, request: Request) -> bool:
    """Statements of one request all read or all write, but for a batch, whose capacity is told as one figure. What is
    no statement is refused by the action itself."""
    if action not in STATEMENTS:
        return action in READS
    member = {"BatchExecuteStatement": "Statements", "ExecuteTransaction": "TransactStatements"}.get(action)
    given = [request] if member is None else request.get(member)
    if not isinstance(given, list):
        return True
    texts = [one.get("Statement") for one in given if isinstance(one, dict)]
    return all(text.lstrip()[:6].upper() == "SELECT" for text in texts if isinstance(text, str))


def _refusing(name: str) -> Action:
    def run(request: Request, context: Context) -> Plan:
        raise errors.not_built(name)

    return run
