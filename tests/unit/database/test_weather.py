"""AWS on a bad day, one kind of trouble at a time: what it does, what it never does, and that a seed decides it."""

from __future__ import annotations

from collections import Counter
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from tests.botocore_model import response_faults
from tests.reading_streams import id_of, iterator, make_table, put, read_shard, shards_of, values
from tests.tables import definitions, index, table_request, units

from penstock.database.check import check
from penstock.database.weather import CHANCES, Draws, Weather, with_settings
from penstock.errors import ServiceError, UsageError
from penstock.testing.databases import MemoryDatabase

Request = dict[str, Any]
HOT_KEY_URL = "https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/bp-partition-key-design.html"


def only(*settings: str, seed: int = 1) -> Weather:
    """A day on which nothing goes wrong but what is named."""
    return with_settings(Weather(seed=seed), ["all=0", "ttl_delay_s=0", *settings])


def music(*settings: str, seed: int = 1) -> MemoryDatabase:
    """A table with both kinds of index, made on an ordinary day unless the weather is one of tables."""
    db = MemoryDatabase(weather=only(*settings, seed=seed))
    of_tables = "slow_tables=1" in settings
    request = table_request(
        keys="pk sk",
        AttributeDefinitions=definitions(pk="S", sk="S", g="S", l="S"),
        LocalSecondaryIndexes=[index("by_l", "pk", "l")],
        GlobalSecondaryIndexes=[index("by_g", "g")],
    )
    maker = db if of_tables else MemoryDatabase(db.store, db.clock)
    maker.ask("CreateTable", **request)
    return db if of_tables else MemoryDatabase(db.store, db.clock, only(*settings, seed=seed))


def item(pk: str, value: int, g: str = "g") -> Request:
    texts = {"pk": pk, "sk": "s", "g": g, "l": f"{value:04d}"}
    return {name: {"S": text} for name, text in texts.items()} | {"v": {"N": str(value)}}


def write(db: MemoryDatabase, pk: str, value: int, g: str = "g") -> None:
    db.ask("PutItem", TableName="music", Item=item(pk, value, g))


def key(pk: str) -> Request:
    return {"pk": {"S": pk}, "sk": {"S": "s"}}


def read(db: MemoryDatabase, pk: str, *, consistent: bool = False) -> str:
    reply = db.ask("GetItem", TableName="music", Key=key(pk), ConsistentRead=consistent)
    return str(reply.get("Item", {}).get("v", {}).get("N", ""))


def numbers(reply: Request) -> list[str]:
    return [found["v"]["N"] for found in reply["Items"]]


def query(db: MemoryDatabase, name: str, value: str, index_name: str | None = None, **more: Any) -> Request:
    request = more | ({"IndexName": index_name} if index_name else {})
    return db.ask(
        "Query",
        TableName="music",
        KeyConditionExpression=f"{name} = :v",
        ExpressionAttributeValues={":v": {"S": value}},
        **request,
    )


# Why: what a seed decides must not depend on anything else: not on the process, not on other actions or tables.
def test_draws_follow_from_seed_action_table_and_number_alone() -> None:
    def drawn(seed: int, *of: Any) -> float:
        return Draws(Weather(seed=seed), *of).part("throttling")

    assert (
        drawn(1, "PutItem", "music", 1) == drawn(1, "PutItem", "music", 1) == pytest.approx(0.09755, abs=1e-5)
    )
    others = [drawn(2, "PutItem", "music", 1), drawn(1, "GetItem", "music", 1), drawn(1, "PutItem", "x", 1)]
    assert drawn(1, "PutItem", "music", 1) not in [*others, drawn(1, "PutItem", "music", 2)]


# Why: chances that are off by much would make a bad day either harmless or impossible to get through.
def test_draws_are_spread_as_their_chances_and_bounds_say() -> None:
    weather = Weather(seed=3, throttling=0.1, lag_writes=8)
    draws = [Draws(weather, "PutItem", "music", number) for number in range(4000)]
    assert sum(each.strikes("throttling") for each in draws) == pytest.approx(400, abs=80)
    assert Counter(each.whole("n", 1, 4) for each in draws).keys() == {1, 2, 3, 4}
    ages = Counter(each.age(b"") for each in draws)
    assert ages.keys() == set(range(1, 9))
    assert ages[1] > ages[4] > ages[8]


