"""ARNs: the names that AWS gives to tables, indexes and streams, written and read in one place."""

from __future__ import annotations

from penstock.engine.plans import Context
from penstock.model.tables import Stream


def table_arn(context: Context, name: str) -> str:
    return f"arn:aws:dynamodb:{context.region}:{context.account}:table/{name}"


def index_arn(context: Context, table: str, index: str) -> str:
    return f"{table_arn(context, table)}/index/{index}"


def stream_arn(context: Context, stream: Stream) -> str:
    return f"{table_arn(context, stream.table_name)}/stream/{stream.label}"


def table_name(name_or_arn: str) -> str:
    """Every TableName may be an ARN."""
    if name_or_arn.startswith("arn:"):
        return name_or_arn.rpartition(":table/")[2]
    return name_or_arn
