"""GetItem: one item by its key; without a projection, its stored bytes are the answer.

`run` is GetItem. `glance` is the same for the request that nearly every GetItem is: a table's name, a key of short
strings, and nothing else. What holds for so small a request can be seen without the walks that hold for any.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
import orjson

from penstock.engine.plans import Context, Plan, Request
from penstock.expressions.projections import Projection
from penstock.model import items
from penstock.model.capacity import Consumed, read_units
from penstock.model.keys import END, SURELY_SHORT, base_key, check_key, escape, partition_prefix
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


class _Text(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    S: Annotated[str, msgspec.Meta(min_length=1, max_length=SURELY_SHORT)]


class _Usual(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """The usual request, as it is read and checked in one go."""

    TableName: str
    Key: dict[str, _Text]


_decode_usual = msgspec.json.Decoder(_Usual).decode


def glance(body: bytes, context: Context) -> Plan | None:
    """What `run` plans for this body, or None: it is not the usual request, or anything about it is in doubt."""
    if b"\\" in body:
        return None  # An escaped colon would not be counted below.
    try:
        request = _decode_usual(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    table, key_item = context.view.find_table(request.TableName), request.Key
    if table is None or table.name != request.TableName or len(key_item) != len(table.keys.attributes):
        return None
    colons = 2 + 2 * len(key_item)
    components: list[bytes] = []
    for attribute in table.keys.attributes:
        value = key_item.get(attribute.name)
        if value is None or attribute.type != "S":
            return None
        raw = value.S.encode()
        colons += raw.count(b":") + attribute.name.count(":")
        components.append(escape(raw) + END)
    # As many colons as members and texts need: no member was given twice (J2 in json_door.py).
    if body.count(b":") != colons:
        return None
    key = partition_prefix(table.space, components[0]) + b"".join(components[1:])
    record = context.view.get(key)
    return Plan(reply=b"{}" if record is None else b'{"Item":%b}' % items.json_of(record), reads=[key])


def item_json(record: bytes, projection: Projection | None) -> bytes:
    if projection is None:
        return items.json_of(record)
    return orjson.dumps(projection.apply(items.decode(record)))