# Why: a setting that nobody can read about is not there; a default that the page tells wrong is worse.
def test_the_reference_page_lists_every_setting_with_its_default() -> None:
    page = (Path(__file__).parents[3] / "docs" / "reference" / "like-aws.md").read_text()
    for field in fields(Weather):
        assert f"| `{field.name}` | {field.default:g} |" in page


# Why: the settings are typed by hand.
def test_settings_change_one_kind_each_and_all_means_every_chance() -> None:
    changed = with_settings(Weather(seed=4), ["all=0", "stale-reads=0.5", "lag_writes=3"])
    assert (changed.seed, changed.stale_reads, changed.lag_writes) == (4, 0.5, 3)
    assert all(getattr(changed, kind) == 0 for kind in CHANCES - {"stale_reads"})


@pytest.mark.parametrize(
    "setting",
    [
        "rain=1",
        "throttling",
        "throttling=much",
        "throttling=2",
        "throttling=nan",
        "lag_writes=1.5",
        "lag_s=-1",
    ],
)
def test_a_setting_that_makes_no_sense_is_refused_by_name(setting: str) -> None:
    with pytest.raises(UsageError, match=setting):
        with_settings(Weather(), [setting])


# Why: "a read might not reflect the results of a recently completed write" is GetItem without ConsistentRead, and
# with it the read never is stale: developerguide/HowItWorks.ReadConsistency.
def test_a_stale_read_shows_an_earlier_state_and_a_consistent_read_never_does() -> None:
    db = music("stale_reads=1")
    seen = set()
    for value in range(40):
        write(db, "k", value)
        seen.add(value - int(read(db, "k") or -1))
        assert read(db, "k", consistent=True) == str(value)
    assert 0 not in seen
    assert 1 in seen
    assert max(seen) > 3


# Why: replicas do catch up; an application that waits must be rewarded.
def test_every_replica_has_caught_up_after_the_lag() -> None:
    db = music("stale_reads=1", "index_lag=1", "lag_s=2")
    write(db, "k", 1)
    assert read(db, "k") == ""
    db.pass_time(2.1)
    assert read(db, "k") == "1"
    assert numbers(query(db, "g", "g", "by_g")) == ["1"]


# Why: an item in a batch, in a Scan and in a statement is on a replica too; deleted items come back, new ones miss.
def test_batches_scans_and_statements_are_stale_as_single_reads_are() -> None:
    db = music("stale_reads=1", "lag_writes=1")
    for pk in "ab":
        write(db, pk, 1)
    db.ask("DeleteItem", TableName="music", Key=key("a"))
    assert numbers(db.ask("Scan", TableName="music")) == ["1", "1"]
    assert len(db.ask("Scan", TableName="music", ConsistentRead=True)["Items"]) == 1
    wanted: Request = {"music": {"Keys": [key("a"), key("b")]}}
    assert len(db.ask("BatchGetItem", RequestItems=wanted)["Responses"]["music"]) == 2
    wanted["music"]["ConsistentRead"] = True
    assert len(db.ask("BatchGetItem", RequestItems=wanted)["Responses"]["music"]) == 1
    statement = {"Statement": "SELECT * FROM music WHERE pk = 'a' AND sk = 's'"}
    assert len(db.ask("ExecuteStatement", **statement)["Items"]) == 1
    assert not db.ask("ExecuteStatement", **statement, ConsistentRead=True)["Items"]
    assert "Item" in db.ask("BatchExecuteStatement", Statements=[statement])["Responses"][0]
    got = db.ask("TransactGetItems", TransactItems=[{"Get": {"TableName": "music", "Key": key("a")}}])
    assert got["Responses"] == [{}]


