"""LightGBM's models in their own text form, run by LightGBM itself; an extra that who has such models installs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import lightgbm
import numpy

from penstock.errors import Corruption
from penstock.models.prediction import Floats, Label, Scores
from penstock.models.signature import Signature


@dataclass(frozen=True, slots=True)
class LightgbmModel:
    signature: Signature
    classes: tuple[Label, ...]
    booster: Any

    def score_one(self, row: Sequence[float]) -> float | Sequence[float]:
        found = self._run(numpy.array([row]))[0]
        return float(found) if numpy.ndim(found) == 0 else [float(each) for each in found]

    def score(self, rows: Floats) -> Scores:
        return Scores(self._run(rows), self.classes)

    def _run(self, rows: Floats) -> Floats:
        # One thread: requests share the machine, and a row has the same bits alone and among many.
        return numpy.asarray(self.booster.predict(rows, num_threads=1), dtype=numpy.float64)


def load(content: bytes, signature: Signature, classes: Sequence[Label]) -> LightgbmModel:
    try:
        booster = lightgbm.Booster(model_str=content.decode())
    except (lightgbm.basic.LightGBMError, UnicodeDecodeError) as error:
        raise Corruption(f"a LightGBM model cannot be read: {error}") from error
    return LightgbmModel(signature, tuple(classes), booster)
