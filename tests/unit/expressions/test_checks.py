"""What is wrong with an expression before any item is seen, in AWS's words and AWS's order."""

from __future__ import annotations

import pytest

from penstock.errors import ServiceError
from penstock.expressions.checks import check_scalar_keys
from penstock.expressions.conditions import compile_condition
from penstock.expressions.projections import compile_projection
from penstock.expressions.reserved import RESERVED_WORDS
from penstock.expressions.updates import compile_update
from penstock.model.values import AttributeValue

VALUES: dict[str, AttributeValue] = {
    ":s": {"S": "s"},
    ":t": {"S": "t"},
    ":n": {"N": "1"},
    ":m": {"N": "2"},
    ":b": {"B": "AQID"},
    ":c": {"B": "AQ=="},
    ":true": {"BOOL": True},
    ":null": {"NULL": True},
    ":ss": {"SS": ["a"]},
    ":l": {"L": []},
    ":map": {"M": {}},
    ":type": {"S": "SS"},
}
NAMES = {"#a": "a", "#b": "b", "#d": "a.b"}

RESERVED = "Attribute name is a reserved keyword; reserved keyword: "
NO_NAME = "An expression attribute name used in the document path is not defined; attribute name: "
NO_VALUE = "An expression attribute value used in expression is not defined; attribute value: "
COUNT = "Incorrect number of operands for operator or function; operator or function: "
TYPE = "Incorrect operand type for operator or function; operator or function: "
USED = "The function is not allowed to be used this way in an expression; function: "
DISTINCT = (
    "The first operand must be distinct from the remaining operands for this operator or function; operator: "
)
NEEDS_PATH = "Operator or function requires a document path; operator or function: "

CONDITIONS = [
    ("status = :s", RESERVED + "status"),
    ("a.Status = :s", RESERVED + "Status"),
    ("attribute_exists(a[0].name)", RESERVED + "name"),
    ("size = :n", RESERVED + "size"),
    ("a[2147483648] = :s", "List index is not within the allowable range; index: [2147483648]"),
    ("unknown(a)", "Invalid function name; function: unknown"),
    ("Begins_With(a, :s)", "Invalid function name; function: Begins_With"),
    ("a = unknown(b)", "Invalid function name; function: unknown"),
    (
        "if_not_exists(a, :s) = :s",
        "The function is not allowed in a condition expression; function: if_not_exists",
    ),
    ("size(a)", USED + "size"),
    ("NOT size(a)", USED + "size"),
    ("a = :s AND size(a)", USED + "size"),
    ("a = contains(a, :s)", USED + "contains"),
    ("attribute_exists(a) = :true", USED + "attribute_exists"),
    ("a IN (:s, begins_with(a, :s))", USED + "begins_with"),
    ("contains(begins_with(a, :s), :s)", USED + "begins_with"),
    ("attribute_exists(a, b)", COUNT + "attribute_exists, number of operands: 2"),
    ("size(a, b) = :n", COUNT + "size, number of operands: 2"),
    ("begins_with(a)", COUNT + "begins_with, number of operands: 1"),
    ("#x = :s", NO_NAME + "#x"),
    ("a.#x = :s", NO_NAME + "#x"),
    ("a = :x", NO_VALUE + ":x"),
    ("a = a", DISTINCT + "=, first operand: [a]"),
    ("#a.b[1] <> a.#b[1]", DISTINCT + "<>, first operand: [a, b, [1]]"),
    ("a BETWEEN :s AND a", DISTINCT + "BETWEEN, first operand: [a]"),
    ("a IN (:s, #a)", DISTINCT + "IN, first operand: [a]"),
    ("contains(a, a)", DISTINCT + "contains, first operand: [a]"),
    ("begins_with(#d, #d)", DISTINCT + "begins_with, first operand: [a.b]"),
    ("attribute_exists(:s)", NEEDS_PATH + "attribute_exists"),
    ("attribute_not_exists(size(a))", NEEDS_PATH + "attribute_not_exists"),
    ("attribute_type(:s, :type)", NEEDS_PATH + "attribute_type"),
    ("a < :true", TYPE + "<, operand type: BOOL"),
    (":null >= a", TYPE + ">=, operand type: NULL"),
    ("a > :ss", TYPE + ">, operand type: SS"),
    ("a BETWEEN :l AND :l", TYPE + "BETWEEN, operand type: L"),
    ("begins_with(a, :n)", TYPE + "begins_with, operand type: N"),
    ("begins_with(a, size(b))", TYPE + "begins_with, operand type: N"),
    ("size(:n) = :n", TYPE + "size, operand type: N"),
    ("size(size(a)) = :n", TYPE + "size, operand type: N"),
    ("attribute_type(a, :n)", TYPE + "attribute_type, operand type: N"),
    ("attribute_type(a, b)", TYPE + "attribute_type, operand type: {NS,SS,L,BS,N,M,B,BOOL,NULL,S}"),
    (
        "attribute_type(a, :s)",
        "Invalid attribute type name found; type: s, valid types: {N,BS,L,B,NULL,M,S,SS,NS,BOOL}",
    ),
    (
        "a BETWEEN :n AND :s",
        "The BETWEEN operator requires same data type for lower and upper bounds; lower bound operand: "
        "AttributeValue: {N:1}, upper bound operand: AttributeValue: {S:s}",
    ),
    (
        "a BETWEEN :m AND :n",
        "The BETWEEN operator requires upper bound to be greater than or equal to lower bound; lower bound "
        "operand: AttributeValue: {N:2}, upper bound operand: AttributeValue: {N:1}",
    ),
    (
        "a BETWEEN :b AND :c",
        "The BETWEEN operator requires upper bound to be greater than or equal to lower bound; lower bound "
        "operand: AttributeValue: {B:java.nio.HeapByteBuffer[pos=0 lim=3 cap=3]}, upper bound operand: "
        "AttributeValue: {B:java.nio.HeapByteBuffer[pos=0 lim=1 cap=1]}",
    ),
    (
        "a IN (" + ", ".join([":s"] * 101) + ")",
        "The IN operator is provided with too many operands; number of operands: 101",
    ),
]


