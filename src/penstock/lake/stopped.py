"""A followed table whose sink does not run, for upkeep from the command line, under the folder's lock."""

from __future__ import annotations

from types import TracebackType

from penstock.errors import UsageError
from penstock.lake.current import CurrentState
from penstock.lake.evolution import KINDS
from penstock.lake.iceberg.schemas import columns_of
from penstock.lake.iceberg.warehouse import Warehouse
from penstock.lake.quarantine import Quarantine
from penstock.lake.raw import RawLog
from penstock.lake.writer_lock import WriterLock


class StoppedTable:
    """Use it as a context manager: inside, no sink of this folder can start."""

    def __init__(self, warehouse: Warehouse, name: str) -> None:
        raw, current = warehouse.find("raw", name), warehouse.find("current", name)
        if raw is None or current is None:
            raise UsageError(f"there is no table {name} in the lake; see penstock lake tables")
        self.name = name
        self._lock = WriterLock(warehouse.folder)
        # What was declared stands in the columns, so that a rebuild refuses what the sink refused.
        declared = {
            each.attribute: each.kind for each in columns_of(current.schema) if each.kind not in KINDS
        }
        self.raw = RawLog(raw)
        self.current = CurrentState(current, declared)
        self.quarantine = Quarantine(warehouse, name)

    def __enter__(self) -> StoppedTable:
        self._lock.take()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lock.release()

    def rebuild(self) -> str:
        self.current.forget_all()
        target = self.raw.position
        done = 0
        for changes in self.raw.read(0, target.offset):
            position = target.copy()
            done += len(changes)
            position.offset = done
            accepted = [change for change in changes if self.current.refusal(change) is None]
            self.current.apply(accepted, position)
        return f"current.{self.name}: rebuilt from {done} changes"
