"""What `penstock crash-test` writes, and how it knows what must be there afterwards.

Each writer has a partition of its own, so it alone knows what its items are, and a random generator of its own, so
the requests follow from the seed. (When a kill falls between them does not: that is the machine's.)

W1. Acknowledged: the answer came. Such an item must be there as it was written, until a later write changes it.
W2. Under way: the kill came first. Such a write is there whole or not at all; all actions of a transaction together,
    each put of a batch by itself.
W3. After a kill the writer believes what it found, and goes on from there.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Any

from penstock.connect.client import Client
from penstock.connect.http import HttpTransport, NoAnswer, address_of
from penstock.connect.json_caller import JsonCaller
from penstock.connect.retries import Retries

TABLE = "crash-test"
ITEMS = 24  # Of each writer: few enough that writes meet items that are there.
Item = dict[str, dict[str, Any]]


def patient_client(url: str) -> Client:
    """One that does not send a request again: whether the first was carried out is what is to be found out."""
    return Client(JsonCaller(HttpTransport(address_of(url), retries=Retries(attempts_max=1))))


def create_table(client: Client) -> None:
    """A table with everything that a write has to keep in step: both kinds of index, and a stream."""
    client.create_table(
        TableName=TABLE,
        AttributeDefinitions=[
            {"AttributeName": name, "AttributeType": type_}
            for name, type_ in (("writer", "S"), ("place", "N"), ("score", "N"), ("color", "S"))
        ],
        KeySchema=_schema("writer", "place"),
        LocalSecondaryIndexes=[_index("by_score", "writer", "score", "ALL")],
        GlobalSecondaryIndexes=[_index("by_color", "color", "score", "KEYS_ONLY")],
        BillingMode="PAY_PER_REQUEST",
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
    )


def _index(name: str, partition: str, sort: str, projection: str) -> dict[str, Any]:
    return {
        "IndexName": name,
        "KeySchema": _schema(partition, sort),
        "Projection": {"ProjectionType": projection},
    }


def _schema(partition: str, sort: str) -> list[dict[str, str]]:
    return [
        {"AttributeName": partition, "KeyType": "HASH"},
        {"AttributeName": sort, "KeyType": "RANGE"},
    ]


@dataclass
class UnderWay:
    """A write without an answer: what each item becomes if it was carried out; None where it goes."""

    items: dict[int, Item | None]
    together: bool


@dataclass
class Writer:
    """One connection's worth of load, and the memory of it."""

    name: str
    random: Random
    items: dict[int, Item] = field(default_factory=dict)
    under_way: UnderWay | None = None
    acknowledged: int = 0

    def write(self, client: Client) -> bool:
        """One request; False where the server went away before it answered."""
        kind = self.random.choice(["put", "put", "update", "delete", "batch", "transact"])
        places = self.random.sample(range(ITEMS), 1 if kind in ("put", "update", "delete") else 3)
        becomes: dict[int, Item | None] = {place: self._new(place, kind) for place in places}
        self.under_way = UnderWay(becomes, kind != "batch")
        try:
            self._send(client, kind, becomes)
        except NoAnswer:
            return False
        self._believe(becomes)
        self.under_way = None
        self.acknowledged += 1
        return True

    def _new(self, place: int, kind: str) -> Item | None:
        if kind == "delete" or (kind != "update" and self.random.random() < 0.15):
            return None
        old = self.items.get(place, {}) if kind == "update" else {}
        item: Item = {**old, **self._key(place), "score": {"N": str(self.random.randrange(1000))}}
        item["color"] = {"S": self.random.choice(["red", "green", "blue"])}
        if kind != "update":
            item["text"] = {"S": "x" * self.random.choice([0, 50, 900, 5000])}
            if self.random.random() < 0.3:
                del item["color"]  # A sparse index: no entry.
        return item

    def _key(self, place: int) -> Item:
        return {"writer": {"S": self.name}, "place": {"N": str(place)}}

    def _send(self, client: Client, kind: str, becomes: dict[int, Item | None]) -> None:
        if kind == "batch":
            requests = [
                {"PutRequest": {"Item": item}} if item else {"DeleteRequest": {"Key": self._key(place)}}
                for place, item in becomes.items()
            ]
            client.batch_write_item(RequestItems={TABLE: requests})
        elif kind == "transact":
            actions = [
                {"Put": {"TableName": TABLE, "Item": item}}
                if item
                else {"Delete": {"TableName": TABLE, "Key": self._key(place)}}
                for place, item in becomes.items()
            ]
            client.transact_write_items(TransactItems=actions)
        else:
            [(place, new)] = becomes.items()
            self._send_one(client, kind, place, new)

    def _send_one(self, client: Client, kind: str, place: int, new: Item | None) -> None:
        if new is None:
            client.delete_item(TableName=TABLE, Key=self._key(place))
        elif kind == "put":
            client.put_item(TableName=TABLE, Item=new)
        else:
            client.update_item(
                TableName=TABLE,
                Key=self._key(place),
                UpdateExpression="SET score = :score, color = :color",
                ExpressionAttributeValues={":score": new["score"], ":color": new["color"]},
            )

    def _believe(self, items: dict[int, Item | None]) -> None:
        for place, item in items.items():
            if item is None:
                self.items.pop(place, None)
            else:
                self.items[place] = item

    def look_up(self, client: Client) -> tuple[bool, list[str]]:
        """After a kill: whether the write under way is there, and everything that is not as it must be (W1, W2)."""
        page = client.query(
            TableName=TABLE,
            KeyConditionExpression="writer = :writer",
            ExpressionAttributeValues={":writer": {"S": self.name}},
            ConsistentRead=True,
        )
        found: dict[int, Item] = {int(item["place"]["N"]): item for item in page["Items"]}
        under_way, self.under_way = self.under_way, None
        becomes = under_way.items if under_way is not None else {}
        wrong = [
            f"{self.name}/{place}: acknowledged {_short(self.items.get(place))}, found {_short(found.get(place))}"
            for place in range(ITEMS)
            if place not in becomes and found.get(place) != self.items.get(place)
        ]
        carried_out = [found.get(place) == item for place, item in becomes.items()]
        left_out = [found.get(place) == self.items.get(place) for place in becomes]
        together = under_way is not None and under_way.together
        each = all(map(max, carried_out, left_out))
        if not (all(carried_out) or all(left_out) if together else each):
            wrong.append(f"{self.name}: a write under way is there in part: places {sorted(becomes)}")
        self.items = found
        return bool(becomes) and all(carried_out), wrong


