"""Which reads a SELECT takes: the ranges of keys that its WHERE clause names, or none, which is a Scan.

AWS takes the WHERE clause apart into branches, as if it were multiplied out into ORs of ANDs, but only where a
condition on a key stands: `pk = 'a' AND (x = 1 OR y = 2)` is one branch, `pk = 'a' AND (sk = '1' OR y = 2)` two.

B1. A read is keyed where every branch has exactly one value for each partition attribute, by = or by IN. If one
    branch has none, or two that differ, the whole is a Scan, and the whole WHERE clause is its filter.
B2. At most READS_MAX branches.
B3. Two branches of one partition whose ranges of the sort key overlap are refused. A branch whose condition on the
    sort key is negated (NOT, <>) is exempt: it and the others of its partition become one read of the partition.
B4. Conditions on key attributes under NOT, or in functions other than begins_with, narrow nothing: they are filters.
B5. Reads are in the order of their keys, so that their results can be joined.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import product

from penstock.model.keys import raw_component
from penstock.model.tables import KeyAttribute, KeySchema
from penstock.model.values import AttributeValue, Key
from penstock.partiql import wording
from penstock.partiql.conditions import (
    Choice,
    Comparison,
    Condition,
    Every,
    Negation,
    Operand,
    Range,
    Some,
    Test,
    Value,
    attributes,
    conjuncts,
    every,
    some,
)
from penstock.partiql.syntax import Path

READS_MAX = 50  # Recorded from AWS: 51 values of IN on a key are refused, 50 are taken.

_MIRRORED = {"=": "=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}


@dataclass(frozen=True, slots=True)
class KeyCondition:
    """A condition on a whole key attribute that can narrow a read."""

    attribute: str
    operator: str  # = < <= > >= BETWEEN begins_with
    operands: tuple[AttributeValue, ...]
    condition: Condition


@dataclass(frozen=True, slots=True)
class Read:
    """One range of one partition. `sort` is what narrows it; `filters` what must hold besides."""

    partition: Key
    sort: tuple[KeyCondition, ...] = ()
    filters: tuple[Condition, ...] = ()

    def equalities(self) -> Key:
        """The key attributes that have one value."""
        equal = {c.attribute: c.operands[0] for c in self.sort if c.operator == "="}
        return {**self.partition, **equal}


def key_condition(condition: Condition, names: Sequence[str]) -> KeyCondition | None:
    """What a condition says about one of the key attributes `names`, if it can narrow a read; see B4."""
    match condition:
        case Comparison("=" | "<" | "<=" | ">" | ">=" as operator, Path(root, (), _), Value(value)):
            found = KeyCondition(root, operator, (value,), condition)
        case Comparison("=" | "<" | "<=" | ">" | ">=" as operator, Value(value), Path(root, (), _)):
            found = KeyCondition(root, _MIRRORED[operator], (value,), condition)
        case Range(Path(root, (), _), Value(low), Value(high)):
            found = KeyCondition(root, "BETWEEN", (low, high), condition)
        case Test("begins_with", (Path(root, (), _), Value(value))):
            found = KeyCondition(root, "begins_with", (value,), condition)
        case _:
            return None
    return found if found.attribute in names else None


def key_choices(condition: Condition, names: Sequence[str]) -> tuple[Comparison, ...] | None:
    """IN on a key attribute, as the equalities that it stands for."""
    match condition:
        case Choice(Path(root, (), _) as path, choices) if root in names and _all_values(choices):
            return tuple(Comparison("=", path, choice) for choice in choices)
        case _:
            return None


def _all_values(choices: tuple[Operand, ...]) -> bool:
    return all(isinstance(choice, Value) for choice in choices)


def plan_reads(where: Condition | None, keys: KeySchema, *, check_types: bool = True) -> list[Read] | None:
    """The reads of a WHERE clause in ascending order of their keys; None is a Scan."""
    partition_names = tuple(attribute.name for attribute in keys.partition)
    if where is None or not all(_pins(where, name) for name in partition_names):
        return None
    branches = _branches(where, keys.names)
    reads: list[Read] = []
    for branch in branches:
        read = _read_of(branch, keys)
        if read is None:
            return None
        reads.append(read)
    if check_types:
        _check_types(branches, keys)
    elif not _types_fit(branches, keys):
        return reads  # A transaction's: the key is checked with its items, and there can be no order yet.
    reads.sort(key=lambda read: _place(read, keys))
    return _without_overlap(reads, keys)


def _pins(condition: Condition, name: str) -> bool:
    """True where every branch has an equality on the attribute."""
    match condition:
        case Every(parts):
            return any(_pins(part, name) for part in parts)
        case Some(parts):
            return all(_pins(part, name) for part in parts)
        case Choice():
            return key_choices(condition, (name,)) is not None
        case _:
            found = key_condition(condition, (name,))
            return found is not None and found.operator == "="


def _branches(condition: Condition, names: Sequence[str]) -> list[tuple[Condition, ...]]:
    """The ANDs that the condition is an OR of; see the module's first paragraph."""
    match condition:
        case Every(parts):
            branches: list[tuple[Condition, ...]] = [()]
            for part in parts:
                branches = [(*left, *right) for left, right in product(branches, _branches(part, names))]
                _check_count(branches)
            return branches
        case Some(parts) if _narrows(condition, names):
            branches = []
            for part in parts:
                branches.extend(_branches(part, names))
                _check_count(branches)
            return branches
        case Choice():
            choices = key_choices(condition, names)
            if choices is not None:
                singles: list[tuple[Condition, ...]] = [(choice,) for choice in choices]
                _check_count(singles)
                return singles
    return [(condition,)]


