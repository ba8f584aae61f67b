"""What lands in the lake, as an application declares it: tables to follow, tables made by a query, delivery streams."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from penstock.app.tables import Table


@dataclass(frozen=True)
class LakeTable:
    """A table that the lake follows. Masks, drops and the transform apply before any byte is written."""

    table: Table
    mask: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()
    transform: Callable[[dict[str, Any]], dict[str, Any]] | None = None
    schema: Mapping[str, str] | None = None


@dataclass(frozen=True)
class CuratedTable:
    name: str  # curated.daily_sales
    sql: str
    every_s: float


@dataclass(frozen=True)
class Delivery:
    name: str
    buffer_bytes: int = 4 << 20
    buffer_s: float = 5.0
    id_field: str | None = None  # The attribute that names a record; put again, it is taken once.
