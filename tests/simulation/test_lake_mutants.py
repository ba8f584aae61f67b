"""Mistakes made on purpose in the sink: the seeded lives of `test_lake_crashes` must find every one of them.

A simulation that never fails proves nothing until it has been seen to fail for each rule that it is there for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random

import pytest
from pyiceberg.table import StagedTable, Table
from tests.simulation.test_lake_crashes import Life, eager_upkeep

from penstock.lake.iceberg.catalog import LocalCatalog, TableCommit
from penstock.lake.iceberg.table import Commit, IcebergTable, Refused, Unknown
from penstock.lake.progress import POSITION, Position
from penstock.lake.quarantine import Quarantine, Refusal
from penstock.lake.raw import RawLog
from penstock.lake.rows import Change
from penstock.lake.sink import TableSink

__all__ = ["eager_upkeep"]
LIVES_MAX = 40
Patch = pytest.MonkeyPatch


def no_fence(patch: Patch) -> None:
    patch.setattr(TableSink, "check_fence", lambda self, table: None)


def no_look_at_the_position(patch: Patch) -> None:
    """A lost answer is taken for a refusal."""

    def blind(
        self: TableSink,
        table: IcebergTable,
        before: int,
        after: int,
        attempt: Callable[[], None],
        reload: Callable[[], None],
    ) -> None:
        for _ in range(5):
            self.check_fence(table)
            try:
                return attempt()
            except (Refused, Unknown):
                reload()
        raise Refused("five times")

    patch.setattr(TableSink, "_commit", blind)


def stale_commits_are_based_anew(patch: Patch) -> None:
    """What the library's retry does: the same rows again, on whatever is there now."""

    def based_anew(self: LocalCatalog, commit: TableCommit) -> tuple[Table | None, StagedTable]:
        current = self.load_table(commit.identifier) if self.table_exists(commit.identifier) else None
        return current, self._update_and_stage_table(current, commit.identifier, (), commit.updates)

    patch.setattr(LocalCatalog, "_stage", based_anew)


def position_before_rows(patch: Patch) -> None:
    append = RawLog.append

    def in_two(self: RawLog, changes: Sequence[Change], position: Position) -> None:
        self.table.commit(Commit(properties={POSITION: position.encode()}))
        append(self, changes, position)

    patch.setattr(RawLog, "append", in_two)


def rows_before_position(patch: Patch) -> None:
    commit = IcebergTable.commit

    def in_two(self: IcebergTable, change: Commit) -> None:
        properties, change.properties = change.properties, {}
        commit(self, change)
        if properties:
            commit(self, Commit(properties=properties))

    patch.setattr(IcebergTable, "commit", in_two)


def current_before_raw(patch: Patch) -> None:
    land, derive = TableSink._land, TableSink._derive

    def swapped(self: TableSink, changes: Sequence[Change], position: Position) -> None:
        ahead = position.copy()
        ahead.offset += len(changes)
        derive(self, changes, position.offset, ahead)
        patch.setattr(TableSink, "_derive", lambda *_: None)
        try:
            land(self, changes, position)
        finally:
            patch.setattr(TableSink, "_derive", derive)

    patch.setattr(TableSink, "_land", swapped)


def quarantine_in_two_commits(patch: Patch) -> None:
    add = Quarantine.add

    def in_two(self: Quarantine, refused: Sequence[Refusal], offset: int) -> None:
        add(self, refused, self.offset)
        self.make().commit(Commit(properties={POSITION: Position(offset=offset).encode()}))

    patch.setattr(Quarantine, "add", in_two)


def quarantine_takes_all(patch: Patch) -> None:
    patch.setattr(Quarantine, "offset", property(lambda self: 0))


def maintenance_takes_a_rivals_state(patch: Patch) -> None:
    def unfenced(self: TableSink) -> None:
        for table in self._tables():
            table.reload()
        self.current.reload()
        self._claims = dict.fromkeys(self._claims, self._writer)

    patch.setattr(TableSink, "reload", unfenced)
    patch.setattr(TableSink, "check_fence", lambda self, table: None)


MISTAKES = [
    no_fence, no_look_at_the_position, stale_commits_are_based_anew, position_before_rows, rows_before_position,
    current_before_raw, quarantine_in_two_commits, quarantine_takes_all,
    maintenance_takes_a_rivals_state,
]  # fmt: skip


# Why: each of these was a way to lose or double rows in somebody's sink, ours among them.
@pytest.mark.long
@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.__name__)
def test_the_lives_find_this_mistake(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mistake: Callable[[Patch], None]
) -> None:
    mistake(monkeypatch)
    for seed in range(LIVES_MAX):
        try:
            Life(tmp_path / str(seed), Random(seed)).run(25)
        except Exception:
            return  # Whatever it fell over: it was seen.
    pytest.fail(f"{LIVES_MAX} lives did not notice")
