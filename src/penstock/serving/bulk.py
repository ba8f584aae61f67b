"""Campaigns into a file, over a blocking client: bounded memory, resumable after a stop, nothing lost and nothing doubled.

    out.parquet.parts/00000017.parquet    the rows of some neighbours in the index, in its order; the last entity in its metadata
    out.parquet                           all of them, once the walk has reached its end

B1. A part is written whole and then renamed: what is there is complete. A run that resumes goes on behind the last entity of
    the last part, at the same instant t, which the first run left in `asked.json`.
B2. The index is sorted by the entity, so behind one key means behind all its entries (C1 of campaign.py).
B3. Throttled requests are asked again until they answer; what has no answer then, or an entity whose features cannot be computed,
    ends the run with an error that names it, never with a gap. A run after that goes on.
"""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from penstock.app.predictors import Predictor
from penstock.errors import ServiceError, UsageError
from penstock.features.definition import Plan, Values, assemble, compile_set, request_values, transform
from penstock.features.instants import DAY_US, text_of
from penstock.features.online import Observed, Page, Reader, Steps, entity_value, pages_of, read
from penstock.features.tile_reach import TilesReach
from penstock.features.tiles import TileReader
from penstock.models.prediction import Model, Prediction, decide_rows
from penstock.models.registry import Version
from penstock.serving.campaign import (
    ATTEMPTS_MAX,
    PAUSE_S,
    PAUSE_S_MAX,
    THROTTLED,
)
from penstock.serving.index_walk import (
    SEEK_COSTS,
    SEEK_COSTS_REMOTE,
    IndexWalk,
    campaign_index,
    partition_value,
)

Got = TypeVar("Got")

PART_ROWS = 50_000
CHUNK = 512
THREADS = 8
# The objects of a page of 1 MB are so many that each of them costs three times as much: they leave the processor's cache.
PAGE_ITEMS = 2000
# Asking and computing by turns, an entity at a time, costs a fifth more: each throws the other's code out of the processor's
# cache. So many first pages are in memory at once.
AT_ONCE = 32
_NEW_OBJECTS = 200_000
_LAST = b"penstock.last-entity"


