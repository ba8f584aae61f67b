"""The form of the Tables page as a request: what somebody chose becomes a Query or a Scan, exactly as it is shown and sent.

    mode=query  index=by_time  pk=c1  op=between  sk=…  sk2=…  order=desc  limit=25
    f.name=amount  f.op=>  f.type=N  f.value=100          any number of filters
    start=…                                               the key after which a page begins

The form lives in the page's address, so that it can be kept and shared.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from penstock.console import typed_json
from penstock.errors import UsageError

Request: TypeAlias = dict[str, Any]

SORT_CONDITIONS = {  # Operator: how it is said.
    "": "any",
    "=": "is",
    "<": "before",
    "<=": "up to",
    ">": "after",
    ">=": "from",
    "between": "between",
    "begins_with": "begins with",
}
FILTER_CONDITIONS = {
    "=": "=",
    "<>": "≠",
    "<": "<",
    "<=": "≤",
    ">": ">",
    ">=": "≥",
    "begins_with": "begins with",
    "contains": "contains",
    "exists": "exists",
    "missing": "is missing",
}
VALUE_TYPES = {"S": "text", "N": "number", "BOOL": "true/false", "NULL": "null", "B": "binary"}
LIMITS = (25, 50, 100, 250)
PEEK = 25
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_SEGMENT = re.compile(r"([^.\[\]]+)((?:\[\d+\])*)")


@dataclass(frozen=True)
class KeyPart:
    name: str
    type: str


@dataclass(frozen=True)
class Target:
    """The table itself (name ""), or one of its indexes."""

    name: str
    kind: str  # table, local or global.
    partition: KeyPart
    sort: KeyPart | None
    projection: str = "everything"
    status: str = "ACTIVE"
    items: int = 0
    bytes: int = 0


@dataclass(frozen=True)
class Filter:
    name: str = ""
    op: str = "="
    type: str = "S"
    value: str = ""


@dataclass(frozen=True)
class Form:
    mode: str = "peek"  # peek: the first items, when a table is opened; query; scan.
    index: str = ""
    pk: str = ""
    op: str = ""
    sk: str = ""
    sk2: str = ""
    order: str = "asc"
    limit: int = PEEK
    filters: tuple[Filter, ...] = field(default=())
    start: str = ""


def targets(description: Mapping[str, Any]) -> list[Target]:
    """From DescribeTable's answer: the table first, then its indexes."""
    types = {each["AttributeName"]: each["AttributeType"] for each in description["AttributeDefinitions"]}
    found = [_target("", "table", description, types)]
    for kind, member in (("local", "LocalSecondaryIndexes"), ("global", "GlobalSecondaryIndexes")):
        found += [_target(each["IndexName"], kind, each, types) for each in description.get(member, ())]
    return found


def _target(name: str, kind: str, held: Mapping[str, Any], types: Mapping[str, str]) -> Target:
    parts = {each["KeyType"]: each["AttributeName"] for each in held["KeySchema"]}
    sort = parts.get("RANGE")
    projection = held.get("Projection", {})
    said = {"KEYS_ONLY": "keys only", "INCLUDE": ", ".join(projection.get("NonKeyAttributes", ()))}
    return Target(
        name,
        kind,
        KeyPart(parts["HASH"], types[parts["HASH"]]),
        KeyPart(sort, types[sort]) if sort else None,
        said.get(projection.get("ProjectionType", ""), "everything"),
        str(held.get("IndexStatus") or held.get("TableStatus") or "ACTIVE"),
        int(held.get("ItemCount") or held.get("IndexItemCount") or 0),
        int(held.get("TableSizeBytes") or held.get("IndexSizeBytes") or 0),
    )


def read_form(get: Callable[[str, str], str], get_list: Callable[[str], Sequence[str]]) -> Form:
    columns = [get_list(f"f.{name}") for name in ("name", "op", "type", "value")]
    filters = tuple(Filter(*row) for row in zip(*columns, strict=False) if row[0].strip())
    limit = get("limit", "")
    mode, order = get("mode", "peek"), get("order", "asc")
    return Form(
        mode if mode in ("query", "scan") else "peek",
        get("index", ""),
        get("pk", ""),
        get("op", ""),
        get("sk", ""),
        get("sk2", ""),
        "desc" if order == "desc" else "asc",
        min(int(limit), LIMITS[-1]) if limit.isdigit() and int(limit) > 0 else PEEK,
        filters,
        get("start", ""),
    )


def pick(found: Sequence[Target], index: str) -> Target:
    for target in found:
        if target.name == index:
            return target
    raise UsageError(f"this table has no index {index!r}")


