"""A declared feature set, made ready to compute: which rows of which index it reads, and what it makes of them.

D1. Aggregates over one table and one time attribute share one read, bounded by the longest of their windows.
D2. `where` compares values as DynamoDB does: type and value. A list means any of its members; a range such as
    `at_least(100)` compares numbers as numbers and strings by their bytes.
D3. Features are computed in the order in which they are declared; transforms see those before them.
"""

from __future__ import annotations

import math
import operator
import re
import reprlib
from base64 import b64decode
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, TypeAlias

from penstock.app.access import SortRange
from penstock.app.features import Aggregate, FeatureSet, RequestValue, Transform
from penstock.app.plain import to_value
from penstock.app.tables import Table
from penstock.errors import UsageError
from penstock.features.instants import instant_of
from penstock.features.windows import KINDS, Kind, Part, Row, Value, token

Matches: TypeAlias = Callable[[dict[str, Any]], bool]
Values: TypeAlias = dict[str, Value]
Compute: TypeAlias = Callable[[Values], Any]

_INTEGERS_END = 1 << 63  # As JSON of a row of the log holds them.
_SURROGATES = re.compile("[\ud800-\udfff]")  # Half characters, which UTF-8 does not have.
_ENDS = {"since_last": "last", "last": "last", "since_first": "first", "first": "first"}


@dataclass(frozen=True, slots=True)
class Measure:
    """One aggregate, compiled."""

    name: str
    kind_name: str
    kind: Kind
    attribute: str
    window_us: int | None
    matches: Matches | None
    default: float | None
    where_attributes: tuple[str, ...]

    def fold(self, rows: Sequence[Row]) -> Part:
        if self.matches is None:
            return self.kind.fold(rows, self.attribute)
        chosen = [row for row in rows if self.matches(row[2])]
        if self.kind_name == "share":
            return self.kind.fold(chosen, self.attribute), self.kind.fold(rows, self.attribute)
        return self.kind.fold(chosen, self.attribute)

    def finish(self, part: Part, at_us: int) -> Value:
        value = self.kind.finish(part, at_us)
        return self.default if value is None else value

    @property
    def end(self) -> str | None:
        """`last` or `first` where one row at that end of the whole history answers."""
        return _ENDS.get(self.kind_name) if self.window_us is None else None


@dataclass(frozen=True, slots=True)
class Source:
    """One table read along one time attribute."""

    table: Table
    entity: str
    time: str
    unit: str
    index: str | None
    index_is_global: bool
    keys: tuple[str, ...]  # The table's own keys: they break ties.
    measures: tuple[Measure, ...]
    attributes: tuple[str, ...]  # What the measures look at.
    needs_ties: bool

    @property
    def window_us(self) -> int | None:
        """The longest bounded window, None where one measure needs the whole history, 0 where none needs a window."""
        windows = [m.window_us for m in self.measures if m.end is None]
        return None if None in windows else max((w for w in windows if w is not None), default=0)

    def row(self, item: dict[str, Any]) -> Row | None:
        """The item as a row, or None where its time is no instant."""
        held = item.get(self.time)
        instant = None if held is None else instant_of(held, self.unit)
        if instant is None:
            return None
        return instant, self.ties(item) if self.needs_ties else (), item

    def ties(self, item: dict[str, Any]) -> tuple[Any, ...]:
        """What orders rows of the same instant: the keys."""
        return tuple([tie(item[name]) for name in self.keys])


@dataclass(frozen=True, slots=True)
class Plan:
    """A feature set, compiled. `numeric` names the features that are always numbers or null."""

    name: str
    entity: str
    entity_name: str
    entity_type: str
    consistent: bool
    sources: tuple[Source, ...]
    order: tuple[str, ...]
    ratios: Mapping[str, tuple[str, str]]
    requested: Mapping[str, RequestValue]
    transforms: Mapping[str, Transform]
    tiles: str | None
    hidden: frozenset[str] = field(default_factory=frozenset)

    @property
    def has_python(self) -> bool:
        return bool(self.transforms)


def tie(value: dict[str, Any]) -> Any:
    """A key attribute as something that orders as DynamoDB orders it."""
    if "N" in value:
        return Decimal(value["N"])
    if "B" in value:
        held = value["B"]
        return held if isinstance(held, bytes) else b64decode(held)
    return str(value["S"]).encode()


