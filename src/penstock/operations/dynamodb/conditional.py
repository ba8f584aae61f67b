"""A write's condition against the item as it stands, and the error that a failed one is."""

from __future__ import annotations

from penstock import errors
from penstock.engine.plans import Request
from penstock.engine.writes import Old
from penstock.expressions.conditions import Condition
from penstock.model import items


def check_condition(condition: Condition | None, old: Old, request: Request) -> None:
    """Raises ConditionalCheckFailedException, with the item where ReturnValuesOnConditionCheckFailure asks for it."""
    if condition is None or condition.test(old.item):
        return
    wanted = request.get("ReturnValuesOnConditionCheckFailure") == "ALL_OLD" and old.record is not None
    raise errors.condition_failed(dict(old.item) if wanted else None)


def item_json(old: Old) -> bytes:
    assert old.record is not None
    return items.json_of(old.record)
