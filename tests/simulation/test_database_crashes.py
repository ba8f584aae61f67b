"""The database over a store that dies at every write and at every sync, opened again and checked.

A history is a list of requests, syncs and slices of background work, made from a seed. It runs once for each place
where it can die. What is found afterwards must be what the requests up to some point leave in a dict, and that point
lies behind everything that anybody was told: an answer, an item that was read, a record of the stream.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Any

import pytest
from tests.reading_streams import id_of, iterator, read_shard, shards_of
from tests.tables import definitions, index, table_request

from penstock.database.check import check
from penstock.operations.dynamodb.arns import stream_arn
from penstock.store.gathering import GatheringStore
from penstock.testing import Disk, Faults, FaultyStore, ManualClock, PowerLoss, replayable, seeds
from penstock.testing.databases import MemoryDatabase

Request = dict[str, Any]
Items = dict[str, Request]
State = dict[str, Items]  # Table → key → item.
KEYS = ["a", "b", "c", "d"]

PLAIN = table_request("plain")
RICH = table_request(
    "rich",
    AttributeDefinitions=definitions(pk="S", group="S", n="N"),
    GlobalSecondaryIndexes=[index("by_group", "group", "n")],
    StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
)
LATE = {
    "TableName": "rich",
    "AttributeDefinitions": definitions(pk="S", group="S", n="N"),
    "GlobalSecondaryIndexUpdates": [{"Create": index("late", "n")}],
}
KINDS = (
    *["put", "put", "delete", "add", "add", "batch", "transact", "refused", "get", "get"],
    *["sync", "sync", "sync", "tick", "consume", "consume", "index", "table"],
)


@dataclass
class Step:
    """A request (`action` is AWS's), or "sync", "tick", "consume"."""

    action: str
    request: Request = field(default_factory=dict)

    @property
    def is_request(self) -> bool:
        return self.action[0].isupper()


def key_json(key: str) -> Request:
    return {"pk": {"S": key}}


def random_item(random: Random, key: str) -> Request:
    item = {**key_json(key), "n": {"N": str(random.randrange(5))}}
    if random.random() < 0.7:
        item["group"] = {"S": random.choice("xyz")}
    if random.random() < 0.2:
        item["text"] = {"S": "t" * random.choice([10, 2000])}
    return item


def random_history(random: Random) -> list[Step]:
    """Valid requests only: what is refused writes nothing."""
    steps = [Step("CreateTable", PLAIN), Step("CreateTable", RICH)]
    has_late, tokens = False, 0
    for _ in range(random.randint(5, 28)):
        table, key = random.choice(["plain", "rich", "rich"]), random.choice(KEYS)
        kind = random.choice(KINDS)
        match kind:
            case "put":
                steps.append(Step("PutItem", {"TableName": table, "Item": random_item(random, key)}))
            case "delete":
                steps.append(Step("DeleteItem", {"TableName": table, "Key": key_json(key)}))
            case "add":
                steps.append(Step("UpdateItem", adding(table, key)))
            case "batch":
                puts = [{"PutRequest": {"Item": random_item(random, key)}} for key in random.sample(KEYS, 3)]
                steps.append(Step("BatchWriteItem", {"RequestItems": {"plain": puts[:1], "rich": puts[1:]}}))
            case "transact":
                tokens += 1
                steps.append(Step("TransactWriteItems", random_transaction(random, tokens)))
            case "refused":
                never = {
                    **adding(table, key),
                    "ConditionExpression": "attribute_exists(pk) AND attribute_not_exists(pk)",
                }
                steps.append(Step("UpdateItem", never))
            case "get":
                steps.append(Step("GetItem", {"TableName": table, "Key": key_json(key)}))
            case "index" if not has_late:
                has_late = True
                steps.append(Step("UpdateTable", LATE))
            case "table":
                steps += [Step("DeleteTable", {"TableName": "plain"}), Step("CreateTable", PLAIN)]
            case "sync" | "tick" | "consume":
                steps.append(Step(kind))
    return steps


def adding(table: str, key: str) -> Request:
    """One more, where it is carried out: a request that is carried out twice shows."""
    return {
        "TableName": table,
        "Key": key_json(key),
        "UpdateExpression": "ADD n :one",
        "ExpressionAttributeValues": {":one": {"N": "1"}},
    }


def random_transaction(random: Random, number: int) -> Request:
    first, second, third = random.sample(KEYS, 3)
    actions = [
        {"Update": adding("rich", first)},
        {"Update": adding("plain", second)},
        {"Put": {"TableName": "rich", "Item": random_item(random, third)}},
    ]
    return {"TransactItems": actions, "ClientRequestToken": f"token-{number}"}


def carried_out(state: State, step: Step) -> State:
    """What a dict holds after the request."""
    after = {table: dict(items) for table, items in state.items()}
    request = step.request
    match step.action:
        case "CreateTable":
            after[request["TableName"]] = {}
        case "DeleteTable":
            del after[request["TableName"]]
        case "PutItem":
            put(after, request)
        case "DeleteItem":
            after[request["TableName"]].pop(request["Key"]["pk"]["S"], None)
        case "UpdateItem" if "ConditionExpression" not in request:
            add(after, request)
        case "BatchWriteItem":
            for table, writes in request["RequestItems"].items():
                for write in writes:
                    put(after, {"TableName": table, **write["PutRequest"]})
        case "TransactWriteItems":
            for action in request["TransactItems"]:
                if "Put" in action:
                    put(after, action["Put"])
                else:
                    add(after, action["Update"])
    return after


def put(state: State, request: Request) -> None:
    state[request["TableName"]][request["Item"]["pk"]["S"]] = request["Item"]


def add(state: State, request: Request) -> None:
    items, key = state[request["TableName"]], request["Key"]["pk"]["S"]
    old = items.get(key, key_json(key))
    items[key] = {**old, "n": {"N": str(int(old.get("n", {"N": "0"})["N"]) + 1)}}


def touched(step: Step) -> list[tuple[str, str]]:
    """Table and key of each item that a request reads or writes; none for a request about a table."""
    request = step.request
    if step.action == "BatchWriteItem":
        return [
            (table, write["PutRequest"]["Item"]["pk"]["S"])
            for table, writes in request["RequestItems"].items()
            for write in writes
        ]
    each = [request]
    if step.action == "TransactWriteItems":
        each = [inner for action in request["TransactItems"] for inner in action.values()]
    return [
        (one["TableName"], (one.get("Key") or one["Item"])["pk"]["S"])
        for one in each
        if "Key" in one or "Item" in one
    ]


class FlakyStore(FaultyStore):
    """One whose syncs fail now and then, before the power goes at last."""

    def __init__(self, disk: Disk, faults: Faults) -> None:
        super().__init__(disk, faults)
        self._flaws = Random(faults.seed)

    def sync(self) -> None:
        if self._flaws.random() < 0.4:
            self.fail_syncs(1)
        super().sync()


@dataclass
class Run:
    """A history as far as it came, and how far back nothing may be lost."""

    flaky: bool = False
    states: list[State] = field(default_factory=lambda: [{}])  # After each request that was started.
    told: int = 0  # Everything up to this request was told to somebody.
    waiting: list[tuple[int, list[tuple[int, Request]]]] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)  # Sequence numbers that a consumer of the stream has read.
    tokens: list[tuple[int, Request]] = field(default_factory=list)

    def carry_on(self, db: MemoryDatabase, history: list[Step]) -> None:
        for step in history:
            if step.action == "sync":
                db.sync()
            elif step.action == "tick":
                db.clock.advance(1.5)
                db.tick()
            elif step.action == "consume":
                self._consume(db)
            else:
                self._ask(db, step)
            self._listen()

    def _ask(self, db: MemoryDatabase, step: Step) -> None:
        # Appended before the call: a request during which the power went may have been carried out.
        self.states.append(carried_out(self.states[-1], step))
        number = len(self.states) - 1
        if step.action == "TransactWriteItems":
            self.tokens.append((number, step.request))
        self.waiting.append((self._told_by(step, number), db.start(step.action, **step.request)))

    def _told_by(self, step: Step, number: int) -> int:
        """An answer tells of what made its items what they are: a write that changes nothing, of an older one."""
        items = touched(step)
        return max(self._last_change(*item) for item in items) if items else number

    def _last_change(self, table: str, key: str) -> int:
        current = self.states[-1].get(table, {}).get(key)
        number = len(self.states) - 1
        while number > 0 and self.states[number - 1].get(table, {}).get(key) == current:
            number -= 1
        return number

    def _listen(self) -> None:
        for number, answers in self.waiting:
            if answers:
                [(status, reply)] = answers
                if self.flaky and status == 500:
                    continue  # Whether it was carried out is told to nobody.
                assert status == 200 or reply["__type"].endswith("ConditionalCheckFailedException"), reply
                self.told = max(self.told, number)
        self.waiting = [(number, answers) for number, answers in self.waiting if not answers]

    def _consume(self, db: MemoryDatabase) -> None:
        """Read the stream as it is now. It asks for nothing that would wait for a sync."""
        for stream in db.database.view.streams():
            arn = stream_arn(db.database.context(), stream)
            self.seen = sequences_of(read_shard(db, iterator(db, arn, id_of(db, 0, "rich"), "TRIM_HORIZON")))


