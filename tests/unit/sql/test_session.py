"""Queries over a lake: what they answer, what they may not do, and how they end."""

from __future__ import annotations

from pathlib import Path

import duckdb
import polars
import pytest
from tests.lake_setup import TABLE, Shop, unordered

from penstock.errors import Corruption, PenstockError, UsageError
from penstock.sql import session
from penstock.sql.databases import Bounds, QueryError
from penstock.sql.lake import Lake
from penstock.sql.session import QueryStopped


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    made = Shop(tmp_path_factory.mktemp("lake"))
    for at in range(30):
        made.put(f"c{at % 3}", at, amount={"N": f"{at}.5"}, note={"S": "a"} if at % 2 else {"N": "7"})
    made.pass_time()
    made.drain(made.sink())
    return made


# Why: the lake is read-only for SQL, and a query gets at nothing but the tables that it names.
@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM read_text('/etc/passwd')",
        "FROM read_blob('/proc/self/environ')",
        "FROM '/etc/passwd'",
        "SELECT * FROM glob('/etc/*')",
        "FROM read_parquet('https://example.com/x.parquet')",
        "FROM read_json('../../secrets.json')",
        "SELECT * FROM query('SELECT * FROM read_text(''/etc/passwd'')')",
        "COPY (SELECT 1) TO '/tmp/written-by-a-query.csv'",
        f"COPY current.{TABLE} TO 'x.parquet'",
        "ATTACH '/tmp/x.duckdb' AS x",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SET memory_limit = '99GB'",
        "RESET memory_limit",
        "PRAGMA enable_external_access=true",
        "CREATE TABLE t AS SELECT 1",
        f"DROP VIEW current.{TABLE}",
        f"INSERT INTO current.{TABLE} SELECT 1",
        f"DELETE FROM current.{TABLE}",
        "CALL pragma_version()",
        "EXPORT DATABASE '/tmp/x'",
        "SELECT 1; SELECT 2",
        "SELECT getenv('HOME')",
        "FROM shop",
        "EXPLAIN ANALYZE COPY (SELECT 1) TO '/tmp/written-by-a-query.csv'",
        "SELECT",
        "",
    ],
)
def test_what_a_query_may_not_do_is_refused(shop: Shop, sql: str) -> None:
    with pytest.raises(QueryError):
        shop.lake.sql(sql)
    assert not Path("/tmp/written-by-a-query.csv").exists()


# Why: the catalogue lies in the same folder, and is not a table.
def test_files_of_the_lake_itself_are_not_readable_by_path(shop: Shop) -> None:
    with pytest.raises(QueryError, match="may not be called"):
        shop.lake.sql(f"FROM read_blob('{shop.folder}/catalog.sqlite')")


# Why: one query must not take the lake process with it.
def test_a_query_that_passes_its_memory_ends_with_an_error_that_says_so(shop: Shop, tmp_path: Path) -> None:
    small = Lake(shop.warehouse, Bounds(memory_mb=30, spill_mb=1, threads=1))
    with pytest.raises(QueryError, match="needs more memory"):
        small.sql(
            "SELECT i, md5(i::VARCHAR) FROM range(10000000) r(i) ORDER BY 2, 1 LIMIT 5000000 OFFSET 1000000"
        )
    assert small.sql("SELECT 1 AS one").rows() == [{"one": 1}]


# Why: nobody waits for an endless query.
def test_a_query_that_passes_its_time_is_stopped(shop: Shop) -> None:
    with pytest.raises(QueryStopped, match="passed its time"):
        shop.lake.sql("SELECT count(*) FROM range(1000000000000)", seconds_max=0.2)


# Why: an answer that does not fit is cut, and says so.
def test_rows_beyond_the_bound_are_cut_and_told(shop: Shop) -> None:
    result = shop.lake.sql(f"FROM current.{TABLE}", rows_max=10)
    assert (len(result), result.truncated) == (10, True)


# Why: names are found as DuckDB finds them, qualified columns and other cases included.
@pytest.mark.parametrize(
    "sql",
    [
        f"SELECT {TABLE}.amount FROM current.{TABLE}",
        f"SELECT amount FROM Current.{TABLE.upper()}",
        f'SELECT x.amount FROM "current"."{TABLE}" AS x',
        f"WITH c AS (FROM current.{TABLE}) SELECT amount FROM c",
    ],
)
def test_tables_are_found_by_name(shop: Shop, sql: str) -> None:
    assert len(shop.lake.sql(sql)) == 30


# Why: who mistypes a name wants the right one, at any moment; DuckDB knows none of the lake's.
@pytest.mark.parametrize(
    "asked", ["current.nope", "nowhere.nope", "nope", "current.nope FOR TIMESTAMP AS OF '2026-11-20'"]
)
def test_a_table_that_is_not_there_is_told_with_those_that_are(shop: Shop, asked: str) -> None:
    named = asked.split()[0]
    with pytest.raises(PenstockError, match=rf"^there is no table {named}; .*current\.{TABLE}.*raw\.{TABLE}"):
        shop.lake.sql(f"SELECT * FROM {asked}")


