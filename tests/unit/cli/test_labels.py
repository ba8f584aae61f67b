"""The file of what came true, as `penstock monitor --labels` takes it."""

from __future__ import annotations

from pathlib import Path

import pytest

from penstock.cli.monitor import read_labels
from penstock.errors import UsageError


# Why: lines are written by people and by scripts; by request or by customer, and what is not known yet is no label.
def test_labels_are_read_by_request_and_by_entity(tmp_path: Path) -> None:
    file = tmp_path / "labels.jsonl"
    file.write_text(
        '{"requestId": "r1", "label": 1}\n\n{"entity": 17, "label": "no"}\n{"entity": "c2", "label": null}\n'
    )
    assert read_labels(file, None) == {"r1": 1, "17": "no"}
    assert read_labels(None, None) == {}


# Why: a slip in one of ten thousand lines was a traceback that named neither the file nor the line.
@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"entity": "c1", "label": 1}\nlabel: 1\n', "line 2 is no JSON"),
        ('{"entity": "c1"}\n', "line 1 has to have requestId .or entity. and label"),
        ('{"label": 1}\n', "line 1 has to have requestId"),
        ("[1]\n", "line 1 has to have requestId"),
    ],
)
def test_a_line_that_is_no_label_is_named(tmp_path: Path, text: str, says: str) -> None:
    file = tmp_path / "labels.jsonl"
    file.write_text(text)
    with pytest.raises(UsageError, match=says):
        read_labels(file, None)


# Why: a path with a slip is said in words.
def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"labels cannot be read.*nothing\.jsonl"):
        read_labels(tmp_path / "nothing.jsonl", None)
