"""ListStreams: which streams, in pages."""

from __future__ import annotations

import pytest
from tests.reading_streams import make_table

from penstock.errors import ServiceError
from penstock.testing.databases import MemoryDatabase


# Why: API_streams_ListStreams: with a TableName, only the streams of that table; a deleted table's are still there.
def test_streams_are_listed_for_all_tables_or_one_and_outlive_their_table() -> None:
    db = MemoryDatabase()
    things, others = make_table(db, "things"), make_table(db, "others")
    assert [stream["StreamArn"] for stream in db.ask("ListStreams")["Streams"]] == [others, things]
    only = db.ask("ListStreams", TableName="things")["Streams"]
    assert only == [{"StreamArn": things, "TableName": "things", "StreamLabel": things.rpartition("/")[2]}]
    db.ask("DeleteTable", TableName="things")
    assert db.ask("ListStreams", TableName="things")["Streams"] == only
    assert db.ask("ListStreams", TableName="nothing")["Streams"] == []


# Why: LastEvaluatedStreamArn is there exactly when more follows, and carries on where it stopped.
def test_pages_join_to_the_whole_list() -> None:
    db = MemoryDatabase()
    arns = sorted(make_table(db, f"table-{number}") for number in range(5))
    found: list[str] = []
    start: dict[str, str] = {}
    while True:
        page = db.ask("ListStreams", Limit=2, **start)
        found += [stream["StreamArn"] for stream in page["Streams"]]
        if "LastEvaluatedStreamArn" not in page:
            break
        assert page["LastEvaluatedStreamArn"] == page["Streams"][-1]["StreamArn"]
        start = {"ExclusiveStartStreamArn": page["LastEvaluatedStreamArn"]}
    assert found == arns
    assert "LastEvaluatedStreamArn" not in db.ask("ListStreams", Limit=5)


# Why: the shape's bounds are checked before anything is read.
@pytest.mark.parametrize("limit", [0, 101])
def test_a_limit_out_of_bounds_is_refused(limit: int) -> None:
    with pytest.raises(ServiceError, match="at 'limit' failed to satisfy constraint"):
        MemoryDatabase().ask("ListStreams", Limit=limit)