def _check_count(branches: list[tuple[Condition, ...]]) -> None:
    if len(branches) > READS_MAX:
        raise wording.too_many_reads()


def _narrows(condition: Condition, names: Sequence[str]) -> bool:
    match condition:
        case Every(parts) | Some(parts):
            return any(_narrows(part, names) for part in parts)
        case Choice():
            return key_choices(condition, names) is not None
        case _:
            return key_condition(condition, names) is not None


def _read_of(branch: tuple[Condition, ...], keys: KeySchema) -> Read | None:
    partition: Key = {}
    sort: list[KeyCondition] = []
    filters: list[Condition] = []
    partition_names = tuple(attribute.name for attribute in keys.partition)
    for condition in branch:
        found = key_condition(condition, keys.names)
        if found is None:
            filters.append(condition)
        elif found.attribute not in partition_names:
            if not any(found.operator == "=" == one.operator and _same(found, one) for one in sort):
                sort.append(found)
        elif found.operator != "=":
            filters.append(condition)
        elif partition.setdefault(found.attribute, found.operands[0]) != found.operands[0]:
            return None
    return Read(partition, tuple(sort), tuple(filters))


def _same(one: KeyCondition, other: KeyCondition) -> bool:
    return one.attribute == other.attribute and one.operands == other.operands


def _key_conditions(
    branches: list[tuple[Condition, ...]], keys: KeySchema
) -> Iterable[tuple[KeyCondition, str]]:
    types = {attribute.name: attribute.type for attribute in keys.partition + keys.sort}
    for branch in branches:
        for condition in branch:
            found = key_condition(condition, keys.names)
            if found is not None:
                yield found, types[found.attribute]


def _fits(condition: KeyCondition, type_: str) -> bool:
    return all(type_ in operand for operand in condition.operands)


def _check_types(branches: list[tuple[Condition, ...]], keys: KeySchema) -> None:
    for condition, type_ in _key_conditions(branches, keys):
        if not _fits(condition, type_):
            raise wording.key_type(condition.attribute)


def _types_fit(branches: list[tuple[Condition, ...]], keys: KeySchema) -> bool:
    return all(_fits(condition, type_) for condition, type_ in _key_conditions(branches, keys))


@dataclass(frozen=True, slots=True)
class _Interval:
    """Raw key bytes from `low` to `high`, each perhaps included; a high of None has no end."""

    low: bytes = b""
    with_low: bool = True
    high: bytes | None = None
    with_high: bool = True

    def meet(self, other: _Interval) -> _Interval:
        low, with_low = max((self.low, not self.with_low), (other.low, not other.with_low))
        ends = [(e.high, e.with_high) for e in (self, other) if e.high is not None]
        high, with_high = min(ends) if ends else (None, True)
        return _Interval(low, not with_low, high, with_high)

    @property
    def empty(self) -> bool:
        if self.high is None:
            return False
        return self.low > self.high or (self.low == self.high and not (self.with_low and self.with_high))


