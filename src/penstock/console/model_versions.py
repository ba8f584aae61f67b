"""Model versions as the page lists them: newest first, with the aliases that point at each and what the gate found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from penstock.models.registry import Version


def version_rows(versions: Sequence[Version], aliases: Mapping[str, int]) -> list[dict[str, Any]]:
    return [
        {
            "number": each.number,
            "format": each.format,
            "aliases": sorted(alias for alias, number in aliases.items() if number == each.number),
            "metrics": {name: _rounded(value) for name, value in each.metrics.items()},
            "rows": each.data.get("rows"),
            "data": {name: value for name, value in each.data.items() if name != "rows"},
            "gate": each.gate,
            "threshold": each.threshold,
            "made_at": each.created_at[:19].replace("T", " "),
            "made_by": each.created_by,
            "note": each.note,
            "artifact": each.artifact,
            "columns": [column.get("feature", column.get("name", "")) for column in each.columns],
        }
        for each in sorted(versions, key=lambda each: -each.number)
    ]


def _rounded(metric: Any) -> Any:
    return float(f"{metric:.4g}") if isinstance(metric, float) else metric