def sequences_of(records: list[Request]) -> list[str]:
    return [record["dynamodb"]["SequenceNumber"] for record in records]


def state_of(db: MemoryDatabase) -> State:
    return {
        name: {item["pk"]["S"]: item for item in db.ask("Scan", TableName=name)["Items"]}
        for name in db.ask("ListTables")["TableNames"]
    }


def replayed(db: MemoryDatabase) -> tuple[Items, list[str]]:
    """`rich` as its stream tells it, and the numbers of the records."""
    arn = db.ask("DescribeTable", TableName="rich")["Table"]["LatestStreamArn"]
    [shard] = shards_of(db, arn)
    records = read_shard(db, iterator(db, arn, shard["ShardId"], "TRIM_HORIZON"))
    items: Items = {}
    for record in records:
        change, key = record["dynamodb"], record["dynamodb"]["Keys"]["pk"]["S"]
        assert change.get("OldImage") == items.get(key)
        if "NewImage" in change:
            items[key] = change["NewImage"]
        else:
            del items[key]
    return items, sequences_of(records)


def check_all(db: MemoryDatabase, run: Run) -> int:
    """Everything that must hold after the store was opened again; the point that the data is at."""
    assert check(db.store).findings == []
    state = state_of(db)
    points = [point for point in range(run.told, len(run.states)) if run.states[point] == state]
    assert points, f"told up to {run.told}; found {state}"
    if "rich" in state:
        items, numbers = replayed(db)
        assert items == state["rich"]
        assert numbers[: len(run.seen)] == run.seen, "a record that a consumer saw is gone"
    else:
        assert not run.seen
    return points[-1]


