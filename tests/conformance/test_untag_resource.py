"""UntagResource over the wire."""

from __future__ import annotations

from typing import Any

from tests.conformance.answers import refused
from tests.conformance.conftest import NewTable


# Why: [A] tags go by their keys; one that is not there is no error.
def test_tags_go_by_their_keys(db: Any, new_table: NewTable) -> None:
    name = new_table(Tags=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}])
    arn = db.describe_table(TableName=name)["Table"]["TableArn"]
    db.untag_resource(ResourceArn=arn, TagKeys=["a", "never"])
    assert db.list_tags_of_resource(ResourceArn=arn)["Tags"] == [{"Key": "b", "Value": "2"}]
    with refused("ResourceNotFoundException"):
        db.untag_resource(ResourceArn=arn + "-not-there", TagKeys=["a"])
