"""Queries that somebody saved under a name: items of a table of the application's own, so they are where the data are."""

from __future__ import annotations

from typing import Any

from penstock.errors import ServiceError, UsageError
from penstock.serving.store import AsyncStore, is_missing

TABLE = "penstock_queries"
NAME_CHARACTERS_MAX = 80
SQL_CHARACTERS_MAX = 50_000
DEFINITION: dict[str, Any] = {
    "TableName": TABLE,
    "AttributeDefinitions": [{"AttributeName": "name", "AttributeType": "S"}],
    "KeySchema": [{"AttributeName": "name", "KeyType": "HASH"}],
    "BillingMode": "PAY_PER_REQUEST",
}


class KeptQueries:
    def __init__(self, store: AsyncStore) -> None:
        self._store = store

    async def all(self) -> list[dict[str, str]]:
        """By name. There are as many as people write by hand, so a scan is small."""
        try:
            page = await self._store.call("Scan", {"TableName": TABLE})
        except ServiceError as error:
            if not is_missing(error):
                raise
            return []
        found = [{"name": item["name"]["S"], "sql": item["sql"]["S"]} for item in page["Items"]]
        return sorted(found, key=lambda each: each["name"].lower())

    async def keep(self, name: str, sql: str) -> None:
        name = name.strip()
        if not 1 <= len(name) <= NAME_CHARACTERS_MAX:
            raise UsageError(f"a name has 1 to {NAME_CHARACTERS_MAX} characters")
        if not sql.strip() or len(sql) > SQL_CHARACTERS_MAX:
            raise UsageError("there is no query to save, or it is too long")
        request = {"TableName": TABLE, "Item": {"name": {"S": name}, "sql": {"S": sql}}}
        try:
            await self._store.call("PutItem", request)
        except ServiceError as error:
            if not is_missing(error):
                raise
            await self._store.call("CreateTable", DEFINITION)
            await self._store.call("PutItem", request)

    async def drop(self, name: str) -> None:
        await self._store.call("DeleteItem", {"TableName": TABLE, "Key": {"name": {"S": name}}})
