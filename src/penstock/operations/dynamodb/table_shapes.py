"""The declared requests of the actions on tables: CreateTable to DescribeEndpoints.

Names of constants are the service model's. Where AWS's answers differ from its model the declaration follows
the answers, and tests/unit/operations/test_shapes.py lists the difference with its reason. Members for what
Penstock does not do (replicas, vector indexes) are declared too, because AWS reads and checks them before
anything is done.
"""

from __future__ import annotations

from penstock.operations.dynamodb.names import INDEX_NAME, NAME, NEW_TABLE, TABLE
from penstock.operations.kinds import Flag, ListOf, Struct, Text, Whole

FLAG = Flag()
TEXT = Text()
LONG = Whole(java="Long")

KEY_SCHEMA_ATTRIBUTE_NAME = Text(min=1, max=255)
SCALAR_ATTRIBUTE_TYPE = Text(enum=("B", "N", "S"))
ATTRIBUTE_DEFINITION = Struct(
    "AttributeDefinition",
    {
        "AttributeName": KEY_SCHEMA_ATTRIBUTE_NAME,
        "AttributeType": SCALAR_ATTRIBUTE_TYPE,
    },
    required=("AttributeName", "AttributeType"),
)
ATTRIBUTE_DEFINITIONS = ListOf(ATTRIBUTE_DEFINITION)
KEY_TYPE = Text(enum=("HASH", "RANGE"))
KEY_SCHEMA_ELEMENT = Struct(
    "KeySchemaElement",
    {
        "AttributeName": KEY_SCHEMA_ATTRIBUTE_NAME,
        "KeyType": KEY_TYPE,
    },
    required=("AttributeName", "KeyType"),
)
KEY_SCHEMA = ListOf(KEY_SCHEMA_ELEMENT, min=1, max=2)
# A global index may have up to four attributes in each part of its key.
GLOBAL_KEY_SCHEMA = ListOf(KEY_SCHEMA_ELEMENT, min=1, max=8)
PROJECTION_TYPE = Text(enum=("ALL", "INCLUDE", "KEYS_ONLY"))
NON_KEY_ATTRIBUTE_NAME = Text(min=1, max=255)
NON_KEY_ATTRIBUTE_NAME_LIST = ListOf(NON_KEY_ATTRIBUTE_NAME, min=1, max=20)
PROJECTION = Struct(
    "Projection",
    {
        "ProjectionType": PROJECTION_TYPE,
        "NonKeyAttributes": NON_KEY_ATTRIBUTE_NAME_LIST,
    },
)
LOCAL_SECONDARY_INDEX = Struct(
    "LocalSecondaryIndex",
    {
        "IndexName": INDEX_NAME,
        "KeySchema": KEY_SCHEMA,
        "Projection": PROJECTION,
    },
    required=("IndexName", "KeySchema", "Projection"),
)
LOCAL_SECONDARY_INDEX_LIST = ListOf(LOCAL_SECONDARY_INDEX)
POSITIVE_LONG_OBJECT = Whole(min=1, java="Long")
PROVISIONED_THROUGHPUT = Struct(
    "ProvisionedThroughput",
    {
        "ReadCapacityUnits": POSITIVE_LONG_OBJECT,
        "WriteCapacityUnits": POSITIVE_LONG_OBJECT,
    },
    required=("ReadCapacityUnits", "WriteCapacityUnits"),
)
ON_DEMAND_THROUGHPUT = Struct(
    "OnDemandThroughput",
    {
        "MaxReadRequestUnits": LONG,
        "MaxWriteRequestUnits": LONG,
    },
)
WARM_THROUGHPUT = Struct(
    "WarmThroughput",
    {
        "ReadUnitsPerSecond": LONG,
        "WriteUnitsPerSecond": LONG,
    },
)
GLOBAL_SECONDARY_INDEX = Struct(
    "GlobalSecondaryIndex",
    {
        "IndexName": INDEX_NAME,
        "KeySchema": GLOBAL_KEY_SCHEMA,
        "Projection": PROJECTION,
        "ProvisionedThroughput": PROVISIONED_THROUGHPUT,
        "OnDemandThroughput": ON_DEMAND_THROUGHPUT,
        "WarmThroughput": WARM_THROUGHPUT,
    },
    required=("IndexName", "KeySchema", "Projection"),
)
GLOBAL_SECONDARY_INDEX_LIST = ListOf(GLOBAL_SECONDARY_INDEX)
BILLING_MODE = Text(enum=("PROVISIONED", "PAY_PER_REQUEST"))
STREAM_VIEW_TYPE = Text(enum=("NEW_IMAGE", "OLD_IMAGE", "NEW_AND_OLD_IMAGES", "KEYS_ONLY"))
STREAM_SPECIFICATION = Struct(
    "StreamSpecification",
    {
        "StreamEnabled": FLAG,
        "StreamViewType": STREAM_VIEW_TYPE,
    },
    required=("StreamEnabled",),
)
SSE_TYPE = Text(enum=("AES256", "KMS"))
SSE_SPECIFICATION = Struct(
    "SSESpecification",
    {
        "Enabled": FLAG,
        "SSEType": SSE_TYPE,
        "KMSMasterKeyId": TEXT,
    },
)
# What a tag may hold is checked in table_tags.py: AWS has words of its own for it.
TAG = Struct(
    "Tag",
    {
        "Key": TEXT,
        "Value": TEXT,
    },
)
TAG_LIST = ListOf(TAG)
TABLE_CLASS = Text(enum=("STANDARD", "STANDARD_INFREQUENT_ACCESS"))
GLOBAL_TABLE_SETTINGS_REPLICATION_MODE = Text(enum=("ENABLED", "DISABLED", "ENABLED_WITH_OVERRIDES"))
VECTOR_ATTRIBUTE_NAME = Text(min=1, max=255)
VECTOR_ATTRIBUTE_DEFINITION = Struct(
    "VectorAttributeDefinition",
    {
        "AttributeName": VECTOR_ATTRIBUTE_NAME,
    },
    required=("AttributeName",),
)
ATTRIBUTE_NAME = Text(max=65535)
SEARCH_SCHEMA_ELEMENT_TYPE = Text(enum=("HASH", "INLINE_FILTER"))
SEARCH_SCHEMA_ELEMENT = Struct(
    "SearchSchemaElement",
    {
        "AttributeName": ATTRIBUTE_NAME,
        "SearchSchemaElementType": SEARCH_SCHEMA_ELEMENT_TYPE,
    },
    required=("AttributeName", "SearchSchemaElementType"),
)
SEARCH_SCHEMA = ListOf(SEARCH_SCHEMA_ELEMENT, min=1)
VECTOR_DISTANCE_FUNCTION = Text(enum=("COSINE", "DOT_PRODUCT", "EUCLIDEAN"))
VECTOR_INDEX = Struct(
    "VectorIndex",
    {
        "IndexName": INDEX_NAME,
        "VectorAttribute": VECTOR_ATTRIBUTE_DEFINITION,
        "SearchSchema": SEARCH_SCHEMA,
        "Projection": PROJECTION,
        "Dimensions": POSITIVE_LONG_OBJECT,
        "DistanceFunction": VECTOR_DISTANCE_FUNCTION,
    },
    required=("IndexName", "VectorAttribute", "Projection", "Dimensions", "DistanceFunction"),
)
VECTOR_INDEX_LIST = ListOf(VECTOR_INDEX)
UPDATE_GLOBAL_SECONDARY_INDEX_ACTION = Struct(
    "UpdateGlobalSecondaryIndexAction",
    {
        "IndexName": INDEX_NAME,
        "ProvisionedThroughput": PROVISIONED_THROUGHPUT,
        "OnDemandThroughput": ON_DEMAND_THROUGHPUT,
        "WarmThroughput": WARM_THROUGHPUT,
    },
    required=("IndexName",),
)
CREATE_GLOBAL_SECONDARY_INDEX_ACTION = Struct(
    "CreateGlobalSecondaryIndexAction",
    {
        "IndexName": INDEX_NAME,
        "KeySchema": GLOBAL_KEY_SCHEMA,
        "Projection": PROJECTION,
        "ProvisionedThroughput": PROVISIONED_THROUGHPUT,
        "OnDemandThroughput": ON_DEMAND_THROUGHPUT,
        "WarmThroughput": WARM_THROUGHPUT,
    },
    required=("IndexName", "KeySchema", "Projection"),
)
DELETE_GLOBAL_SECONDARY_INDEX_ACTION = Struct(
    "DeleteGlobalSecondaryIndexAction",
    {
        "IndexName": INDEX_NAME,
    },
    required=("IndexName",),
)
GLOBAL_SECONDARY_INDEX_UPDATE = Struct(
    "GlobalSecondaryIndexUpdate",
    {
        "Update": UPDATE_GLOBAL_SECONDARY_INDEX_ACTION,
        "Create": CREATE_GLOBAL_SECONDARY_INDEX_ACTION,
        "Delete": DELETE_GLOBAL_SECONDARY_INDEX_ACTION,
    },
)
GLOBAL_SECONDARY_INDEX_UPDATE_LIST = ListOf(GLOBAL_SECONDARY_INDEX_UPDATE)
PROVISIONED_THROUGHPUT_OVERRIDE = Struct(
    "ProvisionedThroughputOverride",
    {
        "ReadCapacityUnits": POSITIVE_LONG_OBJECT,
    },
)
ON_DEMAND_THROUGHPUT_OVERRIDE = Struct(
    "OnDemandThroughputOverride",
    {
        "MaxReadRequestUnits": LONG,
    },
)
REPLICA_GLOBAL_SECONDARY_INDEX = Struct(
    "ReplicaGlobalSecondaryIndex",
    {
        "IndexName": INDEX_NAME,
        "ProvisionedThroughputOverride": PROVISIONED_THROUGHPUT_OVERRIDE,
        "OnDemandThroughputOverride": ON_DEMAND_THROUGHPUT_OVERRIDE,
    },
    required=("IndexName",),
)
REPLICA_GLOBAL_SECONDARY_INDEX_LIST = ListOf(REPLICA_GLOBAL_SECONDARY_INDEX, min=1)
CREATE_REPLICATION_GROUP_MEMBER_ACTION = Struct(
    "CreateReplicationGroupMemberAction",
    {
        "RegionName": TEXT,
        "KMSMasterKeyId": TEXT,
        "ProvisionedThroughputOverride": PROVISIONED_THROUGHPUT_OVERRIDE,
        "OnDemandThroughputOverride": ON_DEMAND_THROUGHPUT_OVERRIDE,
        "GlobalSecondaryIndexes": REPLICA_GLOBAL_SECONDARY_INDEX_LIST,
        "TableClassOverride": TABLE_CLASS,
    },
    required=("RegionName",),
)
UPDATE_REPLICATION_GROUP_MEMBER_ACTION = Struct(
    "UpdateReplicationGroupMemberAction",
    {
        "RegionName": TEXT,
        "KMSMasterKeyId": TEXT,
        "ProvisionedThroughputOverride": PROVISIONED_THROUGHPUT_OVERRIDE,
        "OnDemandThroughputOverride": ON_DEMAND_THROUGHPUT_OVERRIDE,
        "GlobalSecondaryIndexes": REPLICA_GLOBAL_SECONDARY_INDEX_LIST,
        "TableClassOverride": TABLE_CLASS,
    },
    required=("RegionName",),
)
DELETE_REPLICATION_GROUP_MEMBER_ACTION = Struct(
    "DeleteReplicationGroupMemberAction",
    {
        "RegionName": TEXT,
    },
    required=("RegionName",),
)
DISASSOCIATION_MODE = Text(enum=("WAIT_FOR_REPLICATION",))
DISASSOCIATE_REPLICATION_GROUP_MEMBER_ACTION = Struct(
    "DisassociateReplicationGroupMemberAction",
    {
        "RegionName": TEXT,
        "DisassociationMode": DISASSOCIATION_MODE,
    },
    required=("RegionName", "DisassociationMode"),
)
REPLICATION_GROUP_UPDATE = Struct(
    "ReplicationGroupUpdate",
    {
        "Create": CREATE_REPLICATION_GROUP_MEMBER_ACTION,
        "Update": UPDATE_REPLICATION_GROUP_MEMBER_ACTION,
        "Delete": DELETE_REPLICATION_GROUP_MEMBER_ACTION,
        "Disassociate": DISASSOCIATE_REPLICATION_GROUP_MEMBER_ACTION,
    },
)
REPLICATION_GROUP_UPDATE_LIST = ListOf(REPLICATION_GROUP_UPDATE, min=1)
MULTI_REGION_CONSISTENCY = Text(enum=("EVENTUAL", "STRONG"))
CREATE_GLOBAL_TABLE_WITNESS_GROUP_MEMBER_ACTION = Struct(
    "CreateGlobalTableWitnessGroupMemberAction",
    {
        "RegionName": TEXT,
    },
    required=("RegionName",),
)
DELETE_GLOBAL_TABLE_WITNESS_GROUP_MEMBER_ACTION = Struct(
    "DeleteGlobalTableWitnessGroupMemberAction",
    {
        "RegionName": TEXT,
    },
    required=("RegionName",),
)
GLOBAL_TABLE_WITNESS_GROUP_UPDATE = Struct(
    "GlobalTableWitnessGroupUpdate",
    {
        "Create": CREATE_GLOBAL_TABLE_WITNESS_GROUP_MEMBER_ACTION,
        "Delete": DELETE_GLOBAL_TABLE_WITNESS_GROUP_MEMBER_ACTION,
    },
)
GLOBAL_TABLE_WITNESS_GROUP_UPDATE_LIST = ListOf(GLOBAL_TABLE_WITNESS_GROUP_UPDATE, min=1, max=1)
CREATE_VECTOR_INDEX_ACTION = Struct(
    "CreateVectorIndexAction",
    {
        "IndexName": INDEX_NAME,
        "VectorAttribute": VECTOR_ATTRIBUTE_DEFINITION,
        "SearchSchema": SEARCH_SCHEMA,
        "Projection": PROJECTION,
        "Dimensions": POSITIVE_LONG_OBJECT,
        "DistanceFunction": VECTOR_DISTANCE_FUNCTION,
    },
    required=("IndexName", "VectorAttribute", "Projection", "Dimensions", "DistanceFunction"),
)
DELETE_VECTOR_INDEX_ACTION = Struct(
    "DeleteVectorIndexAction",
    {
        "IndexName": INDEX_NAME,
    },
    required=("IndexName",),
)
VECTOR_INDEX_UPDATE = Struct(
    "VectorIndexUpdate",
    {
        "Create": CREATE_VECTOR_INDEX_ACTION,
        "Delete": DELETE_VECTOR_INDEX_ACTION,
    },
)
VECTOR_INDEX_UPDATE_LIST = ListOf(VECTOR_INDEX_UPDATE)
TABLE_NAME = Text(min=3, max=255, pattern=NAME)
LIST_TABLES_INPUT_LIMIT = Whole(min=1, max=100)
TIME_TO_LIVE_ATTRIBUTE_NAME = Text(min=1, max=255)
TIME_TO_LIVE_SPECIFICATION = Struct(
    "TimeToLiveSpecification",
    {
        "Enabled": FLAG,
        "AttributeName": TIME_TO_LIVE_ATTRIBUTE_NAME,
    },
    required=("Enabled", "AttributeName"),
)
RESOURCE_ARN_STRING = Text(min=1, max=1283)
TAG_KEY_LIST = ListOf(TEXT)

