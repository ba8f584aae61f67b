"""Scan: every item of a table or an index, or of one of N equal segments, in the order of the hash."""

from __future__ import annotations

from penstock import errors
from penstock.engine.paging import read_page
from penstock.engine.plans import Context, Plan, Request, Slices
from penstock.limits import SCAN_SEGMENTS_MAX
from penstock.model.keys import segment_bounds
from penstock.operations import shapes
from penstock.operations.dynamodb.reading import (
    check_select,
    check_start_key,
    index_of,
    page_reply,
    position_of,
    selection_of,
)
from penstock.operations.dynamodb.request_expressions import check_paths, scan_of


def run(request: Request, context: Context) -> Slices:
    shapes.check_shape("Scan", request)
    shapes.canonicalise("Scan", request)
    segment, total = segment_of(request)
    check_select(request, "ProjectionExpression" in request or "AttributesToGet" in request)
    filter_, projection = scan_of(request)
    table = context.view.table(request["TableName"])
    check_paths(table.keys, filter_)
    index = index_of(table, request)
    selection = selection_of(request, table, index, projection)
    space = index.space if index is not None else table.space
    lower, upper = segment_bounds(space, segment, total)
    prefix = lower[:4]
    start = request.get("ExclusiveStartKey")
    if start is not None:
        check_start_key(table, index, start)
        position = position_of(table, index, start)
        if not lower <= position < upper:
            raise errors.validation(
                "The provided starting key is invalid: Invalid ExclusiveStartKey. Please use ExclusiveStartKey with "
                f"correct Segment. TotalSegments: {total} Segment: {segment}"
            )
        lower = position + b"\0"
    page = yield from read_page(
        context.view.scan(lower, upper, False),
        request.get("Limit"),
        filter_,
        selection.shape,
        selection.counting,
        selection.fetch(context.view, table),
    )
    return Plan(reply=page_reply(request, table, index, page), reads=selection.reads(table, prefix))


def segment_of(request: Request) -> tuple[int, int]:
    segment, total = request.get("Segment"), request.get("TotalSegments")
    if segment is None and total is None:
        return 0, 1
    if segment is None:
        raise errors.validation(
            "The Segment parameter is required but was not present in the request when parameter TotalSegments is present"
        )
    if total is None:
        raise errors.validation(
            "The TotalSegments parameter is required but was not present in the request when Segment parameter is present"
        )
    assert 1 <= total <= SCAN_SEGMENTS_MAX
    if segment >= total:
        raise errors.validation(
            "The Segment parameter is zero-based and must be less than parameter TotalSegments: "
            f"Segment: {segment} is not less than TotalSegments: {total}"
        )
    return segment, total
