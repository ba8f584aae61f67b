"""Dead letters: records that could not be handled, kept with the reason until somebody retries or discards them.

    consumer   id                                 attributes
    reload     <label>/<shard>/<sequence>         kind record, reason, error_type, error_message, trace, attempts, failed_at,
                                                  table, stream_arn, sequence, event_id, and the record: as text, or as
                                                  `parts` further items where it is larger than an item may be
    reload     <label>/<shard>/<sequence>/gap     kind gap: the stream was trimmed behind this position before it was read
    reload     <id>/part/001                      kind part

D1. A letter's id follows from its position, so that burying again after a crash is the same item.
D2. Parts are written before the letter that counts them, and dropped after it.
D3. Letters are written in the transaction that moves the lane past their records. So a record is either handled or a letter,
    never both, also where a worker dies or loses its lease in between.
D4. A retried record is handed to the handler as it was. Later changes of the same key have been handled meanwhile: a handler
    that keeps the latest state compares before it writes.
"""

from __future__ import annotations

import time
import uuid
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Any

import orjson

from penstock.app.plain import instant_text
from penstock.connect.batch_writer import write_all
from penstock.connect.client import Client
from penstock.errors import ServiceError, UsageError
from penstock.events.context import Commit, Context
from penstock.events.exactly_once import WRITES_MAX
from penstock.events.handlers import call, event_of
from penstock.events.lanes import Burial
from penstock.events.outcomes import Failure, failing_index, failure_of
from penstock.events.records import Entry, Record, entry_of, sequence_text
from penstock.events.settings import Settings
from penstock.events.system_tables import DEAD_LETTERS
from penstock.limits import TRANSACTION_BYTES_MAX

RECORD_BYTES_MAX = 300 * 1024  # As text in the letter itself: an item has 400 KB, and the trace is in it too.
PART_BYTES = 350 * 1024
MESSAGE_CHARACTERS_MAX = 2_000
LETTER_BYTES = 32 * 1024  # More than all of a letter but its record, at four bytes a character.
GROUP_BYTES_MAX = TRANSACTION_BYTES_MAX - LETTER_BYTES

