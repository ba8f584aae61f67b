"""What CreateTable checks beyond its shape, in AWS's order: throughput, keys, local indexes, global indexes, the rest.

UpdateTable shares the checks of one index and of throughput; its own are in table_update_checks.py.
"""

from __future__ import annotations

from typing import Any

from penstock import errors
from penstock.engine.plans import Request
from penstock.limits import GLOBAL_INDEXES_MAX, LOCAL_INDEXES_MAX, PROJECTED_ATTRIBUTES_MAX
from penstock.operations.dynamodb.table_descriptions import ON_DEMAND_WARM

CAPACITY_UNITS_MAX = 1_000_000_000_000  # Above it AWS calls the value out of bounds.
KEY_PART_ATTRIBUTES_MAX = 4  # developerguide/GSI.DesignPattern.MultiAttributeKeys
Elements = list[dict[str, str]]


UNBUILT = (
    "ResourcePolicy", "GlobalTableSourceArn", "GlobalTableSettingsReplicationMode", "VectorIndexes"
)  # fmt: skip


def check_create(request: Request) -> None:
    refuse_unbuilt(request, UNBUILT)
    _check_throughput(request)
    definitions = [d["AttributeName"] for d in request["AttributeDefinitions"]]
    _check_definitions(definitions)
    keys = request["KeySchema"]
    _check_keys(keys, definitions)
    local, global_ = request.get("LocalSecondaryIndexes"), request.get("GlobalSecondaryIndexes")
    if local is None and global_ is None and len(keys) != len(definitions):
        raise errors.invalid_parameter(
            "Number of attributes in KeySchema does not exactly match number of attributes defined in "
            "AttributeDefinitions"
        )
    for name, specs in (("LocalSecondaryIndexes", local), ("GlobalSecondaryIndexes", global_)):
        if specs is not None and not specs:
            raise errors.invalid_parameter(f"List of {name} is empty")
    schemas = [spec["KeySchema"] for spec in (local or []) + (global_ or [])]
    for schema in schemas:
        check_defined(schema, definitions)
    # AWS looks for unused definitions before it looks at anything else in an index.
    _check_all_used(definitions, [keys, *schemas])
    _check_local_indexes(local or [], keys, definitions)
    _check_global_indexes(global_ or [], request)
    _check_names((local or []) + (global_ or []))
    check_projected([projected_count(spec) for spec in (local or []) + (global_ or [])])
    _check_settings(request)


def refuse_unbuilt(request: Request, members: tuple[str, ...]) -> None:
    """Better no table than one that lacks what was asked for."""
    for member in members:
        if request.get(member):
            raise errors.validation(f"{member} is not supported by Penstock; see docs/compatibility.md")


def _check_throughput(request: Request) -> None:
    given = request.get("ProvisionedThroughput")
    if request.get("BillingMode") == "PAY_PER_REQUEST":
        if given is not None:
            raise errors.invalid_parameter(
                "Neither ReadCapacityUnits nor WriteCapacityUnits can be specified when BillingMode is "
                "PAY_PER_REQUEST"
            )
        return
    if given is None:
        raise errors.invalid_parameter(
            "ReadCapacityUnits and WriteCapacityUnits must both be specified when BillingMode is PROVISIONED"
        )
    check_units(given)


def check_units(given: dict[str, int]) -> None:
    for name in ("ReadCapacityUnits", "WriteCapacityUnits"):
        if given[name] > CAPACITY_UNITS_MAX:
            raise errors.validation(f"Given value {given[name]} for {name} is out of bounds")


def check_on_demand(
    given: dict[str, int] | None, billing_mode: str, index: str | None = None, *, clearable: bool = False
) -> None:
    """MaxReadRequestUnits and MaxWriteRequestUnits: on demand only, at least 1; UpdateTable clears with -1."""
    for name in ("MaxReadRequestUnits", "MaxWriteRequestUnits"):
        value = (given or {}).get(name)
        if value is None:
            continue
        if billing_mode == "PROVISIONED":
            where = "" if index is None else f" for index: {index}"
            raise errors.invalid_parameter(
                f"{name} for OnDemandThroughput{where} cannot be specified when the table BillingMode is PROVISIONED"
            )
        if value < 1 and not (clearable and value == -1):
            where = "table" if index is None else f"index : {index}"
            raise errors.invalid_parameter(
                f"Requested {name} for OnDemandThroughput for {where} is outside of valid range"
            )


