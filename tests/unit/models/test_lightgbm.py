"""LightGBM's models in the registry."""

from __future__ import annotations

import lightgbm
import numpy
from tests.shop import MemoryClient, trained

from penstock.models.register import register
from penstock.models.registry import Registry
from penstock.models.runtime import load_model
from penstock.testing.databases import MemoryDatabase


# Why: an optional format that nobody runs is a promise that nobody keeps.
def test_a_lightgbm_model_answers_as_its_library_does() -> None:
    registry = Registry(MemoryClient(MemoryDatabase()), user=lambda: "ann")
    _, training = trained()
    rows = training.matrix()
    classifier = lightgbm.LGBMClassifier(n_estimators=10, verbosity=-1).fit(rows, training.labels)
    version = register(registry, "m", classifier, training, format="lightgbm", classes=[0, 1])
    model = load_model(version, registry.content(registry.get("m", "1")))
    expected = numpy.asarray(classifier.predict_proba(rows))[:, 1]
    assert numpy.array_equal(model.score(rows).values, expected)
    assert [model.score_one(row) for row in rows[:20].tolist()] == model.score(rows).values[:20].tolist()


# Why: LightGBM's estimators look like scikit-learn's, and are registered as these are: they know their classes, and the gate asks them.
def test_its_estimators_are_taken_as_they_are() -> None:
    registry = Registry(MemoryClient(MemoryDatabase()), user=lambda: "ann")
    _, training = trained()
    rows = training.matrix()
    three = [label + (n % 5 == 0) for n, label in enumerate(training.labels)]
    for estimator, labels, classes in (
        (lightgbm.LGBMClassifier(n_estimators=5, verbosity=-1), training.labels, [0, 1]),
        (lightgbm.LGBMClassifier(n_estimators=5, verbosity=-1), three, [0, 1, 2]),
        (lightgbm.LGBMRegressor(n_estimators=5, verbosity=-1), training.labels, []),
    ):
        version = register(registry, "m", estimator.fit(rows, labels), training)
        assert (version.format, version.classes) == ("lightgbm", classes)
        assert version.gate["flips"] == 0
