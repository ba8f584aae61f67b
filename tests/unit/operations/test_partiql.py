"""ExecuteStatement, BatchExecuteStatement and ExecuteTransaction over a database in memory."""

from __future__ import annotations

from typing import Any

import pytest

from penstock.errors import ServiceError
from penstock.testing.databases import MemoryDatabase, memory_database

Row = dict[str, Any]


@pytest.fixture
def database() -> MemoryDatabase:
    made = memory_database()
    made.ask(
        "CreateTable",
        TableName="pair",
        AttributeDefinitions=[
            {"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk", "gsiPk", "lsiSk")
        ],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        LocalSecondaryIndexes=[
            {
                "IndexName": "lsi-keys",
                "KeySchema": [
                    {"AttributeName": "pk", "KeyType": "HASH"},
                    {"AttributeName": "lsiSk", "KeyType": "RANGE"},
                ],
                "Projection": {"ProjectionType": "KEYS_ONLY"},
            }
        ],
        GlobalSecondaryIndexes=[
            {
                "IndexName": "gsi-keys",
                "KeySchema": [{"AttributeName": "gsiPk", "KeyType": "HASH"}],
                "Projection": {"ProjectionType": "KEYS_ONLY"},
            }
        ],
        BillingMode="PAY_PER_REQUEST",
    )
    made.tick()
    return made


def fill(database: MemoryDatabase, *keys: str, **attributes: Row) -> None:
    for key in keys:
        pk, _, sk = key.partition("/")
        database.ask("PutItem", TableName="pair", Item={"pk": {"S": pk}, "sk": {"S": sk}, **attributes})


def rows(database: MemoryDatabase, statement: str, *parameters: Row, **options: Any) -> list[Row]:
    if parameters:
        options["Parameters"] = list(parameters)
    items: list[Row] = database.ask("ExecuteStatement", Statement=statement, **options)["Items"]
    return items


def keys(found: list[Row]) -> list[str]:
    return [f"{row['pk']['S']}/{row['sk']['S']}" for row in found]


def refusal(database: MemoryDatabase, action: str, **request: Any) -> ServiceError:
    with pytest.raises(ServiceError) as caught:
        database.ask(action, **request)
    return caught.value


def transaction(database: MemoryDatabase, *statements: str, **options: Any) -> Row:
    return database.ask(
        "ExecuteTransaction", TransactStatements=[{"Statement": one} for one in statements], **options
    )


def batch(database: MemoryDatabase, *statements: str, **options: Any) -> list[Row]:
    requests = [{"Statement": one} for one in statements]
    answers: list[Row] = database.ask("BatchExecuteStatement", Statements=requests, **options)["Responses"]
    return answers


# Why: the four statements on one item, end to end.
def test_an_item_is_inserted_read_updated_and_deleted(database: MemoryDatabase) -> None:
    key = "pk = 'a' AND sk = '1'"
    assert rows(database, "INSERT INTO pair VALUE {'pk': ?, 'sk': '1', 'n': 1}", {"S": "a"}) == []
    assert rows(database, f"SELECT * FROM pair WHERE {key}") == [
        {"pk": {"S": "a"}, "sk": {"S": "1"}, "n": {"N": "1"}}
    ]
    assert rows(database, f"UPDATE pair SET n = n + 1 WHERE {key} RETURNING MODIFIED NEW *") == [
        {"n": {"N": "2"}}
    ]
    assert rows(database, f"DELETE FROM pair WHERE {key} RETURNING ALL OLD *")[0]["n"] == {"N": "2"}
    assert rows(database, f"SELECT * FROM pair WHERE {key}") == []


# Why: INSERT is not an upsert, and UPDATE is none either.
def test_insert_finds_nothing_and_update_finds_something(database: MemoryDatabase) -> None:
    fill(database, "a/1")
    found = refusal(database, "ExecuteStatement", Statement="INSERT INTO pair VALUE {'pk': 'a', 'sk': '1'}")
    assert (found.code, found.message) == ("DuplicateItemException", "Duplicate primary key exists in table")
    found = refusal(
        database, "ExecuteStatement", Statement="UPDATE pair SET n = 1 WHERE pk = 'b' AND sk = '1'"
    )
    assert (found.code, found.message) == (
        "ConditionalCheckFailedException",
        "The conditional request failed",
    )


# Why: recorded from AWS: a false condition fails where there is an item, and is not asked where there is none.
def test_a_conditional_delete_of_nothing_succeeds(database: MemoryDatabase) -> None:
    fill(database, "a/1", n={"N": "1"})
    statement = "DELETE FROM pair WHERE pk = 'a' AND sk = '1' AND n = 2"
    assert (
        refusal(database, "ExecuteStatement", Statement=statement).code == "ConditionalCheckFailedException"
    )
    assert rows(database, "DELETE FROM pair WHERE pk = 'b' AND sk = '1' AND n = 2 RETURNING ALL OLD *") == []


