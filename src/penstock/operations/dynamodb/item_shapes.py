"""The declared requests of the actions on items and of PartiQL: PutItem to ExecuteTransaction.

Names of constants are the service model's. Where AWS's answers differ from its model the declaration follows
the answers, and tests/unit/operations/test_shapes.py lists the difference with its reason. Values are made
canonical in the order in which members stand here.
"""

from __future__ import annotations

from penstock.operations.dynamodb.names import INDEX_NAME, TABLE
from penstock.operations.kinds import Attributes, Flag, ListOf, MapOf, Struct, Text, Value, Whole

FLAG = Flag()
TEXT = Text()
VALUE = Value()
ATTRIBUTES = Attributes()
PLACEHOLDERS = Attributes("placeholders")
START_KEY = Attributes("start_key")

COMPARISON_OPERATOR = Text(
    enum=(
        "IN",
        "NULL",
        "BETWEEN",
        "LT",
        "NOT_CONTAINS",
        "EQ",
        "GT",
        "NOT_NULL",
        "NE",
        "LE",
        "BEGINS_WITH",
        "GE",
        "CONTAINS",
    )
)
ATTRIBUTE_VALUE_LIST = ListOf(VALUE)
EXPECTED_ATTRIBUTE_VALUE = Struct(
    "ExpectedAttributeValue",
    {
        "Value": VALUE,
        "Exists": FLAG,
        "ComparisonOperator": COMPARISON_OPERATOR,
        "AttributeValueList": ATTRIBUTE_VALUE_LIST,
    },
)
ATTRIBUTE_NAME = Text(max=65535)
EXPECTED_ATTRIBUTE_MAP = MapOf(EXPECTED_ATTRIBUTE_VALUE, key=ATTRIBUTE_NAME)
RETURN_VALUE = Text(enum=("ALL_NEW", "UPDATED_OLD", "ALL_OLD", "NONE", "UPDATED_NEW"))
RETURN_CONSUMED_CAPACITY = Text(enum=("INDEXES", "TOTAL", "NONE"))
RETURN_ITEM_COLLECTION_METRICS = Text(enum=("SIZE", "NONE"))
CONDITIONAL_OPERATOR = Text(enum=("OR", "AND"))
EXPRESSION_ATTRIBUTE_NAME_MAP = MapOf(ATTRIBUTE_NAME)
RETURN_VALUES_ON_CONDITION_CHECK_FAILURE = Text(enum=("ALL_OLD", "NONE"))
ATTRIBUTE_NAME_LIST = ListOf(ATTRIBUTE_NAME, min=1)
ATTRIBUTE_ACTION = Text(enum=("ADD", "DELETE", "PUT"))
ATTRIBUTE_VALUE_UPDATE = Struct(
    "AttributeValueUpdate",
    {
        "Value": VALUE,
        "Action": ATTRIBUTE_ACTION,
    },
)
ATTRIBUTE_UPDATES = MapOf(ATTRIBUTE_VALUE_UPDATE, key=ATTRIBUTE_NAME)
SELECT = Text(enum=("SPECIFIC_ATTRIBUTES", "COUNT", "ALL_ATTRIBUTES", "ALL_PROJECTED_ATTRIBUTES"))
POSITIVE_INTEGER_OBJECT = Whole(min=1)
QUERY_LIMIT = Whole(min=1, brief=True)
CONDITION = Struct(
    "Condition",
    {
        "AttributeValueList": ATTRIBUTE_VALUE_LIST,
        "ComparisonOperator": COMPARISON_OPERATOR,
    },
    required=("ComparisonOperator",),
)
KEY_CONDITIONS = MapOf(CONDITION, key=ATTRIBUTE_NAME)
FILTER_CONDITION_MAP = MapOf(CONDITION, key=ATTRIBUTE_NAME)
SCAN_TOTAL_SEGMENTS = Whole(min=1, max=1000000)
SCAN_SEGMENT = Whole(min=0, max=999999)
KEY_LIST = ListOf(ATTRIBUTES, min=1, max=100, brief=True)
KEYS_AND_ATTRIBUTES = Struct(
    "KeysAndAttributes",
    {
        "Keys": KEY_LIST,
        "AttributesToGet": ATTRIBUTE_NAME_LIST,
        "ConsistentRead": FLAG,
        "ProjectionExpression": TEXT,
        "ExpressionAttributeNames": EXPRESSION_ATTRIBUTE_NAME_MAP,
    },
    required=("Keys",),
)
BATCH_GET_REQUEST_MAP = MapOf(KEYS_AND_ATTRIBUTES, key=TABLE, min=1, max=100)
PUT_REQUEST = Struct(
    "PutRequest",
    {
        "Item": ATTRIBUTES,
    },
    required=("Item",),
    private=("workloadProfileName",),
)
DELETE_REQUEST = Struct(
    "DeleteRequest",
    {
        "Key": ATTRIBUTES,
    },
    required=("Key",),
)
WRITE_REQUEST = Struct(
    "WriteRequest",
    {
        "PutRequest": PUT_REQUEST,
        "DeleteRequest": DELETE_REQUEST,
    },
)
WRITE_REQUESTS = ListOf(WRITE_REQUEST, min=1, max=25)
BATCH_WRITE_ITEM_REQUEST_MAP = MapOf(WRITE_REQUESTS, key=TABLE, min=1, max=25)
GET = Struct(
    "Get",
    {
        "Key": ATTRIBUTES,
        "TableName": TABLE,
        "ProjectionExpression": TEXT,
        "ExpressionAttributeNames": EXPRESSION_ATTRIBUTE_NAME_MAP,
    },
    required=("Key", "TableName"),
)
TRANSACT_GET_ITEM = Struct(
    "TransactGetItem",
    {
        "Get": GET,
    },
    required=("Get",),
)
TRANSACT_GET_ITEM_LIST = ListOf(TRANSACT_GET_ITEM, min=1, max=100)
CONDITION_CHECK = Struct(
    "ConditionCheck",
    {
        "Key": ATTRIBUTES,
        "TableName": TABLE,
        "ConditionExpression": TEXT,
        "ExpressionAttributeNames": EXPRESSION_ATTRIBUTE_NAME_MAP,
        "ExpressionAttributeValues": PLACEHOLDERS,
        "ReturnValuesOnConditionCheckFailure": RETURN_VALUES_ON_CONDITION_CHECK_FAILURE,
    },
    required=("Key", "TableName", "ConditionExpression"),
)
PUT = Struct(
    "Put",
    {
        "Item": ATTRIBUTES,
        "TableName": TABLE,
        "ConditionExpression": TEXT,
        "ExpressionAttributeNames": EXPRESSION_ATTRIBUTE_NAME_MAP,
        "ExpressionAttributeValues": PLACEHOLDERS,
        "ReturnValuesOnConditionCheckFailure": RETURN_VALUES_ON_CONDITION_CHECK_FAILURE,
    },
    required=("Item", "TableName"),
)
DELETE = Struct(
    "Delete",
    {
        "Key": ATTRIBUTES,
        "TableName": TABLE,
        "ConditionExpression": TEXT,
        "ExpressionAttributeNames": EXPRESSION_ATTRIBUTE_NAME_MAP,
        "ExpressionAttributeValues": PLACEHOLDERS,
        "ReturnValuesOnConditionCheckFailure": RETURN_VALUES_ON_CONDITION_CHECK_FAILURE,
    },
    required=("Key", "TableName"),
)
UPDATE = Struct(
    "Update",
    {
        "Key": ATTRIBUTES,
        "UpdateExpression": TEXT,
        "TableName": TABLE,
        "ConditionExpression": TEXT,
        "ExpressionAttributeNames": EXPRESSION_ATTRIBUTE_NAME_MAP,
        "ExpressionAttributeValues": PLACEHOLDERS,
        "ReturnValuesOnConditionCheckFailure": RETURN_VALUES_ON_CONDITION_CHECK_FAILURE,
    },
    required=("Key", "UpdateExpression", "TableName"),
)
TRANSACT_WRITE_ITEM = Struct(
    "TransactWriteItem",
    {
        "ConditionCheck": CONDITION_CHECK,
        "Put": PUT,
        "Delete": DELETE,
        "Update": UPDATE,
    },
)
TRANSACT_WRITE_ITEM_LIST = ListOf(TRANSACT_WRITE_ITEM, min=1, max=100)
CLIENT_REQUEST_TOKEN = Text(min=1, max=36)
PARTI_QL_STATEMENT = Text(min=1, max=8192)
PREPARED_STATEMENT_PARAMETERS = ListOf(VALUE, min=1)
PARTI_QL_NEXT_TOKEN = Text(min=1, max=32768)
BATCH_STATEMENT_REQUEST = Struct(
    "BatchStatementRequest",
    {
        "Statement": PARTI_QL_STATEMENT,
        "Parameters": PREPARED_STATEMENT_PARAMETERS,
        "ConsistentRead": FLAG,
        "ReturnValuesOnConditionCheckFailure": RETURN_VALUES_ON_CONDITION_CHECK_FAILURE,
    },
    required=("Statement",),
)
PARTI_QL_BATCH_REQUEST = ListOf(BATCH_STATEMENT_REQUEST, min=1, max=25)
PARAMETERIZED_STATEMENT = Struct(
    "ParameterizedStatement",
    {
        "Statement": PARTI_QL_STATEMENT,
        "Parameters": PREPARED_STATEMENT_PARAMETERS,
        "ReturnValuesOnConditionCheckFailure": RETURN_VALUES_ON_CONDITION_CHECK_FAILURE,
    },
    required=("Statement",),
)
PARAMETERIZED_STATEMENTS = ListOf(PARAMETERIZED_STATEMENT, min=1, max=100)

