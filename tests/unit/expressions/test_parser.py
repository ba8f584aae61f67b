"""Text to trees: what AWS's syntax errors quote, what is redundant, what is too much."""

from __future__ import annotations

import sys

import pytest

from penstock.errors import ServiceError
from penstock.expressions.conditions import compile_condition
from penstock.expressions.parser import parse_condition, parse_projection, parse_update
from penstock.expressions.projections import compile_projection
from penstock.expressions.syntax import (
    And,
    Arithmetic,
    Between,
    Call,
    Comparison,
    In,
    Not,
    Or,
    Path,
    Value,
)
from penstock.expressions.updates import compile_update
from penstock.model.values import AttributeValue

A, B, V = Path(("a",)), Path(("b",)), Value(":v")

# Why: the shapes that every later module matches on.
TREES = [
    ("a = :v", Comparison("=", A, V)),
    ("  a\t=\r\n:v ", Comparison("=", A, V)),
    ("a<>:v", Comparison("<>", A, V)),
    ("a.#b[3] <= :v", Comparison("<=", Path(("a", "#b", 3)), V)),
    ("(a) = (:v)", Comparison("=", A, V)),
    ("(a = :v)", Comparison("=", A, V)),
    ("a between :v and b AND b = :v", And((Between(A, V, B), Comparison("=", B, V)))),
    ("a IN (:v)", In(A, (V,))),
    ("a in (:v, b)", In(A, (V, B))),
    ("not a = :v", Not(Comparison("=", A, V))),
    ("NOT a = :v AND b = :v", And((Not(Comparison("=", A, V)), Comparison("=", B, V)))),
    (
        "a = :v OR b = :v AND a = b",
        Or((Comparison("=", A, V), And((Comparison("=", B, V), Comparison("=", A, B))))),
    ),
    (
        "(a = :v OR b = :v) AND a = b",
        And((Or((Comparison("=", A, V), Comparison("=", B, V))), Comparison("=", A, B))),
    ),
    ("size(a) > :v", Comparison(">", Call("size", (A,)), V)),
    ("(size(a)) > :v", Comparison(">", Call("size", (A,)), V)),
    ("(begins_with(a, :v))", Call("begins_with", (A, V))),
    ("a_1.#_ = :v", Comparison("=", Path(("a_1", "#_")), V)),
]


# Why: precedence is OR < AND < NOT < tests, and parentheses may hold a condition or an operand.
@pytest.mark.parametrize(("text", "tree"), TREES)
def test_a_condition_becomes_this_tree(text: str, tree: object) -> None:
    assert parse_condition(text, "ConditionExpression").condition == tree


# Why: AWS quotes the token and its neighbours as the text has them: reported so by users for _version and __b.
SYNTAX_ERRORS = [
    ("INVALID SYNTAX HERE", "SYNTAX", "INVALID SYNTAX HERE"),
    ("a", "<EOF>", "a"),
    ("a =", "<EOF>", "="),
    ("a = :v b", "b", ":v b"),
    ("a = :v AND", "<EOF>", "AND"),
    ("= :v", "=", "= :v"),
    ("a  =  =  :v", "=", "=  =  :v"),
    ("a-b = :v", "-", "a-b"),
    ("a = 5", "5", "= 5"),
    ("a[01] = :v", "1", "01]"),
    ("a[b] = :v", "b", "[b]"),
    ("a[] = :v", "]", "[] ="),
    ("a. = :v", "=", ". = :v"),
    ("a.:v = :v", ":v", ".:v ="),
    ("set = :v", "set", "set ="),
    ("a = # AND", "#", "= # AND"),
    ("(a = :v", "<EOF>", ":v"),
    ("a = :v)", ")", ":v)"),
    ("(a = :v) = b", "=", ") = b"),
    ("a IN ()", ")", "()"),
    ("a IN :v", ":v", "IN :v"),
    ("a BETWEEN :v", "<EOF>", ":v"),
    ("size() = :v", ")", "() ="),
    ("begins_with(a,", "<EOF>", ","),
    ("a AND b = :v", "AND", "a AND b"),
    ("(a).b = :v", ".", ").b"),
    ("a = :v é", "é", ":v é"),
    ("_version = :v", "_", "_version"),
    ("a = :v AND __b = :v", "_", "AND __"),
    ("a = :v, #, b", ",", ":v, #"),
    ("a == :v", "=", "== :v"),
    ("a != :v", "!", "a !="),
]


