"""PutItem: a whole item takes the place of whatever has its key.

Order of checks, as AWS: shape, ReturnValues, expressions and placeholders, values, table, keys, condition, size.
"""

from __future__ import annotations

from penstock import errors
from penstock.engine.plans import Context, Plan, Request
from penstock.engine.writes import Old, plan_put, write_plan
from penstock.model.keys import base_key, check_item_keys
from penstock.operations import shapes
from penstock.operations.dynamodb.conditional import check_condition, item_json
from penstock.operations.dynamodb.item_replies import consumed_for, reply_to_write
from penstock.operations.dynamodb.request_expressions import check_paths, condition_of


def run(request: Request, context: Context) -> Plan:
    shapes.check_shape("PutItem", request)
    wants_old = check_return_values(request)
    size = shapes.canonicalise("PutItem", request)
    condition = condition_of(request)
    table = context.view.table(request["TableName"])
    item = request["Item"]
    check_item_keys(table.keys, item)
    check_paths(table.keys, condition)
    key = base_key(table, item)
    old = Old(context.view.get(key))
    check_condition(condition, old, request)
    plan, consumed = write_plan(), consumed_for(request, table)
    plan.reads = [key]  # A write that changes nothing still waits for what it found to be durable.
    plan_put(plan, table, key, old, item, consumed, size=size)
    attributes = item_json(old) if wants_old and old.record is not None else None
    return reply_to_write(plan, request, table, item, consumed, attributes)


def check_return_values(request: Request) -> bool:
    """PutItem and DeleteItem answer with the old item or with nothing; True for the old item."""
    wanted = request.get("ReturnValues")
    if wanted is None or wanted == "NONE":
        return False
    if wanted != "ALL_OLD":
        raise errors.validation("ReturnValues can only be ALL_OLD or NONE")
    return True
