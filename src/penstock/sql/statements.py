"""What a statement asks for, read from its syntax tree before it is run: the tables that it names, and whether it may run.

W1. Table functions of DuckDB open files, take addresses in memory (arrow_scan, pandas_scan) or run SQL that nobody has
    looked at (query, json_execute_serialized_sql). Those that only make rows of their arguments, or tell which tables,
    functions and types there are, may be called; any other may not.
W2. Settings of the engine, which name folders of this machine, are not told. Paths of the tables' own files are no secret:
    the catalogue tells them to every client.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

TABLE_FUNCTIONS = frozenset({
    "duckdb_columns", "duckdb_functions", "duckdb_keywords", "duckdb_schemas", "duckdb_tables", "duckdb_types",
    "duckdb_views", "generate_series", "icu_calendar_names", "json_each", "json_tree", "pg_timezone_names",
    "range", "repeat", "repeat_row", "unnest",
})  # fmt: skip
_TOLD_OF_ENGINE = frozenset({"current_setting", "getenv", "getvariable", "pg_settings", "write_log"})
_LISTING_SCHEMAS = frozenset({"information_schema", "pg_catalog"})


def forbidden(tree: object) -> str | None:
    """Why a statement may not run, or None. `tree` is what json_serialize_sql made of it."""
    for node in _nodes(tree):
        name = _text(node, "function_name")
        if node.get("type") == "TABLE_FUNCTION":
            called = _text(node["function"], "function_name")
            if called not in TABLE_FUNCTIONS:
                return f"{called}() may not be called here: a query reads the lake's tables, by their names"
        elif name in _TOLD_OF_ENGINE or _built_in(node) in _TOLD_OF_ENGINE:
            return f"{name or _built_in(node)} may not be asked here: it tells of the engine, not of the lake"
    return None


def tables_in(tree: object) -> list[tuple[str, str]] | None:
    """The (namespace, name) pairs that a statement names, sorted; None where it lists all of them."""
    found: set[tuple[str, str]] = set()
    for node in _nodes(tree):
        if node.get("type") == "BASE_TABLE" and node["schema_name"]:
            found.add((node["schema_name"], node["table_name"]))
        lists = (
            node.get("show_type") == "SHOW_UNQUALIFIED"
            or _text(node, "schema_name") in _LISTING_SCHEMAS
            or _text(node, "function_name").startswith("duckdb_")
            or _built_in(node).startswith(("duckdb_", "pg_", "sqlite_"))
        )
        if lists:
            return None
    return sorted(found)


def _built_in(node: Mapping[str, Any]) -> str:
    """The name of a table that may be one of DuckDB's own."""
    own = _text(node, "schema_name") in ("", "main", "pg_catalog")
    return _text(node, "table_name") if own else ""


def _text(node: Mapping[str, Any], name: str) -> str:
    return str(node.get(name) or "").lower()


def _nodes(tree: object) -> Iterator[Mapping[str, Any]]:
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            yield node
            waiting += node.values()
        elif isinstance(node, list):
            waiting += node