def _short(item: Item | None) -> str:
    return "nothing" if item is None else str({name: str(value)[:40] for name, value in item.items()})


class Replay:
    """The table as its change stream tells it, followed from kill to kill: it never takes a change back."""

    def __init__(self) -> None:
        self.items: dict[tuple[str, str], Item] = {}
        self._last = ""

    def follow(self, client: Client) -> list[str]:
        """Read what is new. A record whose old image is not what the replay holds means one is missing or doubled."""
        wrong = []
        for record in self._records(client):
            change = record["dynamodb"]
            key = (change["Keys"]["writer"]["S"], change["Keys"]["place"]["N"])
            if change.get("OldImage") != self.items.get(key):
                wrong.append(
                    f"stream, {key}, {change['SequenceNumber']}: the old image is not the last new one"
                )
            if "NewImage" in change:
                self.items[key] = change["NewImage"]
            else:
                self.items.pop(key, None)
            self._last = change["SequenceNumber"]
        return wrong

    def _records(self, client: Client) -> Iterator[dict[str, Any]]:
        arn = client.describe_table(TableName=TABLE)["Table"]["LatestStreamArn"]
        [shard] = client.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]
        place = {"StreamArn": arn, "ShardId": shard["ShardId"]}
        if self._last:
            at = client.get_shard_iterator(
                **place, ShardIteratorType="AFTER_SEQUENCE_NUMBER", SequenceNumber=self._last
            )
        else:
            at = client.get_shard_iterator(**place, ShardIteratorType="TRIM_HORIZON")
        iterator = at["ShardIterator"]
        while True:
            page = client.get_records(ShardIterator=iterator)
            if not page["Records"]:
                return
            yield from page["Records"]
            iterator = page["NextShardIterator"]

    def compare(self, writers: list[Writer]) -> list[str]:
        """The replay holds what the table holds; `look_up` must have run."""
        held = {(writer.name, str(place)): item for writer in writers for place, item in writer.items.items()}
        return [
            f"stream, {key}: replayed {_short(self.items.get(key))}, the table has {_short(held.get(key))}"
            for key in sorted(held.keys() | self.items.keys())
            if held.get(key) != self.items.get(key)
        ]