# Why: a scan merges what was with what is: order, both directions and ranges must hold.
@pytest.mark.parametrize("forward", [True, False])
def test_a_stale_query_keeps_order_and_range(forward: bool) -> None:
    db = music("stale_reads=1", "lag_writes=1")
    for number in range(6):
        db.ask(
            "PutItem", TableName="music", Item=key("k") | {"sk": {"S": f"{number}"}, "v": {"N": str(number)}}
        )
    db.ask(
        "TransactWriteItems",
        TransactItems=[
            {"Delete": {"TableName": "music", "Key": key("k") | {"sk": {"S": "2"}}}},
            {"Put": {"TableName": "music", "Item": key("k") | {"sk": {"S": "21"}, "v": {"N": "21"}}}},
            {"Put": {"TableName": "music", "Item": key("k") | {"sk": {"S": "3"}, "v": {"N": "33"}}}},
        ],
    )
    asked = {
        "KeyConditionExpression": "pk = :p AND sk BETWEEN :a AND :b",
        "ExpressionAttributeValues": {":p": {"S": "k"}, ":a": {"S": "1"}, ":b": {"S": "4"}},
        "ScanIndexForward": forward,
    }
    before, now = ["1", "2", "3", "4"], ["1", "21", "33", "4"]
    assert numbers(db.ask("Query", TableName="music", **asked)) == (before if forward else before[::-1])
    fresh = db.ask("Query", TableName="music", ConsistentRead=True, **asked)
    assert numbers(fresh) == (now if forward else now[::-1])


# Why: a global index lags behind its table, and its partitions behind each other: an item that moved may be in both
# or in neither. A local index is on its table's partition.
def test_a_global_index_lags_while_the_table_and_its_local_index_are_current() -> None:
    db = music("index_lag=1", "lag_writes=1")
    write(db, "k", 1, g="old")
    write(db, "k", 2, g="new")
    assert read(db, "k") == "2"
    assert numbers(query(db, "pk", "k", "by_l")) == ["2"]
    assert numbers(query(db, "g", "new", "by_g")) == []
    assert numbers(query(db, "g", "old", "by_g")) == ["1"]


# Why: conditions and updates are decided on the leader.
def test_conditional_writes_and_updates_see_the_present() -> None:
    db = music("stale_reads=1", "index_lag=1")
    for value in range(30):
        db.ask(
            "UpdateItem",
            TableName="music",
            Key=key("k"),
            UpdateExpression="ADD v :one",
            ConditionExpression="attribute_not_exists(v) OR v = :was",
            ExpressionAttributeValues={":one": {"N": "1"}, ":was": {"N": str(value)}},
        )
    assert read(db, "k", consistent=True) == "30"


# Why: SDKs retry by the code, and read the reason; the words are AWS's.
def test_an_on_demand_table_throttles_with_its_reason_and_writes_nothing() -> None:
    db = music("throttling=1")
    with pytest.raises(ServiceError) as thrown:
        write(db, "k", 1)
    assert (thrown.value.code, thrown.value.status) == ("ThrottlingException", 400)
    assert thrown.value.message == (
        "Throughput exceeds the current capacity of your table or index. DynamoDB is automatically scaling your "
        f"table or index so please try again shortly. If exceptions persist, check if you have a hot key: {HOT_KEY_URL}"
    )
    reason = {
        "reason": "TableWriteKeyRangeThroughputExceeded",
        "resource": "arn:aws:dynamodb:us-east-1:000000000000:table/music",
    }
    assert thrown.value.extra == {"throttlingReasons": [reason]}
    assert db.database.view.counts(db.database.view.table("music").space) == (0, 0)


