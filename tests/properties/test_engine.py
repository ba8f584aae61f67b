"""The database against a plain dict: any history of requests leaves what a dict would hold, in every place that shows it.

After each step: the table, each index and the change stream tell the dict's story, and `penstock check` finds nothing.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from tests.tables import definitions, index, table_request

from penstock.database.check import check
from penstock.errors import ServiceError
from penstock.limits import EXPIRY_PAST_S
from penstock.testing.databases import MemoryDatabase

Item = dict[str, dict[str, Any]]
Key = tuple[str, str]

TABLE = "engine"
ABSENT: Item = {}
PARTITIONS = ["a", "b", "\u00e9"]
numbers = st.sampled_from(["-2", "0", "1", "1.5", "20"])
words = st.sampled_from(["", "m", "n", "\U0001f600"])
keys = st.tuples(st.sampled_from(PARTITIONS), numbers)


@st.composite
def rests(draw: st.DrawFn) -> Item:
    """What an item has beside its key. Each index attribute may be missing, so that the indexes are sparse."""
    item: Item = {}
    if draw(st.booleans()):
        item["local"] = {"S": draw(words.filter(bool))}
    if draw(st.booleans()):
        item["group"] = {"N": draw(numbers)}
    if draw(st.booleans()):
        item["late"] = {"S": draw(words.filter(bool))}
    if draw(st.booleans()):
        item["n"] = {"N": draw(numbers)}
    if draw(st.integers(0, 3)) == 0:
        item["set"] = {"SS": sorted(draw(st.sets(st.sampled_from("xyz"), min_size=1)))}
    if draw(st.integers(0, 3)) == 0:
        item["deep"] = {"M": {"list": {"L": [{"N": draw(numbers)}, {"NULL": True}]}}}
    return item


def key_json(key: Key) -> Item:
    return {"pk": {"S": key[0]}, "sk": {"N": key[1]}}


def whole(key: Key, rest: Item) -> Item:
    return {**key_json(key), **rest}


def key_of(item: Item) -> Key:
    return item["pk"]["S"], item["sk"]["N"]


def canonical(number: Decimal) -> str:
    return f"{number.normalize():f}"


class Engine(RuleBasedStateMachine):
    """Rules are requests; `model` is the dict."""

    def __init__(self) -> None:
        super().__init__()
        self.db = MemoryDatabase()
        self.model: dict[Key, Item] = {}
        self.replayed: dict[Key, Item] = {}
        self.last_sequence = ""
        self.transaction: tuple[dict[str, Any], int] | None = None

    @initialize(stream_shards=st.integers(1, 3))
    def create(self, stream_shards: int) -> None:
        description = self.db.ask(
            "CreateTable",
            **table_request(
                TABLE,
                "pk sk",
                AttributeDefinitions=definitions(pk="S", sk="N", local="S", group="N"),
                LocalSecondaryIndexes=[index("by_local", "pk", "local", "KEYS_ONLY")],
                GlobalSecondaryIndexes=[index("by_group", "group", "sk")],
                StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
                Tags=[{"Key": "penstock:stream-shards", "Value": str(stream_shards)}],
            ),
        )["TableDescription"]
        self.arn = description["LatestStreamArn"]
        self.after: dict[str, str] = {}
        self.db.ask(
            "UpdateTimeToLive",
            TableName=TABLE,
            TimeToLiveSpecification={"Enabled": True, "AttributeName": "ttl"},
        )
        self.db.pass_time(1.5)

    # -- writes --

    @rule(key=keys, rest=rests())
    def put(self, key: Key, rest: Item) -> None:
        reply = self.db.ask("PutItem", TableName=TABLE, Item=whole(key, rest), ReturnValues="ALL_OLD")
        assert reply.get("Attributes") == self.model.get(key)
        self.model[key] = whole(key, rest)

    @rule(key=keys)
    def delete(self, key: Key) -> None:
        reply = self.db.ask("DeleteItem", TableName=TABLE, Key=key_json(key), ReturnValues="ALL_OLD")
        assert reply.get("Attributes") == self.model.pop(key, None)

    @rule(key=keys, rest=rests(), n=numbers)
    def put_if(self, key: Key, rest: Item, n: str) -> None:
        """Only where the item is not there, or has this very number."""
        held = self.model.get(key)
        status, reply = self.db.call(
            "PutItem",
            {
                "TableName": TABLE,
                "Item": whole(key, rest),
                "ConditionExpression": "attribute_not_exists(pk) OR n = :n",
                "ExpressionAttributeValues": {":n": {"N": n}},
                "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
            },
        )
        if held is None or held.get("n") == {"N": n}:
            assert status == 200
            self.model[key] = whole(key, rest)
        else:
            assert reply["__type"].endswith("ConditionalCheckFailedException")
            assert reply["Item"] == held

    @rule(key=keys, by=numbers, group=st.none() | numbers, drop=st.booleans())
    def update(self, key: Key, by: str, group: str | None, drop: bool) -> None:
        """ADD to a number, move the item in one index and take it out of another, in one expression."""
        item = dict(self.model.get(key, key_json(key)))
        text, values = "ADD n :by", {":by": {"N": by}}
        item["n"] = {"N": canonical(Decimal(item.get("n", {"N": "0"})["N"]) + Decimal(by))}
        if group is not None:
            text += " SET #g = :group"
            values[":group"] = item["group"] = {"N": group}
        if drop:
            text += " REMOVE #l"
            item.pop("local", None)
        names = {"#g": "group"} if group is not None else {}
        names |= {"#l": "local"} if drop else {}
        reply = self.db.ask(
            "UpdateItem",
            TableName=TABLE,
            Key=key_json(key),
            UpdateExpression=text,
            ExpressionAttributeValues=values,
            ReturnValues="ALL_NEW",
            **({"ExpressionAttributeNames": names} if names else {}),
        )
        assert reply["Attributes"] == item
        self.model[key] = item

    @rule(
        key=keys, seconds=st.sampled_from([-EXPIRY_PAST_S - 100, -3000, -1, 0, 30, 500]), text=st.booleans()
    )
    def put_with_time_to_live(self, key: Key, seconds: int, text: bool) -> None:
        second = str(self.db.clock.now_us() // 1_000_000 + seconds)
        item = whole(key, {"ttl": {"S": second} if text else {"N": second}})
        self.db.ask("PutItem", TableName=TABLE, Item=item)
        self.model[key] = item

    @rule(becomes=st.dictionaries(keys, st.none() | rests(), min_size=1, max_size=6))
    def batch_write(self, becomes: dict[Key, Item | None]) -> None:
        requests = [
            {"DeleteRequest": {"Key": key_json(key)}}
            if rest is None
            else {"PutRequest": {"Item": whole(key, rest)}}
            for key, rest in becomes.items()
        ]
        reply = self.db.ask("BatchWriteItem", RequestItems={TABLE: requests})
        assert reply["UnprocessedItems"] == {}
        self._become(becomes)

    def _become(self, becomes: dict[Key, Item | None]) -> None:
        for key, rest in becomes.items():
            if rest is None:
                self.model.pop(key, None)
            else:
                self.model[key] = whole(key, rest)

    @rule(
        becomes=st.dictionaries(keys, st.none() | rests(), min_size=1, max_size=4),
        checks=st.dictionaries(keys, st.booleans(), max_size=2),
        token=st.none() | st.uuids().map(str),
    )
    def transact(self, becomes: dict[Key, Item | None], checks: dict[Key, bool], token: str | None) -> None:
        """Puts and deletes, and checks of others: whether each is there. All of it or nothing."""
        actions: list[dict[str, Any]] = []
        for key, rest in becomes.items():
            if rest is None:
                actions.append({"Delete": {"TableName": TABLE, "Key": key_json(key)}})
            else:
                actions.append({"Put": {"TableName": TABLE, "Item": whole(key, rest)}})
        reasons = ["None"] * len(actions)
        for key, there in checks.items():
            if key not in becomes:
                word = "attribute_exists" if there else "attribute_not_exists"
                check_ = {
                    "TableName": TABLE,
                    "Key": key_json(key),
                    "ConditionExpression": f"{word}(pk)",
                }
                actions.append({"ConditionCheck": check_})
                reasons.append("None" if (key in self.model) == there else "ConditionalCheckFailed")
        request: dict[str, Any] = {"TransactItems": actions}
        if token is not None:
            request["ClientRequestToken"] = token
        status, reply = self.db.call("TransactWriteItems", request)
        if set(reasons) == {"None"}:
            assert status == 200
            self._become(becomes)
            if token is not None:
                self.transaction = request, self.db.clock.now_us()
        else:
            assert [reason["Code"] for reason in reply["CancellationReasons"]] == reasons

    @precondition(lambda self: self.transaction is not None)
    @rule()
    def transact_again(self) -> None:
        """A retry within ten minutes is answered as the first call was, and writes nothing again."""
        assert self.transaction is not None
        request, at_us = self.transaction
        if self.db.clock.now_us() - at_us < 590 * 1_000_000:
            assert self.db.call("TransactWriteItems", request)[0] == 200

    @rule(writes=st.lists(st.tuples(keys, rests()), min_size=2, max_size=5))
    def write_together(self, writes: list[tuple[Key, Item]]) -> None:
        """Requests that come before the sync of the first: answered together, each read behind its write."""
        answers = []
        for key, rest in writes:
            put = self.db.start("PutItem", TableName=TABLE, Item=whole(key, rest))
            get = self.db.start("GetItem", TableName=TABLE, Key=key_json(key))
            answers.append((whole(key, rest), put, get))
            self.model[key] = whole(key, rest)
        self.db.settle()
        for item, put, get in answers:
            assert put == [(200, {})]
            assert get == [(200, {"Item": item})]

    # -- time, restarts, tables --

    @rule(seconds=st.sampled_from([1.5, 40.0, 600.0]))
    def pass_time(self, seconds: float) -> None:
        """What has expired goes, but for times that are no number or lie more than five years back."""
        self.db.pass_time(seconds)
        for _ in range(4):
            self.db.pass_time(1.5)
        for key in self._expired():
            del self.model[key]

    def _expired(self) -> list[Key]:
        now_s = self.db.clock.now_us() // 1_000_000
        seconds = {key: item["ttl"].get("N") for key, item in self.model.items() if "ttl" in item}
        return [
            key
            for key, text in seconds.items()
            if text is not None and now_s - EXPIRY_PAST_S <= int(text) < now_s
        ]

    @rule()
    def restart(self) -> None:
        self.db = self.db.reopen()

    @rule()
    def add_or_delete_the_late_index(self) -> None:
        """Filled in the background while writes go on: its entries are held to the dict once it is ACTIVE."""
        status = self._late_status()
        if status is None:
            update = {
                "Create": {
                    k: v for k, v in index("late", "late", "sk", "INCLUDE").items() if k != "Projection"
                }
            }
            update["Create"]["Projection"] = {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["n"]}
        elif status == "ACTIVE":
            update = {"Delete": {"IndexName": "late"}}
        else:
            return
        self.db.ask(
            "UpdateTable",
            TableName=TABLE,
            AttributeDefinitions=definitions(pk="S", sk="N", local="S", group="N", late="S"),
            GlobalSecondaryIndexUpdates=[update],
        )

    @rule()
    def tick(self) -> None:
        """A little background work. Whether it comes to what has expired is its own affair."""
        self.db.tick()
        for key in self._expired():
            if "Item" not in self.db.ask("GetItem", TableName=TABLE, Key=key_json(key)):
                del self.model[key]

    def _late_status(self) -> str | None:
        table = self.db.ask("DescribeTable", TableName=TABLE)["Table"]
        found = [each for each in table["GlobalSecondaryIndexes"] if each["IndexName"] == "late"]
        return str(found[0]["IndexStatus"]) if found else None

    # -- reads --

    @rule(wanted=st.sets(keys, min_size=1))
    def batch_get(self, wanted: set[Key]) -> None:
        asked = {"Keys": [key_json(key) for key in wanted]}
        reply = self.db.ask("BatchGetItem", RequestItems={TABLE: asked})
        found = {key_of(item): item for item in reply["Responses"][TABLE]}
        assert found == {key: self.model[key] for key in wanted if key in self.model}

    @rule(
        partition=st.sampled_from(PARTITIONS),
        low=numbers,
        high=numbers,
        forward=st.booleans(),
        limit=st.none() | st.integers(1, 3),
    )
    def query_a_range(self, partition: str, low: str, high: str, forward: bool, limit: int | None) -> None:
        bounds = {":pk": {"S": partition}, ":low": {"N": low}, ":high": {"N": high}}
        request = {
            "KeyConditionExpression": "pk = :pk AND sk BETWEEN :low AND :high",
            "ExpressionAttributeValues": bounds,
            "ScanIndexForward": forward,
        }
        if Decimal(low) > Decimal(high):
            with pytest.raises(ServiceError, match="requires upper bound"):
                self.db.ask("Query", TableName=TABLE, **request)
            return
        expected = [
            item
            for (pk, sk), item in self.model.items()
            if pk == partition and Decimal(low) <= Decimal(sk) <= Decimal(high)
        ]
        expected.sort(key=lambda item: Decimal(item["sk"]["N"]), reverse=not forward)
        assert self._pages("Query", limit, **request) == expected

    @rule(segments=st.integers(1, 4), limit=st.none() | st.integers(1, 3), n=numbers)
    def scan_in_segments(self, segments: int, limit: int | None, n: str) -> None:
        """Every item in exactly one segment, whatever the pages; the filter takes away only what does not match."""
        found = [
            item
            for segment in range(segments)
            for item in self._pages(
                "Scan",
                limit,
                TotalSegments=segments,
                Segment=segment,
                FilterExpression="n <> :n",
                ExpressionAttributeValues={":n": {"N": n}},
            )
        ]
        expected = {key: item for key, item in self.model.items() if item.get("n") != {"N": n}}
        assert len(found) == len(expected)
        assert {key_of(item): item for item in found} == expected

    def _pages(self, action: str, limit: int | None, **request: Any) -> list[Item]:
        """All pages, each from where the last one ended."""
        found: list[Item] = []
        start: dict[str, Any] = {"Limit": limit} if limit is not None else {}
        while True:
            page = self.db.ask(action, TableName=TABLE, **request, **start)
            assert page["Count"] == len(page["Items"]) <= page["ScannedCount"]
            found += page["Items"]
            if "LastEvaluatedKey" not in page:
                return found
            start["ExclusiveStartKey"] = page["LastEvaluatedKey"]

    # -- what holds after each step --

    @invariant()
    def the_table_is_the_dict(self) -> None:
        items = self.db.ask("Scan", TableName=TABLE)["Items"]
        assert {key_of(item): item for item in items} == self.model
        assert len(items) == len(self.model)

    @invariant()
    def each_index_is_the_dict_in_another_order(self) -> None:
        for partition in PARTITIONS:
            found = self._query_index("by_local", "pk", {"S": partition})
            expected = [i for i in self.model.values() if i["pk"]["S"] == partition and "local" in i]
            names = {"pk", "sk", "local"}
            assert _sorted(found) == _sorted([{n: i[n] for n in names} for i in expected])
            texts = [item["local"]["S"].encode() for item in found]
            assert texts == sorted(texts)
        for group in ["-2", "0", "1", "1.5", "20"]:
            found = self._query_index("by_group", "group", {"N": group})
            expected = [item for item in self.model.values() if item.get("group") == {"N": group}]
            assert _sorted(found) == _sorted(expected)
            places = [Decimal(item["sk"]["N"]) for item in found]
            assert places == sorted(places)
        if self._late_status() == "ACTIVE":
            found = self.db.ask("Scan", TableName=TABLE, IndexName="late")["Items"]
            names = {"pk", "sk", "late", "n"}
            expected = [
                {name: value for name, value in item.items() if name in names}
                for item in self.model.values()
                if "late" in item
            ]
            assert _sorted(found) == _sorted(expected)

    def _query_index(self, name: str, attribute: str, value: dict[str, str]) -> list[Item]:
        items: list[Item] = self.db.ask(
            "Query",
            TableName=TABLE,
            IndexName=name,
            KeyConditionExpression="#k = :v",
            ExpressionAttributeNames={"#k": attribute},
            ExpressionAttributeValues={":v": value},
        )["Items"]
        return items

    @invariant()
    def the_stream_replays_to_the_dict(self) -> None:
        shards = self.db.ask("DescribeStream", StreamArn=self.arn)["StreamDescription"]["Shards"]
        for shard in shards:
            for record in self._new_records(shard["ShardId"]):
                self._replay(record)
        assert self.replayed == self.model

    def _new_records(self, shard: str) -> list[dict[str, Any]]:
        place: dict[str, Any] = {"StreamArn": self.arn, "ShardId": shard, "ShardIteratorType": "TRIM_HORIZON"}
        if shard in self.after:
            place |= {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "SequenceNumber": self.after[shard]}
        iterator = self.db.ask("GetShardIterator", **place)["ShardIterator"]
        records: list[dict[str, Any]] = self.db.ask("GetRecords", ShardIterator=iterator)["Records"]
        if records:
            self.after[shard] = records[-1]["dynamodb"]["SequenceNumber"]
        return records

    def _replay(self, record: dict[str, Any]) -> None:
        change = record["dynamodb"]
        key = key_of(change["Keys"])
        old, new = change.get("OldImage"), change.get("NewImage")
        assert old == self.replayed.get(key)
        assert old != new, "a write that changes nothing leaves no record"
        assert record["eventName"] == ("INSERT" if old is None else "REMOVE" if new is None else "MODIFY")
        if new is None:
            del self.replayed[key]
        else:
            self.replayed[key] = new

    @invariant()
    def check_finds_nothing(self) -> None:
        assert check(self.db.store).findings == []


def _sorted(items: list[Item]) -> list[Item]:
    return sorted(items, key=lambda item: (item["pk"]["S"], Decimal(item["sk"]["N"])))


SETTINGS = settings(
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
)


# Why: issue text: a Hypothesis state machine of the engine against a plain dict. A failure prints its history.
def test_any_history_of_requests_leaves_what_a_dict_would_hold() -> None:
    run_state_machine_as_test(Engine, settings=settings(SETTINGS, max_examples=120, stateful_step_count=30))


# Why: the same, long enough for what takes many steps to come about.
@pytest.mark.long
def test_any_long_history_of_requests_leaves_what_a_dict_would_hold() -> None:
    run_state_machine_as_test(Engine, settings=settings(SETTINGS, max_examples=500, stateful_step_count=60))
