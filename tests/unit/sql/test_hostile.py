"""Statements that reach beyond the lake's tables, each refused before it runs and with words that say why."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.lake_setup import TABLE, Shop

from penstock.errors import PenstockError, UsageError
from penstock.sql.databases import QueryError

CURRENT = f"current.{TABLE}"
NOT_CALLED = "may not be called here"
NOT_A_QUERY = "is not a query: the lake is read here"
NOT_TOLD = "may not be asked here"

FILES = [
    "SELECT * FROM read_csv('/etc/passwd')",
    "SELECT * FROM read_csv_auto('/etc/passwd')",
    "SELECT * FROM sniff_csv('/etc/passwd')",
    "SELECT * FROM read_text('/etc/passwd')",
    "SELECT * FROM read_text(['/etc/passwd', '/etc/hosts'])",
    "FROM read_blob('/proc/self/environ')",
    "FROM read_json('../../secrets.json')",
    "FROM read_json_auto('/etc/x.json')",
    "FROM read_ndjson_objects('/etc/x.json')",
    "FROM read_parquet('https://example.com/x.parquet')",
    "FROM read_parquet('s3://bucket/x.parquet')",
    "FROM parquet_scan('/etc/x.parquet')",
    "FROM parquet_metadata('/etc/x.parquet')",
    "FROM parquet_schema('/etc/x.parquet')",
    "FROM parquet_kv_metadata('/etc/x.parquet')",
    "FROM parquet_file_metadata('/etc/x.parquet')",
    "FROM read_duckdb('/etc/x.duckdb')",
    "SELECT * FROM glob('/etc/*')",
    f"SELECT (SELECT content FROM read_text('/etc/passwd')) FROM {CURRENT}",
    "WITH secret AS (FROM read_text('/etc/passwd')) FROM secret",
    "WITH secret AS MATERIALIZED (SELECT * FROM read_text('/etc/passwd')) SELECT 1",
    f"FROM {CURRENT} WHERE EXISTS (FROM read_text('/etc/passwd'))",
    f"FROM {CURRENT}, LATERAL (FROM read_text('/etc/passwd'))",
    "SELECT 1 UNION ALL SELECT content FROM system.main.read_text('/etc/passwd')",
    "DESCRIBE FROM read_text('/etc/passwd')",
    "SUMMARIZE FROM read_text('/etc/passwd')",
    "EXPLAIN SELECT * FROM read_text('/etc/passwd')",
    "/* a */ EXPLAIN ANALYZE SELECT * FROM read_text('/etc/passwd')",
    "EXPLAIN (ANALYZE, FORMAT json) SELECT * FROM read_text('/etc/passwd')",
    "FROM iceberg_scan('/etc')",
    "FROM sqlite_scan('catalog.sqlite', 'iceberg_tables')",
    "FROM postgres_query('x', 'SELECT 1')",
]
SQL_IN_TEXT = [
    "SELECT * FROM query('SELECT * FROM read_text(''/etc/passwd'')')",
    "FROM query_table('/etc/passwd')",
    "FROM json_execute_serialized_sql('{}')",
]
# These take an address in this process' memory: a number there is a crash.
ADDRESSES = [
    "FROM arrow_scan(1::POINTER, 1::POINTER, 1::POINTER)",
    "FROM pandas_scan(1::POINTER)",
    "FROM python_map_function(1)",
    f"FROM seq_scan('{CURRENT}')",
]
ENGINE = [
    "FROM duckdb_settings()",
    "FROM duckdb_secrets()",
    "FROM which_secret('s3://x', 's3')",
    "FROM duckdb_extensions()",
    "FROM duckdb_temporary_files()",
    "FROM duckdb_logs()",
    "FROM enable_logging()",
    "FROM pragma_user_agent()",
    "FROM test_all_types()",
    "FROM test_vector_types(NULL::INT)",
]
SETTINGS = [
    "SELECT current_setting('temp_directory')",
    "SELECT CURRENT_SETTING('home_directory')",
    "SELECT system.main.current_setting('temp_directory')",
    "SELECT list_transform(['temp_directory'], lambda name: current_setting(name))",
    "SELECT getenv('HOME')",
    "SELECT getvariable('x')",
    "SELECT write_log('x')",
    "FROM pg_settings",
    "FROM pg_catalog.pg_settings",
    "EXPLAIN SELECT current_setting('temp_directory')",
    "SUMMARIZE SELECT current_setting('temp_directory')",
]
STATEMENTS = [
    "COPY (SELECT 1) TO '{folder}/written.csv'",
    f"COPY {CURRENT} TO '{{folder}}/written.parquet'",
    f"COPY {CURRENT} FROM '/etc/passwd'",
    "EXPORT DATABASE '{folder}/written'",
    "ATTACH '{folder}/written.duckdb' AS x",
    "DETACH memory",
    "USE main",
    "LOAD httpfs",
    "INSTALL httpfs",
    "UPDATE EXTENSIONS",
    "SET memory_limit = '99GB'",
    "SET VARIABLE x = 1",
    "RESET memory_limit",
    "CREATE TABLE t AS SELECT 1",
    "CREATE TEMP TABLE t AS SELECT 1",
    "CREATE MACRO f() AS 1",
    "CREATE SECRET s (TYPE s3)",
    f"DROP VIEW {CURRENT}",
    f"ALTER VIEW {CURRENT} RENAME TO x",
    f"INSERT INTO {CURRENT} SELECT 1",
    f"UPDATE {CURRENT} SET amount = 1",
    f"DELETE FROM {CURRENT}",
    f"TRUNCATE {CURRENT}",
    "CHECKPOINT",
    "VACUUM",
    "BEGIN",
    "CALL pragma_version()",
    "PREPARE p AS SELECT 1",
    "EXECUTE p",
]
OTHERS = {
    "PRAGMA enable_external_access=true": "not a query",
    "PRAGMA version": "not a query",
    "PRAGMA database_list": "not a query",
    "SELECT 1; SELECT 2": "one statement at a time; there are 2",
    f"SELECT 1; DELETE FROM {CURRENT}": "one statement at a time",
    f"WITH gone AS (DELETE FROM {CURRENT} RETURNING *) FROM gone": "Error",
    f"EXPLAIN ANALYZE DELETE FROM {CURRENT}": "not a query",
    "EXPLAIN ANALYZE COPY (SELECT 1) TO '{folder}/written.csv'": "not a query",
    f"PIVOT {CURRENT} ON customer USING count(*)": "PIVOT names its values",
    "FROM '/etc/passwd'": "there is no table /etc/passwd",
    "FROM '{folder}/lake/catalog.sqlite'": "there is no table|Permission",
    "FROM 's3://bucket/x.parquet'": "Permission|there is no table",
    "FROM shop": "there is no table shop",
    "SELECT $1": "parameter",
    "SELECT": "Error",
    "": "one statement at a time; there are 0",
    "-- nothing": "one statement at a time; there are 0",
}
CASES = (
    [(sql, NOT_CALLED) for sql in FILES + SQL_IN_TEXT + ADDRESSES + ENGINE]
    + [(sql, NOT_TOLD) for sql in SETTINGS]
    + [(sql, NOT_A_QUERY) for sql in STATEMENTS]
    + list(OTHERS.items())
)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    made = Shop(tmp_path_factory.mktemp("hostile") / "lake")
    made.put("c1", 1, amount={"N": "1.5"})
    made.pass_time()
    made.drain(made.sink())
    return made


# Why: the lake is read-only for SQL, and a query gets at nothing but the tables that it names.
@pytest.mark.parametrize(("sql", "told"), CASES)
def test_what_reaches_beyond_the_tables_is_refused(shop: Shop, sql: str, told: str) -> None:
    folder = shop.folder.parent
    shop.lake.sql(f"SELECT count(*) FROM {CURRENT}")  # A database with the table's files is kept.
    with pytest.raises(QueryError, match=told):
        shop.lake.sql(sql.replace("{folder}", str(folder)))
    assert [path.name for path in folder.iterdir()] == ["lake"]
    assert shop.lake.sql(f"SELECT amount FROM {CURRENT}").rows()[0]["amount"] == 1.5


# Why: what people ask every day must not be caught with it.
@pytest.mark.parametrize(
    "sql",
    [
        "SHOW TABLES",
        "SHOW ALL TABLES",
        f"DESCRIBE {CURRENT}",
        f"SUMMARIZE {CURRENT}",
        f"EXPLAIN ANALYZE FROM {CURRENT}",
        f"TABLE {CURRENT}",
        "VALUES (1), (2)",
        "SELECT * FROM range(3), generate_series(1, 2)",
        "SELECT * FROM unnest([1, 2])",
        "FROM duckdb_tables() UNION ALL BY NAME FROM duckdb_columns()",
        f"FROM {CURRENT} PIVOT (count(*) FOR customer IN ('c1'))",
        f"WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 3) FROM n, {CURRENT}",
        "FROM information_schema.tables",
        f"SELECT each.value FROM raw.{TABLE}, json_each(raw.{TABLE}.key::JSON) AS each",
        f"SELECT 'read_text(''/etc/passwd'')' FROM {CURRENT} -- read_csv('x')",
    ],
)
def test_ordinary_questions_are_answered(shop: Shop, sql: str) -> None:
    assert len(shop.lake.sql(sql)) > 0


# Why: DuckDB has dates that Python and JSON have not; the answer was an OverflowError with no name in it.
@pytest.mark.parametrize(
    "value", ["DATE '5877642-06-25 (BC)'", "['infinity'::DATE]", "'infinity'::TIMESTAMPTZ"]
)
def test_a_value_without_a_form_is_told_by_its_column(shop: Shop, value: str) -> None:
    result = shop.lake.sql(f"SELECT 1 AS one, {value} AS far")
    with pytest.raises(UsageError, match="column far has no form in this answer: CAST it AS VARCHAR"):
        result.rows()
    with pytest.raises(UsageError, match="column far"):
        result.write("json")
    assert len(shop.lake.sql(f"SELECT CAST({value} AS VARCHAR) AS far").rows()) == 1


# Why: a list of tables is what a person asks for first when one is damaged.
def test_the_tables_are_listed_and_the_good_ones_read_beside_a_damaged_one(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    shop.put("c1", 1)
    shop.pass_time()
    shop.drain(shop.sink())
    local = shop.warehouse.local
    assert local is not None
    Path(local.pointer(("current", TABLE)).removeprefix("file://")).write_bytes(b"{broken")
    fresh = Shop.lake_of(tmp_path)
    for asked in ("SHOW TABLES", "SHOW ALL TABLES"):
        listed = {(row["schema"], row["name"]) for row in fresh.sql(asked).rows()}
        assert listed == {("current", TABLE), ("raw", TABLE)}
    assert len(fresh.sql(f"FROM raw.{TABLE}")) == 1
    with pytest.raises(PenstockError, match=CURRENT):
        fresh.sql(f"FROM {CURRENT}")
