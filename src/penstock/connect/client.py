"""The client: every action of DynamoDB and its streams as a method, in snake_case, with boto3's shapes.

One class for the embedded engine, a server and AWS; what differs is the `Caller` behind it. Arguments are
those of boto3's low-level client, checked by name here and by value where the request is served. Answers are
boto3's without ResponseMetadata. An error answer raises `penstock.errors.ServiceError`, whose `response` has
botocore's shape.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import Any, Protocol, TypeAlias, Unpack

from penstock.connect import requests

Answer: TypeAlias = dict[str, Any]


class Caller(Protocol):
    """Where calls go. Every implementation may be called from any thread."""

    def call(self, action: str, params: Mapping[str, object], wait_ms: int = 0) -> Answer: ...

    def call_body(self, action: str, params: Mapping[str, object]) -> bytes | Answer:
        """The answer's JSON, unparsed; parsed where it arrives so."""

    def call_own(self, action: str, params: Mapping[str, object]) -> Answer:
        """One of Penstock's own actions, such as Explain; where there is no Penstock, a UsageError."""

    @property
    def runs_engine(self) -> bool:
        """Whether the engine runs in this process."""

    def close(self) -> None: ...


class Client:
    """Use it as a context manager, or call `close`; a client that is dropped is closed at exit."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller
        self._call = caller.call

    @property
    def runs_engine(self) -> bool:
        """Whether the engine runs in this process: then more threads ask no faster."""
        return self._caller.runs_engine

    def close(self) -> None:
        self._caller.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # -- Items --

    def put_item(self, **params: Unpack[requests.PutItem]) -> Answer:
        return self._call("PutItem", params)

    def get_item(self, **params: Unpack[requests.GetItem]) -> Answer:
        return self._call("GetItem", params)

    def update_item(self, **params: Unpack[requests.UpdateItem]) -> Answer:
        return self._call("UpdateItem", params)

    def delete_item(self, **params: Unpack[requests.DeleteItem]) -> Answer:
        return self._call("DeleteItem", params)

    def query(self, **params: Unpack[requests.Query]) -> Answer:
        return self._call("Query", params)

    def scan(self, **params: Unpack[requests.Scan]) -> Answer:
        return self._call("Scan", params)

    def batch_get_item(self, **params: Unpack[requests.BatchGetItem]) -> Answer:
        return self._call("BatchGetItem", params)

    def batch_write_item(self, **params: Unpack[requests.BatchWriteItem]) -> Answer:
        return self._call("BatchWriteItem", params)

    def transact_get_items(self, **params: Unpack[requests.TransactGetItems]) -> Answer:
        return self._call("TransactGetItems", params)

    def transact_write_items(self, **params: Unpack[requests.TransactWriteItems]) -> Answer:
        return self._call("TransactWriteItems", params)

    # -- PartiQL --

    def execute_statement(self, **params: Unpack[requests.ExecuteStatement]) -> Answer:
        return self._call("ExecuteStatement", params)

    def batch_execute_statement(self, **params: Unpack[requests.BatchExecuteStatement]) -> Answer:
        return self._call("BatchExecuteStatement", params)

    def execute_transaction(self, **params: Unpack[requests.ExecuteTransaction]) -> Answer:
        return self._call("ExecuteTransaction", params)

    # -- Tables --

    def create_table(self, **params: Unpack[requests.CreateTable]) -> Answer:
        return self._call("CreateTable", params)

    def describe_table(self, **params: Unpack[requests.DescribeTable]) -> Answer:
        return self._call("DescribeTable", params)

    def update_table(self, **params: Unpack[requests.UpdateTable]) -> Answer:
        return self._call("UpdateTable", params)

    def delete_table(self, **params: Unpack[requests.DeleteTable]) -> Answer:
        return self._call("DeleteTable", params)

    def list_tables(self, **params: Unpack[requests.ListTables]) -> Answer:
        return self._call("ListTables", params)

    def update_time_to_live(self, **params: Unpack[requests.UpdateTimeToLive]) -> Answer:
        return self._call("UpdateTimeToLive", params)

    def describe_time_to_live(self, **params: Unpack[requests.DescribeTimeToLive]) -> Answer:
        return self._call("DescribeTimeToLive", params)

    def tag_resource(self, **params: Unpack[requests.TagResource]) -> Answer:
        return self._call("TagResource", params)

    def untag_resource(self, **params: Unpack[requests.UntagResource]) -> Answer:
        return self._call("UntagResource", params)

    def list_tags_of_resource(self, **params: Unpack[requests.ListTagsOfResource]) -> Answer:
        return self._call("ListTagsOfResource", params)

    def describe_limits(self, **params: Unpack[requests.DescribeLimits]) -> Answer:
        return self._call("DescribeLimits", params)

    def describe_endpoints(self, **params: Unpack[requests.DescribeEndpoints]) -> Answer:
        return self._call("DescribeEndpoints", params)

    # -- Streams --

    def list_streams(self, **params: Unpack[requests.ListStreams]) -> Answer:
        return self._call("ListStreams", params)

    def describe_stream(self, **params: Unpack[requests.DescribeStream]) -> Answer:
        return self._call("DescribeStream", params)

    def get_shard_iterator(self, **params: Unpack[requests.GetShardIterator]) -> Answer:
        return self._call("GetShardIterator", params)

    def get_records(self, wait_ms: int = 0, **params: Unpack[requests.GetRecords]) -> Answer:
        """`wait_ms` holds an empty answer open until there are records; AWS has no such wish and ignores it."""
        return self._call("GetRecords", params, wait_ms)

    # -- What AWS does not have --

    def answer_body(self, action: str, request: Mapping[str, object]) -> bytes | Answer:
        """An answer as it arrives: as JSON, for those who read a small part of large pages; parsed where AWS answers.

        `action` is AWS's name, such as "Query".
        """
        return self._caller.call_body(action, request)

    def explain(self, action: str, request: Mapping[str, object], per_second: float = 1.0) -> Answer:
        """What a request reads, writes and consumes, and what `per_second` of it cost on AWS in a month.

        `action` is AWS's name, such as "Query". The request is decided as ever, and nothing is written.
        """
        asked = {"Action": action, "Request": request, "PerSecond": per_second}
        return self._caller.call_own("Explain", asked)

    def checkpoint(self) -> str:
        """Make a consistent copy beside the data, in place of the last one, and tell where it is.

        Only for a `file:` client: the copy is made of hard links, in the data directory itself.
        """
        return str(self._caller.call_own("Checkpoint", {})["Path"])

    # -- What Penstock does not build yet: answered with a clear error, and by AWS itself --

    def cancel_bulk_operation(self, **params: Unpack[requests.CancelBulkOperation]) -> Answer:
        return self._call("CancelBulkOperation", params)

    def create_backup(self, **params: Unpack[requests.CreateBackup]) -> Answer:
        return self._call("CreateBackup", params)

    def create_global_table(self, **params: Unpack[requests.CreateGlobalTable]) -> Answer:
        return self._call("CreateGlobalTable", params)

    def delete_backup(self, **params: Unpack[requests.DeleteBackup]) -> Answer:
        return self._call("DeleteBackup", params)

    def delete_resource_policy(self, **params: Unpack[requests.DeleteResourcePolicy]) -> Answer:
        return self._call("DeleteResourcePolicy", params)

    def describe_backup(self, **params: Unpack[requests.DescribeBackup]) -> Answer:
        return self._call("DescribeBackup", params)

    def describe_bulk_operation(self, **params: Unpack[requests.DescribeBulkOperation]) -> Answer:
        return self._call("DescribeBulkOperation", params)

    def describe_continuous_backups(self, **params: Unpack[requests.DescribeContinuousBackups]) -> Answer:
        return self._call("DescribeContinuousBackups", params)

    def describe_contributor_insights(self, **params: Unpack[requests.DescribeContributorInsights]) -> Answer:
        return self._call("DescribeContributorInsights", params)

    def describe_export(self, **params: Unpack[requests.DescribeExport]) -> Answer:
        return self._call("DescribeExport", params)

    def describe_global_table(self, **params: Unpack[requests.DescribeGlobalTable]) -> Answer:
        return self._call("DescribeGlobalTable", params)

    def describe_global_table_settings(
        self, **params: Unpack[requests.DescribeGlobalTableSettings]
    ) -> Answer:
        return self._call("DescribeGlobalTableSettings", params)

    def describe_import(self, **params: Unpack[requests.DescribeImport]) -> Answer:
        return self._call("DescribeImport", params)

    def describe_kinesis_streaming_destination(
        self, **params: Unpack[requests.DescribeKinesisStreamingDestination]
    ) -> Answer:
        return self._call("DescribeKinesisStreamingDestination", params)

    def describe_table_replica_auto_scaling(
        self, **params: Unpack[requests.DescribeTableReplicaAutoScaling]
    ) -> Answer:
        return self._call("DescribeTableReplicaAutoScaling", params)

    def disable_kinesis_streaming_destination(
        self, **params: Unpack[requests.DisableKinesisStreamingDestination]
    ) -> Answer:
        return self._call("DisableKinesisStreamingDestination", params)

    def enable_kinesis_streaming_destination(
        self, **params: Unpack[requests.EnableKinesisStreamingDestination]
    ) -> Answer:
        return self._call("EnableKinesisStreamingDestination", params)

    def export_table_to_point_in_time(self, **params: Unpack[requests.ExportTableToPointInTime]) -> Answer:
        return self._call("ExportTableToPointInTime", params)

    def get_resource_policy(self, **params: Unpack[requests.GetResourcePolicy]) -> Answer:
        return self._call("GetResourcePolicy", params)

    def import_table(self, **params: Unpack[requests.ImportTable]) -> Answer:
        return self._call("ImportTable", params)

    def list_backups(self, **params: Unpack[requests.ListBackups]) -> Answer:
        return self._call("ListBackups", params)

    def list_bulk_operations(self, **params: Unpack[requests.ListBulkOperations]) -> Answer:
        return self._call("ListBulkOperations", params)

    def list_contributor_insights(self, **params: Unpack[requests.ListContributorInsights]) -> Answer:
        return self._call("ListContributorInsights", params)

    def list_exports(self, **params: Unpack[requests.ListExports]) -> Answer:
        return self._call("ListExports", params)

    def list_global_tables(self, **params: Unpack[requests.ListGlobalTables]) -> Answer:
        return self._call("ListGlobalTables", params)

    def list_imports(self, **params: Unpack[requests.ListImports]) -> Answer:
        return self._call("ListImports", params)

    def put_resource_policy(self, **params: Unpack[requests.PutResourcePolicy]) -> Answer:
        return self._call("PutResourcePolicy", params)

    def restore_table_from_backup(self, **params: Unpack[requests.RestoreTableFromBackup]) -> Answer:
        return self._call("RestoreTableFromBackup", params)

    def restore_table_to_point_in_time(self, **params: Unpack[requests.RestoreTableToPointInTime]) -> Answer:
        return self._call("RestoreTableToPointInTime", params)

    def search_vectors(self, **params: Unpack[requests.SearchVectors]) -> Answer:
        return self._call("SearchVectors", params)

    def start_bulk_put_items(self, **params: Unpack[requests.StartBulkPutItems]) -> Answer:
        return self._call("StartBulkPutItems", params)

    def update_continuous_backups(self, **params: Unpack[requests.UpdateContinuousBackups]) -> Answer:
        return self._call("UpdateContinuousBackups", params)

    def update_contributor_insights(self, **params: Unpack[requests.UpdateContributorInsights]) -> Answer:
        return self._call("UpdateContributorInsights", params)

    def update_global_table(self, **params: Unpack[requests.UpdateGlobalTable]) -> Answer:
        return self._call("UpdateGlobalTable", params)

    def update_global_table_settings(self, **params: Unpack[requests.UpdateGlobalTableSettings]) -> Answer:
        return self._call("UpdateGlobalTableSettings", params)

    def update_kinesis_streaming_destination(
        self, **params: Unpack[requests.UpdateKinesisStreamingDestination]
    ) -> Answer:
        return self._call("UpdateKinesisStreamingDestination", params)

    def update_table_replica_auto_scaling(
        self, **params: Unpack[requests.UpdateTableReplicaAutoScaling]
    ) -> Answer:
        return self._call("UpdateTableReplicaAutoScaling", params)
