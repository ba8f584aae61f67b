"""ListTagsOfResource over the wire."""

from __future__ import annotations

from typing import Any

from tests.conformance.answers import refused
from tests.conformance.conftest import NewTable


# Why: [A] all tags of a table, over the pages that NextToken joins.
def test_all_tags_are_listed(db: Any, new_table: NewTable) -> None:
    tags = [{"Key": f"key-{number:02d}", "Value": str(number)} for number in range(25)]
    name = new_table(Tags=tags)
    arn = db.describe_table(TableName=name)["Table"]["TableArn"]
    found: list[dict[str, str]] = []
    more: dict[str, str] = {}
    while True:
        page = db.list_tags_of_resource(ResourceArn=arn, **more)
        found += page["Tags"]
        if "NextToken" not in page:
            break
        more = {"NextToken": page["NextToken"]}
    assert sorted(found, key=lambda tag: tag["Key"]) == tags


# Why: what is not there is not told from what is not ours.
def test_the_tags_of_a_table_that_is_not_there_are_refused(db: Any, new_table: NewTable) -> None:
    arn = db.describe_table(TableName=new_table())["Table"]["TableArn"]
    with refused("AccessDeniedException"):
        db.list_tags_of_resource(ResourceArn=arn + "-not-there")
