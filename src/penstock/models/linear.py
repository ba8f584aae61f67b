"""Linear and logistic models as plain coefficients: a few multiplications, no library, the same bits everywhere.

    z = ((intercept + c0·x0) + c1·x1) + …        in that order, each step rounded to float64
    link   identity: z    logistic: 1 / (1 + e^−z)    softmax: e^(z_k − max) / Σ

Many rows go through numpy column by column in the same order, so each gets the bits that it gets alone (P2 of
prediction.py); the exponential is numpy's in both cases, because the C library's may differ in the last bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy
import orjson

from penstock.errors import Corruption
from penstock.models.prediction import Floats, Label, Scores, linked
from penstock.models.signature import Signature, signature_of

LINKS = ("identity", "logistic", "softmax")


@dataclass(frozen=True, slots=True)
class LinearModel:
    signature: Signature
    coefficients: tuple[
        tuple[float, ...], ...
    ]  # One row for identity and logistic, one per class for softmax.
    intercepts: tuple[float, ...]
    classes: tuple[Label, ...]
    link: str

    def score_one(self, row: Sequence[float]) -> float | Sequence[float]:
        if self.link == "softmax":
            return [float(value) for value in self.score(numpy.array([row])).values[0]]
        z = self.intercepts[0]
        for coefficient, value in zip(self.coefficients[0], row, strict=True):
            z += coefficient * value
        return z if self.link == "identity" else float(1.0 / (1.0 + numpy.exp(-z)))

    def score(self, rows: Floats) -> Scores:
        if self.link == "softmax":
            sums = numpy.stack([self._sums(rows, k) for k in range(len(self.intercepts))], axis=1)
        else:
            sums = self._sums(rows, 0)
        return Scores(linked(self.link, sums), self.classes)

    def _sums(self, rows: Floats, k: int) -> Floats:
        columns = numpy.ascontiguousarray(rows.T)
        z = numpy.full(rows.shape[0], self.intercepts[k])
        for coefficient, column in zip(self.coefficients[k], columns, strict=True):
            z += coefficient * column
        return z


def dump(model: LinearModel) -> bytes:
    return orjson.dumps(
        {
            "columns": model.signature.as_json(),
            "coefficients": model.coefficients,
            "intercepts": model.intercepts,
            "classes": model.classes,
            "link": model.link,
        },
        option=orjson.OPT_INDENT_2,
    )


def load(content: bytes) -> LinearModel:
    try:
        held: dict[str, Any] = orjson.loads(content)
        return LinearModel(
            signature_of(held["columns"]),
            tuple(tuple(float(c) for c in row) for row in held["coefficients"]),
            tuple(float(each) for each in held["intercepts"]),
            tuple(held["classes"]),
            held["link"],
        )
    except (orjson.JSONDecodeError, KeyError, TypeError) as error:
        raise Corruption(f"a linear model cannot be read: {error}") from error