# Why: recorded from AWS: MODIFIED with nothing to show is no row, and not an empty one.
def test_an_empty_returning_is_no_row(database: MemoryDatabase) -> None:
    fill(database, "a/1", n={"N": "1"})
    assert rows(database, "UPDATE pair REMOVE n WHERE pk = 'a' AND sk = '1' RETURNING MODIFIED NEW *") == []
    assert rows(database, "UPDATE pair SET m = 1 WHERE pk = 'a' AND sk = '1' RETURNING MODIFIED OLD *") == []


# Why: recorded from AWS: one condition after another on the keys, each with what it selects.
@pytest.mark.parametrize(
    ("where", "found"),
    [
        ("pk = 'a'", ["a/1", "a/2", "a/3"]),
        ("pk = 'a' AND (sk = '1' OR sk = '3')", ["a/1", "a/3"]),
        ("pk IN ['b', 'a'] AND sk IN ['1', '2']", ["a/1", "a/2", "b/1"]),
        ("pk = 'a' AND sk <> '1'", ["a/2", "a/3"]),
        ("pk = 'a' AND NOT sk = '1' OR pk = 'a' AND sk = '2'", ["a/2", "a/3"]),
        ("pk = 'a' OR pk = 'a' AND NOT sk = '1'", ["a/1", "a/2", "a/3"]),
        ("pk = 'a' AND sk > '1' AND sk < '3'", ["a/2"]),
        ("pk = 'a' AND sk > '3' AND sk < '1'", []),
        ("pk = 'a' AND (sk < '2' OR sk > '2' OR sk = '2')", ["a/1", "a/2", "a/3"]),
        ("pk = 'a' ORDER BY sk DESC", ["a/3", "a/2", "a/1"]),
        ("pk IN ['a', 'b'] ORDER BY pk DESC, sk ASC", ["b/1", "a/1", "a/2", "a/3"]),
        ("pk = 'a' AND attribute_exists(pk) AND nope IS MISSING AND contains(sk, '2')", ["a/2"]),
    ],
)
def test_selects_by_keys(database: MemoryDatabase, where: str, found: list[str]) -> None:
    fill(database, "a/1", "a/2", "a/3", "b/1", "c/1")
    assert keys(rows(database, f"SELECT sk, pk FROM pair WHERE {where}")) == found


# Why: a page may end inside a query or between two, and no row may be lost or come twice.
@pytest.mark.parametrize("limit", [1, 2, 3, 4, 10])
def test_pages_over_several_queries_hold_every_row_once(database: MemoryDatabase, limit: int) -> None:
    fill(database, "a/1", "a/2", "a/3", "b/1", "b/2", "d/1")
    request: Row = {
        "Statement": "SELECT * FROM pair WHERE pk IN ['a', 'b', 'c', 'd'] AND sk <> '2'",
        "Limit": limit,
    }
    seen: list[str] = []
    while True:
        reply = database.ask("ExecuteStatement", **request)
        seen += keys(reply["Items"])
        assert ("LastEvaluatedKey" in reply) <= ("NextToken" in reply)
        if "NextToken" not in reply:
            break
        request["NextToken"] = reply["NextToken"]
    assert seen == ["a/1", "a/3", "b/1", "d/1"]


# Why: a token continues what it came from and nothing else.
def test_a_token_belongs_to_its_statement(database: MemoryDatabase) -> None:
    fill(database, "a/1", "a/2")
    statement = "SELECT * FROM pair WHERE pk = ?"
    request: Row = {"Statement": statement, "Parameters": [{"S": "a"}], "Limit": 1}
    token = database.ask("ExecuteStatement", **request)["NextToken"]
    for changed in ({"Parameters": [{"S": "b"}]}, {"Statement": statement + " ", "Parameters": [{"S": "a"}]}):
        found = refusal(database, "ExecuteStatement", **{**request, **changed, "NextToken": token})
        assert found.message == "NextToken does not match request"
    assert (
        refusal(database, "ExecuteStatement", **request | {"NextToken": "?"}).message == "Invalid NextToken"
    )


# Why: recorded from AWS: an index answers with what it holds; a local one fetches the rest from the table.
def test_selects_from_indexes(database: MemoryDatabase) -> None:
    fill(database, "a/1", gsiPk={"S": "g"}, lsiSk={"S": "l"}, other={"S": "x"})
    fill(database, "a/2")
    (row,) = rows(database, 'SELECT * FROM "pair"."gsi-keys" WHERE gsiPk = \'g\'')
    assert sorted(row) == ["gsiPk", "pk", "sk"]
    assert rows(database, 'SELECT other FROM "pair"."lsi-keys" WHERE pk = \'a\'') == [{"other": {"S": "x"}}]
    assert rows(database, 'SELECT pk FROM "pair"."lsi-keys" WHERE other = \'x\'') == []
    assert len(rows(database, 'SELECT pk FROM "pair"."gsi-keys" WHERE NOT other = \'x\'')) == 1


