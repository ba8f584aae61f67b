"""PartiQL statements as requests: what each becomes, and what AWS says of those that become nothing."""

from __future__ import annotations

from typing import Any

import pytest

from penstock.errors import ServiceError, table_not_found
from penstock.model.tables import Index, KeyAttribute, KeySchema, Projected, Table
from penstock.model.values import AttributeValue
from penstock.partiql.compile import Compiled, Surface, compile_statement
from penstock.partiql.rows import row_of

PK, SK = KeyAttribute("pk", "S"), KeyAttribute("sk", "S")
HASH = Table("hash", "id-1", 1, KeySchema((PK,)), 0)
NUMBERED = Table("numbered", "id-4", 9, KeySchema((KeyAttribute("pk", "N"),)), 0)
PAIR = Table(
    "pair",
    "id-2",
    2,
    KeySchema((PK,), (SK,)),
    0,
    local_indexes=(
        Index(
            "lsi-keys",
            3,
            KeySchema((PK,), (KeyAttribute("lsiSk", "S"),)),
            Projected.KEYS_ONLY,
            holds=frozenset(["pk", "sk", "lsiSk"]),
        ),
    ),
    global_indexes=(
        Index("gsi-all", 4, KeySchema((KeyAttribute("gsiPk", "S"),)), Projected.ALL, is_global=True),
        Index(
            "gsi-inc",
            5,
            KeySchema((KeyAttribute("gsiPk", "S"),)),
            Projected.INCLUDE,
            ("projattr",),
            holds=frozenset(["pk", "sk", "gsiPk", "projattr"]),
            is_global=True,
        ),
        Index(
            "gsi-many",
            6,
            KeySchema(
                (KeyAttribute("tenant", "S"), KeyAttribute("region", "S")),
                (KeyAttribute("year", "N"), KeyAttribute("round", "N")),
            ),
            Projected.ALL,
            is_global=True,
        ),
    ),
)
TABLES = {table.name: table for table in (HASH, PAIR, NUMBERED)}


def table_of(name: str) -> Table:
    if name not in TABLES:
        raise table_not_found()
    return TABLES[name]


def compiled(statement: str, *parameters: AttributeValue, **options: Any) -> Compiled:
    return compile_statement(statement, list(parameters) or None, table_of, **options)


def refusal(statement: str, *parameters: AttributeValue, **options: Any) -> str:
    with pytest.raises(ServiceError) as caught:
        compiled(statement, *parameters, **options)
    return f"{caught.value.code}: {caught.value.message}"


def message(statement: str, *parameters: AttributeValue, **options: Any) -> str:
    code, _, text = refusal(statement, *parameters, **options).partition(": ")
    assert code == "ValidationException"
    return text


def spelled(request: dict[str, Any], member: str) -> str:
    """An expression with its placeholders replaced: short to read and to compare."""
    text = str(request[member])
    for mark, value in sorted(request.get("ExpressionAttributeValues", {}).items(), reverse=True):
        ((_, payload),) = value.items()
        text = text.replace(mark, str(payload))
    for mark, name in sorted(request.get("ExpressionAttributeNames", {}).items(), reverse=True):
        text = text.replace(mark, name)
    return text


# SELECT


# Why: a full primary key with nothing besides is one item, and no range of keys.
def test_a_select_by_the_whole_key_is_a_get_item() -> None:
    result = compiled("SELECT * FROM pair WHERE sk = 'b' AND 'a' = pk")
    assert result.action == "GetItem"
    assert result.request == {"TableName": "pair", "Key": {"sk": {"S": "b"}, "pk": {"S": "a"}}}
    assert result.columns is None
    assert result.is_read


# Why: the whole request as the API takes it, once, so that no helper hides a part of it.
def test_a_select_by_the_partition_key_is_a_query_with_a_filter() -> None:
    result = compiled("SELECT a.b[0], sk FROM \"pair\" WHERE pk = ? AND sk > 'm' AND c = 5", {"S": "x"})
    assert result.action == "Query"
    assert result.request == {
        "TableName": "pair",
        "KeyConditionExpression": "#0 = :0 AND #1 > :1",
        "FilterExpression": "#2 = :2",
        "ProjectionExpression": "#3, #1",
        "ExpressionAttributeNames": {"#0": "pk", "#1": "sk", "#2": "c", "#3": "a"},
        "ExpressionAttributeValues": {":0": {"S": "x"}, ":1": {"S": "m"}, ":2": {"N": "5"}},
    }
    assert result.steps[0].residual is None


