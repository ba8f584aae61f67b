"""The storefront's boards ask for what their headings say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import pytest

from penstock.console.board_files import board_of, fill

BOARDS = Path(__file__).parents[3] / "examples" / "storefront" / "boards"


# Why: thirty days ago is somewhere within a day, and the rest of that day looked as if the shop had sold less.
@pytest.mark.parametrize(
    ("since", "first", "points"),
    [
        ("2026-11-10T10:00:00.000000Z", "2026-11-11 00:00:00", 10),
        ("2026-11-19T12:30:00.000000Z", "2026-11-19 13:00:00", 24),
        ("1970-01-01T00:00:00.000000Z", "2026-11-01 00:00:00", 20),
    ],
)
def test_what_is_drawn_along_time_begins_with_a_whole_part(since: str, first: str, points: int) -> None:
    [chart] = [
        each
        for each in board_of((BOARDS / "sales.toml").read_text()).charts
        if each.title == "Volume over time"
    ]
    values: dict[str, Any] = {"since": since, "until": "2026-11-20T12:30:00.000000Z", "category": None}
    with duckdb.connect() as lake:
        lake.sql("CREATE SCHEMA current")
        lake.sql(
            "CREATE TABLE current.Purchases AS "
            "SELECT strftime(at_, '%Y-%m-%dT%H:%M:%S.000000Z') AS purchased_at, 1 AS amount, 'toys' AS category "
            "FROM generate_series(TIMESTAMP '2026-11-01', TIMESTAMP '2026-11-20 12:00:00', INTERVAL 15 MINUTE) AS rows(at_)"
        )
        rows = lake.sql(fill(chart.sql, values)).fetchall()
    assert (str(rows[0][0]), len(rows)) == (first, points)