def test_a_provisioned_table_and_its_index_throttle_by_their_throughput() -> None:
    db = MemoryDatabase(weather=only("throttling=0"))
    request = table_request(
        AttributeDefinitions=definitions(pk="S", g="S"),
        GlobalSecondaryIndexes=[index("by_g", "g", ProvisionedThroughput=units(1, 1))],
        BillingMode="PROVISIONED",
        ProvisionedThroughput=units(1, 1),
    )
    db.ask("CreateTable", **request)
    throttling = MemoryDatabase(db.store, db.clock, only("throttling=1"))
    with pytest.raises(ServiceError) as thrown:
        throttling.ask("GetItem", TableName="music", Key={"pk": {"S": "k"}})
    assert thrown.value.code == "ProvisionedThroughputExceededException"
    assert thrown.value.extra["ThrottlingReasons"][0]["reason"] == "TableReadProvisionedThroughputExceeded"
    with pytest.raises(ServiceError) as thrown:
        query(throttling, "g", "x", "by_g")
    reason = thrown.value.extra["ThrottlingReasons"][0]
    assert reason["reason"] == "IndexReadProvisionedThroughputExceeded"
    assert reason["resource"].endswith("table/music/index/by_g")
    assert "global secondary indexes of the table was exceeded" in (thrown.value.message or "")


# Why: AWS decides on a request before it throttles it as far as a client can tell; a wrong request that is retried
# ten times before it is called wrong would be a trap of ours.
@pytest.mark.parametrize(
    ("action", "request_", "code"),
    [
        ("PutItem", {"TableName": "music", "Item": {"pk": {"S": "k"}}}, "ValidationException"),
        ("GetItem", {"TableName": "nowhere", "Key": {"pk": {"S": "k"}}}, "ResourceNotFoundException"),
        ("Query", {"TableName": ["music"], "Limit": "many"}, "SerializationException"),
        ("Query", {"TableName": {}, "IndexName": []}, "SerializationException"),
        ("BatchGetItem", {"RequestItems": [1]}, "SerializationException"),
        ("BatchGetItem", {"RequestItems": {"music": 1}}, "SerializationException"),
        ("BatchExecuteStatement", {"Statements": 5}, "SerializationException"),
        ("BatchExecuteStatement", {"Statements": [5]}, "SerializationException"),
        ("ExecuteStatement", {"Statement": 5}, "SerializationException"),
        ("ExecuteTransaction", {"TransactStatements": {"Statement": "SELECT"}}, "SerializationException"),
        ("TransactWriteItems", {"TransactItems": None}, "ValidationException"),
        ("GetRecords", {"ShardIterator": "none"}, "ValidationException"),
        (
            "UpdateTable",
            {"TableName": "nowhere", "BillingMode": "PAY_PER_REQUEST"},
            "ResourceNotFoundException",
        ),
    ],
)
def test_a_bad_request_gets_its_own_error_in_the_worst_weather(
    action: str, request_: Request, code: str
) -> None:
    worst = with_settings(Weather(), ["all=1", "slow_s=0"])
    db = MemoryDatabase(weather=worst)
    db.call("CreateTable", table_request(keys="pk sk"))
    db = MemoryDatabase(music().store, weather=worst)
    status, reply = db.call(action, request_)
    assert (status, reply["__type"].rpartition("#")[2]) == (400, code)


# Why: AWS's own limit for one partition key, 1,000 write units a second, is what a hot key meets in production.
def test_a_hot_partition_is_throttled_until_the_next_second_and_others_are_not() -> None:
    db = music("partition_write_units=10", "partition_read_units=2")
    for value in range(5):
        write(db, "hot", value)  # The item and its entries: the global index's partition is as hot.
    codes: dict[str, list[str]] = {"hot": [], "cold": []}
    for pk, met in codes.items():
        for _ in range(7):
            status, reply = db.call("PutItem", {"TableName": "music", "Item": item(pk, 9, pk)})
            met.append(reply["__type"].rpartition("#")[2] if status != 200 else "")
    assert codes["hot"][-1] == "ThrottlingException"
    assert set(codes["cold"]) == {""}
    db.clock.advance(1)
    write(db, "hot", 6)
    reads = [db.call("GetItem", {"TableName": "music", "Key": key("hot")})[0] for _ in range(6)]
    assert reads == [200, 200, 200, 200, 400, 400]
    assert read(db, "cold") == "9"