# Why: a row is named after the last name of each path, with its indexes (recorded from AWS).
def test_columns_are_named_after_the_end_of_their_path() -> None:
    columns = compiled("SELECT mymap.nested, l[0], m.k[1], a['b'], gone.x FROM hash").columns
    item: dict[str, AttributeValue] = {
        "mymap": {"M": {"nested": {"S": "deep"}}},
        "l": {"L": [{"S": "first"}]},
        "m": {"M": {"k": {"L": [{"N": "1"}, {"N": "2"}]}}},
        "a": {"M": {"b": {"BOOL": True}}},
        "other": {"S": "not asked for"},
    }
    assert row_of(item, columns) == {
        "nested": {"S": "deep"},
        "l[0]": {"S": "first"},
        "k[1]": {"N": "2"},
        "b": {"BOOL": True},
    }


@pytest.mark.parametrize(
    "where",
    [
        "a = 1",
        "pk > 'a'",
        "pk = 'a' OR x = 1",
        "pk <> 'a'",
        "NOT pk = 'a'",
        "pk = 'a' AND pk = 'b'",
        "sk = 'a'",
    ],
)
# Why: only = and IN on the partition key in every branch make a read of keys.
def test_everything_that_does_not_pin_the_partition_key_is_a_scan(where: str) -> None:
    result = compiled(f"SELECT * FROM pair WHERE {where}")
    assert result.action == "Scan"
    assert spelled(result.request, "FilterExpression") == where.replace("'", "")


# Why: no WHERE, no filter, and no empty maps, which AWS refuses.
def test_a_select_without_where_is_a_bare_scan() -> None:
    assert compiled("SELECT * FROM hash;").request == {"TableName": "hash"}


# Why: developerguide/ql-reference.select: "To ensure that a SELECT statement does not result in a full table scan,
# the WHERE clause condition must specify a partition key. Use the equality or IN operator."
def test_in_and_or_on_keys_are_one_query_for_each_in_the_order_of_the_keys() -> None:
    result = compiled("SELECT * FROM pair WHERE (pk IN ['b', 'a'] OR pk = 'c') AND sk IN ['2', '1']")
    assert result.action == "Query"
    keys = [step.request["ExpressionAttributeValues"] for step in result.steps]
    assert [(values[":0"]["S"], values[":1"]["S"]) for values in keys] == [
        ("a", "1"), ("a", "2"), ("b", "1"), ("b", "2"), ("c", "1"), ("c", "2")
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("where", "condition", "residual"),
    [
        ("begins_with(sk, 'p')", "pk = a AND begins_with(sk, p)", None),
        ("sk BETWEEN '1' AND '3'", "pk = a AND sk BETWEEN 1 AND 3", None),
        ("sk >= '1' AND sk <= '3'", "pk = a AND sk BETWEEN 1 AND 3", None),
        ("sk > '1' AND sk < '3'", "pk = a AND sk BETWEEN 1 AND 3", "sk > 1 AND sk < 3"),
        ("sk > '3' AND sk < '1'", "pk = a AND sk > 3", "sk < 1"),
        ("sk = '1' AND sk > '0' AND x = 1", "pk = a AND sk = 1", "sk > 0"),
        ("sk <> '1'", "pk = a", "sk <> 1"),
        ("NOT sk IN ['1', '2']", "pk = a", "NOT sk IN (1, 2)"),
        ("attribute_exists(pk)", "pk = a", "attribute_exists(pk)"),
    ],
)
# Why: a key condition holds one range, and AWS's Query takes no filter on keys; PartiQL takes both.
def test_what_a_key_condition_cannot_hold_is_a_residual(
    where: str, condition: str, residual: str | None
) -> None:
    (step,) = compiled(f"SELECT * FROM pair WHERE pk = 'a' AND {where}").steps
    assert spelled(step.request, "KeyConditionExpression") == condition
    assert (
        step.residual is None
        if residual is None
        else spelled(step.residual or {}, "ConditionExpression") == residual
    )


# Why: the residual is tested on what the query answers, so the projection must bring it.
def test_the_projection_brings_what_a_residual_needs() -> None:
    (step,) = compiled("SELECT a FROM pair WHERE pk = 'x' AND sk <> '1'").steps
    assert spelled(step.request, "ProjectionExpression") == "a, sk"


# Why: recorded from AWS: branches with a negated sort key may overlap, and no item comes twice.
def test_overlapping_branches_with_a_negated_sort_key_become_one_read() -> None:
    (step,) = compiled("SELECT * FROM pair WHERE pk = 'p' AND NOT sk = '1' OR pk = 'p' AND sk = '2'").steps
    assert spelled(step.request, "KeyConditionExpression") == "pk = p"
    residual = spelled(step.residual or {}, "ConditionExpression")
    assert sorted(residual.split(" OR ")) == ["NOT sk = 1", "sk = 2"]
    (step,) = compiled("SELECT * FROM pair WHERE pk = 'p' OR pk = 'p' AND NOT sk = '1'").steps
    assert step.residual is None


