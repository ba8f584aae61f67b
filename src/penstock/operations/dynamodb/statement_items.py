"""What the three PartiQL actions share: a compiled statement on one item, run as the action that it means.

I1. The item action's plan is taken as it is; only its reply is made anew, by the caller.
I2. An INSERT that finds its key is DuplicateItemException, not a failed condition.
I3. Messages lose what the other actions write in front of findings about expressions (partiql/wording.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import orjson

from penstock import errors
from penstock.engine.plans import Context, Plan, Request
from penstock.errors import ServiceError
from penstock.model.values import Item
from penstock.operations.dynamodb import delete_item, get_item, put_item, update_item
from penstock.partiql.compile import Compiled
from penstock.partiql.rows import row_of
from penstock.partiql.wording import unprefixed

Run = Callable[[Request, Context], Plan]
_RUNS: dict[str, Run] = {
    "GetItem": get_item.run,
    "PutItem": put_item.run,
    "UpdateItem": update_item.run,
    "DeleteItem": delete_item.run,
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """A plan whose reply is still to be written, and what goes into it."""

    plan: Plan
    row: Item | None
    consumed: dict[str, Any] | None


@contextmanager
def partiql_words() -> Iterator[None]:
    """See I3."""
    try:
        yield
    except ServiceError as error:
        message = unprefixed(error.message or "")
        if error.code != "ValidationException" or message == error.message:
            raise
        raise errors.validation(message) from error


def run_on_item(compiled: Compiled, options: Request, context: Context) -> Outcome:
    """`options` is the statement's own request, or the action's with the statement's members."""
    request = compiled.request
    for option in ("ReturnConsumedCapacity", "ReturnValuesOnConditionCheckFailure"):
        if option in options and not (compiled.is_read and option != "ReturnConsumedCapacity"):
            request[option] = options[option]
    try:
        with partiql_words():
            plan = _RUNS[compiled.action](request, context)
    except ServiceError as error:
        raise (duplicate(error) if compiled.action == "PutItem" else error) from error
    reply = orjson.loads(plan.reply)
    item = reply.get("Item", reply.get("Attributes"))
    # A projection of MODIFIED that has nothing in it is no row.
    row = row_of(item, compiled.columns) if item else None
    return Outcome(plan, row, reply.get("ConsumedCapacity"))


def duplicate(error: ServiceError) -> ServiceError:
    """See I2. The item goes on where the request asked for it."""
    if error.code != "ConditionalCheckFailedException":
        return error
    found = errors.duplicate_item()
    found.extra = error.extra
    return found
