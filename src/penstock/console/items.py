"""One item: seen, made, changed and deleted, each write shown whole before it is sent.

W1. A new item never replaces one that is there, and a change is written only if the item is still what was seen.
W2. Nothing is written by the review; what the review shows is what the second step sends.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from penstock.console import exploring, snippets, typed_json
from penstock.console.exploring import Target
from penstock.console.guard import PREFIX
from penstock.console.rendering import Pages
from penstock.console.requests import form_of, go_to
from penstock.console.tables import TablePages
from penstock.errors import ServiceError, UsageError

CONDITION_ATTRIBUTES_MAX = 100  # An expression holds 4 KB and 300 operators.


class ItemPages:
    def __init__(self, pages: Pages, tables: TablePages) -> None:
        self._pages, self._context, self._tables = pages, pages.context, tables
        self._store = pages.context.store

    def routes(self) -> list[Route]:
        return [
            Route("/tables/{table}/item", self.show),
            Route("/tables/{table}/new", self.new),
            Route("/tables/{table}/review", self.review, methods=["POST"]),
            Route("/tables/{table}/write", self.write, methods=["POST"]),
        ]

    async def _target(self, name: str) -> Target:
        table = await self._tables.describe(name)
        if table is None:
            raise UsageError(f"there is no table {name!r}")
        return exploring.targets(table)[0]

    async def _get(self, name: str, key: Mapping[str, Any]) -> dict[str, Any] | None:
        asked = {"TableName": name, "Key": dict(key), "ConsistentRead": True}
        item: dict[str, Any] | None = (await self._store.call("GetItem", asked)).get("Item")
        return item

    async def show(self, request: Request) -> Response:
        name = request.path_params["table"]
        try:
            target = await self._target(name)
            key = typed_json.key_of_word(request.query_params.get("key", ""))
            item = await self._get(name, key)
        except (UsageError, ServiceError) as error:
            return self._pages.show(request, "missing.html", 404, what=str(error), back="/tables")
        if item is None:
            what = "There is no such item: it was deleted, or its key was written differently."
            return self._pages.show(request, "missing.html", 404, what=what, back=f"/tables/{quote(name)}")
        asked = {"TableName": name, "Key": key}
        return self._pages.show(
            request,
            "item.html",
            name=name,
            target=target,
            key=key,
            key_word=typed_json.key_word(key),
            item=item,
            text=typed_json.text_of(item),
            seen=fingerprint(item),
            python=snippets.as_python("GetItem", asked, self._context.api_url),
            cli=snippets.as_cli("GetItem", asked, self._context.api_url),
        )

    async def new(self, request: Request) -> Response:
        name = request.path_params["table"]
        try:
            target = await self._target(name)
            text = typed_json.text_of(await self._template(request, name, target))
        except (UsageError, ServiceError) as error:
            return self._pages.show(request, "missing.html", 404, what=str(error), back="/tables")
        return self._pages.show(request, "item_new.html", name=name, target=target, text=text)

    async def _template(self, request: Request, name: str, target: Target) -> dict[str, Any]:
        """An item to start from: a copy of another, or the bare key."""
        if "copy" in request.query_params:
            item = await self._get(name, typed_json.key_of_word(request.query_params["copy"]))
            if item is not None:
                return item
        parts = [part for part in (target.partition, target.sort) if part is not None]
        return {part.name: {part.type: "0" if part.type == "N" else ""} for part in parts}

    async def review(self, request: Request) -> Response:
        """The write as it would be sent, for a person to confirm."""
        try:
            name = request.path_params["table"]
            form = await form_of(request)
            action, asked, changes = await self._plan(name, form)
        except (UsageError, ServiceError) as error:
            return self._pages.show(request, "review.html", problem=str(error))
        url = self._context.api_url
        return self._pages.show(
            request,
            "review.html",
            problem=None,
            name=name,
            what=form["what"],
            changes=changes,
            fields={field: form[field] for field in ("what", "key", "seen", "text") if field in form},
            request_text=snippets.as_request(asked),
            action=action,
            python=snippets.as_python(action, asked, url),
            cli=snippets.as_cli(action, asked, url),
        )

    async def write(self, request: Request) -> Response:
        name = request.path_params["table"]
        try:
            form = await form_of(request)
            action, asked, _ = await self._plan(name, form)
            await self._store.call(action, asked)
        except (UsageError, ServiceError) as error:
            return self._pages.show(request, "review.html", problem=_said(error))
        here = f"{PREFIX}/tables/{quote(name, safe='')}"
        if action == "DeleteItem":
            return go_to(f"{here}?done=deleted")
        target = await self._target(name)
        word = typed_json.key_word(exploring.key_of(asked["Item"], target))
        return go_to(f"{here}/item?key={word}&done={'made' if form['what'] == 'create' else 'saved'}")

    async def _plan(self, name: str, form: QueryParams) -> tuple[str, dict[str, Any], list[dict[str, Any]]]:
        """The action, its request, and what it changes attribute by attribute."""
        target = await self._target(name)
        what = form.get("what")
        if what == "create":
            item = _with_key(typed_json.item_of(form.get("text", "")), target)
            asked: dict[str, Any] = {
                "TableName": name,
                "Item": item,
                "ConditionExpression": "attribute_not_exists(#k)",
                "ExpressionAttributeNames": {"#k": target.partition.name},
            }
            return "PutItem", asked, _differences({}, item)
        if what not in ("save", "delete"):
            raise UsageError("the form names no write")
        key = typed_json.key_of_word(form.get("key", ""))
        old = await self._get(name, key)
        if old is None:
            raise UsageError("the item was deleted meanwhile")
        if fingerprint(old) != form.get("seen"):
            raise UsageError("the item was changed by somebody else meanwhile; reload to see what it is now")
        if what == "delete":
            return "DeleteItem", {"TableName": name, "Key": key, **_unchanged(old)}, _differences(old, {})
        item = _with_key(typed_json.item_of(form.get("text", "")), target)
        if exploring.key_of(item, target) != key:
            raise UsageError("a key cannot be changed; use Duplicate to write an item under another key")
        if fingerprint(item) == fingerprint(old):
            raise UsageError("nothing was changed")
        return "PutItem", {"TableName": name, "Item": item, **_unchanged(old)}, _differences(old, item)


def fingerprint(item: Mapping[str, Any]) -> str:
    ordered = {name: item[name] for name in sorted(item)}
    return hashlib.blake2b(typed_json.text_of(ordered).encode(), digest_size=16).hexdigest()


def _with_key(item: dict[str, Any], target: Target) -> dict[str, Any]:
    for part in (target.partition, target.sort):
        if part is not None and part.type not in item.get(part.name, {}):
            raise UsageError(f"{part.name}: the key attribute is missing, or is not of type {part.type}")
    return item


def _unchanged(old: Mapping[str, Any]) -> dict[str, Any]:
    """The condition that the item still is what was seen (W1)."""
    names = {f"#a{place}": name for place, name in enumerate(sorted(old)[:CONDITION_ATTRIBUTES_MAX])}
    values = {f":a{short[2:]}": old[name] for short, name in names.items()}
    return {
        "ConditionExpression": " AND ".join(f"{short} = :a{short[2:]}" for short in names),
        "ExpressionAttributeNames": names,
        "ExpressionAttributeValues": values,
    }


def _differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One row per attribute that differs."""
    rows = []
    for name in sorted({*old, *new}):
        before, after = old.get(name), new.get(name)
        if before != after:
            rows.append({"name": name, "before": before, "after": after})
    return rows


def _said(error: UsageError | ServiceError) -> str:
    if isinstance(error, ServiceError) and error.code == "ConditionalCheckFailedException":
        return "Not written: an item with this key is there already, or it was changed meanwhile."
    return str(error)
