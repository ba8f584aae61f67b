"""TransactWriteItems: up to 100 puts, updates, deletes and condition checks, all of them or none.

Order of checks, as AWS: shape, expressions of all actions, tables, the same item twice, total size; then each
action is decided, and what is wrong with one becomes its cancellation reason.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import orjson

from penstock import errors
from penstock.engine import transactions
from penstock.engine.plans import EVERYTHING, Context, Plan, Request
from penstock.engine.writes import Old, plan_delete, plan_put, write_plan
from penstock.expressions.conditions import Condition
from penstock.expressions.updates import Update
from penstock.limits import TRANSACTION_BYTES_MAX
from penstock.model.capacity import Consumed, read_units, write_units
from penstock.model.keys import base_key, check_item_keys, check_key, space_bounds
from penstock.model.tables import Table
from penstock.model.values import Item, item_size
from penstock.operations import shapes
from penstock.operations.dynamodb.conditional import check_condition
from penstock.operations.dynamodb.item_replies import collection_metrics
from penstock.operations.dynamodb.request_expressions import check_paths, condition_of, update_of
from penstock.operations.dynamodb.update_item import check_not_key, plan_update

KINDS = ("ConditionCheck", "Put", "Delete", "Update")


@dataclass(slots=True)
class Step:
    """One action: what it asks, and what is known of it before it is decided."""

    kind: str
    request: Request
    condition: Condition | None
    update: Update | None
    table: Table
    key: bytes = b""

    @property
    def item(self) -> Item:
        item: Item = self.request["Item" if self.kind == "Put" else "Key"]
        return item


def run(request: Request, context: Context) -> Plan:
    shapes.check_shape("TransactWriteItems", request)
    shapes.canonicalise("TransactWriteItems", request)
    steps = [step_of(action, context) for action in request["TransactItems"]]
    return settle(request, steps, request["TransactItems"], context)


def settle(request: Request, steps: list[Step], actions: object, context: Context) -> Plan:
    """The plan of all steps. ExecuteTransaction comes here too, with the steps that its statements mean."""
    token = request.get("ClientRequestToken")
    print_ = transactions.fingerprint(actions) if token else b""
    consumed: dict[str, Consumed] = {}
    if token and transactions.was_done(token, print_, context):
        for step in steps:
            units = consumed.setdefault(step.table.name, Consumed(step.table.name))
            units.table += read_units(item_size(step.item), True)
        # `reads` lets the answer wait for the first call's sync, should that still be under way.
        reads = [EVERYTHING, *(space_bounds(step.table.space)[0] for step in steps)]
        return Plan(reply=_reply(request, steps, consumed, "ReadCapacityUnits"), reads=reads)
    transactions.decide_all(steps, _find_key)
    check_distinct(steps)
    plan = write_plan()
    plan.reads = [step.key for step in steps]
    records = context.view.get_many([step.key for step in steps])
    decide = _decider(plan, dict(zip(plan.reads, records, strict=True)), consumed)
    sizes = transactions.decide_all(steps, decide)
    if sum(sizes) > TRANSACTION_BYTES_MAX:
        raise errors.validation("Collection size of items in the transaction cannot exceed 4MB")
    if token:
        transactions.remember(plan, token, print_, context)
    plan.reply = _reply(request, steps, consumed, "WriteCapacityUnits")
    return plan


def step_of(action: Request, context: Context) -> Step:
    kinds = [kind for kind in KINDS if kind in action]
    if len(kinds) != 1:
        raise errors.validation("TransactItems can only contain one of Check, Put, Update or Delete")
    kind, request = kinds[0], action[kinds[0]]
    if kind == "Update":
        update, condition = update_of(request)
    else:
        update, condition = None, condition_of(request)
    return Step(kind, request, condition, update, context.view.table(request["TableName"]))


def _find_key(step: Step) -> None:
    if step.kind == "Put":
        check_item_keys(step.table.keys, step.item)
    else:
        check_key(step.table.keys, step.item)
        check_not_key(step.table, step.update)
    check_paths(step.table.keys, step.condition, step.update)
    step.key = base_key(step.table, step.item)


def check_distinct(steps: list[Step]) -> None:
    if len({step.key for step in steps}) < len(steps):
        raise errors.validation("Transaction request cannot include multiple operations on one item")


def _decider(
    plan: Plan, records: dict[bytes, bytes | None], consumed: dict[str, Consumed]
) -> Callable[[Step], int]:
    """Adds one step to the plan and gives the bytes that it counts for."""

    def decide(step: Step) -> int:
        old = Old(records[step.key])
        check_condition(step.condition, old, step.request)
        units = Consumed(step.table.name)
        size = old.size
        if step.kind == "ConditionCheck":
            units.table = write_units(size)
        elif step.kind == "Delete":
            plan_delete(plan, step.table, step.key, old, units)
        elif step.kind == "Put":
            size = item_size(step.item)
            plan_put(plan, step.table, step.key, old, step.item, units)
        else:
            size = item_size(plan_update(plan, step.table, step.key, old, step.update, step.item, units))
        units.double()
        consumed.setdefault(step.table.name, Consumed(step.table.name)).add(units)
        return size

    return decide


def _reply(request: Request, steps: list[Step], consumed: dict[str, Consumed], split: str) -> bytes:
    parts: list[bytes] = []
    mode = request.get("ReturnConsumedCapacity", "NONE")
    if mode != "NONE":
        units = [each.to_json(mode, split) for each in consumed.values()]
        parts.append(b'"ConsumedCapacity":' + orjson.dumps(units))
    if request.get("ReturnItemCollectionMetrics") == "SIZE":
        metrics: dict[str, list[dict[str, object]]] = {}
        for step in steps:
            if step.table.local_indexes and step.kind != "ConditionCheck":
                metrics.setdefault(step.table.name, []).append(collection_metrics(step.table, step.item))
        parts.append(b'"ItemCollectionMetrics":' + orjson.dumps(metrics))
    return b"{" + b",".join(parts) + b"}"
