"""The door: each action's request against botocore's model, and AWS's words for what does not fit."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from tests.botocore_model import request_differences

from penstock.errors import ServiceError
from penstock.operations import shapes
from penstock.operations.dynamodb.shapes import ACTIONS as DYNAMODB_ACTIONS
from penstock.operations.streams.shapes import ACTIONS as STREAMS_ACTIONS

ITEM: dict[str, Any] = {"pk": {"S": "a"}}
CAPACITY = "Member must satisfy enum value set: [INDEXES, TOTAL, NONE]"
KEY_TYPES = "Member must satisfy enum value set: [HASH, RANGE]"
RETURN_VALUES = "Member must satisfy enum value set: [ALL_NEW, UPDATED_OLD, ALL_OLD, NONE, UPDATED_NEW]"

# Where the declarations say other than the model, and why.
KNOWN_DIFFERENCES = {
    # AWS answers PutItem with "length less than or equal to 255" and the pattern where the name is no ARN.
    "TableArn max: 255, model says 1024",
    "TableArn pattern: [a-zA-Z0-9_.-]+, model says None",
    # CreateTable of "ab": "Member must have length greater than or equal to 3".
    "TableArn min: 3, model says 1",
    # CreateTable with three elements: "Member must have length less than or equal to 2"; a global index
    # takes 4 + 4.
    "KeySchema max: 2, model says None",
    "KeySchema max: 8, model says None",
    # The model lets both go for a table made from another Region's; without that they are asked for.
    "CreateTableInput member AttributeDefinitions: required",
    "CreateTableInput member KeySchema: required",
    # TagResource of a key of 129 characters: "The Tag Key provided is invalid, Key: …"; see table_tags.py.
    "TagKeyString min: None, model says 1",
    "TagKeyString max: None, model says 128",
    "TagValueString max: None, model says 256",
    "Tag member Key: not required",
    "Tag member Value: not required",
    # API reference of the actions: at most 100 streams or shards, 1,000 records.
    "PositiveIntegerObject max: 100, model says None",
    "PositiveIntegerObject max: 1000, model says None",
}


def message_of(action: str, request: Any) -> str:
    def enter() -> None:
        shapes.check_shape(action, request)
        shapes.canonicalise(action, request)

    with pytest.raises(ServiceError) as caught:
        enter()
    assert caught.value.message is not None
    return f"{caught.value.code}: {caught.value.message}"


def refusal(*findings: str) -> str:
    plural = "s" if len(findings) > 1 else ""
    return f"ValidationException: {len(findings)} validation error{plural} detected: {'; '.join(findings)}"


def finding(value: str, path: str, fault: str) -> str:
    return f"Value {value} at '{path}' failed to satisfy constraint: {fault}"


# The service model is the list of every shape: a member or bound that is wrong here is wrong for every
# client.
def test_every_request_is_declared_as_the_service_model_has_it() -> None:
    differences: set[str] = set()
    for action, declared in DYNAMODB_ACTIONS.items():
        differences |= request_differences("dynamodb", action, declared)
    for action, declared in STREAMS_ACTIONS.items():
        differences |= request_differences("dynamodbstreams", action, declared)
    assert differences == KNOWN_DIFFERENCES


# The actions that the product promises; a missing one would be a KeyError at the first request.
def test_every_promised_action_has_a_shape() -> None:
    promised = (
        "CreateTable DescribeTable UpdateTable DeleteTable ListTables UpdateTimeToLive DescribeTimeToLive "
        "TagResource UntagResource ListTagsOfResource DescribeLimits DescribeEndpoints PutItem GetItem "
        "UpdateItem DeleteItem Query Scan BatchGetItem BatchWriteItem TransactGetItems TransactWriteItems "
        "ExecuteStatement BatchExecuteStatement ExecuteTransaction"
    )
    assert set(DYNAMODB_ACTIONS) == set(promised.split())
    assert set(STREAMS_ACTIONS) == {"ListStreams", "DescribeStream", "GetShardIterator", "GetRecords"}


# A bad table name is reported alone and with its first fault only, as AWS does since names may be ARNs.
@pytest.mark.parametrize(
    ("name", "shown", "fault"),
    [
        (None, "null", "Member must not be null"),
        ("", "''", "Member must have length greater than or equal to 1"),
        ("x!", "'x!'", "Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+"),
        ("a" * 256, f"'{'a' * 256}'", "Member must have length less than or equal to 255"),
        (
            "arn:" + "a" * 1024,
            f"'arn:{'a' * 1024}'",
            "Member must have length less than or equal to 1024",
        ),
    ],
)
def test_a_bad_table_name_is_reported_alone(name: str | None, shown: str, fault: str) -> None:
    request: dict[str, Any] = {"TableName": name, "Item": {}, "ReturnValues": "INVALID"}
    assert message_of("PutItem", request) == refusal(finding(shown, "tableName", fault))


# Item actions take an ARN for a name.
def test_an_arn_may_stand_for_a_table_name() -> None:
    request = {"TableName": "arn:aws:dynamodb:us-east-1:000000000000:table/orders", "Key": ITEM}
    shapes.check_shape("GetItem", request)
    assert request["Key"] == ITEM


# CreateTable asks for its name in words of its own, and for three characters.
def test_create_table_has_its_own_rules_for_the_name() -> None:
    assert message_of("CreateTable", {"KeySchema": []}) == (
        "ValidationException: The parameter 'TableName' is required but was not present in the request"
    )
    assert message_of("CreateTable", {"TableName": "ab", "KeySchema": []}) == refusal(
        finding("'ab'", "tableName", "Member must have length greater than or equal to 3")
    )


# All other findings are joined, so that a client sees them at once.
def test_findings_are_joined() -> None:
    request = {"TableName": "abc", "Item": {}, "ReturnValues": "X", "ReturnConsumedCapacity": "Y"}
    assert message_of("PutItem", request) == refusal(
        finding("'X'", "returnValues", RETURN_VALUES), finding("'Y'", "returnConsumedCapacity", CAPACITY)
    )
    assert message_of("PutItem", {"TableName": "abc"}) == refusal(
        finding("null", "item", "Member must not be null")
    )


# Paths count list members from one, and enums print in AWS's order.
def test_a_finding_inside_lists_and_structures_has_its_path() -> None:
    request = {
        "TableName": "abc",
        "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "INVALID"}],
        "KeySchema": [{"AttributeName": "pk", "KeyType": "INVALID"}],
        "ProvisionedThroughput": {"ReadCapacityUnits": 0, "WriteCapacityUnits": 1},
        "SSESpecification": {"SSEType": "X"},
    }
    assert message_of("CreateTable", request) == refusal(
        finding(
            "'INVALID'",
            "attributeDefinitions.1.member.attributeType",
            "Member must satisfy enum value set: [B, N, S]",
        ),
        finding("'INVALID'", "keySchema.1.member.keyType", KEY_TYPES),
        finding(
            "'0'",
            "provisionedThroughput.readCapacityUnits",
            "Member must have value greater than or equal to 1",
        ),
        finding("'X'", "sSESpecification.sSEType", "Member must satisfy enum value set: [AES256, KMS]"),
    )


# AWS echoes what it refuses as Java prints it.
def test_a_list_too_long_is_echoed_as_java_prints_it() -> None:
    element = {"AttributeName": "pk", "KeyType": "HASH"}
    request = {"TableName": "abc", "AttributeDefinitions": [], "KeySchema": [element] * 3}
    shown = ", ".join(["KeySchemaElement(attributeName=pk, keyType=HASH)"] * 3)
    assert message_of("CreateTable", request) == refusal(
        finding(f"'[{shown}]'", "keySchema", "Member must have length less than or equal to 2")
    )


# A map's values are judged at the map; 26 writes to one table are the usual way to meet this.
def test_too_many_writes_to_a_table_are_reported_at_the_map() -> None:
    message = message_of("BatchWriteItem", {"RequestItems": {"abc": [{"PutRequest": {"Item": ITEM}}] * 26}})
    assert message.startswith(
        "ValidationException: 1 validation error detected: Value "
        "'{abc=[WriteRequest(putRequest=PutRequest(item={pk="
    )
    assert message.endswith(
        "workloadProfileName=null), deleteRequest=null)]}' at 'requestItems' failed to satisfy constraint: "
        "Map value must satisfy constraint: [Member must have length less than or equal to 25, Member must "
        "have length greater than or equal to 1]"
    )


# Two bounds are reported in a newer style, without the value and with the API's own names.
def test_some_bounds_are_reported_briefly() -> None:
    assert message_of("Query", {"TableName": "abc", "Limit": 0}) == (
        "ValidationException: 1 validation error detected: Value at 'Limit' failed to satisfy constraint: "
        "Member must have value greater than or equal to 1"
    )
    assert message_of("BatchGetItem", {"RequestItems": {"abc": {"Keys": [ITEM] * 101}}}) == (
        "ValidationException: 1 validation error detected: Value at 'RequestItems.abc.member.Keys' failed to "
        "satisfy constraint: Member must have length less than or equal to 100"
    )
    assert message_of("Scan", {"TableName": "abc", "Limit": 0}) == refusal(
        finding("'0'", "limit", "Member must have value greater than or equal to 1")
    )


# Batches name the parameter that is missing or empty.
@pytest.mark.parametrize("action", ["BatchGetItem", "BatchWriteItem"])
@pytest.mark.parametrize("request_", [{}, {"RequestItems": {}}, {"RequestItems": None}])
def test_an_empty_batch_names_what_is_missing(action: str, request_: dict[str, Any]) -> None:
    expected = f"ValidationException: The requestItems parameter is required for {action}"
    assert message_of(action, copy.deepcopy(request_)) == expected


# Bounds of a transaction.
def test_a_transaction_has_one_to_a_hundred_actions() -> None:
    for action in ("TransactGetItems", "TransactWriteItems"):
        assert message_of(action, {"TransactItems": []}) == refusal(
            finding("'[]'", "transactItems", "Member must have length greater than or equal to 1")
        )
    put = {"Put": {"TableName": "abc", "Item": ITEM}}
    assert message_of("TransactWriteItems", {"TransactItems": [put] * 101}).endswith(
        "at 'transactItems' failed to satisfy constraint: Member must have length less than or equal to 100"
    )
    assert message_of("TransactWriteItems", {"TransactItems": [{"Put": {"Item": ITEM}}]}) == refusal(
        finding("null", "transactItems.1.member.put.tableName", "Member must not be null")
    )


# Wrong JSON types come before everything else, however deep they are and whatever else is wrong.
@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ({"TableName": 5}, "NUMBER_VALUE cannot be converted to String"),
        ({"TableName": 5.5}, "DECIMAL_VALUE cannot be converted to String"),
        ({"TableName": True}, "TRUE_VALUE cannot be converted to String"),
        ({"TableName": []}, "Unrecognized collection type class java.lang.String"),
        ({"TableName": {}}, "Start of structure or map found where not expected"),
        ({"ConsistentRead": "dog"}, "Unexpected token received from parser"),
        ({"ConsistentRead": 1}, "NUMBER_VALUE cannot be converted to Boolean"),
        ({"Limit": "1"}, "STRING_VALUE cannot be converted to Integer"),
        ({"AttributesToGet": "a"}, "Unexpected field type"),
        ({"AttributesToGet": {}}, "Start of structure or map found where not expected"),
        ({"ExpressionAttributeNames": "a"}, "Unexpected field type"),
        (
            {"ExpressionAttributeNames": []},
            "Unrecognized collection type java.util.Map<java.lang.String, java.lang.String>",
        ),
        ({"ExpressionAttributeValues": {":v": {"N": 5}}}, "NUMBER_VALUE cannot be converted to String"),
        ({"ExpressionAttributeValues": {":v": "a"}}, "Unexpected value type in payload"),
        (
            {"KeyConditions": {"a": []}},
            "Unrecognized collection type class com.amazonaws.dynamodb.v20120810.Condition",
        ),
        (
            {"KeyConditions": {"a": {"AttributeValueList": [{"L": [{"BOOL": 3}]}]}}},
            "NUMBER_VALUE cannot be converted to Boolean",
        ),
    ],
)
def test_wrong_json_types_come_first(request_: dict[str, Any], message: str) -> None:
    request = {"Select": "INVALID", **request_}
    assert message_of("Query", request) == f"SerializationException: {message}"


# AWS reads null as absent, cuts fractions off and does not see members that it does not know.
def test_a_request_is_left_as_aws_reads_it() -> None:
    request: dict[str, Any] = {
        "TableName": "abc",
        "FilterExpression": None,
        "Limit": 5.7,
        "ConsistentRead": "yes",
        "Unknown": {"Any": 1},
    }
    shapes.check_shape("Scan", request)
    assert request == {"TableName": "abc", "Limit": 5, "ConsistentRead": True}


# Members of a list of plain text are reported at the list.
def test_a_bad_member_of_a_list_of_text_is_reported_at_the_list() -> None:
    index = {
        "IndexName": "by_a",
        "KeySchema": [{"AttributeName": "a", "KeyType": "HASH"}],
        "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["ok", ""]},
    }
    request = {
        "TableName": "abc",
        "AttributeDefinitions": [{"AttributeName": "a", "AttributeType": "S"}],
        "KeySchema": [{"AttributeName": "a", "KeyType": "HASH"}],
        "GlobalSecondaryIndexes": [index],
    }
    assert message_of("CreateTable", request) == refusal(
        finding(
            "'[ok, ]'",
            "globalSecondaryIndexes.1.member.projection.nonKeyAttributes",
            "Member must satisfy constraint: [Member must have length less than or equal to 255, "
            "Member must have length greater than or equal to 1]",
        )
    )


# Every place that holds values is made canonical, or two spellings of one key would be two items.
@pytest.mark.parametrize(
    ("action", "request_"),
    [
        ("PutItem", {"TableName": "abc", "Item": {"a": {"N": "1.0"}}}),
        ("GetItem", {"TableName": "abc", "Key": {"a": {"N": "1.0"}}}),
        ("UpdateItem", {"TableName": "abc", "Key": {}, "AttributeUpdates": {"a": {"Value": {"N": "1.0"}}}}),
        ("DeleteItem", {"TableName": "abc", "Key": {}, "Expected": {"a": {"Value": {"N": "1.0"}}}}),
        ("Query", {"TableName": "abc", "ExpressionAttributeValues": {":a": {"N": "1.0"}}}),
        ("Query", {"TableName": "abc", "ExclusiveStartKey": {"a": {"N": "1.0"}}}),
        (
            "Scan",
            {
                "TableName": "abc",
                "ScanFilter": {"a": {"ComparisonOperator": "EQ", "AttributeValueList": [{"N": "1.0"}]}},
            },
        ),
        ("BatchGetItem", {"RequestItems": {"abc": {"Keys": [{"a": {"N": "1.0"}}]}}}),
        ("BatchWriteItem", {"RequestItems": {"abc": [{"PutRequest": {"Item": {"a": {"N": "1.0"}}}}]}}),
        ("BatchWriteItem", {"RequestItems": {"abc": [{"DeleteRequest": {"Key": {"a": {"N": "1.0"}}}}]}}),
        ("TransactGetItems", {"TransactItems": [{"Get": {"TableName": "abc", "Key": {"a": {"N": "1.0"}}}}]}),
        (
            "TransactWriteItems",
            {"TransactItems": [{"Put": {"TableName": "abc", "Item": {"a": {"N": "1.0"}}}}]},
        ),
        ("ExecuteStatement", {"Statement": "x", "Parameters": [{"N": "1.0"}]}),
        ("BatchExecuteStatement", {"Statements": [{"Statement": "x", "Parameters": [{"N": "1.0"}]}]}),
        ("ExecuteTransaction", {"TransactStatements": [{"Statement": "x", "Parameters": [{"N": "1.0"}]}]}),
    ],
)
def test_every_value_in_a_request_is_made_canonical(action: str, request_: dict[str, Any]) -> None:
    request = copy.deepcopy(request_)
    shapes.check_shape(action, request)
    shapes.canonicalise(action, request)
    assert str(request) == str(request_).replace("1.0", "1")


# Where a value is named by a placeholder or a start key, so is the error.
def test_a_bad_value_is_reported_with_its_place() -> None:
    request: dict[str, Any] = {"TableName": "abc", "ExpressionAttributeValues": {":v": {"NS": ["1", "1.0"]}}}
    assert message_of("Query", request) == (
        "ValidationException: ExpressionAttributeValues contains invalid value: "
        "Input collection contains duplicates for key :v"
    )
    request = {"TableName": "abc", "ExclusiveStartKey": {"pk": {"N": "x"}}}
    assert message_of("Query", request) == (
        "ValidationException: The provided starting key is invalid: "
        "The parameter cannot be converted to a numeric value: x"
    )


# Constraints come before values: AWS has two phases, and operations check more between them.
def test_constraints_are_reported_before_values() -> None:
    request = {"TableName": "abc", "Item": {"a": {"SS": []}}, "ReturnValues": "X"}
    assert "returnValues" in message_of("PutItem", request)


# The echo of a hostile request must not be a way to make the server busy or its answers huge.
def test_the_echo_of_a_huge_list_is_bounded() -> None:
    put = {"Put": {"TableName": "abc", "Item": ITEM}}
    message = message_of("TransactWriteItems", {"TransactItems": [put] * 5000})
    assert message.count("TransactWriteItem(") == 250
    message = message_of("BatchGetItem", {"RequestItems": {f"t{n}": {"Keys": []} for n in range(5000)}})
    assert message.count("KeysAndAttributes(") == 250
