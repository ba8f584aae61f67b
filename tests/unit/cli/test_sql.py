"""`penstock sql` shows rows so that they can be read."""

from __future__ import annotations

import io
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest

from penstock.cli import sql
from penstock.cli.main import main
from penstock.sql.results import Result


# Why: a question about a folder that was mistyped answered "no such table", and left an empty lake there.
@pytest.mark.parametrize("words", [["sql", "SELECT 1"], ["lake", "tables"], ["lake", "status"]])
def test_a_folder_without_a_lake_is_told_and_left_alone(tmp_path: Path, words: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([*words, "--lake", str(tmp_path / "lake")])
    assert ended.value.code == 2
    assert not (tmp_path / "lake").exists()


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def shown(monkeypatch: pytest.MonkeyPatch, rows: int, columns: int) -> str:
    screen = Terminal()
    monkeypatch.setattr("sys.stdout", screen)
    monkeypatch.setenv("COLUMNS", "80")
    names = [f"column_{n}" for n in range(columns)]
    table = pa.table({name: [Decimal("1.50")] * rows for name in names})
    sql._show(Result(table, 0.01, truncated=False), None)
    return screen.getvalue()


# Why: the first query that people try is SELECT *, and ten columns side by side were cut to three letters each.
def test_few_rows_that_are_too_wide_stand_upright(monkeypatch: pytest.MonkeyPatch) -> None:
    wide = shown(monkeypatch, rows=2, columns=12)
    assert wide.count("column_11") == 2
    assert "…" not in wide
    assert "1.5" in wide


# Why: what fits, and what would fill screens, stays a table.
@pytest.mark.parametrize(("rows", "columns"), [(2, 2), (50, 12)])
def test_the_rest_is_a_table(monkeypatch: pytest.MonkeyPatch, rows: int, columns: int) -> None:
    assert "━" in shown(monkeypatch, rows, columns)
