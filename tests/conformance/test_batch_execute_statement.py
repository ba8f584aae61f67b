"""BatchExecuteStatement over the wire."""

from __future__ import annotations

from typing import Any

from tests.conformance.answers import n, refused, s
from tests.conformance.conftest import NewTable


# Why: [A] each statement has its own answer or error, in order; the others go through.
def test_each_statement_has_its_own_answer(db: Any, new_table: NewTable) -> None:
    table = new_table()
    db.put_item(TableName=table, Item={"pk": s("a"), "x": n(1)})
    answer = db.batch_execute_statement(
        Statements=[
            {"Statement": f"INSERT INTO \"{table}\" VALUE {{'pk': 'b'}}"},
            {"Statement": f"INSERT INTO \"{table}\" VALUE {{'pk': 'a'}}"},
            {"Statement": f'UPDATE "{table}" SET x = ? WHERE pk = ?', "Parameters": [n(2), s("a")]},
        ]
    )
    first, second, third = answer["Responses"]
    assert "Error" not in first
    assert second["Error"]["Code"] == "DuplicateItem"
    assert "Error" not in third
    items = {item["pk"]["S"]: item for item in db.scan(TableName=table, ConsistentRead=True)["Items"]}
    assert items == {"a": {"pk": s("a"), "x": n(2)}, "b": {"pk": s("b")}}


# Why: [A] reads: one item each, by its whole key.
def test_reads_give_one_item_each(db: Any, new_table: NewTable) -> None:
    table = new_table()
    db.put_item(TableName=table, Item={"pk": s("a"), "x": n(1)})
    select = f'SELECT * FROM "{table}" WHERE pk = ?'
    answer = db.batch_execute_statement(
        Statements=[{"Statement": select, "Parameters": [s(name)]} for name in ("a", "none")]
    )
    assert answer["Responses"][0]["Item"] == {"pk": s("a"), "x": n(1)}
    assert "Item" not in answer["Responses"][1]


# Why: [A] 25 statements at most; "the entire batch must consist of either read statements or write statements".
def test_what_a_batch_may_not_be(db: Any, new_table: NewTable) -> None:
    table = new_table()
    read = {"Statement": f"SELECT * FROM \"{table}\" WHERE pk = 'a'"}
    write = {"Statement": f"INSERT INTO \"{table}\" VALUE {{'pk': 'a'}}"}
    for statements in ([], [read] * 26, [read, write]):
        with refused("ValidationException"):
            db.batch_execute_statement(Statements=statements)
