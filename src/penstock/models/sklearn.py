"""scikit-learn's estimators turned into what serves fast: plain coefficients for linear ones, ONNX for the rest.

Steps before a linear model that only move and scale (SimpleImputer, StandardScaler, MinMaxScaler, MaxAbsScaler) are folded
into its coefficients and fills. Whatever comes out has to pass the gate.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy
import skl2onnx
import skl2onnx.common.data_types
import sklearn.impute
import sklearn.linear_model
import sklearn.pipeline
import sklearn.preprocessing

from penstock.errors import UsageError
from penstock.models.linear import LinearModel
from penstock.models.prediction import Floats, Label, plain_label
from penstock.models.signature import Signature

_LOGISTIC = (sklearn.linear_model.LogisticRegression, sklearn.linear_model.LogisticRegressionCV)
_LINEAR = (
    sklearn.linear_model.LinearRegression,
    sklearn.linear_model.Ridge,
    sklearn.linear_model.RidgeCV,
    sklearn.linear_model.Lasso,
    sklearn.linear_model.ElasticNet,
    sklearn.linear_model.SGDRegressor,
    sklearn.linear_model.BayesianRidge,
    sklearn.linear_model.HuberRegressor,
)


def to_linear(estimator: Any, signature: Signature) -> LinearModel | None:
    """Plain coefficients, or None where the estimator is not linear."""
    steps = (
        [step for _, step in estimator.steps]
        if isinstance(estimator, sklearn.pipeline.Pipeline)
        else [estimator]
    )
    *before, last = steps
    logistic = isinstance(last, _LOGISTIC) or (
        isinstance(last, sklearn.linear_model.SGDClassifier) and last.loss == "log_loss"
    )
    if not logistic and not isinstance(last, _LINEAR):
        return None
    folded = _fold(before, signature)
    if folded is None:
        return None
    shift, scale, fills = folded
    coefficients = numpy.atleast_2d(last.coef_).astype(float) / scale
    intercepts = numpy.atleast_1d(last.intercept_).astype(float) - coefficients @ shift
    if len(intercepts) == 1 and len(coefficients) > 1:
        intercepts = numpy.repeat(intercepts, len(coefficients))
    filled = tuple(
        replace(column, fill=fill if column.fill is None else column.fill)
        for column, fill in zip(signature.columns, fills, strict=True)
    )
    return LinearModel(
        Signature(filled),
        tuple(tuple(row) for row in coefficients.tolist()),
        tuple(intercepts.tolist()),
        tuple(plain_label(each) for each in last.classes_) if logistic else (),
        "identity" if not logistic else "logistic" if len(last.classes_) == 2 else "softmax",
    )


def _fold(steps: Sequence[Any], signature: Signature) -> tuple[Floats, Floats, list[float | None]] | None:
    """All steps as (x − shift) / scale, and what an imputer puts in for a null; None where one does more."""
    width = len(signature.columns)
    shift, scale = numpy.zeros(width), numpy.ones(width)
    fills: list[float | None] = [None] * width
    for step in steps:
        if isinstance(step, sklearn.impute.SimpleImputer):
            if step.add_indicator or not numpy.all(shift == 0) or not numpy.all(scale == 1):
                return None
            statistics = numpy.asarray(step.statistics_, dtype=float)
            if numpy.isnan(statistics).any():  # A column without any value: the imputer would leave it out.
                return None
            fills = statistics.tolist()
        elif isinstance(step, sklearn.preprocessing.StandardScaler):
            mean = step.mean_ if step.with_mean else numpy.zeros(width)
            shift, scale = shift + scale * mean, scale * (step.scale_ if step.with_std else 1.0)
        elif isinstance(step, sklearn.preprocessing.MinMaxScaler):
            if step.clip:
                return None
            shift, scale = shift - scale * step.min_ / step.scale_, scale / step.scale_
        elif isinstance(step, sklearn.preprocessing.MaxAbsScaler):
            scale = scale * step.scale_
        elif step not in (None, "passthrough"):
            return None
    return shift, scale, fills


def to_onnx(estimator: Any, width: int, *, double: bool = True) -> bytes:
    """The estimator as ONNX over one matrix. Doubles where the converter knows them: float32 moves labels."""
    kinds = skl2onnx.common.data_types
    kind = kinds.DoubleTensorType if double else kinds.FloatTensorType
    last = estimator.steps[-1][1] if isinstance(estimator, sklearn.pipeline.Pipeline) else estimator
    options = {id(last): {"zipmap": False}} if hasattr(estimator, "classes_") else {}
    try:
        converted = skl2onnx.convert_sklearn(
            estimator, initial_types=[("inputs", kind([None, width]))], options=options
        )
    except Exception as error:
        raise UsageError(f"{type(estimator).__name__} has no ONNX form: {error}") from error
    content: bytes = converted.SerializeToString()
    return content


def classes_of(estimator: Any) -> tuple[Label, ...]:
    return tuple(plain_label(each) for each in getattr(estimator, "classes_", ()))


def original_scores(estimator: Any, rows: Floats) -> tuple[list[Label], Floats]:
    """What the estimator itself says: its labels, and scores in the shape of Scores.values."""
    said = [plain_label(each) for each in estimator.predict(rows)]
    classes = classes_of(estimator)
    if not classes:
        return said, numpy.asarray(said, dtype=float)
    if not hasattr(estimator, "predict_proba"):
        raise UsageError(f"{type(estimator).__name__} gives no probabilities; calibrate it first")
    scores = numpy.asarray(estimator.predict_proba(rows), dtype=float)
    return said, scores[:, 1] if len(classes) == 2 else scores
