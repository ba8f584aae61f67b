"""Query: the items of one partition key, in sort order, forwards or backwards, of the table or of an index.

`run` is Query. Most queries are asked again and again with other values, and read a short page whole. What holds for the
one holds for the other, so it is remembered by what they have in common (`template_of`), and only the values are looked
at. Measured: 50 items through a local index in 40 µs in place of 66.
"""

from __future__ import annotations

from typing import Any

from penstock import errors
from penstock.engine.paging import read_page, short_page
from penstock.engine.plans import Context, Plan, Request, Slices
from penstock.expressions.conditions import Condition
from penstock.expressions.key_ranges import KeyRange, Template, template_of
from penstock.limits import EXPRESSION_BYTES_MAX
from penstock.model.keys import (
    PREFIX_BYTES,
    SURELY_SHORT,
    after,
    component,
    escape,
    partition_prefix,
    raw_component,
)
from penstock.model.tables import Index, KeySchema, Table, TableStatus
from penstock.model.values import Key
from penstock.operations import shapes
from penstock.operations.dynamodb import request_expressions
from penstock.operations.dynamodb.reading import (
    check_select,
    check_start_key,
    index_of,
    page_reply,
    position_of,
    selection_of,
)

# Of a usual request. The other members are those of the key condition.
_CHOICES = frozenset({"ConsistentRead", "Limit", "ScanIndexForward"})
_USUAL = _CHOICES | {
    "ExpressionAttributeNames",
    "ExpressionAttributeValues",
    "IndexName",
    "KeyConditionExpression",
    "TableName",
}


def run(request: Request, context: Context) -> Plan | Slices:
    return _usual(request, context) or _any(request, context)


def _usual(request: Request, context: Context) -> Plan | None:
    """What `_any` plans for a request of the usual form; None where anything about it is unusual or in doubt."""
    if not request.keys() <= _USUAL or not _are_usual_choices(request):
        return None
    name, index_name = request.get("TableName"), request.get("IndexName")
    table = context.view.find_table(name) if type(name) is str else None
    if table is None or table.name != name:
        return None
    index = table.index(index_name) if index_name is not None else None
    if (index is None) is not (index_name is None) or (index is not None and not _is_plain(index, request)):
        return None
    source: Table | Index = table if index is None else index
    template = _template(source.keys, request)
    values: Any = request.get("ExpressionAttributeValues")
    if template is None or not _are_short_texts(values, template.placeholders):
        return None
    try:
        for check in template.checks:
            check(values)
    except errors.ServiceError:
        return None
    operands = tuple([values[each] for each in template.operands])
    key_range = KeyRange((values[template.partition],), (), template.operator, operands)
    lower, upper = bounds(source.space, source.keys, key_range)
    if lower >= upper:
        return None
    reverse = request.get("ScanIndexForward") is False
    page = short_page(context.view, lower, upper, reverse, request.get("Limit"))
    if page is None:
        return None
    return Plan(reply=page_reply(request, table, index, page), reads=[lower[:PREFIX_BYTES]])


def _are_usual_choices(request: Request) -> bool:
    limit = request.get("Limit", 1)
    return (
        type(limit) is int
        and limit >= 1
        and type(request.get("ConsistentRead", False)) is bool
        and type(request.get("ScanIndexForward", True)) is bool
    )


def _is_plain(index: Index, request: Request) -> bool:
    return not index.is_global or (
        index.status is not TableStatus.DELETING
        and not index.backfilling
        and not request.get("ConsistentRead")
    )


def _template(schema: KeySchema, request: Request) -> Template | None:
    text, names = request.get("KeyConditionExpression"), request.get("ExpressionAttributeNames")
    if type(text) is not str or len(text) > EXPRESSION_BYTES_MAX:
        return None
    if len(schema.partition) > 1:
        return None
    for attribute in schema.attributes:
        if attribute.type != "S":
            return None
    given: tuple[tuple[str, str], ...] = ()
    if "ExpressionAttributeNames" in request:
        if type(names) is not dict or not names:
            return None
        given = tuple(names.items())
        for real in names.values():
            if type(real) is not str or len(real) > EXPRESSION_BYTES_MAX:
                return None
    return template_of(text, given, schema.names[:2])