def compile_set(declared: FeatureSet) -> Plan:
    grouped: dict[tuple[str, str], list[Measure]] = {}
    tables: dict[str, Table] = {}
    ratios: dict[str, tuple[str, str]] = {}
    requested: dict[str, RequestValue] = {}
    transforms: dict[str, Transform] = {}

    def place(name: str, aggregate: Aggregate) -> None:
        table = aggregate.source or declared.source
        kind, other = (each.key_types.get(declared.entity) for each in (declared.source, table))
        if other is not None and other != kind:
            raise UsageError(
                f"{declared.name}: {declared.entity} is of type {kind} in {declared.source.name} and {other} in {table.name}"
            )
        tables[table.name] = table
        grouped.setdefault((table.name, aggregate.time or declared.time), []).append(
            _measure(name, aggregate)
        )

    for name, feature in declared.features.items():
        if isinstance(feature, RequestValue):
            requested[name] = feature
        elif isinstance(feature, Transform):
            _check_needs(name, feature, declared)
            transforms[name] = feature
        elif feature.kind == "ratio":
            assert feature.numerator is not None
            assert feature.other is not None
            ratios[name] = f"{name}/above", f"{name}/below"
            place(f"{name}/above", feature.numerator)
            place(f"{name}/below", feature.other)
        else:
            place(name, feature)
    return Plan(
        name=declared.name,
        entity=declared.entity,
        entity_name=declared.entity_name,
        entity_type=declared.source.key_types.get(declared.entity, "S"),
        consistent=declared.consistent,
        sources=tuple(_source(declared, tables[t], time, group) for (t, time), group in grouped.items()),
        order=tuple(declared.features),
        ratios=ratios,
        requested=requested,
        transforms=transforms,
        tiles=declared.tiles,
        hidden=frozenset(part for pair in ratios.values() for part in pair),
    )


def _check_needs(name: str, transform: Transform, declared: FeatureSet) -> None:
    before = list(declared.features)[: list(declared.features).index(name)]
    missing = [need for need in transform.needs if need not in before]
    if missing:
        raise UsageError(
            f"{declared.name}.{name} needs {', '.join(missing)}, which is not declared before it"
        )


def _measure(name: str, aggregate: Aggregate) -> Measure:
    kind = KINDS.get(aggregate.kind)
    if kind is None:
        raise UsageError(f"feature {name!r}: a {aggregate.kind} cannot stand here")
    window = aggregate.window_s
    return Measure(
        name=name,
        kind_name=aggregate.kind,
        kind=kind,
        attribute=aggregate.attribute or "",
        window_us=None if window is None else round(window * 1_000_000),
        matches=_matcher(aggregate.where) if aggregate.where else None,
        default=aggregate.default,
        where_attributes=tuple(attribute for attribute, _ in aggregate.where),
    )


def _source(declared: FeatureSet, table: Table, time: str, measures: Sequence[Measure]) -> Source:
    index, is_global = _index_for(declared, table, time)
    attributes: dict[str, None] = {}
    for measure in measures:
        for name in (measure.attribute, *measure.where_attributes):
            if name:
                attributes[name] = None
    keys = tuple(name for name in (table.partition_key, table.sort_key) if name is not None)
    if index is not None and is_global:
        held = table.indexes[index]
        inside = {*keys, held.partition, held.sort, *held.projection.attributes}
        missing = [name for name in attributes if held.projection.type != "ALL" and name not in inside]
        if missing:
            raise UsageError(
                f"{declared.name}: global index {index!r} of {table.name} does not hold {', '.join(missing)}; "
                "project them, or use a local index, which fetches what it does not hold"
            )
    ties = any(measure.kind.needs_ties for measure in measures)
    return Source(
        table, declared.entity, time, declared.time_unit, index, is_global, keys, tuple(measures),
        tuple(attributes), ties,
    )  # fmt: skip


def _index_for(declared: FeatureSet, table: Table, time: str) -> tuple[str | None, bool]:
    """The table itself, or the index that has one entity's events in order of time."""
    if table.partition_key == declared.entity and table.sort_key == time:
        return None, False
    fitting = [
        (keys.is_global, name)
        for name, keys in table.indexes.items()
        if keys.partition == declared.entity and keys.sort == time
    ]
    if not fitting:
        wanted = (
            f"local_indexes={{'by_time': '{time}'}}"
            if table.partition_key == declared.entity
            else f"global_indexes={{'by_{declared.entity_name}': ('{declared.entity}', '{time}')}}"
        )
        raise UsageError(
            f"{declared.name} reads the events of one {declared.entity} in order of {time}, and {table.name} has no "
            f"index for that; declare {wanted} on it"
        )
    is_global, name = min(fitting)
    return name, is_global


# -- where --


def _matcher(where: Sequence[tuple[str, Any]]) -> Matches:
    if len(where) == 1 and isinstance(where[0][1], str):
        name, expected = where[0][0], {"S": where[0][1]}
        return lambda item: item.get(name) == expected
    tests = [(name, _test(wanted)) for name, wanted in where]
    if len(tests) == 1:
        [(name, test)] = tests
        return lambda item: (held := item.get(name)) is not None and test(held)
    return lambda item: all((held := item.get(name)) is not None and test(held) for name, test in tests)


