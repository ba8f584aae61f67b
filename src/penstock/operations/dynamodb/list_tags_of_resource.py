"""ListTagsOfResource: a table's tags, all on one page: AWS, too, gives fifty without a NextToken.

A table that is not there is an AccessDeniedException, as AWS answers for an ARN of an account that the caller has no
rights in: account 000000000000 is nobody's. TagResource and UntagResource say that the resource is not found.
"""

from __future__ import annotations

import orjson

from penstock import errors
from penstock.engine.plans import EVERYTHING, Context, Plan, Request
from penstock.operations import shapes
from penstock.operations.dynamodb.table_tags import find_tagged_table


def run(request: Request, context: Context) -> Plan:
    shapes.check_shape("ListTagsOfResource", request)
    arn = request["ResourceArn"]
    table = find_tagged_table(arn, context)
    if table is None:
        raise errors.access_denied(
            f"User: arn:aws:iam::{context.account}:root is not authorized to perform: "
            f"dynamodb:ListTagsOfResource on resource: {arn} because no resource-based policy allows the "
            "dynamodb:ListTagsOfResource action"
        )
    tags = [{"Key": key, "Value": value} for key, value in table.tags]
    return Plan(reply=orjson.dumps({"Tags": tags}), reads=[EVERYTHING])