@pytest.mark.parametrize(("text", "message"), CONDITIONS)
def test_a_condition_is_refused_in_the_words_of_aws(text: str, message: str) -> None:
    with pytest.raises(ServiceError) as raised:
        compile_condition(text, NAMES, VALUES, "FilterExpression")
    assert raised.value.code == "ValidationException"
    assert raised.value.message == f"Invalid FilterExpression: {message}"


# Why: two findings in one text, of which AWS names the one that its passes meet first.
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("#x = :x AND status = :s", RESERVED + "status"),
        ("a = :x AND #x = :s", NO_VALUE + ":x"),
        ("#x = :s AND a = :x", NO_NAME + "#x"),
        ("a < :true AND b = :x", TYPE + "<, operand type: BOOL"),
        ("b = b AND unknown(a)", "Invalid function name; function: unknown"),
        ("size(a) AND status = :s", USED + "size"),
        ("begins_with(:x, :n)", NO_VALUE + ":x"),
    ],
)
def test_of_two_findings_the_first_pass_wins_and_then_the_left_one(text: str, message: str) -> None:
    with pytest.raises(ServiceError) as raised:
        compile_condition(text, None, VALUES)
    assert raised.value.message == f"Invalid ConditionExpression: {message}"


OVERLAP = "Two document paths overlap with each other; must remove or rewrite one of these paths; "
CONFLICT = "Two document paths conflict with each other; must remove or rewrite one of these paths; "

UPDATES = [
    ("SET status = :s", RESERVED + "status"),
    ("SET a = status", RESERVED + "status"),
    ("SET a = :s SET b = :s", 'The "SET" section can only be used once in an update expression;'),
    (
        "REMOVE a ADD c :n REMOVE b",
        'The "REMOVE" section can only be used once in an update expression;',
    ),
    ("SET a = unknown(b)", "Invalid function name; function: unknown"),
    ("SET a = size(b)", "The function is not allowed in an update expression; function: size"),
    ("SET a = list_append(:l)", COUNT + "list_append, number of operands: 1"),
    ("SET a = if_not_exists(:s, :s)", NEEDS_PATH + "if_not_exists"),
    ("SET a = list_append(b, :s)", TYPE + "list_append, operand type: S"),
    ("SET a = b + :s", TYPE + "+, operand type: S"),
    ("SET a = :l - b", TYPE + "-, operand type: L"),
    ("SET a = :n + list_append(:l, :l)", TYPE + "+, operand type: L"),
    ("SET #x = :s", NO_NAME + "#x"),
    ("SET a = :x", NO_VALUE + ":x"),
    ("SET a = :s, a = :t", OVERLAP + "path one: [a], path two: [a]"),
    ("SET a = :s REMOVE #a", OVERLAP + "path one: [a], path two: [a]"),
    ("SET a = :s, a.b = :s", OVERLAP + "path one: [a], path two: [a, b]"),
    ("SET a.b[1].c = :s, a.b = :s", OVERLAP + "path one: [a, b, [1], c], path two: [a, b]"),
    ("SET a.b = :s, a[1] = :s", CONFLICT + "path one: [a, b], path two: [a, [1]]"),
    ("SET c = :s, a[1].x = :s, a[1][0] = :s", CONFLICT + "path one: [a, [1], x], path two: [a, [1], [0]]"),
    (
        "ADD a :s",
        "Incorrect operand type for operator or function; operator: ADD, operand type: STRING, "
        "typeSet: ALLOWED_FOR_ADD_OPERAND",
    ),
    (
        "DELETE a :n",
        "Incorrect operand type for operator or function; operator: DELETE, operand type: NUMBER, "
        "typeSet: ALLOWED_FOR_DELETE_OPERAND",
    ),
    # Where an update writes is checked before what it writes, and what it writes from the last action on.
    ("SET a = :x, a.b = :s", OVERLAP + "path one: [a], path two: [a, b]"),
    ("SET a = :x, b = :y", NO_VALUE + ":y"),
    ("SET a = :x, b = #x", NO_NAME + "#x"),
]


