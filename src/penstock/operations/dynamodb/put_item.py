"""PutItem: a whole item takes the place of whatever has its key.

Order of checks, as AWS: shape, ReturnValues, expressions and placeholders, values, table, keys, condition, size.

`run` is PutItem. Most requests hold a table, an item and at most a condition without placeholders. What is checked of any
request can for these be seen at a glance (`_usual`).
"""

from __future__ import annotations

from functools import lru_cache

from penstock import errors
from penstock.engine.plans import Context, Plan, Request
from penstock.engine.writes import Old, plan_put, write_plan
from penstock.expressions.conditions import PROGRAMS_KEPT, Condition, compile_condition
from penstock.model.keys import base_key, check_item_keys
from penstock.model.values import check_item
from penstock.operations import shapes
from penstock.operations.dynamodb.conditional import check_condition, item_json
from penstock.operations.dynamodb.item_replies import consumed_for, reply_to_write
from penstock.operations.dynamodb.request_expressions import check_paths, condition_of

_USUAL = frozenset({"ConditionExpression", "Item", "TableName"})


def run(request: Request, context: Context) -> Plan:
    return _usual(request, context) or _any(request, context)


def _usual(request: Request, context: Context) -> Plan | None:
    """What `_any` plans for a request of the usual form; None where anything about it is unusual or in doubt."""
    name, item = request.get("TableName"), request.get("Item")
    text = request.get("ConditionExpression")
    if type(name) is not str or type(item) is not dict or not request.keys() <= _USUAL:
        return None
    table = context.view.find_table(name)
    if table is None or table.name != name or not (text is None or type(text) is str):
        return None
    try:
        condition = None if text is None else _condition(text)
        size = check_item(item)
        check_item_keys(table.keys, item)
        check_paths(table.keys, condition)
    except errors.ServiceError:
        return None
    key = base_key(table, item)
    old = Old(context.view.get(key))
    check_condition(condition, old, request)
    plan = write_plan()
    plan.reads = [key]
    plan_put(plan, table, key, old, item, None, size=size)
    return plan


@lru_cache(PROGRAMS_KEPT)
def _condition(text: str) -> Condition:
    """A condition without placeholders is the same for every request."""
    return compile_condition(text, None, None)


def _any(request: Request, context: Context) -> Plan:
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
