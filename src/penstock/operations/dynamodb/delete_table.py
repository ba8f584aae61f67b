"""DeleteTable: a table goes with its items and indexes at once; its stream stays readable for its retention.

The reply says DELETING, and the very next request does not find the table any more.
"""

from __future__ import annotations

import orjson

from penstock import errors
from penstock.engine.plans import Context, Plan, Request
from penstock.model.tables import TableStatus
from penstock.operations import shapes
from penstock.operations.dynamodb.arns import table_arn
from penstock.operations.dynamodb.describe_table import described_table
from penstock.operations.dynamodb.table_descriptions import describe_throughput
from penstock.operations.dynamodb.table_streams import close_stream


def run(request: Request, context: Context) -> Plan:
    shapes.check_shape("DeleteTable", request)
    table = described_table(context.view, request["TableName"])
    if table.deletion_protection:
        raise errors.validation(
            "Resource cannot be deleted as it is currently protected against deletion. "
            "Disable deletion protection first."
        )
    if any(index.status is not TableStatus.ACTIVE for index in table.global_indexes):
        raise errors.resource_in_use(
            "Attempt to change a resource which is still in use: "
            "Cannot delete table while indexes are being created, updated, or deleted."
        )
    items, size = context.view.counts(table.space)
    reply = {
        "TableDescription": {
            "TableName": table.name,
            "TableStatus": TableStatus.DELETING.value,
            "ProvisionedThroughput": describe_throughput(table.throughput, context.now_us),
            "TableSizeBytes": size,
            "ItemCount": items,
            "TableArn": table_arn(context, table.name),
            "TableId": table.id,
            "DeletionProtectionEnabled": False,
        }
    }
    stream = table.stream
    return Plan(
        reply=orjson.dumps(reply),
        tables=[(table.name, None)],
        streams=[close_stream(stream, context)] if stream is not None and stream.enabled else [],
        dropped=list(table.spaces),
    )