@pytest.mark.parametrize(("text", "message"), UPDATES)
def test_an_update_is_refused_in_the_words_of_aws(text: str, message: str) -> None:
    with pytest.raises(ServiceError) as raised:
        compile_update(text, NAMES, VALUES)
    assert raised.value.message == f"Invalid UpdateExpression: {message}"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("pk, status", RESERVED + "status"),
        ("a, #x", NO_NAME + "#x"),
        ("a, b, #a", OVERLAP + "path one: [a], path two: [a]"),
        ("a[1], a", OVERLAP + "path one: [a, [1]], path two: [a]"),
        ("a.b, a[0]", CONFLICT + "path one: [a, b], path two: [a, [0]]"),
    ],
)
def test_a_projection_is_refused_in_the_words_of_aws(text: str, message: str) -> None:
    with pytest.raises(ServiceError) as raised:
        compile_projection(text, NAMES)
    assert raised.value.message == f"Invalid ProjectionExpression: {message}"


# Why: a.b is one attribute's name behind a placeholder and a path without one; elements of one list do not clash.
@pytest.mark.parametrize("text", ["a.b, #d", "a[0], a[1]", "a.b.c, a.b.d", "a[0].x, a[0].y, b"])
def test_paths_that_only_look_alike_do_not_clash(text: str) -> None:
    names = {"#d": "a.b"} if "#d" in text else None
    assert compile_projection(text, names).apply({}) == {}


def test_the_reserved_words_are_the_573_of_the_developer_guide() -> None:
    assert len(RESERVED_WORDS) == 573
    assert {"STATUS", "NAME", "TTL", "ZONE", "ABORT", "FLATTERN"} <= RESERVED_WORDS


# Why: a kept program must not keep the outcome of one request's values or names for the next.
def test_the_same_text_is_checked_anew_for_other_values_and_names() -> None:
    assert compile_condition("#a < :s", {"#a": "x"}, {":s": {"S": "m"}}).test({"x": {"S": "a"}})
    assert not compile_condition("#a < :s", {"#a": "y"}, {":s": {"S": "m"}}).test({"x": {"S": "a"}})
    for names, values in (
        ({"#b": "x"}, {":s": AttributeValue(S="m")}),
        ({"#a": "x"}, {":s": AttributeValue(BOOL=True)}),
        ({"#a": "x"}, {":t": AttributeValue(S="m")}),
    ):
        with pytest.raises(ServiceError):
            compile_condition("#a < :s", names, values)


def test_an_attribute_name_too_long_to_keep_works_all_the_same() -> None:
    long = "x" * 60_000
    condition = compile_condition("#a = :s", {"#a": long}, {":s": {"S": "m"}})
    assert condition.test({long: {"S": "m"}})
    assert compile_projection("#a", {"#a": long}).apply({long: {"S": "m"}, "b": {"S": "m"}}).keys() == {long}
    assert compile_update("SET #a = :s", {"#a": long}, {":s": {"S": "m"}}).apply({}) == {long: {"S": "m"}}


def test_a_path_into_a_key_attribute_is_refused() -> None:
    condition = compile_condition("pk.a = :s AND a.b = :s", None, {":s": {"S": "m"}})
    check_scalar_keys(condition.nested, ("sk",))
    with pytest.raises(ServiceError) as raised:
        check_scalar_keys(condition.nested, ("pk", "sk"))
    assert raised.value.message == (
        "Key attributes must be scalars; list random access '[]' and map lookup '.' are not allowed: Key: pk"
    )
