"""DeleteItem: the item under a key goes, if it is there. Deleting nothing succeeds."""

from __future__ import annotations

from penstock.engine.plans import Context, Plan, Request
from penstock.engine.writes import Old, plan_delete, write_plan
from penstock.model.keys import base_key, check_key
from penstock.operations import shapes
from penstock.operations.dynamodb.conditional import check_condition, item_json
from penstock.operations.dynamodb.item_replies import consumed_for, reply_to_write
from penstock.operations.dynamodb.put_item import check_return_values
from penstock.operations.dynamodb.request_expressions import check_paths, condition_of


def run(request: Request, context: Context) -> Plan:
    shapes.check_shape("DeleteItem", request)
    wants_old = check_return_values(request)
    shapes.canonicalise("DeleteItem", request)
    condition = condition_of(request)
    table = context.view.table(request["TableName"])
    check_key(table.keys, request["Key"])
    check_paths(table.keys, condition)
    key = base_key(table, request["Key"])
    old = Old(context.view.get(key))
    check_condition(condition, old, request)
    plan, consumed = write_plan(), consumed_for(request, table)
    plan.reads = [key]  # A write that changes nothing still waits for what it found to be durable.
    plan_delete(plan, table, key, old, consumed)
    attributes = item_json(old) if wants_old and old.record is not None else None
    return reply_to_write(plan, request, table, request["Key"], consumed, attributes)