# Why: "If DynamoDB returns any unprocessed items, you should retry the batch operation on those items": nothing of
# them is done, all of the rest is, and at least one is.
def test_a_batch_write_is_done_in_part_and_says_which() -> None:
    db = music("unprocessed=1")
    left: list[Request] = [{"PutRequest": {"Item": item(f"k{number}", number)}} for number in range(20)]
    rounds = 0
    while left:
        reply = db.ask("BatchWriteItem", RequestItems={"music": left})
        assert not response_faults("dynamodb", "BatchWriteItem", reply)
        again = reply["UnprocessedItems"].get("music", [])
        assert len(again) < len(left)
        written = db.ask("Scan", TableName="music", ConsistentRead=True)["Count"]
        assert written == 20 - len(again)
        left, rounds = again, rounds + 1
    assert rounds > 2
    assert check(db.store).sound


def test_a_batch_read_is_done_in_part_and_what_is_left_can_be_sent_again() -> None:
    db = music("unprocessed=1")
    for number in range(10):
        write(db, f"k{number}", number)
    asked: Request = {
        "music": {
            "Keys": [key(f"k{number}") for number in range(10)],
            "ProjectionExpression": "#v",
            "ExpressionAttributeNames": {"#v": "v"},
            "ConsistentRead": True,
        }
    }
    found: list[str] = []
    while asked:
        reply = db.ask("BatchGetItem", RequestItems=asked, ReturnConsumedCapacity="TOTAL")
        assert not response_faults("dynamodb", "BatchGetItem", reply)
        got = [one["v"]["N"] for one in reply["Responses"].get("music", [])]
        assert got
        assert reply["ConsumedCapacity"][0]["CapacityUnits"] == len(got)
        found += got
        asked = reply["UnprocessedKeys"]
    assert sorted(found, key=int) == [str(number) for number in range(10)]


def test_statements_of_a_batch_are_throttled_one_by_one() -> None:
    db = music("unprocessed=1")
    insert = "INSERT INTO music VALUE {'pk': '%d', 'sk': 's', 'v': %d}"
    statements = [{"Statement": insert % (number, number)} for number in range(8)]
    answers = db.ask("BatchExecuteStatement", Statements=statements)["Responses"]
    refused = [at for at, answer in enumerate(answers) if "Error" in answer]
    assert 0 < len(refused) < 8
    assert {answers[at]["Error"]["Code"] for at in refused} == {"ThrottlingError"}
    kept = numbers(db.ask("Scan", TableName="music", ConsistentRead=True))
    assert sorted(kept, key=int) == [str(at) for at in range(8) if at not in refused]


# Why: a transaction that meets another names the item's place among its actions, and does nothing.
def test_a_transaction_in_conflict_is_cancelled_whole_with_the_place_of_the_item() -> None:
    db = music("conflicts=1")
    puts = [{"Put": {"TableName": "music", "Item": item(f"k{number}", number)}} for number in range(3)]
    with pytest.raises(ServiceError) as thrown:
        db.ask("TransactWriteItems", TransactItems=puts)
    assert thrown.value.code == "TransactionCanceledException"
    reasons = thrown.value.extra["CancellationReasons"]
    conflict = {"Code": "TransactionConflict", "Message": "Transaction is ongoing for the item"}
    assert sorted(reasons, key=str) == sorted([conflict, {"Code": "None"}, {"Code": "None"}], key=str)
    assert not db.ask("Scan", TableName="music", ConsistentRead=True)["Items"]


# Why: a single write conflicts with transactions, so a table that has none never sees TransactionConflictException:
# boto3 does not retry it.
def test_a_single_write_conflicts_only_where_transactions_are() -> None:
    db = music("conflicts=0.5")
    for value in range(40):
        write(db, "k", value)
    puts = [{"Put": {"TableName": "music", "Item": item("t", 1)}}]
    while db.call("TransactWriteItems", {"TransactItems": puts})[0] != 200:
        pass
    answers = [db.call("PutItem", {"TableName": "music", "Item": item("k", value)}) for value in range(40)]
    refused = [reply for status, reply in answers if status != 200]
    assert 0 < len(refused) < 40
    assert {reply["__type"].rpartition("#")[2] for reply in refused} == {"TransactionConflictException"}