# Why: several queries are one request: their units are added up.
def test_capacity_is_the_sum_of_the_queries(database: MemoryDatabase) -> None:
    fill(database, "a/1", "b/1")
    statement = "SELECT * FROM pair WHERE pk IN ['a', 'b']"
    reply = database.ask("ExecuteStatement", Statement=statement, ReturnConsumedCapacity="TOTAL")
    assert reply["ConsumedCapacity"] == {"TableName": "pair", "CapacityUnits": 1.0}


# Why: AWS writes no "Invalid UpdateExpression: " in front of what a statement did wrong.
def test_findings_about_expressions_have_no_prefix(database: MemoryDatabase) -> None:
    statement = "UPDATE pair SET a = 1, a.b = 2 WHERE pk = 'a' AND sk = '1'"
    found = refusal(database, "ExecuteStatement", Statement=statement)
    assert found.message is not None
    assert found.message.startswith("Two document paths overlap with each other;")


# Why: recorded from AWS: a bad member is its own answer, and names its table only if it ran.
def test_a_batch_answers_each_statement_by_itself(database: MemoryDatabase) -> None:
    fill(database, "a/1", n={"N": "1"})
    answers = batch(
        database,
        "SELECT n FROM pair WHERE pk = 'a' AND sk = '1'",
        "SELECT * FROM nowhere WHERE pk = 'x'",
        "SLECT * FROM pair",
        "SELECT * FROM pair WHERE n = 1",
        "SELECT * FROM pair WHERE pk = 'gone' AND sk = '1'",
    )
    assert answers[0] == {"TableName": "pair", "Item": {"n": {"N": "1"}}}
    assert answers[1] == {"Error": {"Code": "ResourceNotFound", "Message": "Requested resource not found"}}
    assert [answer["Error"]["Code"] for answer in answers[2:4]] == ["ValidationError", "ValidationError"]
    assert "TableName" not in answers[3]
    assert answers[4] == {"TableName": "pair"}


# Why: recorded from AWS: what failed at its item names its table.
def test_a_batch_of_writes_goes_on_past_a_failure(database: MemoryDatabase) -> None:
    fill(database, "a/1")
    answers = batch(
        database,
        "INSERT INTO pair VALUE {'pk': 'a', 'sk': '1'}",
        "UPDATE pair SET n = 1 WHERE pk = 'b' AND sk = '1'",
        "INSERT INTO pair VALUE {'pk': 'c', 'sk': '1'}",
        "UPDATE pair SET n = 1 WHERE pk = 'a' AND sk = '1' RETURNING MODIFIED NEW *",
    )
    assert [answer.get("Error", {}).get("Code") for answer in answers] == [
        "DuplicateItem", "ConditionalCheckFailed", None, None
    ]  # fmt: skip
    assert all(answer["TableName"] == "pair" for answer in answers)
    assert answers[3]["Item"] == {"n": {"N": "1"}}
    assert len(rows(database, "SELECT * FROM pair")) == 2


# Why: all statements of a batch are written at once, and still each must see those before it.
def test_statements_of_a_batch_on_one_item_see_each_other(database: MemoryDatabase) -> None:
    add = "UPDATE pair SET n = n + 1 WHERE pk = 'a' AND sk = '1'"
    batch(database, "INSERT INTO pair VALUE {'pk': 'a', 'sk': '1', 'n': 0, 'gsiPk': 'g'}", add, add)
    assert rows(database, "SELECT n FROM pair WHERE pk = 'a' AND sk = '1'") == [{"n": {"N": "2"}}]
    delete = "DELETE FROM pair WHERE pk = 'a' AND sk = '1'"
    batch(database, delete, "INSERT INTO pair VALUE {'pk': 'a', 'sk': '1', 'gsiPk': 'h'}", delete)
    assert rows(database, "SELECT * FROM pair") == []
    assert rows(database, 'SELECT * FROM "pair"."gsi-keys"') == []


# Why: reads or writes, never both.
def test_reads_and_writes_do_not_mix(database: MemoryDatabase) -> None:
    select = "SELECT * FROM pair WHERE pk = 'a' AND sk = '1'"
    insert = "INSERT INTO pair VALUE {'pk': 'a', 'sk': '1'}"
    statements = [{"Statement": select}, {"Statement": insert}]
    assert refusal(database, "BatchExecuteStatement", Statements=statements).code == "ValidationException"
    assert refusal(database, "ExecuteTransaction", TransactStatements=statements).message == (
        "ExecuteTransaction API does not support both read and write operations in the same request."
    )


