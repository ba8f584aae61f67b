"""A table as an application declares it, and the CreateTable request that the declaration means.

A key is a name, of type S unless its name ends in `:N` or `:B`: `sort_key="at:N"`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from penstock.app import access
from penstock.app.access import Client
from penstock.app.plain import Plain
from penstock.app.writing import Progress, TableWriter
from penstock.errors import UsageError

KEY_TYPES = ("S", "N", "B")
# Of a declared event schema; events/event_items.py checks them. A `?` behind one makes the attribute optional.
EVENT_TYPES = ("string", "number", "integer", "boolean", "time", "binary", "list", "map", "any")


@dataclass(frozen=True)
class Projection:
    """What an index holds besides keys. Made by `keys_only()`, `include(…)`, `everything()`."""

    type: str
    attributes: tuple[str, ...] = ()


def keys_only() -> Projection:
    return Projection("KEYS_ONLY")


def include(*attributes: str) -> Projection:
    return Projection("INCLUDE", attributes)


def everything() -> Projection:
    return Projection("ALL")


@dataclass(frozen=True)
class IndexKeys:
    partition: str
    sort: str | None
    projection: Projection
    is_global: bool


IndexSpec: TypeAlias = str | tuple[Any, ...]


@dataclass(eq=False)
class Table:
    """Declared by `app.table(…)`. The plain-Python calls of access.py work once the application has a client."""

    name: str
    partition_key: str
    sort_key: str | None
    indexes: Mapping[str, IndexKeys]
    stream: bool
    key_types: Mapping[str, str]
    time_to_live: str | None = None
    schema: Mapping[str, str] | None = None  # Declared event schema: attribute -> type, "time" among them.
    stream_shards: int = 1
    client_of: Callable[[], Client] = field(default=lambda: _no_client(), repr=False)

    @property
    def client(self) -> Client:
        return self.client_of()

    def get(self, *, consistent: bool = False, **key: Plain) -> dict[str, Plain] | None:
        """One item by its key, or None: `purchases.get(customer_id="c1", purchase_id="p1")`."""
        return access.get(self, key, consistent=consistent)

    def put(self, item: Mapping[str, Plain]) -> None:
        access.put(self, item)

    def delete(self, **key: Plain) -> None:
        access.delete(self, key)

    def writer(self, progress: Progress | None = None) -> TableWriter:
        """Many items in few requests: `with purchases.writer() as writer: writer.put({…})`. Durable when the block ends;
        what is throttled or unprocessed is tried again, and `progress` is told how many are written."""
        return TableWriter(self, progress)

    def query(
        self, *, index: str | None = None, backwards: bool = False, limit: int | None = None, **keys: Plain
    ) -> Iterator[dict[str, Plain]]:
        """Items of one partition key in sort order: `query(customer_id="c1", purchased_at=between(a, b), index="by_time")`."""
        return access.query(self, keys, index=index, backwards=backwards, limit=limit)

    def scan(self, *, index: str | None = None) -> Iterator[dict[str, Plain]]:
        """Every item. It reads, and on AWS bills, the whole table."""
        return access.scan(self, index=index)

    def definition(self) -> dict[str, Any]:
        """The CreateTable request."""
        request: dict[str, Any] = {
            "TableName": self.name,
            "AttributeDefinitions": [
                {"AttributeName": name, "AttributeType": type_} for name, type_ in self.key_types.items()
            ],
            "KeySchema": _key_schema(self.partition_key, self.sort_key),
            "BillingMode": "PAY_PER_REQUEST",
        }
        for is_global, member in ((False, "LocalSecondaryIndexes"), (True, "GlobalSecondaryIndexes")):
            chosen = [(name, keys) for name, keys in self.indexes.items() if keys.is_global is is_global]
            if chosen:
                request[member] = [_index_definition(name, keys) for name, keys in chosen]
        if self.stream:
            request["StreamSpecification"] = {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}
        if self.stream_shards > 1:
            request["Tags"] = [{"Key": "penstock:stream-shards", "Value": str(self.stream_shards)}]
        return request


def _no_client() -> Client:
    raise UsageError("the application has no client yet; call app.bind(penstock.connect(…)) first")


def declare(
    name: str,
    partition_key: str,
    sort_key: str | None,
    local_indexes: Mapping[str, IndexSpec],
    global_indexes: Mapping[str, IndexSpec],
    stream: bool,
    **settings: Any,
) -> Table:
    types: dict[str, str] = {}
    partition, sort = _key(partition_key, types), _key(sort_key, types) if sort_key else None
    indexes: dict[str, IndexKeys] = {}
    for index, spec in local_indexes.items():
        parts, projection = _index_parts(spec)
        if len(parts) != 1:
            raise UsageError(f"local index {index!r} takes one sort key; its partition key is the table's")
        indexes[index] = IndexKeys(partition, _key(parts[0], types), projection, is_global=False)
    for index, spec in global_indexes.items():
        parts, projection = _index_parts(spec)
        if not 1 <= len(parts) <= 2:
            raise UsageError(f"global index {index!r} takes a partition key and at most one sort key")
        keys = [_key(part, types) for part in parts]
        indexes[index] = IndexKeys(keys[0], keys[1] if len(keys) > 1 else None, projection, is_global=True)
    _check_schema(name, settings.get("schema") or {})
    return Table(name, partition, sort, indexes, stream, types, **settings)


def _key(text: str, types: dict[str, str]) -> str:
    name, colon, type_ = text.rpartition(":")
    if not colon or type_ not in KEY_TYPES:
        name, type_ = text, "S"
    if types.setdefault(name, type_) != type_:
        if not colon:
            return name  # Named again without its type.
        raise UsageError(f"key {name!r} is declared as {types[name]} and as {type_}")
    return name


def _check_schema(table: str, schema: Mapping[str, Any]) -> None:
    for name, type_ in schema.items():
        if not isinstance(type_, str) or type_.removesuffix("?") not in EVENT_TYPES:
            raise UsageError(f"{table}.{name}: {type_!r} is no event type; it is {', '.join(EVENT_TYPES)}")


def _index_parts(spec: IndexSpec) -> tuple[list[str], Projection]:
    if isinstance(spec, str):
        return [spec], everything()
    parts = [part for part in spec if isinstance(part, str)]
    projections = [part for part in spec if isinstance(part, Projection)]
    return parts, projections[0] if projections else everything()


def _key_schema(partition: str, sort: str | None) -> list[dict[str, str]]:
    schema = [{"AttributeName": partition, "KeyType": "HASH"}]
    if sort is not None:
        schema.append({"AttributeName": sort, "KeyType": "RANGE"})
    return schema


def _index_definition(name: str, keys: IndexKeys) -> dict[str, Any]:
    projection: dict[str, Any] = {"ProjectionType": keys.projection.type}
    if keys.projection.attributes:
        projection["NonKeyAttributes"] = list(keys.projection.attributes)
    return {"IndexName": name, "KeySchema": _key_schema(keys.partition, keys.sort), "Projection": projection}
