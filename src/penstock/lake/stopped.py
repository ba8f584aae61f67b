"""A followed table whose sink does not run, for upkeep from the command line, under the folder's lock."""

from __future__ import annotations

from types import TracebackType

import orjson

from penstock.errors import UsageError
from penstock.lake.current import CurrentState
from penstock.lake.iceberg.schemas import CURRENT_SCHEMA
from penstock.lake.iceberg.warehouse import Warehouse
from penstock.lake.progress import DECLARED
from penstock.lake.quarantine import Quarantine
from penstock.lake.raw import RawLog
from penstock.lake.writer_lock import WriterLock


class StoppedTable:
    """Use it as a context manager: inside, no sink of this folder can start."""

    def __init__(self, warehouse: Warehouse, name: str) -> None:
        raw = warehouse.find("raw", name)
        if raw is None:
            raise UsageError(f"there is no table {name} in the lake; see penstock lake tables")
        self.name = name
        self._lock = WriterLock(warehouse.folder)
        # So that a rebuild refuses what the sink refused.
        declared = orjson.loads(raw.properties.get(DECLARED, "{}"))
        self.raw = RawLog(raw)
        self.current = CurrentState(warehouse.ensure("current", name, CURRENT_SCHEMA), declared)
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
