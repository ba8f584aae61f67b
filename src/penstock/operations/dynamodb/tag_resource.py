"""TagResource: tags are added to a table, or get new values; all of them or none."""

from __future__ import annotations

from penstock import errors
from penstock.engine.plans import Context, Plan, Request
from penstock.operations import shapes
from penstock.operations.dynamodb.table_tags import merged, retagged, tagged_table, tags_of


def run(request: Request, context: Context) -> Plan:
    shapes.check_shape("TagResource", request)
    if not request["Tags"]:
        raise errors.validation("Atleast one Tag needs to be provided as Input.")
    tags = tags_of(request["Tags"])
    table = tagged_table(request["ResourceArn"], context)
    return retagged(table, merged(table.tags, tags))
