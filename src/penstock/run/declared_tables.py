"""Bringing a store to what an application declares: missing tables, indexes, streams and expiry are made, nothing is dropped.

What cannot be changed in place (a table's keys, a local index) is refused with the two ways out. An index or attribute
that the store has beyond the declaration is left alone: somebody may use it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any

from penstock.app.application import App
from penstock.app.tables import Table
from penstock.connect.client import Client
from penstock.errors import ServiceError, UsageError
from penstock.features import tiles

ACTIVE_WITHIN_S = 600.0  # A new index over many items is filled first.
_POLL_S = 0.05


def tables_of(app: App) -> list[Table]:
    """What the application declares, and the tables that its day tiles are kept in."""
    return [*app.tables.values(), *tiles.tables(app)]


def ensure_tables(
    client: Client, tables: Iterable[Table], *, sleep: Callable[[float], None] = time.sleep
) -> list[str]:
    """Every table is there and takes writes when this returns; the names of those that were made."""
    made = [table.name for table in tables if _ensure(client, table, sleep)]
    for name in made:
        _wait_active(client, name, sleep)
    for table in tables:
        if table.time_to_live is not None:
            _ensure_expiry(client, table.name, table.time_to_live)
    return made


def _ensure(client: Client, table: Table, sleep: Callable[[float], None]) -> bool:
    found = _describe(client, table.name)
    wanted = table.definition()
    if found is None:
        try:
            client.create_table(**wanted)
        except ServiceError as error:
            if error.code != "ResourceInUseException":  # Somebody else made it in this moment.
                raise
        return True
    _refuse_other_keys(found, wanted)
    for update in _updates(found, wanted):
        client.update_table(TableName=table.name, **update)
        _wait_active(client, table.name, sleep)
    return False


def _describe(client: Client, name: str) -> dict[str, Any] | None:
    try:
        described: dict[str, Any] = client.describe_table(TableName=name)["Table"]
    except ServiceError as error:
        if error.code == "ResourceNotFoundException":
            return None
        raise
    return described


def _refuse_other_keys(found: dict[str, Any], wanted: dict[str, Any]) -> None:
    name = wanted["TableName"]
    if _keys(found) != _keys(wanted):
        raise _unchangeable(name, f"has the key {_keys(found)}, and app.py declares {_keys(wanted)}")
    for index, definition in _by_name(wanted, "LocalSecondaryIndexes").items():
        there = _by_name(found, "LocalSecondaryIndexes").get(index)
        if there is None:
            raise _unchangeable(name, f"has no local index {index!r}, and one cannot be added later")
        if _keys(there) != _keys(definition):
            raise _unchangeable(
                name, f"has the local index {index!r} on {_keys(there)}, not {_keys(definition)}"
            )
    for index, definition in _by_name(wanted, "GlobalSecondaryIndexes").items():
        there = _by_name(found, "GlobalSecondaryIndexes").get(index)
        if there is not None and _keys(there) != _keys(definition):
            raise _unchangeable(
                name, f"has the global index {index!r} on {_keys(there)}, not {_keys(definition)}"
            )


def _updates(found: dict[str, Any], wanted: dict[str, Any]) -> list[dict[str, Any]]:
    """UpdateTable takes one new index at a time, and a stream change apart from it."""
    updates: list[dict[str, Any]] = []
    if "StreamSpecification" in wanted and not found.get("StreamSpecification", {}).get("StreamEnabled"):
        updates.append({"StreamSpecification": wanted["StreamSpecification"]})
    missing = (
        _by_name(wanted, "GlobalSecondaryIndexes").keys() - _by_name(found, "GlobalSecondaryIndexes").keys()
    )
    for index in sorted(missing):
        definition = _by_name(wanted, "GlobalSecondaryIndexes")[index]
        used = {key["AttributeName"] for key in definition["KeySchema"]}
        updates.append(
            {
                "AttributeDefinitions": [
                    each for each in wanted["AttributeDefinitions"] if each["AttributeName"] in used
                ],
                "GlobalSecondaryIndexUpdates": [{"Create": definition}],
            }
        )
    return updates


def _ensure_expiry(client: Client, name: str, attribute: str) -> None:
    told = client.describe_time_to_live(TableName=name)["TimeToLiveDescription"]
    if told.get("AttributeName") != attribute or told["TimeToLiveStatus"] not in ("ENABLED", "ENABLING"):
        wanted = {"Enabled": True, "AttributeName": attribute}
        client.update_time_to_live(TableName=name, TimeToLiveSpecification=wanted)


def _wait_active(client: Client, name: str, sleep: Callable[[float], None]) -> None:
    waited_s = 0.0
    while not _is_active(_describe(client, name)):
        if waited_s >= ACTIVE_WITHIN_S:
            raise UsageError(f"table {name} is still not active after {ACTIVE_WITHIN_S:.0f} s")
        sleep(_POLL_S)
        waited_s += _POLL_S


def _is_active(described: dict[str, Any] | None) -> bool:
    return (
        described is not None
        and described["TableStatus"] == "ACTIVE"
        and all(
            index.get("IndexStatus", "ACTIVE") == "ACTIVE"
            for index in described.get("GlobalSecondaryIndexes", [])
        )
    )


def _keys(described: dict[str, Any]) -> str:
    types = {each["KeyType"]: each["AttributeName"] for each in described["KeySchema"]}
    return ", ".join(types[kind] for kind in ("HASH", "RANGE") if kind in types)


def _by_name(described: dict[str, Any], member: str) -> dict[str, dict[str, Any]]:
    return {index["IndexName"]: index for index in described.get(member, [])}


def _unchangeable(name: str, difference: str) -> UsageError:
    return UsageError(
        f"table {name} {difference}. Give the table another name in app.py, or start anew with `penstock destroy`"
    )