Values = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class DeadLetter:
    consumer: str
    id: str
    kind: str  # record | gap
    reason: str
    error_type: str
    error_message: str
    trace: str
    attempts: int
    failed_at: str
    table: str
    stream_arn: str
    sequence: str
    record: Record | None

    def plain(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


class DeadLetters:
    """The table `penstock_dead_letters`."""

    def __init__(self, client: Client) -> None:
        self._client = client

    # -- Burying --

    def bury(
        self, consumer: str, table: str, shard: str, arn: str, burial: Burial, wall_s: float, commit: Commit
    ) -> None:
        """Keep every record of the burial and move the lane past it, as many in one transaction as it holds (D3)."""
        group: list[dict[str, Any]] = []
        parts: list[Values] = []
        size = 0
        through = ""
        for entry in burial.entries:
            number = sequence_text(entry.sequence)
            letter = _letter(consumer, f"{shard}/{number}", "record", burial.reason, wall_s)
            letter |= _failure(burial.failure)
            letter |= {
                "table": {"S": table},
                "stream_arn": {"S": arn},
                "attempts": {"N": str(burial.attempts)},
                "sequence": {"S": number},
                "event_id": {"S": str(entry.record.get("eventID", ""))},
            }
            more = _put_record(letter, entry.record)
            cost = LETTER_BYTES + len(letter["record"]["S"].encode() if "record" in letter else b"")
            if group and (len(group) == WRITES_MAX or size + cost > GROUP_BYTES_MAX):
                self._bury_group(group, parts, through, commit)
                group, parts, size = [], [], 0
            group.append({"Put": {"TableName": DEAD_LETTERS, "Item": letter}})
            parts += more
            size += cost
            through = entry.record["dynamodb"]["SequenceNumber"]
        self._bury_group(group, parts, through, commit)

    def _bury_group(
        self, group: list[dict[str, Any]], parts: list[Values], through: str, commit: Commit
    ) -> None:
        write_all(self._client, DEAD_LETTERS, [{"PutRequest": {"Item": part}} for part in parts])
        commit.transact(group, through)

    def record_gap(self, consumer: str, table: str, shard: str, arn: str, after: int, wall_s: float) -> None:
        """Changes behind this position left the stream before they were read: nobody knows which."""
        letter = _letter(
            consumer, f"{shard}/{sequence_text(after)}/gap", "gap", "the stream was trimmed", wall_s
        )
        letter |= {
            "table": {"S": table},
            "stream_arn": {"S": arn},
            "sequence": {"S": sequence_text(after)},
            "attempts": {"N": "0"},
            **_failure(
                Failure(
                    "TrimmedDataAccessException",
                    f"changes after {sequence_text(after)} were not read"
                    if after
                    else "the first changes of this shard may have left the stream before they were read",
                )
            ),
        }
        self._client.put_item(TableName=DEAD_LETTERS, Item=letter)

    # -- Looking --

    def list(self, consumer: str | None = None, *, limit: int | None = None) -> Iterator[DeadLetter]:
        """Letters of a consumer in order of their positions, or of all, without their records."""
        for item in islice(self._items(consumer), limit):
            yield _dead_letter(item, None)

    def count(self, consumer: str) -> int:
        request = {**self._request(consumer), "Select": "COUNT"}
        return sum(int(page["Count"]) for page in self._pages(request, self._client.query))

    def show(self, consumer: str, id: str) -> DeadLetter:
        item = self._get(consumer, id)
        return _dead_letter(item, self._record(item))

    def discard(self, consumer: str, id: str) -> None:
        """Drop a letter for good."""
        item = self._get(consumer, id)
        self._client.delete_item(TableName=DEAD_LETTERS, Key=_key(consumer, id))
        self._drop_parts(consumer, id, item)

    # -- Retrying --

    def retry(
        self,
        settings: Settings,
        id: str,
        *,
        request_id: str | None = None,
        now_s: Callable[[], float] = time.monotonic,
        wall_s: float | None = None,
    ) -> Failure | None:
        """Call the consumer's handler with the record once more; the letter goes where it is handled.

        None is success. A handler that uses `ctx.transact` commits its writes together with the letter's deletion.
        """
        item = self._get(settings.name, id)
        record = self._record(item)
        if record is None:
            raise UsageError(
                f"{id} is a gap: which changes it stands for is not known, so there is nothing to retry"
            )
        commit = LetterCommit(self._client, _key(settings.name, id))
        request_id = request_id or str(uuid.uuid4())
        context = Context(settings.name, request_id, now_s, region=record.get("awsRegion", ""), commit=commit)
        failure = _try(settings, record, context)
        if failure is None or commit.committed:
            if not commit.committed:
                self._client.delete_item(TableName=DEAD_LETTERS, Key=_key(settings.name, id))
            self._drop_parts(settings.name, id, item)
            return None
        self._note_failure(settings.name, id, failure, time.time() if wall_s is None else wall_s)
        return failure

    def _note_failure(self, consumer: str, id: str, failure: Failure, wall_s: float) -> None:
        values = _failure(failure)
        self._client.update_item(
            TableName=DEAD_LETTERS,
            Key=_key(consumer, id),
            UpdateExpression="SET error_type = :t, error_message = :m, trace = :x, failed_at = :f ADD attempts :one",
            ConditionExpression="attribute_exists(id)",
            ExpressionAttributeValues={
                ":t": values["error_type"],
                ":m": values["error_message"],
                ":x": values["trace"],
                ":f": {"S": _instant(wall_s)},
                ":one": {"N": "1"},
            },
        )

    # -- Items --

    def _items(self, consumer: str | None) -> Iterator[Values]:
        read = self._client.scan if consumer is None else self._client.query
        for page in self._pages(self._request(consumer), read):
            yield from page["Items"]

    def _request(self, consumer: str | None) -> dict[str, Any]:
        request: dict[str, Any] = {
            "TableName": DEAD_LETTERS,
            "FilterExpression": "kind <> :part",
            "ExpressionAttributeValues": {":part": {"S": "part"}},
        }
        if consumer is not None:
            request["KeyConditionExpression"] = "consumer = :c"
            request["ExpressionAttributeValues"][":c"] = {"S": consumer}
        return request

    def _pages(
        self, request: dict[str, Any], read: Callable[..., dict[str, Any]]
    ) -> Iterator[dict[str, Any]]:
        while True:
            try:
                page = read(**request)
            except ServiceError as error:
                if error.code == "ResourceNotFoundException":
                    return  # Nothing was ever buried here.
                raise
            yield page
            if "LastEvaluatedKey" not in page:
                return
            request["ExclusiveStartKey"] = page["LastEvaluatedKey"]

    def _get(self, consumer: str, id: str) -> Values:
        answer = self._client.get_item(TableName=DEAD_LETTERS, Key=_key(consumer, id), ConsistentRead=True)
        if "Item" not in answer:
            raise UsageError(f"{consumer} has no dead letter {id}")
        item: Values = answer["Item"]
        return item

    def _record(self, item: Values) -> Record | None:
        if "record" in item:
            return _parsed(item["record"]["S"])
        if "parts" not in item:
            return None
        consumer, id = item["consumer"]["S"], item["id"]["S"]
        chunks: list[bytes] = []
        for number in range(int(item["parts"]["N"])):
            part = self._get(consumer, _part_id(id, number))
            chunks.append(part["bytes"]["B"])
        return _parsed(zlib.decompress(b"".join(chunks)))

    def _drop_parts(self, consumer: str, id: str, item: Values) -> None:
        count = int(item["parts"]["N"]) if "parts" in item else 0
        keys = [_key(consumer, _part_id(id, number)) for number in range(count)]
        write_all(self._client, DEAD_LETTERS, [{"DeleteRequest": {"Key": key}} for key in keys])


class LetterCommit:
    """`context.Commit` of a retried letter: its deletion stands where the position stands otherwise."""

    def __init__(self, client: Client, key: Values) -> None:
        self._client, self._key = client, key
        self.committed = False

    def transact(self, items: Sequence[dict[str, Any]], through: str | None = None) -> None:
        if self.committed:
            raise UsageError("a retried record is one record: transact once")
        gone = {"TableName": DEAD_LETTERS, "Key": self._key, "ConditionExpression": "attribute_exists(id)"}
        self._client.transact_write_items(TransactItems=[*items, {"Delete": gone}])
        self.committed = True


def _try(settings: Settings, record: Record, context: Context) -> Failure | None:
    try:
        answer = call(settings.handler, event_of([record]), context)
    except (Exception, SystemExit) as error:
        return failure_of(error)
    entries: list[Entry] = [entry_of(record, 0.0)]
    if settings.report_batch_item_failures and failing_index(answer, entries) is not None:
        return Failure("BatchItemFailure", "the handler reported the record as failed")
    return None


def _letter(consumer: str, id: str, kind: str, reason: str, wall_s: float) -> Values:
    return {
        "consumer": {"S": consumer},
        "id": {"S": id},
        "kind": {"S": kind},
        "reason": {"S": reason},
        "failed_at": {"S": _instant(wall_s)},
    }


def _failure(failure: Failure | None) -> Values:
    known = failure or Failure("", "the handler was not called")
    return {
        "error_type": {"S": known.type},
        "error_message": {"S": known.message[:MESSAGE_CHARACTERS_MAX]},
        "trace": {"S": known.trace},
    }


def _put_record(letter: Values, record: Record) -> list[Values]:
    """Put the record into the letter, or give the further items that hold it."""
    text = orjson.dumps(record)
    if len(text) <= RECORD_BYTES_MAX:
        letter["record"] = {"S": text.decode()}
        return []
    packed = zlib.compress(text)
    chunks = [packed[start : start + PART_BYTES] for start in range(0, len(packed), PART_BYTES)]
    letter["parts"] = {"N": str(len(chunks))}
    id = letter["id"]["S"]
    return [
        {
            "consumer": letter["consumer"],
            "id": {"S": _part_id(id, n)},
            "kind": {"S": "part"},
            "bytes": {"B": chunk},
        }
        for n, chunk in enumerate(chunks)
    ]


def _parsed(text: str | bytes) -> Record:
    record: Record = orjson.loads(text)
    return record


def _part_id(id: str, number: int) -> str:
    return f"{id}/part/{number:03d}"


def _key(consumer: str, id: str) -> Values:
    return {"consumer": {"S": consumer}, "id": {"S": id}}


def _instant(wall_s: float) -> str:
    return instant_text(datetime.fromtimestamp(wall_s, UTC))


def _dead_letter(item: Values, record: Record | None) -> DeadLetter:
    def text(name: str) -> str:
        return str(item[name]["S"]) if name in item else ""

    return DeadLetter(
        consumer=text("consumer"),
        id=text("id"),
        kind=text("kind"),
        reason=text("reason"),
        error_type=text("error_type"),
        error_message=text("error_message"),
        trace=text("trace"),
        attempts=int(item["attempts"]["N"]),
        failed_at=text("failed_at"),
        table=text("table"),
        stream_arn=text("stream_arn"),
        sequence=text("sequence"),
        record=record,
    )
