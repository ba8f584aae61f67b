"""A table's change stream, read in order from a position: the lake's side of the Streams API.

S1. A shard is read after its parent has ended, so that the changes of a key come in order.
S2. A shard that was never read is followed from a time before the scan began; one that appears later from its start.
S3. What cannot be followed is an error with a name: `Trimmed` (records are gone: snapshot again) and `Beyond` (the
    position is of a future that this stream never had: stop).
S4. A read goes on until a page is empty or a record is newer than the read's beginning. So a batch that is `caught_up`
    holds everything that was durable when `read` was called, and a busy stream does not hold the reader.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from penstock.errors import PenstockError, ServiceError
from penstock.lake.api import Api
from penstock.lake.progress import ShardPlace
from penstock.lake.rows import Change, from_record
from penstock.limits import STREAM_RECORDS_MAX

# A place that is only a time is refreshed hourly, and one older than this may have lost records to a 24 h retention.
SINCE_S_MAX = 20 * 3600
SINCE_REFRESH_S = 3600
_DISCOVER_S = 10.0
_MARGIN_US = 2_000_000  # Between this machine's clock and that of the tables.


class NoStream(PenstockError):
    """The table is not there, or has no stream with both images."""


class Trimmed(PenstockError):
    """Changes between the position and the oldest record that the stream still has are gone."""


class Beyond(PenstockError):
    """The position lies behind the end of the stream: the tables were replaced by older ones."""


@dataclass
class Batch:
    """Changes in order, and each touched shard's place behind them."""

    changes: list[Change] = field(default_factory=list)
    places: dict[str, ShardPlace] = field(default_factory=dict)
    caught_up: bool = True


class Source(Protocol):
    """Where changes come from; `StreamReader` reads the public API."""

    arn: str
    keys: tuple[str, ...]

    def follow(self, places: dict[str, ShardPlace], stream: str) -> None: ...

    def read(self, records_max: int, wait_ms: int) -> Batch: ...


@dataclass
class _Shard:
    id: str
    parent: str | None
    place: ShardPlace | None = None
    iterator: str | None = None


