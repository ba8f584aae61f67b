"""Where an on-failure destination is told of records that went to the dead letters: a function, an SQS queue, an SNS topic.

The message is the one that Lambda sends for a stream; a function gets the event as well, under "payload", as an S3
destination does on Lambda. A destination that fails is logged and changes nothing: the dead letters have the records.
"""

from __future__ import annotations

import importlib
import logging
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import orjson

from penstock.errors import UsageError
from penstock.events.context import function_arn
from penstock.events.lanes import EXPIRED, Burial
from penstock.events.records import sequence_text

log = logging.getLogger("penstock.events")

Destination = Callable[[dict[str, Any]], None]


def message_of(
    consumer: str, shard_id: str, stream_arn: str, burial: Burial, request_id: str, wall_s: float
) -> dict[str, Any]:
    first, last = burial.entries[0], burial.entries[-1]
    condition = "RecordAgeExceeded" if burial.reason == EXPIRED else "RetryAttemptsExhausted"
    return {
        "requestContext": {
            "requestId": request_id,
            "functionArn": function_arn(consumer, stream_arn.split(":")[3]),
            "condition": condition,
            "approximateInvokeCount": burial.attempts,
        },
        "responseContext": {"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"},
        "version": "1.0",
        "timestamp": _instant(wall_s, "milliseconds"),
        "DDBStreamBatchInfo": {
            "shardId": shard_id,
            "startSequenceNumber": sequence_text(first.sequence),
            "endSequenceNumber": sequence_text(last.sequence),
            "approximateArrivalOfFirstRecord": _instant(first.created_s, "seconds"),
            "approximateArrivalOfLastRecord": _instant(last.created_s, "seconds"),
            "batchSize": len(burial.entries),
            "streamArn": stream_arn,
        },
    }


def _instant(wall_s: float, precision: str) -> str:
    """As Lambda writes it: 2019-11-14T00:13:49.717Z."""
    return datetime.fromtimestamp(wall_s, UTC).replace(tzinfo=None).isoformat(timespec=precision) + "Z"


def destination_of(declared: Destination | str | None) -> Destination | None:
    """A function that delivers. An ARN needs boto3, which is an extra, and is refused now where it cannot work."""
    if declared is None or callable(declared):
        return declared
    kind = declared.split(":")[2:3]
    if declared.startswith("arn:") and kind in (["sqs"], ["sns"]):
        return _to_aws(declared, kind[0])
    raise UsageError(f"on_failure is a function or the ARN of an SQS queue or SNS topic, not {declared!r}")


def _to_aws(arn: str, service: str) -> Destination:
    try:
        boto3 = importlib.import_module("boto3")
    except ModuleNotFoundError as error:
        raise UsageError("an on_failure ARN needs boto3: pip install 'penstock[aws]'") from error
    region, account, name = arn.split(":")[3:6]
    client = boto3.client(service, region_name=region)

    def deliver(message: dict[str, Any]) -> None:
        text = orjson.dumps({key: held for key, held in message.items() if key != "payload"}).decode()
        if service == "sns":
            client.publish(TopicArn=arn, Message=text)
        else:
            url = client.get_queue_url(QueueName=name, QueueOwnerAWSAccountId=account)["QueueUrl"]
            client.send_message(QueueUrl=url, MessageBody=text)

    return deliver


def tell(destination: Destination, message: dict[str, Any]) -> bool:
    """Deliver, and say whether that worked."""
    try:
        destination(message)
    except (Exception, SystemExit) as error:
        log.error(
            "the on-failure destination of %s failed: %s", message["requestContext"]["functionArn"], error
        )
        return False
    return True
