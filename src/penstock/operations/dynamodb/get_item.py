"""GetItem: one item by its key; without a projection, its stored bytes are the answer."""

from __future__ import annotations

import orjson

from penstock.engine.plans import Context, Plan, Request
from penstock.expressions.projections import Projection
from penstock.model import items
from penstock.model.capacity import Consumed, read_units
from penstock.model.keys import base_key, check_key
from penstock.operations import shapes
from penstock.operations.dynamodb.request_expressions import projection_of


def run(request: Request, context: Context) -> Plan:
    shapes.check_shape("GetItem", request)
    shapes.canonicalise("GetItem", request)
    projection = projection_of(request)
    table = context.view.table(request["TableName"])
    key_item = request["Key"]
    check_key(table.keys, key_item)
    key = base_key(table, key_item)
    record = context.view.get(key)
    mode = request.get("ReturnConsumedCapacity")
    if mode is None or mode == "NONE":
        reply = b"{}" if record is None else b'{"Item":' + item_json(record, projection) + b"}"
        return Plan(reply=reply, reads=[key])
    size = items.size_of(record) if record is not None else 0
    consumed = Consumed(table.name, read_units(size, bool(request.get("ConsistentRead"))))
    units = b'"ConsumedCapacity":' + orjson.dumps(consumed.to_json(mode))
    if record is None:
        return Plan(reply=b"{" + units + b"}", reads=[key])
    return Plan(reply=b'{"Item":' + item_json(record, projection) + b"," + units + b"}", reads=[key])


def item_json(record: bytes, projection: Projection | None) -> bytes:
    if projection is None:
        return items.json_of(record)
    return orjson.dumps(projection.apply(items.decode(record)))
