"""Types of schemaless items: each rule as a case in tests/cases/lake/types.json, and the declared types."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pytest

from penstock.errors import UsageError
from penstock.lake.cells import build, item_of, misfits
from penstock.lake.evolution import COLUMNS_MAX, EXTRA, Columns, declared_types

CASES = orjson.loads((Path(__file__).parents[2] / "cases" / "lake" / "types.json").read_bytes())


def _rows(items: list[dict[str, Any]], columns: Columns) -> tuple[pa.Table, list[dict[str, Any]]]:
    arrays, extras = build(items, columns)
    table = pa.table(arrays) if arrays else pa.table({"none": pa.nulls(len(items))})
    rows = table.to_pylist()
    for row, extra in zip(rows, extras, strict=True):
        row[EXTRA] = extra
    return table, rows


def _told(value: Any) -> Any:
    if isinstance(value, list):
        return [_told(each) for each in value]
    return str(value) if isinstance(value, Decimal) else value


# Why: these rules are the contract of current; the file is the list of them.
@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_items_become_the_columns_that_the_rules_say(case: dict[str, Any]) -> None:
    columns = Columns([])
    table, rows = _rows(case["items"], columns)
    made = {column.name: str(table.schema.field(column.name).type) for column in columns.all}
    assert made == case["columns"]
    for row, expected in zip(rows, case["rows"], strict=True):
        assert {name: _told(row.get(name)) for name in expected} == expected


# Why: nothing may be dropped: what a row says, with _extra, is the item.
@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_rows_tell_the_items_again(case: dict[str, Any]) -> None:
    columns = Columns([])
    _, rows = _rows(case["items"], columns)
    assert [item_of(row, columns.all) for row in rows] == case["items"]


# Why: an application whose map keys are data would otherwise make a table that no engine can read.
def test_attributes_beyond_the_bound_go_to_extra() -> None:
    columns = Columns([])
    item = {f"a{number}": {"S": "x"} for number in range(COLUMNS_MAX + 5)}
    _, [row] = _rows([item], columns)
    assert len(columns.all) == COLUMNS_MAX
    assert len(orjson.loads(row[EXTRA])) == 5
    assert item_of(row, columns.all) == item


# Why: a declared schema is a promise about every row; what breaks it is told with the reason.
@pytest.mark.parametrize(
    ("type_", "good", "bad", "reason"),
    [
        ("string", {"S": "a"}, {"N": "1"}, "is of type N, declared as S"),
        ("decimal(5,2)", {"N": "123.45"}, {"N": "1234.5"}, "1234.5 does not fit decimal(5,2)"),
        ("integer", {"N": "7"}, {"N": "7.5"}, "7.5 is not a whole number of 64 bits"),
        ("double", {"N": "0.1"}, {"S": "x"}, "is of type S, declared as N"),
        ("boolean", {"BOOL": True}, {"S": "true"}, "is of type S, declared as BOOL"),
        ("timestamp", {"S": "2026-11-20T10:00:00Z"}, {"S": "yesterday"}, "'yesterday' is not a time"),
        ("time", {"N": "1767225600.5"}, {"S": "2026-11-20T10:00:00"}, "has no time zone"),
        ("date", {"S": "2026-11-20"}, {"S": "20.11.2026"}, "is not a date"),
        ("binary", {"B": "AAE="}, {"S": "AAE="}, "is of type S, declared as B"),
    ],
)
def test_declared_types_take_what_fits_and_name_what_does_not(
    type_: str, good: Any, bad: Any, reason: str
) -> None:
    declared = declared_types({"x": type_})
    assert misfits({"x": good}, declared) is None
    assert reason in (misfits({"x": bad}, declared) or "")
    arrays, _ = build([{"x": good}], Columns([], {"x": type_}))
    assert arrays["x"].null_count == 0


# Why: a misspelt type must not become a column of something else.
def test_an_unknown_declared_type_is_refused() -> None:
    with pytest.raises(UsageError, match="no type 'strng'"):
        declared_types({"x": "strng"})
