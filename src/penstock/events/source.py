"""A table's change stream through the public Streams API: which shards there are, and a page of one.

Reads are held open where the endpoint can do that (`wait_ms`); elsewhere an empty page comes at once and the consumer polls.
An iterator that has expired, or that another server made, is replaced by one from the position: positions are what lasts.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from penstock.connect.client import Client
from penstock.errors import ServiceError
from penstock.events.effects import Page, Read
from penstock.events.lineage import ShardShape, StreamShape
from penstock.events.records import sequence_text

TRIMMED = "TrimmedDataAccessException"
# An expired iterator by AWS's name; other endpoints call one that they do not know a bad request.
STALE = frozenset({"ExpiredIteratorException", "ValidationException"})


class Source:
    """The streams of one table."""

    def __init__(self, client: Client, table: str) -> None:
        self._client, self._table = client, table

    def streams(self) -> tuple[StreamShape, ...]:
        return tuple(
            shape
            for listed in self._listed()
            if (shape := self._describe(listed["StreamArn"], listed["StreamLabel"])) is not None
        )

    def _listed(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        start: dict[str, Any] = {}
        while True:
            page = self._client.list_streams(TableName=self._table, **start)
            found += page["Streams"]
            if "LastEvaluatedStreamArn" not in page:
                return found
            start = {"ExclusiveStartStreamArn": page["LastEvaluatedStreamArn"]}

    def _describe(self, arn: str, label: str) -> StreamShape | None:
        shards: list[ShardShape] = []
        start: dict[str, Any] = {}
        while True:
            try:
                told = self._client.describe_stream(StreamArn=arn, **start)["StreamDescription"]
            except ServiceError as error:
                if error.code == "ResourceNotFoundException":
                    return None  # It went between the list and the description.
                raise
            for shard in told["Shards"]:
                numbers = shard.get("SequenceNumberRange", {})
                is_open = "EndingSequenceNumber" not in numbers
                shards.append(ShardShape(shard["ShardId"], shard.get("ParentShardId"), is_open))
            if "LastEvaluatedShardId" not in told:
                keys = {each["KeyType"]: each["AttributeName"] for each in told["KeySchema"]}
                return StreamShape(arn, label, keys["HASH"], tuple(shards))
            start = {"ExclusiveStartShardId": told["LastEvaluatedShardId"]}

    def read(self, wanted: Read) -> Page:
        try:
            return self._page(wanted)
        except ServiceError as error:
            # Where an endpoint takes no number from before the shard, it does not tell whether the shard is whole.
            if error.code == TRIMMED or (wanted.whole and error.code == "ValidationException"):
                return Page(trimmed=True)
            raise

    def _page(self, wanted: Read) -> Page:
        if wanted.iterator is not None:
            try:
                return self._records(wanted.iterator, wanted)
            except ServiceError as error:
                if error.code not in STALE:
                    raise
        return self._records(self._iterator(wanted), wanted)

    def _records(self, iterator: str, wanted: Read) -> Page:
        answer = self._client.get_records(wanted.wait_ms, ShardIterator=iterator, Limit=wanted.limit)
        return Page(tuple(answer["Records"]), answer.get("NextShardIterator"))

    def _iterator(self, wanted: Read) -> str:
        if wanted.after:
            return self._iterator_at(
                wanted, "AFTER_SEQUENCE_NUMBER", SequenceNumber=sequence_text(wanted.after)
            )
        if wanted.whole:
            return self._iterator_at(wanted, "AFTER_SEQUENCE_NUMBER", SequenceNumber=sequence_text(0))
        if wanted.since_s:
            since = datetime.fromtimestamp(wanted.since_s, UTC)
            try:
                return self._iterator_at(wanted, "AT_TIMESTAMP", Timestamp=since)
            except (ServiceError, TypeError) as error:
                # An older endpoint, or one whose clock is behind: what came before is read, and left out by its time.
                if isinstance(error, ServiceError) and error.code != "ValidationException":
                    raise
        return self._iterator_at(wanted, "TRIM_HORIZON")

    def _iterator_at(self, wanted: Read, type_: str, **more: Any) -> str:
        answer = self._client.get_shard_iterator(
            StreamArn=wanted.stream_arn, ShardId=wanted.shard_id, ShardIteratorType=type_, **more
        )
        return str(answer["ShardIterator"])
