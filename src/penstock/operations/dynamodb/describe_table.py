"""DescribeTable: a table as it stands. Its counts are exact, where AWS's are up to six hours old."""

from __future__ import annotations

from penstock import errors
from penstock.engine.plans import EVERYTHING, Context, Plan, Request, View
from penstock.model.tables import Table
from penstock.operations import shapes
from penstock.operations.dynamodb.arns import table_name
from penstock.operations.dynamodb.table_descriptions import description_reply


def run(request: Request, context: Context) -> Plan:
    shapes.check_shape("DescribeTable", request)
    table = described_table(context.view, request["TableName"])
    return Plan(reply=description_reply("Table", table, context), reads=[EVERYTHING])


def described_table(view: View, name: str) -> Table:
    """Table operations say which table they did not find; item operations do not."""
    table = view.find_table(name)
    if table is None:
        raise errors.table_not_found(table_name(name))
    return table
