"""Day tiles: each entity's days, folded beforehand by a stream consumer, so that an entity with very many events costs a few reads.

    entity  day                    what the item is
    ID      t#NAME#2026-11-20      the parts of one source of feature set NAME over one UTC day: measure → part

X1. A tile is the fold of all rows of its day, as the table held them at `position`: it is made anew from the index whenever one
    of its day's events changes, not patched, so late events and corrections need no case of their own.
X2. A window of w at t takes tiles of the days that lie wholly inside, and raw rows of the two days at its edges. Parts merge
    exactly (W3 of windows.py), so the answer has the bits that raw rows give at the tiles' position.
X3. Tiles lag behind the table by the consumer's lag. A day without a tile is a day without events.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from decimal import Decimal
from operator import itemgetter
from typing import Any, TypeAlias

import orjson

from penstock.app.application import App
from penstock.app.handlers import ChangeHandler
from penstock.app.tables import Table, declare
from penstock.errors import UsageError
from penstock.features.definition import Measure, Plan, Source, Values, compile_set
from penstock.features.instants import DAY_US, instant_of, number_range, text_of, text_range
from penstock.features.online import Observed, entity_value
from penstock.features.windows import Part, Row
from penstock.limits import BATCH_GET_KEYS_MAX

Call: TypeAlias = Callable[
    [str, Mapping[str, Any]], dict[str, Any]
]  # A client's method by name, and its request.
TileSteps: TypeAlias = Generator[list[tuple[str, dict[str, Any]]], Sequence[dict[str, Any]], list[Observed]]


def table(name: str) -> Table:
    """The table of a feature set's tiles."""
    return declare(name, "entity", "day", {}, {}, stream=False)


def definition(name: str) -> dict[str, Any]:
    return table(name).definition()


def tables(app: App) -> list[Table]:
    """Of all feature sets of an application. Two may share one: their tiles have other keys."""
    return [table(name) for name in dict.fromkeys(each.tiles for each in app.feature_sets.values()) if name]


def day_of(instant_us: int) -> int:
    return instant_us // DAY_US


def tile_key(source: Source, day: int) -> str:
    return f"t#{source.table.name}#{source.time}#{text_of(day * DAY_US)[:10]}"


# -- Parts as text --


def dump(part: Part) -> Any:
    """A part as JSON: decimals as {"d": text}, tuples as lists, counts of values as pairs."""
    if isinstance(part, Decimal):
        return {"d": str(part)}
    if isinstance(part, bytes):
        return {"b": part.hex()}
    if isinstance(part, tuple):
        return [dump(each) for each in part]
    if isinstance(part, dict):
        return {"v": [[tag, text, count] for (tag, text), count in sorted(part.items())]}
    return part


def restore(held: Any) -> Part:
    if isinstance(held, dict):
        if "d" in held:
            return Decimal(held["d"])
        if "b" in held:
            return bytes.fromhex(held["b"])
        return {(tag, text): count for tag, text, count in held["v"]}
    return tuple(restore(each) for each in held) if isinstance(held, list) else held


# -- Raw rows --


class _Edge:
    """The rows of one entity with after < instant <= until, page by page."""

    def __init__(self, plan: Plan, source: Source, entity: str, after_us: int, until_us: int) -> None:
        self._source, self._after_us, self._until_us = source, after_us, until_us
        self.rows: list[Row] = []
        is_text = source.table.key_types.get(source.time, "S") == "S"
        if is_text:
            low, high = ({"S": each} for each in text_range(after_us, until_us))
        else:
            low, high = ({"N": each} for each in number_range(after_us, until_us, source.unit))
        self.request: dict[str, Any] = {
            "TableName": source.table.name,
            "KeyConditionExpression": "#p = :p AND #t BETWEEN :l AND :h",
            "ExpressionAttributeNames": {"#p": source.entity, "#t": source.time},
            "ExpressionAttributeValues": {":p": entity_value(plan, entity), ":l": low, ":h": high},
        }
        if source.index is not None:
            self.request["IndexName"] = source.index
        if plan.consistent and not source.index_is_global:
            self.request["ConsistentRead"] = True

    def take(self, page: Mapping[str, Any]) -> bool:
        """Keep a page; True where it was the last."""
        for item in page["Items"]:
            row = self._source.row(item)
            if row is not None and self._after_us < row[0] <= self._until_us:
                self.rows.append(row)
        if "LastEvaluatedKey" in page:
            self.request = {**self.request, "ExclusiveStartKey": page["LastEvaluatedKey"]}
            return False
        self.rows.sort(key=itemgetter(0))
        return True


