"""The gate: a fast form of a model goes in only where it answers as the original does, on the rows it was trained on.

A label that flips, or a probability (or number, relative to the spread of all) that moves by more than 1e-4, rejects it.
Float32 and epoch milliseconds are enough to flip 14 of 100,000 labels, and nothing else would tell.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy

from penstock.errors import PenstockError
from penstock.models.prediction import Floats, Label, Scores, decide_all

MOVE_MAX = 1e-4
SHOWN_MAX = 20


class GateRejected(PenstockError):
    """The fast form differs from the original. `report` has the rows."""

    def __init__(self, report: GateReport, hint: str = "") -> None:
        super().__init__(report.sentence() + hint)
        self.report = report


@dataclass(frozen=True)
class Difference:
    row: int
    inputs: tuple[float, ...]
    original: float | str
    fast: float | str
    moved: float


@dataclass(frozen=True)
class GateReport:
    rows: int
    flips: int
    move_max: float
    differences: tuple[Difference, ...]

    @property
    def passes(self) -> bool:
        return not self.flips and self.move_max <= MOVE_MAX

    def sentence(self) -> str:
        if self.passes:
            return f"{self.rows} rows answer alike (largest move {self.move_max:.2g})"
        where = "; ".join(
            f"row {d.row} {list(d.inputs)}: {d.original} became {d.fast}" for d in self.differences[:3]
        )
        return (
            f"the fast form differs from the original: {self.flips} of {self.rows} labels flip, the largest move is "
            f"{self.move_max:.3g} where {MOVE_MAX:g} is allowed ({where})"
        )

    def as_json(self) -> dict[str, Any]:
        return {"rows": self.rows, "flips": self.flips, "moveMax": self.move_max}


def compare(
    inputs: Floats, original_labels: Sequence[Label], original: Floats, fast: Scores, threshold: float = 0.5
) -> GateReport:
    """`original` has the shape of Scores.values; labels are what the original itself says at its own threshold."""
    labels = [prediction.label for prediction in decide_all(fast, threshold)]
    moved = numpy.abs(fast.values - original)
    if moved.ndim == 2:
        moved = moved.max(axis=1)
    if not fast.classes:
        spread = float(numpy.ptp(original)) if len(original) else 0.0
        moved = moved / (spread or 1.0)
        flipped = numpy.zeros(len(moved), dtype=bool)
    else:
        flipped = numpy.array(
            [str(a) != str(b) for a, b in zip(labels, original_labels, strict=True)], dtype=bool
        )
    moved = numpy.where(numpy.isnan(moved), numpy.inf, moved)
    wrong = numpy.flatnonzero(flipped | (moved > MOVE_MAX))
    worst = wrong[numpy.argsort(-moved[wrong], kind="stable")][:SHOWN_MAX]
    differences = tuple(
        Difference(
            int(i), tuple(inputs[i].tolist()), _shown(original[i]), _shown(fast.values[i]), float(moved[i])
        )
        for i in worst
    )
    return GateReport(len(moved), int(flipped.sum()), float(moved.max(initial=0.0)), differences)


def _shown(score: Any) -> float | str:
    return float(score) if numpy.ndim(score) == 0 else str([round(float(each), 6) for each in score])
