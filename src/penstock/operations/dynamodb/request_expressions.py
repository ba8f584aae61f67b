"""The expressions of a request, old parameters or new, checked together before any table is looked up.

All of a request's expressions share its #names and :values, so they are compiled together, in AWS's order: old and new
parameters mixed, placeholders without an expression, the placeholders' own form, each expression, what is left over.
Query's key condition needs the table's key schema, so its placeholders are handed on (`Expressions.check_all_used`).
"""

from __future__ import annotations

from penstock.engine.plans import Request
from penstock.expressions import legacy, resolve
from penstock.expressions.checks import check_scalar_keys
from penstock.expressions.conditions import Condition, compile_condition
from penstock.expressions.key_ranges import KeyRange, compile_key_condition
from penstock.expressions.projections import Projection, compile_projection
from penstock.expressions.updates import Update, compile_update
from penstock.model.tables import KeySchema

NAMES, VALUES = "ExpressionAttributeNames", "ExpressionAttributeValues"
NONE: frozenset[str] = frozenset()


def check(request: Request, leading: str) -> None:
    """What can be said before any expression is read. `leading` is the action's first expression."""
    legacy.check_not_mixed(request)
    if NAMES in request or VALUES in request:
        resolve.check_not_without_expression(request, leading)
        resolve.check_placeholders(request.get(NAMES), request.get(VALUES))


def condition_of(request: Request) -> Condition | None:
    """The condition of PutItem, DeleteItem or ConditionCheck."""
    check(request, "ConditionExpression")
    text = request.get("ConditionExpression")
    if text is None:
        return legacy.condition_of_expected(request)
    names, values = request.get(NAMES), request.get(VALUES)
    condition = compile_condition(text, names, values, "ConditionExpression")
    resolve.check_all_used(names, values, condition.used_names, condition.used_values)
    return condition


def update_of(request: Request) -> tuple[Update | None, Condition | None]:
    """The update and the condition of UpdateItem."""
    check(request, "UpdateExpression")
    update_text, condition_text = request.get("UpdateExpression"), request.get("ConditionExpression")
    if update_text is None and condition_text is None:
        return legacy.update_of(request), legacy.condition_of_expected(request)
    names, values = request.get(NAMES), request.get(VALUES)
    update = None if update_text is None else compile_update(update_text, names, values)
    condition = None
    if condition_text is not None:
        condition = compile_condition(condition_text, names, values, "ConditionExpression")
    _check_all_used(request, update, condition)
    return update, condition


def projection_of(request: Request) -> Projection | None:
    """The projection of GetItem and of each table or key of its batches."""
    check(request, "ProjectionExpression")
    text = request.get("ProjectionExpression")
    if text is None:
        return legacy.projection_of(request)
    names = request.get(NAMES)
    projection = compile_projection(text, names)
    resolve.check_all_used(names, None, projection.used_names, NONE)
    return projection


def page_of(request: Request, old_filter: str) -> tuple[Condition | None, Projection | None]:
    """Filter and projection of Query or Scan. Which placeholders are left over is still to be checked."""
    names, values = request.get(NAMES), request.get(VALUES)
    text = request.get("FilterExpression")
    filter_ = (
        compile_condition(text, names, values, "FilterExpression")
        if text is not None
        else legacy.condition_of_filter(request, old_filter)
    )
    text = request.get("ProjectionExpression")
    projection = compile_projection(text, names) if text is not None else legacy.projection_of(request)
    return filter_, projection


def scan_of(request: Request) -> tuple[Condition | None, Projection | None]:
    check(request, "FilterExpression")
    filter_, projection = page_of(request, "ScanFilter")
    _check_all_used(request, filter_, projection)
    return filter_, projection


def key_range_of(
    request: Request, schema: KeySchema, filter_: Condition | None, projection: Projection | None
) -> KeyRange:
    text = request.get("KeyConditionExpression")
    if text is None:
        return legacy.key_range_of(request, schema)
    key_range = compile_key_condition(text, request.get(NAMES), request.get(VALUES), schema)
    _check_all_used(request, key_range, filter_, projection)
    return key_range


def check_paths(keys: KeySchema, *compiled: Update | Condition | Projection | None) -> None:
    """No path goes into a key attribute. Needs the table, so it comes after its look-up."""
    for each in compiled:
        if each is not None and each.nested:
            check_scalar_keys(each.nested, keys.names)


def _check_all_used(request: Request, *compiled: Update | Condition | Projection | KeyRange | None) -> None:
    names, values = request.get(NAMES), request.get(VALUES)
    if names is None and values is None:
        return
    used_names = NONE.union(*(each.used_names for each in compiled if each is not None))
    used_values = NONE.union(*(getattr(each, "used_values", NONE) for each in compiled if each is not None))
    resolve.check_all_used(names, values, used_names, used_values)
