"""Registering a model: its fast form is made, held against the original on the rows it was trained on, and only then kept.

register(registry, "will_buy", estimator, training)             scikit-learn
register(registry, "will_buy", onnx_bytes, training, format="onnx", classes=[0, 1])
register(registry, "will_buy", booster, training, format="lightgbm", classes=[0, 1])     or an LGBMClassifier, which knows both
register(registry, "will_buy", AnyObject(), training, format="python")
"""

from __future__ import annotations

import importlib
import logging
import sys
import sysconfig
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType
from typing import Any, cast

import cloudpickle
import numpy

from penstock.errors import Corruption, UsageError
from penstock.features.windows import Value
from penstock.models import baseline, linear
from penstock.models.gate import GateRejected, GateReport, compare
from penstock.models.original import Original
from penstock.models.prediction import Floats, Label, Model, Scores, decide_all, plain_label
from penstock.models.registry import Registry, Version
from penstock.models.runtime import load_model
from penstock.models.signature import Column, Signature, signature_of, text_of_value

log = logging.getLogger("penstock.models")

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
    if format == "sklearn" and type(model).__module__.startswith("lightgbm."):
        format = "lightgbm"
    if not (classes := tuple(classes)) and format == "lightgbm":
        classes = tuple(plain_label(each) for each in getattr(model, "classes_", ()))
    taken = signature or training.signature()
    fast = _fast_form(model, format, training, taken, classes, threshold)
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
        gate=dict(fast.told or ({} if fast.gate is None else fast.gate.as_json())),
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
    told: Mapping[str, Any] | None = None  # Of the gate, where there is more to say.


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
        if hasattr(model, "get_params"):  # scikit-learn's, whose predict takes a matrix.
            converting = importlib.import_module("penstock.models.sklearn")
            labels, original = converting.original_scores(model, training.matrix(signature))
            wrapped = Original(model, signature, converting.classes_of(model))
            return _from_original(wrapped, training, labels, original, "It is registered as Python.")
        return _from_python(model, training, signature, classes)
    content = _content(model, format)
    loaded = _load(format, content, signature, classes)
    rows = training.matrix(loaded.signature)
    scores = loaded.score(rows)
    report = None
    if format == "lightgbm" and hasattr(model, "get_params"):  # What trained it is here to be asked.
        converting = importlib.import_module("penstock.models.sklearn")
        labels, original = converting.original_scores(model, rows)
        report = compare(rows, labels, original, scores)
        if not report.passes:
            raise GateRejected(report)
    return _Fast(format, content, loaded.signature, loaded.classes, report, _scored(scores))


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
    converting.check_fitted(estimator, len(signature.columns))
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
    return _from_trees(estimator, training, signature, converting)


def _from_trees(estimator: Any, training: TrainingRows, signature: Signature, converting: Any) -> _Fast:
    """As ONNX; where there is no such form, the estimator itself, through Python."""
    labels, original = converting.original_scores(estimator, training.matrix(signature))
    classes = converting.classes_of(estimator)
    rest, filled = converting.without_imputer(estimator, signature)
    rows = training.matrix(filled)
    rejected: GateRejected | None = None
    why = ""
    for form in converting.onnx_forms(rest, rows.shape[1]):
        try:
            content = form()
            scores = _load("onnx", content, filled, classes).score(rows)
        except (UsageError, Corruption) as error:
            why = str(error)
            continue
        report = compare(rows, labels, original, scores)
        if report.passes:
            return _Fast("onnx", content, filled, classes, report, _scored(scores))
        rejected = rejected or GateRejected(report, '; format="python" serves the original, more slowly')
    if rejected is not None:
        raise rejected
    return _from_original(Original(estimator, signature, classes), training, labels, original, why)


def _from_original(
    model: Original, training: TrainingRows, labels: list[Label], original: Floats, why: str
) -> _Fast:
    rows = training.matrix(model.signature)
    content = by_value(model)
    # What was pickled is asked, not what is here: an estimator may lose something on the way.
    scores = cast(Original, cloudpickle.loads(content)).score(rows)
    report = compare(rows, labels, original, scores)
    if not report.passes:
        raise GateRejected(report)
    cost_ms = model.row_ms(rows)
    log.warning(
        "%s It is served by Python, in a process of its own, at about %.2g ms for each answer instead of some µs.",
        why if why.endswith(".") else f"{why}.",
        cost_ms,
    )
    gate = {**report.as_json(), "fallback": why, "rowMs": round(cost_ms, 3)}
    return _Fast("python", content, model.signature, model.classes, report, _scored(scores), gate)


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


def _from_python(
    model: Any, training: TrainingRows, signature: Signature, classes: tuple[Label, ...]
) -> _Fast:
    if not callable(getattr(model, "predict", None)):
        raise UsageError("a Python model is an object with predict(rows), rows a list of dicts")
    answers = model.predict([dict(row) for row in training.rows[:1000]])
    scored = [float(a[1]) if isinstance(a, tuple | list) else a for a in answers]
    numbers = [float(each) for each in scored if isinstance(each, int | float)]
    return _Fast("python", by_value(model), signature, classes, None, numbers)


def by_value(model: Any) -> bytes:
    """Pickled with the code of its classes that are not installed: the process that runs it has other folders to import from."""
    estimator = getattr(model, "estimator", model)
    steps = [step for _, step in getattr(estimator, "steps", [])]
    names = {type(each).__module__ for each in (model, estimator, *steps)}
    modules = [held for name in sorted(names) if not _is_installed(held := importlib.import_module(name))]
    for module in modules:
        cloudpickle.register_pickle_by_value(module)
    try:
        return cast(bytes, cloudpickle.dumps(model))
    finally:
        for module in modules:
            cloudpickle.unregister_pickle_by_value(module)


def _is_installed(module: ModuleType) -> bool:
    """Of the standard library, of a package in site-packages, or this one."""
    top = module.__name__.partition(".")[0]
    file = getattr(module, "__file__", None)
    if top == "penstock" or (top in sys.stdlib_module_names and top != "__main__") or file is None:
        return top != "__main__"
    return any(Path(file).is_relative_to(sysconfig.get_path(each)) for each in ("purelib", "platlib"))


def _scored(scores: Scores) -> list[float]:
    if scores.values.ndim == 1:
        return cast("list[float]", scores.values.tolist())
    return [p.probability or 0.0 for p in decide_all(scores, 0.5)]


__all__ = ["TrainingRows", "register", "signature_of", "text_of_value"]
