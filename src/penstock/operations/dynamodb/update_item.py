"""UpdateItem: some attributes of an item change; an item that is not there begins from its key alone."""

from __future__ import annotations

import orjson

from penstock import errors
from penstock.engine.plans import Context, Plan, Request
from penstock.engine.writes import Old, plan_put, write_plan
from penstock.expressions.updates import Update, project_updated
from penstock.model.capacity import Consumed, write_units
from penstock.model.keys import base_key, check_key
from penstock.model.tables import Table
from penstock.model.values import Item, Key, check_item
from penstock.operations import shapes
from penstock.operations.dynamodb.conditional import check_condition, item_json
from penstock.operations.dynamodb.item_replies import consumed_for, reply_to_write
from penstock.operations.dynamodb.request_expressions import check_paths, update_of


def run(request: Request, context: Context) -> Plan:
    shapes.check_shape("UpdateItem", request)
    shapes.canonicalise("UpdateItem", request)
    update, condition = update_of(request)
    table = context.view.table(request["TableName"])
    check_key(table.keys, request["Key"])
    check_not_key(table, update)
    check_paths(table.keys, update, condition)
    key = base_key(table, request["Key"])
    old = Old(context.view.get(key))
    check_condition(condition, old, request)
    plan, consumed = write_plan(), consumed_for(request, table)
    plan.reads = [key]  # A write that changes nothing still waits for what it found to be durable.
    new = plan_update(plan, table, key, old, update, request["Key"], consumed)
    attributes = _returned(request.get("ReturnValues", "NONE"), update, old, new)
    return reply_to_write(plan, request, table, request["Key"], consumed, attributes)


def check_not_key(table: Table, update: Update | None) -> None:
    if update is None:
        return
    for name in table.keys.names:
        if name in update.attributes:
            raise errors.invalid_parameter(
                f"Cannot update attribute {name}. This attribute is part of the key"
            )


def plan_update(
    plan: Plan,
    table: Table,
    key: bytes,
    old: Old,
    update: Update | None,
    key_item: Key,
    consumed: Consumed | None,
) -> Item:
    """The item becomes what the update makes of it, which is returned."""
    if old.record is None and update is not None and not update.creates:
        # REMOVE and DELETE alone bring no item into being.
        if consumed is not None:
            consumed.table += write_units(0)
        return {}
    before = old.item if old.record is not None else dict(key_item)
    new = update.apply(before) if update is not None else before
    if update is not None and update.nested:
        check_item(new)  # Only nested paths can take a value deeper than values may be.
    plan_put(plan, table, key, old, new, consumed, "to update ")
    return new


def _returned(wanted: str, update: Update | None, old: Old, new: Item) -> bytes | None:
    if wanted == "NONE":
        return None
    if wanted == "ALL_NEW":
        return orjson.dumps(new) if new else None
    if wanted == "ALL_OLD":
        return item_json(old) if old.record is not None else None
    source = new if wanted == "UPDATED_NEW" else old.item
    parts = project_updated(update, source) if update is not None else {}
    return orjson.dumps(parts) if parts else None
