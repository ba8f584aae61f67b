"""Feast's own dynamodb online store, unmodified, from apply to teardown. Run by test_feast.py with a Python that has Feast.

    python feast_over_dynamodb.py ENDPOINT FOLDER

It prints what it read as JSON; what that has to be stands in the test. Nothing of this project is imported here.
"""

from __future__ import annotations

import asyncio
import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas
from feast import Entity, FeatureStore, FeatureView, Field, FileSource, ValueType
from feast.repo_config import RepoConfig
from feast.types import Float64, Int64, String

CUSTOMERS = 250  # Three pages of BatchGetItem, ten of BatchWriteItem.
NAMES = ["buyer:volume_30d", "buyer:purchases_7d", "buyer:favourite"]


def frame(at: datetime, customers: range, shift: int) -> pandas.DataFrame:
    return pandas.DataFrame(
        {
            "customer_id": [f"c{n}" for n in customers],
            "volume_30d": [n * 1.25 + shift for n in customers],
            "purchases_7d": [n % 7 + shift for n in customers],
            "favourite": [f"category {n % 3}" for n in customers],
            "event_timestamp": [at] * len(customers),
        }
    )


def main(endpoint: str, folder: Path) -> dict[str, Any]:
    now = datetime.now(UTC).replace(microsecond=0)
    path = folder / "buyers.parquet"
    frame(now - timedelta(hours=1), range(CUSTOMERS), 0).to_parquet(path)
    online = {
        "type": "dynamodb",
        "region": "us-east-1",
        "endpoint_url": endpoint,
        "consistent_reads": True,
        "warmup_connections": True,
        "tags": {"team": "shop"},
    }
    config = RepoConfig(
        project="shop",
        provider="local",
        registry=str(folder / "registry.db"),
        online_store=online,
        offline_store={"type": "file"},
        entity_key_serialization_version=3,
    )
    store = FeatureStore(config=config)
    customer = Entity(name="customer", join_keys=["customer_id"], value_type=ValueType.STRING)

    def view(**tags: str) -> FeatureView:
        return FeatureView(
            name="buyer",
            entities=[customer],
            ttl=timedelta(days=30),
            schema=[
                Field(name="volume_30d", dtype=Float64),
                Field(name="purchases_7d", dtype=Int64),
                Field(name="favourite", dtype=String),
            ],
            source=FileSource(path=str(path), timestamp_field="event_timestamp"),
            tags=tags,
        )

    store.apply([customer, view()])
    store.materialize(now - timedelta(days=1), now)
    everyone = [{"customer_id": f"c{n}"} for n in [*range(CUSTOMERS), "nobody"]]
    told: dict[str, Any] = {"sync": store.get_online_features(NAMES, everyone).to_dict()}
    told["async"] = asyncio.run(read_async(config, everyone))
    store.apply([customer, view(owner="ann")])  # Tags of a table that is there: a diff.
    store.write_to_online_store("buyer", frame(now, range(3), 1000))
    told["written"] = store.get_online_features(NAMES, everyone[:3]).to_dict()
    asyncio.run(write_async(config, frame(now + timedelta(seconds=1), range(2), 2000)))
    told["written_async"] = store.get_online_features(NAMES, everyone[:3]).to_dict()
    store.teardown()
    return told


async def read_async(config: RepoConfig, everyone: list[dict[str, str]]) -> dict[str, Any]:
    store = FeatureStore(config=config)
    await store.initialize()
    answers = await asyncio.gather(*(store.get_online_features_async(NAMES, everyone) for _ in range(4)))
    await store.close()
    found = [answer.to_dict() for answer in answers]
    assert all(each == found[0] for each in found)
    first: dict[str, Any] = found[0]
    return first


async def write_async(config: RepoConfig, rows: pandas.DataFrame) -> None:
    store = FeatureStore(config=config)
    await store.initialize()
    await store.write_to_online_store_async("buyer", rows)
    await store.close()


if __name__ == "__main__":
    result = main(sys.argv[1], Path(sys.argv[2]))
    print("told:" + json.dumps(result))
