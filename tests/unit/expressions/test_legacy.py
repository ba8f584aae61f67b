"""The parameters from before expressions: what they mean and how AWS words what is wrong with them."""

from __future__ import annotations

from typing import Any

import pytest

from penstock.errors import ServiceError
from penstock.expressions import legacy
from penstock.model.tables import KeyAttribute, KeySchema
from penstock.model.values import AttributeValue, Item

ITEM: Item = {
    "name": {"S": "hello"},  # A reserved word, which these parameters do not mind.
    "#x": {"S": "odd"},
    "n": {"N": "10"},
    "ss": {"SS": ["a", "b"]},
    "l": {"L": [{"S": "x"}]},
}
INVALID = "One or more parameter values were invalid: "


def compared(operator: str, *operands: AttributeValue) -> dict[str, Any]:
    return {"ComparisonOperator": operator, "AttributeValueList": list(operands)}


def s(text: str) -> AttributeValue:
    return {"S": text}


def n(text: str) -> AttributeValue:
    return {"N": text}


@pytest.mark.parametrize(
    ("expected", "holds"),
    [
        ({"name": {"Value": s("hello")}}, True),
        ({"name": {"Value": s("hello"), "Exists": True}}, True),
        ({"name": {"Value": s("other")}}, False),
        ({"gone": {"Exists": False}}, True),
        ({"name": {"Exists": False}}, False),
        ({"#x": {"Value": s("odd")}}, True),
        ({"n": {"ComparisonOperator": "GT", "Value": n("9")}}, True),
        ({"n": compared("GT", n("9"))}, True),
        ({"n": compared("GE", n("10"))}, True),
        ({"n": compared("LT", n("10"))}, False),
        ({"n": compared("LE", n("9"))}, False),
        ({"n": compared("NE", n("9"))}, True),
        ({"gone": compared("NE", n("9"))}, True),
        ({"n": compared("EQ", s("10"))}, False),
        ({"ss": compared("EQ", {"SS": ["b", "a"]})}, True),
        ({"n": compared("BETWEEN", n("9"), n("11"))}, True),
        ({"n": compared("IN", n("9"), n("10"))}, True),
        ({"n": compared("IN", n("9"))}, False),
        ({"name": {"ComparisonOperator": "NOT_NULL"}}, True),
        ({"name": compared("NULL")}, False),
        ({"gone": compared("NULL")}, True),
        ({"name": compared("BEGINS_WITH", s("he"))}, True),
        ({"name": compared("CONTAINS", s("ell"))}, True),
        ({"ss": compared("CONTAINS", s("a"))}, True),
        ({"l": compared("CONTAINS", s("x"))}, True),
        ({"ss": compared("NOT_CONTAINS", s("z"))}, True),
        ({"ss": compared("NOT_CONTAINS", s("a"))}, False),
        ({"gone": compared("NOT_CONTAINS", s("a"))}, False),
    ],
)
def test_an_expectation_holds_or_not(expected: dict[str, Any], holds: bool) -> None:
    condition = legacy.condition_of_expected({"Expected": expected})
    assert condition is not None
    assert condition.test(ITEM) is holds
    assert condition.attributes == expected.keys()


def test_several_conditions_are_joined_as_the_request_says() -> None:
    both = {"name": compared("EQ", s("hello")), "n": compared("EQ", n("0"))}
    for operator, holds in ((None, False), ("AND", False), ("OR", True)):
        request = {"QueryFilter": both, "ConditionalOperator": operator}
        condition = legacy.condition_of_filter(request, "QueryFilter")
        assert condition is not None
        assert condition.test(ITEM) is holds


@pytest.mark.parametrize("request_", [{}, {"Expected": {}}, {"Expected": None}])
def test_nothing_expected_is_no_condition(request_: dict[str, Any]) -> None:
    assert legacy.condition_of_expected(request_) is None


