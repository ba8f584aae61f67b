"""BatchGetItem: up to 100 items by their keys, over one or more tables, in one pass through the store.

What would take the answer past 16 MB comes back as UnprocessedKeys, as on AWS.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import compress
from typing import Any

import orjson

from penstock import errors
from penstock.engine.plans import Context, Plan, Request
from penstock.expressions.projections import Projection
from penstock.limits import BATCH_GET_BYTES_MAX, BATCH_GET_KEYS_MAX
from penstock.model import items
from penstock.model.capacity import Consumed, read_units_of
from penstock.model.keys import base_key, check_key
from penstock.operations import shapes
from penstock.operations.dynamodb.get_item import item_json
from penstock.operations.dynamodb.request_expressions import projection_of


def run(request: Request, context: Context) -> Plan:
    shapes.check_shape("BatchGetItem", request)
    shapes.canonicalise("BatchGetItem", request)
    wanted = request["RequestItems"]
    if sum(len(each["Keys"]) for each in wanted.values()) > BATCH_GET_KEYS_MAX:
        raise errors.validation("Too many items requested for the BatchGetItem call")
    projections = {name: projection_of(each) for name, each in wanted.items()}
    mode = request.get("ReturnConsumedCapacity", "NONE")
    reply = _Reply()
    for name, each in wanted.items():
        reply.read_table(name, each, projections[name], context)
    parts = [b'"Responses":{' + b",".join(reply.responses) + b"}"]
    parts.append(b'"UnprocessedKeys":' + orjson.dumps(reply.unprocessed))
    if mode != "NONE":
        parts.append(b'"ConsumedCapacity":' + orjson.dumps([units.to_json(mode) for units in reply.consumed]))
    return Plan(reply=b"{" + b",".join(parts) + b"}", reads=reply.reads)


class _Reply:
    """The answer as it grows, table by table."""

    def __init__(self) -> None:
        self.responses: list[bytes] = []
        self.unprocessed: dict[str, Any] = {}
        self.consumed: list[Consumed] = []
        self.reads: list[bytes] = []
        self._bytes = 0

    def read_table(self, name: str, each: Request, projection: Projection | None, context: Context) -> None:
        table = context.view.table(name)
        for key_item in each["Keys"]:
            check_key(table.keys, key_item)
        keys = [base_key(table, key_item) for key_item in each["Keys"]]
        if len(set(keys)) != len(keys):
            raise errors.validation("Provided list of item keys contains duplicates")
        self.reads += keys
        consistent = bool(each.get("ConsistentRead"))
        units = Consumed(table.name)
        records = context.view.get_many(keys)
        sizes = [0 if record is None else items.size_of(record) for record in records]
        left: list[Any] = []
        if self._bytes + sum(sizes) > BATCH_GET_BYTES_MAX:
            fits = list(self._fitting(sizes))
            left = [key_item for key_item, fit in zip(each["Keys"], fits, strict=True) if not fit]
            records, sizes = list(compress(records, fits)), list(compress(sizes, fits))
        self._bytes += sum(sizes)
        units.table = read_units_of(sizes, consistent)
        found = [item_json(record, projection) for record in records if record is not None]
        self.responses.append(orjson.dumps(name) + b":[" + b",".join(found) + b"]")
        self.consumed.append(units)
        if left:
            self.unprocessed[name] = {**each, "Keys": left}

    def _fitting(self, sizes: Sequence[int]) -> Iterator[bool]:
        """Of each item whether the answer still takes it; a smaller one may fit behind one that does not."""
        held = self._bytes
        for size in sizes:
            fits = held + size <= BATCH_GET_BYTES_MAX
            held += size if fits else 0
            yield fits
