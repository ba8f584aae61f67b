"""The reply of a single write: Attributes, ConsumedCapacity and ItemCollectionMetrics, joined from bytes."""

from __future__ import annotations

import orjson

from penstock.engine.plans import Plan, Request
from penstock.model.capacity import Consumed
from penstock.model.tables import Table
from penstock.model.values import Item


def consumed_for(request: Request, table: Table) -> Consumed | None:
    """Where to add up units; None where nobody asked, so that a plain write does not count."""
    mode = request.get("ReturnConsumedCapacity")
    return None if mode is None or mode == "NONE" else Consumed(table.name)


def reply_to_write(
    plan: Plan, request: Request, table: Table, key: Item, consumed: Consumed | None, attributes: bytes | None
) -> Plan:
    """Fill in the plan's reply and hand it back."""
    parts: list[bytes] = []
    if attributes is not None:
        parts.append(b'"Attributes":' + attributes)
    if consumed is not None:
        parts.append(
            b'"ConsumedCapacity":' + orjson.dumps(consumed.to_json(request["ReturnConsumedCapacity"]))
        )
    if request.get("ReturnItemCollectionMetrics") == "SIZE" and table.local_indexes:
        parts.append(b'"ItemCollectionMetrics":' + orjson.dumps(collection_metrics(table, key)))
    if parts:
        plan.reply = b"{" + b",".join(parts) + b"}"
    return plan


def collection_metrics(table: Table, item: Item) -> dict[str, object]:
    """AWS gives an estimate of the collection's size as a range of one gigabyte; ours is its lowest."""
    name = table.keys.partition[0].name
    return {"ItemCollectionKey": {name: item[name]}, "SizeEstimateRangeGB": [0.0, 1.0]}