@pytest.mark.parametrize(
    "where",
    [
        "pk IN ['r', 'r']",
        "pk = 'r' OR pk = 'r'",
        "pk = 'r' AND (sk > '0' OR sk < '5')",
        "pk = 'r' AND (sk = '1' OR flag = 'two')",
        "(pk = 'r' AND flag = 'one') OR (pk = 'r' AND flag = 'two')",
        "pk = 'a' AND x <> '1' OR pk = 'a' AND sk = '2'",
    ],
)
# Why: recorded from AWS.
def test_overlapping_branches_are_refused(where: str) -> None:
    expected = "Overlapping conditions with range keys are not supported in where clause"
    assert message(f"SELECT * FROM pair WHERE {where}") == expected


# Why: recorded from AWS: 50 reads at most, but only where the statement is keyed at all.
def test_more_than_fifty_reads_are_refused_and_a_long_in_elsewhere_is_not() -> None:
    def listed(count: int) -> str:
        return "[" + ",".join(f"'v{at}'" for at in range(count)) + "]"

    too_many = "Too many decomposed read operations for a given query."
    assert len(compiled(f"SELECT * FROM pair WHERE pk IN {listed(50)} AND x IN {listed(100)}").steps) == 50
    assert message(f"SELECT * FROM pair WHERE pk IN {listed(51)}") == too_many
    assert message(f"SELECT * FROM pair WHERE pk IN {listed(26)} AND sk IN ['1', '2']") == too_many
    assert compiled(f"SELECT * FROM pair WHERE pk IN {listed(51)} OR x = 1").action == "Scan"
    assert message(f"SELECT * FROM pair WHERE x IN {listed(101)}") == (
        "The IN operator is provided with too many operands; number of operands: 101"
    )


# Why: recorded from AWS; in a scan the same comparison is merely false.
def test_a_key_of_the_wrong_type_is_refused_in_a_keyed_read_only() -> None:
    wrong = "Key attribute's data type should match its data type in table's schema: Key "
    assert message("SELECT * FROM pair WHERE pk = 1 OR pk = 'r'") == wrong + "pk"
    assert message("SELECT * FROM pair WHERE pk = 'r' AND sk IN ['1', 2]") == wrong + "sk"
    assert compiled("SELECT * FROM pair WHERE pk > 1").action == "Scan"


# ORDER BY


# Why: recorded from AWS, including that ORDER BY of the partition key alone turns the sort key round.
def test_order_by_sets_the_direction() -> None:
    select = "SELECT * FROM pair WHERE pk = 'a' ORDER BY "
    assert "ScanIndexForward" not in compiled(select + "sk").request
    assert "ScanIndexForward" not in compiled(select + "pk DESC, sk ASC").request
    assert compiled(select + "sk DESC").request["ScanIndexForward"] is False
    assert compiled(select + "pk ASC").request["ScanIndexForward"] is False


# Why: the rows of several partitions come partition after partition, each in its own direction.
def test_order_by_over_several_partitions_orders_the_queries() -> None:
    result = compiled("SELECT * FROM pair WHERE pk IN ['a', 'b'] AND sk IN ['1', '2'] ORDER BY pk DESC, sk")
    values = [step.request["ExpressionAttributeValues"] for step in result.steps]
    assert [v[":0"]["S"] + v[":1"]["S"] for v in values] == ["b1", "b2", "a1", "a2"]


@pytest.mark.parametrize(
    ("rest", "expected"),
    [
        ("ORDER BY sk", "Must have WHERE clause in the statement when using ORDER BY clause."),
        ("WHERE pk = 'a' ORDER BY x", "Attribute x in ORDER BY clause must be part of the primary key"),
        (
            "WHERE pk > 'a' ORDER BY sk",
            "Must have at least one non-optional hash key condition in WHERE clause when using ORDER BY clause.",
        ),
        (
            "WHERE pk IN ['a', 'b'] ORDER BY sk",
            "Must have hash key in ORDER BY clause when more than one hash key condition specified in WHERE clause.",
        ),
    ],
)
# Why: recorded from AWS.
def test_order_by_has_its_own_refusals(rest: str, expected: str) -> None:
    assert message(f"SELECT * FROM pair {rest}") == expected


# Indexes


# Why: the index's own keys decide, not the table's.
def test_a_select_from_an_index_is_keyed_by_the_index() -> None:
    result = compiled("SELECT pk FROM \"pair\".\"gsi-all\" WHERE gsiPk = 'x' AND pk = 'p'")
    assert (result.action, result.request["IndexName"]) == ("Query", "gsi-all")
    assert spelled(result.request, "FilterExpression") == "pk = p"
    assert compiled("SELECT * FROM \"pair\".\"gsi-all\" WHERE pk = 'p' AND sk = 's'").action == "Scan"


