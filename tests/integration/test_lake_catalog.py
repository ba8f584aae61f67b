"""Other engines on the lake's REST catalogue: pyiceberg's client, DuckDB's extension and polars, reading and writing."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import httpx
import polars
import pyarrow as pa
import pytest
from pyiceberg.catalog import load_catalog
from pyiceberg.catalog.rest import RestCatalog
from pyiceberg.exceptions import CommitFailedException, NoSuchTableError
from tests.lake_setup import TABLE, Shop

from penstock.lake.catalog_rest import CatalogRoutes
from penstock.lake.listener import Listener
from penstock.lake.upkeep import compact_now


class Served:
    """A shop's lake with a few commits, deletes among them, behind its port."""

    def __init__(self, folder: Path) -> None:
        self.shop = Shop(folder)
        for at in range(50):
            self.shop.put(f"c{at % 3}", at, amount={"N": f"{at}.5"})
        self.shop.pass_time()
        self.sink = self.shop.sink()
        self.shop.drain(self.sink)
        self.shop.put("c0", 0, amount={"N": "1000"}, note={"S": "later column"})
        self.shop.delete("c1", 1)
        self.shop.drain(self.sink)
        local = self.shop.warehouse.local
        assert local is not None
        self.listener = Listener(CatalogRoutes(local).routes(), 0)
        self.url = f"http://127.0.0.1:{self.listener.port}"

    def client(self) -> RestCatalog:
        catalog = load_catalog("penstock", type="rest", uri=self.url)
        assert isinstance(catalog, RestCatalog)
        return catalog

    def total(self) -> tuple[int, str]:
        amounts = [float(item["amount"]["N"]) for item in self.shop.items().values()]
        return len(amounts), f"{sum(amounts):.1f}"


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    made = Served(tmp_path)
    yield made
    made.listener.close()


# Why: an independent reader must see deletes applied and columns that came later.
def test_pyiceberg_reads_what_the_table_holds(served: Served) -> None:
    rows = served.client().load_table(f"current.{TABLE}").scan().to_arrow()
    assert (rows.num_rows, f"{sum(rows['amount'].to_pylist()):.1f}") == served.total()


# Why: polars has an Iceberg reader of its own.
def test_polars_reads_what_the_table_holds(served: Served) -> None:
    table = served.client().load_table(f"current.{TABLE}")
    frame = polars.scan_iceberg(table).select("amount").collect()
    assert (frame.height, f"{frame['amount'].sum():.1f}") == served.total()


def _duckdb(folder: Path) -> duckdb.DuckDBPyConnection:
    """The extensions from their packages: nothing is downloaded."""
    database = duckdb.connect(config={"extension_directory": str(folder / "extensions")})
    for name in ("avro", "httpfs", "iceberg"):
        found = importlib.util.find_spec(f"duckdb_extension_{name}")
        assert found is not None
        assert found.submodule_search_locations is not None
        [file] = Path(found.submodule_search_locations[0]).rglob(f"{name}.duckdb_extension")
        database.execute(f"INSTALL '{file}'")
        database.execute(f"LOAD {name}")
    return database


# Why: DuckDB reads the files with its own code and applies position deletes itself.
def test_duckdb_attaches_reads_and_writes(served: Served, tmp_path: Path) -> None:
    database = _duckdb(tmp_path / "duckdb")
    database.execute(f"ATTACH '' AS lake (TYPE iceberg, ENDPOINT '{served.url}', AUTHORIZATION_TYPE 'none')")
    count, total = database.execute(f'SELECT count(*), sum(amount) FROM lake."current".{TABLE}').fetchall()[0]
    assert (count, f"{total:.1f}") == served.total()
    database.execute("CREATE SCHEMA lake.mine")
    database.execute("CREATE TABLE lake.mine.notes (id BIGINT, text VARCHAR)")
    database.execute("INSERT INTO lake.mine.notes VALUES (1, 'one'), (2, 'two')")
    assert served.shop.lake.sql("SELECT text FROM mine.notes ORDER BY id").rows() == [
        {"text": "one"}, {"text": "two"},
    ]  # fmt: skip


# Why: what others read must be what we answer, while deletes lie beside the files and after they are written into them.
def test_other_readers_and_ours_agree_after_deletes_and_after_compaction(
    served: Served, tmp_path: Path
) -> None:
    database = _duckdb(tmp_path / "duckdb")
    shop = served.shop

    def answers() -> list[list[tuple[object, ...]]]:
        # Their engine keeps what it has read of a catalogue while it is attached.
        database.execute(
            f"ATTACH '' AS lake (TYPE iceberg, ENDPOINT '{served.url}', AUTHORIZATION_TYPE 'none')"
        )
        picked = "SELECT _key, amount FROM {} ORDER BY _key"
        theirs = database.execute(picked.format(f'lake."current".{TABLE}')).fetchall()
        database.execute("DETACH lake")
        table = served.client().load_table(f"current.{TABLE}")
        frame = polars.scan_iceberg(table).select("_key", "amount").sort("_key").collect()
        ours = shop.lake.sql(picked.format(f"current.{TABLE}")).rows()
        return [theirs, frame.rows(), [(row["_key"], row["amount"]) for row in ours]]

    for turn in range(4):
        for at in range(0, 50, 7):
            shop.put(f"c{at % 3}", at, amount={"N": f"{turn}.25"})
        shop.delete(f"c{turn % 3}", turn + 3)
        shop.drain(served.sink)
    table = served.sink.current.table
    assert len(table.deletes) > 3
    theirs, polars_rows, ours = answers()
    assert theirs == polars_rows == ours
    assert {key for key, _ in ours} == set(shop.items())
    assert compact_now(served.sink)
    assert (len(table.data), len(table.deletes)) == (1, 0)
    assert answers() == [ours] * 3


