"""TransactGetItems: up to 100 items as they stood at one moment."""

from __future__ import annotations

import orjson

from penstock import errors
from penstock.engine import transactions
from penstock.engine.plans import Context, Plan, Request
from penstock.limits import TRANSACTION_BYTES_MAX
from penstock.model import items
from penstock.model.capacity import Consumed, read_units
from penstock.model.keys import base_key, check_key
from penstock.model.tables import Table
from penstock.model.values import Key
from penstock.operations import shapes
from penstock.operations.dynamodb.get_item import item_json
from penstock.operations.dynamodb.request_expressions import projection_of


def run(request: Request, context: Context) -> Plan:
    shapes.check_shape("TransactGetItems", request)
    shapes.canonicalise("TransactGetItems", request)
    gets = [action["Get"] for action in request["TransactItems"]]
    projections = [projection_of(get) for get in gets]
    tables = [context.view.table(get["TableName"]) for get in gets]
    wanted = [(table, get["Key"]) for table, get in zip(tables, gets, strict=True)]
    keys = transactions.decide_all(wanted, _key)
    if len(set(keys)) < len(keys):
        raise errors.validation("Transaction request cannot include multiple operations on one item")
    records = context.view.get_many(keys)
    if sum(items.size_of(record) for record in records if record is not None) > TRANSACTION_BYTES_MAX:
        raise errors.validation("Collection size of items in the transaction cannot exceed 4MB")
    answers = [
        b"{}" if record is None else b'{"Item":' + item_json(record, projection) + b"}"
        for record, projection in zip(records, projections, strict=True)
    ]
    parts = [b'"Responses":[' + b",".join(answers) + b"]"]
    mode = request.get("ReturnConsumedCapacity", "NONE")
    if mode != "NONE":
        parts.insert(0, b'"ConsumedCapacity":' + orjson.dumps(_units(tables, records, mode)))
    return Plan(reply=b"{" + b",".join(parts) + b"}", reads=keys)


def _key(wanted: tuple[Table, Key]) -> bytes:
    table, key = wanted
    check_key(table.keys, key)
    return base_key(table, key)


def _units(tables: list[Table], records: list[bytes | None], mode: str) -> list[dict[str, object]]:
    consumed: dict[str, Consumed] = {}
    for table, record in zip(tables, records, strict=True):
        size = items.size_of(record) if record is not None else 0
        consumed.setdefault(table.name, Consumed(table.name)).table += 2 * read_units(size, True)
    return [units.to_json(mode, "ReadCapacityUnits") for units in consumed.values()]
