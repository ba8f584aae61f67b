"""UpdateTimeToLive over the wire."""

from __future__ import annotations

import time
from typing import Any

import pytest
from tests.conformance.answers import n, refused, s
from tests.conformance.conftest import NewTable


def specification(enabled: bool, attribute: str = "expires") -> dict[str, Any]:
    return {"Enabled": enabled, "AttributeName": attribute}


# Why: [A] the answer repeats the specification; the same again, or disabling what is disabled, is refused.
def test_time_to_live_is_enabled_once(db: Any, new_table: NewTable) -> None:
    name = new_table()
    answer = db.update_time_to_live(TableName=name, TimeToLiveSpecification=specification(True))
    assert answer["TimeToLiveSpecification"] == specification(True)
    with refused("ValidationException", "TimeToLive is already enabled"):
        db.update_time_to_live(TableName=name, TimeToLiveSpecification=specification(True))
    other = new_table()
    with refused("ValidationException", "TimeToLive is already disabled"):
        db.update_time_to_live(TableName=other, TimeToLiveSpecification=specification(False))


# Why: developerguide/TTL: expired items go, as REMOVE records of the service; those without a number stay.
def test_expired_items_go_as_deletions_by_the_service(
    db: Any, streams: Any, new_table: NewTable, is_penstock: bool
) -> None:
    if not is_penstock:
        pytest.skip("AWS deletes within days")
    name = new_table(StreamSpecification={"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"})
    past = int(time.time()) - 60
    db.put_item(TableName=name, Item={"pk": s("old"), "expires": n(past)})
    for key, value in (("text", s(str(past))), ("later", n(past + 9999)), ("ancient", n(1))):
        db.put_item(TableName=name, Item={"pk": s(key), "expires": value})
    db.put_item(TableName=name, Item={"pk": s("none")})
    db.update_time_to_live(TableName=name, TimeToLiveSpecification=specification(True))
    deadline = time.monotonic() + 30
    while db.scan(TableName=name, Select="COUNT")["Count"] > 4 and time.monotonic() < deadline:
        pass
    left = {item["pk"]["S"] for item in db.scan(TableName=name)["Items"]}
    assert left == {"text", "later", "ancient", "none"}
    arn = db.describe_table(TableName=name)["Table"]["LatestStreamArn"]
    [shard] = streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]
    at = streams.get_shard_iterator(StreamArn=arn, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON")
    removed = streams.get_records(ShardIterator=at["ShardIterator"])["Records"][-1]
    assert (removed["eventName"], removed["dynamodb"]["Keys"]) == ("REMOVE", {"pk": s("old")})
    assert removed["userIdentity"] == {"PrincipalId": "dynamodb.amazonaws.com", "Type": "Service"}


# Why: [A] the table must be there.
def test_a_table_that_is_not_there_is_told(db: Any) -> None:
    with refused("ResourceNotFoundException"):
        db.update_time_to_live(TableName="not-there", TimeToLiveSpecification=specification(True))
