"""Training `will_buy`: features as they were known at moments of the past, and whether the customer bought in the week after."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import numpy
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from penstock import ahead, count
from penstock.models.register import TrainingRows


def train(
    app: Any, ctx: Any, asked: Iterable[tuple[str, datetime]], *, lake: Any = None
) -> tuple[str, float]:
    """Train on these moments of customers, register, promote. Without a lake, the change stream tells what was known when."""
    spine = [{"customer_id": customer, "at": at} for customer, at in asked]
    known = app.training_set(
        app.feature_sets["buyer"],
        spine,
        label=ahead(count(days=7)),
        history=lake,
        backfilled=datetime.now(UTC),  # The history was loaded today and happened before.
    )
    ranks = ranking(known.rows, known.labels, [int(row["customer_id"][1:]) % 2 for row in spine])
    version = ctx.learn(
        "will_buy", model(), known.rows, known.labels, data=known.data, metrics={"auc": ranks}
    )
    return version, ranks


def model() -> Any:
    return make_pipeline(SimpleImputer(), StandardScaler(), LogisticRegression())


def ranking(rows: list[Any], labels: list[Any], halves: list[int]) -> float:
    """How often a model of one half of customers ranks a buyer of the other half above one who did not buy."""
    matrix, bought, half = TrainingRows(rows, labels).matrix(), numpy.array(labels), numpy.array(halves)
    fitted = model().fit(matrix[half == 0], bought[half == 0])
    chances = fitted.predict_proba(matrix[half == 1])[:, 1]
    return round(float(roc_auc_score(bought[half == 1], chances)), 4)
