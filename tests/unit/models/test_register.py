"""Registering models: formats, the gate, and what the registry keeps."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy
import pytest
import skl2onnx
import skl2onnx.common.data_types
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import (
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler, MinMaxScaler, OneHotEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier
from tests.shop import MemoryClient

from penstock.errors import Corruption, UsageError
from penstock.features.windows import Value
from penstock.models.artifacts import ArtifactFolder
from penstock.models.gate import GateRejected
from penstock.models.register import TrainingRows, register
from penstock.models.registry import Registry
from penstock.models.runtime import load_model
from penstock.testing.databases import MemoryDatabase


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    db = MemoryDatabase()

    def now_us() -> int:
        db.clock.advance(1)
        return db.clock.now_us()

    return Registry(MemoryClient(db), ArtifactFolder(tmp_path / "models"), now_us=now_us, user=lambda: "ann")


def rows_of(seed: int, count: int = 300) -> tuple[TrainingRows, numpy.ndarray[Any, Any]]:
    random = numpy.random.default_rng(seed)
    rows: list[dict[str, Value]] = [
        {
            "a": float(a),
            "b": int(b),
            "c": None if c < 0.2 else float(c),
            "shade": ("red", "blue", "green")[int(b) % 3],
        }
        for a, b, c in zip(
            random.normal(0, 1e6, count), random.poisson(4, count), random.random(count), strict=True
        )
    ]
    labels = (random.random(count) < [0.8 if float(row["a"] or 0) > 0 else 0.2 for row in rows]).astype(int)
    return TrainingRows(rows, labels.tolist()), labels


SCALERS = [StandardScaler(), MinMaxScaler(), MaxAbsScaler(), "passthrough"]


# Why: it was an AttributeError of a coefficient, or of the dimensions of a product, from deep inside.
@pytest.mark.parametrize(
    "estimator", [LogisticRegression(), RandomForestClassifier(), make_pipeline(StandardScaler(), Ridge())]
)
def test_an_estimator_that_was_not_fitted_on_these_columns_is_refused_in_words(
    registry: Registry, estimator: Any
) -> None:
    training, labels = rows_of(1)
    name = type(estimator).__name__
    with pytest.raises(UsageError, match=f"{name} is not fitted; call fit"):
        register(registry, "m", estimator, training)
    estimator.fit(numpy.nan_to_num(training.matrix())[:, :2], labels)
    with pytest.raises(UsageError, match=rf"{name} was fitted on 2 columns, and rows.matrix\(\) has 6"):
        register(registry, "m", estimator, training)


# Why: whatever a pipeline does before its linear model, the coefficients that are served have to answer like the whole of it.
@pytest.mark.parametrize("scaler", SCALERS, ids=str)
@pytest.mark.parametrize("last", [LogisticRegression(), Ridge(), LinearRegression()], ids=str)
def test_a_linear_pipeline_is_served_as_plain_coefficients(
    registry: Registry, scaler: Any, last: Any
) -> None:
    training, labels = rows_of(1)
    estimator = make_pipeline(SimpleImputer(), scaler, last).fit(training.matrix(), labels)
    version = register(registry, "m", estimator, training)
    assert version.format == "linear"
    model = load_model(version, registry.content(version))
    asked = training.matrix(model.signature)
    expected = (
        estimator.predict_proba(training.matrix())[:, 1]
        if hasattr(estimator, "predict_proba")
        else estimator.predict(training.matrix())
    )
    assert numpy.allclose(model.score(asked).values, expected, atol=1e-9)


# Why: P2 of prediction.py; a campaign and a single answer must not differ in the last bit, nor a replay.
def test_one_row_and_many_rows_give_the_same_bits(registry: Registry) -> None:
    training, labels = rows_of(2)
    three = labels + (numpy.arange(len(labels)) % 3 == 0)
    for estimator, answers in (
        (LogisticRegression(), labels),
        (LogisticRegression(), three),
        (GradientBoostingClassifier(n_estimators=10), labels),
    ):
        fitted = make_pipeline(SimpleImputer(), StandardScaler(), estimator).fit(training.matrix(), answers)
        version = register(registry, "m", fitted, training)
        model = load_model(version, registry.content(version))
        asked = training.matrix(model.signature)
        assert [model.score_one(row) for row in asked.tolist()] == model.score(asked).values.tolist()


TREES = [
    GradientBoostingClassifier(n_estimators=20),
    RandomForestClassifier(20),
    ExtraTreesClassifier(20),
    DecisionTreeClassifier(max_depth=5),
    GradientBoostingRegressor(n_estimators=20),
    RandomForestRegressor(20),
    HistGradientBoostingClassifier(max_iter=20),
    HistGradientBoostingRegressor(max_iter=20),
    HistGradientBoostingRegressor(max_iter=20, loss="poisson"),
    HistGradientBoostingRegressor(max_iter=1, max_leaf_nodes=2, min_samples_leaf=299),  # Trees of one leaf.
]
ONE_HOT = ColumnTransformer(
    [
        ("one-hot", OneHotEncoder(handle_unknown="ignore", sparse_output=False), [1]),
        ("scaled", StandardScaler(), [0, 2]),
    ]
)
BEFORE: list[tuple[Any, ...]] = [(SimpleImputer(),), (SimpleImputer(strategy="median"), StandardScaler())]
BEFORE.append((SimpleImputer(), ONE_HOT))


# Why: trees go through ONNX, behind the gate, whatever stands before them in a pipeline.
@pytest.mark.parametrize("before", BEFORE, ids=["imputer", "scaler", "one-hot"])
@pytest.mark.parametrize("estimator", TREES, ids=lambda estimator: type(estimator).__name__)
def test_trees_are_served_as_onnx(registry: Registry, estimator: Any, before: tuple[Any, ...]) -> None:
    training, labels = rows_of(3)
    fitted = make_pipeline(*map(clone, before), clone(estimator)).fit(training.matrix(), labels)
    version = register(registry, "m", fitted, training)
    assert version.format == "onnx"
    assert version.gate["flips"] == 0
    model = load_model(version, registry.content(version))
    asked = training.matrix(model.signature)
    assert [model.score_one(row) for row in asked[:50].tolist()] == model.score(asked[:50]).values.tolist()


# Why: these trees compare doubles and know where a missing value goes; float32 would move milliseconds since 1970 by a minute.
@pytest.mark.parametrize("classes", [2, 3])
def test_histogram_boosting_is_served_in_doubles_and_knows_nulls(registry: Registry, classes: int) -> None:
    random = numpy.random.default_rng(8)
    moments = 1.7e12 + random.integers(0, 60_000, 500)
    rows: list[dict[str, Value]] = [
        {"at_ms": float(at), "n": None if random.random() < 0.3 else float(random.integers(9))}
        for at in moments
    ]
    training = TrainingRows(rows)
    labels = ((moments - 1.7e12) // (60_000 // classes + 1)).astype(int)
    labels[::7] = 0
    estimator = HistGradientBoostingClassifier(max_iter=20).fit(training.matrix(), labels)
    version = register(registry, "m", estimator, training)
    assert version.format == "onnx"
    model = load_model(version, registry.content(version))
    asked = training.matrix()
    said = model.score(asked).values
    expected = estimator.predict_proba(asked)
    assert numpy.abs(said - (expected[:, 1] if classes == 2 else expected)).max() < 1e-12


class ByHand(BaseEstimator, ClassifierMixin):  # type: ignore[misc]
    """A classifier that no converter knows. `forgets`: it comes out of a pickle with another idea."""

    def __init__(self, forgets: bool = False) -> None:
        self.forgets = forgets

    def fit(self, rows: Any, labels: Any) -> ByHand:
        self.classes_, self.limit_ = numpy.unique(labels), float(numpy.nanmedian(rows[:, 0]))
        return self

    def predict_proba(self, rows: Any) -> Any:
        second = numpy.where(rows[:, 0] > self.limit_, 0.9, 0.2)
        return numpy.stack([1 - second, second], axis=1)

    def predict(self, rows: Any) -> Any:
        return self.classes_[numpy.argmax(self.predict_proba(rows), axis=1)]

    def __getstate__(self) -> Any:
        return {**self.__dict__, "limit_": -1e9} if self.forgets else self.__dict__


# Why: an estimator that nothing converts is no reason to be turned away: Python serves it, slower, and who registers it is told.
@pytest.mark.parametrize(
    "estimator",
    [ByHand(), HistGradientBoostingClassifier(categorical_features=[1])],
    ids=["own", "categories"],
)
def test_an_estimator_without_a_fast_form_is_served_by_python(
    registry: Registry, estimator: Any, caplog: pytest.LogCaptureFixture
) -> None:
    training, labels = rows_of(9)
    fitted = estimator.fit(training.matrix(), labels)
    version = register(registry, "m", fitted, training)
    assert (version.format, version.classes) == ("python", [0, 1])
    assert "served by Python" in caplog.text
    assert "has no ONNX form" in version.gate["fallback"]
    model = pickle.loads(registry.content(version))
    said = model.predict([dict(row) for row in training.rows])
    assert said == fitted.predict_proba(training.matrix())[:, 1].tolist()


# Why: the gate applies to the original too: what is loaded from its bytes has to answer as what was trained.
def test_an_original_that_loses_something_on_its_way_is_rejected(registry: Registry) -> None:
    training, labels = rows_of(10)
    with pytest.raises(GateRejected) as caught:
        register(registry, "m", ByHand(forgets=True).fit(training.matrix(), labels), training)
    assert caught.value.report.flips
    assert caught.value.report.differences[0].inputs
    assert registry.versions("m") == []


# Why: a model that rounds its inputs flips labels that nobody would notice. The gate has to, and to show the rows.
def test_a_fast_form_that_answers_otherwise_is_rejected_with_the_rows(registry: Registry) -> None:
    values = numpy.random.default_rng(4).random(400) * 50
    training = TrainingRows([{"a": float(value)} for value in values])
    labels = (values > 25).astype(int)

    class Rounding(LogisticRegression):  # type: ignore[misc]
        """Linear, but for its own idea of what it is asked."""

        def predict_proba(self, rows: Any) -> Any:
            return super().predict_proba(rows + 7)

    estimator = Rounding().fit(values[:, None], labels)
    with pytest.raises(GateRejected) as caught:
        register(registry, "m", estimator, training)
    assert caught.value.report.differences
    assert registry.versions("m") == []


# Why: text becomes one column for each value, and what training never saw is none of them.
def test_text_features_become_columns(registry: Registry) -> None:
    training, _ = rows_of(5)
    names = [column.name for column in training.signature().columns]
    assert names == ["a", "b", "c", "shade=blue", "shade=green", "shade=red"]
    assert training.signature().vector({"a": 1.0, "b": 2, "c": 3.0, "shade": "mauve"}) == [1, 2, 3, 0, 0, 0]


# Why: the life of an alias, and that its history is on record.
def test_promote_and_roll_back(registry: Registry) -> None:
    training, labels = rows_of(6)
    estimator = make_pipeline(SimpleImputer(), LogisticRegression(max_iter=10)).fit(training.matrix(), labels)
    for _ in range(3):
        register(registry, "m", estimator, training)
    for number in (1, 2, 3):
        registry.promote("m", number)
    assert registry.rollback("m") == 2
    assert registry.rollback("m") == 1
    with pytest.raises(UsageError, match="no earlier version"):
        registry.rollback("m")
    assert registry.get("m").number == 1
    moves = [(event["action"], event["from"], event["to"]) for event in registry.events("m")]
    assert moves == [
        ("promote", "", "1"),
        ("promote", "1", "2"),
        ("promote", "2", "3"),
        ("rollback", "3", "2"),
        ("rollback", "2", "1"),
    ]
    assert registry.models() == ["m"]


# Why: a version that does not exist must not become the champion.
def test_only_a_version_that_exists_can_be_promoted(registry: Registry) -> None:
    registry.create_table()
    with pytest.raises(UsageError, match="no version '7'"):
        registry.promote("m", 7)


# Why: m@7 means version 7 wherever it is read; an alias of that name was moved, listed, and never used.
def test_an_alias_that_reads_like_a_version_is_refused(registry: Registry) -> None:
    registry.create_table()
    with pytest.raises(UsageError, match="'7' is no alias"):
        registry.promote("m", 1, "7")


# Why: bytes on disk that are not what was written are damage, never a model.
def test_a_damaged_model_file_is_reported(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("penstock.models.registry.INLINE_BYTES_MAX", 10)
    training, labels = rows_of(7)
    estimator = make_pipeline(SimpleImputer(), LogisticRegression()).fit(training.matrix(), labels)
    version = register(registry, "m", estimator, training)
    assert registry.artifacts is not None
    file = registry.artifacts.folder / version.artifact
    assert registry.content(registry.get("m", "1")) == file.read_bytes()
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    with pytest.raises(Corruption):
        registry.content(registry.get("m", "1"))


def converted(labels: Any, rows: Any, *, kind: str = "Float", **options: Any) -> bytes:
    tensor = getattr(skl2onnx.common.data_types, f"{kind}TensorType")
    estimator = RandomForestClassifier(5, random_state=0).fit(rows, labels)
    made = skl2onnx.convert_sklearn(
        estimator, initial_types=[("given", tensor([None, rows.shape[1]]))], options={id(estimator): options}
    )
    content: bytes = made.SerializeToString()
    return content


# Why: an ONNX file from anywhere is served as it is; what is no classifier or number over one matrix is told apart at once.
def test_a_raw_onnx_file_is_served_or_refused_with_a_reason(registry: Registry) -> None:
    training, labels = rows_of(11)
    filled = training.filled()
    rows = training.matrix(filled)
    content = converted(labels, rows, zipmap=False)
    version = register(registry, "m", content, training, format="onnx", signature=filled, classes=[0, 1])
    model = load_model(version, registry.content(version))
    assert set(numpy.unique(model.score(rows).values)) <= {0.0, 0.2, 0.4, 0.6, 0.8, 1.0}
    with pytest.raises(UsageError, match="give the classes"):
        register(registry, "m", content, training, format="onnx", signature=filled)
    with pytest.raises(UsageError, match="zipmap=False"):
        register(
            registry, "m", converted(labels, rows), training, format="onnx", signature=filled, classes=[0, 1]
        )
    whole = converted(labels, rows, kind="Int64", zipmap=False)
    with pytest.raises(UsageError, match="one matrix of float or double, not given tensor"):
        register(registry, "m", whole, training, format="onnx", signature=filled, classes=[0, 1])
    with pytest.raises(Corruption):
        register(registry, "m", b"no model", training, format="onnx", classes=[0, 1])
