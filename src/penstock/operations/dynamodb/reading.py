"""What Query and Scan share: the index, what to select, where to start, and the reply of a page."""

from __future__ import annotations

import orjson

from penstock import errors
from penstock.engine.paging import Fetch, Page, Shape
from penstock.engine.plans import Request, View
from penstock.expressions.projections import Projection
from penstock.model.capacity import Consumed, read_units
from penstock.model.keys import (
    base_key,
    base_suffix,
    encode_partition,
    key_attributes,
    partition_prefix,
    space_bounds,
)
from penstock.model.tables import Index, Projected, Table, TableStatus
from penstock.model.values import Item, Key


def index_of(table: Table, request: Request) -> Index | None:
    name = request.get("IndexName")
    if name is None:
        return None
    index = table.index(name)
    if index is None or (index.is_global and index.status is TableStatus.DELETING):
        raise errors.validation(f"The table does not have the specified index: {name}")
    if index.is_global and index.backfilling:
        raise errors.validation(f"Cannot read from backfilling global secondary index: {name}")
    if index.is_global and request.get("ConsistentRead"):
        raise errors.validation("Consistent reads are not supported on global secondary indexes")
    return index


class Selection:
    """What each item of a page becomes: nothing (a count), itself, or a part of it; perhaps read from the base."""

    __slots__ = ("counting", "fetches", "shape")

    def __init__(self, counting: bool, shape: Shape | None, fetches: bool) -> None:
        self.counting, self.shape, self.fetches = counting, shape, fetches

    def fetch(self, view: View, table: Table) -> Fetch | None:
        if not self.fetches:
            return None
        return lambda entry: view.get(base_key(table, entry))

    def reads(self, table: Table, prefix: bytes) -> list[bytes]:
        """What a page under `prefix` depends on. An item may change while its entry in a local index stays as it is;
        both have the same partition key, so what differs between their prefixes is the space."""
        if not self.fetches:
            return [prefix]
        space = space_bounds(table.space)[0]
        return [prefix, space + prefix[len(space) :]]


def check_select(request: Request, projected: bool) -> None:
    """Select against the projection, before the table is looked up."""
    select = request.get("Select")
    if select is None or (select == "SPECIFIC_ATTRIBUTES" and projected):
        return
    if select == "SPECIFIC_ATTRIBUTES":
        raise errors.validation(
            "Must specify the AttributesToGet or ProjectionExpression when choosing to get SPECIFIC_ATTRIBUTES"
        )
    if projected:
        which = "AttributesToGet" if "AttributesToGet" in request else "ProjectionExpression"
        wording = {
            "ALL_ATTRIBUTES": f"Cannot specify the {which} when choosing to get ALL_ATTRIBUTES",
            "ALL_PROJECTED_ATTRIBUTES": f"Cannot specify the {which} when choosing to get ALL_PROJECTED_ATTRIBUTES",
            "COUNT": f"Cannot specify the {which} when choosing to get only the Count",
        }
        raise errors.validation(wording[select])
    if select == "ALL_PROJECTED_ATTRIBUTES" and "IndexName" not in request:
        raise errors.validation("ALL_PROJECTED_ATTRIBUTES can be used only when Querying using an IndexName")


def selection_of(
    request: Request, table: Table, index: Index | None, projection: Projection | None
) -> Selection:
    select = request.get("Select")
    if select == "COUNT":
        return Selection(True, None, False)
    if index is None or index.projected is Projected.ALL:
        return Selection(False, projection, False)
    wanted = projection.attributes if projection is not None else None
    if wanted is None:
        if select != "ALL_ATTRIBUTES":
            return Selection(False, None, False)
    elif index.holds is None or wanted <= index.holds:
        return Selection(False, projection, False)
    if index.is_global:
        if wanted is None:
            raise errors.invalid_parameter(
                "Select type ALL_ATTRIBUTES is not supported for global secondary index "
                f"{index.name} because its projection type is not ALL"
            )
        assert index.holds is not None
        missing = ", ".join(sorted(wanted - index.holds))
        raise errors.invalid_parameter(f"Global secondary index {index.name} does not project [{missing}]")
    return Selection(False, projection, True)


def check_start_key(table: Table, index: Index | None, start: Key) -> None:
    attributes = key_attributes(table, index)
    if len(start) != len(attributes) or any(
        a.name not in start or a.type not in start[a.name] for a in attributes
    ):
        if len(start) == len(attributes) and all(a.name in start for a in attributes):
            raise errors.validation(
                "The provided starting key is invalid: The provided key element does not match the schema"
            )
        raise errors.validation("The provided starting key is invalid")


def position_of(table: Table, index: Index | None, start: Key) -> bytes:
    """The key of the record that a start key names, whether it is still there or not."""
    if index is None:
        return base_key(table, start)
    partition = encode_partition(index.keys.partition, start)
    sort = encode_partition(index.keys.sort, start) if index.keys.sort else b""
    return partition_prefix(index.space, partition) + sort + base_suffix(table.keys, start)


def last_key(table: Table, index: Index | None, item: Item) -> Key:
    names = tuple(a.name for a in key_attributes(table, index))
    return {name: item[name] for name in names}


def page_reply(request: Request, table: Table, index: Index | None, page: Page) -> bytes:
    parts = [] if request.get("Select") == "COUNT" else [b'"Items":[' + b",".join(page.parts) + b"]"]
    parts.append(b'"Count":%d,"ScannedCount":%d' % (page.count, page.scanned))
    if page.last is not None:
        parts.append(b'"LastEvaluatedKey":' + orjson.dumps(last_key(table, index, page.last)))
    mode = request.get("ReturnConsumedCapacity")
    if mode is not None and mode != "NONE":
        consumed = page_units(request, table, index, page)
        parts.append(b'"ConsumedCapacity":' + orjson.dumps(consumed.to_json(mode)))
    return b"{" + b",".join(parts) + b"}"


def page_units(request: Request, table: Table, index: Index | None, page: Page) -> Consumed:
    consistent = bool(request.get("ConsistentRead"))
    consumed = Consumed(table.name)
    units = read_units(page.bytes_read, consistent)
    if index is None:
        consumed.table = units
    else:
        consumed.add_index(index.name, units, index.is_global)
        consumed.table = sum(read_units(size, consistent) for size in page.fetched)
    return consumed