class StreamReader:
    """One table's stream. Call it from one thread."""

    def __init__(self, api: Api, table: str, now_s: Callable[[], float] = time.time) -> None:
        self._api, self._table, self._now_s = api, table, now_s
        described = self._describe_table()
        self.keys = tuple(
            part["AttributeName"]
            for part in sorted(described["KeySchema"], key=lambda part: part["KeyType"] != "HASH")
        )
        self.arn: str = described["LatestStreamArn"]
        self._shards: dict[str, _Shard] = {}
        self._discovered_s = float("-inf")

    def _describe_table(self) -> dict[str, Any]:
        try:
            described: dict[str, Any] = self._api.call("DescribeTable", {"TableName": self._table})["Table"]
        except ServiceError as error:
            if error.code == "ResourceNotFoundException":
                raise NoStream(f"there is no table {self._table}") from error
            raise
        wanted = described.get("StreamSpecification", {})
        if not wanted.get("StreamEnabled") or wanted.get("StreamViewType") != "NEW_AND_OLD_IMAGES":
            raise NoStream(f"table {self._table} has no stream with new and old images; declare stream=True")
        return described

    def beginning(self) -> dict[str, ShardPlace]:
        """Places from which nothing is missed that a scan begun now does not see (S2)."""
        since_us = int(self._now_s() * 1_000_000) - _MARGIN_US
        return {
            shard["ShardId"]: ShardPlace(done=True)
            if "EndingSequenceNumber" in shard["SequenceNumberRange"]
            else ShardPlace(since_us=since_us)
            for shard in self._list_shards()
        }

    def follow(self, places: dict[str, ShardPlace], stream: str) -> None:
        """Go on from these places, or raise Trimmed or Beyond."""
        if stream != self.arn:
            raise Trimmed(f"the stream {stream} has ended and {self.arn} took its place")
        self._shards = {}
        self._discover()
        for id_, place in places.items():
            if id_ in self._shards:
                self._shards[id_].place = place
            elif not place.done:
                raise Trimmed(f"shard {id_} is gone from the stream before it was read to its end")
        for shard in self._shards.values():
            if shard.place is not None and not shard.place.done:
                shard.iterator = self._iterator(shard)

    def _list_shards(self) -> list[dict[str, Any]]:
        shards: list[dict[str, Any]] = []
        request: dict[str, Any] = {"StreamArn": self.arn}
        while True:
            try:
                page = self._api.call("DescribeStream", request)["StreamDescription"]
            except ServiceError as error:
                if error.code == "ResourceNotFoundException":
                    raise Trimmed(f"the stream {self.arn} is gone") from error
                raise
            shards += page["Shards"]
            if "LastEvaluatedShardId" not in page:
                return shards
            request["ExclusiveStartShardId"] = page["LastEvaluatedShardId"]

    def _discover(self) -> None:
        self._discovered_s = self._now_s()
        listed = self._list_shards()
        for shard in listed:
            if shard["ShardId"] not in self._shards:
                self._shards[shard["ShardId"]] = _Shard(shard["ShardId"], shard.get("ParentShardId"))
        gone = self._shards.keys() - {shard["ShardId"] for shard in listed}
        for id_ in gone:
            place = self._shards[id_].place
            if place is not None and place.done:
                del self._shards[id_]

    def _readable(self) -> list[_Shard]:
        found = []
        for shard in self._shards.values():
            if shard.place is not None and shard.place.done:
                continue
            parent = self._shards.get(shard.parent or "")
            if parent is None or (parent.place is not None and parent.place.done):
                found.append(shard)
        return found

    def read(self, records_max: int, wait_ms: int) -> Batch:
        """What is there, up to about `records_max`; where nothing is, wait for the first change."""
        if self._now_s() - self._discovered_s > _DISCOVER_S:
            self._discover()
        batch = Batch()
        began_us = int(self._now_s() * 1_000_000)
        shards = self._readable()
        for shard in shards:
            self._drain(shard, batch, records_max, 0, began_us)
        if not batch.changes and wait_ms and shards:
            for shard in shards:
                self._drain(shard, batch, records_max, max(1, wait_ms // len(shards)), 0)
                if batch.changes:
                    break
        return batch

    def _drain(self, shard: _Shard, batch: Batch, records_max: int, wait_ms: int, until_us: int) -> None:
        while True:
            if len(batch.changes) >= records_max:
                batch.caught_up = False
                return
            asked_us = int(self._now_s() * 1_000_000) - _MARGIN_US
            answer = self._page(shard, wait_ms)
            records = answer["Records"]
            batch.changes += [from_record(record, shard.id, self.keys) for record in records]
            if records:
                shard.place = ShardPlace(after=records[-1]["dynamodb"]["SequenceNumber"])
                batch.places[shard.id] = shard.place
            elif shard.place is None or shard.place.since_us is not None:
                # Everything before the request was durable and seen: the place may move to its time.
                shard.place = ShardPlace(since_us=asked_us)
                batch.places[shard.id] = shard.place
            shard.iterator = answer.get("NextShardIterator")
            if shard.iterator is None:
                shard.place = ShardPlace(done=True)
                batch.places[shard.id] = shard.place
                self._discovered_s = float("-inf")
                return
            # Times of AWS are whole seconds, so that a second more is needed to be sure.
            if not records or batch.changes[-1].event_us > until_us:
                return

    def _page(self, shard: _Shard, wait_ms: int) -> dict[str, Any]:
        for _ in range(3):
            if shard.iterator is None:
                shard.iterator = self._iterator(shard)
            try:
                return self._api.call(
                    "GetRecords", {"ShardIterator": shard.iterator, "Limit": STREAM_RECORDS_MAX}, wait_ms
                )
            except ServiceError as error:
                if error.code == "ExpiredIteratorException":
                    shard.iterator = None
                    continue
                raise _translated(error, shard) from error
        raise Trimmed(f"shard {shard.id}: iterators expire at once")

    def _iterator(self, shard: _Shard) -> str:
        request: dict[str, Any] = {"StreamArn": self.arn, "ShardId": shard.id}
        place = shard.place
        if place is not None and place.after is not None:
            request |= {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "SequenceNumber": place.after}
        elif place is not None and place.since_us is not None:
            since_s = place.since_us / 1_000_000
            if self._now_s() - since_s > SINCE_S_MAX:
                raise Trimmed(
                    f"shard {shard.id} was last read {int(self._now_s() - since_s) // 3600} hours ago"
                )
            request |= {"ShardIteratorType": "AT_TIMESTAMP", "Timestamp": since_s}
        else:
            request["ShardIteratorType"] = "TRIM_HORIZON"
        try:
            iterator: str = self._api.call("GetShardIterator", request)["ShardIterator"]
        except ServiceError as error:
            raise _translated(error, shard) from error
        return iterator


def _translated(error: ServiceError, shard: _Shard) -> PenstockError:
    if error.code == "TrimmedDataAccessException":
        return Trimmed(f"shard {shard.id}: {error.message}")
    if error.code == "ResourceNotFoundException":
        return Trimmed(f"shard {shard.id} is gone: {error.message}")
    if error.code == "ValidationException" and "SequenceNumber" in (error.message or ""):
        return Beyond(
            f"shard {shard.id}: position {shard.place and shard.place.after} is beyond the stream's end: "
            f"{error.message}"
        )
    return error


def list_streams(api: Api) -> list[dict[str, Any]]:
    """Every stream: one page has at most a hundred."""
    streams: list[dict[str, Any]] = []
    request: dict[str, Any] = {}
    while True:
        page = api.call("ListStreams", request)
        streams += page["Streams"]
        last = page.get("LastEvaluatedStreamArn")
        if last is None:
            return streams
        request = {"ExclusiveStartStreamArn": last}


def scan_page(api: Api, table: str, start_key: dict[str, Any] | None) -> tuple[list[dict[str, Any]], Any]:
    """One page of the table as it is now: consistent, so that every change before it is in the stream."""
    request: dict[str, Any] = {"TableName": table, "ConsistentRead": True}
    if start_key is not None:
        request["ExclusiveStartKey"] = start_key
    answer = api.call("Scan", request)
    return answer["Items"], answer.get("LastEvaluatedKey")
