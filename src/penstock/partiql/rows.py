"""An item as a row of a SELECT's answer: each column's value under the column's name."""

from __future__ import annotations

from penstock.model.values import AttributeValue, Item
from penstock.partiql.syntax import Path


def row_of(item: Item, columns: tuple[Path, ...] | None) -> Item:
    """None is `*`. A path that leads nowhere in this item has no entry."""
    if columns is None:
        return item
    row: Item = {}
    for column in columns:
        value = _at(item, column)
        if value is not None:
            row[column.column] = value
    return row


def _at(item: Item, path: Path) -> AttributeValue | None:
    value = item.get(path.root)
    for step in path.steps:
        if value is None:
            return None
        if isinstance(step, str):
            value = value["M"].get(step) if "M" in value else None
        else:
            value = value["L"][step] if "L" in value and step < len(value["L"]) else None
    return value
