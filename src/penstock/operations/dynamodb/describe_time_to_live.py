"""DescribeTimeToLive: whether a table's items expire, and by which attribute."""

from __future__ import annotations

import orjson

from penstock.engine.plans import EVERYTHING, Context, Plan, Request
from penstock.operations import shapes
from penstock.operations.dynamodb.describe_table import described_table


def run(request: Request, context: Context) -> Plan:
    shapes.check_shape("DescribeTimeToLive", request)
    time_to_live = described_table(context.view, request["TableName"]).time_to_live
    if time_to_live is None:
        description = {"TimeToLiveStatus": "DISABLED"}
    else:
        description = {"TimeToLiveStatus": time_to_live.status, "AttributeName": time_to_live.attribute}
    return Plan(reply=orjson.dumps({"TimeToLiveDescription": description}), reads=[EVERYTHING])