# Why: a retry with the same token after a success must hear of the success, in any weather: another answer would make
# a caller believe that what was done was not.
def test_a_transaction_that_was_done_is_told_as_done_however_bad_the_day() -> None:
    db = music("conflicts=0.5", "throttling=0.5")
    request = {
        "TransactItems": [{"Put": {"TableName": "music", "Item": item("t", 1)}}],
        "ClientRequestToken": "t",
    }
    while db.call("TransactWriteItems", request)[0] != 200:
        pass
    assert {db.call("TransactWriteItems", request)[0] for _ in range(50)} == {200}


# Why: a throttled transaction says so in its reasons: the API reference lists ThrottlingError among their codes.
def test_a_throttled_transaction_is_cancelled_with_the_reason() -> None:
    db = music("throttling=1")
    with pytest.raises(ServiceError) as thrown:
        db.ask("TransactGetItems", TransactItems=[{"Get": {"TableName": "music", "Key": key("k")}}])
    assert [reason["Code"] for reason in thrown.value.extra["CancellationReasons"]] == ["ThrottlingError"]
    assert "[ThrottlingError]" in (thrown.value.message or "")


# Why: consumers keep positions, not iterators: an expired one is fetched again AFTER_SEQUENCE_NUMBER.
def test_iterators_expire_early_and_the_stream_is_whole_for_who_asks_again() -> None:
    db = MemoryDatabase(weather=only("expired_iterators=0.5"))
    arn = make_table(db)
    for value in range(20):
        put(db, "k", value)
    at = iterator(db, arn, id_of(db, 0), "TRIM_HORIZON")
    seen: list[Request] = []
    expired = 0
    while len(seen) < 20:
        status, page = db.call("GetRecords", {"ShardIterator": at, "Limit": 3})
        if status != 200:
            assert page["__type"].endswith("#ExpiredIteratorException")
            assert "further in the future than the tolerated delay of 900000 milliseconds" in page["message"]
            expired += 1
            where: Request = {"SequenceNumber": seen[-1]["dynamodb"]["SequenceNumber"]} if seen else {}
            at = iterator(db, arn, id_of(db, 0), "AFTER_SEQUENCE_NUMBER" if seen else "TRIM_HORIZON", **where)
            continue
        seen += page["Records"]
        at = page["NextShardIterator"]
    assert expired
    assert values(seen) == [str(value) for value in range(20)]


# Why: a consumer that does not look for children loses their changes; here it finds out.
def test_shards_split_while_writes_go_on_up_to_a_bound() -> None:
    db = MemoryDatabase(weather=only("shard_splits=1", "stream_shards=4"))
    arn = make_table(db)
    for value in range(40):
        put(db, f"k{value % 8}", value)
    shards = shards_of(db, arn)
    assert sum("EndingSequenceNumber" not in shard["SequenceNumberRange"] for shard in shards) == 4
    records = [
        r for shard in shards for r in read_shard(db, iterator(db, arn, shard["ShardId"], "TRIM_HORIZON"))
    ]
    assert sorted(values(records), key=int) == [str(value) for value in range(40)]
    assert check(db.store).sound