# Why: the client that most people write with; two writers of one snapshot must not both win.
def test_pyiceberg_creates_appends_and_is_refused_when_stale(served: Served) -> None:
    catalog = served.client()
    catalog.create_namespace("mine")
    rows = pa.table({"id": pa.array([1, 2, 3], pa.int64())})
    table = catalog.create_table("mine.numbers", rows.schema, properties={"commit.retry.num-retries": "0"})
    stale = catalog.load_table("mine.numbers")
    table.append(rows)
    with pytest.raises(CommitFailedException):
        stale.append(rows)
    assert served.shop.lake.sql("SELECT count(*) AS n FROM mine.numbers").rows() == [{"n": 3}]
    catalog.rename_table("mine.numbers", "mine.figures")
    assert catalog.list_tables("mine") == [("mine", "figures")]
    catalog.drop_table("mine.figures")
    with pytest.raises(NoSuchTableError):
        catalog.load_table("mine.figures")


# Why: a transaction that half happens is worse than none; G3 of the catalogue.
def test_a_transaction_of_two_tables_happens_whole_or_not_at_all(served: Served) -> None:
    catalog = served.client()
    catalog.create_namespace("mine")
    rows = pa.table({"id": pa.array([1], pa.int64())})
    for name in ("a", "b"):
        catalog.create_table(f"mine.{name}", rows.schema)

    def change(name: str, snapshot: int | None) -> dict[str, Any]:
        return {
            "identifier": {"namespace": ["mine"], "name": name},
            "requirements": [{"type": "assert-ref-snapshot-id", "ref": "main", "snapshot-id": snapshot}],
            "updates": [{"action": "set-properties", "updates": {"touched": "yes"}}],
        }

    url = f"{served.url}/v1/transactions/commit"
    refused = httpx.post(url, json={"table-changes": [change("a", None), change("b", 7)]})
    assert (refused.status_code, refused.json()["error"]["type"]) == (409, "CommitFailedException")
    assert "touched" not in catalog.load_table("mine.a").properties
    taken = httpx.post(url, json={"table-changes": [change("a", None), change("b", None)]})
    assert taken.status_code == 204
    assert all(catalog.load_table(f"mine.{name}").properties["touched"] == "yes" for name in "ab")


# Why: a stray append to a table that a sink writes would be a row that never happened.
def test_tables_of_sinks_can_be_tagged_but_not_written(served: Served) -> None:
    table = served.client().load_table(f"current.{TABLE}")
    with pytest.raises(Exception, match="written by its sink"):
        table.append(table.scan().to_arrow())
    snapshot = table.metadata.current_snapshot_id
    assert snapshot is not None
    table.manage_snapshots().create_tag(snapshot, "before-the-sale").commit()
    assert "before-the-sale" in served.client().load_table(f"current.{TABLE}").refs()
    with pytest.raises(Exception, match="written by its sink"):
        served.client().drop_table(f"raw.{TABLE}")


# Why: SQL may open whatever the catalogue names, so the catalogue may name nothing outside.
def test_nothing_outside_the_folder_can_be_registered(served: Served, tmp_path: Path) -> None:
    catalog = served.client()
    catalog.create_namespace("mine")
    answer = httpx.post(
        f"{served.url}/v1/namespaces/mine/register",
        json={"name": "secrets", "metadata-location": "file:///etc/passwd"},
    )
    assert (answer.status_code, answer.json()["error"]["type"]) == (400, "BadRequestException")
    with pytest.raises(Exception, match="outside the lake"):
        catalog.create_table("mine.x", pa.schema([("a", pa.int64())]), location="file:///tmp/elsewhere")


# Why: a page on the web that a person visits must not read the lake on their machine.
@pytest.mark.parametrize("headers", [{"Origin": "https://evil.example"}, {"Host": "evil.example"}])
def test_pages_from_elsewhere_are_refused(served: Served, headers: dict[str, str]) -> None:
    assert httpx.get(f"{served.url}/v1/config", headers=headers).status_code == 403


# Why: a client that lost the answer sends the commit again, and must not do it twice.
def test_a_request_with_an_idempotency_key_is_answered_once(served: Served) -> None:
    headers = {"Idempotency-Key": "0190-a"}
    body = {"namespace": ["once"], "properties": {}}
    first = httpx.post(f"{served.url}/v1/namespaces", json=body, headers=headers)
    again = httpx.post(f"{served.url}/v1/namespaces", json=body, headers=headers)
    assert (first.status_code, again.status_code, first.json()) == (200, 200, again.json())
    assert httpx.post(f"{served.url}/v1/namespaces", json=body).status_code == 409