# Why: a conflict of types is two columns; a person wants one.
def test_joined_brings_siblings_together(shop: Shop) -> None:
    rows = shop.lake.sql(f"SELECT note, count(*) AS n FROM joined.{TABLE} GROUP BY 1 ORDER BY 1").rows()
    assert rows == [{"note": "7", "n": 15}, {"note": "a", "n": 15}]


# Why: results go on to other tools without being copied by hand.
def test_results_are_arrow_and_what_is_made_of_it(shop: Shop) -> None:
    result = shop.lake.sql(f'SELECT x."at" AS n FROM current.{TABLE} AS x ORDER BY 1 LIMIT 2')
    assert result.to_polars().shape == (2, 1)
    assert polars.DataFrame(result).shape == (2, 1)
    assert result.write("csv") == b'"n"\n"0"\n"1"\n'
    assert result.write("json") == b'{"n":"0"}\n{"n":"1"}\n'
    with pytest.raises(UsageError, match="no format"):
        result.write("xml")


# Why: the past is asked for by time and version where it is kept, and replayed from raw where it is not.
def test_the_past_is_what_it_was(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    shop.put("c1", 1, amount={"N": "1"})
    shop.pass_time()
    sink = shop.sink()
    shop.drain(sink)
    then = unordered(shop.items())
    sequence = f"{shop.database.clock.now_us() * 100_000:021d}"
    version = sink.current.table.snapshot_id
    shop.pass_time()
    shop.put("c1", 1, amount={"S": "changed"}, more={"S": "x"})
    shop.put("c2", 2)
    shop.delete("c1", 1)
    shop.drain(sink)
    source = f"current.{TABLE}"
    assert unordered(shop.landed(f"{source} FOR VERSION AS OF {version}")) == then
    assert unordered(shop.landed(f"{source} FOR SEQUENCE AS OF '{sequence}'")) == then
    count = shop.lake.sql(f"SELECT count(*) AS n FROM raw.{TABLE} FOR SEQUENCE AS OF '{sequence}'").rows()
    assert count == [{"n": 1}]
    assert unordered(shop.landed(f"CURRENT.{TABLE.upper()} FOR SEQUENCE AS OF '{sequence}'")) == then
    with pytest.raises(UsageError, match="keeps no version 7"):
        shop.lake.sql(f"FROM {source} FOR VERSION AS OF 7")
    with pytest.raises(UsageError, match="history has a gap"):
        shop.lake.sql(f"FROM {source} FOR TIMESTAMP AS OF '2020-01-01'")


# Why: deleted rows are looked up in bits, and a plan of a million of them is no plan that a person reads.
def test_a_plan_that_is_explained_shows_no_bits(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    sink = shop.sink()
    for at in range(300):
        shop.put("c1", at)
    shop.pass_time()
    shop.drain(sink)
    shop.delete("c1", 7)
    shop.pass_time()
    shop.drain(sink)
    [row] = shop.lake.sql(f"EXPLAIN FROM current.{TABLE}").rows()
    assert "00000000" not in row["explain_value"]
    assert "ANTI" in row["explain_value"]
    assert len(shop.lake.sql(f"FROM current.{TABLE}")) == 299


# Why: what was learned of a text is kept, also that it may run; never that of another.
def test_a_text_is_refused_each_time_and_another_is_judged_anew(shop: Shop) -> None:
    for _ in range(2):
        assert len(shop.lake.sql(f"FROM current.{TABLE}")) == 30
        with pytest.raises(QueryError, match="tells of the engine"):
            shop.lake.sql(f"SELECT getvariable('deleted from current.{TABLE}, file 0')")


# Why: damage is told by name, and only to who asks for the damaged table.
def test_a_corrupt_metadata_file_is_an_error_that_names_the_table(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    shop.put("c1", 1)
    shop.pass_time()
    shop.drain(shop.sink())
    local = shop.warehouse.local
    assert local is not None
    pointer = local.pointer(("current", TABLE)).removeprefix("file://")
    Path(pointer).write_bytes(b"{broken")
    fresh = Shop.lake_of(tmp_path)
    with pytest.raises(Corruption, match=f"current.{TABLE}"):
        fresh.sql(f"FROM current.{TABLE}")
    assert len(fresh.sql(f"FROM raw.{TABLE}")) == 1


# Why: DuckDB forgets an interrupt that comes before a query has begun. A query that was cancelled at that moment ran on for
# its five minutes, and one whose time was over before it began ran without a bound.
def test_a_query_that_is_stopped_before_it_begins_is_stopped() -> None:
    with duckdb.connect(":memory:") as database:
        running = session._Running(database)
        running.stop("cancelled")
        with pytest.raises(QueryStopped, match="the query was stopped: cancelled"):
            session._run(database, "SELECT count(*) FROM range(20000000000)", 10, running)
        running.end()
        # The next one on the same database is another's, and nothing reaches it.
        assert session._run(database, "SELECT 1", 10, session._Running(database))[0].num_rows == 1
