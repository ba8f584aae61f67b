"""How an application reaches its data, as requests: each key, index and feature read, with keys that are really there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from penstock.app.predictors import Predictor
from penstock.app.tables import Table
from penstock.features.definition import compile_set
from penstock.features.online import Reader, entity_value
from penstock.serving.index_walk import campaign_index, first_page
from penstock.serving.inference_log import TABLE as LOG


@dataclass(frozen=True)
class Pattern:
    """One way to the data. `kind` says how it is served: key, query, index, scan or write."""

    title: str
    kind: str
    table: str
    action: str
    request: dict[str, Any]
    about: str = ""
    index: str | None = None


def of_table(table: Table, sample: Mapping[str, Any]) -> list[Pattern]:
    """What the table's keys and indexes serve, for an item that it holds."""
    name = table.name
    key_names = [table.partition_key] + ([table.sort_key] if table.sort_key else [])
    key = {each: sample[each] for each in key_names}
    found = [Pattern("One item by its key", "key", name, "GetItem", {"TableName": name, "Key": key})]
    if table.sort_key:
        asked = _query(name, None, table.partition_key, sample)
        found.append(Pattern(f"All of one {table.partition_key}", "query", name, "Query", asked))
    for index, keys in table.indexes.items():
        if keys.partition in sample:
            order = f", in order of {keys.sort}" if keys.sort else ""
            asked = _query(name, index, keys.partition, sample)
            title = f"All of one {keys.partition}{order}"
            found.append(Pattern(title, "index", name, "Query", asked, index=index))
    written = {"TableName": name, "Item": _another(sample, key_names)}
    found.append(Pattern("Write an item", "write", name, "PutItem", written, _write_note(table)))
    about = "Nothing in the application does this; it is here for comparison."
    found.append(Pattern("A page of everything", "scan", name, "Scan", {"TableName": name}, about))
    return found


def of_predictor(predictor: Predictor, sample: Mapping[str, Any], now_us: int) -> list[Pattern]:
    """What one prediction reads, and what begins a campaign."""
    plan = compile_set(predictor.features)
    source = predictor.features.source
    entity = str(next(iter(sample[predictor.features.entity].values())))
    reads = next(Reader(plan, project=True).steps(entity_value(plan, entity), now_us))
    found = [
        Pattern(
            f"Features of one {predictor.features.entity_name}" + (f" ({place} of {len(reads)})" if len(reads) > 1 else ""),
            "index" if "IndexName" in request else "query",
            str(request["TableName"]),
            "Query",
            dict(request),
            f"Each answer of {predictor.name} reads this.",
            request.get("IndexName"),
        )
        for place, request in enumerate(reads, 1)
    ]  # fmt: skip
    if predictor.campaign_by is None:
        return found
    walk = campaign_index(plan, source, predictor.campaign_by, predictor.name)
    if walk.by in sample:
        about = (
            f"A campaign of {predictor.name} walks this, page by page; then it reads the features of each."
        )
        asked = first_page(walk, sample[walk.by], None)
        title = f"Everyone with one {walk.by}"
        found.append(Pattern(title, "index", source.name, "Query", asked, about, walk.index))
    return found


def of_log(sample: Mapping[str, Any]) -> list[Pattern]:
    about = "Each answer writes this before it leaves."
    return [
        Pattern(
            "An inference into the log",
            "write",
            LOG,
            "PutItem",
            {"TableName": LOG, "Item": _another(sample, ["requestId"])},
            about,
        )
    ]


def _query(table: str, index: str | None, partition: str, sample: Mapping[str, Any]) -> dict[str, Any]:
    asked: dict[str, Any] = {"TableName": table}
    if index is not None:
        asked["IndexName"] = index
    return asked | {
        "KeyConditionExpression": "#p = :p",
        "ExpressionAttributeNames": {"#p": partition},
        "ExpressionAttributeValues": {":p": sample[partition]},
    }


def _another(sample: Mapping[str, Any], key_names: list[str]) -> dict[str, Any]:
    """The same under a new key: writing an item as it stands would change no index, and cost less than an event does."""
    last = key_names[-1]
    [(tag, held)] = sample[last].items()
    if tag == "N":
        held = str(-Decimal(held) - 1)  # Where no time and no count is.
    return dict(sample) | {last: {tag: f"{held}~" if tag == "S" else held}}


def _write_note(table: Table) -> str:
    count = len(table.indexes)
    return f"It pays for {count} index{'es' if count != 1 else ''} too." if count else ""
