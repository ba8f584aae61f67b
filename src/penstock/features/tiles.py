"""Day tiles: each entity's days, folded beforehand by a stream consumer, so that an entity with very many events costs a few reads.

    entity  day                            what the item is
    ID      p#SET#TABLE#TIME#000159        a pack: the tiles of PACK_DAYS days of one source of a feature set

X1. A tile is the fold of all rows of its day, as the table held them when it was made: it is made anew from the index whenever one
    of its day's events changes, not patched, so late events and corrections need no case of their own.
X2. A window of w at t takes tiles of the days that lie wholly inside. Of the days that it begins and ends in it takes the tile
    where that says that all or none of the day's events are inside (N5 of pack_sums.py), and raw rows otherwise. Parts merge
    exactly (W3 of windows.py), so the answer has the bits that raw rows give at the tiles' position.
X3. Tiles lag behind the table by the consumer's lag. A day without a tile is a day without events. Of the day of t itself the
    rows are read in any case, unless whoever asks knows that the consumer has come as far as they need (`today_from_tiles`).
X4. A pack is written under the version that it was read with, before its days were folded: of two makers the later begins anew.
    One without days is kept: where it went, or was not made, nobody could see that somebody had looked meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, groupby
from operator import add, itemgetter
from typing import Any, TypeAlias

import msgspec
import numpy

from penstock.app.application import App
from penstock.app.handlers import ChangeHandler
from penstock.app.tables import Table, declare
from penstock.errors import ServiceError, UsageError
from penstock.features.definition import Measure, Plan, Source, Values, compile_set
from penstock.features.instants import DAY_US, instant_of, number_range, text_range
from penstock.features.online import Observed, Page, entity_value
from penstock.features.pack_sums import Bools, Days, Edge, Packs, packs_of
from penstock.features.packs import Folded, Pack, Packed, Text, fold_day, pack_days, pack_of, packed
from penstock.features.windows import Part, Row, Value
from penstock.limits import BATCH_GET_KEYS_MAX
from penstock.wire.codec import decode_answer

Call: TypeAlias = Callable[
    [str, Mapping[str, Any]], dict[str, Any]
]  # A client's method by name, and its request.
# Answers may be unparsed: most of an answer to BatchGetItem is numbers that are read all at once.
TileSteps: TypeAlias = Generator[list[tuple[str, dict[str, Any]]], Sequence[Page], list[Observed]]
_Place: TypeAlias = tuple[str, int, Edge]  # An entity, the number of a source, and a part of a day.

_ATTEMPTS_MAX = 20
RECORDS_AT_ONCE = 1000  # Of a stream: many of one entity's day are one fold.
MADE_AT_ONCE = 16  # Packs whose makers wait for the store at the same time.
RUN_DAYS_APART = 3


def calling(client: Any) -> Call:
    """Of any client of penstock.connect."""

    def call(method: str, request: Mapping[str, Any]) -> dict[str, Any]:
        answer: dict[str, Any] = getattr(client, method)(**request)
        return answer

    return call


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
    return f"{_keys_of(plan, source)}{pack:06d}"


def _keys_of(plan: Plan, source: Source) -> str:
    return f"p#{plan.name}#{source.table.name}#{source.time}#"


# -- Raw rows --


class _Rows:
    """The rows of one entity in a part of a day, page by page."""

    def __init__(self, plan: Plan, source: Source, entity: str, edge: Edge) -> None:
        self._source, self._after_us, self._until_us = source, edge.low_us, edge.high_us
        self.rows: list[Row] = []
        is_text = source.table.key_types.get(source.time, "S") == "S"
        if is_text:
            low, high = ({"S": each} for each in text_range(edge.low_us, edge.high_us))
        else:
            low, high = ({"N": each} for each in number_range(edge.low_us, edge.high_us, source.unit))
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

    def __init__(self, plan: Plan, call: Call, *, at_once: int = MADE_AT_ONCE) -> None:
        if plan.tiles is None:
            raise ValueError(f"{plan.name} declares no table of tiles")
        self.plan, self._table, self._call, self._at_once = plan, plan.tiles, call, at_once

    def handle(self, event: Mapping[str, Any], context: Any = None) -> None:
        for source in self.plan.sources:
            by_entity: dict[str, set[int]] = {}
            for entity, day in self._touched(source, event["Records"]):
                by_entity.setdefault(entity, set()).add(day)
            self.make_all(source, by_entity)

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
        self.make_all(source, {entity: days})

    def make_all(self, source: Source, by_entity: Mapping[str, Iterable[int]]) -> None:
        """Fold days of entities from the index (X1): all their packs are read first, then several are folded at a time, which
        wait for the store and not for each other."""
        wanted: dict[tuple[str, str], list[int]] = {}
        for entity, days in sorted(by_entity.items()):
            for day in sorted(days):
                pack = pack_key(self.plan, source, day // pack_days(source))
                wanted.setdefault((entity, pack), []).append(day)
        held = self._read(list(wanted))

        def make(key: tuple[str, str]) -> None:
            found = held.get(key)
            for _ in range(_ATTEMPTS_MAX):
                if self._remake(source, key, wanted[key], found):
                    return
                found = self._read([key]).get(key)
            raise UsageError(f"the tiles of {key[0]} in {self._table} are written by too many at once")

        at_once = min(self._at_once, len(wanted))
        if at_once <= 1:
            for key in wanted:
                make(key)
            return
        with ThreadPoolExecutor(at_once) as pool:
            list(pool.map(make, wanted))  # Raises the first error, and leaves the block when all have ended.

    def _read(self, keys: Sequence[tuple[str, str]]) -> dict[tuple[str, str], dict[str, Any]]:
        found: dict[tuple[str, str], dict[str, Any]] = {}
        left = [{"entity": {"S": entity}, "day": {"S": pack}} for entity, pack in keys]
        while left:
            asked, left = left[:BATCH_GET_KEYS_MAX], left[BATCH_GET_KEYS_MAX:]
            answer = self._call("batch_get_item", get_items(self._table, asked))
            for item in answer["Responses"].get(self._table, ()):
                found[item["entity"]["S"], item["day"]["S"]] = item
            left += answer.get("UnprocessedKeys", {}).get(self._table, {}).get("Keys", ())
        return found

    def _remake(
        self, source: Source, key: tuple[str, str], days: Sequence[int], found: dict[str, Any] | None
    ) -> bool:
        """False where another maker wrote the pack since it was read (X4)."""
        held = Pack([], [], [], [], {}) if found is None else pack_of(found)
        folded = held.by_day(source.measures)
        for run in _runs(days):
            rows = self._rows(source, key[0], run)
            for day in run:
                folded.pop(day, None)
                if day in rows:
                    folded[day] = fold_day(source.measures, day, rows[day])
        return self._write(source, key, folded, found)

    def _write(
        self, source: Source, key: tuple[str, str], folded: Folded, found: dict[str, Any] | None
    ) -> bool:
        version = 0 if found is None else int(found["version"]["N"])
        item = {
            "entity": {"S": key[0]},
            "day": {"S": key[1]},
            "version": {"N": str(version + 1)},
            **packed(source.measures, folded),
        }
        request: dict[str, Any] = {
            "TableName": self._table,
            "Item": item,
            "ConditionExpression": "attribute_not_exists(version) OR version = :seen",
            "ExpressionAttributeValues": {":seen": {"N": str(version)}},
        }
        try:
            self._call("put_item", request)
        except ServiceError as error:
            if error.code != "ConditionalCheckFailedException":
                raise
            return False
        return True

    def empty_all(self, source: Source) -> None:
        """Every pack of a source, under its version (X4)."""
        request: dict[str, Any] = {
            "TableName": self._table,
            "ConsistentRead": True,
            "ProjectionExpression": "entity, #d, version",
            "FilterExpression": "begins_with(#d, :source)",
            "ExpressionAttributeNames": {"#d": "day"},
            "ExpressionAttributeValues": {":source": {"S": _keys_of(self.plan, source)}},
        }
        while True:
            page = self._call("scan", request)
            for item in page["Items"]:
                key, found = (item["entity"]["S"], item["day"]["S"]), item
                while not self._write(source, key, {}, found):
                    found = self._read([key])[key]
            if "LastEvaluatedKey" not in page:
                return
            request = {**request, "ExclusiveStartKey": page["LastEvaluatedKey"]}

    def _rows(self, source: Source, entity: str, days: Sequence[int]) -> dict[int, list[Row]]:
        """The rows of all days from the first to the last of these, by day."""
        edge = Edge(days[0], days[0] * DAY_US - 1, (days[-1] + 1) * DAY_US - 1)
        inside = _Rows(self.plan, source, entity, edge)
        while not inside.take(self._call("query", inside.request)):
            pass
        return {day: list(rows) for day, rows in groupby(inside.rows, lambda row: day_of(row[0]))}


def _runs(days: Sequence[int]) -> Iterator[list[int]]:
    """Days in order, those together that one Query reads: with a few rows too many, which cost less than a Query more."""
    run = [days[0]]
    for day in days[1:]:
        if day - run[-1] > RUN_DAYS_APART:
            yield run
            run = []
        run.append(day)
    yield run


def get_items(table: str, keys: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {"RequestItems": {table: {"Keys": list(keys), "ConsistentRead": True}}}


# -- Reading tiles --


class _Item(Packed, gc=False, kw_only=True):
    entity: Text
    day: Text


class _Items(msgspec.Struct, gc=False):
    """An answer of BatchGetItem."""

    Responses: dict[str, list[_Item]] = {}
    UnprocessedKeys: dict[str, Any] = {}


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

    def read_many(
        self, call: Call, ids: Sequence[str], at_us: int, *, today_from_tiles: bool = False
    ) -> list[Values]:
        """Over a blocking client: `call("query", {…})`."""
        steps = self.steps(ids, at_us, today_from_tiles=today_from_tiles)
        try:
            requests = next(steps)
            while True:
                requests = steps.send([call(method, request) for method, request in requests])
        except StopIteration as finished:
            return [each.measured for each in finished.value]

    def steps(self, ids: Sequence[str], at_us: int, *, today_from_tiles: bool = False) -> TileSteps:
        """Yields rounds of (method, request): first the packs by their full keys and the day of t, then rows of the days of
        which the packs do not say enough (X2). With `today_from_tiles` the day of t is one of those (X3)."""
        if self.plan.entity_type == "N":
            # Tiles are kept under the number as the table has it: 5, where 5.0 was asked for.
            ids = [entity_value(self.plan, id_)["N"] for id_ in ids]
        moment = _Moment(self.plan, at_us, today_from_tiles)
        keys = [{"entity": {"S": id_}, "day": {"S": key}} for id_ in ids for key in moment.keys]
        batches = [
            keys[start : start + BATCH_GET_KEYS_MAX] for start in range(0, len(keys), BATCH_GET_KEYS_MAX)
        ]
        rows = {place: self._rows(place) for place in moment.today(ids)}
        packs: dict[tuple[str, str], Packed] = {}
        reading, is_first = list(rows.values()), True
        while batches or reading or is_first:
            requests = [("batch_get_item", get_items(self._table, batch)) for batch in batches]
            requests += [("query", each.request) for each in reading]
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
            reading = [each for each, answer in told if not each.take(answer)]
            batches = left
            if is_first and not batches:
                is_first = False
                left_open = {place: self._rows(place) for place in moment.hold(ids, packs)}
                rows |= left_open
                reading += left_open.values()
        return moment.observe(ids, rows)

    def _rows(self, place: _Place) -> _Rows:
        id_, number, edge = place
        return _Rows(self.plan, self.plan.sources[number], id_, edge)


class _Moment:
    """What is the same for all entities that are asked about at one instant."""

    def __init__(self, plan: Plan, at_us: int, today_from_tiles: bool) -> None:
        self._at_us = at_us
        self.keys: list[str] = []
        self._sources: list[_SourceAt] = []
        for source in plan.sources:
            low_us, days = at_us - (source.window_us or 0), pack_days(source)
            keys = [
                pack_key(plan, source, pack)
                for pack in range(day_of(low_us) // days, day_of(at_us) // days + 1)
            ]
            self.keys += keys
            measures = [_MeasureAt(measure, at_us) for measure in source.measures]
            edges = dict.fromkeys(edge for each in measures for edge in each.edges)
            # A day that t ends is a day like any other: all of it is known.
            is_told = {edge: today_from_tiles or edge.day < day_of(at_us + 1) for edge in edges}
            self._sources.append(_SourceAt(keys, measures, is_told))

    def today(self, ids: Sequence[str]) -> Iterator[_Place]:
        """Rows to read without asking the packs: they may not know of them yet (X3)."""
        for number, source in enumerate(self._sources):
            for edge, is_told in source.is_told.items():
                if not is_told:
                    yield from ((id_, number, edge) for id_ in ids)

    def hold(self, ids: Sequence[str], packs: Mapping[tuple[str, str], Packed]) -> list[_Place]:
        """The packs of these entities, read all at once; the rows that they leave to be read."""
        none = numpy.zeros(len(ids), dtype=numpy.bool_)
        left: list[_Place] = []
        for number, source in enumerate(self._sources):
            found = [
                (place, pack)
                for place, id_ in enumerate(ids)
                for key in source.keys
                if (pack := packs.get((id_, key))) is not None
            ]
            source.packs = packs_of(len(ids), found)
            whole: dict[Edge, Bools] = {}
            for edge, is_told in source.is_told.items():
                if is_told:
                    whole[edge], cut = source.packs.told(edge)
                    left += ((ids[place], number, edge) for place in cut)
            same: dict[int | None, Days] = {}  # Measures of one window share what is found of it.
            for each in source.measures:
                window_us = each.measure.window_us
                if window_us not in same:
                    same[window_us] = each.days_of(whole, none)
                each.days = same[window_us]
        return left

    def observe(self, ids: Sequence[str], read: Mapping[_Place, _Rows]) -> list[Observed]:
        places = {id_: place for place, id_ in enumerate(ids)}
        raw: dict[tuple[int, Edge], list[tuple[int, list[Row]]]] = {}
        for (id_, number, edge), each in read.items():
            if each.rows:
                raw.setdefault((number, edge), []).append((places[id_], each.rows))
        columns: dict[str, list[Value]] = {}
        events = [0] * len(ids)
        for number, source in enumerate(self._sources):
            longest = max(source.measures, key=_window_of)
            for measure in source.measures:
                of_raw = [found for edge in measure.edges for found in raw.get((number, edge), ())]
                columns[measure.measure.name] = self._values(source.packs, measure, of_raw, len(ids))
                if measure is longest:
                    events = list(map(add, events, source.packs.events(measure.days)))
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
    """One source at one instant: the keys of its packs, the packs once they are read, and its windows' edges, with whether
    the packs tell of them."""

    __slots__ = ("is_told", "keys", "measures", "packs")

    def __init__(self, keys: list[str], measures: list[_MeasureAt], is_told: dict[Edge, bool]) -> None:
        self.keys, self.measures, self.is_told = keys, measures, is_told
        self.packs: Packs = packs_of(0, ())


class _MeasureAt:
    """One measure at one instant: the edges of its window, the days of each entity, and its part of no rows."""

    __slots__ = ("_begin", "_end", "_whole", "days", "edges", "measure", "nothing", "of_nothing")

    days: Days

    def __init__(self, measure: Measure, at_us: int) -> None:
        self.measure = measure
        self.nothing: Part = measure.fold([])
        self.of_nothing = measure.finish(self.nothing, at_us)
        low_us = at_us - (measure.window_us or 0)
        self._whole = range(day_of(low_us) + 1, day_of(at_us + 1))  # Every instant lies in (low, at].
        first, behind = self._whole.start, self._whole.stop
        self._begin = Edge(first - 1, low_us, min(first * DAY_US - 1, at_us))
        # Where the window lies inside one day, that edge is all of it.
        self._end = Edge(behind, max(behind * DAY_US - 1, low_us), at_us) if behind >= first else None
        both = (self._begin,) if self._end is None else (self._begin, self._end)
        self.edges = tuple(edge for edge in both if edge.low_us < edge.high_us)

    def days_of(self, whole: Mapping[Edge, Bools], none: Bools) -> Days:
        """`whole`: of each edge the entities all of whose events of that day it holds."""
        after = none if self._end is None else whole.get(self._end, none)
        return Days(self._whole, whole.get(self._begin, none), after)


def _window_of(each: _MeasureAt) -> int:
    return each.measure.window_us or 0


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
                name = consumer_name(plan.name, source.name)
                found.append(ChangeHandler(name, source, maker.handle, batch_size=RECORDS_AT_ONCE))
    return found


def consumer_names(app: App) -> list[tuple[str, str, str]]:
    """The name, feature set and source table of each of these consumers, for those who only list them."""
    return [
        (consumer_name(declared.name, table), declared.name, table)
        for declared in app.feature_sets.values()
        if declared.tiles is not None
        for table in dict.fromkeys(source.table.name for source in compile_set(declared).sources)
    ]


def consumer_name(features: str, table: str) -> str:
    return f"tiles-{features}-{table}"