def build(form: Form, table: str, target: Target) -> tuple[str, Request]:
    """The action and its request. Raises UsageError about the field that is wrong."""
    request: Request = {"TableName": table}
    if target.name:
        request["IndexName"] = target.name
    names: dict[str, str] = {}
    values: dict[str, Any] = {}
    if form.mode == "query":
        request["KeyConditionExpression"] = _key_condition(form, target, names, values)
    conditions = [_filter(each, place, names, values) for place, each in enumerate(form.filters)]
    if conditions:
        request["FilterExpression"] = " AND ".join(conditions)
    if names:
        request["ExpressionAttributeNames"] = names
    if values:
        request["ExpressionAttributeValues"] = values
    if form.mode == "query" and form.order == "desc":
        request["ScanIndexForward"] = False
    request["Limit"] = form.limit
    if form.start:
        request["ExclusiveStartKey"] = typed_json.key_of_word(form.start)
    return ("Query" if form.mode == "query" else "Scan"), request


def _key_condition(form: Form, target: Target, names: dict[str, str], values: dict[str, Any]) -> str:
    names["#p"] = target.partition.name
    if form.pk == "":
        raise UsageError(f"{target.partition.name}: a Query needs the partition key")
    values[":p"] = typed_value(target.partition.name, target.partition.type, form.pk)
    text = "#p = :p"
    if target.sort is None or not form.op or form.op not in SORT_CONDITIONS:
        return text
    name, type_ = target.sort.name, target.sort.type
    names["#s"] = name
    values[":s"] = typed_value(name, type_, form.sk)
    if form.op == "between":
        values[":t"] = typed_value(name, type_, form.sk2)
        return f"{text} AND #s BETWEEN :s AND :t"
    if form.op == "begins_with":
        return f"{text} AND begins_with(#s, :s)"
    return f"{text} AND #s {form.op} :s"


def _filter(each: Filter, place: int, names: dict[str, str], values: dict[str, Any]) -> str:
    path = _path(each.name.strip(), place, names)
    if each.op == "exists":
        return f"attribute_exists({path})"
    if each.op == "missing":
        return f"attribute_not_exists({path})"
    if each.op not in FILTER_CONDITIONS:
        raise UsageError(f"{each.name}: there is no condition {each.op!r}")
    values[f":f{place}"] = typed_value(each.name, each.type, each.value)
    if each.op in ("begins_with", "contains"):
        return f"{each.op}({path}, :f{place})"
    return f"{path} {each.op} :f{place}"


def _path(text: str, place: int, names: dict[str, str]) -> str:
    """`address.lines[0]` with a placeholder for each name, since any of them may be a reserved word."""
    parts = []
    for number, segment in enumerate(text.split(".")):
        match = _SEGMENT.fullmatch(segment)
        if match is None:
            raise UsageError(f"{text!r} is no attribute; write name, map.name or list[0]")
        placeholder = f"#f{place}" if number == 0 else f"#f{place}_{number}"
        names[placeholder] = match[1]
        parts.append(placeholder + match[2])
    return ".".join(parts)


def typed_value(name: str, type_: str, text: str) -> dict[str, Any]:
    match type_:
        case "S":
            return {"S": text}
        case "N":
            if not _NUMBER.fullmatch(text.strip()):
                raise UsageError(f"{name}: {text!r} is not a number")
            return {"N": text.strip()}
        case "BOOL":
            if text.lower() not in ("true", "false"):
                raise UsageError(f"{name}: write true or false")
            return {"BOOL": text.lower() == "true"}
        case "NULL":
            return {"NULL": True}
        case "B":
            return dict(typed_json.value_of({"B": text}, name))
        case _:
            raise UsageError(f"{name}: there is no type {type_!r}")


def columns(items: Sequence[Mapping[str, Any]], target: Target, table: Target, most: int = 10) -> list[str]:
    """Keys first, then what most items have."""
    keys = [table.partition, table.sort, target.partition, target.sort]
    first = list(dict.fromkeys(part.name for part in keys if part is not None))
    counts: dict[str, int] = {}
    for item in items:
        for name in item:
            counts[name] = counts.get(name, 0) + 1
    others = sorted((name for name in counts if name not in first), key=lambda name: -counts[name])
    return [name for name in first if name in counts or not items] + others[: max(0, most - len(first))]


def key_of(item: Mapping[str, Any], table: Target) -> dict[str, Any]:
    parts = [table.partition.name] + ([table.sort.name] if table.sort else [])
    return {name: item[name] for name in parts}
