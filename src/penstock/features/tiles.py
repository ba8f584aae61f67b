"""Day tiles: each entity's days, folded beforehand by a stream consumer, so that an entity with very many events costs a few reads.

    entity  day                            what the item is
    ID      p#SET#TABLE#TIME#000159        a pack: the tiles of PACK_DAYS days of one source of a feature set

X1. A tile is the fold of all rows of its day, as the table held them when it was made: it is made anew from the index whenever one
    of its day's events changes, not patched, so late events and corrections need no case of their own.
X2. A window of w at t takes tiles of the days that lie wholly inside, and raw rows of the two days at its edges. Parts merge
    exactly (W3 of windows.py), so the answer has the bits that raw rows give at the tiles' position.
X3. Tiles lag behind the table by the consumer's lag. A day without a tile is a day without events; only the day of t itself is
    read from the table in any case.
X4. A pack is written under the version that it was read with, before its days were folded: of two makers the later begins anew.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from operator import add, itemgetter
from typing import Any, TypeAlias

import msgspec

from penstock.app.application import App
from penstock.app.handlers import ChangeHandler
from penstock.app.tables import Table, declare
from penstock.errors import ServiceError, UsageError
from penstock.features.definition import Measure, Plan, Source, Values, compile_set
from penstock.features.instants import DAY_US, instant_of, number_range, text_range
from penstock.features.online import Observed, Page, entity_value
from penstock.features.pack_sums import Packs, packs_of
from penstock.features.packs import Pack, Packed, Text, pack_days, pack_of, packed
from penstock.features.windows import Part, Row, Value
from penstock.limits import BATCH_GET_KEYS_MAX
from penstock.wire.codec import decode_answer

Call: TypeAlias = Callable[
    [str, Mapping[str, Any]], dict[str, Any]
]  # A client's method by name, and its request.
# Answers may be unparsed: most of an answer to BatchGetItem is numbers that are read all at once.
TileSteps: TypeAlias = Generator[list[tuple[str, dict[str, Any]]], Sequence[Page], list[Observed]]


_ATTEMPTS_MAX = 20


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


def pack_key(plan: Plan, source: Source, pack: int) -> str:
    return f"p#{plan.name}#{source.table.name}#{source.time}#{pack:06d}"


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

    def take(self, answer: Page) -> bool:
        """Keep a page; True where it was the last."""
        page = decode_answer("Query", answer) if isinstance(answer, bytes) else answer
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
            by_entity: dict[str, set[int]] = {}
            for entity, day in self._touched(source, event["Records"]):
                by_entity.setdefault(entity, set()).add(day)
            for entity, days in sorted(by_entity.items()):
                self.make(source, entity, days)

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

    def make(self, source: Source, entity: str, days: Iterable[int]) -> None:
        """Fold days of one entity from the index (X1)."""
        by_pack: dict[int, list[int]] = {}
        for day in days:
            by_pack.setdefault(day // pack_days(source), []).append(day)
        for pack, inside in sorted(by_pack.items()):
            for _ in range(_ATTEMPTS_MAX):
                if self._remake(source, entity, pack, inside):
                    break
            else:
                raise UsageError(f"the tiles of {entity} in {self._table} are written by too many at once")

    def _remake(self, source: Source, entity: str, pack: int, days: Sequence[int]) -> bool:
        """False where another maker wrote the pack meanwhile (X4)."""
        key = {"entity": {"S": entity}, "day": {"S": pack_key(self.plan, source, pack)}}
        found = self._call("get_item", {"TableName": self._table, "Key": key, "ConsistentRead": True}).get(
            "Item"
        )
        held = Pack([], [], {}) if found is None else pack_of(found)
        folded = held.by_day(source.measures)
        for day in days:
            rows = self._rows(source, entity, day)
            folded.pop(day, None)
            if rows:
                folded[day] = len(rows), {measure.name: measure.fold(rows) for measure in source.measures}
        version = 0 if found is None else int(found["version"]["N"])
        request: dict[str, Any] = {
            "TableName": self._table,
            "ConditionExpression": "attribute_not_exists(version) OR version = :seen",
            "ExpressionAttributeValues": {":seen": {"N": str(version)}},
        }
        try:
            if folded:
                item = {**key, **packed(source.measures, folded), "version": {"N": str(version + 1)}}
                self._call("put_item", {**request, "Item": item})
            elif found is not None:
                self._call("delete_item", {**request, "Key": key})
        except ServiceError as error:
            if error.code != "ConditionalCheckFailedException":
                raise
            return False
        return True

    def _rows(self, source: Source, entity: str, day: int) -> list[Row]:
        edge = _Edge(self.plan, source, entity, day * DAY_US - 1, (day + 1) * DAY_US - 1)
        while not edge.take(self._call("query", edge.request)):
            pass
        return edge.rows


# -- Reading tiles --


class _Item(Packed, gc=False, kw_only=True):
    entity: Text
    day: Text


class _Items(msgspec.Struct, gc=False):
    """An answer of BatchGetItem."""

    Responses: dict[str, list[_Item]] = {}
    UnprocessedKeys: dict[str, Any] = {}


def items_of(client: Any) -> Callable[..., Page]:
    """A client's `batch_get_item`, whose answers stay unparsed where it can leave them so."""
    body = getattr(client, "answer_body", None)
    if body is None:
        get: Callable[..., Page] = client.batch_get_item
        return get

    def unparsed(**request: Any) -> Page:
        answer: Page = body("BatchGetItem", request)
        return answer

    return unparsed


