"""What a table held when: every version of every item, from its change log. Corrections and late events are seen as they were.

    version    item, from position and commit time, until position and commit time

H1. A version is known from the position of the change that wrote it until that of the next change of its key.
H2. An item that no change in the log tells of, and the old image of a key's first change, were there before the log began:
    they are known from the beginning.
H3. History that was loaded in bulk is known from its own time, where the caller says until when the load went (`backfilled`):
    otherwise nothing of it would be known at any time before the load.

H4. A table that was deleted and made again has the streams of both for a day; those of the one before tell nothing of it.

The log is read from a table's stream through the public API (`stream_changes`), or from the lake's raw log by SQL
(`lake_changes`); both give the same `Change`s, under the same keys: what the lake has not landed yet comes from the stream.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Protocol, cast

import orjson

from penstock.app.tables import Table
from penstock.engine.changes import SEQUENCE_PER_US
from penstock.errors import ServiceError, UsageError

NEVER = 1 << 200  # After every position and time.
# Penstock's numbers are commit times; 2001 to 2286 in microseconds. Those of AWS are not times.
_TIME_LIKE_US = range(10**15, 10**16)
# An open shard may answer with nothing and have more behind it; AWS does not say how often in a row.
EMPTY_PAGES_MAX = 10


@dataclass(frozen=True, slots=True)
class Change:
    """One change of one item; `new` None where it went."""

    position: int
    commit_us: int
    key: str
    new: dict[str, Any] | None
    old: dict[str, Any] | None


@dataclass(slots=True)
class Version:
    item: dict[str, Any]
    position: int
    commit_us: int
    until_position: int
    until_us: int
    is_first: bool

    def known_at(self, position: int | None, at_us: int) -> bool:
        """At a position where one is given, otherwise at a time."""
        if position is not None:
            return self.position <= position < self.until_position
        return self.commit_us <= at_us < self.until_us


class Sql(Protocol):
    """A lake, as training needs it: `penstock.sql.lake.Lake` is one."""

    def sql(self, query: str) -> Any: ...


class StreamClient(Protocol):
    """The streams half of a client."""

    def scan(self, **request: Any) -> dict[str, Any]: ...
    def query(self, **request: Any) -> dict[str, Any]: ...
    def describe_table(self, **request: Any) -> dict[str, Any]: ...
    def list_streams(self, **request: Any) -> dict[str, Any]: ...
    def describe_stream(self, **request: Any) -> dict[str, Any]: ...
    def get_shard_iterator(self, **request: Any) -> dict[str, Any]: ...
    def get_records(self, **request: Any) -> dict[str, Any]: ...


def key_text(table: Table, item: Mapping[str, Any]) -> str:
    """As the lake writes it (R3 of lake/rows.py)."""
    names = [table.partition_key] + ([table.sort_key] if table.sort_key else [])
    return orjson.dumps({name: item[name] for name in names}, default=_base64).decode()


def _base64(held: object) -> str:
    if isinstance(held, bytes):
        return b64encode(held).decode()
    raise TypeError(type(held).__name__)


def commit_us(position: int, event_us: int) -> int:
    told = position // SEQUENCE_PER_US
    return told if told in _TIME_LIKE_US else event_us


def versions(changes: Iterable[Change], existing: Iterable[tuple[str, dict[str, Any]]] = ()) -> list[Version]:
    """Every version, from changes in any order. `existing` are items by key, as they are now (H2)."""
    found: list[Version] = []
    latest: dict[str, Version] = {}
    seen: set[str] = set()
    for change in sorted(changes, key=attrgetter("position")):
        before = latest.pop(change.key, None)
        if before is None and change.key not in seen and change.old is not None:
            before = Version(change.old, 0, -NEVER, NEVER, NEVER, is_first=True)
            found.append(before)
        is_first = change.key not in seen and change.old is None
        seen.add(change.key)
        if before is not None:
            before.until_position, before.until_us = change.position, change.commit_us
        if change.new is not None:
            version = Version(change.new, change.position, change.commit_us, NEVER, NEVER, is_first)
            latest[change.key] = version
            found.append(version)
    found += [
        Version(item, 0, -NEVER, NEVER, NEVER, is_first=True) for key, item in existing if key not in seen
    ]
    return found


# -- From a stream --


def stream_changes(client: StreamClient, table: Table) -> list[Version]:
    """All that the stream and the table tell. The scan comes first: what it does not show yet, the stream will."""
    existing = [(key_text(table, item), item) for item in _scan(client, table.name)]
    return versions(_records(client, table), existing)


def _scan(client: StreamClient, name: str) -> Iterator[dict[str, Any]]:
    request: dict[str, Any] = {"TableName": name, "ConsistentRead": True}
    while True:
        page = client.scan(**request)
        yield from page["Items"]
        if "LastEvaluatedKey" not in page:
            return
        request["ExclusiveStartKey"] = page["LastEvaluatedKey"]


def _records(client: StreamClient, table: Table, after: int | None = None) -> Iterator[Change]:
    """What the stream still holds, or what it holds behind a position."""
    start = {"ShardIteratorType": "TRIM_HORIZON"}
    if after is not None:
        start = {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "SequenceNumber": f"{after:021d}"}
    described = client.describe_table(TableName=table.name)["Table"]
    for arn in _streams(client, table):
        for told in _descriptions(client, arn):
            is_older = _seconds(told["CreationRequestDateTime"]) < _seconds(described["CreationDateTime"])
            if is_older and arn != described.get("LatestStreamArn"):
                break  # H4.
            for shard in told["Shards"]:
                asked = client.get_shard_iterator(StreamArn=arn, ShardId=shard["ShardId"], **start)
                is_open = "EndingSequenceNumber" not in shard["SequenceNumberRange"]
                for record in _shard_records(client, asked.get("ShardIterator"), is_open):
                    yield _change(record, table)


def _streams(client: StreamClient, table: Table) -> Iterator[str]:
    request: dict[str, Any] = {"TableName": table.name}
    while True:
        page = client.list_streams(**request)
        yield from (listed["StreamArn"] for listed in page["Streams"])
        if "LastEvaluatedStreamArn" not in page:
            return
        request["ExclusiveStartStreamArn"] = page["LastEvaluatedStreamArn"]


def _descriptions(client: StreamClient, arn: str) -> Iterator[dict[str, Any]]:
    """Of one stream, its shards page by page."""
    request: dict[str, Any] = {"StreamArn": arn}
    while True:
        told = client.describe_stream(**request)["StreamDescription"]
        yield told
        if "LastEvaluatedShardId" not in told:
            return
        request["ExclusiveStartShardId"] = told["LastEvaluatedShardId"]


def _shard_records(client: StreamClient, iterator: str | None, is_open: bool) -> Iterator[Mapping[str, Any]]:
    """A closed shard ends by itself; an open one where nothing came for a while."""
    empty = 0
    while iterator is not None and not (is_open and empty > EMPTY_PAGES_MAX):
        page = client.get_records(ShardIterator=iterator)
        yield from page["Records"]
        empty = 0 if page["Records"] else empty + 1
        iterator = page.get("NextShardIterator")


def _seconds(moment: Any) -> float:
    return float(moment.timestamp() if hasattr(moment, "timestamp") else moment)


def _change(record: Mapping[str, Any], table: Table) -> Change:
    told = record["dynamodb"]
    event_us = int(_seconds(told.get("ApproximateCreationDateTime", 0)) * 1_000_000)
    position = int(told["SequenceNumber"])
    if "NewImage" not in told and "OldImage" not in told:
        raise UsageError(f"the stream of {table.name} has keys only; training needs NEW_AND_OLD_IMAGES")
    return Change(
        position,
        commit_us(position, event_us),
        key_text(table, told["Keys"]),
        told.get("NewImage"),
        told.get("OldImage"),
    )


def versions_of_entity(
    history: Sql | StreamClient,
    table: Table,
    entity: str,
    value: Mapping[str, str],
    tail: StreamClient | None = None,
) -> list[Version]:
    """The history of one entity's events: what a replay needs of it."""
    return versions_of_entities(history, table, entity, [value], tail)[next(iter(value.values()))]


