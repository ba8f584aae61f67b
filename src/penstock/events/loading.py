"""Bulk loads: files into a table, resumable, with the rows that were refused kept in a file of their own.

    data.csv                         read
    data.csv.load.json               how many of its rows are done, written when they are durable
    data.csv.refused.jsonl           {"row": 7, "why": "…", "event": {…}} for each row that was refused

K1. A load that is started again goes on behind the rows that its checkpoint names; the few that were written after the last
    checkpoint are written again, as the same items.
K2. A checkpoint belongs to a file as it was: another size or time of change, another table, and the load begins anew.
K3. Rows that are refused stop nothing. A store that takes no more raises, and the load can be started again.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from penstock.connect.batch_writer import BatchWriter
from penstock.connect.client import Client
from penstock.events.event_bodies import Refused
from penstock.events.event_items import EventShape, item_of
from penstock.events.row_files import read_rows

CHECKPOINT_ROWS = 1000


@dataclass
class Progress:
    """How far a file's load is."""

    rows: int = 0
    stored: int = 0
    refused: int = 0


def load_file(
    client: Client,
    shape: EventShape,
    path: Path,
    *,
    types: Mapping[str, str] | None = None,
    resume: bool = True,
    tell: Callable[[Progress], None] = lambda progress: None,
) -> Progress:
    """Load one file. `tell` is called now and then, and at the end."""
    state = _State(path, shape.table)
    progress = state.read() if resume else Progress()
    if progress.rows == 0:
        state.refusals.unlink(missing_ok=True)
    kinds = {**_csv_types(shape), **(types or {})}
    refused: list[bytes] = []
    with BatchWriter(client, shape.table, shape.keys) as writer:
        for row in read_rows(path, kinds, progress.rows):
            found = row if isinstance(row, Refused) else item_of(row, shape)
            if isinstance(found, Refused):
                progress.refused += 1
                refused.append(_refusal(progress.rows, found.why, row))
            else:
                writer.put(found[0])
                progress.stored += 1
            progress.rows += 1
            if progress.rows % CHECKPOINT_ROWS == 0:
                writer.flush()
                state.write(progress, refused)
                tell(progress)
    state.write(progress, refused)
    tell(progress)
    return progress


def _csv_types(shape: EventShape) -> dict[str, str]:
    """What the columns of a CSV file hold, as far as the table says."""
    keys = {name: "number" for name, type_ in shape.key_types.items() if type_ == "N"}
    return {**keys, **shape.schema}


def _refusal(row: int, why: str, event: Any) -> bytes:
    held = None if isinstance(event, Refused) else event
    return orjson.dumps(
        {"row": row, "why": why, "event": held}, default=str, option=orjson.OPT_APPEND_NEWLINE
    )


class _State:
    """The two files beside the one that is loaded."""

    def __init__(self, path: Path, table: str) -> None:
        self.checkpoint = path.with_name(path.name + ".load.json")
        self.refusals = path.with_name(path.name + ".refused.jsonl")
        status = path.stat()
        self._of = {"table": table, "bytes": status.st_size, "changed_ns": status.st_mtime_ns}

    def read(self) -> Progress:
        try:
            held = orjson.loads(self.checkpoint.read_bytes())
        except (OSError, orjson.JSONDecodeError):
            return Progress()
        if {name: held.get(name) for name in self._of} != self._of:
            return Progress()
        return Progress(int(held["rows"]), int(held["stored"]), int(held["refused"]))

    def write(self, progress: Progress, refused: list[bytes]) -> None:
        """Refusals first: a row that the checkpoint counts is in its file."""
        if refused:
            with self.refusals.open("ab") as file:
                file.writelines(refused)
                file.flush()
                os.fsync(file.fileno())
            refused.clear()
        beside = self.checkpoint.with_name(self.checkpoint.name + ".new")
        with beside.open("wb") as file:
            file.write(orjson.dumps({**self._of, **progress.__dict__}))
            file.flush()
            os.fsync(file.fileno())
        beside.replace(self.checkpoint)
