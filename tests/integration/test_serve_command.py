"""`penstock serve` as a process: boto3 and our own clients against it, signals, keys, one owner."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import botocore.config
import botocore.exceptions
import pytest
from tests.edge import PATIENCE_S

import penstock
from penstock.errors import ServiceError

SERVE = "import sys; from penstock.cli.main import main; main(sys.argv[1:])"


class Serving:
    """A `penstock serve` that has said where it listens."""

    def __init__(self, folder: Path, *options: str, before: str = "") -> None:
        command = [
            sys.executable,
            "-c",
            before + SERVE,
            "serve",
            "--data",
            str(folder),
            "--port",
            "0",
            *options,
        ]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.line = self.process.stdout.readline()
        self.url = next((word for word in self.line.split() if word.startswith("http://")), "")

    def stop(self, number: int = signal.SIGTERM) -> tuple[int, str]:
        self.process.send_signal(number)
        _, errors = self.process.communicate(timeout=PATIENCE_S)
        # A busy machine makes the loop late, which is told and is no fault of the server's.
        told = [
            line
            for line in errors.splitlines(keepends=True)
            if " WARNING penstock.server.pulse: " not in line
        ]
        return self.process.returncode, "".join(told)


@contextmanager
def serving(folder: Path, *options: str, before: str = "") -> Iterator[Serving]:
    """`before` is Python that runs in the process first."""
    started = Serving(folder, *options, before=before)
    try:
        yield started
    finally:
        if started.process.poll() is None:
            started.process.kill()
            started.process.communicate(timeout=PATIENCE_S)


def boto(url: str, key: str = "any", secret: str = "thing") -> Any:
    return boto3.client(
        "dynamodb",
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id=key,
        aws_secret_access_key=secret,
        config=botocore.config.Config(retries={"max_attempts": 0}),
    )


NOTES: dict[str, Any] = {
    "TableName": "notes",
    "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
    "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
    "BillingMode": "PAY_PER_REQUEST",
}


def make_table(client: Any) -> None:
    client.create_table(**NOTES)
    client.get_waiter("table_exists").wait(
        TableName="notes", WaiterConfig={"Delay": 0, "MaxAttempts": 10_000}
    )


# Why: the whole promise in one line of output: any DynamoDB client works with that URL, and what it was told is
# written is there for the next process, whichever way it opens the directory.
def test_what_boto3_writes_to_a_server_is_there_afterwards(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        assert f'boto3.client("dynamodb", endpoint_url="{server.url}")' in server.line
        client = boto(server.url)
        make_table(client)
        client.put_item(TableName="notes", Item={"id": {"S": "1"}, "b": {"B": b"\x00"}})
        answer = client.get_item(TableName="notes", Key={"id": {"S": "1"}})
        assert answer["Item"] == {"id": {"S": "1"}, "b": {"B": b"\x00"}}
        assert answer["ResponseMetadata"]["RetryAttempts"] == 0
        for url in (server.url, f"file:{tmp_path}"):
            with penstock.connect(url) as ours:
                assert ours.get_item(TableName="notes", Key={"id": {"S": "1"}})["Item"] == answer["Item"]
        assert server.stop() == (0, "")
    with penstock.connect(f"file:{tmp_path}") as later:
        assert later.scan(TableName="notes", Select="COUNT")["Count"] == 1


# Why: a program that starts a server on any free port has to learn which; a sentence for people is no interface.
def test_serve_says_as_json_where_it_listens(tmp_path: Path) -> None:
    with serving(tmp_path, "--json") as server:
        said = json.loads(server.line)
        assert said == {"data": str(tmp_path), "url": said["url"], "signed": False, "like_aws_seed": None}
        assert boto(said["url"]).list_tables()["TableNames"] == []
        assert server.stop() == (0, "")


FAILING_LOG = """
import resource, signal
from penstock.cli import serve
before = serve._announce
def announce(*said):
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # So that a write fails (EFBIG) instead of ending the process.
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, resource.RLIM_INFINITY))
    before(*said)