# Why: "The only way to know when you have reached the end of the result set is when LastEvaluatedKey is empty": pages
# may be short, and with a filter empty.
def test_pages_end_early_and_all_pages_together_are_everything() -> None:
    db = music("short_pages=1")
    for number in range(60):
        db.ask(
            "PutItem",
            TableName="music",
            Item=key("k") | {"sk": {"S": f"{number:02d}"}, "v": {"N": str(number)}},
        )
    for action, more in (
        ("Scan", {}),
        ("Scan", {"Limit": 40}),
        ("Query", {"KeyConditionExpression": "pk = :p", "ExpressionAttributeValues": {":p": {"S": "k"}}}),
    ):
        found: list[str] = []
        pages, start = 0, None
        while pages == 0 or start is not None:
            reply = db.ask(
                action, TableName="music", **more, **({"ExclusiveStartKey": start} if start else {})
            )
            found += numbers(reply)
            pages, start = pages + 1, reply.get("LastEvaluatedKey")
        assert found == [str(number) for number in range(60)]
        assert pages > 2
    asked = {"FilterExpression": "v = :v", "ExpressionAttributeValues": {":v": {"N": "59"}}}
    first = db.ask("Scan", TableName="music", **asked)
    assert (first["Count"], "LastEvaluatedKey" in first) == (0, True)


# Why: SELECTs are pages too, and their NextToken must go on where the short page ended.
def test_a_statement_goes_on_after_a_short_page() -> None:
    db = music("short_pages=1")
    for number in range(40):
        write(db, f"k{number}", number)
    found: list[str] = []
    reply = db.ask("ExecuteStatement", Statement="SELECT * FROM music")
    pages = 1
    while True:
        found += numbers(reply)
        if "NextToken" not in reply:
            break
        reply = db.ask("ExecuteStatement", Statement="SELECT * FROM music", NextToken=reply["NextToken"])
        pages += 1
    assert pages > 1
    assert sorted(found, key=int) == [str(number) for number in range(40)]


def described(db: MemoryDatabase) -> str:
    status, reply = db.call("DescribeTable", {"TableName": "music"})
    return str(reply["Table"]["TableStatus"]) if status == 200 else reply["__type"].rpartition("#")[2]


# Why: an application that does not wait for ACTIVE fails on AWS with ResourceNotFoundException, and so it does here.
def test_a_new_table_is_creating_for_some_looks_and_not_found_by_items() -> None:
    db = music("slow_tables=1", "slow_looks=4", seed=2)
    with pytest.raises(ServiceError) as thrown:
        write(db, "k", 1)
    assert (thrown.value.code, thrown.value.message) == (
        "ResourceNotFoundException",
        "Requested resource not found",
    )
    looks = [described(db) for _ in range(5)]
    assert looks[0] == "CREATING"
    assert looks[-1] == "ACTIVE"
    write(db, "k", 1)


# Why: T2: a waiter of boto3 sleeps for 20 seconds between two looks.
def test_a_transition_ends_with_time_where_nobody_looks() -> None:
    db = music("slow_tables=1", "slow_looks=1000", "slow_s=5")
    assert described(db) == "CREATING"
    db.pass_time(5)
    assert described(db) == "ACTIVE"


# Why: AWS's words for a change of a table that is still on its way; scripts that create and delete meet them.
def test_a_table_on_its_way_refuses_changes_until_it_is_there() -> None:
    db = music("slow_tables=1", "slow_looks=1000")
    with pytest.raises(ServiceError) as thrown:
        db.ask("DeleteTable", TableName="music")
    assert thrown.value.message == (
        "Attempt to change a resource which is still in use: Table is being created: music"
    )
    db.pass_time(10)
    db.ask("DeleteTable", TableName="music")
    assert described(db) == "DELETING"
    assert db.ask("ListTables")["TableNames"] == ["music"]
    for action, request in (("DeleteTable", {"TableName": "music"}), ("CreateTable", table_request())):
        with pytest.raises(ServiceError, match="Table is being deleted: music"):
            db.ask(action, **request)
    with pytest.raises(ServiceError, match="Requested resource not found"):
        write(db, "k", 1)
    db.pass_time(10)
    assert described(db) == "ResourceNotFoundException"
    assert db.ask("ListTables")["TableNames"] == []
    db.ask("CreateTable", **table_request())