def _check_warm(given: dict[str, int] | None, throughput: dict[str, int] | None, target: str) -> None:
    names = ("ReadUnitsPerSecond", "WriteUnitsPerSecond")
    if throughput is None:
        floor = ON_DEMAND_WARM
        lower = ("initial throughput for OnDemand", "initial throughput for OnDemand")
    else:
        floor = (throughput["ReadCapacityUnits"], throughput["WriteCapacityUnits"])
        lower = ("ReadCapacityUnits of ProvisionedThroughput", "WriteCapacityUnits of ProvisionedThroughput")
    for name, least, what in zip(names, floor, lower, strict=True):
        if (given or {}).get(name, least) < least:
            raise errors.invalid_parameter(
                f"Requested {name} for WarmThroughput for {target} is lower than {what}"
            )


def _check_definitions(definitions: list[str]) -> None:
    seen: set[str] = set()
    for name in definitions:
        if name in seen:
            raise errors.validation(f"Attribute Name is duplicated: {name}")
        seen.add(name)


def _check_keys(keys: Elements, definitions: list[str]) -> None:
    """Of a table or a local index: one attribute in each part."""
    if len(keys) > len(definitions):
        raise errors.validation("Invalid KeySchema: Some index key attribute have no definition")
    check_defined(keys, definitions)
    if len(keys) == 2 and keys[0]["AttributeName"] == keys[1]["AttributeName"]:
        raise errors.validation(
            "Both the Hash Key and the Range Key element in the KeySchema have the same name"
        )
    if keys[0]["KeyType"] != "HASH":
        raise errors.validation("Invalid KeySchema: The first KeySchemaElement is not a HASH key type")
    if len(keys) == 2 and keys[1]["KeyType"] != "RANGE":
        raise errors.validation("Invalid KeySchema: The second KeySchemaElement is not a RANGE key type")


def check_defined(keys: Elements, definitions: list[str]) -> None:
    names = [element["AttributeName"] for element in keys]
    if not set(names) <= set(definitions):
        raise errors.invalid_parameter(
            "Some index key attributes are not defined in AttributeDefinitions. "
            f"Keys: [{', '.join(names)}], AttributeDefinitions: [{', '.join(definitions)}]"
        )


def _check_local_indexes(specs: list[dict[str, Any]], keys: Elements, definitions: list[str]) -> None:
    if specs and len(keys) != 2:
        raise errors.invalid_parameter(
            "Table KeySchema does not have a range key, which is required when specifying a LocalSecondaryIndex"
        )
    table_hash = keys[0]["AttributeName"]
    for spec in specs:
        index_keys = spec["KeySchema"]
        _check_keys(index_keys, definitions)
        if len(index_keys) != 2:
            raise errors.invalid_parameter(
                f"Index KeySchema does not have a range key for index: {spec['IndexName']}"
            )
        if index_keys[0]["AttributeName"] != table_hash:
            raise errors.invalid_parameter(
                "Index KeySchema does not have the same leading hash key as table KeySchema for index: "
                f"{spec['IndexName']}. index hash key: {index_keys[0]['AttributeName']}, "
                f"table hash key: {table_hash}"
            )
        check_projection(spec["Projection"])
    if len(specs) > LOCAL_INDEXES_MAX:
        raise errors.invalid_parameter(
            f"Number of LocalSecondaryIndexes exceeds per-table limit of {LOCAL_INDEXES_MAX}"
        )


def _check_global_indexes(specs: list[dict[str, Any]], request: Request) -> None:
    billing_mode = request.get("BillingMode", "PROVISIONED")
    for spec in specs:
        check_global_keys(spec["KeySchema"])
        check_projection(spec["Projection"])
        _check_index_throughput(spec, billing_mode)
    if len(specs) > GLOBAL_INDEXES_MAX:
        raise errors.invalid_parameter(
            f"GlobalSecondaryIndex count exceeds the per-table limit of {GLOBAL_INDEXES_MAX}"
        )


def check_global_keys(keys: Elements) -> None:
    """One to four attributes in each part, those of the partition first."""
    names = [element["AttributeName"] for element in keys]
    if len(set(names)) != len(names):
        if len(names) == 2:
            raise errors.validation(
                "Both the Hash Key and the Range Key element in the KeySchema have the same name"
            )
        raise errors.validation("The KeySchema contains multiple key attributes with the same name")
    kinds = [element["KeyType"] for element in keys]
    if kinds[0] != "HASH":
        raise errors.validation("Invalid KeySchema: The first KeySchemaElement is not a HASH key type")
    if kinds != sorted(kinds):
        raise errors.invalid_parameter(
            "All HASH key attributes must precede RANGE key attributes in the KeySchema"
        )
    for kind in ("HASH", "RANGE"):
        if kinds.count(kind) > KEY_PART_ATTRIBUTES_MAX:
            raise errors.invalid_parameter(
                f"The KeySchema exceeds the maximum allowed number of {kind} key attributes"
            )


