"""The grammar: what is a statement, and AWS's words for what is none."""

from __future__ import annotations

import pytest

from penstock.errors import ServiceError
from penstock.partiql.parser import parse
from penstock.partiql.syntax import And, Compare, Insert, Not, Or, Select, Update
from penstock.partiql.terms import DEPTH_MAX

TERM = "Unexpected term"
KEYWORD = "Unexpected keyword"
OPERATOR = "Unexpected operator"
LEFTOVER = "Unexpected token after expression"
NO_RIGHT = "Missing right-hand side expression of infix operator"
NO_MANIPULATION = "Expected data manipulation"
NO_PATH = "Expected identifier for simple path"
NOTHING = ""


def message(statement: str) -> str:
    with pytest.raises(ServiceError) as caught:
        parse(statement)
    assert caught.value.code == "ValidationException"
    return str(caught.value.message)


@pytest.mark.parametrize(
    ("statement", "detail"),
    [
        ("SELECT * FROM t WHERE pk = 1 foo", LEFTOVER),
        ("SELECT * FROM t WHERE pk = 1 e5", LEFTOVER),
        ("INSERT INTO t VALUE {'pk': 970001} foo", LEFTOVER),
        ("UPDATE t SET a = 9 WHERE pk = 970002 foo", LEFTOVER),
        ("DELETE FROM t WHERE pk = 970003 foo", LEFTOVER),
        ("SELECT * FROM t WHERE pk = 1)", LEFTOVER),
        ("DELETE FROM t WHERE pk = 970004 ORDER BY pk", LEFTOVER),
        ("SELECT * FROM t ORDER BY pk WHERE pk = 1", LEFTOVER),
        ("INSERT INTO t x VALUE {'pk': 'x'}", LEFTOVER),
        ("FROM t SET c = 1 WHERE pk = 'x'", LEFTOVER),
        ("FROM t SET c = 1 WHERE pk = 'x' SET d = 2", LEFTOVER),
        ("SELECT * FROM t; SELECT * FROM t", LEFTOVER),
        ("SELECT * FROM t WHERE pk = 1e2147483648", NOTHING),
        ("SELECT * FROM t WHERE pk = 1e99999999999", NOTHING),
        ("SELECT * FROM t WHERE pk = 1.5e-2147483647", NOTHING),
        ("SELECT * FROM t WHERE pk = 1 # note", NOTHING),
        ("SELECT * FROM t WHERE pk = 1 /* note", NOTHING),
        ('SELECT * FROM "t', NOTHING),
        ("SELECT * FROM t WHERE pk = 'a", NOTHING),
        ("SELECT * FROM t WHERE", TERM),
        ("SELECT * FROM t WHERE;", TERM),
        ("SELECT * FROM t WHERE   ", TERM),
        ("SELECT pk FROM t WHERE", TERM),
        ("UPDATE t SET a = 1 WHERE", TERM),
        ("DELETE FROM t WHERE", TERM),
        ("SELECT * FROM t WHERE NOT", TERM),
        ("SELECT * FROM t WHERE (", TERM),
        ("SELECT * FROM", TERM),
        ("", TERM),
        ("SELECT * FROM t WHERE pk = 'p1' AND", NO_RIGHT),
        ("SELECT * FROM t WHERE pk = 'p1' OR", NO_RIGHT),
        ("SELECT * FROM t WHERE ORDER BY pk", KEYWORD),
        ("CREATE TABLE t", KEYWORD),
        ("SELECT * FROM t WHERE pad = 'none'", KEYWORD),
        ("INSERT INTO urls (key, target) VALUES (?, ?)", KEYWORD),
        ("SELECT * FROM t WHERE x IS FOO", "Expected type name"),
        ("SELECT * FROM t WHERE IS NULL", OPERATOR),
        ("SELECT * FROM t WHERE pk = LIKE", OPERATOR),
        ("DELETE FROM", NO_PATH),
        ("DELETE FROM   ", NO_PATH),
        ("DELETE FROM;", NO_PATH),
        ("DELETE FROM WHERE pk = 'a'", NO_PATH),
        ("SLECT * FROM t WHERE pk = 'x'", NO_MANIPULATION),
        ("UPDATE Payment-x SET active = 1 WHERE pk = 'x'", NO_MANIPULATION),
    ],
)
# Why: recorded from AWS.
def test_a_statement_that_cannot_be_read_says_what_was_expected(statement: str, detail: str) -> None:
    assert message(statement) == f"Statement wasn't well formed, can't be processed: {detail}"


