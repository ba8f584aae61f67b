"""An estimator that has no fast form, served as it is: by Python, in the process that runs Python models.

It takes a hundred times as long as ONNX or coefficients, and says so when it is registered; the answers are the estimator's.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy

from penstock.features.windows import Value
from penstock.models.prediction import Floats, Label, Scores
from penstock.models.signature import Signature

_TIMED_ROWS = 20


@dataclass(frozen=True)
class Original:
    """A model of format `python` (`predict(rows)`): scores, which the version's classes and threshold make answers of."""

    estimator: Any
    signature: Signature
    classes: tuple[Label, ...]

    def predict(self, rows: Sequence[Mapping[str, Value]]) -> list[Any]:
        matrix = numpy.array(self.signature.matrix(rows), dtype=float)
        found: list[Any] = self.score(matrix).values.tolist()
        return found

    def score(self, rows: Floats) -> Scores:
        if not self.classes:
            return Scores(numpy.asarray(self.estimator.predict(rows), dtype=float).ravel(), ())
        found = numpy.asarray(self.estimator.predict_proba(rows), dtype=float)
        return Scores(found[:, 1] if len(self.classes) == 2 else found, self.classes)

    def row_ms(self, rows: Floats) -> float:
        """What one answer takes here, asked row by row as predictions are."""
        asked = rows[:_TIMED_ROWS]
        began = time.perf_counter()
        for row in asked:
            self.score(row[None, :])
        return (time.perf_counter() - began) * 1000 / max(1, len(asked))
