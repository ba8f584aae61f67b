"""ListTables over the wire."""

from __future__ import annotations

from typing import Any

from tests.conformance.answers import refused
from tests.conformance.conftest import NewTable


# Why: [A] names in order, in pages of Limit, each going on behind the last.
def test_names_come_in_pages(db: Any, new_table: NewTable) -> None:
    made = {new_table() for _ in range(5)}
    found: list[str] = []
    start: dict[str, Any] = {}
    while True:
        page = db.list_tables(Limit=2, **start)
        assert len(page["TableNames"]) <= 2
        found += page["TableNames"]
        if "LastEvaluatedTableName" not in page:
            break
        start = {"ExclusiveStartTableName": page["LastEvaluatedTableName"]}
    assert len(found) == len(set(found))
    assert made <= set(found)


# Why: [A] Limit from 1 to 100.
def test_a_limit_out_of_range_is_refused(db: Any) -> None:
    for limit in (0, 101):
        with refused("ValidationException"):
            db.list_tables(Limit=limit)