# Why: a global index may have up to four attributes in each half of its key.
def test_an_index_with_several_key_attributes_takes_sort_conditions_from_the_left() -> None:
    select = "SELECT * FROM \"pair\".\"gsi-many\" WHERE tenant = 't' AND region = 'r' AND "
    (step,) = compiled(select + "year = 2026 AND round > 3").steps
    assert spelled(step.request, "KeyConditionExpression") == (
        "tenant = t AND region = r AND year = 2026 AND round > 3"
    )
    (step,) = compiled(select + "year > 2020 AND round = 3").steps
    assert spelled(step.request, "KeyConditionExpression").endswith("year > 2020")
    assert spelled(step.residual or {}, "ConditionExpression") == "round = 3"
    assert len(compiled(select + "(year = 1 AND round = 1 OR year = 1 AND round = 2)").steps) == 2
    assert compiled('SELECT * FROM "pair"."gsi-many" WHERE tenant = \'t\'').action == "Scan"


# Why: recorded from AWS; Query words each of these differently.
def test_index_refusals_have_partiqls_own_words() -> None:
    assert (
        message("SELECT * FROM pair.\"no-such\" WHERE pk = 'p'")
        == "The table does not have the specified index"
    )
    select = 'SELECT * FROM "pair"."gsi-all" WHERE gsiPk = \'x\''
    assert message(select, consistent_read=True) == (
        "Strongly consistent read is not supported on Global Secondary Indexes"
    )
    assert message('SELECT nonproj FROM "pair"."gsi-inc" WHERE gsiPk = \'y\'') == (
        "One or more parameter values were invalid: Global secondary index gsi-inc does not project [nonproj]"
    )
    assert compiled('SELECT nonproj FROM "pair"."lsi-keys" WHERE pk = \'p\'').action == "Query"


@pytest.mark.parametrize(
    ("where", "names"),
    [
        ("gsiPk = 'y' AND nonproj = 'np1'", "nonproj"),
        ("gsiPk = 'y' AND NOT (nonproj = 'np1' OR projattr = 'x')", "nonproj"),
        ("gsiPk = 'y' AND b = '1' AND (a = '2' OR projattr = '3')", "a, b"),
        ("gsiPk = 'y' AND (zz = '1' OR aa = '2' OR mm = '3')", "zz, aa, mm"),
        ("(gsiPk = 'y' OR gsiPk = 'z') AND zz = '1'", "zz"),
        ("(gsiPk = 'b' AND u1 = '1') OR (gsiPk = 'q' AND u2 = '1')", "u2"),
        ("(gsiPk = 'q' AND u1 = '1') OR (gsiPk = 'b' AND u2 = '1')", "u1"),
        ("gsiPk IN ['y', 'z'] AND nonproj = 'np1'", "nonproj"),
        ("gsiPk = 'y' AND nonproj IS NOT MISSING", "nonproj"),
    ],
)
# Why: recorded from AWS, down to the order of the names.
def test_a_keyed_read_of_an_index_filters_on_what_it_holds_only(where: str, names: str) -> None:
    assert message(f'SELECT pk FROM "pair"."gsi-inc" WHERE {where}') == (
        "One or more parameter values were invalid: Secondary index gsi-inc "
        f"does not project one or more filter attributes: [{names}]"
    )


@pytest.mark.parametrize(
    "where",
    [
        "nonproj = 'np1'",
        "gsiPk > 'a' AND zz = '1'",
        "gsiPk = 'y' AND (gsiPk = 'z' OR zz = '1')",
        "(gsiPk = 'y' AND zz = '1') OR aa = '1'",
        "(gsiPk = 'y' AND projattr = '1') OR (gsiPk = 'z' AND aa = '1')",
        "gsiPk = 'y' AND (projattr = 'proj1' OR projattr = 'proj2')",
    ],
)
# Why: recorded from AWS: what is not keyed is a scan, which finds nothing instead of failing.
def test_other_reads_of_an_index_may_filter_on_anything(where: str) -> None:
    assert compiled(f'SELECT pk FROM "pair"."gsi-inc" WHERE {where}').is_read


# Conditions


