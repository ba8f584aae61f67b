"""What a model takes: its columns in their order, how features become numbers, and what stands in for a null.

    {"feature": "purchases_7d"}                        the number itself; true is 1, false is 0
    {"feature": "top_category", "equals": "jewelry"}   1 where the text is that, 0 otherwise, also where it is null

S1. A null number becomes its column's `fill`, or NaN where there is none. Linear models have a fill for every column; tree
    models may know what to do with NaN.
S2. The same function serves one row and many, in training and in serving.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from penstock.errors import UsageError
from penstock.features.windows import Value

NAN = float("nan")


@dataclass(frozen=True, slots=True)
class Column:
    feature: str
    equals: str | None = None
    fill: float | None = None

    @property
    def name(self) -> str:
        return self.feature if self.equals is None else f"{self.feature}={self.equals}"


@dataclass(frozen=True)
class Signature:
    columns: tuple[Column, ...]

    def vector(self, values: Mapping[str, Value]) -> list[float]:
        row: list[float] = []
        for column in self.columns:
            try:
                value = values[column.feature]
            except KeyError:
                raise UsageError(f"the model takes {column.feature!r}, which was not given") from None
            if column.equals is not None:
                row.append(1.0 if text_of_value(value) == column.equals else 0.0)
            elif value is None:
                row.append(NAN if column.fill is None else column.fill)
            elif isinstance(value, str):
                raise UsageError(f"{column.feature!r} is text, and the model takes a number")
            else:
                row.append(float(value))
        return row

    def matrix(self, rows: Sequence[Mapping[str, Value]]) -> list[list[float]]:
        return [self.vector(row) for row in rows]

    @property
    def features(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(column.feature for column in self.columns))

    def as_json(self) -> list[dict[str, Any]]:
        return [
            {key: held for key, held in (("feature", c.feature), ("equals", c.equals), ("fill", c.fill)) if held is not None}
            for c in self.columns
        ]  # fmt: skip


def text_of_value(value: Value) -> str | None:
    if isinstance(value, bool):
        return "true" if value else "false"
    return None if value is None else str(value)


def signature_of(columns: Sequence[Mapping[str, Any]]) -> Signature:
    """From the JSON that `as_json` gave."""
    return Signature(tuple(Column(c["feature"], c.get("equals"), c.get("fill")) for c in columns))