_decode_items = msgspec.json.Decoder(_Items).decode


def _read(answer: Page) -> _Items:
    return _decode_items(answer) if isinstance(answer, bytes) else msgspec.convert(answer, _Items)


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
        """Yields rounds of (method, request): first the packs by their full keys and the day of t, then rows of the days that
        windows begin in, where the pack says that such a day has events."""
        moment = _Moment(self.plan, at_us)
        keys = [{"entity": {"S": id_}, "day": {"S": key}} for id_ in ids for key in moment.keys]
        batches = [
            keys[start : start + BATCH_GET_KEYS_MAX] for start in range(0, len(keys), BATCH_GET_KEYS_MAX)
        ]
        edges: dict[tuple[str, int, int, int], _Edge] = {}
        for number, low, high in moment.today:
            for id_ in ids:
                edges[id_, number, low, high] = _Edge(self.plan, self.plan.sources[number], id_, low, high)
        packs: dict[tuple[str, str], Packed] = {}
        reading, is_first = list(edges.values()), True
        while batches or reading or is_first:
            requests = [("batch_get_item", self._get(batch)) for batch in batches]
            requests += [("query", edge.request) for edge in reading]
            answers = (yield requests) if requests else []
            left = []
            for answer in map(_read, answers[: len(batches)]):
                for item in answer.Responses.get(self._table, ()):
                    packs[item.entity.S, item.day.S] = item
                # What comes back unprocessed is asked for again.
                again = answer.UnprocessedKeys.get(self._table)
                if again is not None and again["Keys"]:
                    left.append(again["Keys"])
            told = zip(reading, answers[len(batches) :], strict=True)
            reading = [edge for edge, answer in told if not edge.take(answer)]
            batches = left
            if is_first and not batches:
                is_first = False
                moment.hold(ids, packs)
                fresh = {place: self._edge(place) for place in moment.begins_with_events(ids)}
                edges |= fresh
                reading += fresh.values()
        return moment.observe(ids, edges)

    def _edge(self, place: tuple[str, int, int, int]) -> _Edge:
        id_, number, low, high = place
        return _Edge(self.plan, self.plan.sources[number], id_, low, high)

    def _get(self, keys: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        return {"RequestItems": {self._table: {"Keys": list(keys), "ConsistentRead": True}}}


class _Moment:
    """What is the same for all entities that are asked about at one instant."""

    def __init__(self, plan: Plan, at_us: int) -> None:
        self._at_us = at_us
        today_us = day_of(at_us + 1) * DAY_US - 1
        self.keys: list[str] = []
        self.today: list[tuple[int, int, int]] = []  # (source, after, until]
        self._begins: list[tuple[int, int, int]] = []
        self._sources: list[_SourceAt] = []
        for number, source in enumerate(plan.sources):
            low_us, days = at_us - (source.window_us or 0), pack_days(source)
            keys = [
                pack_key(plan, source, pack)
                for pack in range(day_of(low_us) // days, day_of(at_us) // days + 1)
            ]
            self.keys += keys
            measures = [_MeasureAt(measure, at_us) for measure in source.measures]
            self._sources.append(_SourceAt(keys, measures))
            for low, high in sorted({edge for each in measures for edge in each.edges}):
                # A window that begins today is read from today's rows, with what may be there without a tile.
                (self.today if high > today_us else self._begins).append((number, low, high))

    def hold(self, ids: Sequence[str], packs: Mapping[tuple[str, str], Packed]) -> None:
        """The packs of these entities, read all at once."""
        for source in self._sources:
            found = [
                (place, pack)
                for place, id_ in enumerate(ids)
                for key in source.keys
                if (pack := packs.get((id_, key))) is not None
            ]
            source.packs = packs_of(len(ids), found)

    def begins_with_events(self, ids: Sequence[str]) -> Iterator[tuple[str, int, int, int]]:
        for number, low, high in self._begins:
            days = range(day_of(low + 1), day_of(high) + 1)
            for place in sorted(self._sources[number].packs.with_events(days)):
                yield ids[place], number, low, high

    def observe(self, ids: Sequence[str], edges: Mapping[tuple[str, int, int, int], _Edge]) -> list[Observed]:
        places = {id_: place for place, id_ in enumerate(ids)}
        raw: dict[tuple[int, int, int], list[tuple[int, list[Row]]]] = {}
        for (id_, number, low, high), edge in edges.items():
            if edge.rows:
                raw.setdefault((number, low, high), []).append((places[id_], edge.rows))
        columns: dict[str, list[Value]] = {}
        events = [0] * len(ids)
        for number, source in enumerate(self._sources):
            longest = max(source.measures, key=_window_of)
            for each in source.measures:
                of_raw = [(place, rows) for end in each.edges for place, rows in raw.get((number, *end), ())]
                columns[each.measure.name] = self._values(source.packs, each, of_raw, len(ids))
                if each is longest:
                    events = list(map(add, events, source.packs.events(each.days)))
                    for place, rows in of_raw:
                        events[place] += len(rows)
        names = list(columns)
        return [
            Observed(dict(zip(names, values, strict=True)), counted, 0)
            for counted, *values in zip(events, *columns.values(), strict=True)
        ]

    def _values(
        self, packs: Packs, each: _MeasureAt, raw: Sequence[tuple[int, Sequence[Row]]], entities: int
    ) -> list[Value]:
        """One measure of all entities: sums of whole days at once, and what else there is of an entity merged with its own."""
        measure = each.measure
        summed = packs.sums(measure, each.days)
        values = [each.of_nothing] * entities if summed is None else summed.values(measure)
        merged: dict[int, Part] = {}
        folded = ((place, measure.fold(rows)) for place, rows in raw)
        for place, part in chain(packs.parts(measure, each.days), folded):
            if place not in merged:
                merged[place] = each.nothing if summed is None else summed.part(place)
            merged[place] = measure.kind.merge(merged[place], part)
        for place, part in merged.items():
            values[place] = measure.finish(part, self._at_us)
        return values


class _SourceAt:
    """One source at one instant: the keys of its packs, and the packs once they are read."""

    __slots__ = ("keys", "measures", "packs")

    def __init__(self, keys: list[str], measures: list[_MeasureAt]) -> None:
        self.keys, self.measures = keys, measures
        self.packs: Packs = packs_of(0, ())


class _MeasureAt:
    """One measure at one instant: its whole days, its edges, and its part of no rows."""

    __slots__ = ("days", "edges", "measure", "nothing", "of_nothing")

    def __init__(self, measure: Measure, at_us: int) -> None:
        self.measure = measure
        self.nothing: Part = measure.fold([])
        self.of_nothing = measure.finish(self.nothing, at_us)
        self.days = _whole_days(at_us - (measure.window_us or 0), at_us)
        self.edges = [(low, high) for low, high in _edges_of(measure, at_us) if low < high]


def _window_of(each: _MeasureAt) -> int:
    return each.measure.window_us or 0


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
                found.append(ChangeHandler(_consumer_name(plan.name, source.name), source, maker.handle))
    return found


def consumer_names(app: App) -> list[tuple[str, str, str]]:
    """The name, feature set and source table of each of these consumers, for those who only list them."""
    return [
        (_consumer_name(declared.name, table), declared.name, table)
        for declared in app.feature_sets.values()
        if declared.tiles is not None
        for table in dict.fromkeys(source.table.name for source in compile_set(declared).sources)
    ]


def _consumer_name(features: str, table: str) -> str:
    return f"tiles-{features}-{table}"