# -- Making tiles --


class TileMaker:
    """Called with the changes of a source table, in Lambda's event shape: `app.on_change(purchases)(maker.handle)`."""

    def __init__(self, plan: Plan, call: Call) -> None:
        if plan.tiles is None:
            raise ValueError(f"{plan.name} declares no table of tiles")
        self.plan, self._table, self._call = plan, plan.tiles, call

    def handle(self, event: Mapping[str, Any], context: Any = None) -> None:
        for source in self.plan.sources:
            for entity, day in sorted(self._touched(source, event["Records"])):
                self.make(source, entity, day)

    def _touched(self, source: Source, records: Sequence[Mapping[str, Any]]) -> set[tuple[str, int]]:
        found: set[tuple[str, int]] = set()
        for record in records:
            if f"/{source.table.name}/" not in str(record.get("eventSourceARN", f"/{source.table.name}/")):
                continue
            for image in ("NewImage", "OldImage"):
                item = record["dynamodb"].get(image)
                held = None if item is None else item.get(source.time)
                instant = None if held is None else instant_of(held, source.unit)
                if instant is not None and source.entity in item:
                    found.add((str(next(iter(item[source.entity].values()))), day_of(instant)))
        return found

    def make(self, source: Source, entity: str, day: int) -> None:
        """Fold one day of one entity from the index (X1)."""
        edge = _Edge(self.plan, source, entity, day * DAY_US - 1, (day + 1) * DAY_US - 1)
        while not edge.take(self._call("query", edge.request)):
            pass
        rows = edge.rows
        key = {"entity": {"S": entity}, "day": {"S": tile_key(source, day)}}
        if not rows:
            self._call("delete_item", {"TableName": self._table, "Key": key})
            return
        parts = {measure.name: dump(measure.fold(rows)) for measure in source.measures}
        item = {**key, "parts": {"S": orjson.dumps(parts).decode()}, "events": {"N": str(len(rows))}}
        self._call("put_item", {"TableName": self._table, "Item": item})


# -- Reading tiles --