@pytest.mark.parametrize(
    ("expected", "message"),
    [
        (
            {"Value": s("a"), "AttributeValueList": [s("a")]},
            INVALID + "Value and AttributeValueList cannot be used together for Attribute: a",
        ),
        (
            {"Exists": True, "ComparisonOperator": "EQ", "Value": s("a")},
            INVALID + "Exists and ComparisonOperator cannot be used together for Attribute: a",
        ),
        (
            {"ComparisonOperator": "EQ"},
            INVALID + "Value or AttributeValueList must be used with ComparisonOperator: EQ for Attribute: a",
        ),
        (
            {"AttributeValueList": [s("a")]},
            INVALID + "AttributeValueList can only be used with a ComparisonOperator for Attribute: a",
        ),
        ({}, INVALID + "Value must be provided when Exists is null for Attribute: a"),
        ({"Exists": True}, INVALID + "Value must be provided when Exists is true for Attribute: a"),
        (
            {"Exists": False, "Value": s("a")},
            INVALID + "Value cannot be used when Exists is false for Attribute: a",
        ),
        (compared("EQ"), INVALID + "Invalid number of argument(s) for the EQ ComparisonOperator"),
        (compared("NULL", s("a")), INVALID + "Invalid number of argument(s) for the NULL ComparisonOperator"),
        (compared("IN"), INVALID + "Invalid number of argument(s) for the IN ComparisonOperator"),
        (
            compared("BETWEEN", s("a")),
            INVALID + "Invalid number of argument(s) for the BETWEEN ComparisonOperator",
        ),
        (
            compared("GT", {"SS": ["a"]}),
            INVALID + "ComparisonOperator GT is not valid for SS AttributeValue type",
        ),
        (
            compared("BEGINS_WITH", n("1")),
            INVALID + "ComparisonOperator BEGINS_WITH is not valid for N AttributeValue type",
        ),
        (
            compared("CONTAINS", {"M": {}}),
            INVALID + "ComparisonOperator CONTAINS is not valid for M AttributeValue type",
        ),
        (
            compared("IN", s("a"), n("1")),
            INVALID + "AttributeValues inside AttributeValueList must be of same type",
        ),
        (
            compared("BETWEEN", n("10"), n("9")),
            "The BETWEEN condition was provided a range where the lower bound is greater than the upper bound",
        ),
    ],
)
def test_an_expectation_is_refused_in_the_words_of_aws(expected: dict[str, Any], message: str) -> None:
    with pytest.raises(ServiceError) as raised:
        legacy.condition_of_expected({"Expected": {"a": expected}})
    assert raised.value.message == message


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (None, "ConditionalOperator cannot be used without Filter or Expected"),
        (
            {"a": compared("NULL")},
            "ConditionalOperator can only be used when Filter or Expected has two or more elements",
        ),
    ],
)
def test_an_operator_with_nothing_to_join_is_refused(given: dict[str, Any] | None, message: str) -> None:
    with pytest.raises(ServiceError) as raised:
        legacy.condition_of_filter({"ScanFilter": given, "ConditionalOperator": "AND"}, "ScanFilter")
    assert raised.value.message == message


SCHEMA = KeySchema((KeyAttribute("pk", "S"),), (KeyAttribute("sk", "N"),))
PK = compared("EQ", s("p"))


@pytest.mark.parametrize(
    ("sort", "operator", "operands"),
    [
        (None, None, ()),
        (compared("EQ", n("1")), "=", (n("1"),)),
        (compared("LE", n("1")), "<=", (n("1"),)),
        (compared("GT", n("1")), ">", (n("1"),)),
        (compared("BETWEEN", n("1"), n("2")), "BETWEEN", (n("1"), n("2"))),
    ],
)
def test_key_conditions_are_a_range(
    sort: dict[str, Any] | None, operator: str | None, operands: tuple[AttributeValue, ...]
) -> None:
    conditions = {"pk": PK} if sort is None else {"sk": sort, "pk": PK}
    key_range = legacy.key_range_of({"KeyConditions": conditions}, SCHEMA)
    assert (key_range.partition, key_range.operator, key_range.operands) == ((s("p"),), operator, operands)


@pytest.mark.parametrize(
    ("conditions", "message"),
    [
        ({"sk": compared("EQ", n("1"))}, "Query condition missed key schema element: pk"),
        ({"pk": PK, "x": PK}, "Query condition missed key schema element: sk"),
        ({"pk": compared("GT", s("p"))}, "Query key condition not supported"),
        ({"pk": PK, "sk": compared("NE", n("1"))}, "Query key condition not supported"),
        ({"pk": PK, "sk": compared("NOT_NULL")}, "Query key condition not supported"),
        ({"pk": PK, "sk": PK, "x": PK}, "Conditions can be of length 1 or 2 only"),
        ({}, "Conditions can be of length 1 or 2 only"),
        ({"pk": PK, "sk": PK}, INVALID + "Condition parameter type does not match schema type"),
        ({"pk": compared("EQ")}, INVALID + "Invalid number of argument(s) for the EQ ComparisonOperator"),
    ],
)
def test_key_conditions_are_refused_in_the_words_of_aws(conditions: dict[str, Any], message: str) -> None:
    with pytest.raises(ServiceError) as raised:
        legacy.key_range_of({"KeyConditions": conditions}, SCHEMA)
    assert raised.value.message == message


