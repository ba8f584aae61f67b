"""The Tables pages: what tables there are, one table's schema, and its items by key, by index or by a scan."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from penstock.app.application import App
from penstock.console import exploring, snippets, typed_json
from penstock.console.exploring import Form, Target
from penstock.console.rendering import Pages
from penstock.console.requests import is_fragment
from penstock.errors import ServiceError, UsageError
from penstock.features.definition import compile_set
from penstock.limits import PAGE_BYTES_MAX
from penstock.serving import inference_log

OWN = ("penstock_",)
READ_UNIT_BYTES = 8 * 1024  # An eventually consistent read unit: developerguide/read-write-operations.
DOLLARS_PER_UNIT = 0.125e-6  # aws.amazon.com/dynamodb/pricing/on-demand, us-east-1.


class TablePages:
    def __init__(self, pages: Pages) -> None:
        self._pages, self._context = pages, pages.context
        self._store = pages.context.store

    def routes(self) -> list[Route]:
        return [
            Route("/tables", self.all),
            Route("/tables/{table}", self.explore),
            Route("/tables/{table}/schema", self.schema),
        ]

    async def all(self, request: Request) -> Response:
        names = await self.names()
        tables = await asyncio.gather(*(self.describe(name) for name in names))
        shown = [_summary(table) for table in tables if table is not None]
        return self._pages.show(
            request,
            "tables.html",
            tables=[table for table in shown if not table["own"]],
            own=[table for table in shown if table["own"]],
        )

    async def names(self) -> list[str]:
        found: list[str] = []
        asked: dict[str, Any] = {}
        while True:
            answer = await self._store.call("ListTables", asked)
            found += answer["TableNames"]
            if "LastEvaluatedTableName" not in answer:
                return found
            asked = {"ExclusiveStartTableName": answer["LastEvaluatedTableName"]}

    async def describe(self, name: str) -> dict[str, Any] | None:
        """DescribeTable with the time to live beside it; None for a table that left meanwhile."""
        try:
            table: dict[str, Any] = (await self._store.call("DescribeTable", {"TableName": name}))["Table"]
            expiry = await self._store.call("DescribeTimeToLive", {"TableName": name})
        except ServiceError as error:
            if error.code != "ResourceNotFoundException":
                raise
            return None
        return {**table, "TimeToLive": expiry.get("TimeToLiveDescription", {})}

    async def schema(self, request: Request) -> Response:
        table = await self.describe(request.path_params["table"])
        if table is None:
            return self._missing(request)
        readers = [each.name for each in self._context.app.feature_sets.values()
                   if table["TableName"] in {source.table.name for source in compile_set(each).sources}]  # fmt: skip
        return self._pages.show(
            request,
            "table_schema.html",
            table=table,
            targets=exploring.targets(table),
            feature_sets=readers,
            in_lake=in_lake(self._context.app, table),
        )

    async def explore(self, request: Request) -> Response:
        table = await self.describe(request.path_params["table"])
        if table is None:
            return self._missing(request)
        query = request.query_params
        form = exploring.read_form(query.get, query.getlist)
        found = exploring.targets(table)
        values: dict[str, Any] = {"table": table, "targets": found, "form": form}
        try:
            target = exploring.pick(found, form.index)
        except UsageError:
            target, form = found[0], replace(form, index="")
        values |= {"target": target, "scan": scan_cost(target)}
        if is_fragment(request, "explorer"):
            return self._pages.show(request, "explorer.html", **values, **_words())
        values |= await self._results(form, table, target, found)
        if is_fragment(request, "results"):
            return self._pages.show(request, "results.html", **values)
        return self._pages.show(request, "table.html", **values, **_words())

    async def _results(
        self, form: Form, table: Mapping[str, Any], target: Target, found: list[Target]
    ) -> dict[str, Any]:
        """What the request answers, or what is wrong with it; and the request, to be seen and copied."""
        try:
            action, request = exploring.build(form, str(table["TableName"]), target)
        except UsageError as error:
            return {"problem": str(error), "request_text": None}
        api_url = self._context.api_url
        told: dict[str, Any] = {
            "problem": None,
            "action": action,
            "request_text": snippets.as_request(request),
            "python": snippets.as_python(action, request, api_url),
            "cli": snippets.as_cli(action, request, api_url),
        }
        began_s = time.perf_counter()
        try:
            answer = await self._store.call(action, {**request, "ReturnConsumedCapacity": "TOTAL"})
        except (ServiceError, TypeError) as error:
            return {**told, "problem": str(error), "request_text": None}
        items = answer["Items"]
        last = answer.get("LastEvaluatedKey")
        units = float(answer["ConsumedCapacity"]["CapacityUnits"])
        return told | {
            "items": items,
            "columns": exploring.columns(items, target, found[0]),
            "numeric": {name for item in items for name, value in item.items() if "N" in value},
            "words": [typed_json.key_word(exploring.key_of(item, found[0])) for item in items],
            "next": typed_json.key_word(last) if last else "",
            "first_query": self._query(form, ""),
            "next_query": self._query(form, typed_json.key_word(last)) if last else "",
            "units": units,
            "dollars_per_million": units * DOLLARS_PER_UNIT * 1e6,
            "scanned": int(answer["ScannedCount"]),
            "seconds": time.perf_counter() - began_s,
        }

    @staticmethod
    def _query(form: Form, start: str) -> str:
        """The form as an address, for the page that begins after `start`."""
        fields = [("mode", "scan" if form.mode == "peek" else form.mode), ("index", form.index)]
        if form.mode == "query":
            fields += [
                ("pk", form.pk),
                ("op", form.op),
                ("sk", form.sk),
                ("sk2", form.sk2),
                ("order", form.order),
            ]
        for each in form.filters:
            fields += [
                ("f.name", each.name),
                ("f.op", each.op),
                ("f.type", each.type),
                ("f.value", each.value),
            ]
        return urlencode([*fields, ("limit", str(form.limit)), ("start", start)])

    def _missing(self, request: Request) -> Response:
        name = request.path_params["table"]
        return self._pages.show(
            request, "missing.html", 404, what=f"There is no table {name!r}.", back="/tables"
        )


def scan_cost(target: Target) -> dict[str, float]:
    """What reading all of it takes. AWS counts 8 KB per eventually consistent unit and bills whatever the filter says."""
    units = max(0.5, -(-target.bytes // (READ_UNIT_BYTES // 2)) / 2)
    return {
        "units": units,
        "dollars": units * DOLLARS_PER_UNIT,
        "pages": max(1, -(-target.bytes // PAGE_BYTES_MAX)),
        "heavy": target.bytes > PAGE_BYTES_MAX,
    }


def _summary(table: Mapping[str, Any]) -> dict[str, Any]:
    found = exploring.targets(table)
    return {
        "name": table["TableName"],
        "own": str(table["TableName"]).startswith(OWN),
        "status": table["TableStatus"],
        "key": found[0],
        "items": found[0].items,
        "bytes": found[0].bytes,
        "indexes": found[1:],
        "stream": table.get("StreamSpecification", {}).get("StreamViewType"),
        "expires_by": expires_by(table),
    }


def expires_by(table: Mapping[str, Any]) -> str | None:
    told = table["TimeToLive"]
    enabled = told.get("TimeToLiveStatus") in ("ENABLED", "ENABLING")
    return str(told.get("AttributeName")) if enabled else None


def _words() -> dict[str, Any]:
    return {
        "sort_conditions": exploring.SORT_CONDITIONS,
        "filter_conditions": exploring.FILTER_CONDITIONS,
        "value_types": exploring.VALUE_TYPES,
        "limits": exploring.LIMITS,
    }


def in_lake(app: App, table: Mapping[str, Any]) -> bool:
    """Also what nobody declared: without a choice the lake follows every stream but our own, and with one the log besides."""
    name = table["TableName"]
    if app.lake_tables:
        return name in app.lake_tables or (name == inference_log.TABLE and bool(app.predictors))
    return bool(table.get("StreamSpecification", {}).get("StreamEnabled")) and not name.startswith(OWN)
