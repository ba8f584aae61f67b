"""What every model answers, whatever it is made of: a label or a number, and how sure it is.

P1. With two classes `probability` is that of the second, and the label is the second where it is above the threshold. With
    more it is that of the likeliest, which is the label. A regression has none.
P2. The same row gives the same bits alone and among many.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import msgspec
import numpy
import numpy.typing

from penstock.features.windows import Value
from penstock.models.signature import Signature

Label: TypeAlias = int | float | str | bool
Floats: TypeAlias = numpy.typing.NDArray[numpy.float64]


class Prediction(msgspec.Struct, frozen=True, gc=False):
    label: Label
    probability: float | None


@dataclass(frozen=True, slots=True)
class Scores:
    """Of many rows: class probabilities (rows × classes), the second class' alone (rows), or numbers (rows)."""

    values: Floats
    classes: tuple[Label, ...]  # Empty for a regression.


class Model(Protocol):
    """A loaded version. `score` and `score_one` may be called from any thread."""

    @property
    def signature(self) -> Signature: ...

    @property
    def classes(self) -> tuple[Label, ...]: ...

    def score_one(self, row: Sequence[float]) -> float | Sequence[float]:
        """One row of Scores.values."""

    def score(self, rows: Floats) -> Scores: ...


def linked(link: str, sums: Floats) -> Floats:
    """Sums as probabilities or numbers. Softmax of rows × classes, the others of one sum for each row."""
    with numpy.errstate(over="ignore"):
        if link == "softmax":
            powers = numpy.exp(sums - sums.max(axis=1, keepdims=True))
            total = powers[:, 0].copy()  # Class by class: numpy's own sum has other bits for other shapes.
            for k in range(1, powers.shape[1]):
                total += powers[:, k]
            return numpy.asarray(powers / total[:, None])
        if link == "logistic":
            return numpy.asarray(1.0 / (1.0 + numpy.exp(-sums)))
        return numpy.asarray(numpy.exp(sums) if link == "log" else sums)


def decide(score: float | Sequence[float], classes: Sequence[Label], threshold: float) -> Prediction:
    """P1."""
    if not classes:
        assert isinstance(score, float)
        return Prediction(score, None)
    if isinstance(score, float):
        return Prediction(classes[1] if score > threshold else classes[0], score)
    best = max(range(len(score)), key=score.__getitem__)
    return Prediction(classes[best], float(score[best]))


def decide_all(scores: Scores, threshold: float) -> list[Prediction]:
    if scores.values.ndim == 1:
        return [decide(score, scores.classes, threshold) for score in scores.values.tolist()]
    return [decide(row, scores.classes, threshold) for row in scores.values.tolist()]


def decide_rows(model: Model, rows: Sequence[Mapping[str, Value]], threshold: float) -> list[Prediction]:
    matrix = numpy.array(model.signature.matrix(rows), dtype=float)
    return decide_all(model.score(matrix), threshold)


def plain_label(label: object) -> Label:
    """numpy's scalars as Python's."""
    held = label.item() if isinstance(label, numpy.generic) else label
    if isinstance(held, bool | int | float | str):
        return held
    return str(held)
