"""AWS on a bad day as a whole: random requests under a random seed, and a checker that knows every state there was.

The checker holds what was acknowledged, write by write. An answer is one that AWS could give when
    a refusal      is an error that the service model lists for the action (or throttling), and nothing was written
    a fresh read   shows the state of now
    a stale read   shows, of one partition, one of its states within the last `lag_writes` writes
    a part of a batch that is not called unprocessed is done, and the rest is not
and at the end the table, its index, `check` and the stream say the same as the checker.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import pytest
from tests.botocore_model import model, response_faults
from tests.reading_streams import iterator, shards_of
from tests.tables import definitions, index, table_request

from penstock.database.check import check
from penstock.database.weather import Weather
from penstock.testing import replayable, seeds
from penstock.testing.databases import MemoryDatabase

Request = dict[str, Any]
State = dict[tuple[str, str], Request]  # (pk, sk) -> item

PARTITIONS, SORTS, GROUPS = "abc", "12345", "xy"
THROTTLED = {"ThrottlingException", "ProvisionedThroughputExceededException"}


def key(pk: str, sk: str) -> Request:
    return {"pk": {"S": pk}, "sk": {"S": sk}}


class Checker:
    """Random requests against one database, each answer held to what AWS could have said."""

    def __init__(self, seed: int, random: Random) -> None:
        self.random = random
        self.weather = Weather(seed=seed, shard_splits=0.05, conflicts=0.1)
        self.db = MemoryDatabase(weather=self.weather)
        self.states: list[State] = [{}]  # After each acknowledged write, the newest last;
        self.indexed: list[State] = [
            {}
        ]  # and what of them is in the index, after each write that changed it.
        self.value = 0
        self.errors: set[str] = set()
        request = table_request(
            keys="pk sk",
            AttributeDefinitions=definitions(pk="S", sk="S", g="S"),
            GlobalSecondaryIndexes=[index("by_g", "g", "sk")],
            StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
        )
        while self.call("CreateTable", request) is None:
            pass
        while (self.call("DescribeTable", {"TableName": "music"}) or request).get("Table", {}).get(
            "TableStatus"
        ) != "ACTIVE":
            pass

    @property
    def now(self) -> State:
        return self.states[-1]

    def call(self, action: str, request: Request, *expected: str) -> Request | None:
        """The answer; None where it is a refusal that AWS may give at any time."""
        service = "dynamodbstreams" if action in model("dynamodbstreams")["operations"] else "dynamodb"
        status, reply = self.db.call(action, request)
        if status == 200:
            assert response_faults(service, action, reply) == []
            return reply
        code = reply["__type"].rpartition("#")[2]
        listed = {error["shape"] for error in model(service)["operations"][action].get("errors", [])}
        assert code in listed | THROTTLED, (action, reply)
        assert code in THROTTLED | set(expected), (action, reply)
        self.errors.add(code)
        return None

    def step(self) -> None:
        steps: list[Callable[[], None]] = [
            self.put,
            self.put,
            self.update,
            self.delete,
            self.batch_write,
            self.transact,
            self.get,
            self.batch_get,
            self.query,
            self.query_index,
            self.scan,
        ]
        self.random.choice(steps)()

    # Writes.

    def fresh_item(self, pk: str, sk: str) -> Request:
        self.value += 1
        item = key(pk, sk) | {"v": {"N": str(self.value)}}
        return item | ({"g": {"S": self.random.choice(GROUPS)}} if self.random.random() < 0.8 else {})

    def anywhere(self) -> tuple[str, str]:
        return self.random.choice(PARTITIONS), self.random.choice(SORTS)

    def wrote(self, changes: dict[tuple[str, str], Request | None]) -> None:
        after = {at: item for at, item in self.now.items() if at not in changes}
        after |= {at: item for at, item in changes.items() if item is not None}
        if after != self.now:
            self.states.append(after)
        entries = {at: item for at, item in after.items() if "g" in item}
        if entries != self.indexed[-1]:
            self.indexed.append(entries)

    def put(self) -> None:
        at = self.anywhere()
        item = self.fresh_item(*at)
        request: Request = {"TableName": "music", "Item": item, "ReturnValues": "ALL_OLD"}
        condition = self.random.random() < 0.5
        if condition:
            request["ConditionExpression"] = "attribute_not_exists(pk)"
        refusals = ["TransactionConflictException"]
        if condition and at in self.now:
            refusals.append("ConditionalCheckFailedException")
        reply = self.call("PutItem", request, *refusals)
        if reply is not None:
            assert not (condition and at in self.now)
            assert reply.get("Attributes") == self.now.get(at)
            self.wrote({at: item})

    def update(self) -> None:
        at = self.anywhere()
        request: Request = {
            "TableName": "music",
            "Key": key(*at),
            "UpdateExpression": "ADD n :one",
            "ExpressionAttributeValues": {":one": {"N": "1"}},
            "ReturnValues": "ALL_NEW",
        }
        reply = self.call("UpdateItem", request, "TransactionConflictException")
        if reply is not None:
            before = self.now.get(at, key(*at))
            count = int(before.get("n", {"N": "0"})["N"]) + 1
            assert reply["Attributes"] == before | {"n": {"N": str(count)}}
            self.wrote({at: reply["Attributes"]})

    def delete(self) -> None:
        at = self.anywhere()
        request = {"TableName": "music", "Key": key(*at), "ReturnValues": "ALL_OLD"}
        reply = self.call("DeleteItem", request, "TransactionConflictException")
        if reply is not None:
            assert reply.get("Attributes") == self.now.get(at)
            self.wrote({at: None})

    def batch_write(self) -> None:
        changes: dict[tuple[str, str], Request | None] = {}
        for _ in range(self.random.randint(1, 6)):
            at = self.anywhere()
            changes[at] = self.fresh_item(*at) if self.random.random() < 0.7 else None
        writes = [
            {"DeleteRequest": {"Key": key(*at)}} if item is None else {"PutRequest": {"Item": item}}
            for at, item in changes.items()
        ]
        reply = self.call("BatchWriteItem", {"RequestItems": {"music": writes}})
        if reply is None:
            return
        left = reply["UnprocessedItems"].get("music", [])
        assert all(write in writes for write in left)
        assert len(left) < len(writes)
        self.wrote({at: changes[at] for at, write in zip(changes, writes, strict=True) if write not in left})

    def transact(self) -> None:
        places = {self.anywhere() for _ in range(self.random.randint(1, 4))}
        changes: dict[tuple[str, str], Request | None] = {at: self.fresh_item(*at) for at in sorted(places)}
        actions = [{"Put": {"TableName": "music", "Item": item}} for item in changes.values()]
        reply = self.call("TransactWriteItems", {"TransactItems": actions}, "TransactionCanceledException")
        if reply is not None:
            self.wrote(changes)

    # Reads.

    def recent(self) -> list[State]:
        """The states that a replica may show."""
        return self.states[-1 - self.weather.lag_writes :]

    def states_for(self, consistent: bool) -> list[State]:
        return [self.now] if consistent else self.recent()

    def get(self) -> None:
        at, consistent = self.anywhere(), self.random.random() < 0.5
        request = {"TableName": "music", "Key": key(*at), "ConsistentRead": consistent}
        reply = self.call("GetItem", request)
        if reply is not None:
            assert reply.get("Item") in [state.get(at) for state in self.states_for(consistent)]

    def batch_get(self) -> None:
        places = sorted({self.anywhere() for _ in range(self.random.randint(1, 6))})
        consistent = self.random.random() < 0.5
        keys = [key(*at) for at in places]
        request = {"RequestItems": {"music": {"Keys": keys, "ConsistentRead": consistent}}}
        reply = self.call("BatchGetItem", request)
        if reply is None:
            return
        left = reply["UnprocessedKeys"].get("music", {}).get("Keys", [])
        assert len(left) < len(keys)
        found = {place(item): item for item in reply["Responses"].get("music", [])}
        assert not found.keys() & {place(one) for one in left}
        for at in places:
            if key(*at) not in left:
                assert found.get(at) in [state.get(at) for state in self.states_for(consistent)]

    def query(self) -> None:
        pk, consistent, forward = (
            self.random.choice(PARTITIONS),
            self.random.random() < 0.5,
            self.random.random() < 0.5,
        )
        request = {
            "TableName": "music",
            "KeyConditionExpression": "pk = :pk",
            "ExpressionAttributeValues": {":pk": {"S": pk}},
            "ConsistentRead": consistent,
            "ScanIndexForward": forward,
        }
        reply = self.call("Query", request)
        if reply is not None:
            wholes = [of_partition(state, pk, forward) for state in self.states_for(consistent)]
            assert any(is_page(reply, whole) for whole in wholes), (reply, wholes)

    def query_index(self) -> None:
        group = self.random.choice(GROUPS)
        request = {
            "TableName": "music",
            "IndexName": "by_g",
            "KeyConditionExpression": "g = :g",
            "ExpressionAttributeValues": {":g": {"S": group}},
        }
        reply = self.call("Query", request)
        if reply is not None:
            # Writes that leave the index alone do not count as its lag.
            recent = self.indexed[-1 - self.weather.lag_writes :]
            wholes = [of_group(state, group) for state in recent]
            assert any(is_page(reply, whole) for whole in wholes), (reply, wholes[-5:])

    def scan(self) -> None:
        consistent = self.random.random() < 0.5
        reply = self.call("Scan", {"TableName": "music", "ConsistentRead": consistent})
        if reply is None:
            return
        found: dict[str, list[Request]] = {pk: [] for pk in PARTITIONS}
        for item in reply["Items"]:
            found[item["pk"]["S"]].append(item)
        # Where the page was cut, the partition that was cut is not whole, and others are missing.
        last = reply.get("LastEvaluatedKey", {}).get("pk", {}).get("S")
        for pk, items in found.items():
            wholes = [of_partition(state, pk, True) for state in self.states_for(consistent)]
            if last is None or (items and pk != last):
                assert items in wholes
            elif pk == last:
                assert any(items == whole[: len(items)] for whole in wholes)

    # The end.

    def everything(self, index_name: str | None = None) -> list[Request]:
        """All items, page by page, however often it takes."""
        items: list[Request] = []
        start: Request = {}
        where: Request = {"IndexName": index_name} if index_name else {"ConsistentRead": True}
        while True:
            reply = self.call("Scan", {"TableName": "music", **where, **start})
            if reply is None:
                continue
            items += reply["Items"]
            if "LastEvaluatedKey" not in reply:
                return items
            start = {"ExclusiveStartKey": reply["LastEvaluatedKey"]}

    def finish(self) -> None:
        def sort(found: list[Request]) -> list[Request]:
            return sorted(found, key=place)

        assert sort(self.everything()) == sort(list(self.now.values()))
        self.db.pass_time(self.weather.lag_s + 1)
        assert sort(self.everything("by_g")) == sort(list(self.indexed[-1].values()))
        assert check(self.db.store).sound
        self.check_stream()

    def check_stream(self) -> None:
        seen: dict[tuple[str, str], list[Any]] = {}
        for record in self.consumed():
            body = record["dynamodb"]
            at = place(body["Keys"])
            images = seen.setdefault(at, [None])
            assert body.get("OldImage") == images[-1]
            images.append(body.get("NewImage"))
        expected: dict[tuple[str, str], list[Any]] = {}
        for state in self.states:
            for at in state.keys() | expected.keys():
                images = expected.setdefault(at, [None])
                if state.get(at) != images[-1]:
                    images.append(state.get(at))
        assert {at: images for at, images in seen.items() if len(images) > 1} == expected

    def consumed(self) -> list[Request]:
        """Every record, parents before children, from positions alone wherever an iterator is lost."""
        reply = None
        while reply is None:
            reply = self.call("ListStreams", {"TableName": "music"})
        arn = reply["Streams"][0]["StreamArn"]
        records: list[Request] = []
        calm = MemoryDatabase(self.db.store, self.db.clock)
        for shard in shards_of(calm, arn):  # Their numbers ascend: parents come first.
            own: list[Request] = []
            at: str | None = None
            while True:
                if at is None:
                    after = {"SequenceNumber": own[-1]["dynamodb"]["SequenceNumber"]} if own else {}
                    kind = "AFTER_SEQUENCE_NUMBER" if own else "TRIM_HORIZON"
                    at = iterator(calm, arn, shard["ShardId"], kind, **after)
                page = self.call("GetRecords", {"ShardIterator": at, "Limit": 7}, "ExpiredIteratorException")
                if page is None:
                    at = None
                    continue
                own += page["Records"]
                at = page.get("NextShardIterator")
                if at is None or not page["Records"]:
                    break
            records += own
        return records


def place(item: Request) -> tuple[str, str]:
    return item["pk"]["S"], item["sk"]["S"]


def of_partition(state: State, pk: str, forward: bool) -> list[Request]:
    return [state[at] for at in sorted(state, reverse=not forward) if at[0] == pk]


def of_group(state: State, group: str) -> list[Request]:
    found = [item for item in state.values() if item.get("g") == {"S": group}]
    return sorted(found, key=lambda item: (item["sk"]["S"], item["pk"]["S"]))


def is_page(reply: Request, whole: list[Request]) -> bool:
    """A page is the beginning of what there is, and says so unless it is all of it."""
    items = reply["Items"]
    if "LastEvaluatedKey" not in reply:
        return bool(items == whole)
    return (
        bool(items) and items == whole[: len(items)] and place(items[-1]) == place(reply["LastEvaluatedKey"])
    )


# Why: --like-aws is only worth its name if no answer is impossible on AWS; one that is would send somebody hunting a
# bug that they do not have.
@pytest.mark.parametrize("seed", seeds(30))
def test_every_answer_is_one_that_aws_could_give_and_nothing_acknowledged_is_lost(seed: int) -> None:
    with replayable(seed) as random:
        checker = Checker(seed, random)
        for _ in range(250):
            checker.step()
            checker.db.clock.advance(random.choice([0, 0.001, 0.05]))
        checker.finish()
        assert "ThrottlingException" in checker.errors


# Why: a failure that a bad day caused must be seen again, with the same seed and the same requests.
@pytest.mark.parametrize("seed", seeds(5))
def test_the_same_seed_and_the_same_requests_give_the_same_answers(seed: int) -> None:
    def answers(weather: int) -> list[Any]:
        with replayable(seed) as random:
            checker = Checker(weather, random)
            heard: list[Any] = []
            call = checker.db.call
            checker.db.call = lambda action, request: heard.append(got := call(action, request)) or got  # type: ignore
            for _ in range(120):
                checker.step()
            return heard

    assert answers(seed) == answers(seed)
    assert answers(seed) != answers(seed + 1)
