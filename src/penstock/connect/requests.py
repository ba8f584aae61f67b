"""What each action takes: the members of its request, with their types, in boto3's shapes.

Written from botocore's service model and held to it by a test. Postponed annotations are left out on purpose:
with them, Python 3.11 cannot tell at run time which members are required.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Required, TypeAlias, TypedDict

Structure: TypeAlias = Mapping[str, Any]
Timestamp: TypeAlias = datetime | int | float


# -- Items --


class PutItem(TypedDict, total=False):
    TableName: Required[str]
    Item: Required[Mapping[str, Structure]]
    Expected: Mapping[str, Structure]
    ReturnValues: str
    ReturnConsumedCapacity: str
    ReturnItemCollectionMetrics: str
    ConditionalOperator: str
    ConditionExpression: str
    ExpressionAttributeNames: Mapping[str, str]
    ExpressionAttributeValues: Mapping[str, Structure]
    ReturnValuesOnConditionCheckFailure: str


class GetItem(TypedDict, total=False):
    TableName: Required[str]
    Key: Required[Mapping[str, Structure]]
    AttributesToGet: Sequence[str]
    ConsistentRead: bool
    ReturnConsumedCapacity: str
    ProjectionExpression: str
    ExpressionAttributeNames: Mapping[str, str]


class UpdateItem(TypedDict, total=False):
    TableName: Required[str]
    Key: Required[Mapping[str, Structure]]
    AttributeUpdates: Mapping[str, Structure]
    Expected: Mapping[str, Structure]
    ConditionalOperator: str
    ReturnValues: str
    ReturnConsumedCapacity: str
    ReturnItemCollectionMetrics: str
    UpdateExpression: str
    ConditionExpression: str
    ExpressionAttributeNames: Mapping[str, str]
    ExpressionAttributeValues: Mapping[str, Structure]
    ReturnValuesOnConditionCheckFailure: str


class DeleteItem(TypedDict, total=False):
    TableName: Required[str]
    Key: Required[Mapping[str, Structure]]
    Expected: Mapping[str, Structure]
    ConditionalOperator: str
    ReturnValues: str
    ReturnConsumedCapacity: str
    ReturnItemCollectionMetrics: str
    ConditionExpression: str
    ExpressionAttributeNames: Mapping[str, str]
    ExpressionAttributeValues: Mapping[str, Structure]
    ReturnValuesOnConditionCheckFailure: str


class Query(TypedDict, total=False):
    TableName: Required[str]
    IndexName: str
    Select: str
    AttributesToGet: Sequence[str]
    Limit: int
    ConsistentRead: bool
    KeyConditions: Mapping[str, Structure]
    QueryFilter: Mapping[str, Structure]
    ConditionalOperator: str
    ScanIndexForward: bool
    ExclusiveStartKey: Mapping[str, Structure]
    ReturnConsumedCapacity: str
    ProjectionExpression: str
    FilterExpression: str
    KeyConditionExpression: str
    ExpressionAttributeNames: Mapping[str, str]
    ExpressionAttributeValues: Mapping[str, Structure]


class Scan(TypedDict, total=False):
    TableName: Required[str]
    IndexName: str
    AttributesToGet: Sequence[str]
    Limit: int
    Select: str
    ScanFilter: Mapping[str, Structure]
    ConditionalOperator: str
    ExclusiveStartKey: Mapping[str, Structure]
    ReturnConsumedCapacity: str
    TotalSegments: int
    Segment: int
    ProjectionExpression: str
    FilterExpression: str
    ExpressionAttributeNames: Mapping[str, str]
    ExpressionAttributeValues: Mapping[str, Structure]
    ConsistentRead: bool


class BatchGetItem(TypedDict, total=False):
    RequestItems: Required[Mapping[str, Structure]]
    ReturnConsumedCapacity: str


class BatchWriteItem(TypedDict, total=False):
    RequestItems: Required[Mapping[str, Sequence[Structure]]]
    ReturnConsumedCapacity: str
    ReturnItemCollectionMetrics: str


class TransactGetItems(TypedDict, total=False):
    TransactItems: Required[Sequence[Structure]]
    ReturnConsumedCapacity: str


class TransactWriteItems(TypedDict, total=False):
    TransactItems: Required[Sequence[Structure]]
    ReturnConsumedCapacity: str
    ReturnItemCollectionMetrics: str
    ClientRequestToken: str


# -- PartiQL --


class ExecuteStatement(TypedDict, total=False):
    Statement: Required[str]
    Parameters: Sequence[Structure]
    ConsistentRead: bool
    NextToken: str
    ReturnConsumedCapacity: str
    Limit: int
    ReturnValuesOnConditionCheckFailure: str


class BatchExecuteStatement(TypedDict, total=False):
    Statements: Required[Sequence[Structure]]
    ReturnConsumedCapacity: str


class ExecuteTransaction(TypedDict, total=False):
    TransactStatements: Required[Sequence[Structure]]
    ClientRequestToken: str
    ReturnConsumedCapacity: str


# -- Tables --


class CreateTable(TypedDict, total=False):
    TableName: Required[str]
    AttributeDefinitions: Sequence[Structure]
    KeySchema: Sequence[Structure]
    LocalSecondaryIndexes: Sequence[Structure]
    GlobalSecondaryIndexes: Sequence[Structure]
    BillingMode: str
    ProvisionedThroughput: Structure
    StreamSpecification: Structure
    SSESpecification: Structure
    Tags: Sequence[Structure]
    TableClass: str
    DeletionProtectionEnabled: bool
    WarmThroughput: Structure
    ResourcePolicy: str
    OnDemandThroughput: Structure
    GlobalTableSourceArn: str
    GlobalTableSettingsReplicationMode: str
    VectorIndexes: Sequence[Structure]


class DescribeTable(TypedDict, total=False):
    TableName: Required[str]


class UpdateTable(TypedDict, total=False):
    TableName: Required[str]
    AttributeDefinitions: Sequence[Structure]
    BillingMode: str
    ProvisionedThroughput: Structure
    GlobalSecondaryIndexUpdates: Sequence[Structure]
    StreamSpecification: Structure
    SSESpecification: Structure
    ReplicaUpdates: Sequence[Structure]
    TableClass: str
    DeletionProtectionEnabled: bool
    MultiRegionConsistency: str
    GlobalTableWitnessUpdates: Sequence[Structure]
    OnDemandThroughput: Structure
    WarmThroughput: Structure
    GlobalTableSettingsReplicationMode: str
    DisassociationProtectionEnabled: bool
    VectorIndexUpdates: Sequence[Structure]


class DeleteTable(TypedDict, total=False):
    TableName: Required[str]


class ListTables(TypedDict, total=False):
    ExclusiveStartTableName: str
    Limit: int


class UpdateTimeToLive(TypedDict, total=False):
    TableName: Required[str]
    TimeToLiveSpecification: Required[Structure]


class DescribeTimeToLive(TypedDict, total=False):
    TableName: Required[str]


class TagResource(TypedDict, total=False):
    ResourceArn: Required[str]
    Tags: Required[Sequence[Structure]]


class UntagResource(TypedDict, total=False):
    ResourceArn: Required[str]
    TagKeys: Required[Sequence[str]]


class ListTagsOfResource(TypedDict, total=False):
    ResourceArn: Required[str]
    NextToken: str


class DescribeLimits(TypedDict, total=False):
    """Takes nothing."""


class DescribeEndpoints(TypedDict, total=False):
    """Takes nothing."""


# -- Streams --


class ListStreams(TypedDict, total=False):
    TableName: str
    Limit: int
    ExclusiveStartStreamArn: str


class DescribeStream(TypedDict, total=False):
    StreamArn: Required[str]
    Limit: int
    ExclusiveStartShardId: str
    ShardFilter: Structure


class GetShardIterator(TypedDict, total=False):
    StreamArn: Required[str]
    ShardId: Required[str]
    ShardIteratorType: Required[str]
    SequenceNumber: str
    Timestamp: Timestamp


class GetRecords(TypedDict, total=False):
    ShardIterator: Required[str]
    Limit: int


# -- What Penstock does not build yet: answered with a clear error, and by AWS itself --


class CancelBulkOperation(TypedDict, total=False):
    BulkOperationArn: Required[str]


class CreateBackup(TypedDict, total=False):
    TableName: Required[str]
    BackupName: Required[str]


class CreateGlobalTable(TypedDict, total=False):
    GlobalTableName: Required[str]
    ReplicationGroup: Required[Sequence[Structure]]


class DeleteBackup(TypedDict, total=False):
    BackupArn: Required[str]


class DeleteResourcePolicy(TypedDict, total=False):
    ResourceArn: Required[str]
    ExpectedRevisionId: str


class DescribeBackup(TypedDict, total=False):
    BackupArn: Required[str]


class DescribeBulkOperation(TypedDict, total=False):
    BulkOperationArn: Required[str]


class DescribeContinuousBackups(TypedDict, total=False):
    TableName: Required[str]


class DescribeContributorInsights(TypedDict, total=False):
    TableName: Required[str]
    IndexName: str


class DescribeExport(TypedDict, total=False):
    ExportArn: Required[str]


class DescribeGlobalTable(TypedDict, total=False):
    GlobalTableName: Required[str]


class DescribeGlobalTableSettings(TypedDict, total=False):
    GlobalTableName: Required[str]


class DescribeImport(TypedDict, total=False):
    ImportArn: Required[str]


class DescribeKinesisStreamingDestination(TypedDict, total=False):
    TableName: Required[str]


class DescribeTableReplicaAutoScaling(TypedDict, total=False):
    TableName: Required[str]


class DisableKinesisStreamingDestination(TypedDict, total=False):
    TableName: Required[str]
    StreamArn: Required[str]
    EnableKinesisStreamingConfiguration: Structure


class EnableKinesisStreamingDestination(TypedDict, total=False):
    TableName: Required[str]
    StreamArn: Required[str]
    EnableKinesisStreamingConfiguration: Structure


class ExportTableToPointInTime(TypedDict, total=False):
    TableArn: Required[str]
    S3Bucket: Required[str]
    ExportTime: Timestamp
    ClientToken: str
    S3BucketOwner: str
    S3Prefix: str
    S3SseAlgorithm: str
    S3SseKmsKeyId: str
    ExportFormat: str
    ExportType: str
    IncrementalExportSpecification: Structure
    FilterSpecification: Structure


class GetResourcePolicy(TypedDict, total=False):
    ResourceArn: Required[str]


class ImportTable(TypedDict, total=False):
    S3BucketSource: Required[Structure]
    InputFormat: Required[str]
    TableCreationParameters: Required[Structure]
    ClientToken: str
    InputFormatOptions: Structure
    InputCompressionType: str


class ListBackups(TypedDict, total=False):
    TableName: str
    Limit: int
    TimeRangeLowerBound: Timestamp
    TimeRangeUpperBound: Timestamp
    ExclusiveStartBackupArn: str
    BackupType: str


class ListBulkOperations(TypedDict, total=False):
    MaxResults: int
    NextToken: str


class ListContributorInsights(TypedDict, total=False):
    TableName: str
    NextToken: str
    MaxResults: int


class ListExports(TypedDict, total=False):
    TableArn: str
    MaxResults: int
    NextToken: str


class ListGlobalTables(TypedDict, total=False):
    ExclusiveStartGlobalTableName: str
    Limit: int
    RegionName: str


class ListImports(TypedDict, total=False):
    TableArn: str
    PageSize: int
    NextToken: str


class PutResourcePolicy(TypedDict, total=False):
    ResourceArn: Required[str]
    Policy: Required[str]
    ExpectedRevisionId: str
    ConfirmRemoveSelfResourceAccess: bool


class RestoreTableFromBackup(TypedDict, total=False):
    TargetTableName: Required[str]
    BackupArn: Required[str]
    BillingModeOverride: str
    GlobalSecondaryIndexOverride: Sequence[Structure]
    LocalSecondaryIndexOverride: Sequence[Structure]
    ProvisionedThroughputOverride: Structure
    OnDemandThroughputOverride: Structure
    SSESpecificationOverride: Structure
    VectorIndexOverride: Sequence[Structure]


class RestoreTableToPointInTime(TypedDict, total=False):
    TargetTableName: Required[str]
    SourceTableArn: str
    SourceTableName: str
    UseLatestRestorableTime: bool
    RestoreDateTime: Timestamp
    BillingModeOverride: str
    GlobalSecondaryIndexOverride: Sequence[Structure]
    LocalSecondaryIndexOverride: Sequence[Structure]
    ProvisionedThroughputOverride: Structure
    OnDemandThroughputOverride: Structure
    SSESpecificationOverride: Structure
    VectorIndexOverride: Sequence[Structure]


class SearchVectors(TypedDict, total=False):
    TableName: Required[str]
    IndexName: Required[str]
    SearchVector: Required[Sequence[Structure]]
    TopK: Required[int]
    ReturnConsumedCapacity: str
    ExpressionAttributeNames: Mapping[str, str]
    ExpressionAttributeValues: Mapping[str, Structure]
    ProjectionExpression: str
    SearchConditionExpression: str


class StartBulkPutItems(TypedDict, total=False):
    InputS3Configuration: Required[Structure]
    OutputS3Configuration: Required[Structure]
    TableName: Required[str]
    ClientToken: str
    MaxWriteRequestUnits: int
    PerformanceTier: str


class UpdateContinuousBackups(TypedDict, total=False):
    TableName: Required[str]
    PointInTimeRecoverySpecification: Required[Structure]


class UpdateContributorInsights(TypedDict, total=False):
    TableName: Required[str]
    ContributorInsightsAction: Required[str]
    IndexName: str
    ContributorInsightsMode: str


class UpdateGlobalTable(TypedDict, total=False):
    GlobalTableName: Required[str]
    ReplicaUpdates: Required[Sequence[Structure]]


class UpdateGlobalTableSettings(TypedDict, total=False):
    GlobalTableName: Required[str]
    GlobalTableBillingMode: str
    GlobalTableProvisionedWriteCapacityUnits: int
    GlobalTableProvisionedWriteCapacityAutoScalingSettingsUpdate: Structure
    GlobalTableGlobalSecondaryIndexSettingsUpdate: Sequence[Structure]
    ReplicaSettingsUpdate: Sequence[Structure]


class UpdateKinesisStreamingDestination(TypedDict, total=False):
    TableName: Required[str]
    StreamArn: Required[str]
    UpdateKinesisStreamingConfiguration: Structure


class UpdateTableReplicaAutoScaling(TypedDict, total=False):
    TableName: Required[str]
    GlobalSecondaryIndexUpdates: Sequence[Structure]
    ProvisionedWriteCapacityAutoScalingUpdate: Structure
    ReplicaUpdates: Sequence[Structure]


# By the name of the action: what `Client` checks arguments against.
REQUESTS: dict[str, Any] = {
    request.__name__: request
    for request in (
        PutItem,
        GetItem,
        UpdateItem,
        DeleteItem,
        Query,
        Scan,
        BatchGetItem,
        BatchWriteItem,
        TransactGetItems,
        TransactWriteItems,
        ExecuteStatement,
        BatchExecuteStatement,
        ExecuteTransaction,
        CreateTable,
        DescribeTable,
        UpdateTable,
        DeleteTable,
        ListTables,
        UpdateTimeToLive,
        DescribeTimeToLive,
        TagResource,
        UntagResource,
        ListTagsOfResource,
        DescribeLimits,
        DescribeEndpoints,
        ListStreams,
        DescribeStream,
        GetShardIterator,
        GetRecords,
        CancelBulkOperation,
        CreateBackup,
        CreateGlobalTable,
        DeleteBackup,
        DeleteResourcePolicy,
        DescribeBackup,
        DescribeBulkOperation,
        DescribeContinuousBackups,
        DescribeContributorInsights,
        DescribeExport,
        DescribeGlobalTable,
        DescribeGlobalTableSettings,
        DescribeImport,
        DescribeKinesisStreamingDestination,
        DescribeTableReplicaAutoScaling,
        DisableKinesisStreamingDestination,
        EnableKinesisStreamingDestination,
        ExportTableToPointInTime,
        GetResourcePolicy,
        ImportTable,
        ListBackups,
        ListBulkOperations,
        ListContributorInsights,
        ListExports,
        ListGlobalTables,
        ListImports,
        PutResourcePolicy,
        RestoreTableFromBackup,
        RestoreTableToPointInTime,
        SearchVectors,
        StartBulkPutItems,
        UpdateContinuousBackups,
        UpdateContributorInsights,
        UpdateGlobalTable,
        UpdateGlobalTableSettings,
        UpdateKinesisStreamingDestination,
        UpdateTableReplicaAutoScaling,
    )
}
