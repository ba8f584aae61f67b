"""What lands without a stream: curated tables, deliveries, crawled files; and what a declaration asks for."""

from __future__ import annotations

import gzip
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from tests.lake_setup import TABLE, Shop, unordered, until

from penstock.app.lake import CuratedTable, Delivery
from penstock.errors import UsageError
from penstock.lake import crawl as crawling
from penstock.lake.crawl import crawl
from penstock.lake.delivery import Deliveries, DeliveryStream, DeliveryWriter, Spool, read_records
from penstock.lake.listener import HttpError
from penstock.sql.curated import Curator
from penstock.testing.clock import ManualClock


# Why: what must not be in the lake must not be in any of its files, the old images included.
def test_masked_and_dropped_attributes_never_reach_a_file(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    shop.put("c1", 1, email={"S": "ada@example.com"}, card={"S": "4111"}, age={"N": "36"})
    shop.pass_time()
    sink = shop.sink(mask=("email", "age"), drop=("card",))
    shop.drain(sink)
    shop.put("c1", 1, email={"S": "ada@example.org"}, card={"S": "4222"})
    shop.drain(sink)
    told = str(shop.lake.sql(f"FROM raw.{TABLE}").rows()) + str(shop.lake.sql(f"FROM current.{TABLE}").rows())
    for secret in ("ada@", "4111", "4222", "36"):
        assert secret not in told.replace(shop.database.clock.now_us().__str__(), "")
    masks = shop.lake.sql(f"SELECT email FROM current.{TABLE}").rows()
    assert [len(row["email"]) for row in masks] == [16]


# Why: a user's function that fails on one record must not stop the flow, nor let it through unchanged.
def test_a_transform_that_raises_quarantines_the_record(tmp_path: Path) -> None:
    def doubled(item: dict[str, Any]) -> dict[str, Any]:
        return {**item, "amount": item["amount"] * 2}

    shop = Shop(tmp_path)
    shop.put("c1", 1, amount={"N": "2.5"})
    shop.put("c1", 2, note={"S": "secret"})
    shop.pass_time()
    sink = shop.sink(transform=doubled)
    shop.drain(sink)
    assert shop.lake.sql(f"SELECT amount FROM current.{TABLE}").rows() == [{"amount": Decimal("5.000000000")}]
    [refused] = shop.lake.sql(f"SELECT key, reason, new_image FROM quarantine.{TABLE}").rows()
    assert (refused["reason"], refused["new_image"]) == ("transform raised KeyError: 'amount'", None)
    assert "secret" not in str(shop.lake.sql(f"FROM raw.{TABLE}").rows())


# Why: a declared schema keeps rows out that break it, once each, also over restarts; the item stays as it was.
def test_a_record_that_breaks_the_declared_schema_is_quarantined(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    shop.put("c1", 1, amount={"N": "1.50"})
    shop.pass_time()
    declared = {"amount": "decimal(5,2)"}
    sink = shop.sink(declared=declared)
    shop.drain(sink)
    before = unordered(shop.landed())
    shop.put("c1", 1, amount={"S": "much"})
    shop.drain(sink)
    shop.drain(shop.sink(declared=declared))
    assert unordered(shop.landed()) == before
    reasons = shop.lake.sql(f"SELECT reason FROM quarantine.{TABLE}").rows()
    assert reasons == [{"reason": "amount: is of type S, declared as N"}]
    latest = f"{shop.database.clock.now_us() * 100_000:021d}"
    assert unordered(shop.landed(f"current.{TABLE} FOR SEQUENCE AS OF '{latest}'")) == before


# Why: a table that is made again for nothing costs a scan and a snapshot each time.
def test_a_curated_table_is_made_when_its_sources_change(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    shop.put("c1", 1, amount={"N": "2"})
    shop.pass_time()
    sink = shop.sink()
    shop.drain(sink)
    daily = CuratedTable(
        "curated.totals", f"SELECT customer, sum(amount) AS total FROM current.{TABLE} GROUP BY 1", 60
    )
    curator = Curator(shop.lake, [daily], shop.database.clock)

    def turn() -> object:
        shop.pass_time(61)
        curator.tick()
        return curator.status()

    assert turn() == {"curated": {"curated.totals": "made"}}
    assert turn() == {"curated": {"curated.totals": "fresh"}}
    shop.put("c1", 2, amount={"N": "3"})
    shop.drain(sink)
    assert turn() == {"curated": {"curated.totals": "made"}}
    assert shop.lake.sql("FROM curated.totals").rows() == [
        {"customer": "c1", "total": Decimal("5.000000000")}
    ]


# Why: a lake that stopped waited ten seconds for a curated table's query, which then ran on behind it for five minutes.
def test_a_curator_that_stops_ends_its_query(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    long = CuratedTable("curated.long", "SELECT count(*) AS n FROM range(20000000000)", 60)
    curator = Curator(shop.lake, [long], shop.database.clock)
    curator.start()
    until(lambda: shop.lake.questions.progress("penstock-curated") is not None)
    curator.stop()
    assert curator.status() == {"curated": {"curated.long": "failed: the query was stopped: cancelled"}}


# Why: a curated table of one's own must not be able to overwrite the change log.
def test_a_query_cannot_be_written_into_a_table_of_a_sink(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    with pytest.raises(UsageError, match="written by the sinks"):
        shop.lake.into(f"raw.{TABLE}", "SELECT 1 AS a")


# Why: Y1 to Y3: what was accepted lands once for each id, whatever dies in between.
def test_delivered_records_land_once_for_each_id(tmp_path: Path) -> None:
    shop, clock = Shop(tmp_path), ManualClock()
    spool = Spool(tmp_path, clock)
    stream = DeliveryStream("clicks", spool, id_field="id")
    assert stream.put_batch([{"id": "a", "n": Decimal("0.1")}, {"id": "b", "n": "text"}]) == 2
    assert stream.put_batch([{"id": "b"}, {"id": "c", "n": None}]) == 1
    writer = DeliveryWriter(shop.warehouse, Delivery("clicks"), spool)
    assert not writer.is_due(clock.now_us())
    clock.advance(6)
    assert writer.is_due(clock.now_us())
    uncleared = Spool.clear
    try:
        Spool.clear = lambda *_: None  # type: ignore[method-assign]
        assert writer.flush() == 3
    finally:
        Spool.clear = uncleared  # type: ignore[method-assign]
    assert DeliveryWriter(shop.warehouse, Delivery("clicks"), spool).flush() == 0
    assert spool.waiting("clicks")[0] == 0
    rows = shop.lake.sql("SELECT id, n, n__s, _extra FROM deliveries.clicks ORDER BY id").rows()
    assert rows == [
        {"id": "a", "n": Decimal("0.100000000"), "n__s": None, "_extra": None},
        {"id": "b", "n": None, "n__s": "text", "_extra": None},
        {"id": "c", "n": None, "n__s": None, "_extra": '{"n":{"NULL":true}}'},
    ]


# Why: a delivery that nobody declared would be a table that nobody expects.
def test_bodies_of_deliveries_are_read_or_refused(tmp_path: Path) -> None:
    assert read_records(b'{"a": 1.10}') == [{"a": Decimal("1.10")}]
    assert read_records(b'[{"a": 1}, {"a": 2}]') == [{"a": Decimal(1)}, {"a": Decimal(2)}]
    assert read_records(b'{"a": 1}\n\n{"a": 2}\n') == [{"a": Decimal(1)}, {"a": Decimal(2)}]
    with pytest.raises(HttpError, match="not JSON"):
        read_records(b"{")
    clock = ManualClock()
    deliveries = Deliveries(Shop(tmp_path).warehouse, {}, Spool(tmp_path, clock), clock)
    assert deliveries.status() == {"deliveries": {}}


# Why: files arrive again, change and are broken; each lands once, in its latest version.
def test_crawled_files_land_once_and_changes_replace(tmp_path: Path) -> None:
    files, shop = tmp_path / "files", Shop(tmp_path / "lake")
    (files / "orders" / "year=2026").mkdir(parents=True)
    (files / "orders" / "year=2026" / "a.csv").write_text("id,amount\n1,5\n2,\n")
    (files / "orders" / "b.jsonl").write_text('{"id": 3, "amount": 2.5, "tags": ["x"]}\n')
    with gzip.open(files / "visits.csv.gz", "wt") as file:
        file.write("page\n/\n")
    (files / "orders" / "broken.parquet").write_text("junk")
    (files / "readme.txt").write_text("hello")
    [orders, visits], unknown = crawl(shop.warehouse, files)
    assert (orders.landed, orders.rows, list(orders.unreadable)) == (
        ["orders/b.jsonl", "orders/year=2026/a.csv"], 3, ["orders/broken.parquet"],
    )  # fmt: skip
    assert (visits.table, visits.rows, unknown) == ("crawled.visits", 1, ["readme.txt"])
    (files / "orders" / "b.jsonl").write_text('{"id": 4, "amount": 9, "more": true}\n')
    [orders, visits], _ = crawl(shop.warehouse, files)
    assert (orders.landed, orders.unchanged, visits.unchanged) == (["orders/b.jsonl"], 1, 1)
    rows = shop.lake.sql("SELECT id, amount, year, more FROM crawled.orders ORDER BY id").rows()
    assert rows == [
        {"id": 1, "amount": 5.0, "year": 2026, "more": None},
        {"id": 2, "amount": None, "year": 2026, "more": None},
        {"id": 4, "amount": 9.0, "year": None, "more": True},
    ]


CRAWLED = {
    "empty.csv": (b"", "Empty CSV file"),
    "blank.csv": (b"\n\n", "Empty CSV file"),
    "header.csv": (b"id,name\n", ""),
    "bom.csv": (b"\xef\xbb\xbfid,name\n1,x\n", ""),
    "latin.csv": ("id,name\n2,\xe9\n".encode("latin-1"), "column name is not UTF-8 text"),
    "ragged.csv": (b"id,name\n1,2,3\n", "Expected 2 columns, got 3"),
    "twice.csv": (b"id,ID\n1,2\n", "column id stands in it twice"),
    "ok.csv.gz": (gzip.compress(b"id,name\n4,z\n"), ""),
    "junk.csv.gz": (b"\x1f\x8b junk", "Compressed file ended"),
    "cut.csv.gz": (gzip.compress(b"id,name\n3,y\n")[:-6], "Compressed file ended"),
    "empty.jsonl": (b"", "Empty JSON file"),
    "bom.jsonl": (b'\xef\xbb\xbf{"id":5}\n', ""),
    "nulls.jsonl": (b'{"id":null,"name":null}\n', ""),
    "broken.jsonl": (b'{"id":5}\n{"id":', "JSON parse error"),
    "mixed.jsonl": (b'{"id":8}\n{"id":"nine"}\n', "JSON parse error"),
    "array.json": (b'[{"id":6},{"id":7,"name":"q"}]', ""),
    "numbers.json": (b"[1, 2]", "other things than objects"),
    "nested.jsonl": (b'{"id":10,"o":{"a":1,"b":[1,2]}}\n', ""),
    "empty.parquet": (b"", "0 bytes"),
    "year=2026/month=11/part.csv": (b"id,name\n11,x\n", ""),
    "year=2026/month=__HIVE_DEFAULT_PARTITION__/part.csv": (b"id,name\n12,x\n", ""),
}


# Why: rows that were appended while a crawl read the file were taken for landed, and never came.
def test_what_is_written_to_a_file_while_it_is_read_lands_with_the_next_crawl(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = Shop(tmp_path / "lake")
    source = tmp_path / "files"
    source.mkdir()
    visits = source / "visits.csv"
    visits.write_text("id\n1\n")
    read = crawling._read

    def read_and_append(path: Path) -> pa.Table:
        rows = read(path)
        visits.write_text("id\n1\n2\n")
        return rows

    with monkeypatch.context() as patched:
        patched.setattr(crawling, "_read", read_and_append)
        crawl(shop.warehouse, source)
    crawl(shop.warehouse, source)
    assert shop.lake.sql("SELECT id FROM crawled.visits ORDER BY 1").rows() == [{"id": 1}, {"id": 2}]
    [found], _ = crawl(shop.warehouse, source)
    assert (found.landed, found.unchanged) == ([], 1)


# Why: folders of files hold all of this, and one bad file must spoil neither the others nor their types.
def test_odd_files_are_landed_or_told_one_by_one(tmp_path: Path) -> None:
    files, shop = tmp_path / "files", Shop(tmp_path / "lake")
    for name, (content, _) in CRAWLED.items():
        path = files / "t" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    [found], unknown = crawl(shop.warehouse, files)
    told = {name.removeprefix("t/"): reason for name, reason in found.unreadable.items()}
    assert not unknown
    for name, (_, reason) in CRAWLED.items():
        assert (name in told) == bool(reason), name
        assert reason in told.get(name, ""), name
    rows = shop.lake.sql("SELECT id, name, month FROM crawled.t ORDER BY id NULLS LAST").rows()
    assert [row["id"] for row in rows] == [1, 4, 5, 6, 7, 10, 11, 12, None]
    assert [row["month"] for row in rows] == [None] * 6 + [11, None, None]
    assert rows[0]["name"] == "x"
    [again], _ = crawl(shop.warehouse, files)
    assert (again.landed, len(again.unreadable)) == ([], len(told))


# Why: the table remembers the last number; a spool that begins at one again would be cleared unread.
def test_deliveries_go_on_after_their_spool_was_lost(tmp_path: Path) -> None:
    shop, clock = Shop(tmp_path), ManualClock()
    for turn in range(2):
        spool = Spool(tmp_path, clock)
        DeliveryStream("clicks", spool).put_batch([{"n": turn * 3 + each} for each in range(3 - turn)])
        DeliveryWriter(shop.warehouse, Delivery("clicks"), spool).flush()
        for path in tmp_path.glob("deliveries.sqlite*"):
            path.unlink()
        clock.advance(1)
    rows = shop.lake.sql("SELECT n FROM deliveries.clicks ORDER BY n").rows()
    assert [int(row["n"]) for row in rows] == [0, 1, 2, 3, 4]