ACTIONS: dict[str, Struct] = {
    "PutItem": Struct(
        "PutItem",
        {
            "TableName": TABLE,
            "Item": ATTRIBUTES,
            "Expected": EXPECTED_ATTRIBUTE_MAP,
            "ReturnValues": RETURN_VALUE,
            "ReturnConsumedCapacity": RETURN_CONSUMED_CAPACITY,
            "ReturnItemCollectionMetrics": RETURN_ITEM_COLLECTION_METRICS,
            "ConditionalOperator": CONDITIONAL_OPERATOR,
            "ConditionExpression": TEXT,
            "ExpressionAttributeNames": EXPRESSION_ATTRIBUTE_NAME_MAP,
            "ExpressionAttributeValues": PLACEHOLDERS,
            "ReturnValuesOnConditionCheckFailure": RETURN_VALUES_ON_CONDITION_CHECK_FAILURE,
        },
        required=("TableName", "Item"),
        alone="TableName",
    ),
    "GetItem": Struct(
        "GetItem",
        {
            "TableName": TABLE,
            "Key": ATTRIBUTES,
            "AttributesToGet": ATTRIBUTE_NAME_LIST,
            "ConsistentRead": FLAG,
            "ReturnConsumedCapacity": RETURN_CONSUMED_CAPACITY,
            "ProjectionExpression": TEXT,
            "ExpressionAttributeNames": EXPRESSION_ATTRIBUTE_NAME_MAP,
        },
        required=("TableName", "Key"),
        alone="TableName",
    ),
    "UpdateItem": Struct(
        "UpdateItem",
        {
            "TableName": TABLE,
            "Key": ATTRIBUTES,
            "AttributeUpdates": ATTRIBUTE_UPDATES,
            "Expected": EXPECTED_ATTRIBUTE_MAP,
            "ConditionalOperator": CONDITIONAL_OPERATOR,
            "ReturnValues": RETURN_VALUE,
            "ReturnConsumedCapacity": RETURN_CONSUMED_CAPACITY,
            "ReturnItemCollectionMetrics": RETURN_ITEM_COLLECTION_METRICS,
            "UpdateExpression": TEXT,
            "ConditionExpression": TEXT,
            "ExpressionAttributeNames": EXPRESSION_ATTRIBUTE_NAME_MAP,
            "ExpressionAttributeValues": PLACEHOLDERS,
            "ReturnValuesOnConditionCheckFailure": RETURN_VALUES_ON_CONDITION_CHECK_FAILURE,
        },
        required=("TableName", "Key"),
        alone="TableName",
    ),
    "DeleteItem": Struct(
        "DeleteItem",
        {
            "TableName": TABLE,
            "Key": ATTRIBUTES,
            "Expected": EXPECTED_ATTRIBUTE_MAP,
            "ConditionalOperator": CONDITIONAL_OPERATOR,
            "ReturnValues": RETURN_VALUE,
            "ReturnConsumedCapacity": RETURN_CONSUMED_CAPACITY,
            "ReturnItemCollectionMetrics": RETURN_ITEM_COLLECTION_METRICS,
            "ConditionExpression": TEXT,
            "ExpressionAttributeNames": EXPRESSION_ATTRIBUTE_NAME_MAP,
            "ExpressionAttributeValues": PLACEHOLDERS,
            "ReturnValuesOnConditionCheckFailure": RETURN_VALUES_ON_CONDITION_CHECK_FAILURE,
        },
        required=("TableName", "Key"),
        alone="TableName",
    ),
    "Query": Struct(
        "Query",
        {
            "TableName": TABLE,
            "IndexName": INDEX_NAME,
            "Select": SELECT,
            "AttributesToGet": ATTRIBUTE_NAME_LIST,
            "Limit": QUERY_LIMIT,
            "ConsistentRead": FLAG,
            "KeyConditions": KEY_CONDITIONS,
            "QueryFilter": FILTER_CONDITION_MAP,
            "ConditionalOperator": CONDITIONAL_OPERATOR,
            "ScanIndexForward": FLAG,
            "ExclusiveStartKey": START_KEY,
            "ReturnConsumedCapacity": RETURN_CONSUMED_CAPACITY,
            "ProjectionExpression": TEXT,
            "FilterExpression": TEXT,
            "KeyConditionExpression": TEXT,
            "ExpressionAttributeNames": EXPRESSION_ATTRIBUTE_NAME_MAP,
            "ExpressionAttributeValues": PLACEHOLDERS,
        },
        required=("TableName",),
        alone="TableName",
    ),
    "Scan": Struct(
        "Scan",
        {
            "TableName": TABLE,
            "IndexName": INDEX_NAME,
            "AttributesToGet": ATTRIBUTE_NAME_LIST,
            "Limit": POSITIVE_INTEGER_OBJECT,
            "Select": SELECT,
            "ScanFilter": FILTER_CONDITION_MAP,
            "ConditionalOperator": CONDITIONAL_OPERATOR,
            "ExclusiveStartKey": START_KEY,
            "ReturnConsumedCapacity": RETURN_CONSUMED_CAPACITY,
            "TotalSegments": SCAN_TOTAL_SEGMENTS,
            "Segment": SCAN_SEGMENT,
            "ProjectionExpression": TEXT,
            "FilterExpression": TEXT,
            "ExpressionAttributeNames": EXPRESSION_ATTRIBUTE_NAME_MAP,
            "ExpressionAttributeValues": PLACEHOLDERS,
            "ConsistentRead": FLAG,
        },
        required=("TableName",),
        alone="TableName",
    ),
    "BatchGetItem": Struct(
        "BatchGetItem",
        {
            "RequestItems": BATCH_GET_REQUEST_MAP,
            "ReturnConsumedCapacity": RETURN_CONSUMED_CAPACITY,
        },
        required=("RequestItems",),
        missing={"RequestItems": "The requestItems parameter is required for BatchGetItem"},
    ),
    "BatchWriteItem": Struct(
        "BatchWriteItem",
        {
            "RequestItems": BATCH_WRITE_ITEM_REQUEST_MAP,
            "ReturnConsumedCapacity": RETURN_CONSUMED_CAPACITY,
            "ReturnItemCollectionMetrics": RETURN_ITEM_COLLECTION_METRICS,
        },
        required=("RequestItems",),
        missing={"RequestItems": "The requestItems parameter is required for BatchWriteItem"},
    ),
    "TransactGetItems": Struct(
        "TransactGetItems",
        {
            "TransactItems": TRANSACT_GET_ITEM_LIST,
            "ReturnConsumedCapacity": RETURN_CONSUMED_CAPACITY,
        },
        required=("TransactItems",),
    ),
    "TransactWriteItems": Struct(
        "TransactWriteItems",
        {
            "TransactItems": TRANSACT_WRITE_ITEM_LIST,
            "ReturnConsumedCapacity": RETURN_CONSUMED_CAPACITY,
            "ReturnItemCollectionMetrics": RETURN_ITEM_COLLECTION_METRICS,
            "ClientRequestToken": CLIENT_REQUEST_TOKEN,
        },
        required=("TransactItems",),
    ),
    "ExecuteStatement": Struct(
        "ExecuteStatement",
        {
            "Statement": PARTI_QL_STATEMENT,
            "Parameters": PREPARED_STATEMENT_PARAMETERS,
            "ConsistentRead": FLAG,
            "NextToken": PARTI_QL_NEXT_TOKEN,
            "ReturnConsumedCapacity": RETURN_CONSUMED_CAPACITY,
            "Limit": POSITIVE_INTEGER_OBJECT,
            "ReturnValuesOnConditionCheckFailure": RETURN_VALUES_ON_CONDITION_CHECK_FAILURE,
        },
        required=("Statement",),
    ),
    "BatchExecuteStatement": Struct(
        "BatchExecuteStatement",
        {
            "Statements": PARTI_QL_BATCH_REQUEST,
            "ReturnConsumedCapacity": RETURN_CONSUMED_CAPACITY,
        },
        required=("Statements",),
    ),
    "ExecuteTransaction": Struct(
        "ExecuteTransaction",
        {
            "TransactStatements": PARAMETERIZED_STATEMENTS,
            "ClientRequestToken": CLIENT_REQUEST_TOKEN,
            "ReturnConsumedCapacity": RETURN_CONSUMED_CAPACITY,
        },
        required=("TransactStatements",),
    ),
}
