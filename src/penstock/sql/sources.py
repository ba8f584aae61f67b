"""What the names in a query stand for: tables of the lake, now or at a moment, and the views that join siblings.

V1. `raw.X`, `current.X`, `quarantine.X`, curated and delivered tables are the Iceberg tables of that name.
V2. `joined.X` is `current.X` with each attribute that has siblings as one column of text (see evolution, E2).
V3. At a moment: the snapshot that the lake had then; where it is not kept any more, or for a sequence number, `current.X`
    is replayed from `raw.X`. Within a gap of the history the answer is an error, not a guess.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import pyarrow as pa

from penstock.errors import PenstockError, UsageError
from penstock.lake.evolution import TEXT, Column
from penstock.lake.iceberg.planning import FilePlan, Known, Planner
from penstock.lake.progress import POSITION, decode
from penstock.lake.rows import sequence_at
from penstock.sql.names import Travel, literal, quote
from penstock.sql.selecting import Dead, dead_of, select

CURRENT, RAW, JOINED, QUARANTINE = "current", "raw", "joined", "quarantine"
LISTED_MAX = 20
VIEWS_KEPT_MAX = (
    64  # Of a large table one is 20 kB of text, which takes longer to write than a snapshot to look up.
)


@dataclass(frozen=True)
class View:
    """Made of files by `sql`, or of `rows` that are here already."""

    namespace: str
    name: str
    sql: str = ""
    paths: tuple[str, ...] = ()
    rows: pa.Table | None = None
    dead: Dead | None = None  # What `sql` reads besides.


Replay = Callable[[FilePlan, FilePlan | None, Sequence[Column], str], pa.Table]


class Sources:
    """`names` lists the lake's tables; `replay` makes current from raw."""

    def __init__(
        self,
        planner: Planner,
        names: Callable[[], list[tuple[str, str]]],
        replay: Replay,
    ) -> None:
        self._planner, self._names, self._replay = planner, names, replay
        self._made: dict[tuple[str, str, bool], tuple[FilePlan, View]] = {}

    def views(
        self, wanted: list[tuple[str, str]] | None, travels: Sequence[Travel], *, explained: bool = False
    ) -> list[View]:
        """The views of these names, of all tables where `wanted` is None, and those of moments.

        A plan that is `explained` shows deleted rows as a join: it would print a million bits.
        """
        if wanted is None:
            made = [self._readable_view(*pair) for pair in self._names()]
        else:
            found = [self._view(*pair, by_number=not explained) for pair in dict.fromkeys(wanted)]
            made = [view for view in found if view is not None]
        return made + [self._at(travel) for travel in travels]

    def _readable_view(self, namespace: str, name: str) -> View:
        """For a list of all tables, which one that is damaged must not spoil: who reads that one is told."""
        try:
            found = self._view(namespace, name, by_number=False)  # A temporary table would be listed too.
        except PenstockError as error:
            found = View(namespace, name, f"SELECT error({literal(str(error))}) AS unreadable")
        return found or View(namespace, name, "SELECT error('the table has gone') AS unreadable")

    def _view(self, namespace: str, name: str, *, by_number: bool = True) -> View | None:
        known = self._find(CURRENT if namespace == JOINED else namespace, name)
        if known is None:
            return None  # A common table expression, or a mistake, which DuckDB finds.
        plan = self._planner.plan(known)
        made = self._made.get((namespace, name, by_number))
        if made is not None and made[0] is plan:
            return made[1]
        dead = dead_of(plan, f"{namespace}.{name}") if by_number else None
        sql = select(plan, dead)
        if namespace == JOINED:
            sql = _joined(plan, sql)
        view = View(namespace, name, sql, plan.paths, dead=dead)
        if len(self._made) >= VIEWS_KEPT_MAX:
            self._made.clear()
        self._made[namespace, name, by_number] = plan, view
        return view

    def _find(self, namespace: str, name: str) -> Known | None:
        """DuckDB takes names in any case, so that a second look ignores it."""
        known = self._planner.find(namespace, name)
        if known is not None:
            return known
        wanted = (namespace.lower(), name.lower())
        matching = [pair for pair in self._names() if (pair[0].lower(), pair[1].lower()) == wanted]
        return self._planner.find(*matching[0]) if matching else None

    def listed(self) -> str:
        """What there is, for who asked for what there is not."""
        names = [f"{namespace}.{name}" for namespace, name in self._names()]
        more = f" and {len(names) - LISTED_MAX} more" if len(names) > LISTED_MAX else ""
        return (
            f"the lake has {', '.join(names[:LISTED_MAX])}{more}" if names else "the lake has no tables yet"
        )

    def _at(self, travel: Travel) -> View:
        known = self._find(travel.namespace, travel.name)
        if known is None:
            raise UsageError(f"there is no table {travel.namespace}.{travel.name}; {self.listed()}")
        namespace, name = known.table.name()[-2:]
        travel = replace(travel, namespace=namespace, name=name)  # As the lake writes them.
        if travel.kind == "version":
            return self._at_version(travel, known)
        if travel.kind == "timestamp":
            moment_us = instant_us(travel.value)
            snapshot = known.snapshot_at(moment_us)
            if snapshot is not None:
                plan = self._planner.plan(known, snapshot)
                return View(travel.namespace, travel.view, select(plan), plan.paths)
            return self._replayed(travel, known, sequence_at(moment_us + 1), "commit_time")
        if not travel.value.isdigit():
            raise UsageError(f"{travel.value!r} is not a sequence number")
        return self._replayed(travel, known, travel.value.zfill(21), "sequence")

    def _at_version(self, travel: Travel, known: Known) -> View:
        if not travel.value.isdigit() or not known.has(int(travel.value)):
            raise UsageError(
                f"{travel.namespace}.{travel.name} keeps no version {travel.value}; see penstock lake snapshots"
            )
        plan = self._planner.plan(known, int(travel.value))
        return View(travel.namespace, travel.view, select(plan), plan.paths)

    def _replayed(self, travel: Travel, known: Known, sequence: str, by: str) -> View:
        """V3. `sequence` bounds what was known; for raw it is a filter, for current a replay."""
        raw = self._planner.find(RAW, travel.name)
        if travel.namespace not in (CURRENT, RAW) or raw is None:
            raise UsageError(f"{travel.namespace}.{travel.name} keeps no version that old")
        for begin, end in decode(raw.properties.get(POSITION)).gaps:
            if begin <= sequence and (not end or sequence < end):
                raise UsageError(
                    f"what {travel.name} held then is not known: its history has a gap from "
                    f"{_said(begin)} to {_said(end)}"
                )
        plan = self._planner.plan(raw)
        if travel.namespace == RAW:
            sql = f"SELECT * FROM ({select(plan)}) WHERE sequence <= '{sequence}'"
            return View(RAW, travel.view, sql, plan.paths)
        refused = self._planner.find(QUARANTINE, travel.name)
        refused_plan = self._planner.plan(refused) if refused is not None else None
        rows = self._replay(plan, refused_plan, known.attributes, sequence)
        return View(CURRENT, travel.view, rows=rows)


