"""From the JSON of CreateTable and UpdateTable to the values of model/tables.py. What arrives here was checked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from penstock.engine.plans import Request
from penstock.model.tables import Index, KeyAttribute, KeySchema, Projected, Throughput


def attribute_types(request: Request) -> dict[str, str]:
    """AttributeDefinitions by name, in the order given."""
    return {d["AttributeName"]: d["AttributeType"] for d in request.get("AttributeDefinitions", ())}


def key_schema(elements: list[dict[str, str]], types: Mapping[str, str]) -> KeySchema:
    def part(kind: str) -> tuple[KeyAttribute, ...]:
        names = (element["AttributeName"] for element in elements if element["KeyType"] == kind)
        return tuple(KeyAttribute(name, types[name]) for name in names)

    return KeySchema(part("HASH"), part("RANGE"))


def new_index(
    spec: dict[str, Any], table_keys: KeySchema, types: Mapping[str, str], space: int, *, is_global: bool
) -> Index:
    keys = key_schema(spec["KeySchema"], types)
    projected = Projected(spec["Projection"]["ProjectionType"])
    included = tuple(spec["Projection"].get("NonKeyAttributes", ()))
    holds = None
    if projected is not Projected.ALL:
        holds = frozenset(table_keys.names + keys.names + included)
    return Index(
        name=spec["IndexName"],
        space=space,
        keys=keys,
        projected=projected,
        included=included,
        holds=holds,
        is_global=is_global,
        throughput=throughput_of(spec),
        on_demand=on_demand_of(spec),
        warm=warm_of(spec),
    )


def throughput_of(spec: dict[str, Any]) -> Throughput:
    given = spec.get("ProvisionedThroughput")
    if given is None:
        return Throughput()
    return Throughput(given["ReadCapacityUnits"], given["WriteCapacityUnits"])


def on_demand_of(spec: dict[str, Any]) -> tuple[int, int] | None:
    return _pair(spec.get("OnDemandThroughput"), "MaxReadRequestUnits", "MaxWriteRequestUnits")


def warm_of(spec: dict[str, Any]) -> tuple[int, int] | None:
    return _pair(spec.get("WarmThroughput"), "ReadUnitsPerSecond", "WriteUnitsPerSecond")


def _pair(given: dict[str, int] | None, read: str, write: str) -> tuple[int, int] | None:
    """-1 stands for no limit, and for a member that is not given."""
    if given is None:
        return None
    pair = (given.get(read, -1), given.get(write, -1))
    return None if pair == (-1, -1) else pair


def encryption_of(request: Request) -> tuple[tuple[str, str], ...]:
    """The key's name, for SSEDescription to show; nothing where the default encryption is meant."""
    spec = request.get("SSESpecification")
    if not spec or not spec.get("Enabled", "SSEType" in spec or "KMSMasterKeyId" in spec):
        return ()
    return (("KMSMasterKeyId", spec.get("KMSMasterKeyId", "alias/aws/dynamodb")),)
