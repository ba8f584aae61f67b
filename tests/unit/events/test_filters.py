"""Filter patterns, after the rule syntax that Lambda documents for event filtering."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from penstock.errors import UsageError
from penstock.events.filters import compile_pattern, compile_patterns

RECORD: dict[str, Any] = {
    "eventID": "1",
    "eventName": "INSERT",
    "awsRegion": "us-east-1",
    "dynamodb": {
        "ApproximateCreationDateTime": 1678831218,
        "Keys": {"CustomerName": {"S": "AnyCompany Industries"}},
        "NewImage": {
            "AccountManager": {"S": "Pat Candella"},
            "PaymentTerms": {"S": "60 days"},
            "Age": {"N": "10"},
            "Paid": {"BOOL": True},
            "Gone": {"NULL": True},
            "Empty": {"S": ""},
            "Tags": {"SS": ["red", "blue"]},
            "Lines": {"L": [{"M": {"sku": {"S": "a"}}}, {"M": {"sku": {"S": "b"}}}]},
            "Ip": {"S": "10.0.0.7"},
        },
        "SequenceNumber": "111",
        "SizeBytes": 26,
    },
}


def image(**attributes: Any) -> dict[str, Any]:
    return {"dynamodb": {"NewImage": attributes}}


FITTING: list[dict[str, Any]] = [
    {"eventName": ["INSERT", "MODIFY"]},
    {"dynamodb": {"Keys": {"CustomerName": {"S": ["AnyCompany Industries"]}}}},
    image(AccountManager={"S": ["Pat Candella", "Shirley Rodriguez"]}),
    image(AccountManager={"S": [{"prefix": "Pat"}]}),
    image(AccountManager={"S": [{"prefix": {"equals-ignore-case": "pAT"}}]}),
    image(AccountManager={"S": [{"suffix": "ella"}]}),
    image(AccountManager={"S": [{"suffix": {"equals-ignore-case": "ELLA"}}]}),
    image(AccountManager={"S": [{"equals-ignore-case": "pat candella"}]}),
    image(AccountManager={"S": [{"wildcard": "P*C*a"}]}),
    image(AccountManager={"S": [{"anything-but": "Pat"}]}),
    image(AccountManager={"S": [{"anything-but": ["Pat", "Bob"]}]}),
    image(AccountManager={"S": [{"anything-but": {"prefix": "Bob"}}]}),
    image(AccountManager={"S": [{"anything-but": {"suffix": ["x", "y"]}}]}),
    image(AccountManager={"S": [{"anything-but": {"wildcard": "*/lib/*"}}]}),
    image(AccountManager={"S": [{"anything-but": {"equals-ignore-case": "BOB"}}]}),
    image(Age={"N": ["10"]}),
    image(Paid={"BOOL": [True]}),
    image(Gone={"NULL": [True]}),
    image(Empty={"S": [""]}),
    image(Tags={"SS": ["blue"]}),
    image(Lines={"L": {"M": {"sku": {"S": ["b"]}}}}),
    image(Ip={"S": [{"cidr": "10.0.0.0/24"}]}),
    image(Missing={"S": [{"exists": False}]}),
    image(AccountManager={"S": [{"exists": True}]}),
    {"dynamodb": {"SizeBytes": [{"numeric": [">", 20, "<=", 26]}]}},
    {"dynamodb": {"SizeBytes": [{"numeric": ["=", 26]}]}},
    {"dynamodb": {"SizeBytes": [26]}},
    {"eventName": ["INSERT"], "$or": [{"awsRegion": ["eu-west-1"]}, {"dynamodb": {"SizeBytes": [26]}}]},
    image(AccountManager={"S": [{"prefix": "Bob"}, {"suffix": "ella"}]}),
]

NOT_FITTING: list[dict[str, Any]] = [
    {"eventName": ["REMOVE"]},
    {"eventName": ["INSERT"], "awsRegion": ["eu-west-1"]},
    image(AccountManager={"S": ["Pat"]}),
    image(AccountManager={"S": [{"prefix": "pat"}]}),
    image(AccountManager={"S": [{"wildcard": "P*z"}]}),
    image(AccountManager={"S": [{"anything-but": "Pat Candella"}]}),
    image(AccountManager={"S": [{"anything-but": {"prefix": "Pat"}}]}),
    image(Missing={"S": [{"anything-but": "x"}]}),
    image(Missing={"S": [{"exists": True}]}),
    image(AccountManager={"S": [{"exists": False}]}),
    image(Paid={"BOOL": [1]}),
    image(Gone={"NULL": [None]}),
    image(Empty={"S": [None]}),
    image(Lines={"L": {"M": {"sku": {"S": ["c"]}}}}),
    image(Ip={"S": [{"cidr": "10.0.1.0/24"}]}),
    image(AccountManager={"S": [{"cidr": "10.0.1.0/24"}]}),
    {"dynamodb": {"SizeBytes": ["26"]}},
    {"dynamodb": {"SizeBytes": [{"numeric": ["<", 26]}]}},
    {"$or": [{"awsRegion": ["eu-west-1"]}, {"dynamodb": {"SizeBytes": [27]}}]},
]


# Why: each line is an operator of Lambda's table, over a record with type tags.
@pytest.mark.parametrize("pattern", FITTING)
def test_a_record_passes(pattern: dict[str, Any]) -> None:
    assert compile_pattern(pattern)(RECORD)


# Why: a filter that lets too much through costs a call for each record.
@pytest.mark.parametrize("pattern", NOT_FITTING)
def test_a_record_is_kept_out(pattern: dict[str, Any]) -> None:
    assert not compile_pattern(pattern)(RECORD)


# Why: F2, "the Exists operator only works on leaf nodes" (Lambda: DynamoDB event filtering).
def test_exists_on_an_attributes_name_finds_nothing() -> None:
    assert not compile_pattern(image(AccountManager=[{"exists": True}]))(RECORD)
    assert compile_pattern(image(AccountManager=[{"exists": False}]))(RECORD)


# Why: F3; a handler that works here must be filtered the same on AWS.
def test_numeric_does_not_see_dynamodbs_numbers_which_are_text() -> None:
    assert not compile_pattern(image(Age={"N": [{"numeric": [">", 5]}]}))(RECORD)


# Why: F1; any of several patterns lets a record in, and none at all lets everything.
def test_patterns_are_alternatives() -> None:
    accept = compile_patterns([{"eventName": ["REMOVE"]}, '{"eventName": ["INSERT"]}'])
    assert accept is not None
    assert accept(RECORD)
    assert not accept({"eventName": "MODIFY"})
    assert compile_patterns([]) is None


# Why: JSON null, and equality of numbers whatever their Python type.
def test_null_and_numbers_equal_as_json() -> None:
    assert compile_pattern({"a": [None]})({"a": None})
    assert not compile_pattern({"a": [None]})({"b": 1})
    assert compile_pattern({"a": [1.5]})({"a": Decimal("1.5")})
    assert not compile_pattern({"a": [1]})({"a": True})


# Why: F4; what Lambda refuses must fail at the declaration and not at the first record.
@pytest.mark.parametrize(
    "pattern",
    [
        {},
        "not json",
        "[1]",
        {"a": "x"},
        {"a": []},
        {"a": [{"prefix": 1}]},
        {"a": [{"unknown": 1}]},
        {"a": [{"prefix": "x", "suffix": "y"}]},
        {"a": [{"exists": "yes"}]},
        {"a": [{"numeric": [">"]}]},
        {"a": [{"numeric": ["<", 5, ">", 1]}]},
        {"a": [{"numeric": ["~", 5]}]},
        {"a": [{"cidr": "10.0.0.0/99"}]},
        {"a": [{"wildcard": "a**b"}]},
        {"a": [{"wildcard": "a\\b"}]},
        {"a": [{"anything-but": []}]},
        {"a": [{"anything-but": {"numeric": 1}}]},
        {"a": [["nested"]]},
        {"a": ["x" * 5000]},
    ],
)
def test_a_wrong_pattern_is_refused(pattern: Any) -> None:
    with pytest.raises(UsageError):
        compile_pattern(pattern)


# Why: a star is a run of any characters, and the escapes make both special characters plain.
def test_a_wildcard_may_name_stars_and_backslashes() -> None:
    accept = compile_pattern({"a": [{"wildcard": "x\\*y*\\\\"}]})
    assert accept({"a": "x*y and more\\"})
    assert not accept({"a": "xzy\\"})
