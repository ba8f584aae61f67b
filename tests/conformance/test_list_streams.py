"""ListStreams over the wire."""

from __future__ import annotations

from typing import Any

from tests.conformance.answers import refused
from tests.conformance.conftest import NewTable
from tests.conformance.following import table_with_stream


# Why: [A] the streams of a table, or of all, in pages.
def test_streams_are_listed_by_table_and_in_pages(db: Any, streams: Any, new_table: NewTable) -> None:
    made = [table_with_stream(db, new_table) for _ in range(3)]
    for name, arn in made:
        [found] = streams.list_streams(TableName=name)["Streams"]
        assert (found["StreamArn"], found["TableName"]) == (arn, name)
        assert arn.endswith("/stream/" + found["StreamLabel"])
    arns: list[str] = []
    more: dict[str, str] = {}
    while True:
        page = streams.list_streams(Limit=2, **more)
        assert len(page["Streams"]) <= 2
        arns += [stream["StreamArn"] for stream in page["Streams"]]
        if "LastEvaluatedStreamArn" not in page:
            break
        more = {"ExclusiveStartStreamArn": page["LastEvaluatedStreamArn"]}
    assert {arn for _, arn in made} <= set(arns)
    assert len(arns) == len(set(arns))


# Why: a table without a stream has none; [A] Limit from 1 to 100.
def test_no_streams_and_a_limit_out_of_range(streams: Any, new_table: NewTable) -> None:
    assert streams.list_streams(TableName=new_table())["Streams"] == []
    with refused("ValidationException"):
        streams.list_streams(Limit=0)
