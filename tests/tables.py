"""Requests that make tables, short enough to be read in a test."""

from __future__ import annotations

from typing import Any

Request = dict[str, Any]


def table_request(name: str = "music", keys: str = "pk", **more: Any) -> Request:
    """CreateTable on demand; `keys` is "pk" or "pk sk", every key attribute a string."""
    names = keys.split()
    request = {
        "TableName": name,
        "AttributeDefinitions": [{"AttributeName": name, "AttributeType": "S"} for name in names],
        "KeySchema": schema(*names),
        "BillingMode": "PAY_PER_REQUEST",
    }
    return request | more


def schema(partition: str, sort: str | None = None) -> list[Request]:
    elements = [{"AttributeName": partition, "KeyType": "HASH"}]
    return elements if sort is None else [*elements, {"AttributeName": sort, "KeyType": "RANGE"}]


def definitions(**types: str) -> list[Request]:
    return [{"AttributeName": name, "AttributeType": type_} for name, type_ in types.items()]


def index(
    name: str, partition: str, sort: str | None = None, projection: str = "ALL", **more: Any
) -> Request:
    return {
        "IndexName": name,
        "KeySchema": schema(partition, sort),
        "Projection": {"ProjectionType": projection},
    } | more


def units(read: int, write: int) -> dict[str, int]:
    return {"ReadCapacityUnits": read, "WriteCapacityUnits": write}