@pytest.mark.parametrize(
    ("where", "filter_"),
    [
        ("a IS MISSING", "attribute_not_exists(a)"),
        ("a IS NOT MISSING", "NOT attribute_not_exists(a)"),
        ("a IS NULL", "attribute_type(a, NULL)"),
        ("a IS NOT NULL", "NOT attribute_type(a, NULL)"),
        ("a IS STRING", "attribute_type(a, S)"),
        ("a != 1", "a <> 1"),
        ("a NOT IN (1, 2)", "NOT a IN (1, 2)"),
        ("a NOT BETWEEN 1 AND 2", "NOT a BETWEEN 1 AND 2"),
        ("NOT NOT a = 1", "a = 1"),
        ("((a = 1)) AND (b = 2 AND c = 3)", "a = 1 AND b = 2 AND c = 3"),
        ("a = 1 AND (b = 2 OR c = 3)", "a = 1 AND (b = 2 OR c = 3)"),
        ("NOT (a = 1 AND b = 2)", "NOT (a = 1 AND b = 2)"),
        ("a = b.c[1]", "a = b.c[1]"),
        ("SIZE(a) > 3 AND size (b) = size(c)", "size(a) > 3 AND size(b) = size(c)"),
        ("Contains(a, 'x') and Attribute_Type(a, 'SS')", "contains(a, x) AND attribute_type(a, SS)"),
        ("n = - - 1 AND m > -/* c */2 AND k = +3", "n = 1 AND m > -2 AND k = 3"),
        ("attribute_exists(a) = true", "attribute_exists(a)"),
        ("false = attribute_exists(a)", "NOT attribute_exists(a)"),
        ("attribute_exists(a) = 1", "attribute_exists(a) AND NOT attribute_exists(a)"),
        ("attribute_exists(a) <> 1", "NOT (attribute_exists(a) AND NOT attribute_exists(a))"),
        ("(a = 1) = b", "a = 1 AND b = True OR NOT a = 1 AND b = False"),
        ("(a = 1) IN [true, false]", "a = 1 OR NOT a = 1"),
    ],
)
# Why: each form that the reference has, in the words of the expressions that it becomes.
def test_conditions_become_filter_expressions(where: str, filter_: str) -> None:
    assert spelled(compiled(f"SELECT * FROM hash WHERE {where}").request, "FilterExpression") == filter_


@pytest.mark.parametrize(
    ("where", "operator", "type_"),
    [
        ("a < true", "<", "BOOL"),
        ("a >= null", ">=", "NULL"),
        ("a > [1]", ">", "L"),
        ("a <= {'x': 1}", "<=", "M"),
        ("a < <<1>>", "<", "NS"),
        ("a BETWEEN true AND false", "BETWEEN", "BOOL"),
        ("attribute_exists(a) > false", ">", "BOOL"),
        ("attribute_type(a, 1)", "attribute_type", "N"),
        ("begins_with(a, 1)", "begins_with", "N"),
    ],
)
# Why: recorded from AWS, and answered before the table is looked up.
def test_operands_that_have_no_order_are_refused_whatever_the_table(
    where: str, operator: str, type_: str
) -> None:
    assert message(f"SELECT pk FROM nowhere WHERE {where}") == (
        f"Incorrect operand type for operator or function; operator or function: {operator}, operand type: {type_}"
    )


# Why: parameters take the same way as literals.
def test_a_parameter_without_order_is_refused() -> None:
    expected = "Incorrect operand type for operator or function; operator or function: <, operand type: SS"
    assert message("SELECT pk FROM nowhere WHERE a < ?", {"SS": ["a"]}) == expected


# Literals


# Why: every type that a statement can write, in canonical form.
def test_literals_of_every_type() -> None:
    item = compiled(
        "INSERT INTO hash VALUE {'pk': 'it''s', 'n': 7.31e6, 'f': .73e1, 't': true, 'z': null, "
        "'l': [1, 'a', [-2.50]], 'm': {'k': {'d': 1E-2}}, 'ss': <<'a', 'b'>>, 'ns': <<2.0, 10>>}"
    ).request["Item"]
    assert item == {
        "pk": {"S": "it's"},
        "n": {"N": "7310000"},
        "f": {"N": "7.3"},
        "t": {"BOOL": True},
        "z": {"NULL": True},
        "l": {"L": [{"N": "1"}, {"S": "a"}, {"L": [{"N": "-2.5"}]}]},
        "m": {"M": {"k": {"M": {"d": {"N": "0.01"}}}}},
        "ss": {"SS": ["a", "b"]},
        "ns": {"NS": ["2", "10"]},
    }


