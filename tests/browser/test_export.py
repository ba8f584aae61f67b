"""A board on the command line: the page, printed by the browser that is installed."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from typer.testing import CliRunner

from penstock.cli.boards import app
from penstock.console.exporting import board_url, export
from penstock.errors import UsageError
from tests.browser.demo import Demo


# Why: a board goes into a report or a chat as a picture of the whole page, or as a document.
def test_a_board_becomes_a_picture_and_a_document(running: Demo, tmp_path: Path) -> None:
    runner = CliRunner()
    for ending in ("png", "pdf"):
        out = tmp_path / f"sales.{ending}"
        answer = runner.invoke(
            app,
            [
                "export",
                "sales",
                "--url",
                running.url,
                "--out",
                str(out),
                "--range",
                "7d",
                "--filter",
                "category=toys",
            ],
        )
        assert answer.exit_code == 0, answer.output
    picture = (tmp_path / "sales.png").read_bytes()
    width, height = struct.unpack(">II", picture[16:24])
    assert picture.startswith(b"\x89PNG")
    assert width == 1440
    assert height > 900
    assert (tmp_path / "sales.pdf").read_bytes().startswith(b"%PDF")


# Why: a name that is wrong must not leave a picture of an error page behind.
def test_a_board_that_is_not_there_is_not_exported(running: Demo, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not drawn"):
        export(board_url(running.url, "nothing", []), tmp_path / "x.png")
    assert not (tmp_path / "x.png").exists()
    with pytest.raises(UsageError, match=r"\.png or \.pdf"):
        export(board_url(running.url, "sales", []), tmp_path / "x.jpg")