def versions_of_entities(
    history: Sql | StreamClient,
    table: Table,
    entity: str,
    values: Sequence[Mapping[str, str]],
    tail: StreamClient | None = None,
) -> dict[str, list[Version]]:
    """By the text of the entity's value. A lake is a moment behind the table: `tail` is a client whose stream has that moment."""
    wanted = {next(iter(value.values())): dict(value) for value in values}
    existing: list[tuple[str, dict[str, Any]]] = []
    if hasattr(history, "sql"):
        mine = _lake_changes_of(cast(Sql, history), table, entity, wanted, tail)
    else:
        # Items before the stream: what is written in between, the stream tells of.
        existing = [
            (key_text(table, item), item)
            for value in wanted.values()
            for item in _items_of(history, table, entity, value)
        ]
        mine = [change for change in _records(history, table) if _is_of(change, entity, wanted)]
    found: dict[str, list[Version]] = {text: [] for text in wanted}
    for version in versions(mine, existing):
        held = version.item.get(entity)
        text = None if held is None else str(next(iter(held.values())))
        if text is not None and wanted.get(text) == held:
            found[text].append(version)
    return found


def _is_of(change: Change, entity: str, wanted: Mapping[str, Mapping[str, str]]) -> bool:
    return any(
        image is not None and entity in image and str(next(iter(image[entity].values()))) in wanted
        for image in (change.new, change.old)
    )


