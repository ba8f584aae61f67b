"""`client.explain` and `client.checkpoint`: Penstock's own actions through the client, and where there are none."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.tables import table_request

from penstock.connect.urls import connect
from penstock.errors import ServiceError, UsageError


# Why: the same in process as over HTTP; bytes are taken as they are for any other call.
def test_a_write_is_explained_and_not_carried_out(tmp_path: Path) -> None:
    with connect(f"file:{tmp_path}") as client:
        client.create_table(**table_request("things"))
        item = {"pk": {"S": "a"}, "data": {"B": b"\x00" * 3000}}
        told = client.explain("PutItem", {"TableName": "things", "Item": item}, per_second=2)
        assert (told["WriteUnits"], told["RecordsWritten"], told["PerSecond"]) == (3.0, 1, 2.0)
        assert client.scan(TableName="things")["Count"] == 0
        with pytest.raises(ServiceError, match="Action is one of"):
            client.explain("DropTable", {})


# Why: a checkpoint is a directory that opens as any other, with what was written until then.
def test_a_checkpoint_is_a_data_directory_of_its_own(tmp_path: Path) -> None:
    with connect(f"file:{tmp_path / 'data'}") as client:
        client.create_table(**table_request("things"))
        client.put_item(TableName="things", Item={"pk": {"S": "a"}})
        place = client.checkpoint()
        client.put_item(TableName="things", Item={"pk": {"S": "b"}})
        with connect(f"file:{place}") as copy:
            assert copy.scan(TableName="things")["Items"] == [{"pk": {"S": "a"}}]


# Why: AWS decides without telling what it read; a wrong answer would be worse than none.
def test_aws_is_not_asked_to_explain() -> None:
    client = connect("aws:us-east-1", access_key="x", secret_key="x")
    with client, pytest.raises(UsageError, match="not known to AWS"):
        client.explain("Scan", {"TableName": "things"})