TABLE_NAME_MISSING = {"TableName": "The parameter 'TableName' is required but was not present in the request"}

ACTIONS: dict[str, Struct] = {
    "CreateTable": Struct(
        "CreateTable",
        {
            "AttributeDefinitions": ATTRIBUTE_DEFINITIONS,
            "TableName": NEW_TABLE,
            "KeySchema": KEY_SCHEMA,
            "LocalSecondaryIndexes": LOCAL_SECONDARY_INDEX_LIST,
            "GlobalSecondaryIndexes": GLOBAL_SECONDARY_INDEX_LIST,
            "BillingMode": BILLING_MODE,
            "ProvisionedThroughput": PROVISIONED_THROUGHPUT,
            "StreamSpecification": STREAM_SPECIFICATION,
            "SSESpecification": SSE_SPECIFICATION,
            "Tags": TAG_LIST,
            "TableClass": TABLE_CLASS,
            "DeletionProtectionEnabled": FLAG,
            "WarmThroughput": WARM_THROUGHPUT,
            "ResourcePolicy": TEXT,
            "OnDemandThroughput": ON_DEMAND_THROUGHPUT,
            "GlobalTableSourceArn": TABLE,
            "GlobalTableSettingsReplicationMode": GLOBAL_TABLE_SETTINGS_REPLICATION_MODE,
            "VectorIndexes": VECTOR_INDEX_LIST,
        },
        required=("TableName", "AttributeDefinitions", "KeySchema"),
        alone="TableName",
        missing=TABLE_NAME_MISSING,
    ),
    "DescribeTable": Struct(
        "DescribeTable",
        {
            "TableName": TABLE,
        },
        required=("TableName",),
        alone="TableName",
        missing=TABLE_NAME_MISSING,
    ),
    "UpdateTable": Struct(
        "UpdateTable",
        {
            "AttributeDefinitions": ATTRIBUTE_DEFINITIONS,
            "TableName": TABLE,
            "BillingMode": BILLING_MODE,
            "ProvisionedThroughput": PROVISIONED_THROUGHPUT,
            "GlobalSecondaryIndexUpdates": GLOBAL_SECONDARY_INDEX_UPDATE_LIST,
            "StreamSpecification": STREAM_SPECIFICATION,
            "SSESpecification": SSE_SPECIFICATION,
            "ReplicaUpdates": REPLICATION_GROUP_UPDATE_LIST,
            "TableClass": TABLE_CLASS,
            "DeletionProtectionEnabled": FLAG,
            "MultiRegionConsistency": MULTI_REGION_CONSISTENCY,
            "GlobalTableWitnessUpdates": GLOBAL_TABLE_WITNESS_GROUP_UPDATE_LIST,
            "OnDemandThroughput": ON_DEMAND_THROUGHPUT,
            "WarmThroughput": WARM_THROUGHPUT,
            "GlobalTableSettingsReplicationMode": GLOBAL_TABLE_SETTINGS_REPLICATION_MODE,
            "DisassociationProtectionEnabled": FLAG,
            "VectorIndexUpdates": VECTOR_INDEX_UPDATE_LIST,
        },
        required=("TableName",),
        alone="TableName",
        missing=TABLE_NAME_MISSING,
    ),
    "DeleteTable": Struct(
        "DeleteTable",
        {
            "TableName": TABLE,
        },
        required=("TableName",),
        alone="TableName",
        missing=TABLE_NAME_MISSING,
    ),
    "ListTables": Struct(
        "ListTables",
        {
            "ExclusiveStartTableName": TABLE_NAME,
            "Limit": LIST_TABLES_INPUT_LIMIT,
        },
    ),
    "UpdateTimeToLive": Struct(
        "UpdateTimeToLive",
        {
            "TableName": TABLE,
            "TimeToLiveSpecification": TIME_TO_LIVE_SPECIFICATION,
        },
        required=("TableName", "TimeToLiveSpecification"),
        alone="TableName",
        missing=TABLE_NAME_MISSING,
    ),
    "DescribeTimeToLive": Struct(
        "DescribeTimeToLive",
        {
            "TableName": TABLE,
        },
        required=("TableName",),
        alone="TableName",
        missing=TABLE_NAME_MISSING,
    ),
    "TagResource": Struct(
        "TagResource",
        {
            "ResourceArn": RESOURCE_ARN_STRING,
            "Tags": TAG_LIST,
        },
        required=("ResourceArn", "Tags"),
    ),
    "UntagResource": Struct(
        "UntagResource",
        {
            "ResourceArn": RESOURCE_ARN_STRING,
            "TagKeys": TAG_KEY_LIST,
        },
        required=("ResourceArn", "TagKeys"),
    ),
    "ListTagsOfResource": Struct(
        "ListTagsOfResource",
        {
            "ResourceArn": RESOURCE_ARN_STRING,
            "NextToken": TEXT,
        },
        required=("ResourceArn",),
    ),
    "DescribeLimits": Struct(
        "DescribeLimits",
        {},
    ),
    "DescribeEndpoints": Struct(
        "DescribeEndpointsRequest",
        {},
    ),
}