@pytest.mark.parametrize(("text", "token", "near"), SYNTAX_ERRORS)
def test_a_syntax_error_quotes_the_token_and_its_neighbours(text: str, token: str, near: str) -> None:
    with pytest.raises(ServiceError) as raised:
        parse_condition(text, "FilterExpression")
    assert raised.value.message == f'Invalid FilterExpression: Syntax error; token: "{token}", near: "{near}"'


# Why: each recorded from AWS by the public conformance suite.
def test_syntax_errors_of_updates_and_projections_read_as_recorded() -> None:
    with pytest.raises(ServiceError) as update:
        parse_update("INVALID SYNTAX HERE")
    expected = 'Invalid UpdateExpression: Syntax error; token: "INVALID", near: "INVALID SYNTAX"'
    assert update.value.message == expected
    for text in ("!!!", "!!! INVALID !!!"):
        with pytest.raises(ServiceError) as projection:
            parse_projection(text)
        expected = 'Invalid ProjectionExpression: Syntax error; token: "!", near: "!!"'
        assert projection.value.message == expected


# Why: updates have a grammar of their own; ADD and DELETE take a :value and nothing else.
@pytest.mark.parametrize(
    ("text", "token", "near"),
    [
        ("SET", "<EOF>", "SET"),
        ("SET a", "<EOF>", "a"),
        ("SET a = :v,", "<EOF>", ","),
        ("SET a = :v b = :v", "b", ":v b ="),
        ("SET a = :v + :v + :v", "+", ":v + :v"),
        ("SET a = :v * :v", "*", ":v * :v"),
        ("ADD a b", "b", "a b"),
        ("DELETE a size(b)", "size", "a size("),
        ("REMOVE a = :v", "=", "a = :v"),
        (" ", "<EOF>", ""),
    ],
)
def test_a_syntax_error_in_an_update_quotes_likewise(text: str, token: str, near: str) -> None:
    with pytest.raises(ServiceError) as raised:
        parse_update(text)
    assert raised.value.message == f'Invalid UpdateExpression: Syntax error; token: "{token}", near: "{near}"'


def test_an_update_has_sections_of_actions() -> None:
    tree = parse_update("set a = (:v + b), #c[0] = :v REMOVE a, b delete a :v ADD b :v")
    assert [section.keyword for section in tree.sections] == ["SET", "REMOVE", "DELETE", "ADD"]
    assert tree.sections[0].actions[0].value == Arithmetic("+", V, B)
    assert tree.sections[0].actions[1].path == Path(("#c", 0))
    assert tree.placeholders == ("#c",)


# Why: AWS refuses two pairs straight around one thing, whether it is a condition, an operand or a value to SET.
@pytest.mark.parametrize(
    "text", ["((a = :v))", "((a)) = :v", "a = ((:v))", "b = :v AND ((a = :v)) OR", "f(((a)))"]
)
def test_redundant_parentheses_are_refused_before_what_follows_is_read(text: str) -> None:
    with pytest.raises(ServiceError) as raised:
        parse_condition(text, "ConditionExpression")
    assert raised.value.message == "Invalid ConditionExpression: The expression has redundant parentheses;"


@pytest.mark.parametrize(
    "text", ["(a = :v) AND (b = :v)", "(a = :v AND (b = :v))", "((a) = :v)", "(a = (:v))"]
)
def test_parentheses_around_different_things_are_not_redundant(text: str) -> None:
    assert parse_condition(text, "ConditionExpression").condition is not None


def test_an_empty_expression_is_refused() -> None:
    with pytest.raises(ServiceError) as raised:
        parse_update("")
    assert raised.value.message == "Invalid UpdateExpression: The expression can not be empty;"