def deaths(
    history: list[Step], seed: int, power: bool, gathered: bool = False, flaky: bool = False
) -> Iterator[tuple[Run, Disk, ManualClock]]:
    """The history once for each write and sync at which it can die, and at last to its end. `gathered`: as `penstock serve`
    writes, many batches as one. `flaky`: syncs fail before."""
    die_at, died = 0, True
    while died:
        die_at += 1
        disk, clock, run, died = Disk(), ManualClock(), Run(flaky=flaky), False
        store = (FlakyStore if flaky else FaultyStore)(disk, Faults(die_at, seed * 1000 + die_at, power))
        try:
            run.carry_on(MemoryDatabase(GatheringStore(store) if gathered else store, clock), history)
        except PowerLoss:
            died = True
        else:
            store.power_off()
        yield run, disk, clock


def crash_everywhere(seed: int, power: bool, gathered: bool = False, flaky: bool = False) -> None:
    with replayable(seed) as random:
        history = random_history(random)
        lives = 0
        for run, disk, clock in deaths(history, seed, power, gathered, flaky):
            lives += 1
            db = MemoryDatabase(FaultyStore(disk), clock)
            point = check_all(db, run)
            send_tokens_again(db, run, point)
            carry_on_after(db, random_history(random))
        # A group of many batches is one place to die at; without groups each table made is one.
        assert flaky or lives > (1 if gathered else len([s for s in history if s.action == "CreateTable"]))


