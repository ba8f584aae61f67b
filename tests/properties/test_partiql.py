"""PartiQL: the reads of a WHERE clause select what the clause selects, and no text crashes the parser."""

from __future__ import annotations

import sys
from itertools import product

from hypothesis import example, given, settings
from hypothesis import strategies as st

from penstock.errors import ServiceError
from penstock.expressions.conditions import compile_condition
from penstock.model.tables import KeyAttribute, KeySchema, Table
from penstock.model.values import AttributeValue, Item
from penstock.partiql.compile import Compiled, compile_statement
from penstock.partiql.conditions import Binder
from penstock.partiql.parser import parse
from penstock.partiql.rendering import Placeholders
from penstock.partiql.selects import Step
from penstock.partiql.syntax import Select

KEYS = KeySchema((KeyAttribute("pk", "S"),), (KeyAttribute("sk", "N"),))
TABLE = Table("t", "id", 1, KEYS, 0)

# Every item that the clauses below can tell apart.
EXTRAS: tuple[Item, ...] = ({}, {"x": {"N": "1"}}, {"x": {"S": "1"}})
ITEMS: list[Item] = [
    {"pk": {"S": pk}, "sk": {"N": str(sk)}, **extra} for pk, sk in product("ab", range(4)) for extra in EXTRAS
]


def quoted(name: str) -> st.SearchStrategy[str]:
    return st.sampled_from([f"'{letter}'" for letter in "abc"]).map(lambda value: f"{name} = {value}")


PARTITION = st.one_of(
    quoted("pk"),
    st.lists(st.sampled_from(["'a'", "'b'"]), min_size=1, max_size=2, unique=True).map(
        lambda values: f"pk IN [{', '.join(values)}]"
    ),
    st.just("pk > 'a'"),
)
NUMBER = st.integers(-1, 4).map(str)
SORT = st.one_of(
    st.builds("sk {} {}".format, st.sampled_from(["=", "<>", "<", "<=", ">", ">="]), NUMBER),
    st.builds("{1} {0} sk".format, st.sampled_from(["=", "<", ">="]), NUMBER),
    st.tuples(st.integers(-1, 4), st.integers(0, 3)).map(
        lambda ends: f"sk BETWEEN {ends[0]} AND {sum(ends)}"
    ),
    st.lists(NUMBER, min_size=1, max_size=3, unique=True).map(lambda values: f"sk IN [{', '.join(values)}]"),
)
OTHER = st.sampled_from(
    [
        "x = 1",
        "x <> 1",
        "x IS MISSING",
        "x IS NOT MISSING",
        "x IS STRING",
        "size(x) = 1",
        "attribute_exists(sk)",
        "x = sk",
    ]
)


def nested(conditions: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        st.lists(conditions, min_size=2, max_size=3).map(lambda parts: f"({' AND '.join(parts)})"),
        st.lists(conditions, min_size=2, max_size=3).map(lambda parts: f"({' OR '.join(parts)})"),
        conditions.map(lambda part: f"NOT ({part})"),
        conditions.map(lambda part: f"({part}) = false"),
    )


ANY_WHERE = st.recursive(st.one_of(PARTITION, SORT, OTHER), nested, max_leaves=8)
BRANCH = st.builds("({} AND {} AND {})".format, PARTITION, SORT, OTHER | ANY_WHERE)
WHERE = st.one_of(
    ANY_WHERE,
    st.builds("{} AND {}".format, PARTITION, ANY_WHERE),
    st.lists(BRANCH, min_size=1, max_size=3).map(" OR ".join),
)


def holds(request: dict[str, object], member: str, item: Item) -> bool:
    text = request.get(member)
    if text is None:
        return True
    assert isinstance(text, str)
    names, values = request["ExpressionAttributeNames"], request.get("ExpressionAttributeValues")
    return compile_condition(text, names, values).test(item)  # type: ignore[arg-type]


def selects(step: Step, item: Item) -> bool:
    key = step.request.get("Key")
    if key is not None:
        return bool({"pk": item["pk"], "sk": item["sk"]} == key)
    return (
        holds(step.request, "KeyConditionExpression", item)
        and holds(step.request, "FilterExpression", item)
        and (step.residual is None or holds(step.residual, "ConditionExpression", item))
    )


def table_of(_: str) -> Table:
    return TABLE


def compiled(statement: str) -> Compiled:
    return compile_statement(statement, None, table_of)


