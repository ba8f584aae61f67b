"""Ingestion: bodies, items, outcomes, idempotent requests, bulk loads."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.in_memory import Direct, memory_client

from penstock.app.application import App
from penstock.app.features import count
from penstock.app.tables import EVENT_TYPES
from penstock.connect.batch_writer import BatchWriter, write_all
from penstock.connect.client import Client
from penstock.connect.http import NoAnswer
from penstock.connect.json_caller import JsonCaller
from penstock.connect.retries import Retries
from penstock.errors import ServiceError, UsageError
from penstock.events import event_items
from penstock.events.effects import Held, Read
from penstock.events.event_bodies import Refused, Unreadable, read_events
from penstock.events.event_items import item_of, shape_of
from penstock.events.event_times import fixed_width
from penstock.events.idempotency import CLAIM_S, Claimed, Requests, fingerprint
from penstock.events.ingest import Bounds, Ingestion, IngestReply
from penstock.events.ingest_door import IngestDoor
from penstock.events.loading import Progress, load_file
from penstock.events.row_files import count_hint
from penstock.events.source import Source
from penstock.testing import Disk, FaultyStore
from penstock.testing.databases import MemoryDatabase

AT_ONCE = Retries(attempts_max=3, sleep=lambda pause_s: None)


class Shop:
    def __init__(self, client: Client | None = None, database: MemoryDatabase | None = None) -> None:
        self.database = database or MemoryDatabase()
        self.client = client or memory_client(self.database)
        self.app = App("shop")
        self.app.bind(self.client)
        self.purchases = self.app.table(
            "purchases",
            partition_key="customer",
            sort_key="id",
            local_indexes={"by_time": "at"},
            stream=True,
            schema={"amount": "number", "at": "time", "note": "string?", "count": "integer?"},
        )
        self.client.create_table(**self.purchases.definition())
        self.database.pass_time(1.0)
        self.ingestion = self.ingesting()

    def ingesting(self, client: Client | None = None, bounds: Bounds | None = None) -> Ingestion:
        return Ingestion(
            self.app,
            client or self.client,
            now_s=lambda: self.database.clock.now_us() / 1e6,
            bounds=bounds or Bounds(writers=1),
            retries=AT_ONCE,
        )

    def send(self, body: bytes, content_type: str = "", key: str | None = None) -> IngestReply:
        return self.ingestion.take("purchases", body, content_type, key)

    def stored(self) -> list[dict[str, Any]]:
        return sorted(self.purchases.scan(), key=lambda item: str(item["id"]))


@pytest.fixture
def shop() -> Shop:
    return Shop()


def told(reply: IngestReply) -> dict[str, Any]:
    answer: dict[str, Any] = orjson.loads(reply.body)
    return answer


def event(id_: str = "p1", **more: Any) -> dict[str, Any]:
    return {"customer": "c", "id": id_, "amount": 1, "at": "2026-11-20T10:00:00Z"} | more


# Why: V1; 0.1 + 0.2 must be 0.3 in the end, and ids may have more digits than a double.
def test_numbers_stay_exact() -> None:
    [read] = read_events(
        b'{"price": 0.10, "id": 123456789012345678901234567890, "e": 1E2}', "application/json"
    )
    assert read == {"price": Decimal("0.10"), "id": 123456789012345678901234567890, "e": Decimal("1E+2")}


# Why: the three shapes of a body, and what curl sends without a type.
def test_one_event_an_array_and_lines_are_read() -> None:
    assert read_events(b'{"a": 1}', "application/json; charset=utf-8") == [{"a": 1}]
    assert read_events(b'[{"a": 1}, 5]', "") == [{"a": 1}, Refused("an event is an object, not a number")]
    lines = b'{"a": 1}\n\n{"a": \n{"a": 2}\r\n'
    first, second, third = read_events(lines, "application/x-ndjson")
    assert (first, third) == ({"a": 1}, {"a": 2})
    assert isinstance(second, Refused)
    assert read_events(b'{"a": 1}\n{"a": 2}\n', "application/x-www-form-urlencoded") == [{"a": 1}, {"a": 2}]
    with pytest.raises(Unreadable):
        read_events(b'{"a": 1}\n{"a": 2}\n', "application/json")


# Why: text order must be time order, whatever form a sender writes.
@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("2026-11-20T10:00:00Z", "2026-11-20T10:00:00.000000Z"),
        ("2026-11-20T10:00:00.5Z", "2026-11-20T10:00:00.500000Z"),
        ("2026-11-20 11:00:00+01:00", "2026-11-20T10:00:00.000000Z"),
        ("2026-11-20T10:00:00-0530", "2026-11-20T15:30:00.000000Z"),
        ("2026-11-20T10:00:00.123456789Z", "2026-11-20T10:00:00.123456Z"),
        ("2026-11-20T10:00:00", "2026-11-20T10:00:00.000000Z"),
        ("2026-11-20", "2026-11-20T00:00:00.000000Z"),
        ("2026-11-20T10:00:00.000000Z", "2026-11-20T10:00:00.000000Z"),
        ("2026-02-30", None),
        ("2026-11-20T25:00:00Z", None),
        ("0001-01-01T00:00:00+10:00", None),
        ("yesterday", None),
        ("1767225600", None),
    ],
)
def test_a_time_has_one_form(text: str, wanted: str | None) -> None:
    assert fixed_width(text) == wanted


# Why: the property that the one form exists for.
@given(st.datetimes(), st.datetimes())
def test_the_order_of_normal_times_is_the_order_of_time(one: Any, other: Any) -> None:
    left, right = fixed_width(one.isoformat()), fixed_width(other.isoformat())
    assert left is not None
    assert right is not None
    assert (left < right) == (one < other)


# Why: a feature set orders its events by this attribute, so ingestion normalises it without a schema too.
def test_what_features_order_by_is_a_time() -> None:
    app = App("a")
    clicks = app.table("clicks", partition_key="user", sort_key="at")
    app.features("f", source=clicks, entity="user", time="at", features={"n": count(days=1)})
    found = item_of({"user": "u", "at": "2026-11-20T11:00:00+01:00"}, shape_of(app, clicks))
    assert not isinstance(found, Refused)
    assert found[0]["at"] == {"S": "2026-11-20T10:00:00.000000Z"}


# Why: a schema in another language, JSON Schema's for one, was taken in silence and answered the first event with an error 500.
@pytest.mark.parametrize("type_", ["decimal", "number??", {"type": "number"}, 1])
def test_a_type_that_events_do_not_have_is_refused_where_it_is_declared(type_: Any) -> None:
    with pytest.raises(UsageError, match=r"P\.amount: .* is no event type; it is string, number, "):
        App("shop").table("P", partition_key="c", schema={"at": "time?", "amount": type_})
    assert set(event_items.CHECKS) == set(EVENT_TYPES)


# Why: one bad item would fail a whole BatchWriteItem, so each event is judged on its own, in words.
@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"id": ""}, "id is missing"),
        ({"id": 5}, "id must be a string"),
        ({"customer": None}, "customer must be a string"),
        ({"amount": "1"}, "amount must be of type number"),
        ({"at": "soon"}, "at is no time"),
        ({"count": Decimal("1.5")}, "count must be of type integer"),
        ({"id": "x" * 1025}, "1024 are the most in a key"),
        ({"big": "x" * 410_000}, "are the most"),
        ({"digits": Decimal("1" * 40)}, "38 significant digits"),
        ({"far": Decimal("1E+400")}, "overflow"),
    ],
)
def test_an_event_that_dynamodb_would_refuse_is_refused_with_the_reason(
    shop: Shop, more: dict[str, Any], why: str
) -> None:
    found = item_of(event(**more), shape_of(shop.app, shop.purchases))
    assert isinstance(found, Refused)
    assert why in found.why


_LEAVES = st.one_of(
    st.text(max_size=20),
    st.integers(-(10**40), 10**40),
    st.decimals(allow_nan=False, allow_infinity=False),
    st.booleans(),
    st.none(),
    st.binary(max_size=4),
    st.sampled_from(["2026-11-20T10:00:00Z", "2026-11-20T10:00:00+01:00", "2026-02-30T10:00:00Z", "é" * 600]),
)
_VALUES = st.recursive(_LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner))


# Why: what is accepted fast must be what the slow walk gives, item, size and all; and nothing else may pass.
@given(
    st.dictionaries(
        st.sampled_from(["customer", "id", "at", "amount", "note", "count", "x", "é"]), _VALUES, max_size=8
    )
)
def test_an_event_is_accepted_fast_exactly_as_it_would_be_slowly(more: dict[str, Any]) -> None:
    app = App("shop")
    table = app.table(
        "purchases",
        partition_key="customer",
        sort_key="id",
        local_indexes={"by_time": "at"},
        global_indexes={"by_amount": "amount:N"},
        schema={"amount": "number", "at": "time", "note": "string?", "count": "integer?"},
    )
    shape = shape_of(app, table)
    slow = event_items._explained(event(**more), shape)
    assert item_of(event(**more), shape) == slow


# Why: G1; the answer tells of each event what became of it.
def test_good_events_are_stored_and_bad_ones_told(shop: Shop) -> None:
    lines = [orjson.dumps(event(f"p{n}", amount=n)) for n in range(30)]
    lines[7] = b'{"customer": "c"}'
    lines[9] = b"nonsense"
    reply = shop.send(b"\n".join(lines), "application/x-ndjson")
    assert reply.status == 200
    outcome = told(reply)
    assert (outcome["received"], outcome["stored"], outcome["failed"]) == (30, 28, [])
    assert [refused["index"] for refused in outcome["refused"]] == [7, 9]
    assert len(shop.stored()) == 28
    assert shop.stored()[0]["at"] == "2026-11-20T10:00:00.000000Z"


# Why: G2; BatchWriteItem refuses a key twice, and the last event of a key must be what stays.
def test_events_of_one_key_are_stored_in_the_order_of_the_body(shop: Shop) -> None:
    events = [event("p1", amount=n) for n in range(5)] + [event("p2", amount=9)]
    assert told(shop.send(orjson.dumps(events)))["stored"] == 6
    assert [int(item["amount"]) for item in shop.stored()] == [4, 9]


# Why: each status is a promise to senders.
def test_bounds_and_mistakes_have_their_statuses(shop: Shop) -> None:
    missing = shop.ingestion.take("nowhere", b"{}")
    assert missing.status == 404
    assert told(missing)["message"] == "no table 'nowhere' is declared; the application's tables: purchases"
    assert shop.send(b"{").status == 400
    assert shop.send(b"a,b", "text/csv").status == 415
    assert shop.send(b'{"customer": "c"}').status == 422
    small = shop.ingesting(bounds=Bounds(body_bytes=100, events=2))
    assert small.take("purchases", b"x" * 101).status == 413
    assert small.take("purchases", b"[{},{},{}]").status == 413
    full = shop.ingesting(bounds=Bounds(requests_at_once=0)).take("purchases", b"{}")
    assert (full.status, full.headers["Retry-After"]) == (429, "1")


# Why: a body that there is no room for must be refused before it is read: memory is what there is no room in.
def test_the_door_reads_no_body_that_it_has_no_room_for(shop: Shop) -> None:
    read: list[bytes] = []

    async def body(*parts: bytes) -> AsyncIterator[bytes]:
        for part in parts:
            read.append(part)
            yield part

    def send(bounds: Bounds, headers: dict[str, str], *parts: bytes) -> IngestReply:
        read.clear()
        door = IngestDoor(shop.ingesting(bounds=bounds))
        return asyncio.run(door.take("purchases", headers, body(*parts)))

    small = Bounds(body_bytes=200, writers=1)
    long = send(small, {"content-length": "201"}, b"x" * 201)
    assert (long.status, read) == (413, [])
    unsaid = send(small, {}, b"x" * 150, b"x" * 51, b"never asked for")
    assert (unsaid.status, len(read)) == (413, 2)
    full = send(Bounds(bytes_at_once=10), {"content-length": "11"}, b"x" * 11)
    assert (full.status, full.headers["Retry-After"], read) == (429, "1", [])
    line = orjson.dumps(event())
    assert send(small, {"content-length": str(len(line))}, line[:9], line[9:]).status == 200
    assert len(shop.stored()) == 1


# Why: room that is not given back would refuse everybody in the end.
def test_room_is_given_back_whatever_becomes_of_a_request(shop: Shop) -> None:
    one = shop.ingesting(bounds=Bounds(requests_at_once=1, writers=1))
    for body in (b"{", orjson.dumps(event()), b"[1]"):
        assert one.take("purchases", body).status in (400, 200, 422)
    assert one.take("purchases", orjson.dumps(event("p2"))).status == 200


class Refusing(Direct):
    """A store that answers BatchWriteItem as told, and everything else as it should."""

    def __init__(self, database: MemoryDatabase, answers: list[tuple[int, bytes] | None]) -> None:
        super().__init__(lambda: database)
        self.answers = answers

    def send(self, target: str, body: bytes, wait_ms: int) -> tuple[int, bytes]:
        if target.endswith(".BatchWriteItem") and self.answers:
            answer = self.answers.pop(0)
            if answer is None:
                raise NoAnswer("gone")
            return answer
        return super().send(target, body, wait_ms)


THROTTLED = (400, b'{"__type": "x#ProvisionedThroughputExceededException", "message": "slow"}')


# Why: what was not stored must not be told as stored, and what asks for another try says so.
def test_a_store_that_refuses_is_told_as_failed_with_retry_after(shop: Shop) -> None:
    throttling = shop.ingesting(Client(JsonCaller(Refusing(shop.database, [THROTTLED] * 3))))
    reply = throttling.take("purchases", orjson.dumps(event()))
    assert (reply.status, reply.headers["Retry-After"]) == (429, "1")
    assert told(reply)["failed"][0]["index"] == 0
    gone = shop.ingesting(Client(JsonCaller(Refusing(shop.database, [None]))))
    assert gone.take("purchases", orjson.dumps(event())).status == 503
    assert shop.stored() == []


# Why: a full disk is an ordinary accident: nothing may be told as stored, reads go on, and afterwards it works.
def test_a_full_disk_is_told_and_got_over(shop: Shop) -> None:
    store = FaultyStore(Disk())
    shop = Shop(database=MemoryDatabase(store))
    assert shop.send(orjson.dumps(event("p1"))).status == 200
    store.full = True
    lines = b"\n".join(orjson.dumps(event(f"p{n}")) for n in range(2, 40)) + b"\ngarbage"
    reply = shop.send(lines, "application/x-ndjson", "key")
    assert (reply.status, "Retry-After" in reply.headers) == (503, True)
    assert [item["id"] for item in shop.stored()] == ["p1"]
    store.full = False
    reply = shop.send(lines, "application/x-ndjson", "key")
    assert (reply.status, told(reply)["stored"], len(shop.stored())) == (200, 38, 39)


# Why: throttled and unprocessed writes come back; both are sent again until they are taken.
def test_unprocessed_writes_are_sent_again(shop: Shop) -> None:
    put = {"PutRequest": {"Item": {"customer": {"S": "c"}, "id": {"S": "p"}}}}
    unprocessed = (200, orjson.dumps({"UnprocessedItems": {"purchases": [put]}}))
    client = Client(JsonCaller(Refusing(shop.database, [unprocessed, THROTTLED])))
    write_all(client, "purchases", [put], retries=AT_ONCE)
    assert len(shop.stored()) == 1
    always = Client(JsonCaller(Refusing(shop.database, [unprocessed] * 9)))
    with pytest.raises(ServiceError):
        write_all(always, "purchases", [put], retries=AT_ONCE)


# Why: I1 and I2; a retry is answered as the first was, and other content under the same key is a conflict.
def test_an_idempotency_key_answers_a_retry_and_refuses_other_content(shop: Shop) -> None:
    body = orjson.dumps(event())
    first = shop.send(body, key="k1")
    shop.purchases.delete(customer="c", id="p1")
    again = shop.send(body, key="k1")
    assert again.body == first.body
    assert again.headers["Idempotent-Replayed"] == "true"
    assert shop.stored() == [], "it was not carried out again"
    assert shop.send(orjson.dumps(event("p2")), key="k1").status == 409
    assert shop.send(body, key="k2").status == 200
    assert shop.send(body, key="").status == 400
    assert shop.send(body, key="x" * 256).status == 400


# Why: I4; an answer that asks for another try must not be what the other try gets.
def test_a_failed_request_leaves_its_key_free(shop: Shop) -> None:
    body = orjson.dumps(event())
    throttling = shop.ingesting(Client(JsonCaller(Refusing(shop.database, [THROTTLED] * 3))))
    assert throttling.take("purchases", body, "", "k").status == 429
    assert shop.send(body, key="k").status == 200


# Why: I3; a process that died in the middle must not block the key for ever, nor let two run at once.
def test_a_request_under_way_is_waited_for_and_taken_over_when_it_is_old(shop: Shop) -> None:
    body = orjson.dumps(event())
    requests = Requests(shop.client, sleep=shop.database.pass_time)
    now_s = shop.database.clock.now_us() / 1e6
    assert isinstance(requests.claim("purchases/k", fingerprint("purchases", body), now_s), Claimed)
    waiting = shop.send(body, key="k")
    assert (waiting.status, waiting.headers["Retry-After"]) == (409, "1")
    shop.database.pass_time(CLAIM_S + 5)
    assert shop.send(body, key="k").status == 200


# Why: I3; the process dies in the middle, and the retry must double nothing: neither an item nor a change of the stream.
def test_a_retry_after_a_death_in_the_middle_doubles_no_event(shop: Shop) -> None:
    class Dying(Direct):
        left = 2

        def send(self, target: str, body: bytes, wait_ms: int) -> tuple[int, bytes]:
            if target.endswith(".BatchWriteItem"):
                if not self.left:
                    raise KeyboardInterrupt("the process is killed")
                self.left -= 1
            return super().send(target, body, wait_ms)

    body = b"\n".join(orjson.dumps(event(f"p{n}", amount=n)) for n in range(100))
    dying = shop.ingesting(Client(JsonCaller(Dying(lambda: shop.database))))
    with pytest.raises(KeyboardInterrupt):
        dying.take("purchases", body, "application/x-ndjson", "k")
    assert len(shop.stored()) == 50
    assert shop.send(body, "application/x-ndjson", "k").status == 409, "it may still be running"
    shop.database.pass_time(CLAIM_S + 1)
    again = shop.send(body, "application/x-ndjson", "k")
    assert (again.status, told(again)["stored"]) == (200, 100)
    assert len(shop.stored()) == 100
    source = Source(shop.client, "purchases")
    [stream] = source.streams()
    wanted = Read(Held("", 0, 0), stream.arn, stream.shards[0].id, None, 0, 0.0, 1000, 0)
    assert len(source.read(wanted).records) == 100, "writing the same again is no change"


# Why: an answer is kept for a day, not for ever.
def test_a_key_is_free_again_after_a_day(shop: Shop) -> None:
    assert shop.send(orjson.dumps(event()), key="k").status == 200
    shop.database.pass_time(25 * 3600)
    assert shop.send(orjson.dumps(event("p2")), key="k").status == 200


# Why: the writer groups writes, keeps repeated keys in order and tells its progress.
def test_the_writer_writes_everything_that_it_was_given(shop: Shop) -> None:
    steps: list[int] = []
    with shop.purchases.writer(steps.append) as writer:
        for number in range(60):
            writer.put(
                {"customer": "c", "id": f"p{number % 50:02d}", "at": "x", "amount": number, "raw": b"\x00"}
            )
        writer.delete(customer="c", id="p49")
    assert writer.written == 61
    assert steps == sorted(steps)
    stored = shop.stored()
    assert len(stored) == 49
    assert (stored[0]["amount"], stored[0]["raw"]) == (50, b"\x00")


# Why: a load that dies goes on where it was, and refused rows are kept with their numbers.
def test_a_load_resumes_behind_its_checkpoint(shop: Shop, tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    rows = [f"c,p{n:04d},{n}.50,2026-11-20T10:00:00+01:00,\n" for n in range(2500)]
    rows[100] = "c,,1,2026-11-20,\n"
    rows[2400] = "c,p2400,many,2026-11-20,\n"
    rows[2401] = "too,few\n"
    path.write_text("customer,id,amount,at,note\n" + "".join(rows))
    shape = shape_of(shop.app, shop.purchases)

    class Stopped(Exception):
        """The process ends here."""

    def stop(progress: Progress) -> None:
        if progress.rows == 2000:
            raise Stopped

    with pytest.raises(Stopped):
        load_file(shop.client, shape, path, tell=stop)
    done = load_file(shop.client, shape, path)
    assert (done.rows, done.stored, done.refused) == (2500, 2497, 3)
    assert len(shop.stored()) == 2497
    refusals = [orjson.loads(line) for line in (tmp_path / "rows.csv.refused.jsonl").read_text().splitlines()]
    assert [refusal["row"] for refusal in refusals] == [100, 2400, 2401]
    assert shop.stored()[0] == {
        "customer": "c",
        "id": "p0000",
        "amount": Decimal("0.5"),
        "at": "2026-11-20T09:00:00.000000Z",
    }
    again = load_file(shop.client, shape, path)
    assert again.stored == 2497, "nothing is left to do"
    path.write_text("customer,id,amount,at\nc,q,1,2026-11-20\n")
    assert load_file(shop.client, shape, path).rows == 1, "another file begins anew"


# Why: K1 to R2 for the other formats: exact numbers from lines, typed values from Parquet.
def test_lines_and_parquet_are_loaded(shop: Shop, tmp_path: Path) -> None:
    shape = shape_of(shop.app, shop.purchases)
    lines = tmp_path / "rows.jsonl.gz"
    lines.write_bytes(gzip.compress(b"\n".join(orjson.dumps(event(f"j{n}")) for n in range(3))))
    assert load_file(shop.client, shape, lines).stored == 3
    parquet = tmp_path / "rows.parquet"
    columns = {
        "customer": ["c", "c"],
        "id": ["q1", "q2"],
        "amount": [0.1, float("nan")],
        "at": pa.array([1_767_225_600_000_000] * 2, pa.timestamp("us", "UTC")),
        "raw": [b"\x00", None],
    }
    pq.write_table(pa.table(columns), parquet)
    done = load_file(shop.client, shape, parquet)
    assert (done.stored, done.refused) == (1, 1)
    loaded = shop.purchases.get(customer="c", id="q1")
    assert loaded is not None
    assert loaded["amount"] == Decimal("0.1")
    assert loaded["at"] == "2026-01-01T00:00:00.000000Z"
    assert loaded["raw"] == b"\x00"


# Why: B2 against a plain dict, with few keys so that they repeat within a request.
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 9), st.booleans()), max_size=80))
def test_the_writer_leaves_what_the_last_write_of_each_key_says(writes: list[tuple[int, int, bool]]) -> None:
    shop = Shop()
    expected: dict[str, int] = {}
    with BatchWriter(shop.client, "purchases", ("customer", "id"), retries=AT_ONCE) as writer:
        for key, value, deletes in writes:
            name = {"customer": {"S": "c"}, "id": {"S": str(key)}}
            if deletes:
                writer.delete(name)
                expected.pop(str(key), None)
            else:
                writer.put({**name, "v": {"N": str(value)}})
                expected[str(key)] = value
    assert {str(item["id"]): int(item["v"]) for item in shop.stored()} == expected


# Why: a bar without an end tells nobody how long to wait; a wrong end only makes it inexact.
def test_a_load_knows_about_how_many_rows_there_are(tmp_path: Path) -> None:
    for name, text, rows in (
        ("a.csv", "k,v\n1,2\n3,4\n", 2),
        ("b.csv", "k,v\n1,2\n3,4", 2),
        ("c.jsonl", '{"k": 1}\n{"k": 2}', 2),
        ("empty.csv", "", 0),
    ):
        (tmp_path / name).write_text(text)
        assert count_hint(tmp_path / name) == rows
    with gzip.open(tmp_path / "a.csv.gz", "wt") as packed:
        packed.write("k\n1\n")
    assert count_hint(tmp_path / "a.csv.gz") is None
    pq.write_table(pa.table({"k": ["1", "2", "3"]}), tmp_path / "a.parquet")
    assert count_hint(tmp_path / "a.parquet") == 3
