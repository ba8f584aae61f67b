"""From a key condition to the range of keys that a Query reads."""

from __future__ import annotations

import pytest

from penstock.errors import ServiceError
from penstock.expressions.key_ranges import compile_key_condition
from penstock.model.tables import KeyAttribute, KeySchema
from penstock.model.values import AttributeValue

S, N, B = (KeyAttribute(name, name[0].upper()) for name in ("sk", "nk", "bk"))
PK, QK = KeyAttribute("pk", "S"), KeyAttribute("qk", "N")
HASH = KeySchema((PK,))
TEXT = KeySchema((PK,), (S,))
NUMBER = KeySchema((PK,), (N,))
COMPOSITE = KeySchema((PK, QK), (S, N, B))

VALUES: dict[str, AttributeValue] = {
    ":p": {"S": "p"},
    ":q": {"N": "5"},
    ":s": {"S": "s"},
    ":t": {"S": "t"},
    ":1": {"N": "1"},
    ":2": {"N": "2"},
    ":b": {"B": "AQ=="},
    ":empty": {"S": ""},
    ":nothing": {"B": ""},
}
P, Q = VALUES[":p"], VALUES[":q"]


@pytest.mark.parametrize(
    ("text", "schema", "operator", "operands"),
    [
        ("pk = :p", HASH, None, ()),
        (":p = pk", TEXT, None, ()),
        ("(pk = :p)", TEXT, None, ()),
        ("pk = :p AND sk = :s", TEXT, "=", (":s",)),
        ("(sk = :s AND (#p = :p))", TEXT, "=", (":s",)),
        ("pk = :p AND sk < :s", TEXT, "<", (":s",)),
        ("pk = :p AND :s < sk", TEXT, ">", (":s",)),
        ("pk = :p AND :s >= sk", TEXT, "<=", (":s",)),
        ("pk = :p AND sk BETWEEN :s AND :t", TEXT, "BETWEEN", (":s", ":t")),
        ("begins_with(sk, :s) AND pk = :p", TEXT, "begins_with", (":s",)),
        ("pk = :p AND nk BETWEEN :1 AND :1", NUMBER, "BETWEEN", (":1", ":1")),
    ],
)
def test_a_key_condition_is_this_range(
    text: str, schema: KeySchema, operator: str | None, operands: tuple[str, ...]
) -> None:
    key_range = compile_key_condition(text, {"#p": "pk"}, VALUES, schema)
    assert key_range.partition == (P,)
    assert key_range.sort_equal == ()
    assert key_range.operator == operator
    assert key_range.operands == tuple(VALUES[name] for name in operands)
    assert key_range.used_values == {":p", *operands}


# Why: a global index may have up to four attributes in each part: all of the first, and the second from the left.
@pytest.mark.parametrize(
    ("text", "equal", "operator", "operands"),
    [
        ("pk = :p AND qk = :q", (), None, ()),
        ("qk = :q AND pk = :p AND sk = :s", (), "=", (":s",)),
        ("pk = :p AND qk = :q AND sk = :s AND nk > :1", (":s",), ">", (":1",)),
        ("nk = :1 AND pk = :p AND qk = :q AND sk = :s AND bk <= :b", (":s", ":1"), "<=", (":b",)),
    ],
)
def test_a_composite_key_is_a_run_of_equalities_and_one_range(
    text: str, equal: tuple[str, ...], operator: str | None, operands: tuple[str, ...]
) -> None:
    key_range = compile_key_condition(text, None, VALUES, COMPOSITE)
    assert key_range.partition == (P, Q)
    assert key_range.sort_equal == tuple(VALUES[name] for name in equal)
    assert key_range.operator == operator
    assert key_range.operands == tuple(VALUES[name] for name in operands)


MISSED = "Query condition missed key schema element: "
UNSUPPORTED = "Query key condition not supported"
OPERATOR = "Invalid operator used in KeyConditionExpression: "
MALFORMED = "Invalid condition in KeyConditionExpression: "
WRONG_TYPE = "One or more parameter values were invalid: Condition parameter type does not match schema type"
EMPTY = "One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an empty "