def _joined(plan: FilePlan, sql: str) -> str:
    """V2."""
    families: dict[str, list[Column]] = {}
    for column in plan.attributes:
        families.setdefault(column.attribute, []).append(column)
    made = {column.name for column in plan.attributes}
    parts = [quote(column.name) for column in plan.columns if column.name not in made]
    for family in families.values():
        first = quote(family[0].name)
        if len(family) == 1:
            parts.append(first)
            continue
        texts = ", ".join(_text(column) for column in family)
        parts.append(f"COALESCE({texts}) AS {first}")
    return f"SELECT {', '.join(parts)} FROM ({sql})"


def _text(column: Column) -> str:
    name = quote(column.name)
    if column.kind == "N":
        # decimal(38, 9) prints nine places; the number has as many as it needs.
        return f"regexp_replace(CAST({name} AS VARCHAR), '\\.?0+$', '')"
    if column.kind in ("S", "JSON", TEXT):
        return name
    if column.kind == "B":
        return f"to_base64({name})"
    return f"CAST({name} AS VARCHAR)"


def instant_us(text: str) -> int:
    """`2026-11-20`, `2026-11-20 10:00:00`, `…T10:00:00Z`: without a zone it is UTC."""
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError as error:
        raise UsageError(f"{text!r} is not a time; write 2026-11-20T10:00:00Z") from error
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return round(moment.timestamp() * 1_000_000)


def _said(sequence: str) -> str:
    if not sequence:
        return "now"
    us = int(sequence) // 100_000
    return "the beginning" if us == 0 else datetime.fromtimestamp(us / 1_000_000, UTC).isoformat()
