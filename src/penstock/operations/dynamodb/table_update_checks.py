"""What UpdateTable checks before it looks for the table: is there a change, may these changes go together, is each
well formed.

A request makes one kind of change. AWS refuses nearly all combinations; those that pass are a billing mode with
throughput, with index updates or with OnDemandThroughput, and PAY_PER_REQUEST with a stream.
"""

from __future__ import annotations

from typing import Any

from penstock import errors
from penstock.engine.plans import Request
from penstock.operations.dynamodb.table_checks import (
    check_encryption,
    check_global_keys,
    check_index_units,
    check_projection,
    check_units,
    refuse_unbuilt,
)

UNBUILT = (
    "ReplicaUpdates", "MultiRegionConsistency", "GlobalTableWitnessUpdates",
    "GlobalTableSettingsReplicationMode", "DisassociationProtectionEnabled", "VectorIndexUpdates",
)  # fmt: skip
CHANGES = (
    "ProvisionedThroughput", "BillingMode", "StreamSpecification", "GlobalSecondaryIndexUpdates",
    "SSESpecification", "DeletionProtectionEnabled", "OnDemandThroughput", "WarmThroughput", "TableClass",
)  # fmt: skip
# Changes that stand alone, in the order in which AWS names them where two meet.
ALONE = (
    ("SSESpecification", "Server-Side Encryption modification must be the only operation in the request"),
    ("TableClass", "TableClass modification must be the only operation in the request"),
    (
        "DeletionProtectionEnabled",
        "DeletionProtection modification must be the only operation in the request",
    ),
    ("WarmThroughput", "WarmThroughput must be the only operation in the request"),
)
NOTHING_ASKED = (
    "At least one of ProvisionedThroughput, BillingMode, UpdateStreamEnabled, GlobalSecondaryIndexUpdates, "
    "SSESpecification, ReplicaUpdates, MultiAccountReplicaReady, ReplicaTransitRoleArn, MultiRegionConsistency, "
    "DeletionProtectionEnabled, OnDemandThroughput, WarmThroughput or TableClass is required"
)


def check_update(request: Request) -> None:
    refuse_unbuilt(request, UNBUILT)
    # An empty structure counts as absent; so does an empty list, until something else is asked for.
    asked = {
        name for name in CHANGES if request.get(name) is not None and (request[name] or _counts_empty(name))
    }
    if not asked:
        raise errors.validation(NOTHING_ASKED)
    updates = request.get("GlobalSecondaryIndexUpdates")
    if updates is not None and not updates:
        raise errors.invalid_parameter("List of GlobalSecondaryIndexUpdates is empty")
    _check_together(asked, updates or [])
    if asked & {"ProvisionedThroughput", "BillingMode"}:
        _check_throughput(request)
    _check_stream(request.get("StreamSpecification"))
    check_encryption(request.get("SSESpecification"))
    _check_index_updates(updates or [])


def _counts_empty(name: str) -> bool:
    """DeletionProtectionEnabled is false, SSESpecification {} means the default encryption: both ask for something."""
    return name in ("DeletionProtectionEnabled", "SSESpecification")


def _check_together(asked: set[str], updates: list[dict[str, Any]]) -> None:
    creates = any(update.get("Create") is not None for update in updates)
    creates_or_deletes = creates or any(update.get("Delete") is not None for update in updates)
    if "WarmThroughput" in asked and creates:
        raise errors.invalid_parameter(
            "Create global secondary index cannot be specified when updating WarmThroughput"
        )
    for name, message in ALONE:
        if name in asked and len(asked) > 1:
            raise errors.invalid_parameter(message)
    if "OnDemandThroughput" in asked and asked - {"OnDemandThroughput", "BillingMode"}:
        raise errors.invalid_parameter(
            "OnDemandThroughput can only be combined with BillingMode in an UpdateTable request"
        )
    if "StreamSpecification" in asked and "ProvisionedThroughput" in asked:
        raise errors.invalid_parameter("You cannot modify stream status while updating table IOPS")
    # A change to PROVISIONED needs the throughput of every index in the same request; only that may go with it.
    if creates_or_deletes and "ProvisionedThroughput" in asked:
        raise errors.invalid_parameter("You cannot create or delete index while updating table IOPS")
    if creates_or_deletes and "StreamSpecification" in asked:
        raise errors.invalid_parameter("You cannot create or delete index while changing stream status")


def _check_throughput(request: Request) -> None:
    given = request.get("ProvisionedThroughput")
    mode = request.get("BillingMode")
    if mode == "PAY_PER_REQUEST" and given is not None:
        raise errors.invalid_parameter(
            "ProvisionedThroughput cannot be specified when BillingMode is PAY_PER_REQUEST"
        )
    if mode == "PROVISIONED" and given is None:
        raise errors.invalid_parameter(
            "ProvisionedThroughput must be specified when BillingMode is PROVISIONED"
        )
    if given is not None:
        check_units(given)


def _check_stream(spec: dict[str, Any] | None) -> None:
    if spec is None:
        return
    if spec["StreamEnabled"] and "StreamViewType" not in spec:
        raise errors.invalid_parameter("If stream is being enabled then UpdateViewType is required")
    if not spec["StreamEnabled"] and "StreamViewType" in spec:
        raise errors.invalid_parameter(
            "If stream is being disabled, then UpdateViewType must not be specified"
        )


def _check_index_updates(updates: list[dict[str, Any]]) -> None:
    seen: set[str] = set()
    for update in updates:
        actions = [update[kind] for kind in ("Update", "Create", "Delete") if update.get(kind) is not None]
        if not actions:
            raise errors.invalid_parameter(
                "One of GlobalSecondaryIndexUpdate.Update, GlobalSecondaryIndexUpdate.Create, "
                "GlobalSecondaryIndexUpdate.Delete must not be null"
            )
        if len(actions) > 1:
            raise errors.invalid_parameter(
                "Only one global secondary index action is allowed per GlobalSecondaryIndexUpdate object"
            )
        name = actions[0]["IndexName"]
        if name in seen:
            raise errors.invalid_parameter(
                f"Only one global secondary index update per index is allowed simultaneously. Index: {name}"
            )
        seen.add(name)
        if update.get("Create") is not None:
            check_global_keys(update["Create"]["KeySchema"])
            check_projection(update["Create"]["Projection"])
        warm = actions[0].get("WarmThroughput")
        if warm is not None and not warm:
            raise errors.invalid_parameter(
                "WarmThroughput must have at least one of ReadUnitsPerSecond or WriteUnitsPerSecond specified "
                f"for index: {name}"
            )
        if "ProvisionedThroughput" in actions[0]:
            check_index_units(actions[0]["ProvisionedThroughput"], name)
