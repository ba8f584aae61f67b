"""What the catalogue tells of a lake table, as the page shows it: columns, snapshots, files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

SNAPSHOTS_MAX = 50


def summary(namespace: str, name: str, metadata: Mapping[str, Any]) -> dict[str, Any]:
    snapshots = sorted(
        metadata.get("snapshots", ()), key=lambda each: int(each["sequence-number"]), reverse=True
    )
    current = next(
        (each for each in snapshots if each["snapshot-id"] == metadata.get("current-snapshot-id")), None
    )
    told = current["summary"] if current else {}
    return {
        "namespace": namespace,
        "name": name,
        "full": f"{namespace}.{name}",
        "quoted": f"{quoted(namespace)}.{quoted(name)}",
        "columns": columns(metadata),
        "select": select(namespace, name, metadata),
        "rows": _number(told, "total-records") - _number(told, "total-position-deletes"),
        "files": _number(told, "total-data-files"),
        "delete_files": _number(told, "total-delete-files"),
        "bytes": _number(told, "total-files-size"),
        "changed_us": int(metadata.get("last-updated-ms", 0)) * 1000,
        "snapshots": [
            _snapshot(each)
            | {"select": select(namespace, name, metadata, f" FOR VERSION AS OF {each['snapshot-id']}")}
            for each in snapshots[:SNAPSHOTS_MAX]
        ],
        "snapshot_count": len(snapshots),
        "location": metadata.get("location", ""),
        "properties": dict(sorted(metadata.get("properties", {}).items())),
    }


def columns(metadata: Mapping[str, Any]) -> list[dict[str, str]]:
    schema_id = metadata.get("current-schema-id", 0)
    schema: Mapping[str, Any] = next(
        (each for each in metadata.get("schemas", ()) if each["schema-id"] == schema_id), {"fields": []}
    )
    return [{"name": each["name"], "type": type_text(each["type"])} for each in schema["fields"]]


def select(namespace: str, name: str, metadata: Mapping[str, Any], moment: str = "") -> str:
    """A first look: without the columns that are the lake's own."""
    own = [each["name"] for each in columns(metadata) if each["name"].startswith("_")]
    what = f"* EXCLUDE ({', '.join(own)})" if own and namespace == "current" else "*"
    return f"SELECT {what}\nFROM {quoted(namespace)}.{quoted(name)}{moment}\nLIMIT 50"


def type_text(type_: Any) -> str:
    if not isinstance(type_, Mapping):
        return str(type_)
    match type_["type"]:
        case "list":
            return f"list<{type_text(type_['element'])}>"
        case "map":
            return f"map<{type_text(type_['key'])}, {type_text(type_['value'])}>"
        case _:
            return "struct<" + ", ".join(f"{f['name']} {type_text(f['type'])}" for f in type_["fields"]) + ">"


def quoted(name: str) -> str:
    """As SQL needs it. DuckDB does not mind the case of a bare name."""
    return name if name.isidentifier() and name.isascii() else '"' + name.replace('"', '""') + '"'


def _snapshot(each: Mapping[str, Any]) -> dict[str, Any]:
    told = each["summary"]
    return {
        "id": str(each["snapshot-id"]),
        "at_s": int(each["timestamp-ms"]) / 1000,
        "operation": told.get("operation", ""),
        "added": _number(told, "added-records"),
        "removed": _number(told, "added-position-deletes") + _number(told, "deleted-records"),
        "rows": _number(told, "total-records") - _number(told, "total-position-deletes"),
        "files": _number(told, "total-data-files"),
    }


def _number(told: Mapping[str, Any], name: str) -> int:
    return int(told.get(name, 0))
