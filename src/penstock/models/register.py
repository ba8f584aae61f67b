"""Registering a model: its fast form is made, held against the original on the rows it was trained on, and only then kept.

register(registry, "will_buy", estimator, training)             scikit-learn
register(registry, "will_buy", onnx_bytes, training, format="onnx", classes=[0, 1])
register(registry, "will_buy", booster, training, format="lightgbm", classes=[0, 1])
register(registry, "will_buy", AnyObject(), training, format="python")
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

import cloudpickle
import numpy

from penstock.errors import Corruption, UsageError
from penstock.features.windows import Value
from penstock.models import baseline, linear
from penstock.models.gate import GateRejected, GateReport, compare
from penstock.models.prediction import Floats, Label, Model, Scores, decide_all
from penstock.models.registry import Registry, Version
from penstock.models.runtime import load_model
from penstock.models.signature import Column, Signature, signature_of, text_of_value

FORMATS = ("sklearn", "linear", "onnx", "lightgbm", "python")
CATEGORIES_MAX = 50


@dataclass(frozen=True)
class TrainingRows:
    """What a model was trained on: feature values row by row, and what `data` says of where they are from."""

    rows: Sequence[Mapping[str, Value]]
    labels: Sequence[Any] = ()
    data: Mapping[str, Any] = field(default_factory=dict)

    def signature(self) -> Signature:
        """Columns in the features' order. A feature that is ever text becomes one column for each of its values, the most
        frequent fifty."""
        columns: list[Column] = []
        for name in self.rows[0]:
            texts = [row[name] for row in self.rows if isinstance(row[name], str)]
            if texts:
                counts: dict[str, int] = {}
                for text in texts:
                    counts[str(text)] = counts.get(str(text), 0) + 1
                kept = sorted(counts, key=lambda each: (-counts[each], each))[:CATEGORIES_MAX]
                columns += [Column(name, equals=text) for text in sorted(kept)]
            else:
                columns.append(Column(name))
        return Signature(tuple(columns))

    def filled(self) -> Signature:
        """The signature with the mean of each column for nulls: for models that cannot take NaN."""
        signature = self.signature()
        matrix = numpy.array(signature.matrix(self.rows), dtype=float)
        fills = []
        for column, values in zip(signature.columns, matrix.T, strict=True):
            known = values[~numpy.isnan(values)]
            fill = float(known.mean()) if len(known) else 0.0
            fills.append(replace(column, fill=fill) if column.equals is None else column)
        return Signature(tuple(fills))

    def matrix(self, signature: Signature | None = None) -> Floats:
        """Rows × columns as a model sees them; nulls as NaN, or as the signature fills them."""
        return numpy.array((signature or self.signature()).matrix(self.rows), dtype=float)


def register(
    registry: Registry,
    name: str,
    model: Any,
    training: TrainingRows,
    *,
    format: str = "sklearn",
    signature: Signature | None = None,
    classes: Iterable[Label] = (),
    threshold: float = 0.5,
    metrics: Mapping[str, float] | None = None,
    note: str = "",
) -> Version:
    """A new version, or GateRejected with the rows on which its fast form would have answered otherwise."""
    if format not in FORMATS:
        raise UsageError(f"format is {', '.join(FORMATS)}, not {format!r}")
    if not training.rows:
        raise UsageError("a model is registered with the rows that it was trained on; there are none")
    taken = signature or training.signature()
    fast = _fast_form(model, format, training, taken, tuple(classes), threshold)
    version = Version(
        model=name,
        number=0,
        format=fast.format,
        artifact="",
        columns=fast.signature.as_json(),
        classes=list(fast.classes),
        threshold=threshold,
        data={"rows": len(training.rows), **training.data},
        metrics=dict(metrics or {}),
        gate={} if fast.gate is None else fast.gate.as_json(),
        baseline=baseline.of(training.rows, fast.scored),
        note=note,
    )
    return registry.add(version, fast.content)


@dataclass(frozen=True)
class _Fast:
    format: str
    content: bytes
    signature: Signature
    classes: tuple[Label, ...]
    gate: GateReport | None
    scored: list[float]  # Probabilities, or numbers, on the training rows.


def _fast_form(
    model: Any,
    format: str,
    training: TrainingRows,
    signature: Signature,
    classes: tuple[Label, ...],
    threshold: float,
) -> _Fast:
    if format == "sklearn":
        return _from_sklearn(model, training, signature, threshold)
    if format == "python":
        return _from_python(model, training, signature)
    content = _content(model, format)
    loaded = _load(format, content, signature, classes)
    scores = loaded.score(training.matrix(loaded.signature))
    return _Fast(format, content, loaded.signature, loaded.classes, None, _scored(scores))


def _content(model: Any, format: str) -> bytes:
    if isinstance(model, bytes):
        return model
    if format == "linear":
        return linear.dump(model)
    if format == "onnx":
        content: bytes = model.SerializeToString()
        return content
    booster = getattr(model, "booster_", model)
    return str(booster.model_to_string()).encode()


def _load(format: str, content: bytes, signature: Signature, classes: tuple[Label, ...]) -> Model:
    version = Version("candidate", 0, format, "", signature.as_json(), list(classes))
    return load_model(version, content)


def _from_sklearn(estimator: Any, training: TrainingRows, signature: Signature, threshold: float) -> _Fast:
    # scikit-learn takes a second to import; who registers a model of another kind need not have it.
    converting = importlib.import_module("penstock.models.sklearn")
    rows = training.matrix(signature)
    rejected: GateRejected | None = None
    converted = converting.to_linear(estimator, signature)
    if converted is not None:
        if any(c.fill is None and c.equals is None for c in converted.signature.columns):
            converted = replace(converted, signature=_keep_fills(converted.signature, training))
        rows = training.matrix(converted.signature)
        labels, original = converting.original_scores(
            estimator, _with_nulls(rows, training, signature, estimator)
        )
        report = compare(rows, labels, original, converted.score(rows), 0.5)
        if not report.passes:
            raise GateRejected(report)
        scores = converted.score(rows)
        return _Fast(
            "linear", linear.dump(converted), converted.signature, converted.classes, report, _scored(scores)
        )
    labels, original = converting.original_scores(estimator, rows)
    classes = converting.classes_of(estimator)
    # scikit-learn's trees compare float32 themselves; others need doubles. The gate says which form is right.
    for double in (False, True):
        try:
            content = converting.to_onnx(estimator, rows.shape[1], double=double)
            loaded = _load("onnx", content, signature, classes)
        except (UsageError, Corruption) as error:
            if double and rejected is None:
                raise UsageError(f"{type(estimator).__name__} cannot be served as ONNX: {error}") from error
            if double and rejected is not None:
                raise rejected from error
            continue
        scores = loaded.score(rows)
        report = compare(rows, labels, original, scores, 0.5)
        if report.passes:
            return _Fast("onnx", content, signature, classes, report, _scored(scores))
        rejected = rejected or GateRejected(report)
    assert rejected is not None
    raise rejected


def _keep_fills(signature: Signature, training: TrainingRows) -> Signature:
    """A linear model that does not know nulls gets the column means, as SimpleImputer would."""
    means = {column.name: column.fill for column in training.filled().columns}
    return Signature(
        tuple(
            replace(column, fill=means.get(column.name, 0.0))
            if column.fill is None and column.equals is None
            else column
            for column in signature.columns
        )
    )


def _with_nulls(filled: Floats, training: TrainingRows, signature: Signature, estimator: Any) -> Floats:
    """What the original is asked: the nulls themselves where it imputes them, the filled rows where it does not."""
    steps = getattr(estimator, "steps", [])
    if any(type(step).__name__ == "SimpleImputer" for _, step in steps):
        return training.matrix(signature)
    return filled


def _from_python(model: Any, training: TrainingRows, signature: Signature) -> _Fast:
    if not callable(getattr(model, "predict", None)):
        raise UsageError("a Python model is an object with predict(rows), rows a list of dicts")
    answers = model.predict([dict(row) for row in training.rows[:1000]])
    scored = [float(a[1]) if isinstance(a, tuple | list) else a for a in answers]
    numbers = [float(each) for each in scored if isinstance(each, int | float)]
    return _Fast("python", by_value(model), signature, (), None, numbers)


def by_value(model: Any) -> bytes:
    """Pickled with its class' code, so that a worker need not be able to import it."""
    module = importlib.import_module(type(model).__module__)
    cloudpickle.register_pickle_by_value(module)
    try:
        return cast(bytes, cloudpickle.dumps(model))
    finally:
        cloudpickle.unregister_pickle_by_value(module)


def _scored(scores: Scores) -> list[float]:
    if scores.values.ndim == 1:
        return cast("list[float]", scores.values.tolist())
    return [p.probability or 0.0 for p in decide_all(scores, 0.5)]


__all__ = ["TrainingRows", "register", "signature_of", "text_of_value"]
