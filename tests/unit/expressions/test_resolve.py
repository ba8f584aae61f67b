"""Placeholders of a request as a whole."""

from __future__ import annotations

from typing import Any

import pytest

from penstock.errors import ServiceError
from penstock.expressions import resolve
from penstock.expressions.conditions import compile_condition
from penstock.model.values import AttributeValue

V: AttributeValue = {"S": "x"}


def test_placeholders_that_are_used_and_defined_are_fine() -> None:
    resolve.check_placeholders({"#a": "a", "#9_B": "b"}, {":v": V, ":0": V})
    resolve.check_placeholders(None, None)
    resolve.check_all_used({"#a": "a"}, {":v": V}, {"#a", "#other"}, {":v"})
    resolve.check_all_used(None, None, set(), set())


@pytest.mark.parametrize(
    ("names", "values", "message"),
    [
        ({}, None, "ExpressionAttributeNames must not be empty"),
        (None, {}, "ExpressionAttributeValues must not be empty"),
        ({"foo": "a"}, None, 'ExpressionAttributeNames contains invalid key: Syntax error; key: "foo"'),
        ({"#": "a"}, None, 'ExpressionAttributeNames contains invalid key: Syntax error; key: "#"'),
        ({"#a-b": "a"}, None, 'ExpressionAttributeNames contains invalid key: Syntax error; key: "#a-b"'),
        (None, {"v": V}, 'ExpressionAttributeValues contains invalid key: Syntax error; key: "v"'),
        (None, {":v:w": V}, 'ExpressionAttributeValues contains invalid key: Syntax error; key: ":v:w"'),
        (
            {"#a": ""},
            None,
            "ExpressionAttributeNames contains invalid value: Empty attribute name for key #a",
        ),
        (
            {"#" + "a" * 255: "a"},
            None,
            "ExpressionAttributeNames contains invalid key: The expression attribute map contains a key that "
            "is too long; size of key: 256",
        ),
    ],
)
def test_placeholders_are_refused_in_the_words_of_aws(
    names: dict[str, str] | None, values: dict[str, AttributeValue] | None, message: str
) -> None:
    with pytest.raises(ServiceError) as raised:
        resolve.check_placeholders(names, values)
    assert raised.value.message == message
    # Whoever asks only at the end finds it there: such a key stands in no expression.
    if message.endswith("key #a"):
        with pytest.raises(ServiceError) as raised:
            compile_condition("#a = :v", names, {":v": V})
    else:
        with pytest.raises(ServiceError) as raised:
            resolve.check_all_used(names, values, set(), set())
    assert raised.value.message == message


def test_what_no_expression_uses_is_named() -> None:
    with pytest.raises(ServiceError) as names:
        resolve.check_all_used({"#used": "a", "#unused": "b"}, {":v": V}, {"#used"}, set())
    assert names.value.message == (
        "Value provided in ExpressionAttributeNames unused in expressions: keys: {#unused}"
    )
    with pytest.raises(ServiceError) as values:
        resolve.check_all_used(None, {":v": V, ":unused": V}, set(), {":v"})
    assert values.value.message == (
        "Value provided in ExpressionAttributeValues unused in expressions: keys: {:unused}"
    )


# Why: AWS lists several as Java's HashSet of 16 slots holds them. The hashes are 1182, 1183 and 1184, which
# fall into slots 14, 15 and 0.
def test_several_unused_are_listed_in_the_order_of_their_hashes() -> None:
    with pytest.raises(ServiceError) as raised:
        resolve.check_all_used({"#c": "x", "#a": "x", "#b": "x"}, None, set(), set())
    assert raised.value.message == (
        "Value provided in ExpressionAttributeNames unused in expressions: keys: {#c, #a, #b}"
    )


# Why: 16 MB hold a million placeholders; sorting them all to say so would hold everybody up.
def test_of_very_many_unused_the_first_are_listed() -> None:
    with pytest.raises(ServiceError) as raised:
        resolve.check_all_used({f"#{number}": "x" for number in range(10_000)}, None, set(), set())
    assert (raised.value.message or "").count("#") == resolve.LISTED_MAX


NAMES_ONLY = "ExpressionAttributeNames can only be specified when using expressions"
VALUES_ONLY = "ExpressionAttributeValues can only be specified when using expressions: "


@pytest.mark.parametrize(
    ("leading", "request_", "message"),
    [
        ("ConditionExpression", {"ExpressionAttributeNames": {"#a": "a"}}, NAMES_ONLY),
        (
            "ConditionExpression",
            {"ExpressionAttributeValues": {":v": V}},
            VALUES_ONLY + "ConditionExpression is null",
        ),
        (
            "UpdateExpression",
            {"ExpressionAttributeValues": {":v": V}},
            VALUES_ONLY + "UpdateExpression and ConditionExpression are null",
        ),
        (
            "FilterExpression",
            {"ExpressionAttributeValues": {":v": V}, "ProjectionExpression": "a"},
            VALUES_ONLY + "FilterExpression is null",
        ),
        (
            "KeyConditionExpression",
            {"ExpressionAttributeValues": {":v": V}},
            VALUES_ONLY + "FilterExpression and KeyConditionExpression are null",
        ),
        ("ProjectionExpression", {"ExpressionAttributeNames": {"#a": "a"}}, NAMES_ONLY),
        ("FilterExpression", {"ExpressionAttributeNames": {}}, NAMES_ONLY),
    ],
)
def test_placeholders_without_an_expression_are_refused(
    leading: str, request_: dict[str, Any], message: str
) -> None:
    with pytest.raises(ServiceError) as raised:
        resolve.check_not_without_expression(request_, leading)
    assert raised.value.message == message


@pytest.mark.parametrize(
    ("leading", "request_"),
    [
        ("ConditionExpression", {}),
        ("FilterExpression", {"ExpressionAttributeNames": {"#a": "a"}, "ProjectionExpression": "#a"}),
        (
            "UpdateExpression",
            {"ExpressionAttributeValues": {":v": V}, "ConditionExpression": "a = :v"},
        ),
    ],
)
def test_placeholders_with_an_expression_are_let_through(leading: str, request_: dict[str, Any]) -> None:
    resolve.check_not_without_expression(request_, leading)