@contextmanager
def rare_collections() -> Iterator[None]:
    """Rows by the million are lists and dicts without a cycle among them, and looking for cycles took half of a campaign's
    time: what was there before is not looked at meanwhile, and what is new rarely. Memory stays bounded all the same."""
    before = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(_NEW_OBJECTS, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


@dataclass(frozen=True)
class Progress:
    """What a watcher is told."""

    done: int
    rate: float
    entity: str


class Bulk:
    """One predictor over a client (any of penstock.connect)."""

    def __init__(
        self,
        predictor: Predictor,
        client: Any,
        version: Version,
        model: Model,
        *,
        threads: int | None = None,
        project: bool = True,
        tiles_reach: TilesReach = lambda plan, until_s: False,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """`threads`: requests in flight. Where the engine is in this process they share one interpreter with it: one is fastest.
        `tiles_reach` is asked once a run whether the day tiles hold what the tables held at a moment (tile_reach.py): without
        that each entity costs a Query for the day of t."""
        if threads is None:
            threads = 1 if getattr(client, "runs_engine", False) else THREADS
        self.predictor, self.version, self.model = predictor, version, model
        self.plan: Plan = compile_set(predictor.features)
        self.walk = campaign_index(
            self.plan, predictor.features.source, predictor.campaign_by, predictor.name
        )
        self._query, self._sleep = pages_of(client), sleep
        # Whole rows cost less than projected ones where the tables are in this process or on this machine.
        self._reader, self._is_remote = Reader(self.plan, project=project), project
        self._tiles = None if self.plan.tiles is None else TileReader(self.plan)
        if self._tiles is not None:
            self._calls = {"query": self._query, "batch_get_item": pages_of(client, "BatchGetItem")}
        self._tiles_reach, self._today_from_tiles = tiles_reach, False
        self._pool = ThreadPoolExecutor(threads) if threads > 1 else None
        self.capacity = 0.0

    def close(self) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def patiently(self, call: Callable[..., Got], request: Mapping[str, Any]) -> Got:
        """B3."""
        pause_s = PAUSE_S
        for attempt in range(ATTEMPTS_MAX):
            try:
                return call(**request)
            except ServiceError as error:
                if error.code not in THROTTLED or attempt == ATTEMPTS_MAX - 1:
                    raise
            self._sleep(pause_s)
            pause_s = min(pause_s * 2, PAUSE_S_MAX)
        raise AssertionError("the last attempt returns or raises")

    def entities(self, value: str, after: str | None = None) -> Iterator[str]:
        """Distinct entities of the campaign, in the index' order."""
        walk = IndexWalk(
            self.walk,
            partition_value(self.walk, value),
            self.plan.entity_type,
            after=after,
            page_items=PAGE_ITEMS,
            seek_costs=SEEK_COSTS_REMOTE if self._is_remote else SEEK_COSTS,
        )
        asked = self._begin(self._query, walk.request)
        while True:
            found = walk.take(asked())
            if not walk.is_done:  # The next page is on its way while this one is worked on.
                asked = self._begin(self._query, walk.request)
            yield from found
            if walk.is_done:
                return

    def _begin(self, call: Callable[..., Got], request: Mapping[str, Any]) -> Callable[[], Got]:
        """Ask, in a thread where there are some; the answer when it is called for."""
        if self._pool is None:
            return lambda: self.patiently(call, request)
        return self._pool.submit(self.patiently, call, request).result

    def features(self, ids: Sequence[str], at_us: int, given: Mapping[str, float | None]) -> list[Values]:
        """Features of many entities: from tiles by their full keys where there are tiles, otherwise one Query each."""
        if self._tiles is not None:
            measured = self._from_tiles(self._tiles, ids, at_us)
        elif self._pool is not None:
            measured = list(self._pool.map(self._one(at_us), ids))
        else:
            measured = [
                each
                for start in range(0, len(ids), AT_ONCE)
                for each in self._some(ids[start : start + AT_ONCE], at_us)
            ]
        rows = [assemble(self.plan, each, given) for each in measured]
        return list(map(self._transformed, ids, rows)) if self.plan.has_python else rows

    def _transformed(self, id_: str, row: Values) -> Values:
        try:
            return transform(self.plan, row)
        except UsageError as error:
            raise UsageError(f"{self.plan.entity_name} {id_}: {error}") from error

    def _from_tiles(self, tiles: TileReader, ids: Sequence[str], at_us: int) -> list[Values]:
        steps = tiles.steps(ids, at_us, today_from_tiles=self._today_from_tiles)
        try:
            requests = next(steps)
            while True:
                asked = [self._begin(self._calls[method], request) for method, request in requests]
                requests = steps.send([answer() for answer in asked])
        except StopIteration as finished:
            return [each.measured for each in finished.value]

    def _one(self, at_us: int) -> Callable[[str], Values]:
        def query(**request: Any) -> Page:
            return self.patiently(self._query, request)

        def ask(id_: str) -> Values:
            return read(query, self._reader, entity_value(self.plan, id_), at_us).measured

        return ask

    def _some(self, ids: Sequence[str], at_us: int) -> list[Values]:
        """First the engine's work for all of them, then Python's; who has further pages is read to the end before the next."""
        steps = [self._reader.steps(entity_value(self.plan, id_), at_us) for id_ in ids]
        first = [self._answers(next(each, ())) for each in steps]
        return [self._to_the_end(each, answers) for each, answers in zip(steps, first, strict=True)]

    def _answers(self, requests: Sequence[Mapping[str, Any]]) -> list[Page]:
        return [self.patiently(self._query, request) for request in requests]

    def _to_the_end(self, steps: Steps, answers: list[Page]) -> Values:
        try:
            while True:
                answers = self._answers(steps.send(answers))
        except StopIteration as finished:
            observed: Observed | None = finished.value  # None where there was nothing to ask.
            return {} if observed is None else observed.measured

    def predict(self, rows: Sequence[Values]) -> list[Prediction]:
        threshold = self.predictor.threshold
        return decide_rows(self.model, rows, self.version.threshold if threshold is None else threshold)

    def run(
        self,
        value: str,
        out: Path,
        *,
        at_us: int,
        as_of: str | None = None,
        given: Mapping[str, Any] | None = None,
        watch: Callable[[Progress], None] = lambda progress: None,
        stop: Callable[[], bool] = lambda: False,
    ) -> int | None:
        """All of the campaign into `out`; how many, or None where `stop` said so: the next run goes on from there, at the
        first one's moment. `as_of` are the words for a moment that was chosen: both runs have to choose the same."""
        asked = {
            "predictor": self.predictor.name,
            "model": self.version.name,
            "by": self.walk.by,
            "value": value,
            "at_us": at_us,
            "given": dict(given or {}),
        }
        if as_of is not None:
            asked["as_of"] = as_of
        with rare_collections():
            return self._run(asked, out, watch, stop)

    def _run(
        self,
        wanted: dict[str, Any],
        out: Path,
        watch: Callable[[Progress], None],
        stop: Callable[[], bool],
    ) -> int | None:
        parts = _Parts(out)
        asked = parts.begin(wanted)
        values = request_values(self.plan, asked["given"])
        # Asked for this moment, not for t: an event of t's day may be written after it. A day that t ends is told by its tile anyway.
        is_inside_a_day = (asked["at_us"] + 1) % DAY_US != 0
        self._today_from_tiles = (
            self._tiles is not None and is_inside_a_day and self._tiles_reach(self.plan, time.time())
        )
        done, after = parts.done()
        began_s, before = time.monotonic(), done
        pending: list[pa.Table] = []
        chunk: list[str] = []

        def finish_chunk() -> None:
            if chunk:
                pending.append(self._rows(chunk, asked["at_us"], values))
                passed_s, reached = max(time.monotonic() - began_s, 1e-9), done + _count(pending)
                watch(Progress(reached, (reached - before) / passed_s, chunk[-1]))
                chunk.clear()

        for id_ in self.entities(asked["value"], after):
            chunk.append(id_)
            if len(chunk) == CHUNK:
                finish_chunk()
                if _count(pending) >= PART_ROWS or stop():
                    parts.add(pending)
                    done += _count(pending)
                    pending = []
                    if stop():
                        return None
        finish_chunk()
        parts.add(pending)
        return parts.finish(self.plan.entity_name)

    def _rows(self, ids: Sequence[str], at_us: int, values: Mapping[str, float | None]) -> pa.Table:
        predictions = self.predict(self.features(ids, at_us, values))
        columns = [
            pa.array(ids, pa.string()),
            pa.array([str(p.label) for p in predictions], pa.string()),
            pa.array([p.probability for p in predictions], pa.float64()),
            pa.repeat(str(self.version.number), len(ids)),
            pa.repeat(text_of(at_us), len(ids)),
        ]
        return pa.table(columns, schema=_schema(self.plan.entity_name))


def _count(tables: Sequence[pa.Table]) -> int:
    return sum(table.num_rows for table in tables)


class _Parts:
    """The parts of one output file (B1)."""

    def __init__(self, out: Path) -> None:
        self._out = out
        self._folder = out.with_name(out.name + ".parts")

    def begin(self, asked: dict[str, Any]) -> dict[str, Any]:
        """What the first run asked for. Another campaign is not mixed into its parts."""
        self._folder.mkdir(parents=True, exist_ok=True)
        note = self._folder / "asked.json"
        if not note.exists():
            _write_whole(note, orjson.dumps(asked))
            return asked
        held: dict[str, Any] = orjson.loads(note.read_bytes())
        if {**held, "at_us": 0} != {**asked, "at_us": 0}:
            raise UsageError(
                f"{self._folder} holds parts of another campaign ({held['predictor']}, {held['model']}, "
                f"{held['by']}={held['value']}, as of {held.get('as_of', 'now')}); finish that one, or remove the folder"
            )
        return held

    def _paths(self) -> list[Path]:
        return sorted(self._folder.glob("*.parquet"))

    def done(self) -> tuple[int, str | None]:
        """Rows written, and the last entity among them."""
        paths = self._paths()
        if not paths:
            return 0, None
        metadata = [pq.read_metadata(path) for path in paths]
        last = pq.read_schema(paths[-1]).metadata[_LAST].decode()
        return sum(each.num_rows for each in metadata), last

    def add(self, tables: Sequence[pa.Table]) -> None:
        if not tables:
            return
        table = pa.concat_tables(tables)
        table = table.replace_schema_metadata({_LAST: table.column(0)[-1].as_py().encode()})
        path = self._folder / f"{len(self._paths()):08d}.parquet"
        fresh = path.with_suffix(".new")
        pq.write_table(table, fresh)
        _sync(fresh)
        fresh.replace(path)

    def finish(self, entity: str) -> int:
        """Join the parts, a part in memory at a time; only then do they go."""
        fresh = self._out.with_name(self._out.name + ".new")
        rows = 0
        with pq.ParquetWriter(fresh, _schema(entity)) as writer:
            for path in self._paths():
                part = pq.read_table(path).replace_schema_metadata(None)
                writer.write_table(part)
                rows += part.num_rows
        _sync(fresh)
        fresh.replace(self._out)
        for path in self._paths():
            path.unlink()
        (self._folder / "asked.json").unlink()
        self._folder.rmdir()
        return rows


def _schema(entity: str) -> pa.Schema:
    return pa.schema(
        [
            (entity, pa.string()),
            ("prediction", pa.string()),
            ("probability", pa.float64()),
            ("modelVersion", pa.string()),
            ("asOf", pa.string()),
        ]
    )


def _write_whole(path: Path, content: bytes) -> None:
    fresh = path.with_suffix(".new")
    fresh.write_bytes(content)
    _sync(fresh)
    fresh.replace(path)


def _sync(path: Path) -> None:
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)
