"""UntagResource: tags go by their keys; a key that is not there is passed over."""

from __future__ import annotations

from penstock import errors
from penstock.engine.plans import Context, Plan, Request
from penstock.operations import shapes
from penstock.operations.dynamodb.table_tags import check_count, check_key, retagged, tagged_table


def run(request: Request, context: Context) -> Plan:
    shapes.check_shape("UntagResource", request)
    keys = request["TagKeys"]
    if not keys:
        raise errors.validation("Atleast one Tag Key needs to be provided as Input.")
    for key in keys:
        check_key(key)
    check_count(len(keys))
    table = tagged_table(request["ResourceArn"], context)
    return retagged(table, tuple(tag for tag in table.tags if tag[0] not in keys))
