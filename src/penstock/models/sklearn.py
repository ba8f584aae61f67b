"""scikit-learn's estimators turned into what serves fast: plain coefficients for linear ones, ONNX for the rest.

Steps before a linear model that only move and scale (SimpleImputer, StandardScaler, MinMaxScaler, MaxAbsScaler) are folded
into its coefficients and fills. Whatever comes out has to pass the gate.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy
import skl2onnx
import skl2onnx.common.data_types
import sklearn.exceptions
import sklearn.impute
import sklearn.linear_model
import sklearn.pipeline
import sklearn.preprocessing
import sklearn.utils.validation

from penstock.errors import UsageError
from penstock.models import histogram_boosting
from penstock.models.linear import LinearModel
from penstock.models.onnx_joining import joined
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


def check_fitted(estimator: Any, width: int) -> None:
    """On as many columns as the training rows have. What an estimator of one's own keeps of a fit is its own matter."""
    name, last = type(estimator).__name__, _steps(estimator)[-1]
    if type(last).__module__.startswith("sklearn."):
        try:
            sklearn.utils.validation.check_is_fitted(last)
        except sklearn.exceptions.NotFittedError as error:
            raise UsageError(f"{name} is not fitted; call fit(rows.matrix(), rows.labels) first") from error
    taken = getattr(estimator, "n_features_in_", width)
    if taken != width:
        raise UsageError(f"{name} was fitted on {taken} columns, and rows.matrix() has {width}")


def to_linear(estimator: Any, signature: Signature) -> LinearModel | None:
    """Plain coefficients, or None where the estimator is not linear."""
    *before, last = _steps(estimator)
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


def without_imputer(estimator: Any, signature: Signature) -> tuple[Any, Signature]:
    """A pipeline that begins with a SimpleImputer, without it: what it fills in becomes the columns' fills.

    onnxruntime has no imputer for doubles, and a row that comes filled needs none.
    """
    first = _steps(estimator)[0]
    if len(_steps(estimator)) < 2 or not isinstance(first, sklearn.impute.SimpleImputer):
        return estimator, signature
    if first.add_indicator or not _is_nan(first.missing_values):
        return estimator, signature
    statistics = numpy.asarray(first.statistics_, dtype=float)
    if numpy.isnan(statistics).any():  # A column without any value: the imputer leaves it out.
        return estimator, signature
    filled = tuple(
        replace(column, fill=fill) if column.equals is None else column
        for column, fill in zip(signature.columns, statistics.tolist(), strict=True)
    )
    rest = estimator.steps[1:]
    return (rest[0][1] if len(rest) == 1 else sklearn.pipeline.Pipeline(rest)), Signature(filled)


def _is_nan(held: object) -> bool:
    return isinstance(held, float) and held != held


def onnx_forms(estimator: Any, width: int) -> Iterator[Callable[[], bytes]]:
    """Ways to make the estimator an ONNX graph over one matrix, the likeliest to pass the gate first.

    Each raises UsageError where it has no such form: float32 as scikit-learn's trees compare; its scalers in doubles before
    those; doubles throughout, which linear steps and kernels need.
    """
    *before, last = _steps(estimator)
    scaling = sklearn.pipeline.Pipeline(estimator.steps[:-1]) if before else None

    def form(make: Callable[[], Any]) -> Callable[[], bytes]:
        return lambda: _serialized(type(last).__name__, make)

    taken = getattr(last, "n_features_in_", width)
    compares_doubles = isinstance(last, histogram_boosting.ESTIMATORS)
    if compares_doubles:
        behind = functools.partial(histogram_boosting.graph_of, last, taken)
    else:
        behind = functools.partial(_converted, last, taken, double=False)
        yield form(lambda: _converted(estimator, width, double=False))
    if scaling is not None:
        yield form(lambda: joined(_converted(scaling, width, double=True), behind()))
    elif compares_doubles:
        yield form(behind)
    if not compares_doubles:
        yield form(lambda: _converted(estimator, width, double=True))


def _serialized(name: str, make: Callable[[], Any]) -> bytes:
    try:
        content: bytes = make().SerializeToString()
    except Exception as error:
        # A converter's message may hold all the nodes of all the trees.
        first_line = (str(error).splitlines() or [type(error).__name__])[0][:300]
        raise UsageError(f"{name} has no ONNX form: {first_line}") from error
    return content


def _converted(estimator: Any, width: int, *, double: bool) -> Any:
    kinds = skl2onnx.common.data_types
    kind = kinds.DoubleTensorType if double else kinds.FloatTensorType
    last = _steps(estimator)[-1]
    return skl2onnx.convert_sklearn(
        estimator,
        initial_types=[("inputs", kind([None, width]))],
        options={id(last): {"zipmap": False}} if hasattr(estimator, "classes_") else {},
    )


def _steps(estimator: Any) -> list[Any]:
    if isinstance(estimator, sklearn.pipeline.Pipeline):
        return [step for _, step in estimator.steps]
    return [estimator]


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