serve._announce = announce
"""


def put_until_refused(client: Any) -> int:
    """How many puts were answered."""
    try:
        for number in range(1000):
            client.put_item(TableName="notes", Item={"id": {"S": str(number)}, "text": {"S": "x" * 1000}})
    except (botocore.exceptions.ClientError, botocore.exceptions.HTTPClientError):
        return number
    raise AssertionError("a log that may not grow took everything")


# Why: an I/O error in the log is got over by opening the directory again, and by nothing else. Nothing that was
# answered is lost, and what was not may be there.
def test_a_server_whose_log_fails_ends_and_the_next_one_has_what_was_answered(tmp_path: Path) -> None:
    with serving(tmp_path, before=FAILING_LOG) as server:
        client = boto(server.url)
        make_table(client)
        answered = put_until_refused(client)
        _, errors = server.process.communicate(timeout=PATIENCE_S)
    assert server.process.returncode not in (0, None)
    assert "the data directory must be opened again" in errors
    assert answered > 50
    with serving(tmp_path) as server:
        count = boto(server.url).scan(TableName="notes", Select="COUNT")["Count"]
        assert count in (answered, answered + 1)


# Why: Ctrl-C is the way most servers end.
def test_an_interrupt_ends_the_server_in_good_order(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        assert server.stop(signal.SIGINT) == (0, "")
    assert not (tmp_path / "owner.sock").exists()


# Why: one directory, one owner; the second server must say who has it and how to reach it.
def test_a_second_server_on_a_directory_is_refused(tmp_path: Path) -> None:
    with serving(tmp_path) as first, serving(tmp_path) as second:
        assert second.line == ""
        _, errors = second.process.communicate(timeout=PATIENCE_S)
        assert second.process.returncode == 2
        assert errors == (
            f"penstock: {tmp_path} is owned by process {first.process.pid}; "
            f"penstock.connect('file:{tmp_path}') speaks to it\n"
        )


# Why: with keys, only who has one is served, and the errors are those that boto3's users know from AWS.
def test_access_keys_are_checked_where_they_are_given(tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.write_text("# ours\nAKIDEXAMPLE secret\n")
    os.chmod(keys, 0o600)
    data = tmp_path / "data"
    with serving(data, "--access-keys", str(keys)) as server:
        make_table(boto(server.url, "AKIDEXAMPLE", "secret"))
        for key, secret, code in (
            ("AKIDEXAMPLE", "wrong", "InvalidSignatureException"),
            ("NOBODY", "secret", "UnrecognizedClientException"),
        ):
            with pytest.raises(botocore.exceptions.ClientError) as caught:
                boto(server.url, key, secret).list_tables()
            assert caught.value.response["Error"]["Code"] == code
        with penstock.connect(server.url) as unsigned, pytest.raises(ServiceError) as refused:
            unsigned.list_tables()
        assert refused.value.code == "MissingAuthenticationTokenException"
        with penstock.connect(server.url, access_key="AKIDEXAMPLE", secret_key="secret") as ours:
            assert ours.list_tables() == {"TableNames": ["notes"]}
        with penstock.connect(f"file:{data}") as local:
            assert local.list_tables() == {"TableNames": ["notes"]}


# Why: the port may be taken; that is a message, and the directory is free again.
def test_a_taken_port_is_explained(tmp_path: Path) -> None:
    with serving(tmp_path / "a") as first:
        port = first.url.rsplit(":", 1)[1]
        with serving(tmp_path / "b", "--port", port) as second:
            assert second.line == ""
            _, errors = second.process.communicate(timeout=PATIENCE_S)
            assert second.process.returncode == 2
            assert errors.startswith(f"penstock: 127.0.0.1:{port} cannot be listened on: ")
    with penstock.connect(f"file:{tmp_path / 'b'}") as free:
        assert free.list_tables() == {"TableNames": []}
