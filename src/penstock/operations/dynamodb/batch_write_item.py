"""BatchWriteItem: up to 25 puts and deletes without conditions, over one or more tables, in one sync.

Each is decided as PutItem or DeleteItem would decide it. No key may come twice, so they do not see each other.
"""

from __future__ import annotations

import orjson

from penstock import errors
from penstock.engine.plans import Context, Plan, Request
from penstock.engine.writes import Old, plan_delete, plan_put, write_plan
from penstock.limits import BATCH_WRITE_ITEMS_MAX
from penstock.model.capacity import Consumed
from penstock.model.keys import base_key, check_item_keys, check_key, key_of
from penstock.model.tables import Table
from penstock.model.values import Item
from penstock.operations import shapes
from penstock.operations.dynamodb.item_replies import collection_metrics

KINDS = ("PutRequest", "DeleteRequest")


def run(request: Request, context: Context) -> Plan:
    shapes.check_shape("BatchWriteItem", request)
    shapes.canonicalise("BatchWriteItem", request)
    writes = request["RequestItems"]
    check_count(writes)
    check_kinds(writes)
    mode = request.get("ReturnConsumedCapacity", "NONE")
    targets = _targets(writes, context)
    olds = context.view.get_many([key for _, key, _, _ in targets])
    plan = write_plan()
    plan.reads = [key for _, key, _, _ in targets]
    consumed: dict[str, Consumed] = {}
    for (table, key, item, is_put), record in zip(targets, olds, strict=True):
        units = consumed.setdefault(table.name, Consumed(table.name)) if mode != "NONE" else None
        if is_put:
            plan_put(plan, table, key, Old(record), item, units)
        else:
            plan_delete(plan, table, key, Old(record), units)
    parts = [b'"UnprocessedItems":{}']
    if mode != "NONE":
        parts.append(
            b'"ConsumedCapacity":' + orjson.dumps([units.to_json(mode) for units in consumed.values()])
        )
    if request.get("ReturnItemCollectionMetrics") == "SIZE":
        parts.append(b'"ItemCollectionMetrics":' + orjson.dumps(_metrics(targets)))
    plan.reply = b"{" + b",".join(parts) + b"}"
    return plan


def check_count(writes: dict[str, list[Request]]) -> None:
    if sum(len(each) for each in writes.values()) > BATCH_WRITE_ITEMS_MAX:
        raise errors.validation("Too many items requested for the BatchWriteItem call")


def check_kinds(writes: dict[str, list[Request]]) -> None:
    """Each is a put or a delete. AWS tells it in the words that it has for values."""
    for each in writes.values():
        for write in each:
            kinds = [kind for kind in KINDS if kind in write]
            if not kinds:
                raise errors.validation(
                    "Supplied AttributeValue is empty, must contain exactly one of the supported datatypes"
                )
            if len(kinds) > 1:
                raise errors.validation(
                    "Supplied AttributeValue has more than one datatypes set, "
                    "must contain exactly one of the supported datatypes"
                )


def _targets(writes: dict[str, list[Request]], context: Context) -> list[tuple[Table, bytes, Item, bool]]:
    """(table, key, item or key attributes, is a put) of each write, with all keys checked before any is read."""
    targets: list[tuple[Table, bytes, Item, bool]] = []
    seen: set[bytes] = set()
    for name, each in writes.items():
        table = context.view.table(name)
        for write in each:
            put = write.get("PutRequest")
            if put is not None:
                item = put["Item"]
                check_item_keys(table.keys, item)
            else:
                item = write["DeleteRequest"]["Key"]
                check_key(table.keys, item)
            key = base_key(table, item)
            if key in seen:
                raise errors.validation("Provided list of item keys contains duplicates")
            seen.add(key)
            targets.append((table, key, item, put is not None))
    return targets


def _metrics(targets: list[tuple[Table, bytes, Item, bool]]) -> dict[str, list[dict[str, object]]]:
    metrics: dict[str, list[dict[str, object]]] = {}
    seen: set[bytes] = set()
    for table, _, item, _ in targets:
        partition = orjson.dumps([table.name, key_of(table.keys, item)[table.keys.partition[0].name]])
        if table.local_indexes and partition not in seen:
            seen.add(partition)
            metrics.setdefault(table.name, []).append(collection_metrics(table, item))
    return metrics