# Why: backfill takes minutes on AWS; the index cannot be queried and writes go on, counted rightly.
def test_a_new_index_is_seen_backfilling_while_writes_go_on() -> None:
    db = music("slow_tables=1", "slow_looks=1000")
    db.pass_time(10)
    write(db, "a", 1)
    create = {"Create": index("by_v", "w")}
    db.ask(
        "UpdateTable",
        TableName="music",
        AttributeDefinitions=definitions(w="S"),
        GlobalSecondaryIndexUpdates=[create],
    )
    db.tick()
    db.tick()
    db.ask("PutItem", TableName="music", Item=item("b", 2) | {"w": {"S": "w"}})
    table = db.ask("DescribeTable", TableName="music")["Table"]
    made = next(each for each in table["GlobalSecondaryIndexes"] if each["IndexName"] == "by_v")
    assert (table["TableStatus"], made["IndexStatus"], made["Backfilling"]) == ("UPDATING", "CREATING", True)
    with pytest.raises(ServiceError, match="Cannot read from backfilling global secondary index: by_v"):
        query(db, "w", "w", "by_v")
    with pytest.raises(ServiceError, match="Table is being updated: music"):
        db.ask("UpdateTable", TableName="music", DeletionProtectionEnabled=True)
    db.pass_time(10)
    assert numbers(query(db, "w", "w", "by_v")) == ["2"]
    assert check(db.store).sound


def test_an_index_that_went_is_seen_deleting() -> None:
    db = music("slow_tables=1", "slow_looks=1000")
    db.pass_time(10)
    db.ask("UpdateTable", TableName="music", GlobalSecondaryIndexUpdates=[{"Delete": {"IndexName": "by_g"}}])
    table = db.ask("DescribeTable", TableName="music")["Table"]
    assert table["GlobalSecondaryIndexes"][0]["IndexStatus"] == "DELETING"
    assert not response_faults("dynamodb", "DescribeTable", {"Table": table})
    with pytest.raises(ServiceError, match="The table does not have the specified index: by_g"):
        query(db, "g", "g", "by_g")
    db.pass_time(10)
    assert "GlobalSecondaryIndexes" not in db.ask("DescribeTable", TableName="music")["Table"]


# Why: AWS deletes "within a few days" of the time: who reads before that must filter.
def test_expired_items_stay_for_the_delay_and_then_go() -> None:
    db = music("ttl_delay_s=60", "slow_tables=1", "slow_looks=1000")
    db.pass_time(10)
    spec = {"Enabled": True, "AttributeName": "ttl"}
    db.ask("UpdateTimeToLive", TableName="music", TimeToLiveSpecification=spec)
    told = db.ask("DescribeTimeToLive", TableName="music")["TimeToLiveDescription"]
    assert told["TimeToLiveStatus"] == "ENABLING"
    db.pass_time(10)
    told = db.ask("DescribeTimeToLive", TableName="music")["TimeToLiveDescription"]
    assert told["TimeToLiveStatus"] == "ENABLED"
    expires = db.clock.now_us() // 1_000_000 + 5
    db.ask("PutItem", TableName="music", Item=item("k", 1) | {"ttl": {"N": str(expires)}})
    db.pass_time(60)
    assert read(db, "k", consistent=True) == "1"
    db.pass_time(10)
    assert read(db, "k", consistent=True) == ""


# Why: what is asked about the database itself is not AWS's, and has no weather.
def test_our_own_actions_stay_out_of_the_weather() -> None:
    db = music("stale_reads=1", "throttling=0")
    write(db, "k", 1)
    db = MemoryDatabase(db.store, db.clock, with_settings(Weather(), ["all=1"]))
    told = db.ask("Explain", Action="GetItem", Request={"TableName": "music", "Key": key("k")})
    assert told["ItemsRead"] == 1


# Why: a restart begins with an ordinary past: what was acknowledged is there, and nothing of the weather is written.
def test_nothing_of_the_weather_is_kept_in_the_data() -> None:
    db = music("slow_tables=1", "slow_looks=1000", "stale_reads=1")
    db.pass_time(10)
    write(db, "k", 1)
    again = MemoryDatabase(db.store, db.clock)
    assert described(again) == "ACTIVE"
    assert read(again, "k") == "1"
    assert check(again.store).sound