def send_tokens_again(db: MemoryDatabase, run: Run, point: int) -> None:
    """A client that was not answered sends its transaction again: it is carried out once, whatever had become of it."""
    if not run.tokens or run.states[point].keys() < {"plain", "rich"}:
        return
    number, request = run.tokens[-1]
    before = state_of(db)
    assert db.call("TransactWriteItems", request)[0] == 200
    again = carried_out(before, Step("TransactWriteItems", request))
    assert state_of(db) == (before if number <= point else again)


def carry_on_after(db: MemoryDatabase, history: list[Step]) -> None:
    """The database lives on: more requests, background work to its end, and everything still agrees."""
    there = state_of(db)
    run = Run(states=[there])
    usable = [
        step
        for step in history
        if not step.is_request
        or (step.action in ("PutItem", "DeleteItem", "UpdateItem") and step.request["TableName"] in there)
    ]
    run.carry_on(db, usable)
    db.settle()
    for _ in range(4):
        db.pass_time(1.5)
    assert check(db.store).findings == []
    assert state_of(db) == run.states[-1]
    if "rich" in there:
        table = db.ask("DescribeTable", TableName="rich")["Table"]
        assert all(each["IndexStatus"] == "ACTIVE" for each in table["GlobalSecondaryIndexes"])


# Why: issue text: acknowledged writes are there, others whole or not at all, with entries and change record.
@pytest.mark.parametrize("power", [True, False], ids=["power loss", "kill"])
@pytest.mark.parametrize("seed", seeds(100))
def test_a_database_that_dies_anywhere_is_whole_when_it_is_opened_again(seed: int, power: bool) -> None:
    crash_everywhere(seed, power)


# Why: what a server gathers into one batch is lost together, and nothing of it may have been told to anybody.
@pytest.mark.parametrize("power", [True, False], ids=["power loss", "kill"])
@pytest.mark.parametrize("seed", seeds(50))
def test_a_database_that_gathers_its_batches_and_dies_anywhere_is_whole(seed: int, power: bool) -> None:
    crash_everywhere(seed + 5000, power, gathered=True)


# Why: after a failed sync nobody knows what the disk has. What is told meanwhile must hold whichever it turns out to be.
@pytest.mark.parametrize("gathered", [False, True], ids=["each batch", "gathered"])
@pytest.mark.parametrize("seed", seeds(40))
def test_what_is_told_while_syncs_fail_is_there_after_a_power_loss(seed: int, gathered: bool) -> None:
    crash_everywhere(seed + 9000, power=True, gathered=gathered, flaky=True)


# Why: the same, over hundreds of histories.
@pytest.mark.long
@pytest.mark.parametrize("power", [True, False], ids=["power loss", "kill"])
@pytest.mark.parametrize("seed", seeds(300))
def test_a_database_that_dies_anywhere_in_hundreds_of_histories_is_whole(seed: int, power: bool) -> None:
    crash_everywhere(seed + 1000, power, gathered=seed % 2 == 1)


# Why: a simulation proves something only if it loses what may be lost, and would see what may not.
def test_the_simulation_loses_unsynced_writes_and_would_tell_the_loss_of_synced_ones() -> None:
    put_a = Step("PutItem", {"TableName": "plain", "Item": key_json("a")})
    history = [Step("CreateTable", PLAIN), Step("sync"), put_a]
    kept = set()
    for run, disk, _ in deaths(history, 1, True):
        kept.add(len(disk.batches))
        if len(run.states) == 3:
            run.told = 2
            db = MemoryDatabase(FaultyStore(disk))
            if disk.kept == 1:
                with pytest.raises(AssertionError, match="told up to 2"):
                    check_all(db, run)
            else:
                assert check_all(db, run) == 2
    assert kept >= {0, 1}
