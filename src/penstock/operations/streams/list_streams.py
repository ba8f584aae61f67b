"""ListStreams: the streams whose records are kept, ended ones among them, by table name and label."""

from __future__ import annotations

import orjson

from penstock.engine.plans import EVERYTHING, Context, Plan, Request
from penstock.operations import shapes
from penstock.operations.dynamodb.arns import stream_arn

PAGE_STREAMS = 100


def run(request: Request, context: Context) -> Plan:
    shapes.check_shape("ListStreams", request)
    name = request.get("TableName")
    found = [
        (stream_arn(context, stream), stream)
        for stream in context.view.streams()
        if name is None or stream.table_name == name
    ]
    # The order is that of the ARNs, so that a page goes on rightly where its last stream is gone by now.
    found.sort(key=lambda pair: pair[0])
    start = request.get("ExclusiveStartStreamArn")
    if start is not None:
        found = [pair for pair in found if pair[0] > start]
    limit = request.get("Limit", PAGE_STREAMS)
    reply: dict[str, object] = {
        "Streams": [
            {"StreamArn": arn, "TableName": stream.table_name, "StreamLabel": stream.label}
            for arn, stream in found[:limit]
        ]
    }
    if len(found) > limit:
        reply["LastEvaluatedStreamArn"] = found[limit - 1][0]
    return Plan(reply=orjson.dumps(reply), reads=[EVERYTHING])
