"""A walk along one partition of a global index that is sorted by the entity: who is in it, each once, with little memory.

I1. Every request begins behind an entity, never behind an entry: what is left of an entity's entries when a page ends is
    skipped, and a stop resumes from one key.
I2. Where entities have many entries each, reading them all costs more than asking for the next entity, one at a time. Pages say
    how many there are; after ENTITIES_BY_SEEK of them a page is read again, because runs may have become shorter.
I3. Entries are read for the entity alone, from the page's JSON where it arrives so and its name can be a struct's field.

    seek_costs   how many entries of a page cost as much as one request does: 32 in process, where a request is some 30 us and
                 an entry 1 us; over a connection it is the way there and back that costs
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from penstock.app.tables import Table
from penstock.errors import ServiceError, UsageError
from penstock.features.definition import Plan
from penstock.features.online import Page
from penstock.features.single_page import is_field
from penstock.model.numbers import canonical
from penstock.serving.problems import RequestProblem
from penstock.wire.codec import decode_answer

SEEK_COSTS, SEEK_COSTS_REMOTE = 32, 400
ENTITIES_BY_SEEK = 64


@dataclass(frozen=True)
class CampaignIndex:
    """The global index that a predictor's campaigns walk."""

    table: Table
    index: str
    by: str  # The attribute of its partition: `category`.
    entity: str


def campaign_index(plan: Plan, table: Table, index: str | None, predictor: str) -> CampaignIndex:
    if index is None:
        raise RequestProblem(404, "NoCampaign", f"{predictor} declares no campaign_by")
    keys = table.indexes.get(index)
    if keys is None or keys.sort != plan.entity:
        raise UsageError(
            f"{predictor}: campaign_by={index!r} has to be an index of {table.name} that is sorted by {plan.entity}"
        )
    return CampaignIndex(table, index, keys.partition, plan.entity)


def partition_value(walk: CampaignIndex, text: str) -> dict[str, str]:
    """A campaign's value, as it stands in a URL, as an attribute value."""
    kind = walk.table.key_types.get(walk.by, "S")
    if kind != "N":
        return {kind: text}
    try:
        return {kind: canonical(text)}
    except ServiceError as error:
        raise UsageError(f"{walk.by} is a number; {text!r} is none") from error


def first_page(
    walk: CampaignIndex, value: Mapping[str, str], after: Mapping[str, str] | None
) -> dict[str, Any]:
    """The Query of the index; `after` starts behind that entity's entries."""
    request: dict[str, Any] = {
        "TableName": walk.table.name,
        "IndexName": walk.index,
        "KeyConditionExpression": "#b = :b",
        "ExpressionAttributeNames": {"#b": walk.by},
        "ExpressionAttributeValues": {":b": dict(value)},
    }
    if walk.table.indexes[walk.index].projection.type != "KEYS_ONLY":
        request["ProjectionExpression"] = "#e"
    if after is not None or "ProjectionExpression" in request:
        request["ExpressionAttributeNames"]["#e"] = walk.entity
    if after is not None:
        request["KeyConditionExpression"] += " AND #e > :after"
        request["ExpressionAttributeValues"][":after"] = dict(after)
    return request


class IndexWalk:
    """Ask `request` until `is_done`, and hand each answer to `take`."""

    def __init__(
        self,
        index: CampaignIndex,
        value: Mapping[str, str],
        kind: str,
        *,
        after: str | None,
        page_items: int,
        seek_costs: int = SEEK_COSTS,
    ) -> None:
        """`kind` is the entity's type: S, N or B."""
        self._index, self._kind, self._after = index, kind, after
        self._page_items, self._seek_costs, self._seeks_left = page_items, seek_costs, 0
        self._value = dict(value)
        self._decode = _decoder(index.entity, kind) if kind != "B" and is_field(index.entity) else None
        self.is_done = False

    @property
    def request(self) -> dict[str, Any]:
        after = None if self._after is None else {self._kind: self._after}
        return {
            **first_page(self._index, self._value, after),
            "Limit": 1 if self._seeks_left else self._page_items,
        }

    def take(self, page: Page) -> list[str]:
        """The entities of a page, in the index' order."""
        entries, is_last = self._entries(page)
        found = list(dict.fromkeys(entries))  # Neighbours are one entity (I1).
        self.is_done = is_last
        if found:
            self._after = found[-1]
        if self._seeks_left:
            self._seeks_left -= 1
        elif len(entries) > self._seek_costs * len(found):
            self._seeks_left = ENTITIES_BY_SEEK
        return found

    def _entries(self, page: Page) -> tuple[list[str], bool]:
        kind = self._kind
        if isinstance(page, bytes) and self._decode is not None:
            held: Any = self._decode(page)
            return [entry.entity.text for entry in held.Items], held.LastEvaluatedKey is None
        answer = decode_answer("Query", page) if isinstance(page, bytes) else page
        entity = self._index.entity
        return [item[entity][kind] for item in answer["Items"]], "LastEvaluatedKey" not in answer


def _decoder(entity: str, kind: str) -> Callable[[bytes], Any]:
    """Reads a page for its entities alone."""
    held: Any = msgspec.defstruct("Held", [("text", str)], rename={"text": kind}, gc=False)
    entry = msgspec.defstruct("Entry", [("entity", held)], rename={"entity": entity}, gc=False)
    entries: Any = list[entry]  # type: ignore[valid-type]
    page = msgspec.defstruct("IndexPage", [("Items", entries), ("LastEvaluatedKey", Any, None)])
    return msgspec.json.Decoder(page).decode
