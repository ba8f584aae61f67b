"""BatchExecuteStatement: up to 25 PartiQL statements on single items, each with an answer or an error of its own.

The statements are decided one after the other, and each sees what those before it write, as if they had come as
single requests; all are written in one batch.
"""

from __future__ import annotations

from typing import Any

import orjson

from penstock import errors
from penstock.engine.overlay import Overlay
from penstock.engine.plans import Context, Plan, Request
from penstock.errors import ServiceError
from penstock.operations import shapes
from penstock.operations.dynamodb.statement_items import run_on_item
from penstock.partiql.compile import Compiled, Surface, compile_statement

# BatchStatementErrorCodeEnum names errors without "Exception", but for this one.
_CODES = {"ValidationException": "ValidationError"}


def run(request: Request, context: Context) -> Plan:
    shapes.check_shape("BatchExecuteStatement", request)
    compiled = [_compile(statement, context) for statement in request["Statements"]]
    reads = {one.is_read for one in compiled if isinstance(one, Compiled)}
    if len(reads) > 1:
        raise errors.validation(
            "BatchExecuteStatement API does not support both read and write operations in the same request."
        )
    mode = request.get("ReturnConsumedCapacity", "NONE")
    overlay = Overlay(context.view)
    inner = Context(overlay, context.now_us, context.fresh_id, context.region, context.account)
    answers: list[dict[str, Any]] = []
    consumed: dict[str, Any] = {}
    for statement, one in zip(request["Statements"], compiled, strict=True):
        if isinstance(one, ServiceError):
            answers.append({"Error": _error(one)})
            continue
        answer: dict[str, Any] = {"TableName": one.table_name}
        answers.append(answer)
        try:
            outcome = run_on_item(one, {**statement, "ReturnConsumedCapacity": mode}, inner)
        except ServiceError as error:
            answer["Error"] = _error(error)
            continue
        overlay.apply(outcome.plan)
        if outcome.row is not None:
            answer["Item"] = outcome.row
        if outcome.consumed is not None:
            consumed.setdefault(one.table_name, []).append(outcome.consumed)
    plan = overlay.plan()
    plan.reply = _reply(answers, consumed, mode)
    return plan


def _compile(statement: Request, context: Context) -> Compiled | ServiceError:
    """A statement that cannot be run is its own answer, and leaves the others alone."""
    try:
        shapes.canonicalise("ExecuteStatement", statement)
        return compile_statement(
            statement["Statement"],
            statement.get("Parameters"),
            context.view.table,
            surface=Surface.BATCH,
            consistent_read=bool(statement.get("ConsistentRead")),
        )
    except ServiceError as error:
        if error.status >= 500:
            raise
        return error


def _error(error: ServiceError) -> dict[str, Any]:
    code = _CODES.get(error.code) or error.code.removesuffix("Exception")
    return {"Code": code, "Message": error.message, **error.extra}


def _reply(answers: list[dict[str, Any]], consumed: dict[str, list[dict[str, Any]]], mode: str) -> bytes:
    reply: dict[str, Any] = {"Responses": answers}
    if mode != "NONE":
        reply["ConsumedCapacity"] = [total_of(units) for units in consumed.values()]
    return orjson.dumps(reply)


def total_of(units: list[dict[str, Any]]) -> dict[str, Any]:
    """One table's ConsumedCapacity out of several: equal members are added up, at every level."""
    total: dict[str, Any] = {}
    for each in units:
        for name, value in each.items():
            if isinstance(value, dict):
                total[name] = total_of([total[name], value]) if name in total else value
            elif isinstance(value, float | int):
                total[name] = total.get(name, 0.0) + value
            else:
                total[name] = value
    return total
