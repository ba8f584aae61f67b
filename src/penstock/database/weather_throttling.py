"""Throttling in AWS's words, and the partitions that are too hot to serve another request this second.

H1. A partition serves so many units a second, of reads and of writes, and what is beyond is throttled: that is AWS's
    limit on a hot key, whatever the billing mode. It is the one kind of weather that follows the clock and no draw.
H2. Units are those of the plan: each record written, base and index entries, and one for an item that stays as it
    was; of reads, the answer's size shared out among the partitions that it was read from. A Scan heats none.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from penstock import errors
from penstock.database.weather import Weather
from penstock.engine.plans import Context, Plan
from penstock.errors import ServiceError
from penstock.model import items
from penstock.model.capacity import read_units, write_units
from penstock.model.keys import PREFIX_BYTES
from penstock.model.tables import Index, Table
from penstock.operations.dynamodb.arns import index_arn, table_arn

_US_PER_S = 1_000_000
RATE = "Rate of requests exceeds the allowed throughput."  # Of actions that are not on items.
_PROVISIONED_INDEX = (
    "The level of configured provisioned throughput for one or more global secondary indexes of the table was "
    "exceeded. Consider increasing your provisioning level for the under-provisioned global secondary indexes "
    "with the UpdateTable API"
)
ON_DEMAND_TABLE = (
    "Throughput exceeds the current capacity of your table or index. DynamoDB is automatically scaling your table "
    "or index so please try again shortly. If exceptions persist, check if you have a hot key: "
    "https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/bp-partition-key-design.html"
)
_ON_DEMAND_INDEX = (
    "Throughput exceeds the current capacity for one or more global secondary indexes. DynamoDB is automatically "
    "scaling your index so please try again shortly."
)


def throttled(
    table: Table | None, index: Index | None, context: Context, *, reads: bool, hot: bool
) -> ServiceError:
    """The error of a request on items of this table, or of its index. Without a table nothing is told of it."""
    if table is None:
        return errors.throttling(ON_DEMAND_TABLE, [])
    provisioned = table.billing_mode == "PROVISIONED"
    limit = "ProvisionedThroughputExceeded" if provisioned and not hot else "KeyRangeThroughputExceeded"
    of_index = index is not None and index.is_global
    resource = (
        index_arn(context, table.name, index.name) if index and of_index else table_arn(context, table.name)
    )
    kind = ("Index" if of_index else "Table") + ("Read" if reads else "Write")
    reasons = [{"reason": kind + limit, "resource": resource}]
    if not provisioned:
        return errors.throttling(_ON_DEMAND_INDEX if of_index else ON_DEMAND_TABLE, reasons)
    error = errors.throughput_exceeded(reasons)
    if of_index:
        error.message = _PROVISIONED_INDEX
    return error


def reason_of(error: ServiceError) -> dict[str, str]:
    """The same, as a transaction's cancellation reason or as a statement's error in a batch."""
    code = "ThrottlingError" if error.code == "ThrottlingException" else "ProvisionedThroughputExceeded"
    return {"Code": code, "Message": error.message or ""}


class HotPartitions:
    """Units of the current second by partition, reads and writes apart."""

    def __init__(self, weather: Weather) -> None:
        self._weather = weather
        self._second = 0
        self._units: dict[bool, dict[bytes, float]] = {}

    def refuse(self, plan: Plan, now_us: int, *, reads: bool, consistent: bool) -> bool:
        """Whether a partition of this plan has served all it can this second; if none has, the plan is counted."""
        most = self._weather.partition_read_units if reads else self._weather.partition_write_units
        if not most:
            return False
        second = now_us // _US_PER_S
        if second != self._second:
            self._second = second
            self._units = {True: defaultdict(float), False: defaultdict(float)}
        held = self._units[reads]
        asked = list(_read(plan, consistent) if reads else _written(plan))
        if any(held[partition] >= most for partition, _ in asked):
            return True
        for partition, units in asked:
            held[partition] += units
        return False


def _written(plan: Plan) -> Iterator[tuple[bytes, float]]:
    for key, record in plan.puts:
        if record:  # An entry of time to live is none of a partition's.
            yield key[:PREFIX_BYTES], write_units(items.size_of(record))
    touched = {key for key, _ in plan.puts}.union(plan.deletes)
    for key in plan.deletes:
        yield key[:PREFIX_BYTES], 1.0
    for key in plan.reads:
        if key not in touched:
            yield key[:PREFIX_BYTES], 1.0


def _read(plan: Plan, consistent: bool) -> Iterator[tuple[bytes, float]]:
    partitions = [prefix[:PREFIX_BYTES] for prefix in plan.reads if len(prefix) >= PREFIX_BYTES]
    for partition in partitions:
        yield partition, read_units(len(plan.reply) // len(partitions), consistent)
