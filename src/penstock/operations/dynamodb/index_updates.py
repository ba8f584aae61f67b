"""GlobalSecondaryIndexUpdates of UpdateTable: global indexes come, change and go, at most one coming or going at a time.

I1. A new index is CREATING, and its table UPDATING, until the backfill (database/backfill.py) has given an entry to
    every item that was there before; writes keep their own entries from the moment that the index is there.
I2. An index that goes is gone with all its entries for the next request; the reply shows it DELETING. One that is
    still being filled may go.
I3. Attributes that no key uses any more leave AttributeDefinitions.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from penstock import errors
from penstock.engine.plans import Request
from penstock.limits import GLOBAL_INDEXES_MAX
from penstock.model.tables import Index, KeyAttribute, Table, TableStatus
from penstock.operations.dynamodb.table_changes import (
    Changes,
    building,
    changed_throughput,
    merged_on_demand,
    warm_afterwards,
    warmer,
    with_index,
)
from penstock.operations.dynamodb.table_checks import (
    check_defined,
    check_on_demand,
    check_projected,
    projected_count,
)
from penstock.operations.dynamodb.table_definitions import attribute_types, new_index, on_demand_of, warm_of


def update_indexes(changes: Changes, request: Request) -> None:
    """Apply the list. The billing mode is the one that the request leaves the table with."""
    updates = request.get("GlobalSecondaryIndexUpdates") or []
    for update in updates:
        for kind in ("Update", "Delete"):
            if update.get(kind) is not None:
                _check_there(changes.table, update[kind]["IndexName"], kind.lower())
    _check_one_at_a_time(changes.table, updates)
    for update in updates:
        if update.get("Create") is not None:
            _create(changes, update["Create"], request)
        elif update.get("Delete") is not None:
            _delete(changes, update["Delete"]["IndexName"])
        else:
            _update(changes, update["Update"])


def _check_there(table: Table, name: str, verb: str) -> None:
    index = table.index(name)
    if index is None:
        raise errors.resource_not_found(f"Requested resource not found: Index {name} for table {table.name}")
    if not index.is_global:
        raise errors.validation(f"Cannot {verb} an index that is not a GlobalSecondaryIndex: {name}")


def _check_one_at_a_time(table: Table, updates: list[dict[str, Any]]) -> None:
    changing = [update for update in updates if update.get("Update") is None]
    deleted = {update["Delete"]["IndexName"] for update in changing if update.get("Delete") is not None}
    others = [name for name in building(table) if name not in deleted]
    if len(changing) > 1 or (changing and others):
        raise errors.limit_exceeded(
            "Subscriber limit exceeded: Only 1 online index can be created or deleted simultaneously per table"
        )


def _create(changes: Changes, spec: dict[str, Any], request: Request) -> None:
    table, name = changes.table, spec["IndexName"]
    if table.index(name) is not None:
        raise errors.validation("Attempting to create an index which already exists")
    if len(table.global_indexes) >= GLOBAL_INDEXES_MAX:
        raise errors.limit_exceeded(
            "Subscriber limit exceeded: Number of global secondary indexes exceeds per-table limit of "
            f"{GLOBAL_INDEXES_MAX}"
        )
    if not request.get("AttributeDefinitions"):
        raise errors.invalid_parameter(f"AttributeDefinitions is not specified for index: {name}")
    # Of definitions that are there already the table's own type counts, whatever the request says.
    types = attribute_types(request) | {key.name: key.type for key in table.attribute_types}
    check_defined(spec["KeySchema"], list(types))
    check_projected([*(len(index.included) for index in table.indexes), projected_count(spec)])
    _check_throughput(table, spec)
    space = changes.context.view.next_space()
    index = replace(
        new_index(spec, table.keys, types, space, is_global=True),
        status=TableStatus.CREATING,
        backfilling=True,
    )
    known = {key.name for key in table.attribute_types}
    added = tuple(KeyAttribute(name, types[name]) for name in index.keys.names if name not in known)
    changes.change(
        attribute_types=table.attribute_types + added,
        global_indexes=(*table.global_indexes, index),
        status=TableStatus.UPDATING,
    )


def _check_throughput(table: Table, spec: dict[str, Any]) -> None:
    given, name = spec.get("ProvisionedThroughput"), spec["IndexName"]
    if table.billing_mode == "PROVISIONED" and given is None:
        raise errors.invalid_parameter(
            f"Both ReadCapacityUnits and WriteCapacityUnits must be specified for index: {name}"
        )
    if table.billing_mode != "PROVISIONED" and given is not None:
        raise errors.invalid_parameter(
            f"Neither ReadCapacityUnits nor WriteCapacityUnits can be specified for index: {name} when "
            "BillingMode is PAY_PER_REQUEST"
        )
    check_on_demand(spec.get("OnDemandThroughput"), table.billing_mode, name)


def _delete(changes: Changes, name: str) -> None:
    index = changes.table.index(name)
    assert index is not None
    changes.plan.dropped.append(index.space)
    left = tuple(other for other in changes.table.global_indexes if other.name != name)
    table = replace(changes.table, global_indexes=left, status=TableStatus.ACTIVE)
    used = {key for keys in (table.keys, *(other.keys for other in table.indexes)) for key in keys.names}
    types = tuple(key for key in table.attribute_types if key.name in used)
    changes.table = replace(table, attribute_types=types)
    changes.shown = with_index(
        changes.shown, name, lambda index: replace(index, status=TableStatus.DELETING, backfilling=False)
    )
    changes.in_progress()


def _update(changes: Changes, spec: dict[str, Any]) -> None:
    table, name = changes.table, spec["IndexName"]
    index = table.index(name)
    assert index is not None
    given, on_demand = spec.get("ProvisionedThroughput"), spec.get("OnDemandThroughput")
    provisioned = table.billing_mode == "PROVISIONED"
    if not provisioned and (given is not None or not (on_demand or spec.get("WarmThroughput"))):
        raise errors.invalid_parameter(
            f"The only Updates for index: {name} when TableThroughputMode is {table.billing_mode} can be to "
            "OnDemandThroughput, WarmThroughput"
        )
    check_on_demand(on_demand, table.billing_mode, name, clearable=True)
    changed = index
    if given is not None:
        changed = _with_throughput(index, given, changes.context.now_us)
    if on_demand:
        changed = replace(changed, on_demand=merged_on_demand(index.on_demand, on_demand_of(spec), on_demand))
    if spec.get("WarmThroughput"):
        changed = replace(changed, warm=warmer(changed.warm, index, warm_of(spec), f"index {name}"))
    changes.table = with_index(table, name, lambda _: changed)
    changes.shown = with_index(
        changes.shown,
        name,
        lambda shown: replace(shown, status=TableStatus.UPDATING, on_demand=changed.on_demand),
    )


def _with_throughput(index: Index, given: dict[str, int], now_us: int) -> Index:
    read, write = given["ReadCapacityUnits"], given["WriteCapacityUnits"]
    old = index.throughput
    if (read, write) == (old.read_units, old.write_units):
        raise errors.validation(
            f"The provisioned throughput for the index {index.name} will not change. The requested value equals "
            f"the current value. Current ReadCapacityUnits provisioned for index {index.name}: {read}. "
            f"Requested ReadCapacityUnits: {read}. Current WriteCapacityUnits provisioned for index "
            f"{index.name}: {write}. Requested WriteCapacityUnits: {write}. Refer to the Amazon DynamoDB "
            "Developer Guide for current limits and how to request higher limits."
        )
    new = changed_throughput(old, given, now_us)
    return replace(index, throughput=new, warm=warm_afterwards(index.warm, old, new))
