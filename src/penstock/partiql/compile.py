"""A PartiQL statement and its parameters as the requests of DynamoDB's other actions.

The statement is parsed once for each text; parameters are bound and the table's keys are looked at in each call.
Checks are in AWS's order: the statement and its parameters first, then the table, then what the table makes of it.

K1. SELECT is a GetItem, Queries or a Scan (selects.py). INSERT is a PutItem that must find nothing; UPDATE an
    UpdateItem that must find the item; DELETE a DeleteItem that does nothing where there is none. What else the
    WHERE clause of a write says is its condition.
K2. In a transaction and in a batch, a SELECT names one item by its key. EXISTS is for transactions: a ConditionCheck.
K3. In a transaction, a write whose WHERE clause does not name one item is sent with the key that it names, so that
    it is its cancellation reason.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeAlias

from penstock.errors import validation
from penstock.model.tables import Table
from penstock.model.values import AttributeValue, Item
from penstock.partiql import wording
from penstock.partiql.conditions import Binder, Condition, Test, every, some
from penstock.partiql.key_reads import single_key
from penstock.partiql.parser import parse
from penstock.partiql.rendering import Placeholders
from penstock.partiql.selects import Request, Step, check_index, key_steps, select_steps
from penstock.partiql.syntax import (
    NOWHERE,
    Delete,
    Exists,
    Expression,
    Insert,
    Literal,
    Parameter,
    Path,
    Select,
    Update,
)
from penstock.partiql.updates import check_assignments, update_expression


class Surface(StrEnum):
    """Where a statement came in. The value is the action's name."""

    STATEMENT = "ExecuteStatement"
    BATCH = "BatchExecuteStatement"
    TRANSACTION = "ExecuteTransaction"


@dataclass(frozen=True, slots=True)
class Compiled:
    """What to run, and how to make the answer of it."""

    action: str  # GetItem Query Scan PutItem UpdateItem DeleteItem ConditionCheck
    table_name: str
    steps: tuple[Step, ...]  # More than one only for Query: in the order of their rows.
    columns: tuple[Path, ...] | None = None  # What a row has of an item; None is all.
    returning: str | None = None  # ReturnValues, where the statement has RETURNING.

    @property
    def request(self) -> Request:
        return self.steps[0].request

    @property
    def is_read(self) -> bool:
        return self.action in ("GetItem", "Query", "Scan")


TableOf: TypeAlias = Callable[[str], Table]
_RETURN_VALUES = {
    "ALL OLD": "ALL_OLD",
    "ALL NEW": "ALL_NEW",
    "MODIFIED OLD": "UPDATED_OLD",
    "MODIFIED NEW": "UPDATED_NEW",
}


def compile_statement(
    statement: str,
    parameters: Sequence[AttributeValue] | None,
    table_of: TableOf,
    *,
    surface: Surface = Surface.STATEMENT,
    consistent_read: bool = False,
) -> Compiled:
    """The statement's requests, or AWS's error. `parameters` are canonical values; `table_of` gives a table by its
    name or raises ResourceNotFoundException."""
    parsed = parse(statement)
    if len(parameters or ()) != parsed.parameters:
        raise wording.parameter_count()
    binder = Binder(parameters or ())
    match parsed.body:
        case Select():
            return _select(parsed.body, binder, table_of, surface, consistent_read)
        case Exists(select):
            return _exists(select, binder, table_of, surface)
        case Insert():
            return _insert(parsed.body, binder, table_of)
        case Update():
            return _update(parsed.body, binder, table_of, surface)
        case Delete():
            return _delete(parsed.body, binder, table_of, surface)


def _condition(where: Expression | None, binder: Binder) -> Condition | None:
    return None if where is None else binder.condition(where)


def _select(
    select: Select, binder: Binder, table_of: TableOf, surface: Surface, consistent: bool
) -> Compiled:
    where = _condition(select.where, binder)
    table = table_of(select.source.table)
    if surface is Surface.STATEMENT:
        index = check_index(select, table, consistent)
        action, steps = select_steps(select, where, table, index)
    else:
        action, steps = "GetItem", _one_item(select, where, table, surface)
    if consistent:
        for step in steps:
            step.request["ConsistentRead"] = True
    return Compiled(action, table.name, tuple(steps), select.columns)


def _one_item(select: Select, where: Condition | None, table: Table, surface: Surface) -> list[Step]:
    """See K2. A key of the wrong type is a transaction's cancellation reason, and a batch's error at once."""
    in_transaction = surface is Surface.TRANSACTION
    if select.source.index is not None and in_transaction:
        raise validation("Reads on indices are not supported within transactions.")
    steps = key_steps(select, where, table, check_types=not in_transaction)
    if steps is None or select.source.index is not None:
        raise validation(
            f"Select statements within {surface} must specify the primary key in the where clause."
        )
    return steps