def _check_index_throughput(spec: dict[str, Any], billing_mode: str) -> None:
    given = spec.get("ProvisionedThroughput")
    name = spec["IndexName"]
    if billing_mode == "PAY_PER_REQUEST":
        if given is not None:
            raise errors.invalid_parameter(
                f"ProvisionedThroughput should not be specified for index: {name} when BillingMode is "
                "PAY_PER_REQUEST"
            )
    elif given is None:
        raise errors.invalid_parameter(f"ProvisionedThroughput is not specified for index: {name}")
    else:
        check_index_units(given, name)
    check_on_demand(spec.get("OnDemandThroughput"), billing_mode, name)
    _check_warm(spec.get("WarmThroughput"), given, f"index {name}")


def check_index_units(given: dict[str, int], index: str) -> None:
    for name in ("ReadCapacityUnits", "WriteCapacityUnits"):
        if given[name] > CAPACITY_UNITS_MAX:
            raise errors.validation(
                f"Given value {given[name]} for {name} is out of bounds for index {index}"
            )


def check_projection(projection: dict[str, Any]) -> None:
    kind, included = projection.get("ProjectionType"), projection.get("NonKeyAttributes")
    if kind is None:
        raise errors.invalid_parameter("Unknown ProjectionType: null")
    if kind == "INCLUDE":
        if included is None:
            raise errors.invalid_parameter("ProjectionType is INCLUDE, but NonKeyAttributes is not specified")
        for place, name in enumerate(included):
            if name in included[:place]:
                raise errors.invalid_parameter(f"Duplicate element in NonKeyAttributes: {name}")
    elif included is not None:
        raise errors.invalid_parameter(f"ProjectionType is {kind}, but NonKeyAttributes is specified")


def _check_names(specs: list[dict[str, Any]]) -> None:
    """Over both kinds of index."""
    seen: set[str] = set()
    for spec in specs:
        name = spec["IndexName"]
        if name in seen:
            raise errors.invalid_parameter(f"Duplicate index name: {name}")
        seen.add(name)


def _check_all_used(definitions: list[str], schemas: list[Elements]) -> None:
    used: dict[str, None] = {}
    for schema in schemas:
        used |= {element["AttributeName"]: None for element in schema}
    if not set(definitions) <= used.keys():
        raise errors.invalid_parameter(
            f"Some AttributeDefinitions are not used. AttributeDefinitions: [{', '.join(definitions)}], "
            f"keys used: [{', '.join(used)}]"
        )


def projected_count(spec: dict[str, Any]) -> int:
    return len(spec["Projection"].get("NonKeyAttributes", ()))


def check_projected(counts: list[int]) -> None:
    """INCLUDE's attributes are counted over all indexes, a name in two indexes twice."""
    if sum(counts) > PROJECTED_ATTRIBUTES_MAX:
        raise errors.invalid_parameter(
            "The total number of NonKeyAttributes in all secondary indexes exceeds the limit of "
            f"{PROJECTED_ATTRIBUTES_MAX}"
        )


def _check_settings(request: Request) -> None:
    check_on_demand(request.get("OnDemandThroughput"), request.get("BillingMode", "PROVISIONED"))
    _check_warm(request.get("WarmThroughput"), request.get("ProvisionedThroughput"), "table")
    stream = request.get("StreamSpecification")
    if stream is not None:
        if stream["StreamEnabled"] and "StreamViewType" not in stream:
            raise errors.invalid_parameter(
                "Table is being created with a stream enabled, UpdateViewType is required"
            )
        if not stream["StreamEnabled"] and "StreamViewType" in stream:
            raise errors.invalid_parameter(
                "Table is being created with a stream disabled, UpdateViewType should not be specified"
            )
    check_encryption(request.get("SSESpecification"))


def check_encryption(spec: dict[str, Any] | None) -> None:
    if spec is None:
        return
    if spec.get("SSEType") == "AES256":
        raise errors.invalid_parameter("SSEType AES256 is not supported")
    if spec.get("Enabled") is False:
        for name in ("SSEType", "KMSMasterKeyId"):
            if name in spec:
                raise errors.invalid_parameter(f"{name} can not be specified if Enabled is false")
    if "KMSMasterKeyId" in spec and "SSEType" not in spec:
        raise errors.invalid_parameter("SSEType KMS is required if KMSMasterKeyId is specified")
