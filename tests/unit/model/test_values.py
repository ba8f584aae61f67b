"""Values at the door: what is made canonical, what AWS counts, and its errors word for word."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from penstock.errors import ServiceError
from penstock.model import values

INVALID = "One or more parameter values were invalid: "
EMPTY = "Supplied AttributeValue is empty, must contain exactly one of the supported datatypes"
TWO = (
    "Supplied AttributeValue has more than one datatypes set, must contain exactly one of the "
    "supported datatypes"
)
OVERFLOW = "Number overflow. Attempting to store a number with magnitude larger than supported range"
TOO_DEEP = (
    "Nesting Levels have exceeded supported limits: "
    "Attributes in the item have nested levels beyond supported limit"
)


def wrapped(times: int, tag: str = "M") -> dict[str, Any]:
    value: dict[str, Any] = {"S": "x"}
    for _ in range(times):
        value = {"M": {"a": value}} if tag == "M" else {"L": [value]}
    return value


def error_of(item: Any) -> ServiceError:
    with pytest.raises(ServiceError) as caught:
        values.check_item(item)
    return caught.value


# V1-V4: what is stored is what was sent, but for the spelling of numbers.
def test_an_item_of_all_ten_types_is_made_canonical() -> None:
    item: dict[str, Any] = {
        "s": {"S": ""},
        "n": {"N": "01.50"},
        "b": {"B": ""},
        "bool": {"BOOL": False},
        "null": {"NULL": True},
        "ss": {"SS": ["b", "a"]},
        "ns": {"NS": ["1.0", "2"]},
        "bs": {"BS": ["AQ==", "AAE="]},
        "l": {"L": [{"N": "1e1"}, {"L": []}]},
        "m": {"M": {"é": {"N": "+1"}, "empty": {"M": {}}}},
    }
    expected = copy.deepcopy(item)
    expected |= {"n": {"N": "1.5"}, "ns": {"NS": ["1", "2"]}}
    expected["l"]["L"][0]["N"] = "10"
    expected["m"]["M"]["é"]["N"] = "1"
    size = values.check_item(item)
    assert item == expected
    assert size == values.item_size(item)


# The 400 KB limit, paging and capacity all add these up.
@pytest.mark.parametrize(
    ("value", "size"),
    [
        ({"S": "abc"}, 3),
        ({"S": "é€"}, 5),
        ({"N": "123"}, 3),
        ({"B": "AAEC"}, 3),
        ({"B": "AQ=="}, 1),
        ({"B": "AAE="}, 2),
        ({"B": ""}, 0),
        ({"BOOL": True}, 1),
        ({"NULL": True}, 1),
        ({"SS": ["a", "bc"]}, 3),
        ({"NS": ["1", "-1"]}, 5),
        ({"BS": ["AQ==", "AAE="]}, 3),
        ({"L": []}, 3),
        ({"L": [{"S": "a"}, {"BOOL": True}]}, 7),
        ({"M": {}}, 3),
        ({"M": {"ab": {"S": "c"}}}, 7),
    ],
)
def test_a_value_has_the_size_that_aws_counts(value: Any, size: int) -> None:
    assert values.value_size(value) == size
    assert values.check_value(value) == size


# Clients match on these texts; the conformance suite holds several of them.
@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({}, EMPTY),
        (None, EMPTY),
        ({"S": None}, EMPTY),
        ({"X": "y"}, EMPTY),
        ({"S": "a", "N": "1"}, TWO),
        ({"S": "a", "N": "abc"}, "The parameter cannot be converted to a numeric value: abc"),
        ({"N": ""}, "The parameter cannot be converted to a numeric value"),
        ({"NULL": False}, f"{INVALID}Null attribute value types must have the value of true"),
        ({"SS": []}, f"{INVALID}An string set  may not be empty"),
        ({"NS": []}, f"{INVALID}An number set  may not be empty"),
        ({"BS": []}, f"{INVALID}Binary sets should not be empty"),
        ({"SS": ["a", "a"]}, f"{INVALID}Input collection [a, a] contains duplicates."),
        ({"NS": ["1", "1.0"]}, "Input collection contains duplicates"),
        ({"BS": ["AQ==", "AQ=="]}, f"{INVALID}Input collection [AQ==, AQ==]of type BS contains duplicates."),
        ({"NS": ["1", "x"]}, "The parameter cannot be converted to a numeric value: x"),
        ({"L": [None]}, EMPTY),
        ({"L": [{"SS": []}]}, f"{INVALID}An string set  may not be empty"),
        ({"M": {"a": {"N": "1e200"}}}, OVERFLOW),
    ],
)
def test_a_bad_value_gets_the_words_of_aws(value: Any, message: str) -> None:
    error = error_of({"pk": {"S": "a"}, "bad": value})
    assert (error.code, error.message) == ("ValidationException", message)


# Types are AWS's JSON reader's business and come before values, in whatever order they stand in the item.
@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"S": 1}, "NUMBER_VALUE cannot be converted to String"),
        ({"N": 1.5}, "DECIMAL_VALUE cannot be converted to String"),
        ({"S": False}, "FALSE_VALUE cannot be converted to String"),
        ({"S": ["a"]}, "Unrecognized collection type class java.lang.String"),
        ({"S": {"a": 1}}, "Start of structure or map found where not expected"),
        ({"BOOL": "dog"}, "Unexpected token received from parser"),
        ({"B": 1}, "NUMBER_VALUE cannot be converted to ByteBuffer"),
        ({"B": "abc"}, "Base64 encoded length is expected a multiple of 4 bytes but found: 3"),
        ({"B": "ab!="}, "Invalid Base64 character: '!'"),
        ({"B": "AR=="}, "Invalid last non-pad Base64 character dectected"),
        ({"BS": ["AR=="]}, "Invalid last non-pad Base64 character dectected"),
        ({"SS": "a"}, "Unexpected field type"),
        ({"SS": [1]}, "NUMBER_VALUE cannot be converted to String"),
        ({"L": {}}, "Start of structure or map found where not expected"),
        ({"L": ["a"]}, "Unexpected value type in payload"),
        ({"L": [[]]}, "Unrecognized collection type class com.amazonaws.dynamodb.v20120810.AttributeValue"),
        ({"M": "a"}, "Unexpected field type"),
        (
            {"M": []},
            "Unrecognized collection type "
            "java.util.Map<java.lang.String, com.amazonaws.dynamodb.v20120810.AttributeValue>",
        ),
        ("a", "Unexpected value type in payload"),
        ({"S": "\ud800"}, "Unexpected token received from parser"),
    ],
)
def test_a_wrong_json_type_is_refused_before_any_value(value: Any, message: str) -> None:
    error = error_of({"pk": {"SS": []}, "bad": value})
    assert (error.code, error.message) == ("SerializationException", message)


# developerguide/Constraints: 32 levels. AWS takes 31 wrappers around a value and refuses the 32nd.
@pytest.mark.parametrize("tag", ["M", "L"])
def test_values_nest_thirty_two_deep_and_no_deeper(tag: str) -> None:
    values.check_item({"a": wrapped(31, tag)})
    assert error_of({"a": wrapped(32, tag)}).message == TOO_DEEP


# Two well-known engines die of deep nesting. Far past Python's own limit the answer must be the same.
@pytest.mark.parametrize("depth", [33, 500, 20_000])
def test_any_depth_is_refused_and_never_exhausts_the_stack(depth: int) -> None:
    assert error_of({"a": wrapped(depth, "L")}).message == TOO_DEEP


# HowItWorks.NamingRulesDataTypes: names up to 64 KB; measured, 65,535 bytes is the last that is taken.
def test_an_attribute_name_has_a_longest_length() -> None:
    values.check_item({"a" * 65_535: {"S": ""}})
    expected = "1 validation error detected: Attribute name is too large, must be less than 65536 bytes"
    assert error_of({"a" * 65_536: {"S": ""}}).message == expected
    assert error_of({"a": {"M": {"é" * 32_768: {"S": ""}}}}).message == expected


# Reading drops what AWS does not see, and the size is that of what is left.
def test_unknown_and_null_members_of_a_value_are_dropped() -> None:
    item = {"a": {"S": "x", "N": None, "Z": 1}, "b": {"M": {"c": {"BOOL": "yes"}}}}
    assert values.check_item(item) == 2 + 1 + 3 + 1 + 2
    assert item == {"a": {"S": "x"}, "b": {"M": {"c": {"BOOL": True}}}}


# A write that changes nothing makes no change record, and the order of a set is no change.
def test_items_are_the_same_whatever_the_order_of_their_sets() -> None:
    left: values.Item = {"a": {"L": [{"SS": ["x", "y"]}]}, "b": {"M": {"c": {"NS": ["1", "2"]}}}}
    right: values.Item = {"b": {"M": {"c": {"NS": ["2", "1"]}}}, "a": {"L": [{"SS": ["y", "x"]}]}}
    assert values.same_item(left, right)
    assert not values.same_item(left, {**right, "a": {"L": [{"SS": ["y"]}]}})
    assert not values.same_item(left, {**right, "c": {"S": ""}})
    assert not values.same_value({"S": "1"}, {"N": "1"})
    assert not values.same_value({"L": [{"S": "1"}]}, {"L": []})
