"""Tables made by a query: written whole in one commit, and only when what they are made from has changed.

C1. What a table was made from stands in its properties: the query, and each source's state. A source's state is how far
    its change log has come, where it has one, so that a compaction is no change.
"""

from __future__ import annotations

import hashlib
from typing import Protocol

import orjson

from penstock.lake.iceberg.arrow_tables import replace_rows, split_name
from penstock.lake.iceberg.planning import Planner
from penstock.lake.iceberg.warehouse import Warehouse
from penstock.lake.progress import POSITION, decode
from penstock.sql.databases import Bounds, QueryError
from penstock.sql.session import Questions

SOURCES, QUERY, MADE = "penstock.made-from", "penstock.query", "penstock.made-at-us"


class Readable(Protocol):
    """A lake, as far as this module knows one."""

    warehouse: Warehouse
    planner: Planner
    questions: Questions
    bounds: Bounds


def write_into(
    lake: Readable, name: str, sql: str, *, now_us: int, always: bool = True, id_: str | None = None
) -> bool:
    """Make the table from the query, which may be cancelled by its id. False where `always` is not set and nothing has
    changed (C1)."""
    namespace, table = split_name(name)
    sources = _sources(lake, sql)
    query = hashlib.sha256(sql.encode()).hexdigest()
    held = lake.planner.find(namespace, table)
    made_from = orjson.dumps(sources, option=orjson.OPT_SORT_KEYS).decode()
    if not always and held is not None:
        told = held.properties
        if told.get(SOURCES) == made_from and told.get(QUERY) == query:
            return False
    result = lake.questions.ask(sql, bounds=lake.bounds, id_=id_)
    if result.truncated:
        raise QueryError(f"{name}: the query gives more than {lake.bounds.rows_max} rows")
    properties = {SOURCES: made_from, QUERY: query, MADE: str(now_us)}
    replace_rows(lake.warehouse, name, result.table, properties)
    return True


def _sources(lake: Readable, sql: str) -> dict[str, str]:
    """The state of each table that the query names. Read before the query runs: a change in between is seen next time."""
    states: dict[str, str] = {}
    for namespace, name in lake.questions.tables_named(sql):
        known = lake.planner.find("current" if namespace == "joined" else namespace, name)
        if known is not None:
            position = known.properties.get(POSITION)
            state = str(decode(position).offset) if position else str(known.snapshot_id)
            states[f"{namespace}.{name}"] = state
    return states