# Why: the tree is cached; an item that is changed in place must not change the statement.
def test_an_inserted_literal_is_a_copy() -> None:
    statement = "INSERT INTO hash VALUE {'pk': 'a', 'l': [1]}"
    compiled(statement).request["Item"]["l"]["L"].append({"N": "2"})
    assert compiled(statement).request["Item"]["l"] == {"L": [{"N": "1"}]}


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("SELECT * FROM numbered WHERE pk = 1e126", "OVERFLOW under root"),
        ("SELECT * FROM numbered WHERE pk = 1e-131", "UNDERFLOW under root"),
        (f"SELECT * FROM numbered WHERE pk = {'1234567890' * 4}", "DIGITS under root"),
        ("INSERT INTO numbered VALUE {'pk': 1e126}", "OVERFLOW under root"),
        ("UPDATE numbered SET a = 1e-131 WHERE pk = 970005", "UNDERFLOW under root"),
        ("INSERT INTO numbered VALUE {'pk': 9, 'm': {'x': 1e126}}", "OVERFLOW under root.x"),
        ("INSERT INTO numbered VALUE {'pk': 9, 'l': [1, 1e126]}", "OVERFLOW under root[1]"),
    ],
)
# Why: recorded from AWS.
def test_numbers_out_of_range_name_their_path(statement: str, expected: str) -> None:
    words = {
        "OVERFLOW": "Number overflow. Attempting to store a number with magnitude larger than supported range",
        "UNDERFLOW": "Number underflow. Attempting to store a number with magnitude smaller than supported range",
        "DIGITS": "Attempting to store more than 38 significant digits in a Number",
    }
    word, _, path = expected.partition(" ")
    assert message(statement) == f"{words[word]} {path}"


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        (
            "UPDATE pair SET s = set_add(s, <<'b','b'>>) WHERE pk = 'p' AND sk = '1'",
            "One or more parameter values were invalid: Input collection [b, b] contains duplicates.",
        ),
        (
            "UPDATE pair SET n = set_add(n, <<2, 2.0>>) WHERE pk = 'p' AND sk = '1'",
            "One or more parameter values were invalid: Input collection [2, 2.0] contains duplicates! under root",
        ),
        ("INSERT INTO hash VALUE {'pk': 'a', 's': <<>>}", "Empty bags are not supported"),
        (
            "INSERT INTO hash VALUE {'pk': 'a', 's': <<1, 'a'>>}",
            "Unsupported data type in Bag. DynamoDB only supports either numbers or strings in bags",
        ),
        (
            "INSERT INTO hash VALUE {'pk': 'a', 's': <<?>>}",
            "Unsupported data type in Bag. DynamoDB only supports either numbers or strings in bags",
        ),
        ("INSERT INTO hash VALUE {'pk': 'a', 'pk': 'b'}", "Duplicate keys in tuple. Key: pk under root"),
    ],
)
# Why: recorded from AWS.
def test_sets_and_maps_that_are_none_are_refused(statement: str, expected: str) -> None:
    assert message(statement) == expected


# Why: recorded from AWS, with the place of the question mark.
def test_a_parameter_inside_a_literal_is_refused() -> None:
    prefix = "UPDATE pair SET x = "
    assert message(prefix + "[?] WHERE pk = 'a' AND sk = '1'", {"S": "v"}) == (
        f"Unsupported data type: Parameter under key root[0] at 1:{len(prefix) + 2}:1"
    )
    insert = "INSERT INTO hash VALUE {'pk': 'a', 'm': {'k': ?}}"
    assert message(insert, {"S": "v"}) == (
        f"Unsupported data type: Parameter under key root.k at 1:{insert.index('?') + 1}:1"
    )
    assert compiled("SELECT * FROM hash WHERE n IN [?, 2]", {"N": "1"}).action == "Scan"


# Why: recorded from AWS: 31 levels inside an attribute are taken, 32 are not.
def test_literals_nest_to_thirty_one_levels() -> None:
    update, where = "UPDATE pair SET d = ", " WHERE pk = 'n' AND sk = '1'"
    too_deep = "Nesting Levels have exceeded supported limits under root"
    assert message(update + "{'a':" * 32 + "1" + "}" * 32 + where) == too_deep + ".a" * 32
    assert message(update + "[" * 32 + "1" + "]" * 32 + where) == too_deep + "[0]" * 32
    assert compiled("INSERT INTO hash VALUE {'pk': 'n', 'd': " + "{'a':" * 31 + "1" + "}" * 31 + "}")


# Parameters


# Why: a statement and its parameters must agree, in both directions.
def test_too_few_and_too_many_parameters_are_refused() -> None:
    wrong = "Number of parameters in request and statement don't match."
    assert message("SELECT * FROM hash WHERE pk = ?") == wrong
    assert message("SELECT * FROM hash WHERE pk = '?'", {"S": "a"}) == wrong


# Why: one parsed statement serves every call.
def test_the_same_statement_binds_different_parameters() -> None:
    for text in ("a", "b"):
        assert compiled("SELECT * FROM hash WHERE pk = ?", {"S": text}).request["Key"] == {"pk": {"S": text}}


# INSERT


# Why: INSERT is not an upsert: finding the key is DuplicateItemException, made of the failed condition.
def test_insert_is_a_put_that_must_find_nothing() -> None:
    result = compiled("INSERT INTO \"pair\" VALUE {'pk': ?, 'sk': 's'}", {"S": "a"})
    assert result.action == "PutItem"
    assert result.request == {
        "TableName": "pair",
        "Item": {"pk": {"S": "a"}, "sk": {"S": "s"}},
        "ConditionExpression": "attribute_not_exists(#0)",
        "ExpressionAttributeNames": {"#0": "pk"},
    }
    assert not result.is_read


# UPDATE


