"""Databases that are kept between queries: what they see, who uses them, and what is left of them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.lake_setup import TABLE, Shop

from penstock.sql import databases
from penstock.sql.databases import Bounds, Databases, QueryError
from penstock.sql.sources import View

ONE = View("current", "one", "SELECT 1 AS n")
TWO = View("current", "two", "SELECT 2 AS n")


# Why: making a database takes longer than most queries; the next query on the same tables must not.
def test_a_database_is_lent_again_for_the_same_tables_and_bounds() -> None:
    pool = Databases()
    with pool.lend(Bounds(), [ONE]) as first:
        pass
    with pool.lend(Bounds(rows_max=5), [ONE]) as second:
        assert second is first
    with pool.lend(Bounds(), [TWO]) as other, pool.lend(Bounds(memory_mb=64), [ONE]) as smaller:
        assert first not in (other, smaller)
    pool.close()


# Why: a bound of memory is a query's own, so that a large query does not fail a small one beside it.
def test_two_queries_at_once_have_a_database_each() -> None:
    pool = Databases()
    with pool.lend(Bounds(), [ONE]) as first, pool.lend(Bounds(), [ONE]) as second:
        assert first is not second
    pool.close()


# Why: what a failed query left behind is unknown.
def test_a_database_is_not_lent_again_after_an_error() -> None:
    pool = Databases()
    with pytest.raises(QueryError), pool.lend(Bounds(), [ONE]) as first:
        raise QueryError("no")
    with pool.lend(Bounds(), [ONE]) as second:
        assert second is not first
    pool.close()


# Why: a table that changes all the time would leave a database for each of its snapshots.
def test_few_databases_are_kept() -> None:
    pool = Databases()
    for number in range(databases.KEPT_MAX * 3):
        with pool.lend(Bounds(), [View("current", "one", f"SELECT {number} AS n")]) as database:
            assert database.execute("FROM current.one").fetchall() == [(number,)]
    assert sum(len(kept) for kept in pool._kept.values()) == databases.KEPT_MAX
    pool.close()


# Why: what a large query spilled would fill the disk.
def test_what_was_spilled_goes_with_its_database(tmp_path: Path) -> None:
    pool = Databases(tmp_path)
    limits = Bounds(memory_mb=60, spill_mb=1000, threads=1)
    with pool.lend(limits, []) as database:
        database.execute("CREATE TABLE t AS SELECT i, md5(i::VARCHAR) AS m FROM range(3000000) r(i)")
        assert any(tmp_path.iterdir())
    pool.close()
    assert not list(tmp_path.iterdir())


# Why: the one that is made ahead has other bounds, perhaps.
def test_a_database_made_ahead_is_used_for_its_own_bounds_alone() -> None:
    pool = Databases()
    for view in (ONE, TWO):
        with pool.lend(Bounds(), [view]):
            pass
    pool._behind.submit(lambda: None).result()
    with pool.lend(Bounds(memory_mb=100), [TWO]) as database:
        [limit] = database.execute("SELECT current_setting('memory_limit')").fetchall()
    assert limit == ("95.3 MiB",)
    pool.close()


# Why: a kept database must not answer with the rows of yesterday, nor open the files of another query's tables.
def test_queries_see_each_change_and_no_other_tables_files(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    shop.put("c1", 1)
    shop.pass_time()
    sink = shop.sink()
    shop.drain(sink)
    counted = f"SELECT count(*) AS n FROM current.{TABLE}"
    for expected in range(1, 5):
        for _ in range(2):
            assert shop.lake.sql(counted).rows() == [{"n": expected}]
        shop.put("c1", expected + 1)
        shop.drain(sink)
    raw = next(iter(sink.raw.table.data)).removeprefix("file://")
    with pytest.raises(QueryError, match="may not be called"):
        shop.lake.sql(f"SELECT count(*) FROM current.{TABLE}, read_parquet('{raw}')")


# Why: sixteen clients at once is an ordinary dashboard.
def test_many_threads_ask_at_once(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    for at in range(7):
        shop.put("c1", at)
    shop.pass_time()
    shop.drain(shop.sink())
    with ThreadPoolExecutor(8) as threads:
        answers = list(
            threads.map(
                lambda n: shop.lake.sql(f"SELECT count(*) + {n} AS n FROM current.{TABLE}").rows(), range(24)
            )
        )
    assert answers == [[{"n": 7 + n}] for n in range(24)]


# Why: the files stay the same when a commit only deletes, and a kept database still has the rows.
def test_rows_that_were_deleted_since_are_not_answered(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    for at in range(6):
        shop.put("c1", at)
    shop.pass_time()
    sink = shop.sink()
    shop.drain(sink)
    for left in range(5, 1, -1):
        shop.delete("c1", left)
        shop.drain(sink)
        for source in ("current", "joined"):
            counted = f"SELECT count(*) AS n FROM {source}.{TABLE}"
            for _ in range(2):
                assert shop.lake.sql(counted).rows() == [{"n": left}]
    both = f"SELECT count(*) AS n FROM current.{TABLE} JOIN joined.{TABLE} AS j USING (_key)"
    assert shop.lake.sql(both).rows() == [{"n": 2}]
    listed = shop.lake.sql("SHOW TABLES").rows()
    assert {row["schema"] for row in listed} == {"current", "raw"}
