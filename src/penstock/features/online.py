"""Features of one entity, now: one bounded Query on the index that has its events in order of time.

The reading is a generator that yields lists of Query requests and is sent their answers, so the same steps run over a
blocking client (`read`), on an event loop (serving/), and many at a time (serving/bulk.py).

O1. One Query per source, bounded by the longest window, with the projection that the features need; further pages and,
    where the window is empty, one short Query backwards for what reaches beyond it (`since_last`).
O2. Queries of one round are started together. In process nothing can be written between them.
O3. A row whose time is no instant (I2) is skipped and counted.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from operator import itemgetter
from typing import Any, TypeAlias

import msgspec

from penstock.errors import ServiceError, UsageError
from penstock.features.definition import Measure, Plan, Source, Values, assemble, measure_rows, tie
from penstock.features.instants import (
    after_text,
    instant_of,
    instant_of_text,
    number_range,
    order_group,
    text_range,
)
from penstock.features.single_page import PageMeasures
from penstock.features.windows import Row
from penstock.model.numbers import canonical
from penstock.wire.codec import decode_answer

Request: TypeAlias = dict[str, Any]
Answer: TypeAlias = dict[str, Any]
Page: TypeAlias = (
    bytes | Answer
)  # Unparsed where whoever asks can have it so: most pages are read for a few columns.
Steps: TypeAlias = Generator[list[Request], Sequence[Page], "Observed"]

END_PAGE = (
    2  # Rows per page at an end of the history: the row, and the next to see that no other shares its second.
)
END_PAGE_FILTERED = 100
ENTITY_BYTES_MAX = 2048


class Observed(msgspec.Struct):
    """What was read of one entity: the measured values, how many events they come from, how many were skipped."""

    measured: Values
    events: int
    skipped: int
    capacity: float = 0.0
    rounds: int = 1


def entity_value(plan: Plan, id_: str) -> dict[str, str]:
    """An entity's id, as it stands in a URL, as an attribute value."""
    if not id_ or len(id_.encode()) > ENTITY_BYTES_MAX:
        raise UsageError(f"a {plan.entity} has 1 to {ENTITY_BYTES_MAX} bytes")
    if plan.entity_type == "N":
        try:
            return {"N": canonical(id_)}
        except ServiceError as error:
            raise UsageError(f"{plan.entity} is a number; {id_!r} is none") from error
    return {plan.entity_type: id_}


class Reader:
    """A plan with its requests made ready. One for all entities."""

    def __init__(self, plan: Plan, *, project: bool = True, with_capacity: bool = False) -> None:
        """`project=False` asks for whole rows: in process that costs half, because stored bytes are joined unparsed."""
        self.plan = plan
        self._sources = [_SourceReader(source, plan, project, with_capacity) for source in plan.sources]

    def steps(self, entity: Mapping[str, str], at_us: int) -> Steps:
        """Yields rounds of Query requests; returns what was observed."""
        sources = self._sources
        if len(sources) == 1 and sources[0].page is not None:
            return (yield from self._by_columns(sources[0], sources[0].page, entity, at_us))
        return (yield from self._row_by_row(entity, at_us, None))

    def _by_columns(
        self, source: _SourceReader, page: PageMeasures, entity: Mapping[str, str], at_us: int
    ) -> Steps:
        """One source and its window, mostly one page; what columns cannot tell is read row by row from the first page on."""
        request = source.window(entity, at_us)
        [answer] = yield [request]
        held = page.read(answer)
        rows, capacity, rounds = held.Items, _units(held), 1
        while (last := held.LastEvaluatedKey) is not None and not any("B" in part for part in last.values()):
            [following] = yield [{**request, "ExclusiveStartKey": last}]
            held = page.read(following)
            rows += held.Items
            capacity, rounds = capacity + _units(held), rounds + 1
        measured: Values = {}
        events = None if last is not None else page.measure(rows, at_us, measured)
        if events is not None:
            return Observed(measured, events, 0, capacity, rounds)
        return (yield from self._row_by_row(entity, at_us, answer))

    def _row_by_row(self, entity: Mapping[str, str], at_us: int, first: Page | None) -> Steps:
        """`first` is the answer of the first request, where that was made before."""
        states = [_State(reader) for reader in self._sources]
        waiting: list[_Read] = []
        for state in states:
            waiting += state.begin(entity, at_us)
        capacity, rounds = 0.0, 0
        while waiting:
            rounds += 1
            answers = (yield [read.request for read in waiting]) if first is None else [first]
            first = None
            again: list[_Read] = []
            for read, page in zip(waiting, answers, strict=True):
                answer = decode_answer("Query", page) if isinstance(page, bytes) else page
                used = answer.get("ConsumedCapacity")
                if used is not None:
                    capacity += used["CapacityUnits"]
                if read.take(answer, at_us):
                    again.append(read)
            if not again:
                for state in states:
                    again += state.follow_up(entity, at_us)
            waiting = again
        measured: Values = {}
        events = skipped = 0
        for state in states:
            events += state.measure(at_us, measured)
            skipped += sum(read.skipped for read in state.reads)
        return Observed(measured, events, skipped, capacity, rounds)


