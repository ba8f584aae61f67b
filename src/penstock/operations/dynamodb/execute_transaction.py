"""ExecuteTransaction: up to 100 PartiQL statements, all reads or all writes, all of them or none.

Order of checks, as AWS: values of all parameters; then each statement by itself, and what is wrong with one refuses
the whole with its number in front; then tables that are missing, which cancel the transaction; then whatever
TransactGetItems or TransactWriteItems finds.
"""

from __future__ import annotations

from typing import Any

import orjson

from penstock import errors
from penstock.engine import transactions
from penstock.engine.plans import Context, Plan, Request
from penstock.errors import ServiceError
from penstock.operations import shapes
from penstock.operations.dynamodb import transact_get_items, transact_write_items
from penstock.operations.dynamodb.statement_items import duplicate, partiql_words
from penstock.partiql.compile import Compiled, Surface, compile_statement
from penstock.partiql.rows import row_of

_KINDS = {
    "PutItem": "Put",
    "UpdateItem": "Update",
    "DeleteItem": "Delete",
    "ConditionCheck": "ConditionCheck",
}


def run(request: Request, context: Context) -> Plan:
    shapes.check_shape("ExecuteTransaction", request)
    shapes.canonicalise("ExecuteTransaction", request)
    compiled = _compile_all(request["TransactStatements"], context)
    if len({one.is_read for one in compiled}) > 1:
        raise errors.validation(
            "ExecuteTransaction API does not support both read and write operations in the same request."
        )
    if compiled[0].is_read:
        return _read(request, compiled, context)
    return _write(request, compiled, context)


def _compile_all(statements: list[Request], context: Context) -> list[Compiled]:
    compiled: list[Compiled] = []
    reasons: list[dict[str, Any]] = []
    for at, statement in enumerate(statements):
        reason: dict[str, Any] = {"Code": "None"}
        try:
            compiled.append(
                compile_statement(
                    statement["Statement"],
                    statement.get("Parameters"),
                    context.view.table,
                    surface=Surface.TRANSACTION,
                )
            )
        except ServiceError as error:
            if error.code != "ResourceNotFoundException":
                raise _numbered(at, error) from error
            reason = {"Code": "ResourceNotFound", "Message": error.message}
        reasons.append(reason)
    if len(compiled) < len(reasons):
        raise transactions.canceled(reasons)
    return compiled


def _numbered(at: int, error: ServiceError) -> ServiceError:
    if error.code != "ValidationException":
        return error
    return errors.validation(f"Validation failed in TransactStatements[{at}]: {error.message}")


def _read(request: Request, compiled: list[Compiled], context: Context) -> Plan:
    inner: Request = {"TransactItems": [{"Get": one.request} for one in compiled]}
    if "ReturnConsumedCapacity" in request:
        inner["ReturnConsumedCapacity"] = request["ReturnConsumedCapacity"]
    plan = transact_get_items.run(inner, context)
    reply = orjson.loads(plan.reply)
    for one, answer in zip(compiled, reply["Responses"], strict=True):
        if "Item" in answer:
            answer["Item"] = row_of(answer["Item"], one.columns)
    plan.reply = orjson.dumps(reply)
    return plan


def _write(request: Request, compiled: list[Compiled], context: Context) -> Plan:
    steps: list[transact_write_items.Step] = []
    for at, (one, statement) in enumerate(zip(compiled, request["TransactStatements"], strict=True)):
        if "ReturnValuesOnConditionCheckFailure" in statement:
            one.request["ReturnValuesOnConditionCheckFailure"] = statement[
                "ReturnValuesOnConditionCheckFailure"
            ]
        try:
            with partiql_words():
                steps.append(transact_write_items.step_of({_KINDS[one.action]: one.request}, context))
        except ServiceError as error:
            raise _numbered(at, error) from error
    try:
        plan = transact_write_items.settle(request, steps, request["TransactStatements"], context)
    except ServiceError as error:
        raise _with_duplicates(error, steps) from error
    reply = orjson.loads(plan.reply)
    plan.reply = orjson.dumps({"Responses": [{} for _ in steps], **reply})
    return plan


def _with_duplicates(error: ServiceError, steps: list[transact_write_items.Step]) -> ServiceError:
    """An INSERT that finds its key says so in its reason."""
    if error.code != "TransactionCanceledException":
        return error
    reasons: list[dict[str, Any]] = []
    for step, reason in zip(steps, error.extra["CancellationReasons"], strict=True):
        if step.kind == "Put" and reason["Code"] == "ConditionalCheckFailed":
            found = duplicate(errors.condition_failed())
            reasons.append({**reason, "Code": "DuplicateItem", "Message": found.message})
        else:
            reasons.append(reason)
    return transactions.canceled(reasons)
