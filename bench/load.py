"""Tables with items of 1 KB, and wrk's figures over them."""

from __future__ import annotations

import json
import subprocess
import urllib.request
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from servers import Running

SCRIPT = Path(__file__).parent / "wrk" / "requests.lua"
FIRSTS = count(0, 10_000_000)
BLOB = "abcdefghij0123456789" * 40


@dataclass
class Figures:
    per_s: float
    p50_ms: float
    p99_ms: float
    cpu_us: float
    failed: int


def call(server: Running, action: str, request: dict[str, Any]) -> dict[str, Any]:
    body = json.dumps(request).encode()
    headers = {
        "Content-Type": "application/x-amz-json-1.0",
        "X-Amz-Target": f"DynamoDB_20120810.{action}",
        "Authorization": "AWS4-HMAC-SHA256 Credential=bench/20261120/us-east-1/dynamodb/aws4_request, "
        "SignedHeaders=host, Signature=0",
        "X-Amz-Date": "20261120T000000Z",
    }
    with urllib.request.urlopen(urllib.request.Request(server.url, body, headers)) as answer:
        reply: dict[str, Any] = json.loads(answer.read() or b"{}")
        return reply


def item(n: int, items: int) -> dict[str, Any]:
    """The n-th of `items`: each customer has fifty."""
    return {
        "customer_id": {"S": f"c{n % (items // 50):05d}"},
        "sk": {"S": f"p{n:09d}"},
        "at": {"S": f"2026-11-20T10:{n:09d}"},
        "category": {"S": f"k{n % 500:03d}"},
        "amount": {"N": "12.5"},
        "blob": {"S": BLOB},
    }


def definition(name: str, indexed: bool) -> dict[str, Any]:
    def key(*names: str) -> list[dict[str, str]]:
        return [{"AttributeName": n, "KeyType": k} for n, k in zip(names, ("HASH", "RANGE"), strict=False)]

    names = ["customer_id", "sk"] + (["at", "category"] if indexed else [])
    request: dict[str, Any] = {
        "TableName": name,
        "KeySchema": key("customer_id", "sk"),
        "AttributeDefinitions": [{"AttributeName": n, "AttributeType": "S"} for n in names],
        "BillingMode": "PAY_PER_REQUEST",
    }
    if indexed:
        everything = {"ProjectionType": "ALL"}
        request["LocalSecondaryIndexes"] = [
            {"IndexName": "by_time", "KeySchema": key("customer_id", "at"), "Projection": everything}
        ]
        request["GlobalSecondaryIndexes"] = [
            {
                "IndexName": "by_category",
                "KeySchema": key("category", "customer_id"),
                "Projection": {"ProjectionType": "KEYS_ONLY"},
            }
        ]
        request["StreamSpecification"] = {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}
    return request


def fill(server: Running, name: str, items: int, indexed: bool = False) -> None:
    call(server, "CreateTable", definition(name, indexed))
    while call(server, "DescribeTable", {"TableName": name})["Table"]["TableStatus"] != "ACTIVE":
        pass
    for first in range(0, items, 25):
        puts = [{"PutRequest": {"Item": item(n, items)}} for n in range(first, min(first + 25, items))]
        call(server, "BatchWriteItem", {"RequestItems": {name: puts}})


def measure(
    server: Running, action: str, table: str, items: int, connections: int, seconds: float = 3
) -> Figures:
    command = [
        "wrk",
        "-t1",
        f"-c{connections}",
        f"-d{round(seconds)}s",
        "--latency",
        "-s",
        str(SCRIPT),
        server.url,
    ]
    before = server.cpu_s()
    out = subprocess.run(
        [*command, "--", action, table, str(items), str(next(FIRSTS))],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    cpu_s = server.cpu_s() - before
    line = next(line for line in out.splitlines() if line.startswith("RESULT "))
    requests, duration_us, p50, p99, failed = (int(word) for word in line.split()[1:])
    return Figures(
        requests / duration_us * 1e6, p50 / 1000, p99 / 1000, cpu_s / max(requests, 1) * 1e6, failed
    )