# Why: UPDATE is not an upsert either; the rest of the WHERE clause is its condition.
def test_update_is_an_update_item_that_must_find_the_item() -> None:
    result = compiled(
        "UPDATE pair SET a = a - 1, l = list_append(l, [2]) SET s = set_add(s, <<'x'>>) REMOVE b.c[0] "
        "SET t = set_delete(t, ?) WHERE (pk = 'p' AND sk = 's') AND (x = 1 OR y = 2) RETURNING MODIFIED NEW *",
        {"NS": ["1"]},
    )
    request = result.request
    assert result.action == "UpdateItem"
    assert request["Key"] == {"pk": {"S": "p"}, "sk": {"S": "s"}}
    assert request["ReturnValues"] == result.returning == "UPDATED_NEW"
    assert request["UpdateExpression"] == (
        "SET #0 = #0 - :0, #1 = list_append(#1, :1) REMOVE #3.#4[0] ADD #2 :2 DELETE #5 :3"
    )
    assert spelled(request, "ConditionExpression") == "attribute_exists(pk) AND (x = 1 OR y = 2)"


# Why: recorded from AWS: the same update with its clauses in another order.
def test_from_first_is_an_update() -> None:
    plain = compiled("UPDATE hash SET c = 2 REMOVE a WHERE pk = 'x' AND d = 1 RETURNING ALL NEW *")
    assert compiled("from hash where pk = 'x' and d = 1 set c = 2 remove a returning all new *") == plain


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        (
            "SET a = 'a' + 1",
            "Incorrect operand type for operator or function; operator or function: +, operand type: S",
        ),
        (
            "SET a = n - null",
            "Incorrect operand type for operator or function; operator or function: -, operand type: NULL",
        ),
        (
            "SET a = set_add(b, <<1>>)",
            "The first argument to SET_ADD must equal the assignment value at 1:21:7",
        ),
        ("SET a = set_add(a, 'x')", "The second argument to SET_ADD must be a value with type SET at 1:29:1"),
        (
            'SET "a" = set_delete("a", [\'x\'])',
            "The second argument to SET_DELETE must be a value with type SET at 1:34:3",
        ),
    ],
)
# Why: recorded from AWS, with AWS's places.
def test_wrong_values_of_set_are_refused(statement: str, expected: str) -> None:
    assert message(f"UPDATE hash {statement} WHERE pk = 'x'") == expected


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE pair SET a = 1 WHERE pk = 'a'",
        "UPDATE pair SET a = 1 WHERE pk IN ['a'] AND sk = '1'",
        "UPDATE pair SET a = 1 WHERE pk = 'a' AND sk = '1' OR x = 1",
        "UPDATE pair SET a = 1",
        "FROM pair SET a = 1",
        "FROM pair REMOVE a",
        "DELETE FROM pair WHERE pk = 'a' AND sk > '1'",
        "DELETE FROM pair WHERE x = 1",
        "DELETE FROM pair",
    ],
)
# Why: a write is of one item, by its whole primary key.
def test_a_write_must_name_the_whole_key(statement: str) -> None:
    assert message(statement) == "Where clause does not contain a mandatory equality on all key attributes"


# Why: recorded from AWS; the same value twice is no conflict.
def test_a_write_with_two_values_for_one_key_is_refused() -> None:
    assert message("DELETE FROM pair WHERE pk = 'a' AND sk = '1' AND pk = 'b'") == (
        "Multiple conditions on same key pk. Only single item Update/Insert/Delete are supported"
    )
    assert compiled("DELETE FROM pair WHERE pk = 'a' AND sk = '1' AND pk = 'a'").request == {
        "TableName": "pair",
        "Key": {"pk": {"S": "a"}, "sk": {"S": "1"}},
    }


# DELETE


# Why: recorded from AWS: a condition is asked of an item only; where there is none, deleting nothing succeeds.
def test_delete_passes_where_there_is_no_item() -> None:
    result = compiled("DELETE FROM hash WHERE pk = 'a' AND n = 1 AND m = 2 RETURNING ALL OLD *")
    assert result.action == "DeleteItem"
    assert spelled(result.request, "ConditionExpression") == "attribute_not_exists(pk) OR n = 1 AND m = 2"
    assert result.request["ReturnValues"] == "ALL_OLD"


@pytest.mark.parametrize("clause", ["MODIFIED OLD", "MODIFIED NEW", "ALL NEW"])
# Why: recorded from AWS.
def test_delete_returns_all_old_only(clause: str) -> None:
    assert message(f"DELETE FROM hash WHERE pk = 'x' RETURNING {clause} *") == (
        f"Invalid returning clause: RETURNING {clause} *. Only RETURNING ALL OLD * is allowed in DELETE statements."
    )