class TileReader:
    """Features from tiles and the raw edges. As in online.py, reading is a generator of requests."""

    def __init__(self, plan: Plan) -> None:
        if plan.tiles is None:
            raise ValueError(f"{plan.name} declares no table of tiles")
        for source in plan.sources:
            if source.window_us is None or any(measure.end for measure in source.measures):
                raise UsageError(f"{plan.name}: day tiles serve bounded windows only")
        self.plan, self._table = plan, plan.tiles

    def read(self, call: Call, id_: str, at_us: int) -> Values:
        return self.read_many(call, [id_], at_us)[0]

    def read_many(self, call: Call, ids: Sequence[str], at_us: int) -> list[Values]:
        """Over a blocking client: `call("query", {…})`."""
        steps = self.steps(ids, at_us)
        try:
            requests = next(steps)
            while True:
                requests = steps.send([call(method, request) for method, request in requests])
        except StopIteration as finished:
            return [each.measured for each in finished.value]

    def steps(self, ids: Sequence[str], at_us: int) -> TileSteps:
        """Yields rounds of (method, request): the tiles by their full keys and the raw edges, all in the first round."""
        edges = {
            (id_, number, low, high): _Edge(self.plan, source, id_, low, high)
            for id_ in ids
            for number, source in enumerate(self.plan.sources)
            for low, high in _raw_ranges(source, at_us)
        }
        keys = [
            {"entity": {"S": id_}, "day": {"S": tile_key(source, day)}}
            for source in self.plan.sources
            for day in _whole_days(at_us - (source.window_us or 0), at_us)
            for id_ in ids
        ]
        batches = [
            keys[start : start + BATCH_GET_KEYS_MAX] for start in range(0, len(keys), BATCH_GET_KEYS_MAX)
        ]
        tiles: dict[tuple[str, str], dict[str, Any]] = {}
        reading = list(edges.values())
        events = 0
        while batches or reading:
            requests = [("batch_get_item", self._get(batch)) for batch in batches]
            requests += [("query", edge.request) for edge in reading]
            answers = yield requests
            left = []
            for answer in answers[: len(batches)]:
                for item in answer["Responses"].get(self._table, []):
                    tiles[item["entity"]["S"], item["day"]["S"]] = orjson.loads(item["parts"]["S"])
                    events += int(item["events"]["N"])
                # What comes back unprocessed is asked for again.
                again = answer.get("UnprocessedKeys", {}).get(self._table, {}).get("Keys", [])
                if again:
                    left.append(again)
            told = zip(reading, answers[len(batches) :], strict=True)
            reading = [edge for edge, answer in told if not edge.take(answer)]
            batches = left
        events += sum(len(edge.rows) for edge in edges.values())
        return [Observed(self._measure(id_, at_us, tiles, edges), events, 0) for id_ in ids]

    def _get(self, keys: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        return {"RequestItems": {self._table: {"Keys": list(keys), "ConsistentRead": True}}}

    def _measure(
        self,
        id_: str,
        at_us: int,
        tiles: Mapping[tuple[str, str], Mapping[str, Any]],
        edges: Mapping[tuple[str, int, int, int], _Edge],
    ) -> Values:
        values: Values = {}
        for number, source in enumerate(self.plan.sources):
            for measure in source.measures:
                part: Part = None
                is_first = True
                for low, high in _edges_of(measure, at_us):
                    folded = measure.fold(edges[id_, number, low, high].rows)
                    part = folded if is_first else measure.kind.merge(part, folded)
                    is_first = False
                for day in _whole_days(at_us - (measure.window_us or 0), at_us):
                    tile = tiles.get((id_, tile_key(source, day)))
                    if tile is not None:
                        part = measure.kind.merge(part, restore(tile[measure.name]))
                values[measure.name] = measure.finish(part, at_us)
        return values


def _raw_ranges(source: Source, at_us: int) -> set[tuple[int, int]]:
    return {edge for measure in source.measures for edge in _edges_of(measure, at_us)}


def _edges_of(measure: Measure, at_us: int) -> list[tuple[int, int]]:
    """What of a window no whole day covers, as (after, until]: its two ends, or all of it."""
    low_us = at_us - (measure.window_us or 0)
    days = _whole_days(low_us, at_us)
    if not days:
        return [(low_us, at_us)]
    return [(low_us, days[0] * DAY_US - 1), ((days[-1] + 1) * DAY_US - 1, at_us)]


def _whole_days(low_us: int, high_us: int) -> range:
    """Days whose every instant lies in (low, high]."""
    return range(day_of(low_us) + 1, day_of(high_us + 1))


def consumers(app: App, call: Call) -> list[ChangeHandler]:
    """The consumers that keep the tiles of an application: one for each source table of each feature set that has tiles."""
    found: list[ChangeHandler] = []
    for declared in app.feature_sets.values():
        if declared.tiles is not None:
            plan = compile_set(declared)
            maker = TileMaker(plan, call)
            for source in {source.table.name: source.table for source in plan.sources}.values():
                if not source.stream:
                    raise UsageError(
                        f"{plan.name}: tiles are kept from the stream of {source.name}, which has none; declare it "
                        "with stream=True"
                    )
                found.append(ChangeHandler(f"tiles-{plan.name}-{source.name}", source, maker.handle))
    return found