# Why: all of the statements or none, and the reason of each in its place.
def test_a_transaction_writes_all_or_nothing(database: MemoryDatabase) -> None:
    fill(database, "a/1")
    insert = "INSERT INTO pair VALUE {{'pk': '{}', 'sk': '1'}}"
    found = refusal(
        database,
        "ExecuteTransaction",
        TransactStatements=[{"Statement": insert.format("b")}, {"Statement": insert.format("a")}],
    )
    assert found.code == "TransactionCanceledException"
    assert [reason["Code"] for reason in found.extra["CancellationReasons"]] == ["None", "DuplicateItem"]
    assert keys(rows(database, "SELECT * FROM pair")) == ["a/1"]
    update = "UPDATE pair SET n = 1 WHERE pk = 'a' AND sk = '1'"
    assert transaction(database, insert.format("b"), update) == {"Responses": [{}, {}]}
    assert len(rows(database, "SELECT * FROM pair")) == 2


# Why: developerguide/ql-functions.exists.
def test_exists_guards_a_transaction(database: MemoryDatabase) -> None:
    fill(database, "a/1", n={"N": "1"})
    update = "UPDATE pair SET n = 2 WHERE pk = 'a' AND sk = '1'"
    exists = "EXISTS(SELECT * FROM pair WHERE pk = 'b' AND sk = '1' AND {})"
    statements = [{"Statement": exists.format("n = 1")}, {"Statement": update}]
    found = refusal(database, "ExecuteTransaction", TransactStatements=statements)
    assert [reason["Code"] for reason in found.extra["CancellationReasons"]] == [
        "ConditionalCheckFailed",
        "None",
    ]
    transaction(database, exists.format("n IS MISSING"), update)
    assert rows(database, "SELECT n FROM pair WHERE pk = 'a' AND sk = '1'") == [{"n": {"N": "2"}}]


# Why: columns are named as in ExecuteStatement, and an item that is not there is an empty answer.
def test_a_transaction_reads(database: MemoryDatabase) -> None:
    fill(database, "a/1", m={"M": {"k": {"N": "1"}}})
    reply = transaction(
        database,
        "SELECT m.k FROM pair WHERE pk = 'a' AND sk = '1'",
        "SELECT * FROM pair WHERE pk = 'b' AND sk = '1'",
    )
    assert reply == {"Responses": [{"Item": {"k": {"N": "1"}}}, {}]}


# Why: recorded from AWS: what is wrong with a statement comes before a missing table, whatever their order.
def test_a_transaction_refuses_before_it_cancels(database: MemoryDatabase) -> None:
    missing = {"Statement": "UPDATE nowhere SET a = 1 WHERE pk = 'x'"}
    returning = {"Statement": "UPDATE pair SET a = 1 WHERE pk = 'a' AND sk = '1' RETURNING ALL NEW *"}
    assert refusal(database, "ExecuteTransaction", TransactStatements=[missing, returning]).message == (
        "Validation failed in TransactStatements[1]: RETURNING clause is not supported in ExecuteTransaction."
    )
    found = refusal(database, "ExecuteTransaction", TransactStatements=[missing])
    assert found.extra["CancellationReasons"] == [
        {"Code": "ResourceNotFound", "Message": "Requested resource not found"}
    ]


# Why: recorded from AWS.
def test_a_transaction_cancels_writes_that_name_no_item(database: MemoryDatabase) -> None:
    update = "UPDATE pair SET a = 1 WHERE "
    wheres = [
        "pk = 'k'",
        "pk IN ['k'] AND sk = '1'",
        "pk = 'k' AND sk = '1' AND pk = 'o'",
        "pk = 'k' AND sk = 1",
    ]
    statements = [{"Statement": update + where} for where in wheres]
    found = refusal(database, "ExecuteTransaction", TransactStatements=statements)
    for reason in found.extra["CancellationReasons"]:
        assert reason["Code"] == "ValidationError"
        assert reason["Message"] == "The provided key element does not match the schema"


# Why: a retry with the same token answers as before and adds nothing.
def test_a_transaction_with_a_token_is_done_once(database: MemoryDatabase) -> None:
    fill(database, "a/1", n={"N": "0"})
    for _ in range(2):
        transaction(database, "UPDATE pair SET n = n + 1 WHERE pk = 'a' AND sk = '1'", ClientRequestToken="t")
    assert rows(database, "SELECT n FROM pair WHERE pk = 'a' AND sk = '1'") == [{"n": {"N": "1"}}]