def _interval(read: Read, attribute: KeyAttribute) -> _Interval:
    result = _Interval()
    for condition in read.sort:
        if condition.attribute == attribute.name:
            result = result.meet(_interval_of(condition, attribute.type))
    return result


def _interval_of(condition: KeyCondition, type_: str) -> _Interval:
    first = raw_component(condition.operands[0], type_)
    match condition.operator:
        case "=":
            return _Interval(first, True, first, True)
        case "<" | "<=":
            return _Interval(high=first, with_high=condition.operator == "<=")
        case ">" | ">=":
            return _Interval(first, condition.operator == ">=")
        case "BETWEEN":
            return _Interval(first, True, raw_component(condition.operands[1], type_), True)
        case _:
            return _Interval(first, True, _after_prefix(first), False)


def _after_prefix(prefix: bytes) -> bytes | None:
    """The least bytes above all that begin so; None where there are none."""
    stripped = prefix.rstrip(b"\xff")
    return stripped[:-1] + bytes([stripped[-1] + 1]) if stripped else None


def _partition_bytes(read: Read, keys: KeySchema) -> list[bytes]:
    return [raw_component(read.partition[one.name], one.type) for one in keys.partition]


def _place(read: Read, keys: KeySchema) -> tuple[list[bytes], list[tuple[bytes, bool]]]:
    """Where a read begins: its partition, and the lower end of each sort attribute's interval."""
    intervals = [_interval(read, attribute) for attribute in keys.sort]
    return _partition_bytes(read, keys), [(each.low, not each.with_low) for each in intervals]


def _overlap(one: Read, other: Read, keys: KeySchema) -> bool:
    """True where one item could be in both; the reads are of one partition."""
    for attribute in keys.sort:
        left, right = _interval(one, attribute), _interval(other, attribute)
        if left.empty or right.empty or left.meet(right).empty:
            return False
        if left.low != left.high or right.low != right.high:
            return True
    return True


def _negates_sort(read: Read, keys: KeySchema) -> bool:
    names = {attribute.name for attribute in keys.sort}
    for condition in read.filters:
        match condition:
            case Negation(part) if names & set(attributes(part)):
                return True
            case Comparison("<>", _, _) if names & set(attributes(condition)):
                return True
    return False


def _without_overlap(reads: list[Read], keys: KeySchema) -> list[Read]:
    """Sorted reads that share no item; see B3."""
    result: list[Read] = []
    at = 0
    while at < len(reads):
        end = at + 1
        while end < len(reads) and _partition_bytes(reads[end], keys) == _partition_bytes(reads[at], keys):
            end += 1
        result.extend(_separate(reads[at:end], keys))
        at = end
    return result


def _separate(reads: list[Read], keys: KeySchema) -> list[Read]:
    plain = [read for read in reads if not _negates_sort(read, keys)]
    for at, read in enumerate(plain):
        if any(_overlap(read, other, keys) for other in plain[at + 1 :]):
            raise wording.overlapping()
    if len(plain) == len(reads) or len(reads) == 1:
        return reads
    conditions = [[*(one.condition for one in read.sort), *read.filters] for read in reads]
    if not all(conditions):
        return [Read(reads[0].partition)]
    union = some([every(one) for one in conditions])
    return [Read(reads[0].partition, (), (union,))]


def single_key(where: Condition | None, keys: KeySchema) -> tuple[Key, list[Condition], str | None]:
    """For a write: the key that the top-level equalities name, the other conditions, and an attribute that two
    different values are asked of, if any. The first value counts, the other stays a condition."""
    key: Key = {}
    rest: list[Condition] = []
    conflict: str | None = None
    for condition in conjuncts(where):
        found = key_condition(condition, keys.names)
        if found is None or found.operator != "=":
            rest.append(condition)
        elif key.setdefault(found.attribute, found.operands[0]) != found.operands[0]:
            conflict = conflict or found.attribute
            rest.append(condition)
    return key, rest, conflict