def test_attributes_to_get_are_a_projection() -> None:
    projection = legacy.projection_of({"AttributesToGet": ["name", "#x", "gone"]})
    assert projection is not None
    assert projection.apply(ITEM) == {"name": s("hello"), "#x": s("odd")}
    assert legacy.projection_of({}) is None
    with pytest.raises(ServiceError) as raised:
        legacy.projection_of({"AttributesToGet": ["a", "b", "a"]})
    assert raised.value.message == INVALID + "Duplicate value in attribute name: a"


def _updated(**changes: dict[str, Any]) -> Item:
    update = legacy.update_of({"AttributeUpdates": changes})
    assert update is not None
    assert update.attributes == changes.keys()
    return update.apply(ITEM)


@pytest.mark.parametrize(
    ("change", "result"),
    [
        ({"n": {"Value": s("put")}}, {"n": s("put")}),
        ({"n": {"Action": "PUT", "Value": {"L": []}}}, {"n": {"L": []}}),
        ({"n": {"Action": "ADD", "Value": n("5")}}, {"n": n("15")}),
        ({"new": {"Action": "ADD", "Value": n("5")}}, {"new": n("5")}),
        ({"ss": {"Action": "ADD", "Value": {"SS": ["c"]}}}, {"ss": {"SS": ["a", "b", "c"]}}),
        ({"ss": {"Action": "DELETE", "Value": {"SS": ["a"]}}}, {"ss": {"SS": ["b"]}}),
        ({"ss": {"Action": "DELETE"}}, {"ss": None}),
        ({"gone": {"Action": "DELETE"}}, {}),
        ({"gone": {"Action": "DELETE", "Value": {"SS": ["a"]}}}, {}),
        # AWS does this although its pages do not say so.
        ({"l": {"Action": "ADD", "Value": {"L": [n("1")]}}}, {"l": {"L": [s("x"), n("1")]}}),
        ({"new": {"Action": "ADD", "Value": {"L": [n("1")]}}}, {"new": {"L": [n("1")]}}),
    ],
)
def test_attribute_updates_change_an_item(change: dict[str, Any], result: dict[str, Any]) -> None:
    expected = {name: value for name, value in {**ITEM, **result}.items() if value is not None}
    assert _updated(**change) == expected


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"Action": "PUT"}, INVALID + "Only DELETE action is allowed when no attribute value is specified"),
        ({}, INVALID + "Only DELETE action is allowed when no attribute value is specified"),
        (
            {"Action": "DELETE", "Value": n("1")},
            INVALID + "DELETE action with value is not supported for the type N",
        ),
        ({"Action": "ADD", "Value": s("a")}, INVALID + "ADD action is not supported for the type S"),
        ({"Action": "ADD", "Value": {"SS": ["a"]}}, "Type mismatch for attribute to update"),
        ({"Action": "ADD", "Value": {"L": []}}, "Type mismatch for attribute to update"),
        ({"Action": "DELETE", "Value": {"SS": ["a"]}}, "Type mismatch for attribute to update"),
    ],
)
def test_attribute_updates_are_refused_in_the_words_of_aws(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ServiceError) as raised:
        _updated(n=change)
    assert raised.value.message == message


# Why: AWS makes no item out of an update that only takes away.
def test_attribute_updates_that_only_delete_create_no_item() -> None:
    only = legacy.update_of({"AttributeUpdates": {"a": {"Action": "DELETE"}}})
    mixed = legacy.update_of({"AttributeUpdates": {"a": {"Action": "DELETE"}, "b": {"Value": s("x")}}})
    assert only is not None
    assert mixed is not None
    assert (only.creates, mixed.creates) == (False, True)
    assert legacy.update_of({"AttributeUpdates": {}}) is None


# Why: recorded from AWS by the public conformance suite, except for the order of several.
@pytest.mark.parametrize(
    ("given", "old", "new"),
    [
        (["Expected", "ConditionExpression"], "Expected", "ConditionExpression"),
        (["UpdateExpression", "AttributeUpdates"], "AttributeUpdates", "UpdateExpression"),
        (
            ["KeyConditions", "QueryFilter", "FilterExpression", "ProjectionExpression"],
            "QueryFilter, KeyConditions",
            "ProjectionExpression, FilterExpression",
        ),
    ],
)
def test_old_and_new_parameters_do_not_meet(given: list[str], old: str, new: str) -> None:
    with pytest.raises(ServiceError) as raised:
        legacy.check_not_mixed(dict.fromkeys(given, ""))
    assert raised.value.message == (
        "Can not use both expression and non-expression parameters in the same request: "
        f"Non-expression parameters: {{{old}}} Expression parameters: {{{new}}}"
    )


@pytest.mark.parametrize("given", [[], ["Expected", "AttributeUpdates"], ["KeyConditionExpression"]])
def test_old_or_new_parameters_alone_are_let_through(given: list[str]) -> None:
    legacy.check_not_mixed(dict.fromkeys(given, "x"))
