"""ExecuteStatement over the wire."""

from __future__ import annotations

from typing import Any

import pytest
from tests.conformance.answers import n, refused, s, values_of
from tests.conformance.conftest import NewTable
from tests.tables import definitions, index


@pytest.fixture
def table(db: Any, new_table: NewTable) -> str:
    name = new_table(
        "pk sk",
        AttributeDefinitions=definitions(pk="S", sk="N", team="S"),
        GlobalSecondaryIndexes=[index("by_team", "team", "sk")],
    )
    for number in range(5):
        item = {"pk": s("a"), "sk": n(number), "x": {"M": {"y": {"L": [n(number)]}}}}
        if number % 2:
            item["team"] = s("red")
        db.put_item(TableName=name, Item=item)
    return name


def run(db: Any, statement: str, *parameters: Any, **more: Any) -> list[dict[str, Any]]:
    if parameters:
        more["Parameters"] = list(parameters)
    items: list[dict[str, Any]] = db.execute_statement(Statement=statement, **more)["Items"]
    return items


# Why: developerguide/ql-reference.select: one item, a partition, a range, an index, a path.
@pytest.mark.parametrize(
    ("where", "parameters", "expected"),
    [
        ("pk = 'a' AND sk = 3", [], ["3"]),
        ("pk = ? AND sk = ?", [s("a"), n(2)], ["2"]),
        ("pk = 'a' AND sk > 2", [], ["3", "4"]),
        ("pk = 'a' AND sk BETWEEN 1 AND 3 AND team = 'red'", [], ["1", "3"]),
        ("pk = 'a' AND sk IN [1, 4, 9]", [], ["1", "4"]),
        ("pk = 'a' AND x.y[0] = 2", [], ["2"]),
        ("pk = 'a' AND attribute_type(team, 'S')", [], ["1", "3"]),
        ("pk = 'a' AND team IS NOT MISSING", [], ["1", "3"]),
        ("pk = 'b'", [], []),
    ],
)
def test_a_select_of_a_partition(
    db: Any, table: str, where: str, parameters: list[Any], expected: list[str]
) -> None:
    found = run(db, f'SELECT * FROM "{table}" WHERE {where}', *parameters)
    assert sorted(values_of(found, "sk")) == expected


# Why: the same page: an index, an order, named attributes.
def test_a_select_of_an_index_in_an_order(db: Any, table: str) -> None:
    found = run(db, f'SELECT sk FROM "{table}"."by_team" WHERE team = \'red\' ORDER BY sk DESC')
    assert found == [{"sk": n(3)}, {"sk": n(1)}]


# Why: [A] Limit and NextToken: pages join to the whole.
def test_pages_join_by_their_token(db: Any, table: str) -> None:
    found: list[str] = []
    more: dict[str, str] = {}
    while True:
        page = db.execute_statement(Statement=f"SELECT * FROM \"{table}\" WHERE pk = 'a'", Limit=2, **more)
        found += values_of(page["Items"], "sk")
        if "NextToken" not in page:
            break
        more = {"NextToken": page["NextToken"]}
    assert found == ["0", "1", "2", "3", "4"]


# Why: developerguide/ql-reference.insert, .update and .delete, with what they return.
def test_an_item_is_inserted_updated_and_deleted(db: Any, table: str) -> None:
    assert run(db, f"INSERT INTO \"{table}\" VALUE {{'pk': 'b', 'sk': 1, 'tags': <<'x', 'y'>>}}") == []
    with refused("DuplicateItemException", "Duplicate primary key exists in table"):
        run(db, f"INSERT INTO \"{table}\" VALUE {{'pk': ?, 'sk': ?}}", s("b"), n(1))
    changed = run(
        db, f"UPDATE \"{table}\" SET z = ? SET w = 1 WHERE pk = 'b' AND sk = 1 RETURNING ALL NEW *", n(5)
    )
    assert {**changed[0], "tags": None} == {"pk": s("b"), "sk": n(1), "z": n(5), "w": n(1), "tags": None}
    run(db, f"UPDATE \"{table}\" REMOVE w WHERE pk = 'b' AND sk = 1")
    deleted = run(db, f"DELETE FROM \"{table}\" WHERE pk = 'b' AND sk = 1 RETURNING ALL OLD *")
    assert "w" not in deleted[0]
    assert run(db, f"SELECT * FROM \"{table}\" WHERE pk = 'b'") == []


# Why: an update of what is not there is a condition that fails.
def test_an_update_of_a_missing_item_fails(db: Any, table: str) -> None:
    with refused("ConditionalCheckFailedException", "The conditional request failed"):
        run(db, f"UPDATE \"{table}\" SET z = 1 WHERE pk = 'none' AND sk = 1")
    with refused("ConditionalCheckFailedException") as answer:
        run(
            db,
            f"UPDATE \"{table}\" SET z = 1 WHERE pk = 'a' AND sk = 1 AND team = 'blue'",
            ReturnValuesOnConditionCheckFailure="ALL_OLD",
        )
    assert answer["Item"]["team"] == s("red")


# Why: what is wrong with a statement is told, and changes nothing.
@pytest.mark.parametrize(
    "statement",
    [
        "",
        "SELEC * FROM music",
        "SELECT * FROM",
        'SELECT * FROM "music" WHERE pk = \'a',
        "UPDATE music SET x = 1",
        "DELETE FROM music WHERE pk = ?",
        "DROP TABLE music",
    ],
)
def test_what_is_no_statement_is_refused(db: Any, statement: str) -> None:
    with refused("ValidationException"):
        run(db, statement)


# Why: a table that is not there.
def test_a_table_that_is_not_there_is_told(db: Any) -> None:
    with refused("ResourceNotFoundException", "Requested resource not found"):
        run(db, "SELECT * FROM \"not-there\" WHERE pk = 'a'")


# Why: [A] ConsumedCapacity of a statement is that of the request that it means.
def test_a_statement_consumes_what_its_request_would(db: Any, table: str) -> None:
    answer = db.execute_statement(
        Statement=f"SELECT * FROM \"{table}\" WHERE pk = 'a'",
        ConsistentRead=True,
        ReturnConsumedCapacity="TOTAL",
    )
    assert answer["ConsumedCapacity"] == {"TableName": table, "CapacityUnits": 1.0}
