"""ListTables: names in order, at most 100 at a time."""

from __future__ import annotations

from bisect import bisect_right

import orjson

from penstock.engine.plans import EVERYTHING, Context, Plan, Request
from penstock.operations import shapes

PAGE_NAMES = 100


def run(request: Request, context: Context) -> Plan:
    shapes.check_shape("ListTables", request)
    names = context.view.table_names()
    start = request.get("ExclusiveStartTableName")
    first = bisect_right(names, start) if start is not None else 0
    page = names[first : first + request.get("Limit", PAGE_NAMES)]
    reply = {"TableNames": page}
    if page and first + len(page) < len(names):
        reply["LastEvaluatedTableName"] = page[-1]  # type: ignore[assignment]
    return Plan(reply=orjson.dumps(reply), reads=[EVERYTHING])