@pytest.mark.parametrize(
    ("text", "schema", "message"),
    [
        ("sk = :s", TEXT, MISSED + "pk"),
        ("attr1 = :s", TEXT, MISSED + "pk"),
        ("pk = :p AND attr1 = :s", TEXT, MISSED + "sk"),
        ("pk = :p AND attr1 = :s", HASH, UNSUPPORTED),
        ("pk = :p AND sk = :s AND attr1 = :s", TEXT, UNSUPPORTED),
        ("pk > :p", TEXT, UNSUPPORTED),
        ("begins_with(pk, :p)", TEXT, UNSUPPORTED),
        ("pk = :p", COMPOSITE, MISSED + "qk"),
        ("pk = :p AND qk = :q AND nk = :1", COMPOSITE, MISSED + "sk"),
        ("pk = :p AND qk = :q AND sk > :s AND nk = :1", COMPOSITE, UNSUPPORTED),
        ("pk = :p OR sk = :s", TEXT, OPERATOR + "OR"),
        ("NOT pk = :p", TEXT, OPERATOR + "NOT"),
        ("pk IN (:p)", TEXT, OPERATOR + "IN"),
        ("pk = :p AND sk <> :s", TEXT, OPERATOR + "<>"),
        ("pk = :p AND contains(sk, :s)", TEXT, OPERATOR + "contains"),
        ("pk = :p AND attribute_exists(sk)", TEXT, OPERATOR + "attribute_exists"),
        ("pk = :p AND pk = :p", TEXT, "KeyConditionExpressions must only contain one condition per key"),
        (
            "pk = :p AND sk > :s AND sk < :t",
            TEXT,
            "KeyConditionExpressions must only contain one condition per key",
        ),
        ("pk = :p AND size(sk) = :1", TEXT, "KeyConditionExpressions cannot contain nested operations"),
        ("pk.a = :p", TEXT, "KeyConditionExpressions cannot have conditions on nested attributes"),
        ("pk = sk", TEXT, MALFORMED + "Multiple attribute names used in one condition"),
        (":p = :s", TEXT, MALFORMED + "No key attribute specified"),
        (
            "begins_with(:p, pk)",
            TEXT,
            MALFORMED + "begins_with operator must have the key attribute as its first operand",
        ),
        (
            ":p BETWEEN sk AND pk",
            TEXT,
            MALFORMED + "BETWEEN operator must have the key attribute as its first operand",
        ),
        ("pk = :1", TEXT, WRONG_TYPE),
        ("pk = :p AND sk = :1", TEXT, WRONG_TYPE),
        ("pk = :p AND nk BETWEEN :s AND :t", NUMBER, WRONG_TYPE),
        ("pk = :empty", TEXT, EMPTY + "string value. Key: pk"),
        ("pk = :p AND sk > :empty", TEXT, EMPTY + "string value. Key: sk"),
        (
            "pk = :p AND nk BETWEEN :2 AND :1",
            NUMBER,
            "Invalid KeyConditionExpression: The BETWEEN operator requires upper bound to be greater than or "
            "equal to lower bound; lower bound operand: AttributeValue: {N:2}, upper bound operand: "
            "AttributeValue: {N:1}",
        ),
        (
            "pk = :p AND begins_with(nk, :1)",
            NUMBER,
            "Invalid KeyConditionExpression: Incorrect operand type for operator or function; operator or "
            "function: begins_with, operand type: N",
        ),
        ("", TEXT, "Invalid KeyConditionExpression: The expression can not be empty;"),
        (
            "#no = :p",
            TEXT,
            "Invalid KeyConditionExpression: An expression attribute name used in the document path is not "
            "defined; attribute name: #no",
        ),
    ],
)
def test_a_key_condition_is_refused_in_the_words_of_aws(text: str, schema: KeySchema, message: str) -> None:
    with pytest.raises(ServiceError) as raised:
        compile_key_condition(text, None, VALUES, schema)
    assert raised.value.code == "ValidationException"
    assert raised.value.message == message


# Why: the plan of a text is kept; another table's schema and other names must not see it.
def test_one_text_serves_other_schemas_names_and_values() -> None:
    text = "#a = :p AND #b = :s"
    first = compile_key_condition(text, {"#a": "pk", "#b": "sk"}, {":p": P, ":s": {"S": "1"}}, TEXT)
    second = compile_key_condition(text, {"#a": "pk", "#b": "nk"}, {":p": P, ":s": {"N": "1"}}, NUMBER)
    assert (first.operands, second.operands) == (({"S": "1"},), ({"N": "1"},))
    with pytest.raises(ServiceError):
        compile_key_condition(text, {"#a": "pk", "#b": "pk"}, {":p": P, ":s": {"S": "1"}}, TEXT)
