"""Feast's dynamodb online store over `penstock serve`, unmodified. It needs an environment of its own that has Feast.

python -m venv /some/where && /some/where/bin/pip install "feast==0.67.*" boto3 aiobotocore
FEAST_PYTHON=/some/where/bin/python pytest tests/integration/test_feast.py
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.integration.test_serve_command import serving

import penstock
from penstock.errors import ServiceError

PYTHON = os.environ.get("FEAST_PYTHON")
CUSTOMERS = 250
KEYS = {"AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "s", "AWS_EC2_METADATA_DISABLED": "true"}


@pytest.fixture
def endpoint(tmp_path: Path) -> Iterator[str]:
    with serving(tmp_path / "data") as server:
        yield server.url
        server.stop()


# Why: who has Feast should be able to move its online store here by one line of configuration; only Feast itself can say so.
@pytest.mark.skipif(PYTHON is None, reason="FEAST_PYTHON names no Python that has feast==0.67.*")
def test_feasts_dynamodb_store_runs_over_this_endpoint_unmodified(endpoint: str, tmp_path: Path) -> None:
    assert PYTHON is not None
    script = Path(__file__).with_name("feast_over_dynamodb.py")
    done = subprocess.run(
        [PYTHON, str(script), endpoint, str(tmp_path)],
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "FEAST_USAGE": "False", **KEYS},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    told: dict[str, Any] = json.loads(done.stdout.rpartition("told:")[2])
    expected = {
        "customer_id": [*(f"c{n}" for n in range(CUSTOMERS)), "cnobody"],
        "volume_30d": [*(n * 1.25 for n in range(CUSTOMERS)), None],
        "purchases_7d": [*(n % 7 for n in range(CUSTOMERS)), None],
        "favourite": [*(f"category {n % 3}" for n in range(CUSTOMERS)), None],
    }
    assert told["sync"] == expected
    assert told["async"] == expected
    assert told["written"]["volume_30d"] == [1000.0, 1001.25, 1002.5]
    assert told["written_async"]["purchases_7d"] == [2000, 2001, 1002]
    with penstock.connect(endpoint) as client, pytest.raises(ServiceError, match="not found"):
        client.describe_table(TableName="shop.buyer")  # Feast's teardown took it away.
