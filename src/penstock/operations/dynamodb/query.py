"""Query: the items of one partition key, in sort order, forwards or backwards, of the table or of an index."""

from __future__ import annotations

from penstock import errors
from penstock.engine.paging import read_page
from penstock.engine.plans import Context, Plan, Request, Slices
from penstock.expressions.conditions import Condition
from penstock.expressions.key_ranges import KeyRange
from penstock.model.keys import PREFIX_BYTES, after, component, escape, partition_prefix, raw_component
from penstock.model.tables import Index, KeySchema, Table
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


def run(request: Request, context: Context) -> Slices:
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