def _are_short_texts(values: Any, placeholders: frozenset[str]) -> bool:
    if type(values) is not dict or values.keys() != placeholders:
        return False
    for value in values.values():
        if type(value) is not dict or len(value) != 1:
            return False
        text = value.get("S")
        if type(text) is not str or not 0 < len(text) <= SURELY_SHORT:
            return False
    return True


def _any(request: Request, context: Context) -> Slices:
    shapes.check_shape("Query", request)
    shapes.canonicalise("Query", request)
    request_expressions.check(request, "KeyConditionExpression")
    check_select(request, "ProjectionExpression" in request or "AttributesToGet" in request)
    filter_, projection = request_expressions.page_of(request, "QueryFilter")
    if "KeyConditionExpression" not in request and "KeyConditions" not in request:
        raise errors.validation(
            "Either the KeyConditions or KeyConditionExpression parameter must be specified in the request."
        )
    table = context.view.table(request["TableName"])
    index = index_of(table, request)
    schema = index.keys if index is not None else table.keys
    key_range = request_expressions.key_range_of(request, schema, filter_, projection)
    _check_filter(schema, filter_, request)
    selection = selection_of(request, table, index, projection)
    space = index.space if index is not None else table.space
    lower, upper = bounds(space, schema, key_range)
    prefix = lower[:PREFIX_BYTES]
    reverse = request.get("ScanIndexForward") is False
    start = request.get("ExclusiveStartKey")
    if start is not None:
        lower, upper = _resume(table, index, start, lower, upper, reverse)
    records = context.view.scan(lower, upper, reverse) if lower < upper else iter(())
    fetch = selection.fetch(context.view, table)
    page = yield from read_page(
        records, request.get("Limit"), filter_, selection.shape, selection.counting, fetch
    )
    return Plan(reply=page_reply(request, table, index, page), reads=selection.reads(table, prefix))


def _check_filter(schema: KeySchema, filter_: Condition | None, request: Request) -> None:
    if filter_ is None:
        return
    for name in schema.names:
        if name in filter_.attributes:
            if "QueryFilter" in request:
                raise errors.validation(
                    f"QueryFilter can only contain non-primary key attributes: Primary key attribute: {name}"
                )
            raise errors.validation(
                f"Filter Expression can only contain non-primary key attributes: Primary key attribute: {name}"
            )


def bounds(space: int, schema: KeySchema, key_range: KeyRange) -> tuple[bytes, bytes]:
    """The keys that a key condition covers: lower <= key < upper."""
    parts = zip(schema.partition, key_range.partition, strict=True)
    partition = b"".join([component(value, attribute.type) for attribute, value in parts])
    prefix = partition_prefix(space, partition)
    equal = len(key_range.sort_equal)
    for attribute, value in zip(schema.sort[:equal], key_range.sort_equal, strict=True):
        prefix += component(value, attribute.type)
    if key_range.operator is None:
        return prefix, after(prefix)
    type_ = schema.sort[equal].type
    first = key_range.operands[0]
    if key_range.operator == "begins_with":
        # Escaped without its end: every longer value that starts so.
        prefix += escape(raw_component(first, type_))
        return prefix, after(prefix)
    at = prefix + component(first, type_)
    match key_range.operator:
        case "=":
            return at, after(at)
        case "<":
            return prefix, at
        case "<=":
            return prefix, after(at)
        case ">":
            return after(at), after(prefix)
        case ">=":
            return at, after(prefix)
        case _:
            return at, after(prefix + component(key_range.operands[1], type_))


def _resume(
    table: Table, index: Index | None, start: Key, lower: bytes, upper: bytes, reverse: bool
) -> tuple[bytes, bytes]:
    check_start_key(table, index, start)
    position = position_of(table, index, start)
    if not lower <= position < upper:
        raise errors.validation(
            "The provided starting key is outside query boundaries based on provided conditions"
        )
    return (lower, position) if reverse else (position + b"\0", upper)
