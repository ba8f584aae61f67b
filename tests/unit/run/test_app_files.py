"""Finding and loading a user's application."""

from __future__ import annotations

from pathlib import Path

import pytest

from penstock.errors import UsageError
from penstock.run.app_files import find_app_file, load_app

APP = "import penstock\nshop = penstock.App('shop')\n"


def write(path: Path, text: str = APP) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


# Why: `penstock up` without a word runs what lies here.
def test_the_file_of_this_folder_comes_first(tmp_path: Path) -> None:
    write(tmp_path / "below" / "app.py")
    assert find_app_file(None, tmp_path) == tmp_path / "below" / "app.py"
    here = write(tmp_path / "app.py")
    assert find_app_file(None, tmp_path) == here


# Why: guessing between two applications would start the wrong one.
def test_two_applications_below_are_named_and_none_is_chosen(tmp_path: Path) -> None:
    write(tmp_path / "a" / "app.py")
    write(tmp_path / "b" / "app.py")
    with pytest.raises(UsageError, match=r"a/app\.py, b/app\.py"):
        find_app_file(None, tmp_path)


# Why: app.py is a common name; a web framework's is not ours.
def test_an_app_file_of_another_tool_is_not_taken(tmp_path: Path) -> None:
    write(tmp_path / "web" / "app.py", "import flask\n")
    with pytest.raises(UsageError, match="penstock init shop"):
        find_app_file(None, tmp_path)


# Why: `penstock up shop` and `penstock up shop/app.py` are the same wish.
def test_a_folder_stands_for_its_app_file(tmp_path: Path) -> None:
    file = write(tmp_path / "shop" / "app.py")
    assert find_app_file(tmp_path / "shop", tmp_path) == file
    assert find_app_file(file, tmp_path) == file
    with pytest.raises(UsageError, match="is not there"):
        find_app_file(tmp_path / "shoe", tmp_path)


# Why: an application may be split over files beside it, as the storefront is.
def test_modules_beside_the_file_can_be_imported(tmp_path: Path) -> None:
    write(tmp_path / "parts_of_the_shop.py", "NAME = 'parted'\n")
    file = write(
        tmp_path / "parted_app.py",
        "import parts_of_the_shop, penstock\na = penstock.App(parts_of_the_shop.NAME)\n",
    )
    assert load_app(file).name == "parted"


# Why: an empty file, or two applications in one, must not start half of what was meant.
@pytest.mark.parametrize(
    ("text", "says"), [("x = 1\n", "no application"), (APP + "b = penstock.App('b')\n", "2 applications")]
)
def test_a_file_declares_exactly_one_application(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        load_app(write(tmp_path / "some_app.py", text))


# Why: `from app import app` must not count as a second application.
def test_one_application_under_two_names_is_one(tmp_path: Path) -> None:
    assert load_app(write(tmp_path / "twice_app.py", APP + "again = shop\n")).name == "shop"