# Sources


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        (
            'SELECT * FROM "pair"."gsi-all"."x" WHERE pk = \'p\'',
            "A path may contain at most 2 components in the FROM clause",
        ),
        ('SELECT * FROM "pair"."" WHERE pk = \'p\'', "Path component cannot be an empty string"),
        ("SELECT * FROM \"\" WHERE pk = 'p'", "Path component cannot be an empty string"),
        (
            "INSERT INTO \"pair\".\"gsi-all\" VALUE {'pk': 'a'}",
            "FROM clause may only contain a single table name",
        ),
        ('UPDATE "pair"."gsi-all" SET a = 1 WHERE pk = \'p\'', "This operation is not supported on an index"),
        ('DELETE FROM "pair"."gsi-all" WHERE pk = \'p\'', "This operation is not supported on an index"),
        ("SELECT * FROM hash t WHERE pk = 'x'", "Aliasing is not supported"),
        ("SELECT * FROM hash AS t WHERE pk = 'x'", "Aliasing is not supported"),
        ("UPDATE hash t SET a = 3 WHERE pk = 'x'", "Aliasing is not supported"),
        ("DELETE FROM hash t WHERE pk = 'x'", "Aliasing is not supported"),
    ],
)
# Why: recorded from AWS.
def test_sources_that_are_none_are_refused(statement: str, expected: str) -> None:
    assert message(statement) == expected


# Why: the name is left out, as for every action on items.
def test_a_missing_table_is_not_found() -> None:
    for statement in ("SELECT * FROM gone WHERE pk = 'x'", "FROM gone WHERE pk = 'x' SET c = 1"):
        assert refusal(statement) == "ResourceNotFoundException: Requested resource not found"


# Transactions and batches


# Why: recorded from AWS: a batch reads single items, by nothing but the key; an IN of one value is one.
def test_a_select_in_a_batch_names_one_item() -> None:
    refused = (
        "Select statements within BatchExecuteStatement must specify the primary key in the where clause."
    )
    for statement in (
        "SELECT * FROM hash WHERE val = 'a'",
        "SELECT * FROM pair WHERE pk = 'r' AND sk = '1' AND flag = 'one'",
        "SELECT * FROM pair WHERE pk = 'r' AND sk = '1' AND pk = 'other'",
        "SELECT * FROM \"pair\".\"gsi-all\" WHERE pk = 'p' AND sk = 's1' AND gsiPk = 'x'",
    ):
        assert message(statement, surface=Surface.BATCH) == refused
    result = compiled("SELECT sk FROM pair WHERE pk IN ['r'] AND sk = '1'", surface=Surface.BATCH)
    assert (result.action, result.request["Key"]) == ("GetItem", {"pk": {"S": "r"}, "sk": {"S": "1"}})


# Why: recorded from AWS.
def test_a_select_in_a_transaction_names_one_item_of_a_table() -> None:
    in_transaction = {"surface": Surface.TRANSACTION}
    assert message("SELECT * FROM pair WHERE pk = 'k'", **in_transaction) == (
        "Select statements within ExecuteTransaction must specify the primary key in the where clause."
    )
    assert message("SELECT * FROM pair.\"idx\" WHERE pk = 'x' AND sk = '1'", **in_transaction) == (
        "Reads on indices are not supported within transactions."
    )
    result = compiled("SELECT * FROM pair WHERE (sk = '1') AND pk = 'k' AND pk = 'k'", **in_transaction)
    assert result.request["Key"] == {"pk": {"S": "k"}, "sk": {"S": "1"}}
    wrong_type = compiled("SELECT * FROM pair WHERE pk = 'k' AND sk = 1", **in_transaction)
    assert wrong_type.request["Key"]["sk"] == {"N": "1"}


# Why: recorded from AWS: such a write is a cancellation reason, which the transaction finds by its key.
def test_a_write_in_a_transaction_goes_on_with_the_key_that_it_names() -> None:
    def key(where: str) -> object:
        return compiled(f"UPDATE pair SET a = 1 WHERE {where}", surface=Surface.TRANSACTION).request["Key"]

    assert key("pk = 'k'") == {"pk": {"S": "k"}}
    assert key("pk IN ['k'] AND sk = '1'") == {"sk": {"S": "1"}}
    assert key("pk = 'k' AND sk = '1' AND pk = 'other'") == {"sk": {"S": "1"}}
    assert message(
        "UPDATE pair SET a = 1 WHERE pk = 'k' RETURNING ALL NEW *", surface=Surface.TRANSACTION
    ) == ("RETURNING clause is not supported in ExecuteTransaction.")


# Why: developerguide/ql-functions.exists: it "returns true or false as ConditionCheck does".
def test_exists_is_a_condition_check() -> None:
    result = compiled(
        "EXISTS(SELECT * FROM pair WHERE pk = 'a' AND sk = '1' AND pk = 'b' AND flag IS MISSING)",
        surface=Surface.TRANSACTION,
    )
    assert result.action == "ConditionCheck"
    assert result.request["Key"] == {"pk": {"S": "a"}, "sk": {"S": "1"}}
    assert spelled(result.request, "ConditionExpression") == "pk = b AND attribute_not_exists(flag)"
    for where in ("pk = 'a' AND sk = '1'", "pk IN ['a'] AND sk = '1' AND flag = 1"):
        assert message(f"EXISTS(SELECT * FROM pair WHERE {where})", surface=Surface.TRANSACTION) == (
            "EXISTS() must contain a single item read with additional condition"
        )
