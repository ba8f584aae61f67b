"""Tiles of the events that a table held before its tiles were declared: what the stream no longer tells.

    entity      day                            what the item is
    #backfill   SET#TABLE#TIME                 how far it has come: `after` (a scan's key), `entities`, `done`; `table`, its id

T1. The source table is scanned page by page, and each (entity, day) of a page is folded anew from the index, as the consumer
    does with a change (X1 of tiles.py). What is written meanwhile the consumer folds, before or after: the later of two makers
    begins anew (X4), so whoever comes last has seen both. The consumer therefore has to be there, or to come within the 24
    hours that a stream keeps.
T2. The place is kept after a page is folded: a run that was stopped goes on there, and folds at most that page twice, which
    gives the same tiles.
T3. `done` is kept in the table of the tiles. The worker brings in what is not done at each start.
T4. A table that was deleted and made anew under its name has another id. Its predecessor's tiles are emptied first: the stream
    told of none of those events that they went.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from penstock.app.application import App
from penstock.features.definition import Plan, Source, compile_set
from penstock.features.instants import instant_of
from penstock.features.tiles import MADE_AT_ONCE, Call, TileMaker, day_of

ENTITY = "#backfill"


@dataclass(frozen=True)
class Progress:
    features: str
    table: str
    entities: int  # Of all pages; one that lies on two pages counts twice.
    done: bool


class TileBackfill:
    """The sources of one feature set, one after the other."""

    def __init__(self, plan: Plan, call: Call, *, at_once: int = MADE_AT_ONCE) -> None:
        assert plan.tiles is not None
        self.plan, self._table, self._call = plan, plan.tiles, call
        self._maker = TileMaker(plan, call, at_once=at_once)

    def run(self, *, stopping: Callable[[], bool] = lambda: False, again: bool = False) -> Iterator[Progress]:
        """How far it is, after each page. `again` folds everything anew, also what is done."""
        for source in self.plan.sources:
            yield from self._source(source, stopping, again)

    def is_done(self) -> bool:
        """T3 and T4, of all sources."""
        return all(
            _is_of(kept := self._kept(source), self._id_of(source)) and kept.get("done") == {"BOOL": True}
            for source in self.plan.sources
        )

    def _source(self, source: Source, stopping: Callable[[], bool], again: bool) -> Iterator[Progress]:
        id_ = self._id_of(source)
        kept = self._kept(source)
        if not _is_of(kept, id_):
            self._maker.empty_all(source)
            again = True
        kept = {} if again else kept
        entities = int(kept.get("entities", {}).get("N", "0"))
        if kept.get("done") == {"BOOL": True}:
            yield Progress(self.plan.name, source.table.name, entities, True)
            return
        after = orjson.loads(kept["after"]["S"]) if "after" in kept else None
        while not stopping():
            page = self._call("scan", _scan(source, after))
            touched = _days_of(source, page["Items"])
            self._maker.make_all(source, touched)
            entities += len(touched)
            after = page.get("LastEvaluatedKey")
            self._keep(source, after, entities, id_)
            yield Progress(self.plan.name, source.table.name, entities, after is None)
            if after is None:
                return

    def _id_of(self, source: Source) -> str | None:
        """None where the store gives tables no id."""
        id_: str | None = self._call("describe_table", {"TableName": source.table.name})["Table"].get(
            "TableId"
        )
        return id_

    def _key(self, source: Source) -> dict[str, Any]:
        place = f"{self.plan.name}#{source.table.name}#{source.time}"
        return {"entity": {"S": ENTITY}, "day": {"S": place}}

    def _kept(self, source: Source) -> dict[str, Any]:
        asked = {"TableName": self._table, "Key": self._key(source), "ConsistentRead": True}
        found: dict[str, Any] = self._call("get_item", asked).get("Item", {})
        return found

    def _keep(self, source: Source, after: Mapping[str, Any] | None, entities: int, id_: str | None) -> None:
        item = {**self._key(source), "entities": {"N": str(entities)}, "done": {"BOOL": after is None}}
        if id_ is not None:
            item["table"] = {"S": id_}
        if after is not None:
            item["after"] = {"S": orjson.dumps(after, default=_as_base64).decode()}
        self._call("put_item", {"TableName": self._table, "Item": item})


def _is_of(kept: Mapping[str, Any], id_: str | None) -> bool:
    """Whether what is kept is not of another table. Earlier versions kept no id."""
    return id_ is None or "table" not in kept or kept["table"] == {"S": id_}


def _scan(source: Source, after: Mapping[str, Any] | None) -> dict[str, Any]:
    request: dict[str, Any] = {
        "TableName": source.table.name,
        "ConsistentRead": True,
        "ProjectionExpression": "#e, #t",
        "ExpressionAttributeNames": {"#e": source.entity, "#t": source.time},
    }
    return request if after is None else {**request, "ExclusiveStartKey": after}


def _days_of(source: Source, items: list[dict[str, Any]]) -> dict[str, set[int]]:
    found: dict[str, set[int]] = {}
    for item in items:
        held, named = item.get(source.time), item.get(source.entity)
        instant = None if held is None else instant_of(held, source.unit)
        if instant is not None and named is not None:
            found.setdefault(str(next(iter(named.values()))), set()).add(day_of(instant))
    return found


def _as_base64(held: object) -> Any:
    raise TypeError(f"a table whose keys are {type(held).__name__} has no place that can be kept")


def backfills(app: App, call: Call) -> list[TileBackfill]:
    """Of all feature sets that have tiles."""
    return [
        TileBackfill(compile_set(each), call) for each in app.feature_sets.values() if each.tiles is not None
    ]
