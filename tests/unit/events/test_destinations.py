"""On-failure destinations: Lambda's message, and its way to an SQS queue and an SNS topic of moto's."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws

from penstock.errors import UsageError
from penstock.events.destinations import destination_of, message_of, tell
from penstock.events.lanes import EXHAUSTED, EXPIRED, Burial
from penstock.events.records import Entry

REGION = "us-east-2"
STREAM = "arn:aws:dynamodb:us-east-2:123456789012:table/mytable/stream/2019-11-14T00:04:06.388"
SHARD = "shardId-00000001573689847184-864758bb"


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    with mock_aws():
        yield


def message(reason: str = EXHAUSTED) -> dict[str, Any]:
    entries = tuple(
        Entry(sequence, created_s, 0.0, 0, {"eventID": "e"})
        for sequence, created_s in (
            (800000000003126276362, 1573690399.0),
            (800000000003126276365, 1573690400.0),
        )
    )
    burial = Burial(entries, reason, None, 3)
    return message_of(
        "my-function", SHARD, STREAM, burial, "316aa6d0-8154-4e91-9af7-85d5f4a6bc81", 1573690429.717
    )


# Why: what reads Lambda's messages from a queue must be able to read ours. The example of Lambda's developer guide, "Retaining
# discarded batches for a DynamoDB event source", member by member.
def test_the_message_is_the_one_that_lambda_sends() -> None:
    assert message() == {
        "requestContext": {
            "requestId": "316aa6d0-8154-4e91-9af7-85d5f4a6bc81",
            "functionArn": "arn:aws:lambda:us-east-2:000000000000:function:my-function",
            "condition": "RetryAttemptsExhausted",
            "approximateInvokeCount": 3,
        },
        "responseContext": {
            "statusCode": 200,
            "executedVersion": "$LATEST",
            "functionError": "Unhandled",
        },
        "version": "1.0",
        "timestamp": "2019-11-14T00:13:49.717Z",
        "DDBStreamBatchInfo": {
            "shardId": SHARD,
            "startSequenceNumber": "800000000003126276362",
            "endSequenceNumber": "800000000003126276365",
            "approximateArrivalOfFirstRecord": "2019-11-14T00:13:19Z",
            "approximateArrivalOfLastRecord": "2019-11-14T00:13:20Z",
            "batchSize": 2,
            "streamArn": STREAM,
        },
    }
    assert message(EXPIRED)["requestContext"]["condition"] == "RecordAgeExceeded"


# Why: Lambda sends the message without the records, and a queue's message has a bound that records may pass.
@pytest.mark.usefixtures("aws")
def test_an_sqs_queue_gets_the_message_without_the_records() -> None:
    sqs = boto3.client("sqs", region_name=REGION)
    url = sqs.create_queue(QueueName="letters")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    destination = destination_of(arn)
    assert destination is not None
    assert tell(destination, {**message(), "payload": {"Records": [{"eventID": "e"}]}})
    [received] = sqs.receive_message(QueueUrl=url)["Messages"]
    assert json.loads(received["Body"]) == message()


# Why: as for a queue; read through a queue that is subscribed to the topic.
@pytest.mark.usefixtures("aws")
def test_an_sns_topic_gets_the_message() -> None:
    sns, sqs = boto3.client("sns", region_name=REGION), boto3.client("sqs", region_name=REGION)
    topic = sns.create_topic(Name="letters")["TopicArn"]
    url = sqs.create_queue(QueueName="listening")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    destination = destination_of(topic)
    assert destination is not None
    assert tell(destination, message())
    [received] = sqs.receive_message(QueueUrl=url)["Messages"]
    assert json.loads(json.loads(received["Body"])["Message"]) == message()


# Why: the dead letters have the record; a queue that is gone is told in the log and stops nothing.
@pytest.mark.usefixtures("aws")
def test_a_queue_that_is_not_there_is_no_error_of_the_stream(caplog: pytest.LogCaptureFixture) -> None:
    destination = destination_of(f"arn:aws:sqs:{REGION}:123456789012:nowhere")
    assert destination is not None
    assert not tell(destination, message())
    assert "function:my-function failed" in caplog.text


# Why: a destination that can never work is a mistake of the declaration, told at the start.
@pytest.mark.parametrize("given", ["letters", "arn:aws:s3:::bucket", "arn:aws:lambda:us-east-2:1:function:f"])
def test_another_kind_of_destination_is_refused(given: str) -> None:
    with pytest.raises(UsageError, match="SQS queue or SNS topic"):
        destination_of(given)