def _units(page: Any) -> float:
    used = page.ConsumedCapacity
    return 0.0 if used is None else float(used.CapacityUnits)


class _SourceReader:
    """One source: its request but for the values."""

    def __init__(self, source: Source, plan: Plan, project: bool, with_capacity: bool) -> None:
        self.source = source
        self.window_us = source.window_us
        self.wants_window = self.window_us is None or self.window_us > 0
        self.ends = {
            end: [m for m in source.measures if m.end == end]
            for end in ("last", "first")
            if any(m.end == end for m in source.measures)
        }
        page = PageMeasures(source)
        self.page = page if page.is_fitting and self.wants_window and self.window_us is not None else None
        table = source.table
        self.is_text = table.key_types.get(source.time, "S") == "S"
        self.base: Request = {"TableName": table.name, "ExpressionAttributeNames": self._names(project)}
        if project:
            self.base["ProjectionExpression"] = ", ".join(self.base["ExpressionAttributeNames"])
        if source.index is not None:
            self.base["IndexName"] = source.index
        if plan.consistent and not source.index_is_global:
            self.base["ConsistentRead"] = True
        if with_capacity:
            self.base["ReturnConsumedCapacity"] = "TOTAL"

    def _names(self, project: bool) -> dict[str, str]:
        """Placeholders of the attributes that are read: the key's two always, for the condition names them."""
        source = self.source
        names = {"#p": source.entity, "#t": source.time}
        keys = source.keys if source.needs_ties or self.ends else ()
        if project:
            shown = dict.fromkeys((*source.attributes, *keys))
            names |= {f"#a{i}": each for i, each in enumerate(shown) if each not in names.values()}
        return names

    def window(self, entity: Mapping[str, str], at_us: int) -> Request:
        window_us = self.window_us
        if window_us is None:
            return self._until(entity, at_us)
        unit = self.source.unit
        if self.is_text:
            low, high = text_range(at_us - window_us, at_us)
            values = {":p": entity, ":l": {"S": low}, ":h": {"S": high}}
        else:
            low, high = number_range(at_us - window_us, at_us, unit)
            values = {":p": entity, ":l": {"N": low}, ":h": {"N": high}}
        return {
            **self.base,
            "KeyConditionExpression": "#p = :p AND #t BETWEEN :l AND :h",
            "ExpressionAttributeValues": values,
        }

    def end(self, which: str, entity: Mapping[str, str], at_us: int) -> Request:
        """From one end of the history, a few rows at a time."""
        filtered = any(measure.matches is not None or measure.attribute for measure in self.ends[which])
        return {
            **self._until(entity, at_us),
            "ScanIndexForward": which == "first",
            "Limit": END_PAGE_FILTERED if filtered else END_PAGE,
        }

    def _until(self, entity: Mapping[str, str], at_us: int) -> Request:
        high = (
            {"S": after_text(at_us)} if self.is_text else {"N": number_range(0, at_us, self.source.unit)[1]}
        )
        return {
            **self.base,
            "KeyConditionExpression": "#p = :p AND #t <= :h",
            "ExpressionAttributeValues": {":p": entity, ":h": high},
        }


