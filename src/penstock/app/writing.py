"""`purchases.writer()`: plain Python items into one table, many to a request."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import Any

from penstock.app.access import Keyed, key_of
from penstock.app.plain import Plain, as_sent, to_item
from penstock.connect.batch_writer import BatchWriter, Progress

__all__ = ["Progress", "TableWriter"]


class TableWriter:
    """For one thread. Everything that was put is durable when the `with` block ends, or after `flush`."""

    def __init__(self, table: Keyed, progress: Progress | None) -> None:
        self._table = table
        keys = (table.partition_key, *((table.sort_key,) if table.sort_key else ()))
        client: Any = table.client
        self._writer = BatchWriter(client, table.name, keys, progress=progress)

    @property
    def written(self) -> int:
        """How many are durable."""
        return self._writer.written

    def put(self, item: Mapping[str, Plain]) -> None:
        self._writer.put(as_sent(to_item(item)))

    def delete(self, **key: Plain) -> None:
        self._writer.delete(key_of(self._table, key))

    def flush(self) -> None:
        self._writer.flush()

    def __enter__(self) -> TableWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.flush()