@pytest.mark.parametrize("type_", ["INT4", "INT8", "DOUBLE PRECISION", "CHARACTER VARYING"])
# Why: recorded from AWS: a bare expression is parsed first and refused then.
def test_a_bare_expression_is_no_operation(type_: str) -> None:
    assert message(f"x IS {type_}") == "Unsupported operation: IsType"


@pytest.mark.parametrize(
    ("statement", "index", "place"),
    [
        ("SELECT l[-1] FROM t", "-1", "1:11:1"),
        ("SELECT l[2147483648] FROM t", "2147483648", "1:10:10"),
        ("SELECT\n  l[99999999999] FROM t", "99999999999", "2:5:11"),
    ],
)
# Why: recorded from AWS: line, column and length of the digits.
def test_a_list_index_out_of_range_is_refused_with_its_place(statement: str, index: str, place: str) -> None:
    expected = f"List index is not within the allowable range; index: [{index}] at {place}"
    assert message(statement) == expected


# Why: -0 is 0, and the largest index is that of a 32-bit integer.
def test_the_ends_of_the_range_of_list_indexes_are_taken() -> None:
    body = parse("SELECT l[-0], l[2147483647] FROM t").body
    assert isinstance(body, Select)
    assert [column.column for column in body.columns or ()] == ["l[0]", "l[2147483647]"]


# Why: AND binds before OR, NOT before both, and comparisons before NOT.
def test_operators_bind_as_in_sql() -> None:
    body = parse("SELECT * FROM t WHERE a = 1 OR NOT b = 2 AND c = 3").body
    assert isinstance(body, Select)
    assert isinstance(body.where, Or)
    first, second = body.where.parts
    assert isinstance(first, Compare)
    assert isinstance(second, And)
    assert isinstance(second.parts[0], Not)
    assert isinstance(second.parts[0].part, Compare)


# Why: comments are white space, also in the middle of a clause, but not inside quotes.
def test_comments_are_skipped() -> None:
    plain = "SELECT * FROM t WHERE pk = 'a--b /*c*/'"
    commented = "-- first\nSELECT/**/* FROM t /* x\ny */ -- z\nWHERE pk/* key */= 'a--b /*c*/'; -- done"
    one, other = parse(plain).body, parse(commented).body
    assert isinstance(one, Select)
    assert isinstance(other, Select)
    assert isinstance(one.where, Compare)
    assert isinstance(other.where, Compare)
    assert one.where.right == other.where.right


# Why: a comment begins at two minus signs, even between a number and its sign.
def test_two_minus_signs_begin_a_comment() -> None:
    body = parse("UPDATE t SET n=n--1 WHERE pk = 'a'").body
    assert isinstance(body, Update)
    assert body.where is None


# Why: question marks are numbered in the order of the text, wherever they stand.
def test_parameters_are_counted() -> None:
    statement = parse("INSERT INTO t VALUE {'a': ?, 'b': '?', 'c': ?}")
    assert statement.parameters == 2
    assert isinstance(statement.body, Insert)


# Why: "two well-known engines die of" a deeply nested expression; here it is an answer.
@pytest.mark.parametrize(
    "text",
    [
        "(" * 4000 + "a = 1" + ")" * 4000,
        "NOT " * 2000 + "a = 1",
        "a = " * 2000 + "1",
        "a IS NULL" + " IS NULL" * 900,
        "a = " + "[" * 4000,
        "a = " + "{'a':" * 1500 + "1",
        "a = " + "1 + " * 2000 + "1",
        "f(" * 3000,
        "(NOT (a = 1) = " * 500,
    ],
)
def test_nesting_ends_in_an_error_and_never_in_a_crash(text: str) -> None:
    assert message(f"SELECT * FROM t WHERE {text}")


# Why: chains are no nesting: the longest statement is taken.
def test_a_long_chain_of_conditions_is_taken() -> None:
    where = " OR ".join(["a = 1"] * 900)
    body = parse(f"SELECT * FROM t WHERE {where}").body
    assert isinstance(body, Select)
    assert isinstance(body.where, Or)
    assert len(body.where.parts) == 900


# Why: real statements nest a little, and the bound is far above that.
def test_some_nesting_is_taken() -> None:
    depth = DEPTH_MAX - 2
    assert parse("SELECT * FROM t WHERE " + "(" * depth + "a = 1" + ")" * depth)


# Why: APIReference/API_ExecuteStatement: at most 8,192 characters.
def test_a_statement_has_at_most_8192_characters() -> None:
    longest = "SELECT * FROM t WHERE a = '" + "x" * 8164 + "'"
    assert len(longest) == 8192
    assert parse(longest)
    assert message(longest + " ").endswith(
        "at 'statement' failed to satisfy constraint: Member must have length less than or equal to 8192"
    )
