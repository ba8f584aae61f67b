"""`explain`: what a request reads and writes, what it consumes, and what a month of it costs on AWS on demand.

The request is decided as ever, against the state as it stands, and its plan is thrown away: nothing is written. So the
figures are those of the real data, and the price follows from measured ConsumedCapacity.

    AWS prices: aws.amazon.com/dynamodb/pricing/on-demand, us-east-1, Standard table class, per million request units.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from typing import Any

import orjson

from penstock import errors
from penstock.database.actions import DYNAMODB, Action, only_reads
from penstock.engine.plans import Context, Plan, Request, View
from penstock.model import items
from penstock.model.tables import Table

READ_DOLLARS = 0.125e-6
WRITE_DOLLARS = 0.625e-6
SECONDS_A_MONTH = 730 * 3600
PARTITION_READ_UNITS = 3000  # developerguide/bp-partition-key-design: what one partition serves in a second.
PARTITION_WRITE_UNITS = 1000
WASTE = 0.5  # A filter that throws away more than this is told.


class CountingView:
    """A view that counts what is read through it. Everything else is handed on."""

    def __init__(self, view: View) -> None:
        self._view = view
        self.records = 0
        self.bytes = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._view, name)

    def get(self, key: bytes) -> bytes | None:
        return self._count(self._view.get(key))

    def get_many(self, keys: list[bytes]) -> list[bytes | None]:
        return [self._count(record) for record in self._view.get_many(keys)]

    def scan(self, lower: bytes, upper: bytes, reverse: bool) -> Iterator[tuple[bytes, bytes]]:
        for pair in self._view.scan(lower, upper, reverse):
            self._count(pair[1])
            yield pair

    def page(
        self, lower: bytes, upper: bytes, reverse: bool, count_max: int, bytes_max: int
    ) -> tuple[list[bytes], bool]:
        records, more = self._view.page(lower, upper, reverse, count_max, bytes_max)
        for record in records:
            self._count(record)
        return records, more

    def _count(self, record: bytes | None) -> bytes | None:
        if record is not None:
            self.records += 1
            self.bytes += items.size_of(record)
        return record


@dataclass
class Explanation:
    """The answer. `monthly_dollars` is for `per_second` such requests a second, all month."""

    action: str
    access: str
    table: str | None
    index: str | None
    items_read: int
    bytes_read: int
    items_returned: int | None
    more_pages: bool
    records_written: int
    read_units: float
    write_units: float
    per_second: float
    monthly_dollars: float
    warnings: list[str] = field(default_factory=list)


def explain(
    actions: dict[str, Action], context: Context, action: str, request: Request, per_second: float
) -> Generator[None, None, tuple[Explanation, list[bytes]]]:
    """One request, carried out up to the point where it would be written; and what the answer depends on, as in a
    plan's `reads`. Yields where the request's own slices do."""
    run = actions.get(DYNAMODB + action)
    if run is None:
        raise errors.unknown_operation()
    view = CountingView(context.view)
    asked = {**request, "ReturnConsumedCapacity": "INDEXES"}
    outcome = run(asked, Context(view, context.now_us, context.fresh_id, context.region, context.account))
    plan: Plan = outcome if isinstance(outcome, Plan) else (yield from outcome)
    reply = orjson.loads(plan.reply)
    read, write = _units(reply.get("ConsumedCapacity"), only_reads(action, request))
    table_name = request.get("TableName")
    table = context.view.find_table(table_name) if isinstance(table_name, str) else None
    explanation = Explanation(
        action=action,
        access=_access(action, request),
        table=table.name if table is not None else None,
        index=request.get("IndexName"),
        items_read=view.records,
        bytes_read=view.bytes,
        items_returned=reply.get("Count"),
        more_pages="LastEvaluatedKey" in reply,
        records_written=len(plan.puts) + len(plan.deletes),
        read_units=read,
        write_units=write,
        per_second=per_second,
        monthly_dollars=(read * READ_DOLLARS + write * WRITE_DOLLARS) * per_second * SECONDS_A_MONTH,
    )
    explanation.warnings = list(_warnings(explanation, request, table))
    return explanation, plan.reads


def _units(consumed: Any, is_read: bool) -> tuple[float, float]:
    each = consumed if isinstance(consumed, list) else [consumed] if consumed else []
    total = sum(float(one["CapacityUnits"]) for one in each)
    return (total, 0.0) if is_read else (0.0, total)


def _access(action: str, request: Request) -> str:
    if action == "Scan":
        return "scan of the index" if "IndexName" in request else "scan of the table"
    if action == "Query":
        return "one partition of the index" if "IndexName" in request else "one partition of the table"
    return "items by their whole keys"


def _warnings(explanation: Explanation, request: Request, table: Table | None) -> Iterator[str]:
    if explanation.action == "Scan":
        yield (
            "A Scan reads, and bills, every item whatever the filter says; with more data it costs more. "
            "A Query on a key or an index reads only what it returns."
        )
    returned, read = explanation.items_returned, explanation.items_read
    if returned is not None and read > 0 and returned < read * (1 - WASTE) and "FilterExpression" in request:
        yield (
            f"The filter throws away {read - returned} of the {read} items that were read and billed. "
            "Put the condition into a key or a sparse index."
        )
    units, most = explanation.read_units, PARTITION_READ_UNITS
    if explanation.write_units:
        units, most = explanation.write_units, PARTITION_WRITE_UNITS
    if units * explanation.per_second > most and explanation.action != "Scan":
        yield (
            f"A hot key: {units * explanation.per_second:,.0f} units a second on one partition key, "
            f"where AWS serves {most:,} a second."
        )
    if explanation.more_pages and "Limit" not in request:
        yield "The answer stops at 1 MB: the rest comes page by page, each page billed the same way."
    if table is not None and explanation.write_units and len(table.indexes) > 0:
        yield f"Each write also pays for the indexes that it changes, of {len(table.indexes)} in all."
