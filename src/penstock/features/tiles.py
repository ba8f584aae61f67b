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

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from operator import itemgetter
from typing import Any

import orjson

from penstock.features.definition import Measure, Plan, Source, Values
from penstock.features.instants import DAY_US, instant_of, number_range, text_of, text_range
from penstock.features.online import entity_value
from penstock.features.windows import Part, Row
from penstock.limits import BATCH_GET_KEYS_MAX

Call = Callable[[str, Mapping[str, Any]], dict[str, Any]]


def definition(name: str) -> dict[str, Any]:
    """The table of a feature set's tiles."""
    return {
        "TableName": name,
        "AttributeDefinitions": [
            {"AttributeName": "entity", "AttributeType": "S"},
            {"AttributeName": "day", "AttributeType": "S"},
        ],
        "KeySchema": [
            {"AttributeName": "entity", "KeyType": "HASH"},
            {"AttributeName": "day", "KeyType": "RANGE"},
        ],
        "BillingMode": "PAY_PER_REQUEST",
    }


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
        rows = read_rows(self._call, self.plan, source, entity, day * DAY_US - 1, (day + 1) * DAY_US - 1)
        key = {"entity": {"S": entity}, "day": {"S": tile_key(source, day)}}
        if not rows:
            self._call("delete_item", {"TableName": self._table, "Key": key})
            return
        parts = {measure.name: dump(measure.fold(rows)) for measure in source.measures}
        item = {**key, "parts": {"S": orjson.dumps(parts).decode()}, "events": {"N": str(len(rows))}}
        self._call("put_item", {"TableName": self._table, "Item": item})


def read_rows(call: Call, plan: Plan, source: Source, entity: str, after_us: int, until_us: int) -> list[Row]:
    """Rows with after < instant <= until, from the index, in order."""
    is_text = source.table.key_types.get(source.time, "S") == "S"
    if is_text:
        low, high = ({"S": each} for each in text_range(after_us, until_us))
    else:
        low, high = ({"N": each} for each in number_range(after_us, until_us, source.unit))
    request: dict[str, Any] = {
        "TableName": source.table.name,
        "KeyConditionExpression": "#p = :p AND #t BETWEEN :l AND :h",
        "ExpressionAttributeNames": {"#p": source.entity, "#t": source.time},
        "ExpressionAttributeValues": {":p": entity_value(plan, entity), ":l": low, ":h": high},
    }
    if source.index is not None:
        request["IndexName"] = source.index
    if plan.consistent and not source.index_is_global:
        request["ConsistentRead"] = True
    rows: list[Row] = []
    while True:
        page = call("query", request)
        for item in page["Items"]:
            row = source.row(item)
            if row is not None and after_us < row[0] <= until_us:
                rows.append(row)
        if "LastEvaluatedKey" not in page:
            rows.sort(key=itemgetter(0))
            return rows
        request = {**request, "ExclusiveStartKey": page["LastEvaluatedKey"]}


# -- Reading tiles --


class TileReader:
    """Features from tiles and the raw edges."""

    def __init__(self, plan: Plan) -> None:
        if plan.tiles is None:
            raise ValueError(f"{plan.name} declares no table of tiles")
        self.plan, self._table = plan, plan.tiles

    def read(self, call: Call, id_: str, at_us: int) -> Values:
        return self.read_many(call, [id_], at_us)[0]

    def read_many(self, call: Call, ids: Sequence[str], at_us: int) -> list[Values]:
        """Tiles of all entities by their full keys; then the raw edges of each that has events."""
        wanted: dict[tuple[str, str], tuple[str, str]] = {}
        for source in self.plan.sources:
            for day in self._days(source, at_us):
                for id_ in ids:
                    key = (id_, tile_key(source, day))
                    wanted[key] = key
        tiles = _batch_get(call, self._table, list(wanted))
        return [self._measure(call, id_, at_us, tiles) for id_ in ids]

    def _days(self, source: Source, at_us: int) -> range:
        """Days that lie wholly inside the longest window."""
        window_us = source.window_us
        if window_us is None or any(measure.end for measure in source.measures):
            raise ValueError(f"{self.plan.name}: day tiles serve bounded windows only")
        return _whole_days(at_us - window_us, at_us)

    def _measure(
        self, call: Call, id_: str, at_us: int, tiles: Mapping[tuple[str, str], dict[str, Any]]
    ) -> Values:
        values: Values = {}
        for source in self.plan.sources:
            edges: dict[tuple[int, int], list[Row]] = {}

            def raw(
                low: int, high: int, source: Source = source, edges: dict[tuple[int, int], list[Row]] = edges
            ) -> list[Row]:
                if (low, high) not in edges:
                    edges[low, high] = (
                        read_rows(call, self.plan, source, id_, low, high) if low < high else []
                    )
                return edges[low, high]

            for measure in source.measures:
                values[measure.name] = self._one(source, measure, id_, at_us, tiles, raw)
        return values

    def _one(
        self,
        source: Source,
        measure: Measure,
        id_: str,
        at_us: int,
        tiles: Mapping[tuple[str, str], dict[str, Any]],
        raw: Callable[[int, int], list[Row]],
    ) -> Any:
        assert measure.window_us is not None
        low_us = at_us - measure.window_us
        days = _whole_days(low_us, at_us)
        if not days:
            return measure.finish(measure.fold(raw(low_us, at_us)), at_us)
        part = measure.fold(raw(low_us, days[0] * DAY_US - 1))
        for day in days:
            tile = tiles.get((id_, tile_key(source, day)))
            if tile is not None:
                part = measure.kind.merge(part, restore(tile[measure.name]))
        part = measure.kind.merge(part, measure.fold(raw(days[-1] * DAY_US + DAY_US - 1, at_us)))
        return measure.finish(part, at_us)


def _whole_days(low_us: int, high_us: int) -> range:
    """Days whose every instant lies in (low, high]."""
    return range(day_of(low_us) + 1, day_of(high_us + 1))


def _batch_get(
    call: Call, table: str, keys: Sequence[tuple[str, str]]
) -> dict[tuple[str, str], dict[str, Any]]:
    """Every tile that is there. What comes back unprocessed is asked for again."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for start in range(0, len(keys), BATCH_GET_KEYS_MAX):
        left: list[dict[str, Any]] = [
            {"entity": {"S": entity}, "day": {"S": day}}
            for entity, day in keys[start : start + BATCH_GET_KEYS_MAX]
        ]
        while left:
            answer = call("batch_get_item", {"RequestItems": {table: {"Keys": left, "ConsistentRead": True}}})
            for item in answer["Responses"].get(table, []):
                found[item["entity"]["S"], item["day"]["S"]] = orjson.loads(item["parts"]["S"])
            left = answer.get("UnprocessedKeys", {}).get(table, {}).get("Keys", [])
    return found