@dataclass(slots=True)
class _Read:
    """One Query and its further pages. `wanted` is set where reading stops as soon as they are answered."""

    source: Source
    request: Request
    wanted: Sequence[Measure] | None = None
    rows: list[Row] = field(default_factory=list)
    skipped: int = 0
    is_open: bool = True

    def take(self, answer: Answer, at_us: int) -> bool:
        """Keep a page; True where another one has to be read."""
        source, rows, last_group = self.source, self.rows, ""
        time, unit = source.time, source.unit
        for item in answer["Items"]:
            # As Source.row does, without a call for each row: most of a prediction's time is spent here.
            held = item.get(time)
            instant = (
                None
                if held is None
                else instant_of_text(held["S"])
                if "S" in held
                else instant_of(held, unit)
            )
            if instant is None:
                self.skipped += 1
            elif instant <= at_us:
                rows.append((instant, source.ties(item) if source.needs_ties else (), item))
                if self.wanted is not None:
                    last_group = order_group(item[time])
        if "LastEvaluatedKey" not in answer or (self.wanted is not None and self._is_answered(last_group)):
            self.is_open = False
            return False
        self.request = {**self.request, "ExclusiveStartKey": answer["LastEvaluatedKey"]}
        return True

    def _is_answered(self, reached: str) -> bool:
        """Whether every measure has its row and reading went past that row's second (I4)."""
        assert self.wanted is not None
        for measure in self.wanted:
            part = measure.fold(self.rows)
            if part is None:
                return False
            instant = part if isinstance(part, int) else part[0]
            groups = {order_group(row[2][self.source.time]) for row in self.rows if row[0] == instant}
            if reached in groups or not reached:
                return False
        return True


class _State:
    """The reads of one source for one entity."""

    def __init__(self, reader: _SourceReader) -> None:
        self.reader = reader
        self.reads: list[_Read] = []
        self._ends_left = list(reader.ends)

    def begin(self, entity: Mapping[str, str], at_us: int) -> list[_Read]:
        reader = self.reader
        if reader.wants_window:
            self.reads.append(_Read(reader.source, reader.window(entity, at_us)))
            # The first event lies before the window unless the window is the whole history.
            begins = ["first"] if "first" in reader.ends and reader.window_us is not None else []
        else:
            begins = list(reader.ends)
        return self.reads + [self._end(which, entity, at_us) for which in begins]

    def follow_up(self, entity: Mapping[str, str], at_us: int) -> list[_Read]:
        """The last event is in the window, if there is one in it; only otherwise the index is asked again."""
        reader = self.reader
        if "last" not in self._ends_left or reader.window_us is None:
            return []
        rows = [row for read in self.reads for row in read.rows]
        if all(measure.fold(rows) is not None for measure in reader.ends["last"]):
            self._ends_left.remove("last")
            return []
        return [self._end("last", entity, at_us)]

    def _end(self, which: str, entity: Mapping[str, str], at_us: int) -> _Read:
        self._ends_left.remove(which)
        reader = self.reader
        read = _Read(reader.source, reader.end(which, entity, at_us), reader.ends[which])
        self.reads.append(read)
        return read

    def measure(self, at_us: int, into: Values) -> int:
        rows = self.reads[0].rows
        if len(self.reads) > 1:
            # Reads may overlap: the first event may lie in the window. One row of one item counts once.
            keys = self.reader.source.keys
            unique = {
                tuple([tie(row[2][key]) for key in keys]): row for read in self.reads for row in read.rows
            }
            rows = list(unique.values())
        rows.sort(key=itemgetter(0))
        measure_rows(self.reader.source, rows, at_us, into)
        return len(rows)


_METHODS = {"BatchGetItem": "batch_get_item", "Query": "query"}


def pages_of(client: Any, action: str = "Query") -> Callable[..., Page]:
    """A client's method, whose answers stay unparsed where it can leave them so."""
    body = getattr(client, "answer_body", None)
    if body is None:
        method: Callable[..., Page] = getattr(client, _METHODS[action])
        return method
    return partial(_page, body, action)


def _page(body: Callable[[str, Request], Page], action: str, /, **request: Any) -> Page:
    return body(action, request)


def read(query: Callable[..., Page], reader: Reader, entity: Mapping[str, str], at_us: int) -> Observed:
    """The steps over a blocking client: `read(client.query, …)`."""
    steps = reader.steps(entity, at_us)
    requests = next(steps, None)
    while requests is not None:
        try:
            requests = steps.send([query(**request) for request in requests])
        except StopIteration as finished:
            observed: Observed = finished.value
            return observed
    return Observed({}, 0, 0)


def features_of(
    query: Callable[..., Page],
    reader: Reader,
    entity: Mapping[str, str],
    at_us: int,
    given: Mapping[str, float | None],
) -> tuple[Values, Observed]:
    observed = read(query, reader, entity, at_us)
    return assemble(reader.plan, observed.measured, given), observed
