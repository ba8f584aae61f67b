"""ExecuteTransaction over the wire."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from tests.conformance.answers import n, refused, s
from tests.conformance.conftest import NewTable


def statement(text: str, *parameters: Any) -> dict[str, Any]:
    return {"Statement": text, **({"Parameters": list(parameters)} if parameters else {})}


def content(db: Any, table: str) -> dict[str, Any]:
    return {item["pk"]["S"]: item.get("x") for item in db.scan(TableName=table, ConsistentRead=True)["Items"]}


# Why: [A] all or none; EXISTS is a condition.
def test_statements_go_through_together_or_not_at_all(db: Any, new_table: NewTable) -> None:
    table = new_table()
    db.put_item(TableName=table, Item={"pk": s("a"), "x": n(1)})
    insert = statement(f"INSERT INTO \"{table}\" VALUE {{'pk': 'b', 'x': 1}}")
    update = statement(f'UPDATE "{table}" SET x = x + 1 WHERE pk = ?', s("a"))
    db.execute_transaction(TransactStatements=[insert, update])
    assert content(db, table) == {"a": n(2), "b": n(1)}
    with refused("TransactionCanceledException") as answer:
        db.execute_transaction(TransactStatements=[update, insert])
    assert [reason["Code"] for reason in answer["CancellationReasons"]] == ["None", "DuplicateItem"]
    assert content(db, table) == {"a": n(2), "b": n(1)}
    exists = statement(f"EXISTS(SELECT * FROM \"{table}\" WHERE pk = 'b' AND x = 9)")
    with refused("TransactionCanceledException") as answer:
        db.execute_transaction(TransactStatements=[update, exists])
    assert [reason["Code"] for reason in answer["CancellationReasons"]] == ["None", "ConditionalCheckFailed"]


# Why: [A] reads are answered in order.
def test_reads_are_answered_in_order(db: Any, new_table: NewTable) -> None:
    table = new_table()
    db.put_item(TableName=table, Item={"pk": s("a")})
    select = f'SELECT * FROM "{table}" WHERE pk = ?'
    answer = db.execute_transaction(
        TransactStatements=[statement(select, s("none")), statement(select, s("a"))]
    )
    assert answer["Responses"] == [{}, {"Item": {"pk": s("a")}}]


# Why: [A] ClientRequestToken, as of TransactWriteItems.
def test_a_token_makes_a_retry_harmless(db: Any, new_table: NewTable) -> None:
    table, token = new_table(), str(uuid4())
    db.put_item(TableName=table, Item={"pk": s("a"), "x": n(1)})
    update = [statement(f"UPDATE \"{table}\" SET x = x + 1 WHERE pk = 'a'")]
    for _ in range(2):
        db.execute_transaction(TransactStatements=update, ClientRequestToken=token)
    assert content(db, table) == {"a": n(2)}


# Why: [A] "must consist of either read statements or write statements"; 1 to 100.
def test_what_a_transaction_may_not_be(db: Any, new_table: NewTable) -> None:
    table = new_table()
    read = statement(f"SELECT * FROM \"{table}\" WHERE pk = 'a'")
    write = statement(f"INSERT INTO \"{table}\" VALUE {{'pk': 'a'}}")
    for statements in ([], [read] * 101, [read, write]):
        with refused("ValidationException"):
            db.execute_transaction(TransactStatements=statements)