def _exists(select: Select, binder: Binder, table_of: TableOf, surface: Surface) -> Compiled:
    if surface is not Surface.TRANSACTION:
        raise wording.unsupported_operation("Exists")
    where = _condition(select.where, binder)
    table = table_of(select.source.table)
    if select.source.index is not None:
        raise validation("Reads on indices are not supported within transactions.")
    key, rest, _ = single_key(where, table.keys)
    if not rest or key.keys() != set(table.keys.names):
        raise validation("EXISTS() must contain a single item read with additional condition")
    placeholders = Placeholders()
    request: Request = {"TableName": table.name, "Key": key}
    request["ConditionExpression"] = placeholders.condition(every(rest))
    placeholders.fill(request)
    return Compiled("ConditionCheck", table.name, (Step(request),))


def _insert(insert: Insert, binder: Binder, table_of: TableOf) -> Compiled:
    item: Item = {}
    for name, field in insert.item.fields:
        assert isinstance(field, Literal | Parameter)
        value = binder.value(field)
        assert value is not None
        item[name] = _own(value)
    table = table_of(insert.source.table)
    placeholders = Placeholders()
    request: Request = {"TableName": table.name, "Item": item}
    absent = Test("attribute_not_exists", (_partition_path(table),))
    request["ConditionExpression"] = placeholders.condition(absent)
    placeholders.fill(request)
    return Compiled("PutItem", table.name, (Step(request),))


def _own(value: AttributeValue) -> AttributeValue:
    """A literal belongs to the cached statement: what goes into an item is a copy."""
    return copy.deepcopy(value) if "L" in value or "M" in value else value


def _partition_path(table: Table) -> Path:
    return Path(table.keys.partition[0].name, (), NOWHERE)


def _update(update: Update, binder: Binder, table_of: TableOf, surface: Surface) -> Compiled:
    if update.source.index is not None:
        raise validation("This operation is not supported on an index")
    check_assignments(update.assignments, binder)
    where = _condition(update.where, binder)
    if where is None:
        raise wording.incomplete_key()
    table = table_of(update.source.table)
    returning = _returning(update.returning, surface)
    request, rest = _keyed_write(table, where, surface)
    placeholders = Placeholders()
    request["UpdateExpression"] = update_expression(update.assignments, binder, placeholders)
    found = Test("attribute_exists", (_partition_path(table),))
    request["ConditionExpression"] = placeholders.condition(every([found, *rest]))
    placeholders.fill(request)
    return _write("UpdateItem", request, returning)


def _delete(delete: Delete, binder: Binder, table_of: TableOf, surface: Surface) -> Compiled:
    if delete.source.index is not None:
        raise validation("This operation is not supported on an index")
    where = _condition(delete.where, binder)
    if where is None:
        raise wording.incomplete_key()
    table = table_of(delete.source.table)
    returning = _returning(delete.returning, surface)
    request, rest = _keyed_write(table, where, surface)
    if rest:
        # Recorded from AWS: where there is no item, nothing is asked of it, and deleting nothing succeeds.
        absent = Test("attribute_not_exists", (_partition_path(table),))
        placeholders = Placeholders()
        request["ConditionExpression"] = placeholders.condition(some([absent, every(rest)]))
        placeholders.fill(request)
    return _write("DeleteItem", request, returning)


def _returning(clause: str | None, surface: Surface) -> str | None:
    if clause is None:
        return None
    if surface is Surface.TRANSACTION:
        raise validation("RETURNING clause is not supported in ExecuteTransaction.")
    return _RETURN_VALUES[clause]


def _keyed_write(table: Table, where: Condition, surface: Surface) -> tuple[Request, list[Condition]]:
    """The request with its key, and the conditions besides; see K3."""
    key, rest, conflict = single_key(where, table.keys)
    if conflict is not None:
        if surface is not Surface.TRANSACTION:
            raise validation(
                f"Multiple conditions on same key {conflict}. Only single item Update/Insert/Delete are supported"
            )
        del key[conflict]
    if key.keys() != set(table.keys.names) and surface is not Surface.TRANSACTION:
        raise wording.incomplete_key()
    request: dict[str, Any] = {"TableName": table.name, "Key": key}
    return request, rest


def _write(action: str, request: Request, returning: str | None) -> Compiled:
    if returning is not None:
        request["ReturnValues"] = returning
    return Compiled(action, request["TableName"], (Step(request),), None, returning)