# Why: the bound is 4,096 bytes of UTF-8, not characters.
def test_an_expression_above_its_size_is_refused_unread() -> None:
    assert parse_projection("a" * 4096).paths == (Path(("a" * 4096,)),)
    for text, size in (("a" * 4097, 4097), ("é" * 2049, 4098)):
        with pytest.raises(ServiceError) as raised:
            parse_projection(text)
        assert raised.value.message == (
            "Invalid ProjectionExpression: Expression size has exceeded the maximum allowed size; "
            f"expression size: {size}"
        )


# Why: AWS counts comparisons, AND, OR, NOT, functions and arithmetic; 300 are taken, one more is not.
def test_an_expression_with_too_many_operators_is_refused() -> None:
    taken = " OR ".join(["a=:v"] * 150)  # 150 comparisons and 149 ORs.
    assert parse_condition(f"NOT {taken}", "ConditionExpression").operators == 300
    with pytest.raises(ServiceError) as raised:
        parse_condition(f"NOT NOT {taken}", "ConditionExpression")
    assert raised.value.message == (
        "Invalid ConditionExpression: The expression contains too many operators; operator count: 301"
    )


def _nested(open_: str, close: str, inner: str, levels: int) -> str:
    return open_ * levels + inner + close * levels


# Why: two well-known engines overflow their stack on such texts. Each must be an answer, and quickly.
@pytest.mark.parametrize(
    "text",
    [
        "(" * 4096,
        ")" * 4096,
        "NOT " * 1024,
        "NOT " * 1000 + "a = :v",
        "NOT(" * 1000 + "a = :v",
        "NOT(" * 1000 + "a = :v" + ")" * 90,
        _nested("size(", ")", "a", 600),
        _nested("a=:v OR (", ")", "a=:v", 400),
        "a" + "[0]" * 1000,
        "a" + ".a" * 2000 + "=:v",
        "a IN (" + ":v," * 1300,
        "f(" * 2000,
    ],
)
def test_no_nesting_of_a_condition_is_anything_but_an_error_of_aws(text: str) -> None:
    with pytest.raises(ServiceError):
        compile_condition(text, None, {":v": {"S": "x"}})


@pytest.mark.parametrize(
    "text",
    [
        "SET a = " + "(" * 4000,
        "SET a = " + _nested("list_append(", ",b)", "b", 270),
        "SET a = " + _nested("if_not_exists(", ")", "b", 250),
        "SET " * 1000,
        "REMOVE a" + ".a" * 2000,
        "REMOVE " + ",".join(["a"] * 2000),
    ],
)
def test_no_nesting_of_an_update_is_anything_but_an_error_of_aws(text: str) -> None:
    with pytest.raises(ServiceError):
        compile_update(text, None, {":v": {"S": "x"}}).apply({})


# Why: a path deeper than items can be.
def test_a_path_of_more_than_32_parts_is_refused() -> None:
    compile_projection("a" + ".b" * 31, None)
    with pytest.raises(ServiceError) as raised:
        compile_projection("a" + ".b" * 32, None)
    assert raised.value.message == (
        "Invalid ProjectionExpression: The document path has too many nesting levels; nesting levels: 33"
    )


def _at_depth(depth: int, act: object) -> None:
    if depth:
        _at_depth(depth - 1, act)
    else:
        assert callable(act)
        act()


# Why: the deepest expressions that AWS takes must work from deep inside an application, with Python's own limit.
@pytest.mark.parametrize(
    "text",
    [
        _nested("a=:v OR (a=:v AND (", "))", "a=:v", 74),
        _nested("NOT (a=:v AND ", ")", "a=:w", 99),
        "NOT " * 299 + "a=:v",
    ],
)
def test_the_deepest_condition_that_is_valid_can_be_tested(text: str) -> None:
    values: dict[str, AttributeValue] = {":v": {"S": "x"}, ":w": {"S": "x"}}
    assert sys.getrecursionlimit() >= 1000

    def act() -> None:
        used = {name: value for name, value in values.items() if name in text}
        compile_condition(text, None, used).test({"a": {"S": "x"}})

    _at_depth(450, act)


def test_the_deepest_update_that_is_valid_can_be_applied() -> None:
    text = "SET a = " + _nested("list_append(", ",b)", "b", 250)

    def act() -> None:
        assert len(compile_update(text, None, None).apply({"b": {"L": [{"S": "x"}]}})["a"]["L"]) == 251

    _at_depth(350, act)
