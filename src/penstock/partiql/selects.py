"""SELECT as GetItem, as one Query or several, or as a Scan.

Q1. The whole primary key of the table and nothing besides is a GetItem; keyed reads are Queries, one for each range
    (key_reads.py), to be run one after the other until the limit is reached; everything else is a Scan.
Q2. A Query takes no filter on the key attributes that it reads by. Such conditions are the step's residual: the
    executor tests them on the items of the answer, whose projection has what they need.
Q3. A projection names whole attributes; the executor takes columns out of them (rows.py).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from penstock.errors import invalid_parameter, validation
from penstock.model.keys import raw_component
from penstock.model.tables import Index, KeySchema, Table
from penstock.partiql import wording
from penstock.partiql.conditions import Condition, Range, Value, attributes, every
from penstock.partiql.key_reads import KeyCondition, Read, plan_reads
from penstock.partiql.rendering import Placeholders
from penstock.partiql.syntax import NOWHERE, Order, Path, Select

Request = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Step:
    """One request, and the condition that its items must meet besides (as a request's condition members)."""

    request: Request
    residual: Request | None = None


def check_index(select: Select, table: Table, consistent: bool) -> Index | None:
    if select.source.index is None:
        return None
    index = table.index(select.source.index)
    if index is None:
        raise validation("The table does not have the specified index")
    if index.is_global and consistent:
        raise validation("Strongly consistent read is not supported on Global Secondary Indexes")
    return index


def key_steps(select: Select, where: Condition | None, table: Table, check_types: bool) -> list[Step] | None:
    """The one GetItem where the WHERE clause is the primary key of one item and no more; else None."""
    reads = plan_reads(where, table.keys, check_types=check_types)
    if reads is None or len(reads) > 1 or not _is_whole_key(reads[0], table.keys):
        return None
    request: Request = {"TableName": table.name, "Key": reads[0].equalities()}
    placeholders = Placeholders()
    _project(request, select, placeholders, ())
    placeholders.fill(request)
    return [Step(request)]


def _is_whole_key(read: Read, keys: KeySchema) -> bool:
    return (
        not read.filters and len(read.sort) == len(keys.sort) and read.equalities().keys() == set(keys.names)
    )


def select_steps(
    select: Select, where: Condition | None, table: Table, index: Index | None
) -> tuple[str, list[Step]]:
    """The action and its requests, in the order of their rows."""
    keys = table.keys if index is None else index.keys
    reads = plan_reads(where, keys)
    _check_projection(select, index)
    forward = True
    if select.order:
        forward, reads = _ordered(select.order, where, keys, reads)
    if reads is None:
        return "Scan", [_scan(select, where, table, index)]
    _check_filters(reads, index)
    if index is None:
        single = key_steps(select, where, table, True)
        if single is not None:
            return "GetItem", single
    return "Query", [_query(select, read, table, index, keys, forward) for read in reads]


def _scan(select: Select, where: Condition | None, table: Table, index: Index | None) -> Step:
    request: Request = {"TableName": table.name}
    if index is not None:
        request["IndexName"] = index.name
    placeholders = Placeholders()
    if where is not None:
        request["FilterExpression"] = placeholders.condition(where)
    _project(request, select, placeholders, ())
    placeholders.fill(request)
    return Step(request)


def _query(
    select: Select, read: Read, table: Table, index: Index | None, keys: KeySchema, forward: bool
) -> Step:
    request: Request = {"TableName": table.name}
    if index is not None:
        request["IndexName"] = index.name
    placeholders = Placeholders()
    sort, left = _sort_conditions(read, keys)
    equal = [
        f"{placeholders.name(name)} = {placeholders.value(value)}" for name, value in read.partition.items()
    ]
    request["KeyConditionExpression"] = " AND ".join([*equal, *map(placeholders.condition, sort)])
    names = set(keys.names)
    on_keys = [*left, *(one for one in read.filters if names & set(attributes(one)))]
    others = [one for one in read.filters if not names & set(attributes(one))]
    if others:
        request["FilterExpression"] = placeholders.condition(every(others))
    if not forward:
        request["ScanIndexForward"] = False
    _project(request, select, placeholders, [name for one in on_keys for name in attributes(one)])
    placeholders.fill(request)
    return Step(request, _residual(on_keys))


def _residual(conditions: list[Condition]) -> Request | None:
    if not conditions:
        return None
    residual: Request = {}
    placeholders = Placeholders()
    residual["ConditionExpression"] = placeholders.condition(every(conditions))
    placeholders.fill(residual)
    return residual


def _project(request: Request, select: Select, placeholders: Placeholders, needed: Iterable[str]) -> None:
    if select.columns is None:
        return
    roots = dict.fromkeys([column.root for column in select.columns])
    roots.update(dict.fromkeys(needed))
    request["ProjectionExpression"] = ", ".join(map(placeholders.name, roots))


def _sort_conditions(read: Read, keys: KeySchema) -> tuple[list[Condition], list[Condition]]:
    """What a key condition can say of the sort attributes, from the left, and what is left over."""
    chosen: list[Condition] = []
    left: list[Condition] = []
    open_ = True
    for attribute in keys.sort:
        own = [one for one in read.sort if one.attribute == attribute.name]
        if not open_ or not own:
            open_ = False
            left.extend(one.condition for one in own)
            continue
        equal = next((one for one in own if one.operator == "="), None)
        open_ = equal is not None
        taken, rest = ([equal.condition], [one for one in own if one is not equal]) if equal else _range(own)
        chosen.extend(taken)
        left.extend(one.condition for one in rest)
    return chosen, left


def _range(conditions: list[KeyCondition]) -> tuple[list[Condition], list[KeyCondition]]:
    """One range out of several conditions on one attribute. Two ends make a BETWEEN, so that the read stops at the
    second; an end that is not included stays a residual."""
    for one in conditions:
        if one.operator in ("BETWEEN", "begins_with"):
            return [one.condition], [other for other in conditions if other is not one]
    low = next((one for one in conditions if one.operator in (">", ">=")), None)
    high = next((one for one in conditions if one.operator in ("<", "<=")), None)
    if low is None or high is None or not _in_order(low, high):
        return [conditions[0].condition], conditions[1:]
    subject = Path(low.attribute, (), NOWHERE)
    between = Range(subject, Value(low.operands[0]), Value(high.operands[0]))
    held = [one for one in (low, high) if one.operator in (">=", "<=")]
    return [between], [one for one in conditions if all(one is not other for other in held)]


def _in_order(low: KeyCondition, high: KeyCondition) -> bool:
    type_ = next(iter(low.operands[0]))
    return raw_component(low.operands[0], type_) <= raw_component(high.operands[0], type_)


def _ordered(
    order: tuple[Order, ...], where: Condition | None, keys: KeySchema, reads: list[Read] | None
) -> tuple[bool, list[Read] | None]:
    """The direction within a partition, and the reads in the order of their partitions."""
    if where is None:
        raise validation("Must have WHERE clause in the statement when using ORDER BY clause.")
    for term in order:
        if term.attribute not in keys.names:
            raise validation(f"Attribute {term.attribute} in ORDER BY clause must be part of the primary key")
    if reads is None:
        raise validation(
            "Must have at least one non-optional hash key condition in WHERE clause when using ORDER BY clause."
        )
    descending = {term.attribute: term.descending for term in reversed(order)}
    partition = [descending[one.name] for one in keys.partition if one.name in descending]
    partitions = {str(sorted(read.partition.items())) for read in reads}
    if len(partitions) > 1 and not partition:
        raise validation(
            "Must have hash key in ORDER BY clause when more than one hash key condition specified in WHERE clause."
        )
    # Recorded from AWS: under ORDER BY the partition key alone, the sort key descends, even with ASC.
    sort = [descending[one.name] for one in keys.sort if one.name in descending]
    forward = not (sort[0] if sort else True)
    return forward, _arranged(reads, bool(partition and partition[0]), forward)


def _arranged(reads: list[Read], partitions_descend: bool, forward: bool) -> list[Read]:
    """Ascending reads with each partition's turned round, and then the partitions."""
    groups: list[list[Read]] = []
    for read in reads:
        if groups and groups[-1][0].partition == read.partition:
            groups[-1].append(read)
        else:
            groups.append([read])
    if not forward:
        groups = [group[::-1] for group in groups]
    if partitions_descend:
        groups.reverse()
    return [read for group in groups for read in group]


def _check_projection(select: Select, index: Index | None) -> None:
    """A local index fetches from the table what it does not hold; a global one does not."""
    if index is None or not index.is_global or index.holds is None or select.columns is None:
        return
    missing = [column.root for column in select.columns if column.root not in index.holds]
    if missing:
        raise invalid_parameter(
            f"Global secondary index {index.name} does not project [{', '.join(in_hash_order(missing))}]"
        )


def _check_filters(reads: list[Read], index: Index | None) -> None:
    """Keyed reads of an index may filter on what it holds only. Recorded from AWS: one read that does is enough to
    let the statement through, and of several that do not, the one with the highest key is named."""
    if index is None or index.holds is None:
        return
    missing: list[str] = []
    for read in reads:
        missing = [name for one in read.filters for name in attributes(one) if name not in index.holds]
        if not missing:
            return
    raise wording.not_projected_filter(index.name, in_hash_order(missing))


def in_hash_order(names: Iterable[str]) -> list[str]:
    """Distinct names in the order in which AWS lists a set of them: that of a Java HashSet of 16 buckets. Recorded:
    b, a are listed [a, b], and zz, aa, mm, which share a bucket, as they came."""

    def bucket(name: str) -> int:
        code = 0
        for unit in memoryview(name.encode("utf-16-le", "surrogatepass")).cast("H"):
            code = (31 * code + unit) & 0xFFFFFFFF
        return (code ^ code >> 16) & 15

    return sorted(dict.fromkeys(names), key=bucket)