def _lake_changes_of(
    lake: Sql,
    table: Table,
    entity: str,
    wanted: Mapping[str, Mapping[str, str]],
    tail: StreamClient | None,
) -> list[Change]:
    [landed] = lake.sql(f'SELECT max(sequence) AS landed FROM raw."{table.name}"').table.to_pylist()
    last = landed["landed"]
    listed = ", ".join("'" + text.replace("'", "''") + "'" for text in wanted)
    path = json_path(entity, next(iter(next(iter(wanted.values())))))
    # By their keys: what went while nobody followed the stream has a key and no image.
    query = (
        f"{lake_sql(table)} AND sequence <= '{last}' AND key IN (SELECT key FROM raw.\"{table.name}\" WHERE "
        f"(new_image ->> {path}) IN ({listed}) OR (old_image ->> {path}) IN ({listed}))"
    )
    changes = [] if last is None else list(_raw_rows(lake.sql(query).table.to_pylist()))
    if tail is not None:
        try:
            behind = _records(tail, table, None if last is None else int(last))
            changes += [change for change in behind if _is_of(change, entity, wanted)]
        except ServiceError as error:
            # Behind by more than a stream keeps, or a position that this store does not know: the lake has what it has.
            if error.code not in ("TrimmedDataAccessException", "ValidationException"):
                raise
    return changes


def _items_of(
    client: StreamClient, table: Table, entity: str, value: Mapping[str, str]
) -> Iterator[dict[str, Any]]:
    """The entity's items now, by the table's key or an index on it."""
    request: dict[str, Any] = {
        "TableName": table.name,
        "KeyConditionExpression": "#p = :p",
        "ExpressionAttributeNames": {"#p": entity},
        "ExpressionAttributeValues": {":p": dict(value)},
    }
    if table.partition_key != entity:
        request["IndexName"] = next(name for name, keys in table.indexes.items() if keys.partition == entity)
    while True:
        page = client.query(**request)
        yield from page["Items"]
        if "LastEvaluatedKey" not in page:
            return
        request["ExclusiveStartKey"] = page["LastEvaluatedKey"]


# -- From the lake --


def json_path(name: str, kind: str | None = None) -> str:
    """Of an attribute in an image, or of its value of a kind, as a literal of SQL. Names may hold dots, quotes and spaces."""
    quoted = name.replace("\\", "\\\\").replace('"', '\\"').replace("'", "''")
    return f"'$.\"{quoted}\"'" if kind is None else f"'$.\"{quoted}\".{kind}'"


def lake_sql(table: Table) -> str:
    """The raw log, but for changes whose images were withheld: those left the item as it was."""
    return (
        "SELECT sequence, epoch_us(commit_time) AS commit_us, key, new_image, old_image "
        f'FROM raw."{table.name}" WHERE refused IS NULL'
    )


def lake_changes(lake: Sql, table: Table) -> list[Version]:
    return versions(_raw_rows(lake.sql(lake_sql(table)).table.to_pylist()))


def _raw_rows(rows: Sequence[Mapping[str, Any]]) -> Iterator[Change]:
    loads = orjson.loads
    for row in rows:
        new, old = row["new_image"], row["old_image"]
        yield Change(
            int(row["sequence"]),
            row["commit_us"],
            row["key"],
            None if new is None else loads(new),
            None if old is None else loads(old),
        )
