"""What a write may be conditional on: ConditionExpression, or the older Expected, with their placeholders.

The checks stand in AWS's order: old and new parameters mixed, placeholders without an expression, the expressions
themselves, placeholders that none of them uses. All of them come before the table is looked up.
"""

from __future__ import annotations

from collections.abc import Callable

import orjson

from penstock import errors
from penstock.engine.plans import Request
from penstock.engine.writes import Old
from penstock.expressions import legacy, resolve
from penstock.expressions.conditions import Condition, compile_condition
from penstock.expressions.updates import Update, compile_update
from penstock.model import items

NO_NAMES: frozenset[str] = frozenset()


def condition_of(request: Request) -> Condition | None:
    """The condition of PutItem, DeleteItem or ConditionCheck, checked on its own."""
    text = request.get("ConditionExpression")
    if text is None:
        if "Expected" in request or "ConditionalOperator" in request:
            legacy.check_not_mixed(request)
            return legacy.condition_of_expected(request)
        if "ExpressionAttributeNames" in request or "ExpressionAttributeValues" in request:
            resolve.check_not_without_expression(request, "ConditionExpression")
        return None
    legacy.check_not_mixed(request)
    names, values = request.get("ExpressionAttributeNames"), request.get("ExpressionAttributeValues")
    condition = compile_condition(text, names, values, "ConditionExpression")
    resolve.check_all_used(names, values, condition.used_names, condition.used_values)
    return condition


def update_of(request: Request) -> tuple[Update | None, Condition | None]:
    """The update and the condition of UpdateItem: they share their placeholders."""
    update_text, condition_text = request.get("UpdateExpression"), request.get("ConditionExpression")
    legacy.check_not_mixed(request)
    if update_text is None and condition_text is None:
        resolve.check_not_without_expression(request, "UpdateExpression")
        return legacy.update_of(request), legacy.condition_of_expected(request)
    names, values = request.get("ExpressionAttributeNames"), request.get("ExpressionAttributeValues")
    update = None if update_text is None else compile_update(update_text, names, values)
    condition = None
    if condition_text is not None:
        condition = compile_condition(condition_text, names, values, "ConditionExpression")
    used_names = (update.used_names if update else NO_NAMES) | (condition.used_names if condition else NO_NAMES)
    used_values = (update.used_values if update else NO_NAMES) | (condition.used_values if condition else NO_NAMES)
    resolve.check_all_used(names, values, used_names, used_values)
    return update, condition


def check_condition(condition: Condition | None, old: Old, request: Request) -> None:
    """Raises ConditionalCheckFailedException, with the item where ReturnValuesOnConditionCheckFailure asks for it."""
    if condition is None or condition.test(old.item):
        return
    wanted = request.get("ReturnValuesOnConditionCheckFailure") == "ALL_OLD" and old.record is not None
    raise errors.condition_failed(old.item if wanted else None)


Judge = Callable[[Old], None]


def item_json(old: Old) -> bytes:
    assert old.record is not None
    return items.json_of(old.record)


def attributes_json(attributes: object) -> bytes:
    return orjson.dumps(attributes)