# Why: a WHERE clause is taken apart into ranges of keys, filters and residuals; together they must say what it says,
# and no two queries may answer with the same item. The whole clause as one condition is what it says.
@given(WHERE)
@settings(max_examples=400, deadline=None)
@example("(pk = 'a' AND sk > 1 AND sk < 3) OR (pk = 'a' AND sk = 3)")
def test_the_reads_of_a_where_clause_select_what_it_selects(where: str) -> None:
    statement = f"SELECT * FROM t WHERE {where}"
    try:
        result = compiled(statement)
    except ServiceError as error:
        assert error.message in (  # noqa: PT017 - both outcomes are right; only the words are checked.
            "Overlapping conditions with range keys are not supported in where clause",
            "Too many decomposed read operations for a given query.",
        )
        return
    body = parse(statement).body
    assert isinstance(body, Select)
    assert body.where is not None
    placeholders = Placeholders()
    whole: dict[str, object] = {"whole": placeholders.condition(Binder(()).condition(body.where))}
    placeholders.fill(whole)
    for item in ITEMS:
        found = sum(selects(step, item) for step in result.steps)
        assert found == int(holds(whole, "whole", item)), (item, result)


# Why: the executor joins the answers of the queries: their order is the order of the rows.
@given(WHERE, st.sampled_from(["", " ORDER BY pk, sk", " ORDER BY pk DESC, sk", " ORDER BY pk, sk DESC"]))
@settings(max_examples=200, deadline=None)
def test_the_reads_come_in_the_order_of_their_keys(where: str, order: str) -> None:
    try:
        result = compiled(f"SELECT * FROM t WHERE (pk = 'a' OR pk = 'b') AND {where}{order}")
    except ServiceError:
        return
    if result.action != "Query":
        return
    answered: list[tuple[str, int]] = []
    for step in result.steps:
        own = sorted((item["pk"]["S"], int(item["sk"]["N"])) for item in ITEMS[::3] if selects(step, item))
        answered += own if step.request.get("ScanIndexForward", True) else own[::-1]
    by_sort = sorted(answered, key=lambda key: key[1], reverse=order.endswith("sk DESC"))
    assert answered == sorted(by_sort, key=lambda key: key[0], reverse="pk DESC" in order)


TOKENS = """
    SELECT FROM WHERE INSERT INTO VALUE UPDATE SET REMOVE DELETE RETURNING ALL OLD NEW MODIFIED ORDER BY ASC DESC
    AND OR NOT IN IS MISSING NULL BETWEEN LIKE EXISTS TRUE t "t" pk sk a.b l[0] l[-1] a['b'] 'x' 'it''s' 1 -1 .5 1e5
    1e999999999999 ? * ( ) [ ] { } << >> , . : ; = <> < <= > >= + - / % || -- /* */ ' " # size( contains( f(
"""
WORDS = st.sampled_from(TOKENS.split())


# Why: whatever comes in, the answer is a request or AWS's error: nothing else may escape.
@given(st.one_of(st.text(max_size=80), st.lists(WORDS, max_size=40).map(" ".join)))
@settings(max_examples=600, deadline=None)
def test_any_text_is_a_statement_or_aws_error(text: str) -> None:
    values: list[AttributeValue] = [{"S": "a"}] * text.count("?")
    for parameters in (None, values):
        try:
            compile_statement(text, parameters, table_of)
        except ServiceError as error:
            assert error.status == 400  # noqa: PT017 - being a statement is as right as being refused.


PLAIN_OPENINGS = ["(", "NOT ", "NOT (", "[", "{'a': ", "<<", "f(", "- ", "a = (", "a IN [", "x IN [y, ("]
JOINED_OPENINGS = ["(a = 1 AND (", "(a = 1 OR (", "(a = 1 OR NOT ("]
COMPARED_OPENINGS = ["(a = 1) = (", "(x IS MISSING = (", "true = (", "size(x) > ("]
OPENINGS = st.sampled_from(PLAIN_OPENINGS + JOINED_OPENINGS + COMPARED_OPENINGS)
STACK_FRAMES = 700  # What is left to a request of Python's thousand frames, deep inside the server.


# Why: expressions nested thousands deep have brought other engines down. Neither may those that the parser still takes
# be too deep for what comes after it.
@given(st.lists(OPENINGS, min_size=1, max_size=4), st.integers(1, 70) | st.integers(1, 4000))
@settings(max_examples=120, deadline=None)
def test_nesting_never_runs_out_of_stack(openings: list[str], count: int) -> None:
    text = ("".join(openings) * count)[:4000]
    closed = f"{text}a = 1{')' * text.count('(')}"
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(_depth() + STACK_FRAMES)
    try:
        for where in (text, closed, f"pk = 'a' AND {closed}"):
            try:
                compile_statement(f"SELECT * FROM t WHERE {where}", None, table_of)
            except ServiceError as error:
                assert error.status == 400  # noqa: PT017 - see above.
    finally:
        sys.setrecursionlimit(limit)


def _depth() -> int:
    frame, depth = sys._getframe(), 0
    while frame.f_back is not None:
        frame, depth = frame.f_back, depth + 1
    return depth
