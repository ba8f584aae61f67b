"""Boards as files: what a right one says, what is said of a wrong one, and values that never become SQL."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.console.board_files import BoardFiles, board_of, fill, mark
from penstock.errors import UsageError

BOARD = """
title = "Sales"
refresh = "1m"
[[filters]]
name = "category"
sql = "SELECT 1"
[[charts]]
title = "Volume"
kind = "area"
sql = "SELECT sum(amount) FROM current.Purchases WHERE purchased_at > $since AND category = $category"
y = ["volume"]
"""


# Why: everything that the page draws with comes from the file.
def test_a_board_says_what_the_page_needs() -> None:
    board = board_of(BOARD)
    assert (board.title, board.refresh_s, board.range) == ("Sales", 60, "30d")
    assert board.charts[0].shape()["y"] == ("volume",)
    assert board.filters[0].label == "category"


# Why: a person edits this by hand; each mistake is named where it is.
@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("[[charts]]", "[[chart"), "not TOML"),
        (('kind = "area"', 'kind = "pie"'), "chart 1: kind is one of number"),
        (('title = "Volume"', ""), "chart 1 needs title"),
        (('y = ["volume"]', 'y = "volume"'), "chart 1: y is not a list"),
        (('y = ["volume"]', "width = 13"), "chart 1: width is 1 to 12"),
        (('y = ["volume"]', 'width = "8"'), "chart 1: width is not a whole number"),
        (('y = ["volume"]', "colour = 1"), "chart 1 has no setting 'colour'"),
        (("$category", "$categroy"), "chart 1: there is no $categroy"),
        (('refresh = "1m"', 'refresh = "1s"'), "at least 2s"),
        (('name = "category"', 'name = "since"'), "filter 1: a name is"),
        (('title = "Sales"', 'title = "Sales"\nrange = "1y"'), "range is one of 1h"),
    ],
)
def test_a_mistake_is_named_where_it_is(change: tuple[str, str], said: str) -> None:
    with pytest.raises(UsageError, match=said.replace("$", r"\$").replace("[", r"\[")):
        board_of(BOARD.replace(*change))


# Why: a filter's value comes from the address bar.
@given(st.text(max_size=40))
def test_a_value_stays_one_literal(value: str) -> None:
    filled = fill("SELECT $a", {"a": value})
    inside = filled.removeprefix("SELECT '").removesuffix("'")
    assert inside.replace("''", "").count("'") == 0
    assert inside.replace("''", "'") == value


# Why: what looks like a value inside a string or a comment belongs to the query's author.
def test_strings_and_comments_are_left_alone() -> None:
    sql = """SELECT '$a', "$a", $a -- $a\n/* $a */"""
    assert fill(sql, {"a": None}) == """SELECT '$a', "$a", NULL -- $a\n/* $a */"""


# Why: two people edit one board, or one edits it in an editor meanwhile: neither loses work without being told.
def test_a_file_is_replaced_only_if_it_is_what_was_seen(tmp_path: Path) -> None:
    files = BoardFiles(tmp_path / "boards")
    files.write("sales", BOARD, seen="")
    with pytest.raises(UsageError, match="already"):
        files.write("sales", BOARD, seen="")
    files.write("sales", BOARD.replace("Sales", "More"), seen=mark(BOARD))
    with pytest.raises(UsageError, match="meanwhile"):
        files.write("sales", BOARD, seen=mark(BOARD))
    assert board_of(files.text("sales")).title == "More"
    assert files.names() == ["sales"]


# Why: the name becomes a path.
@pytest.mark.parametrize("name", ["../app", "a/b", "", ".hidden", "A", "a" * 61, "a.toml"])
def test_a_name_that_leaves_the_folder_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="name"):
        BoardFiles(tmp_path).write(name, BOARD, seen="")


# Why: the boards of the example are the first that anybody sees.
def test_the_storefronts_boards_are_right() -> None:
    folder = Path(__file__).parents[3] / "examples" / "storefront" / "boards"
    files = BoardFiles(folder)
    assert {board_of(files.text(name)).title for name in files.names()} >= {"Sales", "Model health"}
