"""ExecuteStatement: one PartiQL statement, run as the request that it means.

X1. A SELECT that takes several Queries runs them one after the other, in one page: until the limit of items
    evaluated, or until about 1 MB has been read.
X2. NextToken is where the next page begins: which Query, and its ExclusiveStartKey. It is bound to the statement and
    its parameters, and refused with any other; Limit and ConsistentRead may change from page to page.
X3. A write answers with Items too: one row where RETURNING has something to show.
"""

from __future__ import annotations

import binascii
import hashlib
from base64 import b64decode, b64encode
from collections.abc import Generator
from typing import Any

import orjson

from penstock import errors
from penstock.engine.plans import Context, Plan, Request, Slices
from penstock.expressions.conditions import compile_condition
from penstock.limits import PAGE_BYTES_MAX
from penstock.model.capacity import Consumed, read_units
from penstock.model.values import Item, Key
from penstock.operations import shapes
from penstock.operations.dynamodb import query, scan
from penstock.operations.dynamodb.statement_items import partiql_words, run_on_item
from penstock.partiql.compile import Compiled, compile_statement
from penstock.partiql.rows import row_of
from penstock.partiql.selects import Step


def run(request: Request, context: Context) -> Plan | Slices:
    shapes.check_shape("ExecuteStatement", request)
    shapes.canonicalise("ExecuteStatement", request)
    compiled = compile_statement(
        request["Statement"],
        request.get("Parameters"),
        context.view.table,
        consistent_read=bool(request.get("ConsistentRead")),
    )
    if compiled.action in ("Query", "Scan"):
        return _read(request, compiled, context)
    outcome = run_on_item(compiled, request, context)
    rows = [] if outcome.row is None else [outcome.row]
    outcome.plan.reply = _reply(rows, outcome.consumed, None, None)
    return outcome.plan


def _reply(rows: list[Item], consumed: dict[str, Any] | None, token: str | None, last: Key | None) -> bytes:
    reply: dict[str, Any] = {"Items": rows}
    if token is not None:
        reply["NextToken"] = token
    if last is not None:
        reply["LastEvaluatedKey"] = last
    if consumed is not None:
        reply["ConsumedCapacity"] = consumed
    return orjson.dumps(reply)


def _read(request: Request, compiled: Compiled, context: Context) -> Slices:
    binding = _binding(request)
    at, start = _position(request.get("NextToken"), binding, len(compiled.steps))
    page = _Page(request.get("Limit"), bool(request.get("ConsistentRead")))
    while at < len(compiled.steps) and not page.is_full:
        with partiql_words():
            yield from page.read(compiled.steps[at], compiled, start, context)
        start = page.last
        if start is not None:
            break
        at += 1
    token = _token(binding, at, start) if at < len(compiled.steps) else None
    mode = request.get("ReturnConsumedCapacity", "NONE")
    consumed = None if mode == "NONE" or page.consumed is None else page.consumed.to_json(mode)
    return Plan(reply=_reply(page.rows, consumed, token, start), reads=page.reads)


class _Page:
    """The answer as it grows, step by step."""

    def __init__(self, limit: int | None, consistent: bool) -> None:
        self.rows: list[Item] = []
        self.reads: list[bytes] = []
        self.consumed: Consumed | None = None
        self.last: Key | None = None
        self._limit = limit
        self._units_max = read_units(PAGE_BYTES_MAX, consistent)

    @property
    def is_full(self) -> bool:
        return self._limit == 0 or (self.consumed is not None and self.consumed.total >= self._units_max)

    def read(
        self, step: Step, compiled: Compiled, start: Key | None, context: Context
    ) -> Generator[None, None, None]:
        """One Query or Scan, from `start` on."""
        request = step.request
        request["ReturnConsumedCapacity"] = "INDEXES"
        if start is not None:
            request["ExclusiveStartKey"] = start
        if self._limit is not None:
            request["Limit"] = self._limit
        plan = yield from (query if compiled.action == "Query" else scan).run(request, context)
        reply = orjson.loads(plan.reply)
        self.reads += plan.reads
        self._add_units(reply["ConsumedCapacity"])
        if self._limit is not None:
            self._limit -= reply["ScannedCount"]
        items: list[Item] = reply["Items"]
        if step.residual is not None:
            residual = step.residual
            names, values = residual["ExpressionAttributeNames"], residual.get("ExpressionAttributeValues")
            condition = compile_condition(residual["ConditionExpression"], names, values)
            items = [item for item in items if condition.test(item)]
        self.rows += [row_of(item, compiled.columns) for item in items]
        self.last = reply.get("LastEvaluatedKey")

    def _add_units(self, reply: dict[str, Any]) -> None:
        units = Consumed(reply["TableName"], reply["Table"]["CapacityUnits"])
        for member in ("LocalSecondaryIndexes", "GlobalSecondaryIndexes"):
            for name, own in reply.get(member, {}).items():
                units.add_index(name, own["CapacityUnits"], member == "GlobalSecondaryIndexes")
        if self.consumed is None:
            self.consumed = units
        else:
            self.consumed.add(units)


def _binding(request: Request) -> str:
    """What a token belongs to; see X2."""
    parts = [request["Statement"], request.get("Parameters")]
    return hashlib.sha256(orjson.dumps(parts, option=orjson.OPT_SORT_KEYS)).hexdigest()


def _token(binding: str, step: int, start: Key | None) -> str:
    return b64encode(orjson.dumps([binding, step, start])).decode()


def _position(token: str | None, binding: str, steps: int) -> tuple[int, Key | None]:
    """The step at which a page begins, and the key in it."""
    if token is None:
        return 0, None
    try:
        found = orjson.loads(b64decode(token, validate=True))
    except (binascii.Error, orjson.JSONDecodeError, ValueError) as error:
        raise errors.validation("Invalid NextToken") from error
    match found:
        case [str(own), int(step), dict() | None as start] if own == binding and 0 <= step < steps:
            return step, start
        case _:
            raise errors.validation("NextToken does not match request")