def _test(wanted: Any) -> Matches:
    if isinstance(wanted, SortRange):
        return _range_test(wanted)
    if isinstance(wanted, list | tuple | set | frozenset):
        tests = [_test(each) for each in wanted]
        return lambda held: any(test(held) for test in tests)
    expected = token(dict(to_value(wanted)))
    if expected is None:
        raise UsageError(f"where compares strings, numbers, booleans and binary values, not {wanted!r}")
    tag, text = expected
    if tag == "S":
        return lambda held: held.get("S") == text
    return lambda held: token(held) == expected


def _range_test(wanted: SortRange) -> Matches:
    values = [dict(to_value(operand)) for operand in wanted.operands]
    if wanted.text.startswith("begins_with"):
        prefix = str(values[0].get("S"))
        return lambda held: str(held.get("S", "")).startswith(prefix) and "S" in held
    kinds = {next(iter(value)) for value in values}
    if len(kinds) != 1 or not kinds <= {"S", "N", "B"}:
        raise UsageError("a range in where has bounds of one kind: strings, numbers or binary values")
    kind, bounds = kinds.pop(), [tie(value) for value in values]
    if "BETWEEN" in wanted.text:
        return lambda held: kind in held and bool(bounds[0] <= tie(held) <= bounds[1])
    compare = _COMPARE[wanted.text.split()[1]]
    return lambda held: kind in held and bool(compare(tie(held), bounds[0]))


_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    ">=": operator.ge, "<=": operator.le, ">": operator.gt, "<": operator.lt, "=": operator.eq
}  # fmt: skip


# -- values --


def measure_rows(source: Source, rows: Sequence[Row], at_us: int, into: Values) -> None:
    """Every measure of a source over the rows of its window (W1). `rows` are in order of their instants."""
    instants = [row[0] for row in rows]
    until = bisect_right(instants, at_us)
    windows: dict[int | None, Sequence[Row]] = {None: rows if until == len(rows) else rows[:until]}
    for measure in source.measures:
        window = measure.window_us
        chosen = windows.get(window)
        if chosen is None:
            assert window is not None
            chosen = windows[window] = rows[bisect_right(instants, at_us - window) : until]
        into[measure.name] = measure.finish(measure.fold(chosen), at_us)


def assemble(plan: Plan, measured: Values, given: Mapping[str, float | None]) -> Values:
    """The features in their order, but for transforms, which are Python and run elsewhere: see `transform`."""
    values: Values = {}
    for name in plan.order:
        if name in plan.ratios:
            above, below = plan.ratios[name]
            values[name] = quotient(measured[above], measured[below])
        elif name in plan.requested:
            values[name] = given[name]
        elif name in plan.transforms:
            values[name] = None
        else:
            values[name] = measured[name]
    return values


def quotient(above: Value, below: Value) -> Value:
    if above is None or below is None:
        return None
    if isinstance(above, str) or isinstance(below, str):
        raise UsageError("a ratio divides numbers")
    return float(above) / float(below) if below else 0.0


def transform(plan: Plan, values: Values) -> Values:
    """Run the transforms, each on the features before it."""
    return transformed({name: step.compute for name, step in plan.transforms.items()}, values)


def transformed(steps: Mapping[str, Compute], values: Values) -> Values:
    done: Values = {}
    for name, value in values.items():
        compute = steps.get(name)
        done[name] = value if compute is None else computed_value(name, _computed(name, compute, done))
    return done


def _computed(name: str, compute: Compute, values: Values) -> Any:
    try:
        return compute(dict(values))
    except Exception as error:
        raise UsageError(f"{name} cannot be computed: {type(error).__name__}: {error}") from error


def computed_value(name: str, computed: Any) -> Value:
    """What a transform gave, as a feature can be it: numpy's scalars as Python's, and NaN as null.

    All else that JSON does not hold would end a prediction after the model was asked, or stand in the log as another value.
    """
    value = computed.item() if getattr(computed, "shape", None) == () else computed
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int) and -_INTEGERS_END <= value < _INTEGERS_END:
        return int(value)
    if isinstance(value, float) and not math.isinf(value):
        return None if math.isnan(value) else float(value)
    if isinstance(value, str) and not _SURROGATES.search(value):
        return str(value)
    raise UsageError(
        f"{name} is computed as {reprlib.repr(computed)}: a feature is a finite number, text, true, false or null"
    )


def unknown_values(plan: Plan, given: Iterable[str]) -> list[str]:
    """The names among the given that no feature requests: a slip, which a default would hide."""
    return sorted(set(given) - {value.name for value in plan.requested.values()})


def request_values(plan: Plan, given: Mapping[str, float | None]) -> dict[str, float | None]:
    """The values that the caller owes, by feature; a UsageError names what is missing."""
    missing = [v.name for v in plan.requested.values() if v.name not in given and v.default is None]
    if missing:
        raise UsageError(f"the request has to bring {', '.join(missing)}")
    return {name: given.get(value.name, value.default) for name, value in plan.requested.items()}
